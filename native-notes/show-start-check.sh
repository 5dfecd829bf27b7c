#!/bin/sh
# Shows what a director does without CAP_NET_ADMIN: it cannot have a guard, so it starts only where
# the kernel leaves VIP frames alone by itself.
. "$(dirname "$0")/private.sh"
. "$notes/director.sh"

client_and_director
raw_only="setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all,+net_raw \
  --ambient-caps=-all,+net_raw --bounding-set=-all,+net_raw"
sed -i '1i socket: /run/note/furiwake.sock' "$config"
mkdir -m 777 /run/note

echo '--- ip_forward=1, CAP_NET_RAW alone'
on director sysctl -qw net.ipv4.ip_forward=1
status=0
on director $raw_only $furiwake run --config "$config" 2>&1 || status=$?
echo "exit code $status"

echo '--- ip_forward=0, CAP_NET_RAW alone'
on director sysctl -qw net.ipv4.ip_forward=0
# Not `on`: $! shall be the director itself.
ip netns exec director $raw_only $furiwake run --config "$config" > /run/log 2>&1 &
until_true test -S /run/note/furiwake.sock
grep -E "Cap(Eff|Bnd)" "/proc/$!/status"
on director $furiwake status --config "$config" | head -5

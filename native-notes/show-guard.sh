#!/bin/sh
# Shows the guard of a running director: whose it is, what it keeps out, and that it vanishes with
# its director even if that is killed.
. "$(dirname "$0")/private.sh"
. "$notes/director.sh"

client_and_director
guard_stands() { on director nft list table netdev furiwake_eth0; }
guard_is_gone() { ! guard_stands; }

# Not `on`: $! shall be the director itself.
ip netns exec director $furiwake run --config "$config" >/dev/null 2>&1 &
director=$!
until_true guard_stands
echo '--- the guard'
guard_stands

echo '--- another process may not delete it'
on director nft delete table netdev furiwake_eth0 2>&1 || true

echo '--- nor may a second director work on the same arm'
sed 's/^interfaces/socket: \/run\/other.sock\ninterfaces/' "$config" > /run/other.yaml
status=0
on director $furiwake run --config /run/other.yaml 2>&1 || status=$?
echo "exit code $status"

echo '--- kill -9'
kill -9 "$director"
until_true guard_is_gone
on director nft list ruleset
echo 'the rules are gone'

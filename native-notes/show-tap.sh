#!/bin/sh
# Shows that a packet socket is a tap and not a hook, where the guard stands, and which socket
# starves behind it. A client pings an address that routes through `director`, where nobody but two
# packet sockets listens; whatever the director sends, its kernel sends.
. "$(dirname "$0")/private.sh"

host client
host director
cable client 10.0.0.1/24 director 10.0.0.2/24
on director sysctl -qw net.ipv4.ip_forward=1
ip -n client neighbour add 10.0.0.100 lladdr "$(mac_of director)" dev eth0
ip -n director neighbour add 10.0.0.1 lladdr "$(mac_of client)" dev eth0

# The guard first: without it the kernel goes on for seconds, asking for the address by ARP.
on director nft -f - <<'RULES'
table netdev note {
  chain ingress {
    type filter hook ingress device "eth0" priority -300
    ip daddr 10.0.0.100 drop
  }
}
RULES
ping='ip netns exec client ping -q -c 3 -i 0.2 -W 1 10.0.0.100'
echo '--- behind an nft rule at ingress'
on director node "$notes/count-taps.mjs" "$ping"

on director nft delete table netdev note
echo '--- without it'
on director node "$notes/count-taps.mjs" "$ping"

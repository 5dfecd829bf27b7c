#!/bin/sh
# Shows what the optional package raw-socket can do for a director and what it cannot.
. "$(dirname "$0")/private.sh"
export RAW_SOCKET_AT="$notes/.."

host client
host director
host far
cable client 198.51.100.1/24 director 198.51.100.2/24
ip link add eth1 netns director type veth peer name eth0 netns far
attach far 203.0.113.1/24
ip -n director address add 203.0.113.2/24 dev eth1
ip -n director link set eth1 up
ip -n client neighbour add 198.51.100.100 lladdr "$(mac_of director)" dev eth0

case_of() {
  echo "--- $2"
  rm -f /run/ready
  ip netns exec director node "$notes/raw-socket-case.mjs" "$1" &
  case=$!
  until [ -e /run/ready ] || ! kill -0 "$case" 2>/dev/null; do sleep 0.05; done
  $3 || true
  wait "$case"
}
connect() {
  on client curl -s -m 1 "http://$1/" ||
    echo "client: curl ends with $? (7: refused, 28: no answer)"
}
to_own() { connect 198.51.100.2; }
to_vip() { connect 198.51.100.100; }

case_of receive 'TCP to an address of the host' to_own
case_of receive 'TCP to a VIP, which is no address of the host' to_vip
on far tcpdump -lnn -i eth0 -c 3 > /run/far 2> /run/tcpdump &
dump=$!
until grep -q listening /run/tcpdump 2>/dev/null; do sleep 0.1; done
case_of send 'a packet of our own making to 203.0.113.1' true
wait "$dump"
sed 's/^[^ ]* /far: /' /run/far
case_of checksum 'createChecksum of 4 bytes from offset 2 in a buffer of 4 bytes' true

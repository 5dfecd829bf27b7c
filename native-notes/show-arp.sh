#!/bin/sh
# Shows what a DSR real does about ARP with the VIP on its `lo`: by default it answers for the VIP,
# and its own requests tell everybody that the VIP is at its MAC address; with arp_ignore=1 and
# arp_announce=2 it does neither.
. "$(dirname "$0")/private.sh"

vip=10.0.0.100
ip link add switch type bridge
ip link set switch up
# station HOST ADDRESS MAC: a host on the switch.
station() {
  host "$1"
  ip link add eth0 address "$3" netns "$1" type veth peer name "port-$1"
  ip link set "port-$1" master switch up
  attach "$1" "$2"
}
station client 10.0.0.1/24 02:00:00:00:00:01
station real1 10.0.0.11/24 02:00:00:00:00:11
station real2 10.0.0.12/24 02:00:00:00:00:12
for real in real1 real2; do
  ip -n "$real" address add "$vip/32" dev lo
done

look() {
  echo "who answers ARP for the VIP:"
  on client arping -b -c 2 -w 2 -I eth0 "$vip" |
    sed -n 's/^Unicast reply from \([^ ]* \[[^ ]*\]\).*/  \1/p' | sort -u
  on client tcpdump -lnn -i eth0 -c 1 'arp and ether src 02:00:00:00:00:11 and arp[7] = 1' \
    > /run/arp 2> /run/tcpdump &
  dump=$!
  until grep -q listening /run/tcpdump 2>/dev/null; do sleep 0.1; done
  ip -n real1 neighbour flush dev eth0
  # real1 answers a client from the VIP and first asks for the client's MAC address.
  on real1 ping -q -c 1 -W 1 -I "$vip" 10.0.0.1 >/dev/null || true
  wait "$dump"
  echo "what real1 asks: $(sed 's/.*Request //; s/,.*//' /run/arp)"
}

echo '--- as the kernel has it: arp_ignore=0, arp_announce=0'
look
echo '--- arp_ignore=1, arp_announce=2'
for real in real1 real2; do
  on "$real" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
done
look

#!/bin/sh
# Shows what a DSR real does about NDP with the VIP on its `lo`, as the kernel has it: it answers
# nobody who asks for the VIP, and its own questions never name it. With the VIP on eth0 it answers.
# And what forwards packets of IPv6: the switch of the whole host, not that of an interface.
. "$(dirname "$0")/private.sh"

vip=2001:db8::99
ip link add switch type bridge mcast_snooping 0
ip link set switch up
# station HOST ADDRESS MAC: a host on the switch, with IPv6.
station() {
  host "$1"
  on "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
  on "$1" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0
  ip link add eth0 address "$3" netns "$1" type veth peer name "port-$1"
  ip link set "port-$1" master switch up
  attach "$1" "$2"
}
station client 2001:db8::1/64 02:00:00:00:00:01
station real1 2001:db8::11/64 02:00:00:00:00:11
on client ping -q -c 1 -W 5 2001:db8::11 >/dev/null

# listen HOST FILTER: the first frame of that kind within two seconds, as tcpdump has it.
listen() {
  on "$1" timeout 2 tcpdump -lnn -i eth0 -c 1 "$2" > /run/heard 2> /run/tcpdump &
  dump=$!
  until grep -q listening /run/tcpdump 2>/dev/null; do sleep 0.1; done
}
# hear: waits for it, and leaves what it says in $said.
hear() {
  wait "$dump" || true
  rm /run/tcpdump
  said=$(sed 's/.*ICMP6, neighbor [a-z]*, //; s/, length.*//; s/, Flags.*//' /run/heard)
  said=${said:-nothing}
}

look() {
  ip -n client neighbour flush dev eth0
  listen client 'ip6[6] == 58 and ip6[40] == 136 and ip6[48:4] == 0x20010db8 and ip6[60:4] == 0x99'
  on client ping -q -c 1 -W 1 "$vip" >/dev/null || true
  hear
  echo "who asks for the VIP is answered: $said"
}

echo '--- the VIP on lo of real1'
ip -n real1 address add "$vip/128" dev lo
look
ip -n real1 neighbour flush dev eth0
listen client 'ip6[6] == 58 and ip6[40] == 135 and ether src 02:00:00:00:00:11'
on real1 ping -q -c 1 -W 1 -I "$vip" 2001:db8::1 >/dev/null || true
hear
echo "real1 answers a client from the VIP and asks: $said"
sed -n 's/.*IP6 \([^ ]*\) > .*/its source is \1/p' /run/heard
echo '--- and real1 forwards'
on real1 sysctl -qw net.ipv6.conf.all.forwarding=1
look
echo '--- the VIP on eth0 of real1'
on real1 sysctl -qw net.ipv6.conf.all.forwarding=0
ip -n real1 address del "$vip/128" dev lo
ip -n real1 address add "$vip/128" dev eth0 nodad
look

# A packet to the address of nobody, handed to real1 by its MAC address: does real1 send it on?
ip -n real1 address del "$vip/128" dev eth0
ip -n real1 route add 2001:db8:5::/64 via 2001:db8::1
ip -n client route add 2001:db8:5::/64 via 2001:db8::11
# try SWITCH: sets it on, looks, and sets it off again.
try() {
  on real1 sysctl -qw "net.ipv6.conf.$1=1" 2>/dev/null || return 0
  listen client 'ip6 dst 2001:db8:5::5 and ether src 02:00:00:00:00:11'
  on client ping -q -c 1 -W 1 2001:db8:5::5 >/dev/null || true
  hear
  [ "$said" = nothing ] && echo "$1=1: no" || echo "$1=1: yes"
  on real1 sysctl -qw "net.ipv6.conf.$1=0"
}
echo '--- what forwards'
try eth0.forwarding
try eth0.force_forwarding
try all.forwarding

# Started by private-wire.mjs: makes the wire, then runs the script that is the first argument.
. "$(dirname "$0")/private.sh"

sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip link add left address 02:00:00:00:00:01 type veth peer name right address 02:00:00:00:00:02
ip link set left mtu 9000 up
ip link set right mtu 9000 up
exec node "$@"

# Sourced first by every show-*.sh: runs the script again in network, mount and process namespaces
# of its own. Whatever it makes there ends with it, however it ends, so that it needs no clean-up
# and cannot meet the names of anybody else. The only way in or out is the terminal.
set -eu

notes=$(cd "$(dirname "$0")" && pwd)

if [ "${FURIWAKE_NOTE:-}" != inside ]; then
  if [ "$(id -u)" != 0 ]; then
    echo 'this note makes network namespaces, so it needs root: run it with sudo' >&2
    exit 2
  fi
  if [ ! -e "$notes/../dist/src/linux/libc-unsafe.js" ]; then
    echo 'this note needs the built project: npm run setup' >&2
    exit 2
  fi
  FURIWAKE_NOTE=inside exec unshare --net --mount --pid --fork --kill-child --mount-proc \
    sh "$0" "$@"
fi

# The first process of a PID namespace dies of no signal that it does not ask for.
trap 'exit 130' INT TERM
# `ip netns` keeps its names in /run; sysfs shows the network namespace that it was mounted in.
mount -t tmpfs tmpfs /run
mount -t sysfs sysfs /sys

# host NAME: a network namespace without IPv6, whose own frames would spoil the counts.
host() {
  ip netns add "$1"
  ip -n "$1" link set lo up
  on "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
}

# cable HOST-A ADDRESS-A HOST-B ADDRESS-B: joins eth0 of two hosts.
cable() {
  ip link add eth0 netns "$1" type veth peer name eth0 netns "$3"
  attach "$1" "$2"
  attach "$3" "$4"
}

attach() {
  ip -n "$1" address add "$2" dev eth0
  ip -n "$1" link set eth0 up
}

# on HOST COMMAND...
on() {
  ip netns exec "$@"
}

mac_of() {
  ip -n "$1" -br link show eth0 | awk '{ print $3 }'
}

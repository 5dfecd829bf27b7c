#!/bin/sh
# Shows why a guard is needed where the director's host also routes: under NAT the kernel forwards
# each reply a second time, as it came, and the client resets a connection that it never opened.
. "$(dirname "$0")/private.sh"
. "$notes/director.sh"

host client
host director
host real
cable client 198.51.100.1/24 director 198.51.100.2/24
ip link add eth1 netns director type veth peer name eth0 netns real
attach real 203.0.113.1/24
ip -n director address add 203.0.113.2/24 dev eth1
ip -n director link set eth1 up
ip -n real route add default via 203.0.113.2
ip -n client route add 203.0.113.0/24 via 198.51.100.2
on real node -e 'require("http").createServer((_, answer) => answer.end("ok\n")).listen(8080)' &

# try GUARD: ten requests, with ip_forward turned on once the director runs.
try() {
  cat > "$config" <<YAML
interfaces: [eth0, eth1]
guard: $1
services:
  web:
    { vip: 198.51.100.100, port: 80, method: nat, reals: [ { address: 203.0.113.1, port: 8080 } ] }
YAML
  ip netns exec director $furiwake run --config "$config" >/dev/null 2>&1 &
  director=$!
  until_true on director $furiwake status
  until_true real_resolved
  on director sysctl -qw net.ipv4.ip_forward=1
  good=0
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    on client curl -s -m 2 -o /dev/null http://198.51.100.100/ && good=$((good + 1))
  done
  resets=$(on client nstat -asz TcpOutRsts | awk '/TcpOutRsts/ { print $2 }')
  echo "guard $1: $good of 10 requests answered; resets sent by the client so far: $resets"
  kill "$director"
  wait "$director" || true
  on director sysctl -qw net.ipv4.ip_forward=0
}
real_resolved() { on director $furiwake status --json | grep -q '"resolved"'; }

try auto
try off

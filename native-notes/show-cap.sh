#!/bin/sh
# Shows what the package `cap` does to its process and to its frames: one child process each time.
. "$(dirname "$0")/private.sh"
ulimit -c 0

host here
host there
cable here 10.0.0.1/24 there 10.0.0.2/24

# case_of NAME TITLE [COMMAND]: runs a case of cap-case.mjs; COMMAND runs once it captures.
case_of() {
  echo "--- $2"
  rm -f /run/ready
  ip netns exec here node --expose-gc "$notes/cap-case.mjs" "$1" > /run/out 2> /run/err &
  child=$!
  if [ $# -gt 2 ]; then
    until [ -e /run/ready ] || ! kill -0 "$child" 2>/dev/null; do sleep 0.05; done
    sh -c "$3" >/dev/null 2>&1 || true
  fi
  status=0
  wait "$child" 2>/dev/null || status=$?
  cat /run/out
  grep -oE -m1 "Assertion .*failed|FATAL ERROR.*|Error: .*" /run/err || true
  [ "$status" -lt 128 ] || echo "ended by SIG$(kill -l "$status")"
}

case_of link-down 'the link goes down while it captures' 'ip -n here link set eth0 down'
ip -n here link set eth0 up
case_of send-early 'send before open'
case_of send-late 'send after close'
case_of buffer 'nothing refers to the buffer that open was given' \
  'ip netns exec there ping -q -c 20 -i 0.01 10.0.0.1'
case_of report 'open and close, garbage collection, then process.report.getReport()'
case_of worker 'in a worker thread, the main thread having loaded it'
case_of worker-alone 'in a worker thread alone' 'ip netns exec there ping -q -c 3 -i 0.3 10.0.0.1'
case_of inbound 'three pings, the filter "inbound and icmp"' \
  'ip netns exec there ping -q -c 3 -i 0.3 10.0.0.1'
case_of other-way 'three pings, the filter "icmp and not ether src OWN"' \
  'ip netns exec there ping -q -c 3 -i 0.3 10.0.0.1'
case_of own-send 'what a capture sees of its own send, and of the kernel'"'"'s frames' \
  'ip netns exec here ping -q -c 2 -i 0.3 10.0.0.2'
case_of too-long 'send of more than the MTU'
on here ethtool -K eth0 tso off gso off gro off tx off >/dev/null
case_of cut 'a super-frame of 4,042 bytes; offloads are off here, on over there' \
  "ip netns exec there node $notes/flood.mjs eth0 super"
case_of starve 'a timer of 10 ms while 300,000 frames come, each of which costs 10 microseconds' \
  "ip netns exec there node $notes/flood.mjs eth0 small 300000"

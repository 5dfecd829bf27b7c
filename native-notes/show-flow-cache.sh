#!/bin/sh
# Shows that the kernel repeats by itself what the director has decided of a flow, that a program at
# tc ingress does it, and that the program goes with its director. The client is the real as well,
# so what is sent on comes back to it.
. "$(dirname "$0")/private.sh"
. "$notes/director.sh"

client_and_director
sed -i '1i datapath: tc' "$config"
sed -i 's/port: 80/port: 9\n    protocol: udp/' "$config"
on client nft -f - <<'RULES'
table netdev note {
  counter back { }
  chain ingress {
    type filter hook ingress device "eth0" priority 0
    udp dport 9 counter name back drop
  }
}
RULES

# datagrams COUNT: from one port to the VIP, a few every millisecond.
datagrams() {
  on client node -e '
    const socket = require("node:dgram").createSocket("udp4").bind(1000);
    let left = Number(process.argv[1]);
    const timer = setInterval(() => {
      for (let few = 0; few < 5 && left > 0; few++, left--) {
        socket.send("forty bytes of payload for each of these", 9, "10.0.0.100");
      }
      if (left === 0) { clearInterval(timer); setTimeout(() => socket.close(), 200); }
    }, 1);' "$1"
}
came_back() { on client nft -j list counter netdev note back | grep -o '"packets": [0-9]*'; }
status() { on director $furiwake status --config "$config"; }
is_ready() { status | grep -q ' ok '; }

# Not `on`: $! shall be the director itself.
ip netns exec director $furiwake run --config "$config" >/dev/null 2>&1 &
director=$!
until_true is_ready
datagrams 1000
echo '--- 1000 datagrams of one flow'
status | grep -E '^(frames|cache)'
came_back
echo '--- what holds the program'
grep -h link_type "/proc/$director"/fdinfo/*
echo '--- kill -9'
kill -9 "$director"
until_true sh -c "! kill -0 $director"
datagrams 100
came_back

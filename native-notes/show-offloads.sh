#!/bin/sh
# Shows what offloads make of a TCP transfer before a packet socket sees it: frames of up to 64 KiB
# whose checksum nobody has computed; and what is left of that with the sender's offloads off.
. "$(dirname "$0")/private.sh"

host client
host server
cable client 10.0.0.1/24 server 10.0.0.2/24

echo '--- offloads as they are on a veth'
on client ethtool -k eth0 | grep -E '^(tcp-seg|tx-check|generic-(seg|rec))'
on server node "$notes/weigh-frames.mjs"

echo "--- the sender's offloads off: ethtool -K eth0 tso off gso off tx off"
on client ethtool -K eth0 tso off gso off tx off >/dev/null
on server node "$notes/weigh-frames.mjs"

echo "--- the sender's still off, generic-receive-offload on here, as network cards have it"
on server ethtool -K eth0 gro on
on server node "$notes/weigh-frames.mjs"

// Shows two socket options that change who sees the frames that a packet socket sends, and what
// PACKET_QDISC_BYPASS does to a super-frame that the interface cannot cut up.
import './private-wire.mjs';
import { execFileSync } from 'node:child_process';
import { openSocket, send, table, takeCount } from './packet-sockets.mjs';
import { superFrame, wireFrame } from './wire-frame.mjs';

const FRAMES = 5;
const frames = Array.from({ length: FRAMES }, () => wireFrame(100));

console.log(`--- ${FRAMES} frames sent on left by one sendmmsg; who sees them?`);
const rows = [0, 1].map((qdiscBypass) => {
  const sender = openSocket('left', { options: { qdiscBypass } });
  const tap = openSocket('left');
  const quietTap = openSocket('left', { options: { ignoreOutgoing: 1 } });
  const peer = openSocket('right');
  send(sender, frames);
  return [qdiscBypass, takeCount(tap), takeCount(quietTap), takeCount(peer)];
});
process.stdout.write(
  table([
    ['PACKET_QDISC_BYPASS', 'tap on left', 'tap with PACKET_IGNORE_OUTGOING', 'tap on right'],
    ...rows,
  ]),
);

console.log('--- a UDP super-frame of 4 segments (virtio_net_hdr: gso_size 500)');
/** Why the kernel refused it, or how many frames came out. */
function trySuperFrame(qdiscBypass) {
  const sender = openSocket('left', { options: { vnetHeader: 1, qdiscBypass } });
  const peer = openSocket('right');
  try {
    send(sender, [superFrame(2000, 500)]);
    return `${takeCount(peer)} frame(s) arrive`;
  } catch (error) {
    return error.message;
  }
}
const offloads = (state) =>
  execFileSync('ethtool', ['-K', 'left', 'tx-udp-segmentation', state, 'gso', 'on']);
const outcomes = ['on', 'off'].map((state) => {
  offloads(state);
  return [state, trySuperFrame(0), trySuperFrame(1)];
});
process.stdout.write(
  table([
    ['segmentation offload of left', 'through the qdisc', 'PACKET_QDISC_BYPASS'],
    ...outcomes,
  ]),
);

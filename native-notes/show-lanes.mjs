// Shows the two lanes of an arm as src/datapath/ring-unsafe.ts opens them: which frame goes where,
// that a batch comes in the order of arrival, and the memory that they count for.
import './private-wire.mjs';
import { readFileSync } from 'node:fs';
import { laneLayouts, layoutBytes } from '../dist/src/datapath/ring-lane-unsafe.js';
import { openRing } from '../dist/src/datapath/ring-unsafe.js';
import { parseIpv4 } from '../dist/src/wire/address.js';
import { openSocket, send, table } from './packet-sockets.mjs';
import { wireFrame } from './wire-frame.mjs';

const SLOTS = 2048;

const rss = () =>
  ['RssAnon', 'RssShmem', 'RssFile'].map((name) =>
    Number(
      new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1],
    ),
  );
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

const [small, large] = laneLayouts(SLOTS);
console.log(`--- ring: { slots: ${SLOTS} }`);
process.stdout.write(
  table([
    ['lane', 'slots', 'bytes a slot', 'pages a block', 'memory'],
    ...[small, large].map((layout, lane) => [
      ['small', 'large'][lane],
      layout.frames,
      layout.frameBytes,
      layout.blockBytes / 4096,
      mebibytes(layoutBytes(layout)),
    ]),
    ['all large', SLOTS, large.frameBytes, '', mebibytes(SLOTS * large.frameBytes)],
  ]),
);

const before = rss();
const interfaceIndex = Number(readFileSync('/sys/class/net/right/ifindex', 'utf8'));
const arm = { name: 'right', interfaceIndex, macHigh: 0x0200, macLow: 2, address: 0, mtu: 9000 };
const vips = Int32Array.of(parseIpv4('10.0.0.2'));
const ring = openRing({ arms: [arm], slots: SLOTS, vips, reals: new Int32Array(0) });
const grown = rss().map((kibibytes, index) => mebibytes((kibibytes - before[index]) * 1024));
console.log('--- resident memory after the rings are mapped, no frame seen yet');
process.stdout.write(table([['anonymous', 'shared', 'file'], grown]));

console.log('--- frames sent and received, bytes of payload');
const sizes = [100, 5000, 200, 300, 6000, 400, 1800];
const sender = openSocket('left');
for (const size of sizes) send(sender, [wireFrame(size)]);
const count = ring.receive();
const { at, end } = ring.batch;
const received = Array.from({ length: count }, (_, index) => end[index] - at[index] - 42);
const laneOf = (index) => (at[index] < layoutBytes(small) ? 'small' : 'large');
console.log('sent:    ', sizes.join(' '));
console.log('received:', received.join(' '));
console.log('lanes:   ', received.map((_, index) => laneOf(index)).join(' '));
ring.flush();
ring.close();

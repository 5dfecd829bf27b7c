// For show-offloads.sh, on the host `server`: has `client` send 2 MiB by TCP and weighs the frames
// that arrive, as the ring sees them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { openRing } from '../dist/src/datapath/ring-unsafe.js';
import { parseIpv4 } from '../dist/src/wire/address.js';
import * as checksum from '../dist/src/wire/checksum.js';
import * as ipv4 from '../dist/src/wire/ipv4.js';
import * as tcp from '../dist/src/wire/tcp.js';
import { table } from './packet-sockets.mjs';

const BYTES = 2 ** 21;
const SERVER = '10.0.0.2';
const CLIENT_PROGRAM = `require('net').connect(7000, '${SERVER}').end(Buffer.alloc(${BYTES}))`;
const VNET_HEADER_BYTES = 10;
const GSO_SIZE_AT = 4;

const interfaceIndex = Number(readFileSync('/sys/class/net/eth0/ifindex', 'utf8'));
const arm = { name: 'eth0', interfaceIndex, macHigh: 0, macLow: 0, address: 0, mtu: 1500 };
const vips = Int32Array.of(parseIpv4(SERVER));
const ring = openRing({ arms: [arm], slots: 4096, vips, reals: new Int32Array(0) });

const server = createServer((connection) => connection.resume().on('end', () => connection.end()));
server.listen(7000, SERVER);
await once(server, 'listening');
const command = ['netns', 'exec', 'client', process.execPath, '-e', CLIENT_PROGRAM];
await once(spawn('ip', command, { stdio: 'inherit' }), 'exit');
server.close();

const seen = { frames: 0, largest: 0, gsoSize: 0, needsCsum: 0, finished: 0, pseudoHeader: 0 };
while (ring.receive() > 0) {
  const { frame, count, at, end, offload } = ring.batch;
  for (let index = 0; index < count; index++) {
    const l3 = at[index] + 14;
    if (frame.getUint16(l3 - 2) !== 0x0800) continue;
    seen.frames++;
    seen.needsCsum += offload[index] & 1;
    if (end[index] - at[index] > seen.largest) {
      seen.largest = end[index] - at[index];
      seen.gsoSize = frame.getUint16(at[index] - VNET_HEADER_BYTES + GSO_SIZE_AT, true);
    }
    weighChecksum(frame, l3);
  }
  ring.flush();
}
process.stdout.write(
  table([
    ['frames with data or flags', seen.frames],
    ['largest frame, bytes', seen.largest],
    ['its gso_size (0: no super-frame)', seen.gsoSize],
    ['frames with NEEDS_CSUM', seen.needsCsum],
    ['frames whose TCP checksum is right', seen.finished],
    ['frames with the sum of the pseudo-header in its place', seen.pseudoHeader],
  ]),
);
process.exit();

function weighChecksum(frame, l3) {
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const packetEnd = l3 + ipv4.totalBytes(frame, l3);
  const source = ipv4.source(frame, l3);
  const destination = ipv4.destination(frame, l3);
  const seed = checksum.pseudoHeader(source, destination, 6, packetEnd - l4);
  if (checksum.sum(frame, l4, packetEnd, seed) === 0xffff) seen.finished++;
  if (tcp.checksum(frame, l4) === seed) seen.pseudoHeader++;
}

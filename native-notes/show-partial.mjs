// Shows what NAT must do with a partial checksum, and how a wrong one hides. Datagrams for 10.0.0.9
// are rewritten to 10.0.0.2 as src/director/rewrite.ts does, once as what they are and once as the
// other kind, and sent over a wire that finishes checksums late (offload on) or at once (off).
import './private-wire.mjs';
import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parseIpv4 } from '../dist/src/wire/address.js';
import * as checksum from '../dist/src/wire/checksum.js';
import { openSocket, send, table } from './packet-sockets.mjs';
import { wireFrame } from './wire-frame.mjs';

const VIP = '10.0.0.9';
const REAL = '10.0.0.2';
const L3 = 14;
const L4 = 34;

execFileSync('ip', ['address', 'add', `${REAL}/24`, 'dev', 'right']);
spawnSync('sysctl', ['-qw', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.right.rp_filter=0']);

/** What arrives at UDP port 53 of the real, said by its kernel's own counters. */
function counters() {
  const text = execFileSync('nstat', ['-asz', 'UdpInDatagrams', 'UdpInCsumErrors'], {
    encoding: 'utf8',
  });
  const of = (name) => Number(new RegExp(`${name}\\s+(\\d+)`).exec(text)[1]);
  return { good: of('UdpInDatagrams'), bad: of('UdpInCsumErrors') };
}

const server = createSocket('udp4');
server.bind(53, REAL);
await once(server, 'listening');
const sender = openSocket('left', { options: { vnetHeader: 1 } });

function request(partialChecksum) {
  const fields = { destination: VIP, destinationPort: 80, partialChecksum };
  const frame = wireFrame(32, fields);
  const bytes = new Uint8Array(10 + frame.length);
  bytes.set(frame, 10);
  if (partialChecksum) {
    const header = new DataView(bytes.buffer);
    header.setUint8(0, 1); // NEEDS_CSUM
    header.setUint16(6, L4, true); // csum_start
    header.setUint16(8, 6, true); // csum_offset: that of UDP
  }
  return bytes;
}

/** Changes address and port, and mends both checksums by the differences. */
function rewrite(frame, asPartial) {
  const [vip, real] = [parseIpv4(VIP), parseIpv4(REAL)];
  const addresses = checksum.difference32(vip, real);
  const ports = checksum.difference16(80, 53);
  frame.setInt32(L3 + 16, real);
  frame.setUint16(L4 + 2, 53);
  frame.setUint16(L3 + 10, checksum.apply(frame.getUint16(L3 + 10), addresses));
  const field = frame.getUint16(L4 + 6);
  const mended = asPartial
    ? checksum.applyPartial(field, addresses)
    : checksum.apply(field, addresses + ports);
  frame.setUint16(L4 + 6, mended);
}

async function outcome(isPartial, asPartial) {
  const bytes = request(isPartial);
  rewrite(new DataView(bytes.buffer, 10), asPartial);
  const before = counters();
  const arrival = Promise.race([
    once(server, 'message'),
    new Promise((end) => setTimeout(end, 300)),
  ]);
  send(sender, [bytes]);
  await arrival;
  const after = counters();
  if (after.bad > before.bad) return 'dropped: checksum error';
  return after.good > before.good ? 'accepted' : 'lost';
}

const rows = [];
for (const offload of ['on', 'off']) {
  execFileSync('ethtool', ['-K', 'left', 'tx', offload], { stdio: 'ignore' });
  for (const isPartial of [false, true]) {
    rows.push([
      `tx ${offload}`,
      isPartial ? 'partial' : 'finished',
      await outcome(isPartial, isPartial),
      await outcome(isPartial, !isPartial),
    ]);
  }
}
process.stdout.write(
  table([['left', 'checksum field', 'rewritten as such', 'rewritten as the other kind'], ...rows]),
);
server.close();

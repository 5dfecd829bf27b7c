// Shows a slot of a TPACKET_V2 ring: its header, where the frame lies and the virtio_net_hdr before
// it, whose the slot is, and that the same bytes can be sent where they lie.
import './private-wire.mjs';
import { bindTo, libc, map, openRing, openSocket, send, table } from './packet-sockets.mjs';
import { wireFrame } from './wire-frame.mjs';

const TPACKET_V2 = 1;
const VNET_HEADER_BYTES = 10;
/** struct tpacket_req: bytes of a block, blocks, bytes of a slot, slots. */
const REQUEST = [8192, 1, 2048, 4];

/** TP_STATUS_TS_SOFTWARE is set while any socket of the machine asks for time stamps, as ping's. */
const ALL_BUT_TIMESTAMPED = 0xdfff_ffff;

const frame = wireFrame(8);

function ringOn(name, reserveBytes) {
  const options = { version: TPACKET_V2, reserve: reserveBytes, vnetHeader: 1, ignoreOutgoing: 1 };
  const fd = openSocket(name, { options, bound: false });
  const { address, view } = openRing(fd, REQUEST);
  bindTo(fd, name);
  return { fd, address, slot: view };
}

const statusAt = (slot, offset) => slot.getUint32(offset, true) & ALL_BUT_TIMESTAMPED;

const sender = openSocket('left');
const NAMES = ['status', 'len', 'snaplen', 'mac', 'net', 'IPv4 header at'];
const columns = [0, 6].map((reserveBytes) => {
  const { fd, slot } = ringOn('right', reserveBytes);
  const before = statusAt(slot, 0);
  send(sender, [frame]);
  const mac = slot.getUint16(12, true);
  const l3 = mac + 14;
  const cells = [
    `${before} -> ${statusAt(slot, 0)}`,
    slot.getUint32(4, true),
    slot.getUint32(8, true),
    mac,
    slot.getUint16(14, true),
    `${l3}, ${l3 % 4 === 0 ? 'a multiple of 4' : `${l3 % 4} past a multiple of 4`}`,
  ];
  libc.close(fd);
  return cells;
});
const rows = NAMES.map((name, row) => [name, columns[0][row], columns[1][row]]);
console.log('--- the first slot, before and after a frame of', frame.length, 'bytes');
process.stdout.write(table([['PACKET_RESERVE', 0, 6], ...rows]));

console.log('--- six frames into a ring of 4 slots, none given back');
const ring = ringOn('right', 6);
for (let count = 0; count < 6; count++) send(sender, [frame]);
const statuses = () => [0, 1, 2, 3].map((slot) => statusAt(ring.slot, slot * 2048)).join(' ');
console.log('status words:', statuses());
ring.slot.setUint32(0, 0, true);
console.log('we write 0:  ', statuses());
send(sender, [frame]);
console.log('a 7th frame: ', statuses(), '  4 is TP_STATUS_LOSING: two found no slot');

console.log('--- the bytes of a slot, sent where they lie');
const mac = ring.slot.getUint16(12, true);
const echoed = openSocket('left', { options: { ignoreOutgoing: 1 } });
const out = map(4096);
out.view.setBigUint64(16, out.address + 64n, true);
out.view.setBigUint64(24, 1n, true);
out.view.setBigUint64(64, ring.address + BigInt(mac - VNET_HEADER_BYTES), true);
out.view.setUint32(72, VNET_HEADER_BYTES + frame.length, true);
console.log('sendmmsg took', libc.sendmmsg(ring.fd, out.address, 1, 0), 'frame');
const back = new Uint8Array(2048);
const bytes = libc.read(echoed, back, back.length);
const same = Buffer.compare(back.subarray(0, bytes), frame) === 0;
console.log(`${bytes} bytes came back to left, ${same ? 'the very ones sent' : 'others'}`);

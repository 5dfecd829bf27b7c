// Packet sockets for the notes: like those of src/linux/packet-socket-unsafe.ts, but with every
// option at choice, so that a note can show what happens without it. One frame at a time.
import { readFileSync } from 'node:fs';
import { int32Bytes, loadLibc } from '../dist/src/linux/libc-unsafe.js';

export const libc = loadLibc();

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;

const PACKET_RX_RING = 5;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE_ANONYMOUS = 0x22;

export const ETH_P_ALL = 0x0003;
export const ETH_P_IP = 0x0800;

/** Numbers of include/uapi/linux/if_packet.h. */
export const OPTION = {
  version: 10,
  reserve: 12,
  vnetHeader: 15,
  qdiscBypass: 20,
  ignoreOutgoing: 23,
};

/** A packet socket; `options` by the names of OPTION, set in the order given. */
export function openSocket(
  interfaceName,
  { protocol = ETH_P_ALL, options = {}, bound = true } = {},
) {
  const fd = libc.socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) fail('packet socket');
  for (const [name, value] of Object.entries(options))
    setOption(fd, OPTION[name], int32Bytes(value));
  if (bound) bindTo(fd, interfaceName, protocol);
  return fd;
}

export function bindTo(fd, interfaceName, protocol = ETH_P_ALL) {
  const address = new DataView(new ArrayBuffer(20));
  address.setUint16(0, AF_PACKET, true);
  address.setUint16(2, protocol, false);
  address.setInt32(
    4,
    Number(readFileSync(`/sys/class/net/${interfaceName}/ifindex`, 'utf8')),
    true,
  );
  if (libc.bind(fd, new Uint8Array(address.buffer), 20) !== 0) fail(`bind to ${interfaceName}`);
}

export function fail(what) {
  throw new Error(`${what}: ${libc.nameOf(libc.errno())}`);
}

/** Memory of our own, or that of a socket's ring: its address, and a DataView of it. */
export function map(bytes, fd = -1) {
  const flags = fd < 0 ? MAP_PRIVATE_ANONYMOUS : MAP_SHARED;
  const address = libc.mmap(null, bytes, PROT_READ_WRITE, flags, fd, 0);
  if (address === 0xffffffffffffffffn) fail(`mmap of ${bytes} bytes`);
  return { address, view: new DataView(libc.view(address, bytes)) };
}

/** Gives a socket a ring and maps it; `request` has the words of struct tpacket_req or _req3. */
export function openRing(fd, request) {
  setOption(fd, PACKET_RX_RING, new Uint8Array(Uint32Array.from(request).buffer));
  const [blockBytes, blocks] = request;
  return map(blockBytes * blocks, fd);
}

function setOption(fd, option, bytes) {
  if (libc.setsockopt(fd, SOL_PACKET, option, bytes, bytes.length) !== 0) {
    fail(`setsockopt ${option}`);
  }
}

/** Frames that came to the socket since the last call, read or not. */
export function takeCount(fd) {
  const value = new Uint8Array(8);
  libc.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, value, int32Bytes(8));
  return new DataView(value.buffer).getUint32(0, true);
}

/** Sends frames by one sendmmsg; returns how many the kernel took. */
export function send(fd, frames) {
  const messages = map(65_536 * 2);
  let at = 64 * 80;
  for (const [index, frame] of frames.entries()) {
    const iovec = 64 * 64 + index * 16;
    messages.view.setBigUint64(index * 64 + 16, messages.address + BigInt(iovec), true);
    messages.view.setBigUint64(index * 64 + 24, 1n, true);
    messages.view.setBigUint64(iovec, messages.address + BigInt(at), true);
    messages.view.setUint32(iovec + 8, frame.length, true);
    new Uint8Array(messages.view.buffer).set(frame, at);
    at += frame.length;
  }
  const sent = libc.sendmmsg(fd, messages.address, frames.length, 0);
  if (sent < 0) fail('sendmmsg');
  libc.munmap(messages.address, messages.view.byteLength);
  return sent;
}

/** Columns of text, the first row as a heading. */
export function table(rows) {
  const widths = rows[0].map((_, column) =>
    Math.max(...rows.map((row) => `${row[column]}`.length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => `${cell}`.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

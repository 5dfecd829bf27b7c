// Whole frames of SCTP for tests, with a CRC32c that is computed bit by bit from its polynomial
// (RFC 9260, appendix A): the director itself never computes one.
import { udpFrame } from '../../lab/frame.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';

const L3 = 14;
const L4 = 34;

export interface SctpFields {
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly timeToLive?: number;
  readonly tag?: number;
  readonly chunks: readonly Chunk[];
}

export interface Chunk {
  readonly type: number;
  readonly value?: Uint8Array;
}

/** The polynomial 0x1EDC6F41, its bits reversed. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** A common header and chunks, each padded to four bytes, with the checksum. */
export function sctpPacket(
  fields: Pick<SctpFields, 'sourcePort' | 'destinationPort' | 'tag' | 'chunks'>,
) {
  const { sourcePort, destinationPort, tag = 0, chunks } = fields;
  const sizes = chunks.map(({ value }) => 4 + (value?.length ?? 0));
  const bytes = sizes.reduce((sum, size) => sum + ((size + 3) & ~3), 12);
  const view = new DataView(new ArrayBuffer(bytes));
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  view.setUint32(4, tag);
  let at = 12;
  for (const [index, { type, value = new Uint8Array(0) }] of chunks.entries()) {
    view.setUint8(at, type);
    view.setUint16(at + 2, sizes[index]!);
    new Uint8Array(view.buffer).set(value, at + 4);
    at += (sizes[index]! + 3) & ~3;
  }
  const packet = new Uint8Array(view.buffer);
  // The checksum is sent with its lowest byte first.
  view.setUint32(8, crc32c(packet), true);
  return packet;
}

export function sctpFrame(fields: SctpFields): Uint8Array<ArrayBuffer> {
  const packet = sctpPacket(fields);
  const { sourceMac, destinationMac, source, destination, timeToLive = 64 } = fields;
  const ports = { sourcePort: 0, destinationPort: 0, payload: packet.subarray(8) };
  const frame = udpFrame({
    ...{ sourceMac, destinationMac, source, destination, timeToLive, ...ports },
  });
  frame.set(packet, L4);
  const view = new DataView(frame.buffer);
  view.setUint8(L3 + 9, ipv4.PROTOCOL_SCTP);
  view.setUint16(L3 + 10, 0);
  let sum = 0;
  for (let word = 0; word < 20; word += 2) sum += view.getUint16(L3 + word);
  view.setUint16(L3 + 10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
  return frame;
}

/** True if the CRC32c of a frame's packet is right; the rest of the frame is not looked at. */
export function hasGoodCrc(frame: Uint8Array, l4 = L4): boolean {
  const packet = frame.slice(l4);
  const view = new DataView(packet.buffer);
  const found = view.getUint32(8, true);
  view.setUint32(8, 0);
  return crc32c(packet) === found;
}

// The UDP header (RFC 768). A checksum of 0 means that the sender made none: it stays 0 whatever
// changes, and a checksum that comes out as 0 is written as 0xffff, which is the same number in
// one's complement. No accessor leaves a datagram that `check` called good.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |          Source Port          |       Destination Port        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |            Length             |           Checksum            |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  data octets ...
//   +-+-+-+-+-+-+-+-+-
import { copyIn, copyOut } from './bytes.ts';
import * as sums from './checksum.ts';
import { DROP } from './drop-reason.ts';

const TRUNCATED = DROP['udp-truncated'];
const BAD_LENGTH = DROP['udp-length'];
const PROTOCOL = 17;

export const HEADER_BYTES = 8;
/** Where the checksum lies in the header. */
export const CHECKSUM_OFFSET = 6;

/** A datagram as a plain object. */
export interface Datagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** @returns 0 if the datagram lies within the packet, else the number of a drop reason */
export function check(frame: DataView, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return TRUNCATED;
  const length = lengthBytes(frame, at);
  return length < HEADER_BYTES || length > end - at ? BAD_LENGTH : 0;
}

export function sourcePort(frame: DataView, at: number): number {
  return frame.getUint16(at);
}

export function destinationPort(frame: DataView, at: number): number {
  return frame.getUint16(at + 2);
}

/** Bytes of header and data. */
export function lengthBytes(frame: DataView, at: number): number {
  return frame.getUint16(at + 4);
}

export function checksum(frame: DataView, at: number): number {
  return frame.getUint16(at + CHECKSUM_OFFSET);
}

export function setChecksum(frame: DataView, at: number, value: number): void {
  frame.setUint16(at + CHECKSUM_OFFSET, value);
}

/** Mends a finished checksum after a change of ports or of the pseudo-header's addresses. */
export function adjustChecksum(frame: DataView, at: number, delta: number): void {
  const before = checksum(frame, at);
  if (before === 0) return;
  const after = sums.apply(before, delta);
  setChecksum(frame, at, after === 0 ? 0xffff : after);
}

/** Takes apart a datagram that passed `check`. */
export function parse(frame: DataView, at: number): Datagram {
  return {
    sourcePort: sourcePort(frame, at),
    destinationPort: destinationPort(frame, at),
    payload: copyOut(frame, at + HEADER_BYTES, at + lengthBytes(frame, at)),
  };
}

/**
 * Writes a datagram between these IPv4 addresses (int32) with its checksum.
 * @returns its bytes, payload included
 */
export function emit(
  frame: DataView,
  at: number,
  datagram: Datagram,
  addresses: { readonly source: number; readonly destination: number },
): number {
  const bytes = HEADER_BYTES + datagram.payload.length;
  frame.setUint16(at, datagram.sourcePort);
  frame.setUint16(at + 2, datagram.destinationPort);
  frame.setUint16(at + 4, bytes);
  setChecksum(frame, at, 0);
  copyIn(frame, at + HEADER_BYTES, datagram.payload);
  const seed = sums.pseudoHeader(addresses.source, addresses.destination, PROTOCOL, bytes);
  const value = sums.finish(sums.sum(frame, at, at + bytes, seed));
  setChecksum(frame, at, value === 0 ? 0xffff : value);
  return bytes;
}

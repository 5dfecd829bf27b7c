// The TCP header (RFC 9293, 3.1). `end` is the end of the IP packet, for Ethernet may pad beyond
// it. Setters of ports keep the checksum right by the difference they make; a partial checksum
// knows no ports, so for such a segment the director writes the ports itself. No accessor leaves a
// segment that `check` called good.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |          Source Port          |       Destination Port        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                        Sequence Number                        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                    Acknowledgment Number                      |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  Data |       |C|E|U|A|P|R|S|F|                               |
//   | Offset| Rsrvd |W|C|R|C|S|S|Y|I|            Window             |
//   |       |       |R|E|G|K|H|T|N|N|                               |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |           Checksum            |         Urgent Pointer        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                           [Options]                           |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { copyIn, copyOut } from './bytes.ts';
import * as sums from './checksum.ts';
import { DROP } from './drop-reason.ts';

const TRUNCATED = DROP['tcp-truncated'];
const BAD_DATA_OFFSET = DROP['tcp-data-offset'];
const PROTOCOL = 6;

/** Bytes of a header without options. */
export const HEADER_BYTES = 20;
/** Where the checksum lies in the header. */
export const CHECKSUM_OFFSET = 16;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const CWR = 0x80;
export const ACK = 0x10;

/** A segment as a plain object. */
export interface Segment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** uint32, as are acknowledgment numbers. */
  readonly sequence: number;
  readonly acknowledgment: number;
  /** The eight bits from CWR to FIN. */
  readonly flags: number;
  readonly window: number;
  readonly urgentPointer: number;
  /** A multiple of 4 bytes, at most 40. */
  readonly options: Uint8Array;
  readonly payload: Uint8Array;
}

/** @returns 0 if the header lies within the packet, else the number of a drop reason */
export function check(frame: DataView, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return TRUNCATED;
  const header = dataOffsetBytes(frame, at);
  return header < HEADER_BYTES || header > end - at ? BAD_DATA_OFFSET : 0;
}

export function sourcePort(frame: DataView, at: number): number {
  return frame.getUint16(at);
}

export function destinationPort(frame: DataView, at: number): number {
  return frame.getUint16(at + 2);
}

/** The sequence number, uint32. */
export function sequence(frame: DataView, at: number): number {
  return frame.getUint32(at + 4);
}

/** The acknowledgment number, uint32. */
export function acknowledgment(frame: DataView, at: number): number {
  return frame.getUint32(at + 8);
}

/** Bytes of the header with its options. */
export function dataOffsetBytes(frame: DataView, at: number): number {
  return (frame.getUint8(at + 12) >>> 4) << 2;
}

/** The eight bits from CWR to FIN. */
export function flags(frame: DataView, at: number): number {
  return frame.getUint8(at + 13);
}

export function window(frame: DataView, at: number): number {
  return frame.getUint16(at + 14);
}

export function checksum(frame: DataView, at: number): number {
  return frame.getUint16(at + CHECKSUM_OFFSET);
}

export function setChecksum(frame: DataView, at: number, value: number): void {
  frame.setUint16(at + CHECKSUM_OFFSET, value);
}

/** Mends a finished checksum after a change of ports or of the pseudo-header's addresses. */
export function adjustChecksum(frame: DataView, at: number, delta: number): void {
  setChecksum(frame, at, sums.apply(checksum(frame, at), delta));
}

/** Takes apart a segment that passed `check`. */
export function parse(frame: DataView, at: number, end: number): Segment {
  const payloadAt = at + dataOffsetBytes(frame, at);
  return {
    sourcePort: sourcePort(frame, at),
    destinationPort: destinationPort(frame, at),
    sequence: sequence(frame, at),
    acknowledgment: acknowledgment(frame, at),
    flags: flags(frame, at),
    window: window(frame, at),
    urgentPointer: frame.getUint16(at + 18),
    options: copyOut(frame, at + HEADER_BYTES, payloadAt),
    payload: copyOut(frame, payloadAt, end),
  };
}

/**
 * Writes a segment between these IPv4 addresses (int32) with its checksum.
 * @returns its bytes, payload included
 */
export function emit(
  frame: DataView,
  at: number,
  segment: Segment,
  addresses: { readonly source: number; readonly destination: number },
): number {
  const header = HEADER_BYTES + segment.options.length;
  const bytes = header + segment.payload.length;
  frame.setUint16(at, segment.sourcePort);
  frame.setUint16(at + 2, segment.destinationPort);
  frame.setUint32(at + 4, segment.sequence);
  frame.setUint32(at + 8, segment.acknowledgment);
  frame.setUint8(at + 12, header << 2);
  frame.setUint8(at + 13, segment.flags);
  frame.setUint16(at + 14, segment.window);
  setChecksum(frame, at, 0);
  frame.setUint16(at + 18, segment.urgentPointer);
  copyIn(frame, at + HEADER_BYTES, segment.options);
  copyIn(frame, at + header, segment.payload);
  const seed = sums.pseudoHeader(addresses.source, addresses.destination, PROTOCOL, bytes);
  setChecksum(frame, at, sums.finish(sums.sum(frame, at, at + bytes, seed)));
  return bytes;
}

// The IPv4 header (RFC 791). Setters keep the header checksum right by the difference they make, so
// a header that came in wrong goes out wrong: no error is healed in passing. No accessor leaves a
// packet that `check` called good.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |Version|  IHL  |Type of Service|          Total Length         |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |         Identification        |Flags|      Fragment Offset    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  Time to Live |    Protocol   |         Header Checksum       |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                       Source Address                          |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                    Destination Address                        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                    Options                    |    Padding    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { copyIn, copyOut } from './bytes.ts';
import * as checksum from './checksum.ts';
import { DROP } from './drop-reason.ts';

const TRUNCATED = DROP['ipv4-truncated'];
const BAD_VERSION = DROP['ipv4-version'];
const BAD_HEADER_LENGTH = DROP['ipv4-header-length'];
const BAD_TOTAL_LENGTH = DROP['ipv4-total-length'];

/** Bytes of a header without options. */
export const HEADER_BYTES = 20;

// Protocol numbers (IANA).
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_SCTP = 132;

/** True for the protocols that begin with two ports, of the source and of the destination. */
export const hasPorts = (protocol: number): boolean =>
  protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP || protocol === PROTOCOL_SCTP;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;

/** A header as a plain object; addresses are int32. */
export interface Header {
  readonly typeOfService: number;
  readonly identification: number;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** A multiple of 8. */
  readonly fragmentOffsetBytes: number;
  readonly timeToLive: number;
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  /** A multiple of 4 bytes, at most 40. */
  readonly options: Uint8Array;
  /** Bytes that follow the header. */
  readonly payloadBytes: number;
}

/**
 * Checks that header and packet lie within the frame; the checksum is a matter of its own.
 * @returns 0 if the header is good, else the number of a drop reason
 */
export function check(frame: DataView, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return TRUNCATED;
  if (frame.getUint8(at) >>> 4 !== 4) return BAD_VERSION;
  const header = headerBytes(frame, at);
  if (header < HEADER_BYTES || header > end - at) return BAD_HEADER_LENGTH;
  const total = totalBytes(frame, at);
  return total < header || total > end - at ? BAD_TOTAL_LENGTH : 0;
}

/** Bytes of the header with its options. */
export function headerBytes(frame: DataView, at: number): number {
  return (frame.getUint8(at) & 0x0f) << 2;
}

/** Bytes of the whole packet; what follows them in the frame is Ethernet padding. */
export function totalBytes(frame: DataView, at: number): number {
  return frame.getUint16(at + 2);
}

export function identification(frame: DataView, at: number): number {
  return frame.getUint16(at + 4);
}

/** The flags and the fragment offset in one word. */
export function fragmentField(frame: DataView, at: number): number {
  return frame.getUint16(at + 6);
}

/** Whether this is a part of a packet: it has an offset, or more parts follow. */
export function isFragment(frame: DataView, at: number): boolean {
  return (fragmentField(frame, at) & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) !== 0;
}

export function dontFragment(frame: DataView, at: number): boolean {
  return (fragmentField(frame, at) & DONT_FRAGMENT) !== 0;
}

export function timeToLive(frame: DataView, at: number): number {
  return frame.getUint8(at + 8);
}

export function protocol(frame: DataView, at: number): number {
  return frame.getUint8(at + 9);
}

export function headerChecksum(frame: DataView, at: number): number {
  return frame.getUint16(at + 10);
}

export function source(frame: DataView, at: number): number {
  return frame.getInt32(at + 12);
}

export function destination(frame: DataView, at: number): number {
  return frame.getInt32(at + 16);
}

/** Whether the header sums up to minus zero, as RFC 1071 wants of a good one. */
export function hasGoodChecksum(frame: DataView, at: number): boolean {
  return checksum.sum(frame, at, at + headerBytes(frame, at)) === 0xffff;
}

/** Sets the source address (int32) and mends the header checksum. */
export function setSource(frame: DataView, at: number, address: number): void {
  setAddress(frame, at, at + 12, address);
}

/** Sets the destination address (int32) and mends the header checksum. */
export function setDestination(frame: DataView, at: number, address: number): void {
  setAddress(frame, at, at + 16, address);
}

function setAddress(frame: DataView, at: number, field: number, address: number): void {
  const delta = checksum.difference32(frame.getInt32(field), address);
  frame.setInt32(field, address);
  frame.setUint16(at + 10, checksum.apply(headerChecksum(frame, at), delta));
}

/** Sets the TTL and mends the header checksum. */
export function setTimeToLive(frame: DataView, at: number, value: number): void {
  const before = frame.getUint16(at + 8);
  const after = (value << 8) | (before & 0xff);
  frame.setUint16(at + 8, after);
  const delta = checksum.difference16(before, after);
  frame.setUint16(at + 10, checksum.apply(headerChecksum(frame, at), delta));
}

/** Takes one from a TTL above 0 and mends the header checksum. @returns the new TTL */
export function decrementTimeToLive(frame: DataView, at: number): number {
  const lower = timeToLive(frame, at) - 1;
  setTimeToLive(frame, at, lower);
  return lower;
}

/** Takes apart a header that passed `check`. */
export function parse(frame: DataView, at: number): Header {
  const field = fragmentField(frame, at);
  const header = headerBytes(frame, at);
  return {
    typeOfService: frame.getUint8(at + 1),
    identification: identification(frame, at),
    dontFragment: (field & DONT_FRAGMENT) !== 0,
    moreFragments: (field & MORE_FRAGMENTS) !== 0,
    fragmentOffsetBytes: (field & FRAGMENT_OFFSET) * 8,
    timeToLive: timeToLive(frame, at),
    protocol: protocol(frame, at),
    source: source(frame, at),
    destination: destination(frame, at),
    options: copyOut(frame, at + HEADER_BYTES, at + header),
    payloadBytes: totalBytes(frame, at) - header,
  };
}

/** Writes a header with its checksum. @returns its bytes, options included */
export function emit(frame: DataView, at: number, header: Header): number {
  const bytes = HEADER_BYTES + header.options.length;
  const flags =
    (header.dontFragment ? DONT_FRAGMENT : 0) | (header.moreFragments ? MORE_FRAGMENTS : 0);
  frame.setUint8(at, 0x40 | (bytes >>> 2));
  frame.setUint8(at + 1, header.typeOfService);
  frame.setUint16(at + 2, bytes + header.payloadBytes);
  frame.setUint16(at + 4, header.identification);
  frame.setUint16(at + 6, flags | (header.fragmentOffsetBytes >>> 3));
  frame.setUint8(at + 8, header.timeToLive);
  frame.setUint8(at + 9, header.protocol);
  frame.setUint16(at + 10, 0);
  frame.setInt32(at + 12, header.source);
  frame.setInt32(at + 16, header.destination);
  copyIn(frame, at + HEADER_BYTES, header.options);
  frame.setUint16(at + 10, checksum.finish(checksum.sum(frame, at, at + bytes)));
  return bytes;
}

// The IPv6 header (RFC 8200, 3) and the extension headers behind it (4). There is no header
// checksum: what changes here changes the sums of TCP, UDP and ICMPv6, whose callers mend them. An
// address is four words in the frame; it is copied from and compared with words of an array.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |Version| Traffic Class |              Flow Label               |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |         Payload Length        |  Next Header  |   Hop Limit   |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Source Address (four words), Destination Address (four) ...
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
import type { Ipv6 } from './address.ts';
import * as checksum from './checksum.ts';
import { DROP } from './drop-reason.ts';

const TRUNCATED = DROP['ipv6-truncated'];
const BAD_VERSION = DROP['ipv6-version'];
const BAD_LENGTH = DROP['ipv6-length'];

export const HEADER_BYTES = 40;
/** Every network takes packets of so many bytes (RFC 8200, 5). */
export const MINIMUM_MTU = 1280;
/** Where the addresses lie in the header. */
export const SOURCE_OFFSET = 8;
export const DESTINATION_OFFSET = 24;

// Protocol numbers (IANA) that only IPv6 has.
const HOP_BY_HOP = 0;
const ROUTING = 43;
export const FRAGMENT = 44;
const AUTHENTICATION = 51;
export const PROTOCOL_ICMPV6 = 58;
const DESTINATION_OPTIONS = 60;

export const FRAGMENT_HEADER_BYTES = 8;
const MORE_FRAGMENTS = 1;
const FRAGMENT_OFFSET = 0xfff8;

/** No honest packet has more extension headers than that; each is looked at. */
const MOST_EXTENSIONS = 8;
/** From findUpper: headers that leave the packet, or too many of them. */
export const BROKEN = -1;

/** A header as a plain object. */
export interface Header {
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly payloadBytes: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  readonly source: Ipv6;
  readonly destination: Ipv6;
}

/**
 * Checks that header and packet lie within the frame. A jumbogram (RFC 2675) has a length of 0 and
 * is refused, for no network here carries one.
 * @returns 0 if the header is good, else the number of a drop reason
 */
export function check(frame: DataView, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return TRUNCATED;
  if (frame.getUint8(at) >>> 4 !== 6) return BAD_VERSION;
  if (totalBytes(frame, at) > end - at) return BAD_LENGTH;
  return payloadBytes(frame, at) === 0 && nextHeader(frame, at) === HOP_BY_HOP ? BAD_LENGTH : 0;
}

/** Whether an IP packet is one of IPv6, of which at least a byte is there. */
export const isAt = (frame: DataView, at: number): boolean => frame.getUint8(at) >>> 4 === 6;

/** Bytes behind this header, extension headers included. */
export function payloadBytes(frame: DataView, at: number): number {
  return frame.getUint16(at + 4);
}

/** Bytes of the whole packet; what follows them in the frame is Ethernet padding. */
export function totalBytes(frame: DataView, at: number): number {
  return HEADER_BYTES + payloadBytes(frame, at);
}

export function nextHeader(frame: DataView, at: number): number {
  return frame.getUint8(at + 6);
}

export function hopLimit(frame: DataView, at: number): number {
  return frame.getUint8(at + 7);
}

export function setHopLimit(frame: DataView, at: number, value: number): void {
  frame.setUint8(at + 7, value);
}

/** Word `index`, 0 to 3, of the address at this offset of the frame. */
export function word(frame: DataView, address: number, index: number): number {
  return frame.getInt32(address + index * 4);
}

/** The four words of an address as one, by XOR: how IPVS hashes a client of IPv6. */
export function fold(frame: DataView, address: number): number {
  let folded = 0;
  for (let index = 0; index < 4; index++) folded ^= word(frame, address, index);
  return folded;
}

/** Writes an address: four of `words`, from `from` on. */
export function setAddress(frame: DataView, at: number, words: ArrayLike<number>, from = 0): void {
  for (let index = 0; index < 4; index++) {
    frame.setInt32(at + index * 4, words[from + index] as number);
  }
}

/** Whether the address in the frame is these four words. */
export function isAddress(frame: DataView, at: number, words: ArrayLike<number>, from = 0) {
  for (let index = 0; index < 4; index++) {
    if (word(frame, at, index) !== words[from + index]) return false;
  }
  return true;
}

/** The address in the frame as a plain object, for what is rare. */
export function addressAt(frame: DataView, at: number): Ipv6 {
  return [word(frame, at, 0), word(frame, at, 1), word(frame, at, 2), word(frame, at, 3)];
}

/** True for ff00::/8, which is nobody's own address. */
export const isMulticast = (frame: DataView, address: number): boolean =>
  frame.getUint8(address) === 0xff;

/** True for `::`, of one who has no address yet. */
export const isUnspecified = (frame: DataView, address: number): boolean =>
  (word(frame, address, 0) |
    word(frame, address, 1) |
    word(frame, address, 2) |
    word(frame, address, 3)) ===
  0;

/** True for fe80::/10, which no router sends on. */
export const isLinkLocal = (frame: DataView, address: number): boolean =>
  (frame.getUint16(address) & 0xffc0) === 0xfe80;

/** The sum of the pseudo-header (RFC 8200, 8.1) of the packet whose header is at `at`. */
export function pseudoHeader(frame: DataView, at: number, protocol: number, lengthBytes: number) {
  const addresses = checksum.sum(frame, at + SOURCE_OFFSET, at + HEADER_BYTES);
  return checksum.fold(addresses + protocol + lengthBytes);
}

/**
 * Looks through extension headers (RFC 8200, 4) for the header that the packet is about. It stops
 * at a Fragment header, unless that one is of a whole packet (RFC 6946), and at a Routing header
 * that leads on to somewhere else.
 * @param from offset of the first header to look at, whose number is `next`
 * @returns (its offset - `at`) << 8 | its number; or BROKEN
 */
export function findUpper(
  frame: DataView,
  at: number,
  from: number,
  next: number,
  end: number,
): number {
  let offset = from;
  let kind = next;
  for (let count = 0; count <= MOST_EXTENSIONS; count++) {
    const bytes = extensionBytes(frame, offset, kind, end);
    if (bytes < 0) return BROKEN;
    if (bytes === 0) return ((offset - at) << 8) | kind;
    kind = frame.getUint8(offset);
    offset += bytes;
  }
  return BROKEN;
}

/** Bytes of an extension header to be skipped, 0 for any other header, BROKEN if it leaves. */
function extensionBytes(frame: DataView, at: number, kind: number, end: number): number {
  const isKnown =
    kind === HOP_BY_HOP ||
    kind === ROUTING ||
    kind === FRAGMENT ||
    kind === AUTHENTICATION ||
    kind === DESTINATION_OPTIONS;
  if (!isKnown) return 0;
  if (end - at < 8) return BROKEN;
  if (kind === FRAGMENT) return isWhole(frame, at) ? FRAGMENT_HEADER_BYTES : 0;
  if (kind === ROUTING && frame.getUint8(at + 3) !== 0) return 0;
  const length = frame.getUint8(at + 1);
  const bytes = kind === AUTHENTICATION ? (length + 2) << 2 : (length + 1) << 3;
  return bytes < 8 || bytes > end - at ? BROKEN : bytes;
}

/** Whether a Fragment header says that there is nothing else. */
const isWhole = (frame: DataView, at: number): boolean =>
  (frame.getUint16(at + 2) & (FRAGMENT_OFFSET | MORE_FRAGMENTS)) === 0;

// Of a Fragment header (RFC 8200, 4.5).

export const fragmentOffsetBytes = (frame: DataView, at: number): number =>
  frame.getUint16(at + 2) & FRAGMENT_OFFSET;

export const hasMoreFragments = (frame: DataView, at: number): boolean =>
  (frame.getUint16(at + 2) & MORE_FRAGMENTS) !== 0;

/** The identification, int32. */
export const identification = (frame: DataView, at: number): number => frame.getInt32(at + 4);

/** Takes apart a header that passed `check`. */
export function parse(frame: DataView, at: number): Header {
  const first = frame.getUint32(at);
  return {
    trafficClass: (first >>> 20) & 0xff,
    flowLabel: first & 0xfffff,
    payloadBytes: payloadBytes(frame, at),
    nextHeader: nextHeader(frame, at),
    hopLimit: hopLimit(frame, at),
    source: addressAt(frame, at + SOURCE_OFFSET),
    destination: addressAt(frame, at + DESTINATION_OFFSET),
  };
}

/** Writes a header. @returns its bytes */
export function emit(frame: DataView, at: number, header: Header): number {
  frame.setUint32(at, ((6 << 28) | (header.trafficClass << 20) | header.flowLabel) >>> 0);
  frame.setUint16(at + 4, header.payloadBytes);
  frame.setUint8(at + 6, header.nextHeader);
  frame.setUint8(at + 7, header.hopLimit);
  setAddress(frame, at + SOURCE_OFFSET, header.source);
  setAddress(frame, at + DESTINATION_OFFSET, header.destination);
  return HEADER_BYTES;
}

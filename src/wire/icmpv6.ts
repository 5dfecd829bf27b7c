// The ICMPv6 header (RFC 4443, 2.1). Errors quote as much of the packet that they speak of as fits
// into the smallest MTU; the checksum covers a pseudo-header, so it needs the IPv6 header before.
// `l3` is the offset of that header, `at` that of the message, `end` the end of the packet.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Type      |     Code      |          Checksum             |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  Identifier and Sequence Number; the MTU; or 0                |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Data, or the quoted packet ...
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
import { copyIn } from './bytes.ts';
import * as sums from './checksum.ts';
import { DROP } from './drop-reason.ts';
import { PROTOCOL_ICMPV6, pseudoHeader } from './ipv6.ts';

const TRUNCATED = DROP['icmp-truncated'];

export const HEADER_BYTES = 8;
export const CHECKSUM_OFFSET = 2;

// ICMPv6 type numbers (IANA); below 128 are errors.
export const DESTINATION_UNREACHABLE = 1;
export const PACKET_TOO_BIG = 2;
export const TIME_EXCEEDED = 3;
export const PARAMETER_PROBLEM = 4;
export const ECHO_REQUEST = 128;
export const ECHO_REPLY = 129;
export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;

/** Code of DESTINATION_UNREACHABLE: nobody at the port. */
export const PORT_UNREACHABLE = 4;

/** A message as a plain object. */
export interface Message {
  readonly type: number;
  /** 0. */
  readonly code?: number;
  /** The second word: the MTU, or identifier << 16 | sequence number. */
  readonly word: number;
  readonly data: Uint8Array;
}

/** @returns 0 if the header is whole, else the number of a drop reason */
export function check(_frame: DataView, at: number, end: number): number {
  return end - at < HEADER_BYTES ? TRUNCATED : 0;
}

export function type(frame: DataView, at: number): number {
  return frame.getUint8(at);
}

export function code(frame: DataView, at: number): number {
  return frame.getUint8(at + 1);
}

/** Of PACKET_TOO_BIG: the largest packet that gets through. */
export function mtu(frame: DataView, at: number): number {
  return frame.getUint32(at + 4);
}

export function isError(messageType: number): boolean {
  return messageType >= DESTINATION_UNREACHABLE && messageType <= PARAMETER_PROBLEM;
}

const sum = (frame: DataView, l3: number, at: number, end: number): number =>
  sums.sum(frame, at, end, pseudoHeader(frame, l3, PROTOCOL_ICMPV6, end - at));

export function hasGoodChecksum(frame: DataView, l3: number, at: number, end: number): boolean {
  return sum(frame, l3, at, end) === 0xffff;
}

/** Writes the checksum of a message anew. */
export function refreshChecksum(frame: DataView, l3: number, at: number, end: number): void {
  frame.setUint16(at + CHECKSUM_OFFSET, 0);
  frame.setUint16(at + CHECKSUM_OFFSET, sums.finish(sum(frame, l3, at, end)));
}

/** Sets the type and mends the checksum. */
export function setType(frame: DataView, at: number, value: number): void {
  const before = frame.getUint16(at);
  const after = (value << 8) | (before & 0xff);
  frame.setUint16(at, after);
  const field = frame.getUint16(at + CHECKSUM_OFFSET);
  frame.setUint16(at + CHECKSUM_OFFSET, sums.apply(field, sums.difference16(before, after)));
}

/** Writes a message with its checksum, behind an IPv6 header at `l3`. @returns its bytes */
export function emit(frame: DataView, l3: number, at: number, message: Message): number {
  const bytes = HEADER_BYTES + message.data.length;
  frame.setUint16(at, (message.type << 8) | (message.code ?? 0));
  frame.setUint32(at + 4, message.word >>> 0);
  copyIn(frame, at + HEADER_BYTES, message.data);
  refreshChecksum(frame, l3, at, at + bytes);
  return bytes;
}

// The ICMP header (RFC 792). Echo messages carry an identifier and a sequence number; errors carry
// the packet that they speak of, at least its IP header and eight bytes more, and where that packet
// was too long, the MTU that it met (RFC 1191, 4). The director turns an echo request to a VIP into
// its reply in place. No accessor leaves a message that `check` called good.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Type      |     Code      |          Checksum             |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |   Identifier, or 0 in errors  |  Sequence Number, or the MTU  |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Data, or the quoted packet ...
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
import { copyIn, copyOut } from './bytes.ts';
import * as sums from './checksum.ts';
import { DROP } from './drop-reason.ts';

const TRUNCATED = DROP['icmp-truncated'];

export const HEADER_BYTES = 8;
/** Where the checksum lies in the header. */
export const CHECKSUM_OFFSET = 2;

// ICMP type numbers (IANA).
export const ECHO_REPLY = 0;
export const DESTINATION_UNREACHABLE = 3;
export const ECHO_REQUEST = 8;
export const TIME_EXCEEDED = 11;
export const PARAMETER_PROBLEM = 12;

/** Codes of DESTINATION_UNREACHABLE: nobody at the port; too long, and not to be cut. */
export const PORT_UNREACHABLE = 3;
export const FRAGMENTATION_NEEDED = 4;

/** An echo request or reply as a plain object. */
export interface Echo {
  readonly type: number;
  readonly identifier: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** An error as a plain object. */
export interface ErrorMessage {
  readonly type: number;
  readonly code: number;
  /** Largest packet that gets through, in bytes; 0 unless it is FRAGMENTATION_NEEDED. */
  readonly nextHopMtu: number;
  /** The packet that it speaks of, or the beginning of it. */
  readonly quote: Uint8Array;
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

export function checksum(frame: DataView, at: number): number {
  return frame.getUint16(at + CHECKSUM_OFFSET);
}

/** Of an echo message. */
export function identifier(frame: DataView, at: number): number {
  return frame.getUint16(at + 4);
}

/** Of an echo message. */
export function sequence(frame: DataView, at: number): number {
  return frame.getUint16(at + 6);
}

/** Of an error with the code FRAGMENTATION_NEEDED; 0 from routers that are older than RFC 1191. */
export function nextHopMtu(frame: DataView, at: number): number {
  return frame.getUint16(at + 6);
}

/**
 * True for the errors of RFC 1122, 3.2.2, that a sender still heeds: not source quench (RFC 6633),
 * and not redirects, which are between a host and its own router.
 */
export function isError(messageType: number): boolean {
  return (
    messageType === DESTINATION_UNREACHABLE ||
    messageType === TIME_EXCEEDED ||
    messageType === PARAMETER_PROBLEM
  );
}

/** Whether a message up to `end`, the end of the IP packet, sums up to minus zero. */
export function hasGoodChecksum(frame: DataView, at: number, end: number): boolean {
  return sums.sum(frame, at, end) === 0xffff;
}

/** Writes the checksum of a message up to `end` anew. */
export function refreshChecksum(frame: DataView, at: number, end: number): void {
  frame.setUint16(at + CHECKSUM_OFFSET, 0);
  frame.setUint16(at + CHECKSUM_OFFSET, sums.finish(sums.sum(frame, at, end)));
}

/** Sets the type and mends the checksum. */
export function setType(frame: DataView, at: number, value: number): void {
  const before = frame.getUint16(at);
  const after = (value << 8) | (before & 0xff);
  frame.setUint16(at, after);
  const delta = sums.difference16(before, after);
  // Of nothing but zeros it is 0xffff, which RFC 1624 does not give, and good for all others too.
  frame.setUint16(at + CHECKSUM_OFFSET, sums.apply(checksum(frame, at), delta) || 0xffff);
}

/** Takes apart an echo message that passed `check`; `end` is the end of the IP packet. */
export function parse(frame: DataView, at: number, end: number): Echo {
  return {
    type: type(frame, at),
    identifier: identifier(frame, at),
    sequence: sequence(frame, at),
    payload: copyOut(frame, at + HEADER_BYTES, end),
  };
}

/** Writes an echo message with its checksum. @returns its bytes, payload included */
export function emit(frame: DataView, at: number, echo: Echo): number {
  const bytes = HEADER_BYTES + echo.payload.length;
  frame.setUint16(at, echo.type << 8);
  frame.setUint16(at + 4, echo.identifier);
  frame.setUint16(at + 6, echo.sequence);
  copyIn(frame, at + HEADER_BYTES, echo.payload);
  refreshChecksum(frame, at, at + bytes);
  return bytes;
}

/** Writes an error with its checksum. @returns its bytes, the quoted packet included */
export function emitError(frame: DataView, at: number, error: ErrorMessage): number {
  const bytes = HEADER_BYTES + error.quote.length;
  frame.setUint16(at, (error.type << 8) | error.code);
  frame.setUint16(at + 4, 0);
  frame.setUint16(at + 6, error.nextHopMtu);
  copyIn(frame, at + HEADER_BYTES, error.quote);
  refreshChecksum(frame, at, at + bytes);
  return bytes;
}

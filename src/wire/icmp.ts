// The ICMP header (RFC 792), with the identifier and sequence number that echo messages carry. The
// director turns an echo request to a VIP into its reply in place. No accessor leaves a message
// that `check` called good.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Type      |     Code      |          Checksum             |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |           Identifier          |        Sequence Number        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Data ...
//   +-+-+-+-+-+-+-
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

/** An echo request or reply as a plain object. */
export interface Echo {
  readonly type: number;
  readonly identifier: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
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

/** Sets the type and mends the checksum. */
export function setType(frame: DataView, at: number, value: number): void {
  const before = frame.getUint16(at);
  const after = (value << 8) | (before & 0xff);
  frame.setUint16(at, after);
  const delta = sums.difference16(before, after);
  frame.setUint16(at + CHECKSUM_OFFSET, sums.apply(checksum(frame, at), delta));
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
  frame.setUint16(at + CHECKSUM_OFFSET, 0);
  frame.setUint16(at + 4, echo.identifier);
  frame.setUint16(at + 6, echo.sequence);
  copyIn(frame, at + HEADER_BYTES, echo.payload);
  frame.setUint16(at + CHECKSUM_OFFSET, sums.finish(sums.sum(frame, at, at + bytes)));
  return bytes;
}

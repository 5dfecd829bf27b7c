// The SCTP common header and the head of the first chunk (RFC 9260, 3.1 and 3.2). The checksum, a
// CRC32c, covers ports and data but no addresses: a director that changes addresses alone leaves
// it, and the verification tag, as they are. No accessor leaves a packet that `check` called good.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |      Source Port Number        |    Destination Port Number    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                       Verification Tag                        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                           Checksum                            |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  Chunk Type   |  Chunk Flags  |         Chunk Length          |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { DROP } from './drop-reason.ts';

const TRUNCATED = DROP['sctp-truncated'];
const BAD_CHUNK = DROP['sctp-chunk-length'];

export const HEADER_BYTES = 12;
export const CHUNK_HEADER_BYTES = 4;

// Chunk types (IANA, "Chunk Types" of SCTP).
export const DATA = 0;
export const INIT = 1;
export const INIT_ACK = 2;
export const ABORT = 6;
export const SHUTDOWN = 7;
export const SHUTDOWN_ACK = 8;
export const ERROR = 9;
export const COOKIE_ECHO = 10;
export const COOKIE_ACK = 11;
export const SHUTDOWN_COMPLETE = 14;

/**
 * @param end of the IP packet
 * @returns 0 if the header and its first chunk lie within the packet, else a drop reason's number
 */
export function check(frame: DataView, at: number, end: number): number {
  if (end - at < HEADER_BYTES + CHUNK_HEADER_BYTES) return TRUNCATED;
  const bytes = chunkBytes(frame, at + HEADER_BYTES);
  return bytes < CHUNK_HEADER_BYTES || at + HEADER_BYTES + bytes > end ? BAD_CHUNK : 0;
}

/** Bytes of a chunk with its header, without the padding to a multiple of four. */
const chunkBytes = (frame: DataView, chunk: number): number => frame.getUint16(chunk + 2);

/**
 * The type of the chunk that says what becomes of the association: the first one, or an ABORT
 * behind a cookie, for only there may one be (RFC 9260, 3.3.7).
 */
export function chunkType(frame: DataView, at: number, end: number): number {
  const first = at + HEADER_BYTES;
  const type = frame.getUint8(first);
  if (type !== COOKIE_ECHO && type !== COOKIE_ACK) return type;
  const next = first + ((chunkBytes(frame, first) + 3) & ~3);
  if (next + CHUNK_HEADER_BYTES > end || next === first) return type;
  return frame.getUint8(next) === ABORT ? ABORT : type;
}

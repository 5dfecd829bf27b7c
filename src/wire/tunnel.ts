// The headers that a tunnel puts before an IP packet, over IPv4. IPIP (RFC 2003) is an outer IP
// header and nothing else. GUE is one with UDP and four bytes more (draft-ietf-intarea-gue, variant
// 0, without options), as Linux's `fou` and IPVS's `tun-type gue` send it: the ports of UDP let
// routers and network cards spread the flows.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |          Source port          |       Destination port        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |            Length             |         Checksum, 0           |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   | 0 |C|   Hlen  |   Protocol    |             Flags             |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  The inner packet ...
import * as checksum from './checksum.ts';
import { HEADER_BYTES, PROTOCOL_UDP } from './ipv4.ts';
import * as udp from './udp.ts';

/**
 * Memory before every frame of a datapath that is free to write to, so that a packet gets its outer
 * headers without being moved.
 */
export const HEADROOM_BYTES = 64;

/** Protocol number of IPv4 in IPv4 (RFC 2003), and what GUE says of an IPv4 packet in it. */
export const PROTOCOL_IPIP = 4;
export const GUE_HEADER_BYTES = 4;
/** IANA's port for GUE. */
export const GUE_PORT = 6080;

/** Bytes before the inner packet. */
export const IPIP_BYTES = HEADER_BYTES;
export const GUE_BYTES = HEADER_BYTES + udp.HEADER_BYTES + GUE_HEADER_BYTES;

const DONT_FRAGMENT = 0x4000;
/** What IANA recommends; the inner TTL is the client's affair, and is left alone. */
const TIME_TO_LIVE = 64;

/**
 * Writes the outer IPv4 header at `at`, before an inner IPv4 packet. Type of service, with its mark
 * of congestion (RFC 6040, 4.1), and the bit that forbids fragments are the inner packet's.
 * @param inner offset of the inner packet
 * @param protocol PROTOCOL_IPIP or PROTOCOL_UDP
 */
export function writeOuter(
  frame: DataView,
  at: number,
  inner: number,
  protocol: number,
  identification: number,
  source: number,
  destination: number,
): void {
  frame.setUint16(at, 0x4500 | frame.getUint8(inner + 1));
  frame.setUint16(at + 2, inner - at + frame.getUint16(inner + 2));
  frame.setUint16(at + 4, identification);
  frame.setUint16(at + 6, frame.getUint16(inner + 6) & DONT_FRAGMENT);
  frame.setUint16(at + 8, (TIME_TO_LIVE << 8) | protocol);
  frame.setUint16(at + 10, 0);
  frame.setInt32(at + 12, source);
  frame.setInt32(at + 16, destination);
  frame.setUint16(at + 10, checksum.finish(checksum.sum(frame, at, at + HEADER_BYTES)));
}

/** Writes the UDP and GUE headers at `at`, before an inner IPv4 packet. */
export function writeGue(
  frame: DataView,
  at: number,
  inner: number,
  sourcePort: number,
  destinationPort: number,
): void {
  frame.setUint16(at, sourcePort);
  frame.setUint16(at + 2, destinationPort);
  frame.setUint16(at + 4, inner - at + frame.getUint16(inner + 2));
  frame.setUint16(at + 6, 0);
  frame.setInt32(at + 8, PROTOCOL_IPIP << 16);
}

/**
 * The offset of the IPv4 packet within a GUE message from `at` to `end`.
 * @returns 0 if it is none of variant 0 with an IPv4 packet: control messages, others, torn ones
 */
export function innerOfGue(frame: DataView, at: number, end: number): number {
  if (end - at < GUE_HEADER_BYTES) return 0;
  const first = frame.getUint16(at);
  if ((first & 0xe0ff) !== PROTOCOL_IPIP) return 0;
  const inner = at + GUE_HEADER_BYTES + ((first >>> 8) & 0x1f) * 4;
  return inner + HEADER_BYTES > end ? 0 : inner;
}

/** Whether an outer header of this protocol is one of a tunnel. */
export const isTunnel = (protocol: number): boolean =>
  protocol === PROTOCOL_IPIP || protocol === PROTOCOL_UDP;

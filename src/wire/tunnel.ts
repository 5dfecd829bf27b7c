// The headers that a tunnel puts before an IP packet, of either family, over either. IPIP (RFC
// 2003, RFC 2473) is an outer IP header and nothing else. GUE is one with UDP and four bytes more
// (draft-ietf-intarea-gue, variant 0, without options), as Linux's `fou` and IPVS's `tun-type gue`
// send it: the ports of UDP let routers and network cards spread the flows. UDP has a checksum over
// IPv6 alone, which demands it (RFC 8200, 8.1): a receiver must be told to do without (RFC 6935,
// 5), and a program with a plain UDP socket, such as `furiwake decap`, cannot be.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |          Source port          |       Destination port        |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |            Length             |           Checksum            |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   | 0 |C|   Hlen  |   Protocol    |             Flags             |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  The inner packet ...
import * as checksum from './checksum.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import * as udp from './udp.ts';

/**
 * Memory before every frame of a datapath that is free to write to, so that a packet gets its outer
 * headers without being moved.
 */
export const HEADROOM_BYTES = 64;

/** Protocol numbers of what is within: an IPv4 packet (RFC 2003), an IPv6 one (RFC 2473). */
export const PROTOCOL_IPIP = 4;
export const PROTOCOL_IPV6 = 41;
const GUE_HEADER_BYTES = 4;
/** IANA's port for GUE. */
export const GUE_PORT = 6080;

/** Bytes before the inner packet: of an outer IPv4 header, and of what GUE has behind it. */
export const OUTER_BYTES = ipv4.HEADER_BYTES;
export const OUTER6_BYTES = ipv6.HEADER_BYTES;
export const GUE_BYTES = udp.HEADER_BYTES + GUE_HEADER_BYTES;

const DONT_FRAGMENT = 0x4000;
/** What IANA recommends; the inner TTL is the client's affair, and is left alone. */
const TIME_TO_LIVE = 64;

export const isGue = (ahead: number): boolean =>
  ahead === OUTER_BYTES + GUE_BYTES || ahead === OUTER6_BYTES + GUE_BYTES;

/** Bytes of a whole IP packet of either family. */
export const packetBytes = (frame: DataView, at: number): number =>
  ipv6.isAt(frame, at) ? ipv6.totalBytes(frame, at) : ipv4.totalBytes(frame, at);

/**
 * Writes all of the outer headers at `at` but addresses and ports, which are there. Type of service
 * or traffic class, with its mark of congestion (RFC 6040, 4.1), and the bit that forbids fragments
 * are the inner packet's; of IPv6 nothing may be cut.
 * @param ahead their bytes, which show the outer family and the kind of tunnel
 * @param id identification of an IPv4 header, flow label of IPv6
 * @param isSummed false to leave UDP's checksum over IPv6 at 0
 */
export function writeOuter(
  frame: DataView,
  at: number,
  ahead: number,
  id: number,
  isSummed: boolean,
): void {
  const inner = at + ahead;
  const ofIpv6 = ipv6.isAt(frame, inner);
  const carried = ofIpv6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP;
  const service = ofIpv6 ? (frame.getUint16(inner) >>> 4) & 0xff : frame.getUint8(inner + 1);
  const header = ahead >= OUTER6_BYTES ? OUTER6_BYTES : OUTER_BYTES;
  const bytes = ahead + packetBytes(frame, inner);
  const protocol = ahead === header ? carried : ipv4.PROTOCOL_UDP;
  if (ahead !== header) {
    frame.setUint16(at + header + 4, bytes - header);
    frame.setUint16(at + header + udp.CHECKSUM_OFFSET, 0);
    frame.setInt32(at + header + udp.HEADER_BYTES, carried << 16);
  }
  if (header === OUTER6_BYTES) {
    frame.setInt32(at, 0x6000_0000 | (service << 20) | (id & 0xfffff));
    frame.setUint16(at + 4, bytes - header);
    frame.setUint16(at + 6, (protocol << 8) | TIME_TO_LIVE);
    if (ahead !== header && isSummed) finishUdp6(frame, at);
    return;
  }
  frame.setUint16(at, 0x4500 | service);
  frame.setUint16(at + 2, bytes);
  frame.setUint16(at + 4, id);
  frame.setUint16(at + 6, ofIpv6 ? DONT_FRAGMENT : frame.getUint16(inner + 6) & DONT_FRAGMENT);
  frame.setUint16(at + 8, (TIME_TO_LIVE << 8) | protocol);
  frame.setUint16(at + 10, 0);
  frame.setUint16(at + 10, checksum.finish(checksum.sum(frame, at, at + header)));
}

/** Fills in the checksum of UDP, which is 0 so far, behind an IPv6 header at `at`. */
function finishUdp6(frame: DataView, at: number): void {
  const l4 = at + OUTER6_BYTES;
  const bytes = ipv6.payloadBytes(frame, at);
  const seed = ipv6.pseudoHeader(frame, at, ipv4.PROTOCOL_UDP, bytes);
  udp.setChecksum(frame, l4, checksum.finish(checksum.sum(frame, l4, l4 + bytes, seed)) || 0xffff);
}

/**
 * The offset of the IP packet within a GUE message from `at` to `end`.
 * @returns 0 if it is none of variant 0 with an IP packet: control messages, others, torn ones
 */
export function innerOfGue(frame: DataView, at: number, end: number): number {
  if (end - at < GUE_HEADER_BYTES) return 0;
  const first = frame.getUint16(at);
  const kind = first & 0xe0ff;
  if (kind !== PROTOCOL_IPIP && kind !== PROTOCOL_IPV6) return 0;
  const inner = at + GUE_HEADER_BYTES + ((first >>> 8) & 0x1f) * 4;
  const isWhole = inner + ipv4.HEADER_BYTES <= end;
  return isWhole && ipv6.isAt(frame, inner) === (kind === PROTOCOL_IPV6) ? inner : 0;
}

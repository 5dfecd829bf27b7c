// Finishes TCP and UDP checksums that a sender with checksum offload left to its hardware. Such a
// field holds the sum of the pseudo-header, not complemented, and a capture through libpcap does
// not say which frames have one. So the field is compared with that sum. A finished checksum that
// happens to be equal is computed to the value it has; a corrupt one is healed in 1 of 65,536
// cases.
import * as checksum from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';

/** Looks at any frame at all and finishes a partial checksum. @returns whether it did */
export function completeChecksum(frame: DataView, at: number, end: number): boolean {
  if (ethernet.check(frame, at, end) !== 0) return false;
  const l3 = at + ethernet.HEADER_BYTES;
  const type = ethernet.type(frame, at);
  if (type === ethernet.TYPE_IPV4) return completeIpv4(frame, l3, end);
  return type === ethernet.TYPE_IPV6 && completeIpv6(frame, l3, end);
}

/**
 * Finishes the checksum that a virtio_net_hdr asks for, of whatever header it is.
 * @param start where what it covers begins, from the frame's beginning; `field` where it lies there
 */
export function completeAt(
  frame: DataView,
  at: number,
  end: number,
  start: number,
  field: number,
): void {
  const from = at + start;
  if (from + field + 2 > end) return;
  const value = checksum.finish(checksum.sum(frame, from, end));
  // Only UDP minds, and to all others it is the same.
  frame.setUint16(from + field, value === 0 ? 0xffff : value);
}

/** What is left to do of the checksum: the sum of a pseudo-header with this length. */
type PseudoHeader = (frame: DataView, l3: number, protocol: number, lengthBytes: number) => number;

interface Upper {
  readonly frame: DataView;
  readonly l3: number;
  readonly l4: number;
  readonly end: number;
  readonly pseudoHeader: PseudoHeader;
}

function completeIpv4(frame: DataView, l3: number, end: number): boolean {
  if (ipv4.check(frame, l3, end) !== 0 || ipv4.isFragment(frame, l3)) return false;
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const packetEnd = l3 + ipv4.totalBytes(frame, l3);
  const upper = { frame, l3, l4, end: packetEnd, pseudoHeader: pseudoHeader4 };
  return completeUpper(upper, ipv4.protocol(frame, l3));
}

function completeIpv6(frame: DataView, l3: number, end: number): boolean {
  if (ipv6.check(frame, l3, end) !== 0) return false;
  const packetEnd = l3 + ipv6.totalBytes(frame, l3);
  const first = l3 + ipv6.HEADER_BYTES;
  const found = ipv6.findUpper(frame, l3, first, ipv6.nextHeader(frame, l3), packetEnd);
  if (found === ipv6.BROKEN) return false;
  const l4 = l3 + (found >>> 8);
  const upper = { frame, l3, l4, end: packetEnd, pseudoHeader: ipv6.pseudoHeader };
  return completeUpper(upper, found & 0xff);
}

function completeUpper(upper: Upper, protocol: number): boolean {
  const { frame, l4, end } = upper;
  if (protocol === ipv4.PROTOCOL_TCP) return tcp.check(frame, l4, end) === 0 && completeTcp(upper);
  if (protocol !== ipv4.PROTOCOL_UDP) return false;
  return udp.check(frame, l4, end) === 0 && completeUdp(upper);
}

function completeTcp({ frame, l3, l4, end, pseudoHeader }: Upper): boolean {
  const seed = pseudoHeader(frame, l3, ipv4.PROTOCOL_TCP, end - l4);
  if (tcp.checksum(frame, l4) !== seed) return false;
  // The sum needs no seed: the field already holds it.
  tcp.setChecksum(frame, l4, checksum.finish(checksum.sum(frame, l4, end)));
  return true;
}

function completeUdp({ frame, l3, l4, pseudoHeader }: Upper): boolean {
  const length = udp.lengthBytes(frame, l4);
  const seed = pseudoHeader(frame, l3, ipv4.PROTOCOL_UDP, length);
  if (udp.checksum(frame, l4) !== seed) return false;
  const value = checksum.finish(checksum.sum(frame, l4, l4 + length));
  udp.setChecksum(frame, l4, value === 0 ? 0xffff : value);
  return true;
}

const pseudoHeader4: PseudoHeader = (frame, l3, protocol, lengthBytes) =>
  checksum.pseudoHeader(ipv4.source(frame, l3), ipv4.destination(frame, l3), protocol, lengthBytes);

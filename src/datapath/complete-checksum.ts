// Finishes TCP and UDP checksums that a sender with checksum offload left to its hardware. Such a
// field holds the sum of the pseudo-header, not complemented, and a capture through libpcap does
// not say which frames have one. So the field is compared with that sum. A finished checksum that
// happens to be equal is computed to the value it has; a corrupt one is healed in 1 of 65,536
// cases.
import * as checksum from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';

/** Looks at any frame at all and finishes a partial checksum. @returns whether it did */
export function completeChecksum(frame: DataView, at: number, end: number): boolean {
  if (ethernet.check(frame, at, end) !== 0) return false;
  if (ethernet.type(frame, at) !== ethernet.TYPE_IPV4) return false;
  const l3 = at + ethernet.HEADER_BYTES;
  if (ipv4.check(frame, l3, end) !== 0 || ipv4.isFragment(frame, l3)) return false;
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const packetEnd = l3 + ipv4.totalBytes(frame, l3);
  switch (ipv4.protocol(frame, l3)) {
    case ipv4.PROTOCOL_TCP:
      return tcp.check(frame, l4, packetEnd) === 0 && completeTcp(frame, l3, l4, packetEnd);
    case ipv4.PROTOCOL_UDP:
      return udp.check(frame, l4, packetEnd) === 0 && completeUdp(frame, l3, l4);
    default:
      return false;
  }
}

function completeTcp(frame: DataView, l3: number, l4: number, end: number): boolean {
  if (tcp.checksum(frame, l4) !== pseudoHeader(frame, l3, end - l4)) return false;
  // The sum needs no seed: the field already holds it.
  tcp.setChecksum(frame, l4, checksum.finish(checksum.sum(frame, l4, end)));
  return true;
}

function completeUdp(frame: DataView, l3: number, l4: number): boolean {
  const length = udp.lengthBytes(frame, l4);
  if (udp.checksum(frame, l4) !== pseudoHeader(frame, l3, length)) return false;
  const value = checksum.finish(checksum.sum(frame, l4, l4 + length));
  udp.setChecksum(frame, l4, value === 0 ? 0xffff : value);
  return true;
}

function pseudoHeader(frame: DataView, l3: number, lengthBytes: number): number {
  return checksum.pseudoHeader(
    ipv4.source(frame, l3),
    ipv4.destination(frame, l3),
    ipv4.protocol(frame, l3),
    lengthBytes,
  );
}

// The rewrites, in place. DSR changes the two MAC addresses and nothing else. NAT changes one
// address and one port, the TTL and the MAC addresses, and mends the checksums by the difference
// alone (RFC 1624), never by reading the payload.
import * as checksum from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';

/** What taking one from the TTL adds to the header checksum's sum: ~x + (x - 0x0100). */
const TTL_DELTA = 0xfeff;

/** Addresses the frame to its next station, as a bridge or router does. */
export function setMacs(
  frame: DataView,
  at: number,
  toHigh: number,
  toLow: number,
  fromHigh: number,
  fromLow: number,
): void {
  ethernet.setDestination(frame, at, toHigh, toLow);
  ethernet.setSource(frame, at, fromHigh, fromLow);
}

/**
 * The change of checksums when a request's VIP and port become the real's: the IPv4 header's in
 * the low 16 bits, that of TCP or UDP in the high 16. A reply's change is the complement.
 */
export function requestDeltas(
  vip: number,
  vipPort: number,
  real: number,
  realPort: number,
): number {
  const address = checksum.fold(checksum.difference32(vip, real));
  const both = checksum.fold(address + checksum.difference16(vipPort, realPort));
  return address | (both << 16);
}

/** Changes a request's destination to the real; `deltas` as from requestDeltas. */
export function natRequest(
  frame: DataView,
  l3: number,
  l4: number,
  real: number,
  realPort: number,
  deltas: number,
  partial: number,
): void {
  frame.setInt32(l3 + 16, real);
  frame.setUint16(l4 + 2, realPort);
  mendChecksums(frame, l3, l4, deltas & 0xffff, deltas >>> 16, partial);
}

/** Changes a reply's source back to the VIP; `deltas` are those of the request. */
export function natReply(
  frame: DataView,
  l3: number,
  l4: number,
  vip: number,
  vipPort: number,
  deltas: number,
  partial: number,
): void {
  frame.setInt32(l3 + 12, vip);
  frame.setUint16(l4, vipPort);
  mendChecksums(frame, l3, l4, ~deltas & 0xffff, ~deltas >>> 16, partial);
}

/** Takes one from the TTL and mends both checksums. A partial field knows no ports yet. */
function mendChecksums(
  frame: DataView,
  l3: number,
  l4: number,
  addressDelta: number,
  bothDelta: number,
  partial: number,
): void {
  frame.setUint8(l3 + 8, frame.getUint8(l3 + 8) - 1);
  const header = frame.getUint16(l3 + 10);
  frame.setUint16(l3 + 10, checksum.apply(header, addressDelta + TTL_DELTA));
  if (ipv4.protocol(frame, l3) === ipv4.PROTOCOL_TCP) {
    const at = l4 + tcp.CHECKSUM_OFFSET;
    const field = frame.getUint16(at);
    const mended =
      partial === 0 ? checksum.apply(field, bothDelta) : checksum.applyPartial(field, addressDelta);
    frame.setUint16(at, mended);
  } else {
    mendUdp(frame, l4 + 6, addressDelta, bothDelta, partial);
  }
}

/** UDP: 0 means "no checksum" and stays; a computed 0 is sent as 0xffff (RFC 768). */
function mendUdp(
  frame: DataView,
  at: number,
  addressDelta: number,
  bothDelta: number,
  partial: number,
): void {
  const field = frame.getUint16(at);
  if (partial !== 0) {
    frame.setUint16(at, checksum.applyPartial(field, addressDelta));
  } else if (field !== 0) {
    frame.setUint16(at, checksum.apply(field, bothDelta) || 0xffff);
  }
}

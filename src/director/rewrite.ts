// The rewrites, in place. DSR changes the two MAC addresses and nothing else. NAT changes one
// address and one port, fullnat both of them, and either the TTL and the MAC addresses; they mend
// the checksums by the difference alone (RFC 1624), never by reading the payload.
import * as checksum from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';

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

/** The change of checksums by two changes: that of the destination and that of the source. */
export function addDeltas(one: number, other: number): number {
  const address = checksum.fold((one & 0xffff) + (other & 0xffff));
  return address | (checksum.fold((one >>> 16) + (other >>> 16)) << 16);
}

/** Mends a request's TTL and checksums for its new destination; `deltas` as from requestDeltas. */
export function mendRequest(
  frame: DataView,
  l3: number,
  l4: number,
  deltas: number,
  partial: number,
): void {
  mendChecksums(frame, l3, l4, deltas & 0xffff, deltas >>> 16, partial);
}

/** Mends a reply's TTL and checksums for its new source; `deltas` are those of the request. */
export function mendReply(
  frame: DataView,
  l3: number,
  l4: number,
  deltas: number,
  partial: number,
): void {
  mendChecksums(frame, l3, l4, ~deltas & 0xffff, ~deltas >>> 16, partial);
}

/**
 * Takes one from the TTL, which adds ~x + (x - 0x0100) = 0xfeff to the header's sum, and mends both
 * checksums. A partial field knows no ports yet, and the sum of SCTP no addresses.
 */
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
  frame.setUint16(l3 + 10, checksum.apply(header, addressDelta + 0xfeff));
  if (frame.getUint8(l3 + 9) === 6) {
    const at = l4 + 16;
    const field = frame.getUint16(at);
    const mended =
      partial === 0 ? checksum.apply(field, bothDelta) : checksum.applyPartial(field, addressDelta);
    frame.setUint16(at, mended);
  } else if (frame.getUint8(l3 + 9) === 17) {
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

// The Internet checksum (RFC 1071) and its incremental form (RFC 1624, equation 3). A "sum" here is
// a one's complement sum of 16-bit words, not complemented; a "checksum" is the finished field,
// its complement; a "delta" is what a change adds to the sum. Deltas of several changes combine by
// plain addition: each is below 2^18, so sixteen thousand of them fit before `fold`.

/** Folds the carries of a sum of 0 to 2^32 - 1 back in; the result has 16 bits (RFC 1071, 2). */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/**
 * Sums the bytes from `at` up to `end`, at most 65,535 of them, as big-endian words that begin
 * at `at`, even or odd. An odd last byte counts as the upper half of a word.
 * @param seed a folded sum to start from, such as that of the pseudo-header
 * @returns the folded sum, not complemented
 */
export function sum(frame: DataView, at: number, end: number, seed = 0): number {
  let total = seed;
  let offset = at;
  // Four bytes at a time as two words: 16,384 such steps stay below 2^32.
  for (; offset + 4 <= end; offset += 4) {
    const words = frame.getInt32(offset);
    total += (words >>> 16) + (words & 0xffff);
  }
  if (offset + 2 <= end) {
    total += frame.getUint16(offset);
    offset += 2;
  }
  if (offset < end) total += frame.getUint8(offset) << 8;
  return fold(total);
}

/** Makes the checksum field from a folded sum. */
export function finish(folded: number): number {
  return ~folded & 0xffff;
}

/**
 * Sums the pseudo-header of IPv4 (RFC 9293, 3.1; RFC 768). Addresses are int32.
 * @param lengthBytes length of the TCP segment or UDP datagram, header included
 * @returns the folded sum: the seed of `sum`, and the very field of a partial checksum
 */
export function pseudoHeader(
  source: number,
  destination: number,
  protocol: number,
  lengthBytes: number,
): number {
  const addresses =
    (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
  return fold(addresses + protocol + lengthBytes);
}

/** The delta of a 32-bit field that changes; it begins at an even offset of what is summed. */
export function difference32(oldValue: number, newValue: number): number {
  const gone = ~oldValue;
  return (gone >>> 16) + (gone & 0xffff) + (newValue >>> 16) + (newValue & 0xffff);
}

/** The delta of a 16-bit field that changes; it begins at an even offset of what is summed. */
export function difference16(oldValue: number, newValue: number): number {
  return (~oldValue & 0xffff) + (newValue & 0xffff);
}

/** A finished checksum after a change: HC' = ~(~HC + ~m + m') (RFC 1624, equation 3). */
export function apply(checksum: number, delta: number): number {
  return ~fold((~checksum & 0xffff) + delta) & 0xffff;
}

/**
 * A partial checksum field after a change of the addresses. The kernel calls it CHECKSUM_PARTIAL:
 * the field holds the sum of the pseudo-header, not complemented, and the sender adds the rest.
 * A port is no part of the pseudo-header, so its delta must not be applied here.
 */
export function applyPartial(field: number, delta: number): number {
  return fold(field + delta);
}

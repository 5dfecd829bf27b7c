// The rewrites of IPv6, in place. There is no header checksum; the sums of TCP, UDP and ICMPv6
// cover the addresses: what NAT changes is mended by the difference (RFC 1624), as with IPv4.
import { type AddressBook, wordsAt, wordsOf } from '../flow/address-book.ts';
import * as checksum from '../wire/checksum.ts';
import { PROTOCOL_SCTP, PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { IPV6_BIT } from './table.ts';

/**
 * The change of checksums when a request's VIP and port become the real's: that of the address in
 * the low 16 bits, that of both in the high 16. A reply's change is the complement.
 */
export function requestDeltas6(
  book: AddressBook,
  vip: number,
  vipPort: number,
  real: number,
  realPort: number,
): number {
  let sum = 0;
  for (let word = 0; word < 4; word++) {
    const before = wordsOf(book, vip)[wordsAt(vip) + word] as number;
    const after = wordsOf(book, real)[wordsAt(real) + word] as number;
    sum += checksum.difference32(before, after);
  }
  const address = checksum.fold(sum);
  const both = checksum.fold(address + checksum.difference16(vipPort, realPort));
  return address | (both << 16);
}

/** Writes the address that a handle stands for. */
export function setHandle(frame: DataView, at: number, book: AddressBook, handle: number): void {
  ipv6.setAddress(frame, at, wordsOf(book, handle), wordsAt(handle));
}

/** Gives a packet other ends, by their handles, as the router that it passes. */
export function readdress(
  frame: DataView,
  l3: number,
  book: AddressBook,
  source: number,
  destination: number,
): void {
  setHandle(frame, l3 + ipv6.SOURCE_OFFSET, book, source);
  setHandle(frame, l3 + ipv6.DESTINATION_OFFSET, book, destination);
  ipv6.setHopLimit(frame, l3, ipv6.hopLimit(frame, l3) - 1);
}

/**
 * Mends the checksum of TCP or UDP; that of SCTP covers no addresses, and its ports stay.
 * @param protocol as from protocolKey
 * @param deltas as from requestDeltas6, or their complement
 * @param partial 1 for a field that holds the sum of the pseudo-header only, which knows no ports
 */
export function mendSum(
  frame: DataView,
  l4: number,
  protocol: number,
  deltas: number,
  partial: number,
): void {
  if (protocol === (PROTOCOL_SCTP ^ IPV6_BIT)) return;
  const isTcp = protocol === (PROTOCOL_TCP ^ IPV6_BIT);
  const at = l4 + (isTcp ? tcp.CHECKSUM_OFFSET : udp.CHECKSUM_OFFSET);
  const field = frame.getUint16(at);
  if (partial !== 0) {
    frame.setUint16(at, checksum.applyPartial(field, deltas & 0xffff));
    return;
  }
  const mended = checksum.apply(field, deltas >>> 16);
  // RFC 8200, 8.1: a computed 0 of UDP is sent as 0xffff, for 0 is not allowed.
  frame.setUint16(at, isTcp ? mended : mended || 0xffff);
}

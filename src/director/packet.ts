// What both families have alike of the packet that is being decided about: read once, where the
// packet is no longer plain, so that whatever is rare can be written for both of them at once.
import { type AddressBook, findAddress } from '../flow/address-book.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { IPV6_BIT } from './table.ts';

export interface Packet {
  /** IPv4 addresses; of IPv6, handles, or UNKNOWN for an address that no flow and no table has. */
  source: number;
  destination: number;
  /** By what schedulers know the two of them: an IPv6 address folded into one word. */
  sourceHash: number;
  destinationHash: number;
  /** As from protocolKey. */
  protocol: number;
  /** Or hop limit. */
  timeToLive: number;
}

export const emptyPacket = (): Packet => ({
  ...{ source: 0, destination: 0, sourceHash: 0, destinationHash: 0, protocol: 0, timeToLive: 0 },
});

export const isIpv6 = ({ protocol }: Packet): boolean => (protocol & IPV6_BIT) !== 0;

export function readIpv4(packet: Packet, frame: DataView, l3: number): void {
  packet.source = ipv4.source(frame, l3);
  packet.destination = ipv4.destination(frame, l3);
  packet.sourceHash = packet.source;
  packet.destinationHash = packet.destination;
  packet.protocol = ipv4.protocol(frame, l3);
  packet.timeToLive = ipv4.timeToLive(frame, l3);
}

/** @param protocol of the header that the packet is about, behind all extension headers */
export function readIpv6(
  packet: Packet,
  book: AddressBook,
  frame: DataView,
  l3: number,
  protocol: number,
): void {
  packet.source = findAddress(book, frame, l3 + ipv6.SOURCE_OFFSET);
  packet.destination = findAddress(book, frame, l3 + ipv6.DESTINATION_OFFSET);
  packet.sourceHash = ipv6.fold(frame, l3 + ipv6.SOURCE_OFFSET);
  packet.destinationHash = ipv6.fold(frame, l3 + ipv6.DESTINATION_OFFSET);
  packet.protocol = protocol ^ IPV6_BIT;
  packet.timeToLive = ipv6.hopLimit(frame, l3);
}

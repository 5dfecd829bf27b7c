// The packet that an ICMP error quotes, of either family: its IP header and at least the first 8
// bytes of what follows (RFC 792), which hold the ports of TCP, UDP and SCTP. More may be there or
// not (RFC 1812, 4.3.2.3), so nothing beyond these is touched before it is known to be there.
import { type AddressBook, findAddress } from '../flow/address-book.ts';
import * as flow from '../flow/flow-table.ts';
import * as checksum from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { mendSum, setHandle } from './rewrite6.ts';
import { IPV6_BIT } from './table.ts';

const QUOTED_BYTES = 8;
const FRAGMENT_OFFSET = 0x1fff;

/**
 * The packet that was read last; filled again for each, since no packet allocates one. Its protocol
 * and addresses are as flows have them: of IPv6, handles or UNKNOWN.
 */
export const quote = { l3: 0, l4: 0, end: 0, protocol: 0, sender: 0, receiver: 0 };

/** Reads the packet quoted from `l3` on. @returns false if it shows no ports */
export function readQuote4(frame: DataView, l3: number, end: number): boolean {
  if (end - l3 < ipv4.HEADER_BYTES || frame.getUint8(l3) >>> 4 !== 4) return false;
  const header = ipv4.headerBytes(frame, l3);
  if (header < ipv4.HEADER_BYTES || l3 + header + QUOTED_BYTES > end) return false;
  if ((ipv4.fragmentField(frame, l3) & FRAGMENT_OFFSET) !== 0) return false;
  quote.l3 = l3;
  quote.l4 = l3 + header;
  quote.end = end;
  quote.protocol = ipv4.protocol(frame, l3);
  quote.sender = ipv4.source(frame, l3);
  quote.receiver = ipv4.destination(frame, l3);
  return ipv4.hasPorts(quote.protocol);
}

/** The same of IPv6. */
export function readQuote6(book: AddressBook, frame: DataView, l3: number, end: number): boolean {
  if (end - l3 < ipv6.HEADER_BYTES || frame.getUint8(l3) >>> 4 !== 6) return false;
  const first = l3 + ipv6.HEADER_BYTES;
  const upper = ipv6.findUpper(frame, l3, first, ipv6.nextHeader(frame, l3), end);
  if (upper === ipv6.BROKEN) return false;
  let protocol = upper & 0xff;
  quote.l3 = l3;
  quote.l4 = l3 + (upper >>> 8);
  if (protocol === ipv6.FRAGMENT && end - quote.l4 >= ipv6.FRAGMENT_HEADER_BYTES) {
    // Of a packet in pieces, the first one shows the ports.
    if (ipv6.fragmentOffsetBytes(frame, quote.l4) !== 0) return false;
    protocol = frame.getUint8(quote.l4);
    quote.l4 += ipv6.FRAGMENT_HEADER_BYTES;
  }
  quote.end = end;
  quote.protocol = protocol ^ IPV6_BIT;
  quote.sender = findAddress(book, frame, l3 + ipv6.SOURCE_OFFSET);
  quote.receiver = findAddress(book, frame, l3 + ipv6.DESTINATION_OFFSET);
  return ipv4.hasPorts(protocol) && end - quote.l4 >= QUOTED_BYTES;
}

/** Whether an error of ICMPv6 at `l3` goes to the sender of the packet that it quotes. */
export function isToSender6(frame: DataView, l3: number, quoted: number): boolean {
  for (let word = 0; word < 4; word++) {
    const receiver = ipv6.word(frame, l3 + ipv6.DESTINATION_OFFSET, word);
    if (receiver !== ipv6.word(frame, quoted + ipv6.SOURCE_OFFSET, word)) return false;
  }
  return true;
}

/** Its ports the other way round: as the packets have them that it answers, or that answer it. */
export function swappedPorts(frame: DataView, l4: number): number {
  const ports = frame.getInt32(l4);
  return (ports << 16) | (ports >>> 16);
}

/** What a quoted packet shall have been: who to whom (handles of IPv6), and what sums change by. */
export interface QuotedEnds {
  readonly source: number;
  readonly destination: number;
  /** As they lie in the packet. */
  readonly ports: number;
  /** As those of a flow's requests; their complement takes these back. */
  readonly deltas: number;
}

/** The ends of packets as the real of a NAT flow sends them. @param record where that begins */
export const endsAtReal = ({ records }: flow.FlowTable, record: number): QuotedEnds => ({
  source: records[record + flow.REAL] as number,
  destination: records[record + flow.LOCAL] as number,
  ports: records[record + flow.REPLY_PORTS] as number,
  deltas: records[record + flow.DELTAS] as number,
});

/** The same as its client sends them. */
export const endsAtClient = ({ records }: flow.FlowTable, record: number): QuotedEnds => ({
  source: records[record + flow.CLIENT] as number,
  destination: records[record + flow.VIP] as number,
  ports: records[record + flow.PORTS] as number,
  deltas: ~(records[record + flow.DELTAS] as number),
});

/** Gives the packet that was read other ends. */
export function setQuotedEnds4(
  frame: DataView,
  { source, destination, ports, deltas }: QuotedEnds,
): void {
  const { l3, l4, end, protocol } = quote;
  frame.setInt32(l3 + 12, source);
  frame.setInt32(l3 + 16, destination);
  frame.setInt32(l4, ports);
  frame.setUint16(l3 + 10, checksum.apply(ipv4.headerChecksum(frame, l3), deltas & 0xffff));
  // The sum of SCTP covers no addresses, and its ports stay.
  if (protocol === ipv4.PROTOCOL_SCTP) return;
  if (protocol === ipv4.PROTOCOL_UDP) udp.adjustChecksum(frame, l4, deltas >>> 16);
  else if (l4 + tcp.CHECKSUM_OFFSET + 2 <= end) tcp.adjustChecksum(frame, l4, deltas >>> 16);
}

/** The same of IPv6. A receiver that stays may be one without a handle. */
export function setQuotedEnds6(
  book: AddressBook,
  frame: DataView,
  { source, destination, ports, deltas }: QuotedEnds,
): void {
  const { l3, l4, end, protocol, receiver } = quote;
  setHandle(frame, l3 + ipv6.SOURCE_OFFSET, book, source);
  if (destination !== receiver) setHandle(frame, l3 + ipv6.DESTINATION_OFFSET, book, destination);
  frame.setInt32(l4, ports);
  const isTcp = (protocol ^ IPV6_BIT) === ipv4.PROTOCOL_TCP;
  const field = l4 + (isTcp ? tcp.CHECKSUM_OFFSET : udp.CHECKSUM_OFFSET);
  if (field + 2 <= end) mendSum(frame, l4, protocol, deltas, 0);
}

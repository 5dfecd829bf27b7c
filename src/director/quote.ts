// The packet that an ICMP error quotes: its IP header and at least the first eight bytes of what
// follows (RFC 792), which hold the ports of TCP, UDP and SCTP. More may be there or not (RFC 1812,
// 4.3.2.3), so nothing beyond these eight bytes is touched before it is known to be there.
import * as flow from '../flow/flow-table.ts';
import * as checksum from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';

const QUOTED_BYTES = 8;
const FRAGMENT_OFFSET = 0x1fff;

/**
 * Looks at the packet quoted from `at` on, up to `end`. A later fragment shows no ports.
 * @returns the offset of its TCP or UDP header, of which eight bytes are there; 0 if it has none
 */
export function quotedHeader(frame: DataView, at: number, end: number): number {
  if (end - at < ipv4.HEADER_BYTES || frame.getUint8(at) >>> 4 !== 4) return 0;
  const header = ipv4.headerBytes(frame, at);
  if (header < ipv4.HEADER_BYTES || at + header + QUOTED_BYTES > end) return 0;
  if ((ipv4.fragmentField(frame, at) & FRAGMENT_OFFSET) !== 0) return 0;
  return ipv4.hasPorts(ipv4.protocol(frame, at)) ? at + header : 0;
}

/** Its ports the other way round: as the packets have them that it answers, or that answer it. */
export function swappedPorts(frame: DataView, l4: number): number {
  const ports = frame.getInt32(l4);
  return (ports << 16) | (ports >>> 16);
}

/**
 * What a quoted packet shall have been: from whom to whom, and what the sums change by. Of IPv6,
 * handles.
 */
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

/** Gives the quoted packet other ends. */
export function setQuotedEnds(
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  { source, destination, ports, deltas }: QuotedEnds,
): void {
  frame.setInt32(at + 12, source);
  frame.setInt32(at + 16, destination);
  frame.setInt32(l4, ports);
  mendQuote(frame, at, l4, end, deltas & 0xffff, deltas >>> 16);
}

function mendQuote(
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  addressDelta: number,
  bothDelta: number,
): void {
  frame.setUint16(at + 10, checksum.apply(ipv4.headerChecksum(frame, at), addressDelta));
  const protocol = ipv4.protocol(frame, at);
  // The sum of SCTP covers no addresses, and its ports stay.
  if (protocol === ipv4.PROTOCOL_SCTP) return;
  if (protocol === ipv4.PROTOCOL_UDP) udp.adjustChecksum(frame, l4, bothDelta);
  else if (l4 + tcp.CHECKSUM_OFFSET + 2 <= end) tcp.adjustChecksum(frame, l4, bothDelta);
}

// ICMPv6 errors of others: what relay-error.ts does for IPv4. An error quotes the packet that it
// speaks of, which tells where it belongs; by NAT the quoted packet is turned back into the one
// that its sender sent.
import { findAddress, holdAddress, releaseAddress, UNKNOWN } from '../flow/address-book.ts';
import * as flow from '../flow/flow-table.ts';
import * as checksum from '../wire/checksum.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { hasPorts, PROTOCOL_SCTP, PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { chooseReal, noteClient6 } from './choose-real.ts';
import type { Director } from './director.ts';
import { WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { addressToHop, aheadOf, obstacle, sendToReal } from './onward.ts';
import { choosesByHash } from './pass-statelessly.ts';
import { endsAtClient, endsAtReal, type QuotedEnds, swappedPorts } from './quote.ts';
import { dropped, isOwnAddress6 } from './refuse.ts';
import { countRelayed } from './relay-error.ts';
import { readdress, requestDeltas6, setHandle } from './rewrite6.ts';
import { findService6, IPV6_BIT, isNatReal, isVip6, METHOD_FULLNAT, METHOD_NAT } from './table.ts';
import { PASS, send, type Verdict } from './verdict.ts';

const ICMP_CHECKSUM = DROP['icmp-checksum'];
const ICMP_QUOTE = DROP['icmp-quote'];
const ICMP_NO_FLOW = DROP['icmp-no-flow'];

/** As many bytes behind the quoted headers as show the ports, and the checksum of UDP. */
const QUOTED_BYTES = 8;

/** The packet that an error quotes; filled again for each, since no packet allocates one. */
export const quote = { l3: 0, l4: 0, end: 0, protocol: 0, sender: 0, receiver: 0 };

/** @returns false if it shows no ports */
export function readQuote({ flows }: Director, frame: DataView, l3: number, end: number): boolean {
  if (end - l3 < ipv6.HEADER_BYTES || frame.getUint8(l3) >>> 4 !== 6) return false;
  const first = l3 + ipv6.HEADER_BYTES;
  const upper = ipv6.findUpper(frame, l3, first, ipv6.nextHeader(frame, l3), end);
  if (upper === ipv6.BROKEN) return false;
  quote.l3 = l3;
  quote.l4 = l3 + (upper >>> 8);
  quote.protocol = upper & 0xff;
  if (quote.protocol === ipv6.FRAGMENT && end - quote.l4 >= ipv6.FRAGMENT_HEADER_BYTES) {
    // Of a packet in pieces, the first one shows the ports.
    if (ipv6.fragmentOffsetBytes(frame, quote.l4) !== 0) return false;
    quote.protocol = frame.getUint8(quote.l4);
    quote.l4 += ipv6.FRAGMENT_HEADER_BYTES;
  }
  quote.end = end;
  quote.sender = findAddress(flows.book, frame, l3 + ipv6.SOURCE_OFFSET);
  quote.receiver = findAddress(flows.book, frame, l3 + ipv6.DESTINATION_OFFSET);
  return hasPorts(quote.protocol) && end - quote.l4 >= QUOTED_BYTES;
}

/** An error whose header has been checked, to a VIP or to anybody else. */
export function relayError6(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
): Verdict {
  const { table, flows, packet, nowMs } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const toVip = isVip6(table, packet.destination, frame, l3 + ipv6.DESTINATION_OFFSET);
  // It speaks of a packet that its receiver sent, or it is a forgery.
  const isQuote = readQuote(director, frame, l4 + icmpv6.HEADER_BYTES, end);
  if (!isQuote || !isToSender(frame, l3, quote.l3))
    return toVip ? dropped(director, ICMP_QUOTE) : PASS;
  const { sender, receiver } = quote;
  const protocol = quote.protocol ^ IPV6_BIT;
  const found = flow.findFlow(flows, receiver, sender, swappedPorts(frame, quote.l4), protocol);
  if (found >= 0 && !flow.isOver(flows, found >>> 1, nowMs)) {
    return relayByFlow(director, frame, at, l4, found);
  }
  if (toVip) return relayByHash(director, frame, at, l4, protocol);
  const isOurs = isNatReal(table, receiver, tcp.destinationPort(frame, quote.l4), protocol);
  if (!isOurs || isOwnAddress6(director, frame, l3 + ipv6.DESTINATION_OFFSET)) return PASS;
  return dropped(director, ICMP_NO_FLOW);
}

/** Whether an error at `l3` goes to the sender of the packet that it quotes. */
export function isToSender(frame: DataView, l3: number, quoted: number): boolean {
  for (let word = 0; word < 4; word++) {
    const receiver = ipv6.word(frame, l3 + ipv6.DESTINATION_OFFSET, word);
    if (receiver !== ipv6.word(frame, quoted + ipv6.SOURCE_OFFSET, word)) return false;
  }
  return true;
}

function relayByFlow(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  found: number,
): Verdict {
  const { flows } = director;
  const record = (found >>> 1) * flow.RECORD_WORDS;
  if ((found & 1) !== 0) return relayToClient(director, frame, at, l4, record);
  const realId = (flows.records[record + flow.IDS] as number) & 0xffff;
  const isNat = ((flows.records[record + flow.META] as number) & flow.NAT_BIT) !== 0;
  const sent = isNat ? endsAtReal(flows, record) : undefined;
  return relayToReal(director, frame, at, l4, realId, sent);
}

/** Where all directors choose alike, the real can be told without its flow. */
function relayByHash(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  protocol: number,
): Verdict {
  const { table, flows } = director;
  const sender = quote.l3 + ipv6.SOURCE_OFFSET;
  const vipPort = tcp.sourcePort(frame, quote.l4);
  const service = findService6(table, quote.sender, frame, sender, vipPort, protocol);
  if (!choosesByHash(director, service)) return dropped(director, ICMP_NO_FLOW);
  const client = ipv6.fold(frame, quote.l3 + ipv6.DESTINATION_OFFSET);
  noteClient6(director.choice, frame, quote.l3 + ipv6.DESTINATION_OFFSET);
  const vip = ipv6.fold(frame, sender);
  const clientPort = tcp.destinationPort(frame, quote.l4);
  const realId = chooseReal(director, service, client, clientPort, vip);
  if (realId < 0) return dropped(director, ICMP_NO_FLOW);
  const method = table.realMethod[realId] as number;
  // A port of the pool is known by the flow alone.
  if (method === METHOD_FULLNAT) return dropped(director, ICMP_NO_FLOW);
  if (method !== METHOD_NAT) return relayToReal(director, frame, at, l4, realId);
  // An address of a prefix has a number only while somebody holds it.
  const held = holdAddress(flows.book, frame, sender);
  if (held === UNKNOWN) return dropped(director, ICMP_NO_FLOW);
  const source = table.realAddress[realId] as number;
  const port = (table.realPort[realId] as number) || vipPort;
  const deltas = requestDeltas6(flows.book, held, vipPort, source, port);
  const ports = (port << 16) | clientPort;
  const sent = { source, destination: quote.receiver, ports, deltas };
  const verdict = relayToReal(director, frame, at, l4, realId, sent);
  releaseAddress(flows.book, held);
  return verdict;
}

/**
 * The error is about a reply: its real hears it as about the packet that it sent itself.
 * @param sent the ends of that packet, if they were rewritten
 */
function relayToReal(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  realId: number,
  sent?: QuotedEnds,
): Verdict {
  const { ways, flows } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const out = ways[realId * WAY_WORDS + WAY_ARM] as number;
  const ahead = aheadOf(director, realId);
  const isNat = sent !== undefined;
  const reason = damage(frame, l3, l4) || obstacle(director, frame, l3, out, isNat, ahead);
  if (reason !== 0) return dropped(director, reason);
  if (isNat) {
    // To a real that sees a client's stand-in, all that speaks of the client comes from there.
    if (sent.destination !== quote.receiver) {
      setHandle(frame, l3 + ipv6.SOURCE_OFFSET, flows.book, sent.destination);
    }
    setQuotedEnds6(director, frame, sent);
    setHandle(frame, l3 + ipv6.DESTINATION_OFFSET, flows.book, sent.source);
    ipv6.setHopLimit(frame, l3, ipv6.hopLimit(frame, l3) - 1);
    icmpv6.refreshChecksum(frame, l3, l4, quote.end);
  }
  countRelayed(director);
  return sendToReal(director, frame, at, realId);
}

/** The error is about a NAT request: to the client there is only the VIP. */
function relayToClient(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  record: number,
): Verdict {
  const { records, book } = director.flows;
  const l3 = at + ethernet.HEADER_BYTES;
  const hopLow = records[record + flow.HOP_LOW] as number;
  const out = hopLow >>> 16;
  const reason = damage(frame, l3, l4) || obstacle(director, frame, l3, out, true);
  if (reason !== 0) return dropped(director, reason);
  const sent = endsAtClient(director.flows, record);
  setQuotedEnds6(director, frame, sent);
  readdress(frame, l3, book, sent.destination, sent.source);
  icmpv6.refreshChecksum(frame, l3, l4, quote.end);
  addressToHop(director, frame, at, records[record + flow.HOP_HIGH] as number, hopLow);
  countRelayed(director);
  return send(out);
}

/** 0, or the reason to drop an error that came damaged. */
const damage = (frame: DataView, l3: number, l4: number): number =>
  icmpv6.hasGoodChecksum(frame, l3, l4, quote.end) ? 0 : ICMP_CHECKSUM;

/** Gives the quoted packet other ends. A receiver that stays may be one without a handle. */
function setQuotedEnds6(
  { flows: { book } }: Director,
  frame: DataView,
  { source, destination, ports, deltas }: QuotedEnds,
): void {
  setHandle(frame, quote.l3 + ipv6.SOURCE_OFFSET, book, source);
  if (destination !== quote.receiver) {
    setHandle(frame, quote.l3 + ipv6.DESTINATION_OFFSET, book, destination);
  }
  frame.setInt32(quote.l4, ports);
  mendQuote(frame, deltas >>> 16);
}

/** Mends the quoted packet's own checksum, if that much of it is quoted, and covers addresses. */
function mendQuote(frame: DataView, delta: number): void {
  if (quote.protocol === PROTOCOL_SCTP) return;
  const isTcp = quote.protocol === PROTOCOL_TCP;
  const field = quote.l4 + (isTcp ? tcp.CHECKSUM_OFFSET : udp.CHECKSUM_OFFSET);
  if (field + 2 > quote.end) return;
  const mended = checksum.apply(frame.getUint16(field), delta);
  frame.setUint16(field, isTcp ? mended : mended || 0xffff);
}

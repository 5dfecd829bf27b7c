// ICMP errors of others, of either family (RFC 792, RFC 4443; for NAT, RFC 5508, 4.2). An error
// quotes the packet that it speaks of, and that packet's flow says where the error belongs: one
// about a reply, to the real that sent it; one about a NAT request as the real saw it, to whom it
// came from. By DSR it goes by MAC address alone. By NAT the quoted packet is turned back into the
// one that its sender sent, or that sender would not know it. Sums of the quoted packet are mended
// and not judged, for routers quote what they have changed; that of the error itself must be right.
import { holdAddress, releaseAddress, UNKNOWN } from '../flow/address-book.ts';
import * as flow from '../flow/flow-table.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import { chooseReal, noteClient6 } from './choose-real.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { aheadOf, obstacle, sendToHop, sendToReal } from './onward.ts';
import { choosesByHash, isStrained } from './pass-statelessly.ts';
import {
  endsAtClient,
  endsAtReal,
  isToSender6,
  type QuotedEnds,
  quote,
  readQuote4,
  readQuote6,
  setQuotedEnds4,
  setQuotedEnds6,
  swappedPorts,
} from './quote.ts';
import { dropped, isOwnAddress, isOwnAddress6 } from './refuse.ts';
import { requestDeltas } from './rewrite.ts';
import { requestDeltas6, setHandle } from './rewrite6.ts';
import {
  findService,
  findService6,
  isNatReal,
  isVip,
  isVip6,
  METHOD_FULLNAT,
  METHOD_NAT,
} from './table.ts';
import { PASS, type Verdict } from './verdict.ts';

const IPV4_CHECKSUM = DROP['ipv4-checksum'];
const ICMP_CHECKSUM = DROP['icmp-checksum'];
const ICMP_QUOTE = DROP['icmp-quote'];
const ICMP_NO_FLOW = DROP['icmp-no-flow'];

/**
 * An ICMP error whose header has been checked, to a VIP or to anybody else.
 * @param end of the packet
 */
export function relayError(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
): Verdict {
  const { table, flows, nowMs } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  if (!isAboutSender(director, frame, l3, l4, end)) {
    return isToVip(director, frame, l3) ? dropped(director, ICMP_QUOTE) : PASS;
  }
  const { sender, receiver, protocol } = quote;
  const ports = swappedPorts(frame, quote.l4);
  const found = flow.findFlow(flows, receiver, sender, ports, protocol);
  if (found >= 0 && !flow.isOver(flows, found >>> 1, nowMs)) {
    return relayByFlow(director, frame, at, l4, found);
  }
  if (isToVip(director, frame, l3)) return relayByHash(director, frame, at, l4);
  // As with the reals' own packets: without its flow the client would hear it from a stranger.
  const isOurs = isNatReal(table, receiver, tcp.destinationPort(frame, quote.l4), protocol);
  return isOurs && !isToOwn(director, frame, l3) ? dropped(director, ICMP_NO_FLOW) : PASS;
}

/** An error speaks of a packet that its receiver sent, or it is a forgery. Reads the quote. */
function isAboutSender(
  { flows }: Director,
  frame: DataView,
  l3: number,
  l4: number,
  end: number,
): boolean {
  const first = l4 + icmp.HEADER_BYTES;
  return ipv6.isAt(frame, l3)
    ? readQuote6(flows.book, frame, first, end) && isToSender6(frame, l3, first)
    : readQuote4(frame, first, end) && quote.sender === ipv4.destination(frame, l3);
}

const isToVip = ({ table, packet }: Director, frame: DataView, l3: number): boolean =>
  ipv6.isAt(frame, l3)
    ? isVip6(table, packet.destination, frame, l3 + ipv6.DESTINATION_OFFSET)
    : isVip(table, ipv4.destination(frame, l3));

const isToOwn = (director: Director, frame: DataView, l3: number): boolean =>
  ipv6.isAt(frame, l3)
    ? isOwnAddress6(director, frame, l3 + ipv6.DESTINATION_OFFSET)
    : isOwnAddress(director, ipv4.destination(frame, l3));

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

/**
 * Several directors may share a VIP, and routers send errors to any of them. Where all of them
 * choose alike, the real can be told without its flow.
 */
function relayByHash(director: Director, frame: DataView, at: number, l4: number): Verdict {
  const { table, flows, choice } = director;
  const { sender, receiver, protocol } = quote;
  const ofIpv6 = ipv6.isAt(frame, quote.l3);
  const source = quote.l3 + ipv6.SOURCE_OFFSET;
  const destination = quote.l3 + ipv6.DESTINATION_OFFSET;
  const vipPort = tcp.sourcePort(frame, quote.l4);
  const clientPort = tcp.destinationPort(frame, quote.l4);
  const service = ofIpv6
    ? findService6(table, sender, frame, source, vipPort, protocol)
    : findService(table, sender, vipPort, protocol);
  if (!choosesByHash(director, service)) return dropped(director, ICMP_NO_FLOW);
  if (ofIpv6) noteClient6(choice, frame, destination);
  const client = ofIpv6 ? ipv6.fold(frame, destination) : receiver;
  const vip = ofIpv6 ? ipv6.fold(frame, source) : sender;
  choice.isFlowless = isStrained(director, service);
  const realId = chooseReal(director, service, client, clientPort, vip);
  if (realId < 0) return dropped(director, ICMP_NO_FLOW);
  const method = table.realMethod[realId] as number;
  // A port of the pool is known by the flow alone.
  if (method === METHOD_FULLNAT) return dropped(director, ICMP_NO_FLOW);
  if (method !== METHOD_NAT) return relayToReal(director, frame, at, l4, realId);
  const real = table.realAddress[realId] as number;
  const port = (table.realPort[realId] as number) || vipPort;
  // An address of a prefix has a number only while somebody holds it.
  const held = ofIpv6 ? holdAddress(flows.book, frame, source) : sender;
  if (ofIpv6 && held === UNKNOWN) return dropped(director, ICMP_NO_FLOW);
  const deltas = ofIpv6
    ? requestDeltas6(flows.book, held, vipPort, real, port)
    : requestDeltas(held, vipPort, real, port);
  if (ofIpv6) releaseAddress(flows.book, held);
  const ports = (port << 16) | clientPort;
  const sent = { source: real, destination: receiver, ports, deltas };
  return relayToReal(director, frame, at, l4, realId, sent);
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
  const l3 = at + ethernet.HEADER_BYTES;
  const out = director.ways[realId * WAY_WORDS + WAY_ARM] as number;
  const isNat = sent !== undefined;
  const ahead = aheadOf(director, realId);
  const reason = damage(frame, l3, l4) || obstacle(director, frame, l3, out, isNat, ahead);
  if (reason !== 0) return dropped(director, reason);
  if (isNat) {
    // To a real that sees a client's stand-in, all that speaks of the client comes from there.
    if (sent.destination !== quote.receiver) setSource(director, frame, l3, sent.destination);
    turnBack(director, frame, l3, l4, sent);
  }
  countRelayed(director);
  return sendToReal(director, frame, at, realId);
}

/**
 * The error is about a NAT request, and may come from a router behind the director as well as from
 * the real: to the client there is only the VIP.
 */
function relayToClient(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  record: number,
): Verdict {
  const { records } = director.flows;
  const l3 = at + ethernet.HEADER_BYTES;
  const hopLow = records[record + flow.HOP_LOW] as number;
  const reason = damage(frame, l3, l4) || obstacle(director, frame, l3, hopLow >>> 16, true);
  if (reason !== 0) return dropped(director, reason);
  const sent = endsAtClient(director.flows, record);
  setSource(director, frame, l3, sent.destination);
  turnBack(director, frame, l3, l4, sent);
  countRelayed(director);
  return sendToHop(director, frame, at, records[record + flow.HOP_HIGH] as number, hopLow);
}

/** 0, or the reason to drop an error that came damaged (RFC 5508, REQ-3). */
function damage(frame: DataView, l3: number, l4: number): number {
  if (ipv6.isAt(frame, l3)) {
    return icmpv6.hasGoodChecksum(frame, l3, l4, quote.end) ? 0 : ICMP_CHECKSUM;
  }
  if (!ipv4.hasGoodChecksum(frame, l3)) return IPV4_CHECKSUM;
  return icmp.hasGoodChecksum(frame, l4, quote.end) ? 0 : ICMP_CHECKSUM;
}

function setSource({ flows }: Director, frame: DataView, l3: number, address: number): void {
  if (ipv6.isAt(frame, l3)) setHandle(frame, l3 + ipv6.SOURCE_OFFSET, flows.book, address);
  else ipv4.setSource(frame, l3, address);
}

/** Sends an error back to the sender of the packet that it quotes, as that one sent it. */
function turnBack(
  { flows: { book } }: Director,
  frame: DataView,
  l3: number,
  l4: number,
  sent: QuotedEnds,
): void {
  if (ipv6.isAt(frame, l3)) {
    setQuotedEnds6(book, frame, sent);
    setHandle(frame, l3 + ipv6.DESTINATION_OFFSET, book, sent.source);
    ipv6.setHopLimit(frame, l3, ipv6.hopLimit(frame, l3) - 1);
    icmpv6.refreshChecksum(frame, l3, l4, quote.end);
    return;
  }
  setQuotedEnds4(frame, sent);
  ipv4.setDestination(frame, l3, sent.source);
  ipv4.decrementTimeToLive(frame, l3);
  icmp.refreshChecksum(frame, l4, quote.end);
}

/** Counts an error of somebody else that is sent on. */
function countRelayed({ counters }: Director): void {
  const { values } = counters;
  values[GLOBAL.relayedErrors] = (values[GLOBAL.relayedErrors] as number) + 1;
}

// ICMP errors of others (RFC 792; for NAT, RFC 5508, 4.2). An error quotes the packet that it
// speaks of, and that packet's flow says where the error belongs: one about a reply, to the real
// that sent it; one about a NAT request as the real saw it, to the client that sent it. By DSR it
// goes by MAC address alone. By NAT the quoted packet is turned back into the one that its sender
// sent, or that sender would not know it. Sums of the quoted packet are mended and not judged,
// because routers quote what they have already changed; the sum of the error itself must be right.
import * as flow from '../flow/flow-table.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { chooseReal } from './choose-real.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { aheadOf, obstacle, sendToHop, sendToReal } from './onward.ts';
import { choosesByHash } from './pass-statelessly.ts';
import {
  endsAtClient,
  endsAtReal,
  type QuotedEnds,
  quotedHeader,
  setQuotedEnds,
  swappedPorts,
} from './quote.ts';
import { dropped, isOwnAddress } from './refuse.ts';
import { requestDeltas } from './rewrite.ts';
import { findService, isNatReal, isVip, METHOD_FULLNAT, METHOD_NAT } from './table.ts';
import { PASS, type Verdict } from './verdict.ts';

const IPV4_CHECKSUM = DROP['ipv4-checksum'];
const ICMP_CHECKSUM = DROP['icmp-checksum'];
const ICMP_QUOTE = DROP['icmp-quote'];
const ICMP_NO_FLOW = DROP['icmp-no-flow'];

/** An ICMP error whose header has been checked, to a VIP or to anybody else. */
export function relayError(director: Director, frame: DataView, at: number, l4: number): Verdict {
  const { table, flows, nowMs } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const toVip = isVip(table, ipv4.destination(frame, l3));
  const quote = l4 + icmp.HEADER_BYTES;
  const quotedL4 = quotedHeader(frame, quote, l3 + ipv4.totalBytes(frame, l3));
  // It speaks of a packet that its receiver sent, or it is a forgery.
  const sender = quotedL4 === 0 ? 0 : ipv4.source(frame, quote);
  if (quotedL4 === 0 || sender !== ipv4.destination(frame, l3)) {
    return toVip ? dropped(director, ICMP_QUOTE) : PASS;
  }
  const receiver = ipv4.destination(frame, quote);
  const protocol = ipv4.protocol(frame, quote);
  const found = flow.findFlow(flows, receiver, sender, swappedPorts(frame, quotedL4), protocol);
  if (found >= 0 && !flow.isOver(flows, found >>> 1, nowMs)) {
    return relayByFlow(director, frame, at, l4, found);
  }
  if (toVip) return relayByHash(director, frame, at, l4, quotedL4);
  // As with the reals' own packets: without its flow the client would hear it from a stranger.
  const isOurs = isNatReal(table, receiver, tcp.destinationPort(frame, quotedL4), protocol);
  return isOurs && !isOwnAddress(director, sender) ? dropped(director, ICMP_NO_FLOW) : PASS;
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

/**
 * Several directors may share a VIP, and routers send errors to any of them. Where all of them
 * choose alike, the real can be told without its flow.
 */
function relayByHash(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  quotedL4: number,
): Verdict {
  const { table } = director;
  const quote = l4 + icmp.HEADER_BYTES;
  const vip = ipv4.source(frame, quote);
  const protocol = ipv4.protocol(frame, quote);
  const service = findService(table, vip, tcp.sourcePort(frame, quotedL4), protocol);
  if (!choosesByHash(director, service)) return dropped(director, ICMP_NO_FLOW);
  const clientPort = tcp.destinationPort(frame, quotedL4);
  const client = ipv4.destination(frame, quote);
  const realId = chooseReal(director, service, client, clientPort, vip);
  if (realId < 0) return dropped(director, ICMP_NO_FLOW);
  const method = table.realMethod[realId] as number;
  // A port of the pool is known by the flow alone.
  if (method === METHOD_FULLNAT) return dropped(director, ICMP_NO_FLOW);
  if (method !== METHOD_NAT) return relayToReal(director, frame, at, l4, realId);
  const vipPort = tcp.sourcePort(frame, quotedL4);
  const source = table.realAddress[realId] as number;
  const port = (table.realPort[realId] as number) || vipPort;
  const ports = (port << 16) | clientPort;
  const deltas = requestDeltas(vip, vipPort, source, port);
  return relayToReal(director, frame, at, l4, realId, {
    source,
    destination: client,
    ports,
    deltas,
  });
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
  const end = l3 + ipv4.totalBytes(frame, l3);
  const out = director.ways[realId * WAY_WORDS + WAY_ARM] as number;
  const isNat = sent !== undefined;
  const ahead = aheadOf(director, realId);
  const reason = damage(frame, l3, l4, end) || obstacle(director, frame, l3, out, isNat, ahead);
  if (reason !== 0) return dropped(director, reason);
  if (isNat) {
    const quote = l4 + icmp.HEADER_BYTES;
    // To a real that sees a client's stand-in, all that speaks of the client comes from there.
    if (sent.destination !== ipv4.destination(frame, quote)) {
      ipv4.setSource(frame, l3, sent.destination);
    }
    setQuotedEnds(frame, quote, quotedHeader(frame, quote, end), end, sent);
    ipv4.setDestination(frame, l3, sent.source);
    ipv4.decrementTimeToLive(frame, l3);
    icmp.refreshChecksum(frame, l4, end);
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
  const end = l3 + ipv4.totalBytes(frame, l3);
  const hopLow = records[record + flow.HOP_LOW] as number;
  const reason = damage(frame, l3, l4, end) || obstacle(director, frame, l3, hopLow >>> 16, true);
  if (reason !== 0) return dropped(director, reason);
  const quote = l4 + icmp.HEADER_BYTES;
  const sent = endsAtClient(director.flows, record);
  setQuotedEnds(frame, quote, quotedHeader(frame, quote, end), end, sent);
  ipv4.setSource(frame, l3, sent.destination);
  ipv4.setDestination(frame, l3, sent.source);
  ipv4.decrementTimeToLive(frame, l3);
  icmp.refreshChecksum(frame, l4, end);
  countRelayed(director);
  return sendToHop(director, frame, at, records[record + flow.HOP_HIGH] as number, hopLow);
}

/** 0, or the reason to drop an error that came damaged (RFC 5508, REQ-3). */
function damage(frame: DataView, l3: number, l4: number, end: number): number {
  if (!ipv4.hasGoodChecksum(frame, l3)) return IPV4_CHECKSUM;
  return icmp.hasGoodChecksum(frame, l4, end) ? 0 : ICMP_CHECKSUM;
}

/** Counts an error of somebody else that is sent on. */
export function countRelayed({ counters }: Director): void {
  const { values } = counters;
  values[GLOBAL.relayedErrors] = (values[GLOBAL.relayedErrors] as number) + 1;
}

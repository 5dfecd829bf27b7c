// The packet's way: classify, find its flow or choose a real, rewrite in place, verdict. One call a
// frame; nothing here allocates, throws or looks at a clock. Whatever the bytes are, no read and no
// write leaves the frame: every header is checked before it is used.
import {
  addFlow,
  DELTAS,
  EXPIRES_MS,
  findFlow,
  HOP_HIGH,
  HOP_LOW,
  IDS,
  isExpired,
  META,
  NAT_BIT,
  PORTS,
  REAL,
  RECORD_WORDS,
  REPLY_PORTS,
  REPLY_TAKEN,
  removeFlow,
  VIP,
} from '../flow/flow-table.ts';
import {
  CLIENT_ONLY,
  FROM_CLIENT,
  FROM_SERVER,
  isEnded,
  NONE,
  nextState,
  TIMEOUT_MS,
  UDP,
} from '../flow/tcp-states.ts';
import * as arp from '../wire/arp.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { answerArp, answerEcho } from './answer.ts';
import {
  dropAt,
  GLOBAL,
  NEIGHBOUR_RESOLVED,
  OPENED_FLOWS,
  REPLY_BYTES,
  REPLY_PACKETS,
  REQUEST_BYTES,
  REQUEST_PACKETS,
  realAt,
} from './counters.ts';
import type { Director } from './director.ts';
import { natReply, natRequest, requestDeltas, setMacs } from './rewrite.ts';
import { findService, isNatReal, isVip, METHOD_NAT } from './table.ts';
import { drop, PASS, send, type Verdict } from './verdict.ts';

const ETHERNET_TRUNCATED = DROP['ethernet-truncated'];
const FRAGMENT = DROP.fragment;
const IPV4_CHECKSUM = DROP['ipv4-checksum'];
const ICMP_TYPE = DROP['icmp-type'];
const IP_PROTOCOL = DROP['ip-protocol'];
const NO_SERVICE = DROP['no-service'];
const NO_REAL = DROP['no-real'];
const NO_FLOW = DROP['no-flow'];
const FLOW_TABLE_FULL = DROP['flow-table-full'];
const FLOW_CONFLICT = DROP['flow-conflict'];
const REAL_UNRESOLVED = DROP['real-unresolved'];
const TTL_EXPIRED = DROP['ttl-expired'];

/**
 * Decides about one frame and rewrites it in place.
 * @param at offset of the Ethernet header; `end` is just past the frame's last byte
 * @param arm index of the arm the frame came in on
 * @param partial 1 if the TCP or UDP checksum is left to the sender's device (CHECKSUM_PARTIAL)
 */
export function processFrame(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
  partial: number,
): Verdict {
  if (end - at < ethernet.HEADER_BYTES) return dropped(director, ETHERNET_TRUNCATED);
  const type = ethernet.type(frame, at);
  if (type !== ethernet.TYPE_IPV4) {
    return type === ethernet.TYPE_ARP ? processArp(director, frame, at, end, arm) : PASS;
  }
  // A frame that a switch flooded to us, but that is meant for another station, is not ours.
  if (
    ethernet.destinationHigh(frame, at) !== director.armMacHigh[arm] ||
    ethernet.destinationLow(frame, at) !== director.armMacLow[arm]
  ) {
    return PASS;
  }
  const l3 = at + ethernet.HEADER_BYTES;
  const bad = ipv4.check(frame, l3, end);
  if (bad !== 0) return dropped(director, bad);
  const protocol = ipv4.protocol(frame, l3);
  if (protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP) {
    return processOther(director, frame, at, arm);
  }
  if (ipv4.isFragment(frame, l3)) return notForwarded(director, frame, l3, FRAGMENT);
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const packetEnd = l3 + ipv4.totalBytes(frame, l3);
  const badL4 =
    protocol === ipv4.PROTOCOL_TCP
      ? tcp.check(frame, l4, packetEnd)
      : udp.check(frame, l4, packetEnd);
  if (badL4 !== 0) return notForwarded(director, frame, l3, badL4);
  return processFlow(director, frame, at, l4, end, arm, partial);
}

/** A TCP or UDP packet: by its flow if there is one, else by its service. */
function processFlow(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  partial: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const { flows, nowMs } = director;
  const protocol = ipv4.protocol(frame, l3);
  const found = findFlow(
    flows,
    ipv4.source(frame, l3),
    ipv4.destination(frame, l3),
    frame.getInt32(l4),
    protocol,
  );
  if (found < 0) return processNew(director, frame, at, l4, end, arm, partial);
  const number = found >>> 1;
  const record = number * RECORD_WORDS;
  const { records } = flows;
  const meta = records[record + META] as number;
  const isReply = found & 1;
  const nat = meta & NAT_BIT;
  let state = meta & 0xff;
  const neighbour = director.table.realNeighbour[(records[record + IDS] as number) & 0xffff];
  if (neighbour === undefined || neighbour < 0 || isExpired(flows, number, nowMs)) {
    removeFlow(flows, number);
    return processNew(director, frame, at, l4, end, arm, partial);
  }
  if (protocol === ipv4.PROTOCOL_TCP) {
    const flags = tcp.flags(frame, l4);
    const direction = isReply ? FROM_SERVER : nat ? FROM_CLIENT : CLIENT_ONLY;
    if ((flags & (tcp.SYN | tcp.ACK)) === tcp.SYN && !isReply && isEnded(state, direction)) {
      removeFlow(flows, number);
      return processNew(director, frame, at, l4, end, arm, partial);
    }
    state = nextState(direction, flags, state);
    records[record + META] = (meta & ~0xff) | state;
  }
  records[record + EXPIRES_MS] = (nowMs + (TIMEOUT_MS[state] as number)) | 0;
  if (isReply) return forwardReply(director, frame, at, l4, end, number, partial);
  if (nat) {
    // A client behind two routers may change its way; the replies follow the latest request.
    records[record + HOP_HIGH] = ethernet.sourceHigh(frame, at);
    records[record + HOP_LOW] = ethernet.sourceLow(frame, at) | (arm << 16);
  }
  return forwardRequest(director, frame, at, l4, end, number, partial);
}

/** Sends a request on to the real of its flow. */
function forwardRequest(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  number: number,
  partial: number,
): Verdict {
  const { flows, neighbours, table, counters, armMacHigh, armMacLow } = director;
  const { records } = flows;
  const record = number * RECORD_WORDS;
  const realId = (records[record + IDS] as number) & 0xffff;
  const neighbour = table.realNeighbour[realId] as number;
  if (neighbours.state[neighbour] !== NEIGHBOUR_RESOLVED) return dropped(director, REAL_UNRESOLVED);
  if ((records[record + META] as number) & NAT_BIT) {
    const l3 = at + ethernet.HEADER_BYTES;
    if (ipv4.timeToLive(frame, l3) <= 1) return dropped(director, TTL_EXPIRED);
    const real = records[record + REAL] as number;
    const realPort = (records[record + REPLY_PORTS] as number) >>> 16;
    const deltas = records[record + DELTAS] as number;
    natRequest(frame, l3, l4, real, realPort, deltas, partial);
  }
  const arm = neighbours.arm[neighbour] as number;
  const toHigh = neighbours.macHigh[neighbour] as number;
  const toLow = neighbours.macLow[neighbour] as number;
  setMacs(frame, at, toHigh, toLow, armMacHigh[arm] as number, armMacLow[arm] as number);
  const row = realAt(counters.room, realId);
  const { values } = counters;
  values[row + REQUEST_PACKETS] = (values[row + REQUEST_PACKETS] as number) + 1;
  values[row + REQUEST_BYTES] = (values[row + REQUEST_BYTES] as number) + (end - at);
  values[GLOBAL.sentFrames] = (values[GLOBAL.sentFrames] as number) + 1;
  return send(arm);
}

/** Sends a NAT reply back to the station that the request came from. */
function forwardReply(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  number: number,
  partial: number,
): Verdict {
  const { flows, counters, armMacHigh, armMacLow } = director;
  const { records } = flows;
  const record = number * RECORD_WORDS;
  const l3 = at + ethernet.HEADER_BYTES;
  if (ipv4.timeToLive(frame, l3) <= 1) return dropped(director, TTL_EXPIRED);
  const vipPort = (records[record + PORTS] as number) & 0xffff;
  const deltas = records[record + DELTAS] as number;
  natReply(frame, l3, l4, records[record + VIP] as number, vipPort, deltas, partial);
  const hop = records[record + HOP_LOW] as number;
  const arm = hop >>> 16;
  const toHigh = records[record + HOP_HIGH] as number;
  setMacs(frame, at, toHigh, hop & 0xffff, armMacHigh[arm] as number, armMacLow[arm] as number);
  const row = realAt(counters.room, (records[record + IDS] as number) & 0xffff);
  const { values } = counters;
  values[row + REPLY_PACKETS] = (values[row + REPLY_PACKETS] as number) + 1;
  values[row + REPLY_BYTES] = (values[row + REPLY_BYTES] as number) + (end - at);
  values[GLOBAL.sentFrames] = (values[GLOBAL.sentFrames] as number) + 1;
  return send(arm);
}

/** A packet that no flow knows: a new flow if a service takes it. */
function processNew(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  partial: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const { table } = director;
  const protocol = ipv4.protocol(frame, l3);
  const vip = ipv4.destination(frame, l3);
  const service = findService(table, vip, tcp.destinationPort(frame, l4), protocol);
  if (service < 0) return notForwarded(director, frame, l3, NO_SERVICE);
  if (!ipv4.hasGoodChecksum(frame, l3)) return dropped(director, IPV4_CHECKSUM);
  const scheduler = director.schedulers[service];
  const schedule = table.schedules[service];
  if (scheduler === undefined || schedule === undefined) return dropped(director, NO_SERVICE);
  const isTcp = protocol === ipv4.PROTOCOL_TCP;
  if (isTcp && !mayOpen(tcp.flags(frame, l4), scheduler.consistent)) {
    return dropped(director, NO_FLOW);
  }
  const client = ipv4.source(frame, l3);
  const choice = scheduler.choose(schedule, client, tcp.sourcePort(frame, l4));
  if (choice < 0) return dropped(director, NO_REAL);
  const realId = table.serviceReals[(table.serviceFirstReal[service] as number) + choice] as number;
  const neighbour = table.realNeighbour[realId] as number;
  if (director.neighbours.state[neighbour] !== NEIGHBOUR_RESOLVED) {
    return dropped(director, REAL_UNRESOLVED);
  }
  fillNewFlow(director, frame, at, l4, service, realId);
  director.newFlow.hopLow |= arm << 16;
  const state = isTcp ? nextState(FROM_CLIENT, tcp.flags(frame, l4), NONE) : UDP;
  const number = addFlow(director.flows, director.newFlow, state, director.nowMs);
  if (number === REPLY_TAKEN) return dropped(director, FLOW_CONFLICT);
  if (number < 0) return dropped(director, FLOW_TABLE_FULL);
  const { values, room } = director.counters;
  const opened = realAt(room, realId) + OPENED_FLOWS;
  values[opened] = (values[opened] as number) + 1;
  values[GLOBAL.openedFlows] = (values[GLOBAL.openedFlows] as number) + 1;
  return forwardRequest(director, frame, at, l4, end, number, partial);
}

/**
 * A connection opens with a SYN. Where the choice is the same on every director, a packet from the
 * middle of a connection may open a flow too: it goes where another director has sent it before.
 */
function mayOpen(flags: number, consistent: boolean): boolean {
  if (flags & (tcp.RST | tcp.FIN)) return false;
  if (flags & tcp.SYN) return (flags & tcp.ACK) === 0;
  return consistent && (flags & tcp.ACK) !== 0;
}

function fillNewFlow(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  service: number,
  realId: number,
): void {
  const { newFlow, table } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const clientPort = tcp.sourcePort(frame, l4);
  const vipPort = tcp.destinationPort(frame, l4);
  newFlow.client = ipv4.source(frame, l3);
  newFlow.vip = ipv4.destination(frame, l3);
  newFlow.ports = frame.getInt32(l4);
  newFlow.real = table.realAddress[realId] as number;
  const realPort = table.realPort[realId] as number;
  newFlow.replyPorts = (realPort << 16) | clientPort;
  newFlow.protocol = ipv4.protocol(frame, l3);
  newFlow.nat = table.serviceMethod[service] === METHOD_NAT;
  newFlow.realId = realId;
  newFlow.serviceId = service;
  newFlow.hopHigh = ethernet.sourceHigh(frame, at);
  newFlow.hopLow = ethernet.sourceLow(frame, at);
  newFlow.deltas = newFlow.nat ? requestDeltas(newFlow.vip, vipPort, newFlow.real, realPort) : 0;
}

function processArp(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
): Verdict {
  const bad = arp.check(frame, at + ethernet.HEADER_BYTES, end);
  if (bad !== 0) return dropped(director, bad);
  return answerArp(director, frame, at, arm);
}

/** ICMP and what else there is over IPv4: pings to a VIP are answered, the rest is dropped. */
function processOther(director: Director, frame: DataView, at: number, arm: number): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  if (ipv4.protocol(frame, l3) !== ipv4.PROTOCOL_ICMP) {
    return notForwarded(director, frame, l3, IP_PROTOCOL);
  }
  if (!isVip(director.table, ipv4.destination(frame, l3))) return PASS;
  if (ipv4.isFragment(frame, l3)) return dropped(director, FRAGMENT);
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const bad = icmp.check(frame, l4, l3 + ipv4.totalBytes(frame, l3));
  if (bad !== 0) return dropped(director, bad);
  if (icmp.type(frame, l4) !== icmp.ECHO_REQUEST) return dropped(director, ICMP_TYPE);
  return answerEcho(director, frame, at, l3, l4, arm);
}

/**
 * A packet that is not sent on. To a VIP: dropped for this reason. From a NAT real's own port: it
 * belongs to no flow. Anything else is none of the director's business.
 */
function notForwarded(director: Director, frame: DataView, l3: number, reason: number): Verdict {
  const { table } = director;
  if (isVip(table, ipv4.destination(frame, l3))) return dropped(director, reason);
  if (reason !== NO_SERVICE) return PASS;
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const source = ipv4.source(frame, l3);
  const fromReal = isNatReal(table, source, tcp.sourcePort(frame, l4), ipv4.protocol(frame, l3));
  return fromReal ? dropped(director, NO_FLOW) : PASS;
}

function dropped(director: Director, reason: number): Verdict {
  const { values } = director.counters;
  const at = dropAt(reason);
  values[at] = (values[at] as number) + 1;
  values[GLOBAL.droppedFrames] = (values[GLOBAL.droppedFrames] as number) + 1;
  return drop(reason);
}

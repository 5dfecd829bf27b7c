// A packet that no flow knows: if a service takes it and it may be the first of a flow, a real is
// chosen and remembered. Everything that can fail is asked before the flow is made.
import type { Arm, Subnet6 } from '../datapath/datapath.ts';
import { holdAddress, releaseAddress, UNKNOWN } from '../flow/address-book.ts';
import * as flow from '../flow/flow-table.ts';
import { SCTP_NONE } from '../flow/sctp-states.ts';
import * as tcpStates from '../flow/tcp-states.ts';
import { inSubnet, inSubnet6 } from '../wire/address.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as sctp from '../wire/sctp.ts';
import * as tcp from '../wire/tcp.ts';
import { judgeFull } from './availability.ts';
import { chooseReal, fillMapped, noteChoice, noteClient6 } from './choose-real.ts';
import { GLOBAL, OPENED_FLOWS, realAt } from './counters.ts';
import type { Director } from './director.ts';
import { mayOpenSctp } from './follow-sctp.ts';
import { forwardKnown, NO_TIME_TO_LIVE } from './known-flow.ts';
import { forwardKnown6 } from './known-flow6.ts';
import { countForClient, isLimited } from './limit-clients.ts';
import { NO_WAY, WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { isIpv6 } from './packet.ts';
import { choosesByHash, isStrained, passStatelessly, strainService } from './pass-statelessly.ts';
import { dropped, notForwarded, notForwarded6, refuseFlow } from './refuse.ts';
import { isToReset, resetFlow } from './reset-flow.ts';
import { addDeltas, requestDeltas } from './rewrite.ts';
import { requestDeltas6 } from './rewrite6.ts';
import { isAllowed } from './source-list.ts';
import { sourcesFor, takeSource } from './source-pool.ts';
import { findService, findService6, IPV6_BIT } from './table.ts';
import { isHost } from './tell-sender.ts';
import type { Verdict } from './verdict.ts';

const IPV4_CHECKSUM = DROP['ipv4-checksum'];
const NO_SERVICE = DROP['no-service'];
const NO_FLOW = DROP['no-flow'];
const SOURCE_DENIED = DROP['source-denied'];
const SOURCE_LIMITED = DROP['source-limited'];
const REAL_UNRESOLVED = DROP['real-unresolved'];
const FLOW_CONFLICT = DROP['flow-conflict'];
const FLOW_TABLE_FULL = DROP['flow-table-full'];
const NO_SOURCE_PORT = DROP['no-source-port'];

/** Instead of a record's number, beside those of addFlow. */
const NO_SOURCE = -3;

/** What a flow's record says of its method, by the method's number. */
export const METHOD_BITS = [
  0,
  flow.NAT_BIT,
  flow.NAT_BIT | flow.FULLNAT_BIT,
  flow.TUNNEL_BIT,
  flow.TUNNEL_BIT,
] as const;

/**
 * Opens a flow for a packet and sends it on, or says why not.
 * @returns the verdict, or NO_TIME_TO_LIVE or TOO_LONG with the frame untouched
 */
export function processNew(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const { table, packet, flows } = director;
  const reset = endOldFlow(director, frame, at, l4, arm);
  if (reset !== 0) return reset;
  const { protocol, destination: vip } = packet;
  const ofIpv6 = isIpv6(packet);
  const vipPort = tcp.destinationPort(frame, l4);
  const service = ofIpv6
    ? findService6(table, vip, frame, l3 + ipv6.DESTINATION_OFFSET, vipPort, protocol)
    : findService(table, vip, vipPort, protocol);
  if (service < 0) {
    return ofIpv6
      ? notForwarded6(director, frame, l3, l4, NO_SERVICE)
      : notForwarded(director, frame, at, NO_SERVICE);
  }
  if (!ofIpv6 && !ipv4.hasGoodChecksum(frame, l3)) return dropped(director, IPV4_CHECKSUM);
  if (ofIpv6) noteClient6(director.choice, frame, l3 + ipv6.SOURCE_OFFSET);
  if (isDenied(director, service)) return dropped(director, SOURCE_DENIED);
  const isTcp = (protocol & ~IPV6_BIT) === ipv4.PROTOCOL_TCP;
  const isSctp = (protocol & ~IPV6_BIT) === ipv4.PROTOCOL_SCTP;
  if (!mayOpen(director, service, frame, l4, end)) return dropped(director, NO_FLOW);
  if (isLimited(director, service)) return dropped(director, SOURCE_LIMITED);
  const { sourceHash, destinationHash } = packet;
  const clientPort = tcp.sourcePort(frame, l4);
  const isFromMiddle = !isOpening(packet.protocol, frame, l4, end);
  director.choice.isFlowless = isFromMiddle && isStrained(director, service);
  const realId = chooseReal(director, service, sourceHash, clientPort, destinationHash);
  if (realId < 0) return refuseFlow(director, frame, at, arm);
  const bits = bitsFor(director, realId);
  if ((bits & flow.NAT_BIT) !== 0 && packet.timeToLive <= 1) return NO_TIME_TO_LIVE;
  if (director.ways[realId * WAY_WORDS + WAY_ARM] === NO_WAY) {
    return dropped(director, REAL_UNRESOLVED);
  }
  if (ofIpv6 && !holdEnds(director, frame, l3)) return dropped(director, FLOW_TABLE_FULL);
  fillNewFlow(director, frame, at, l4, service, realId, arm);
  const hasSource = (bits & flow.FULLNAT_BIT) === 0 || takeSource(director);
  fillDeltas(director);
  const state = isTcp ? firstState(tcp.flags(frame, l4)) : isSctp ? SCTP_NONE : tcpStates.UDP_NEW;
  const { newFlow, nowMs } = director;
  const number = hasSource ? flow.addFlow(flows, newFlow, state, nowMs) : NO_SOURCE;
  // The flow holds them by itself now.
  if (ofIpv6) releaseEnds(director);
  if (number === NO_SOURCE) return dropped(director, NO_SOURCE_PORT);
  if (number === flow.REPLY_TAKEN) return dropped(director, FLOW_CONFLICT);
  if (number < 0) return processRoomless(director, frame, at, l4, end, service, arm, offload);
  noteChoice(director, service, number, realId);
  countForClient(director, service, number);
  const mayBeAlone = !isTcp && table.life.services[service]?.onePacket;
  if (mayBeAlone && !isSctp) director.onePacketFlow = number;
  countOpened(director, realId);
  // Its flow is there now, its real resolved, and its TTL high enough; it may still be too long.
  const verdict = ofIpv6
    ? forwardKnown6(director, frame, at, l4, end, arm, offload)
    : forwardKnown(director, frame, at, l4, end, arm, offload);
  // One packet proves nothing, for it may be forged: the flow may be given up until the next comes.
  if (!isSctp) flow.changeState(flows, number, state);
  return verdict;
}

/** Gives both ends of a new IPv6 flow their handles: a VIP of a prefix has none of its own. */
function holdEnds({ packet, flows: { book } }: Director, frame: DataView, l3: number): boolean {
  packet.source = holdAddress(book, frame, l3 + ipv6.SOURCE_OFFSET);
  if (packet.source === UNKNOWN) return false;
  packet.destination = holdAddress(book, frame, l3 + ipv6.DESTINATION_OFFSET);
  if (packet.destination !== UNKNOWN) return true;
  releaseAddress(book, packet.source);
  return false;
}

function releaseEnds({ packet, flows: { book } }: Director): void {
  releaseAddress(book, packet.source);
  releaseAddress(book, packet.destination);
}

/**
 * The bits of the method by which a client reaches a real. By NAT the real would answer a client on
 * its own network directly, and that one expects the VIP's answer: so the real sees an address of
 * the pool instead, if there is a pool.
 */
function bitsFor(director: Director, realId: number): number {
  const { table, packet, arms, ways } = director;
  const bits = METHOD_BITS[table.realMethod[realId] as number] as number;
  const arm = arms[ways[realId * WAY_WORDS + WAY_ARM] as number];
  if ((bits & flow.NAT_BIT) === 0 || sourcesFor(director).length === 0 || arm === undefined)
    return bits;
  // Nor of SCTP, whose checksum covers the ports.
  if ((packet.protocol & ~IPV6_BIT) === ipv4.PROTOCOL_SCTP) return bits;
  const real = table.realAddress[realId] as number;
  const isBeside = isIpv6(packet)
    ? areNear6(director, arm, real)
    : areNear(arm, packet.source, real);
  return isBeside ? bits | flow.FULLNAT_BIT : bits;
}

/** Whether both are on the network of the arm. */
const areNear = ({ address, prefixLength }: Arm, client: number, real: number): boolean =>
  prefixLength !== 0 &&
  inSubnet(client, address, prefixLength) &&
  inSubnet(real, address, prefixLength);

/** Whether the client that was noted and a real are on one network of the arm. */
function areNear6({ table, choice }: Director, { subnets6 }: Arm, real: number): boolean {
  if (subnets6 === undefined) return false;
  for (let index = 0; index < subnets6.length; index++) {
    const { address, prefixLength } = subnets6[index] as Subnet6;
    const isNear = inSubnet6(choice.client, address, prefixLength);
    if (isNear && inSubnet6(table.addresses6, address, prefixLength, real * 4)) return true;
  }
  return false;
}

/** Whether the service takes no new flows from this client. */
function isDenied({ table, packet, choice }: Director, service: number): boolean {
  const { source, destination } = packet;
  // What a VIP seems to ask itself could go round for ever by NAT. Two unknown ones may differ.
  if (source === destination && source !== UNKNOWN) return true;
  if (!isIpv6(packet) && !isHost(source)) return true;
  const sources = table.sources[service];
  if (sources === undefined) return false;
  if (!isIpv6(packet)) fillMapped(choice.client, packet.source);
  return !isAllowed(sources, choice.client);
}

/** There is no room for its flow: a hash chooses now, unless a hash alone has chosen already. */
function processRoomless(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  service: number,
  arm: number,
  offload: number,
): Verdict {
  const { newFlow, packet, choice, table, schedulers } = director;
  const mayPersist = table.life.services[service]?.persistence !== undefined;
  const isConsistent = schedulers[service]?.consistent === true && !mayPersist;
  const isChosen = isStrained(director, service) && (choice.isFlowless || !mayPersist);
  const isNat = (newFlow.bits & flow.NAT_BIT) !== 0;
  // Each such packet prolongs the strain.
  if (!isNat && !isConsistent) strainService(director, service);
  if (!isNat && !isConsistent && !isChosen) {
    choice.isFlowless = true;
    const { sourceHash, destinationHash } = packet;
    const clientPort = tcp.sourcePort(frame, l4);
    const realId = chooseReal(director, service, sourceHash, clientPort, destinationHash);
    if (realId < 0) return refuseFlow(director, frame, at, arm);
    fillNewFlow(director, frame, at, l4, service, realId, arm);
  }
  return passStatelessly(director, newFlow, frame, at, l4, end, arm, offload);
}

/**
 * The state of a connection of which one packet has been seen. That it seems to be from the middle
 * makes it no more than half open.
 */
function firstState(flags: number): number {
  const state = tcpStates.nextState(tcpStates.FROM_CLIENT, flags, tcpStates.NONE);
  return state === tcpStates.ESTABLISHED ? tcpStates.SYN_RECV : state;
}

/**
 * What is still remembered under this packet's key is over: it would have been sent on otherwise.
 * @returns the verdict if the packet ends a connection that is to be reset, else 0
 */
function endOldFlow(director: Director, frame: DataView, at: number, l4: number, arm: number) {
  const { flows, packet } = director;
  const { source, destination, protocol } = packet;
  const found = flow.findFlow(flows, source, destination, frame.getInt32(l4), protocol);
  if (found < 0) return 0;
  if (isToReset(director, frame, l4, found)) return resetFlow(director, frame, at, l4, arm, found);
  flow.removeFlow(flows, found >>> 1);
  return 0;
}

/**
 * A connection opens with a SYN. Where the choice is the same on every director, a packet from the
 * middle of a connection, or from its end, may open a flow too: it goes where another director (or
 * this one before a restart) has sent those before it. A RST never opens one, as with the
 * `sloppy_tcp` of IPVS.
 */
function mayOpen(
  director: Director,
  service: number,
  frame: DataView,
  l4: number,
  end: number,
): boolean {
  const consistent = choosesByHash(director, service);
  const protocol = director.packet.protocol & ~IPV6_BIT;
  if (protocol === ipv4.PROTOCOL_SCTP) {
    return mayOpenSctp(sctp.chunkType(frame, l4, end), consistent);
  }
  if (protocol !== ipv4.PROTOCOL_TCP) return true;
  const flags = tcp.flags(frame, l4);
  if (flags & tcp.RST) return false;
  if (flags & tcp.SYN) return (flags & (tcp.ACK | tcp.FIN)) === 0;
  return consistent && (flags & tcp.ACK) !== 0;
}

/** Whether it begins something, rather than being from the middle of a connection. */
export function isOpening(key: number, frame: DataView, l4: number, end: number): boolean {
  const protocol = key & ~IPV6_BIT;
  if (protocol === ipv4.PROTOCOL_SCTP) return sctp.chunkType(frame, l4, end) === sctp.INIT;
  if (protocol !== ipv4.PROTOCOL_TCP) return true;
  return (tcp.flags(frame, l4) & (tcp.SYN | tcp.ACK)) === tcp.SYN;
}

function fillNewFlow(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  service: number,
  realId: number,
  arm: number,
): void {
  const { newFlow, table, packet } = director;
  const vipPort = tcp.destinationPort(frame, l4);
  const realPort = (table.realPort[realId] as number) || vipPort;
  newFlow.client = packet.source;
  newFlow.vip = packet.destination;
  newFlow.ports = frame.getInt32(l4);
  newFlow.real = table.realAddress[realId] as number;
  newFlow.replyPorts = (realPort << 16) | tcp.sourcePort(frame, l4);
  newFlow.protocol = packet.protocol;
  newFlow.local = newFlow.client;
  newFlow.bits = bitsFor(director, realId);
  newFlow.realId = realId;
  newFlow.serviceId = service;
  newFlow.hopHigh = ethernet.sourceHigh(frame, at);
  newFlow.hopLow = ethernet.sourceLow(frame, at) | (arm << 16);
}

/** What its requests' checksums change by, of a new flow that is known in all else. */
function fillDeltas({ newFlow, flows, packet }: Director): void {
  const { client, vip, ports, real, replyPorts, local, bits } = newFlow;
  const [vipPort, realPort] = [ports & 0xffff, replyPorts >>> 16];
  newFlow.deltas = 0;
  if ((bits & flow.NAT_BIT) === 0) return;
  newFlow.deltas = isIpv6(packet)
    ? requestDeltas6(flows.book, vip, vipPort, real, realPort)
    : requestDeltas(vip, vipPort, real, realPort);
  if ((bits & flow.FULLNAT_BIT) === 0) return;
  const [clientPort, localPort] = [ports >>> 16, replyPorts & 0xffff];
  const more = isIpv6(packet)
    ? requestDeltas6(flows.book, client, clientPort, local, localPort)
    : requestDeltas(client, clientPort, local, localPort);
  newFlow.deltas = addDeltas(newFlow.deltas, more);
}

function countOpened(director: Director, realId: number): void {
  const { values, room } = director.counters;
  // It may be full now, and one flow less when somebody asks again: that is not yet few enough.
  judgeFull(director, realId);
  const opened = realAt(room, realId) + OPENED_FLOWS;
  values[opened] = (values[opened] as number) + 1;
  values[GLOBAL.openedFlows] = (values[GLOBAL.openedFlows] as number) + 1;
}

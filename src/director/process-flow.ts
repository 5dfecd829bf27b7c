// The way of a packet of TCP, UDP or SCTP whose headers have been checked, of either family: by its
// flow if it has one, else by its service; and what its sender is told if it can go neither way.
import { changeState, findFlow, IDS, META, RECORD_WORDS, removeFlow } from '../flow/flow-table.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { packetBytes } from '../wire/tunnel.ts';
import { DOWN } from './availability.ts';
import { cutFrame, LEAST_PIECE } from './cut-frame.ts';
import type { Director } from './director.ts';
import {
  forwardFound,
  forwardKnown,
  NO_TIME_TO_LIVE,
  NOT_KNOWN,
  NOT_RESOLVED,
  TOO_LONG,
} from './known-flow.ts';
import { forwardFound6, forwardKnown6 } from './known-flow6.ts';
import { ANY_LENGTH, mayCut, segmentBytes } from './length.ts';
import { isOpening, processNew } from './open-flow.ts';
import { isIpv6, readIpv4 } from './packet.ts';
import { countStateless } from './pass-statelessly.ts';
import { dropped } from './refuse.ts';
import { MOST_SEGMENTS, segmentFrame, segmentPayload } from './segment-frame.ts';
import { IPV6_BIT } from './table.ts';
import { tellTimeExceeded, tellTooBig } from './tell-sender.ts';
import { tellTimeExceeded6, tellTooBig6 } from './tell-sender6.ts';
import { kindOf, SEND, type Verdict } from './verdict.ts';

const REAL_UNRESOLVED = DROP['real-unresolved'];
const TTL_EXPIRED = DROP['ttl-expired'];
const TOO_BIG = DROP['too-big'];
const TOO_MANY_SEGMENTS = DROP['too-many-segments'];

/** @param l4 offset of the TCP or UDP header; of IPv6 the packet has been read */
export function processFlow(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const verdict = processPiece(director, frame, at, l4, end, arm, offload);
  if (director.onePacketFlow >= 0) endOnePacket(director);
  return verdict;
}

/**
 * The same for a first fragment, whose flow the others ask for.
 * The caller calls endOnePacket when they have.
 */
export function processPiece(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const ofIpv6 = ipv6.isAt(frame, l3);
  const known = ofIpv6
    ? forwardKnown6(director, frame, at, l4, end, arm, offload)
    : forwardKnown(director, frame, at, l4, end, arm, offload);
  if (known >= 0) return known;
  director.isPassing = false;
  if (!ofIpv6) readIpv4(director.packet, frame, l3);
  const isNew =
    known === NOT_KNOWN || (known === NOT_RESOLVED && mayMove(director, frame, l4, end));
  const verdict = isNew ? processNew(director, frame, at, l4, end, arm, offload) : known;
  if (verdict === NOT_RESOLVED) return dropped(director, REAL_UNRESOLVED);
  if (verdict === TOO_LONG) {
    return processTooLong(director, frame, at, l4, end, arm, offload, isNew);
  }
  if (verdict !== NO_TIME_TO_LIVE) return verdict;
  const tell = ofIpv6 ? tellTimeExceeded6 : tellTimeExceeded;
  tell(director, frame, at, arm);
  return dropped(director, TTL_EXPIRED);
}

/** One-packet scheduling: the flow of a datagram is over when that has gone its way. */
export function endOnePacket(director: Director): void {
  if (director.onePacketFlow >= 0) removeFlow(director.flows, director.onePacketFlow);
  director.onePacketFlow = -1;
}

/**
 * A flow whose real is down. An exchange of UDP goes to another real at once, and so does a client
 * that opens its connection anew; an established one waits until its real is back.
 */
function mayMove(
  { flows, states, packet }: Director,
  frame: DataView,
  l4: number,
  end: number,
): boolean {
  const { source, destination, protocol } = packet;
  const found = findFlow(flows, source, destination, frame.getInt32(l4), protocol);
  const realId = (flows.records[(found >>> 1) * RECORD_WORDS + IDS] as number) & 0xffff;
  if (found < 0 || ((states.closed[realId] as number) & DOWN) === 0) return false;
  return isOpening(protocol, frame, l4, end);
}

/**
 * A packet that its flow's next arm cannot send, or the real's tunnel cannot take: cut if it may be
 * (RFC 791, 3.2), a super-frame into its segments, else told of. Of either family; of IPv6 the
 * packet has been read.
 */
function processTooLong(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
  isNew: boolean,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const { narrowMtu, packet } = director;
  const ofIpv6 = ipv6.isAt(frame, l3);
  const protocol = ofIpv6 ? packet.protocol ^ IPV6_BIT : ipv4.protocol(frame, l3);
  const isSuper = segmentBytes(offload) !== 0;
  const payload = isSuper ? segmentPayload(frame, l3, l4, protocol, offload, narrowMtu) : 0;
  // Nobody here could finish the sum of SCTP.
  const isUnfinished = (offload & 1) !== 0 && protocol === ipv4.PROTOCOL_SCTP;
  const isCut = !ofIpv6 && mayCut(frame, l3) && narrowMtu >= LEAST_PIECE;
  if (isSuper ? payload === 0 : isUnfinished || !isCut) {
    const tell = ofIpv6 ? tellTooBig6 : tellTooBig;
    tell(director, frame, at, arm, narrowMtu);
    return dropped(director, TOO_BIG);
  }
  if (isSuper && packetBytes(frame, l3) > payload * MOST_SEGMENTS) {
    return dropped(director, TOO_MANY_SEGMENTS);
  }
  const forwardOld = ofIpv6 ? forwardKnown6 : forwardKnown;
  const forward = isNew ? forwardFirst : forwardOld;
  const verdict = forward(director, frame, at, l4, end, arm, offload | ANY_LENGTH);
  if (kindOf(verdict) !== SEND) return dropped(director, TOO_BIG);
  if (isSuper)
    return segmentFrame(director, frame, at, l4, protocol, verdict, payload, offload & 1);
  return cutFrame(director, frame, at, verdict, offload & 1, narrowMtu);
}

/**
 * forwardKnown or forwardKnown6 for the packet that has just opened its flow, or goes without one.
 * One packet proves nothing, for it may be forged, so the flow's state stays that of its beginning.
 */
function forwardFirst(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const { flows, packet, isPassing } = director;
  const { source, destination, protocol } = packet;
  const ports = frame.getInt32(l4);
  const found = isPassing
    ? flows.maximum << 1
    : findFlow(flows, source, destination, ports, protocol);
  if (found < 0) return NOT_KNOWN;
  const meta = flows.records[(found >>> 1) * RECORD_WORDS + META] as number;
  const time = frame.getUint16(at + ethernet.HEADER_BYTES + 8);
  const verdict = isIpv6(packet)
    ? forwardFound6(director, frame, at, l4, end, arm, offload, found)
    : forwardFound(director, frame, at, l4, end, arm, offload, time, found);
  if (isPassing || (protocol & ~IPV6_BIT) !== ipv4.PROTOCOL_SCTP)
    changeState(flows, found >>> 1, meta & 0xff);
  if (isPassing && verdict > 0) countStateless(director, verdict);
  return verdict;
}

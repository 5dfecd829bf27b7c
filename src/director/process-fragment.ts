// The way of a packet that comes in pieces. Its first fragment shows the ports and goes the way of
// any other packet; the others follow it by the fragment table, and those that came before it wait
// there. Each piece is rewritten by itself: the addresses of every one, ports and checksum in the
// first alone, since the sum's change does not depend on the data. Nothing is put together here, so
// pieces that overlap are the receiver's affair, except where one would write over the ports.
import * as flow from '../flow/flow-table.ts';
import {
  ADDRESS,
  addEntry,
  countFragment,
  DETAIL,
  ECHOED,
  findEntry,
  freeSlot,
  HOP_HIGH,
  HOP_LOW,
  heldSlot,
  holdFrame,
  holdWay,
  idProtocol,
  PASSED,
  PEER,
  REFUSED,
  restartEntry,
  slotAt,
  TO_CLIENT,
  TO_REAL,
  WAITING,
  WAY,
} from '../flow/fragment-table.ts';
import { copyOut } from '../wire/bytes.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as sctp from '../wire/sctp.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { answerEcho } from './answer.ts';
import { GLOBAL } from './counters.ts';
import type { Director, FirstPiece } from './director.ts';
import { follow } from './follow-fragment.ts';
import { endOnePacket, processPiece } from './process-flow.ts';
import { publishFragments } from './publish.ts';
import { dropped, isOwnAddress, notForwarded } from './refuse.ts';
import { IPV6_BIT, isNatAddress, isVip } from './table.ts';
import {
  ANSWER,
  DROP_FRAME,
  detailOf,
  kindOf,
  PASS,
  restOf,
  SEND,
  TAKEN,
  type Verdict,
} from './verdict.ts';

const MALFORMED = DROP['fragment-malformed'];
const TABLE_FULL = DROP['fragment-table-full'];
const IP_PROTOCOL = DROP['ip-protocol'];
const IPV4_CHECKSUM = DROP['ipv4-checksum'];

const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;
const LONGEST_PACKET = 65_535;
/** So much of an SCTP packet its first piece shows. */
export const SCTP_BYTES = sctp.HEADER_BYTES + sctp.CHUNK_HEADER_BYTES;

/** A fragment whose IPv4 header has been checked. */
export function processFragment(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const protocol = ipv4.protocol(frame, l3);
  const toVip = isVip(director.table, ipv4.destination(frame, l3));
  const hasPorts = ipv4.hasPorts(protocol);
  if (toVip) {
    if (!hasPorts && protocol !== ipv4.PROTOCOL_ICMP) return dropped(director, IP_PROTOCOL);
  } else if (!hasPorts || !mayBeReply(director, frame, l3)) {
    return PASS;
  }
  if (isMisplaced(frame, l3)) return notForwarded(director, frame, at, MALFORMED);
  const isFirst = (ipv4.fragmentField(frame, l3) & FRAGMENT_OFFSET) === 0;
  const verdict = isFirst
    ? processFirst(director, frame, at, end, arm)
    : processLater(director, frame, at, end, arm);
  publishFragments(director);
  return verdict;
}

/** From the address of a NAT real, and to another host. */
function mayBeReply(director: Director, frame: DataView, l3: number): boolean {
  if (!isNatAddress(director.table, ipv4.source(frame, l3))) return false;
  return !isOwnAddress(director, ipv4.destination(frame, l3));
}

const payloadBytes = (frame: DataView, l3: number): number =>
  ipv4.totalBytes(frame, l3) - ipv4.headerBytes(frame, l3);

const offsetBytes = (frame: DataView, l3: number): number =>
  (ipv4.fragmentField(frame, l3) & FRAGMENT_OFFSET) << 3;

/**
 * True for what no sender makes: empty, torn in the middle of eight bytes, beyond the longest
 * packet, or over the fixed part of a TCP header, whose ports and checksum have been looked at in
 * another fragment by then (RFC 1858, 3; RFC 3128), or over that of SCTP with its first chunk's.
 */
function isMisplaced(frame: DataView, l3: number): boolean {
  const payload = payloadBytes(frame, l3);
  const offset = offsetBytes(frame, l3);
  const hasMore = (ipv4.fragmentField(frame, l3) & MORE_FRAGMENTS) !== 0;
  if (payload === 0 || (hasMore && (payload & 7) !== 0)) return true;
  if (ipv4.HEADER_BYTES + offset + payload > LONGEST_PACKET) return true;
  const protocol = ipv4.protocol(frame, l3);
  if (protocol === ipv4.PROTOCOL_SCTP) return offset !== 0 && offset < SCTP_BYTES;
  return protocol === ipv4.PROTOCOL_TCP && offset !== 0 && offset < tcp.HEADER_BYTES;
}

/** Bytes of the whole packet's payload, which only the last fragment shows; else 0. */
function shownTotal(frame: DataView, l3: number): number {
  if ((ipv4.fragmentField(frame, l3) & MORE_FRAGMENTS) !== 0) return 0;
  return offsetBytes(frame, l3) + payloadBytes(frame, l3);
}

/** Decides about the packet, remembers it for the others, and sends those on that waited for it. */
function processFirst(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
): Verdict {
  // The decision rewrites the frame, so what the others look like is noted before.
  notePiece(director.firstPiece, frame, at + ethernet.HEADER_BYTES);
  const verdict = decideFirst(director, frame, at, end, arm);
  const { source, destination, ports, protocol } = director.firstPiece;
  noteWay(director, verdict, flow.findFlow(director.flows, source, destination, ports, protocol));
  endOnePacket(director);
  return verdict;
}

/**
 * Notes the way of the packet whose first piece has been decided about.
 * @param found the flow of the piece as it came, as from findFlow
 */
export function noteWay(director: Director, verdict: Verdict, found: number): void {
  const { fragments, nowMs, firstPiece } = director;
  const { source, destination, id } = firstPiece;
  const wasSent = kindOf(verdict) === SEND || kindOf(verdict) === TAKEN;
  // Sent on, and no flow: that was one for this packet alone.
  const sentBy = found >= 0 ? found : director.flows.maximum << 1;
  const flowFound = wasSent ? sentBy : -1;
  const way = wayAfter(verdict, flowFound);
  let entry = findEntry(fragments, source, destination, id, nowMs);
  if (entry < 0) entry = addEntry(fragments, source, destination, id, way, nowMs);
  else restartEntry(fragments, entry, way, nowMs);
  if (entry < 0) return;
  countFragment(fragments, entry, firstPiece.payloadBytes, 0, nowMs);
  describeWay(director, entry, verdict, flowFound);
  sendHeld(director, entry);
}

function notePiece(piece: FirstPiece, frame: DataView, l3: number): void {
  piece.source = ipv4.source(frame, l3);
  piece.destination = ipv4.destination(frame, l3);
  piece.protocol = ipv4.protocol(frame, l3);
  piece.id = idProtocol(ipv4.identification(frame, l3), piece.protocol);
  piece.payloadBytes = payloadBytes(frame, l3);
  piece.ports = piece.payloadBytes < 4 ? 0 : frame.getInt32(l3 + ipv4.headerBytes(frame, l3));
}

function decideFirst(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const packetEnd = l3 + ipv4.totalBytes(frame, l3);
  const protocol = ipv4.protocol(frame, l3);
  if (protocol === ipv4.PROTOCOL_ICMP) return decideEcho(director, frame, at, l4, packetEnd, arm);
  // The whole header must be there, as honest senders have it (RFC 1858, 3.2).
  if (isTorn(frame, protocol, l4, packetEnd)) return notForwarded(director, frame, at, MALFORMED);
  return processPiece(director, frame, at, l4, end, arm, 0);
}

/**
 * True if a first fragment shows not the whole header, or is the whole packet and so no fragment.
 */
function isTorn(frame: DataView, protocol: number, l4: number, end: number): boolean {
  if (protocol === ipv4.PROTOCOL_TCP) return tcp.check(frame, l4, end) !== 0;
  if (protocol === ipv4.PROTOCOL_SCTP) return end - l4 < SCTP_BYTES;
  return end - l4 < udp.HEADER_BYTES || udp.lengthBytes(frame, l4) <= end - l4;
}

/** A ping is answered piece by piece: all that its reply differs in are addresses and the type. */
function decideEcho(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  if (end - l4 < icmp.HEADER_BYTES || icmp.type(frame, l4) !== icmp.ECHO_REQUEST) {
    return dropped(director, MALFORMED);
  }
  if (!ipv4.hasGoodChecksum(frame, l3)) return dropped(director, IPV4_CHECKSUM);
  return answerEcho(director, frame, at, l3, l4, arm);
}

function wayAfter(verdict: Verdict, flowFound: number): number {
  if (flowFound >= 0) return (flowFound & 1) === 0 ? TO_REAL : TO_CLIENT;
  const kind = kindOf(verdict);
  if (kind === ANSWER) return ECHOED;
  return kind === DROP_FRAME ? REFUSED : PASSED;
}

/** Notes what the others need: of the flow, because it may be gone before they come. */
function describeWay(
  { fragments, flows }: Director,
  entry: number,
  verdict: Verdict,
  flowFound: number,
): void {
  const { entries } = fragments;
  entries[entry + DETAIL] = detailOf(verdict);
  if (flowFound < 0) return;
  const { records } = flows;
  const record = (flowFound >>> 1) * flow.RECORD_WORDS;
  const meta = records[record + flow.META] as number;
  const isNat = (meta & flow.NAT_BIT) !== 0;
  const isReply = (flowFound & 1) !== 0;
  const known = records[record + (isReply ? flow.VIP : flow.REAL)] as number;
  const ofIpv6 = ((meta >>> 8) & IPV6_BIT) !== 0;
  entries[entry + DETAIL] = (records[record + flow.IDS] as number) & 0xffff;
  entries[entry + ADDRESS] = isNat ? (ofIpv6 ? ~known : known) : 0;
  entries[entry + PEER] = records[record + (isReply ? flow.CLIENT : flow.LOCAL)] as number;
  entries[entry + HOP_HIGH] = records[record + flow.HOP_HIGH] as number;
  entries[entry + HOP_LOW] = records[record + flow.HOP_LOW] as number;
  if (ofIpv6 && isNat) holdWay(fragments, entry);
}

/** Sends the held frames of a packet whose first fragment has come: behind that one. */
function sendHeld(director: Director, entry: number): void {
  const { fragments, outbox, counters } = director;
  const { held, heldBytes, heldArm, heldTag } = fragments;
  const { tag: tagOfFirst } = director;
  for (let slot = heldSlot(fragments, entry); slot >= 0; slot = heldSlot(fragments, entry)) {
    const at = slotAt(slot);
    const end = at + (heldBytes[slot] as number);
    const tag = heldTag[slot] as number;
    director.tag = tag;
    const verdict = follow(director, entry, held, at, end, heldArm[slot] as number);
    const kind = kindOf(verdict);
    if (kind === SEND || kind === ANSWER) {
      const countAs = kind === SEND ? GLOBAL.sentFrames : GLOBAL.answeredFrames;
      const bytes = copyOut(held, at - restOf(verdict), end);
      outbox.push({ arm: detailOf(verdict), bytes, tag, countAs });
    } else if (kind === PASS) {
      const passed = counters.values[GLOBAL.passedFrames] as number;
      counters.values[GLOBAL.passedFrames] = passed + 1;
    }
    freeSlot(fragments, slot);
  }
  director.tag = tagOfFirst;
}

function processLater(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  notePiece(director.firstPiece, frame, l3);
  return joinPacket(director, frame, at, end, arm, shownTotal(frame, l3));
}

/**
 * Sends a piece that was noted the way of its packet, or holds it until that is known.
 * @param totalBytes bytes of the whole packet's payload if this is its last piece, else 0
 */
export function joinPacket(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
  totalBytes: number,
): Verdict {
  const { fragments, nowMs, firstPiece } = director;
  const { source, destination, id, payloadBytes } = firstPiece;
  let entry = findEntry(fragments, source, destination, id, nowMs);
  if (entry < 0) entry = addEntry(fragments, source, destination, id, WAITING, nowMs);
  if (entry < 0) return dropped(director, TABLE_FULL);
  countFragment(fragments, entry, payloadBytes, totalBytes, nowMs);
  if (fragments.entries[entry + WAY] !== WAITING) {
    return follow(director, entry, frame, at, end, arm);
  }
  const isHeld = holdFrame(fragments, entry, frame, at, end, arm, director.tag);
  return isHeld ? TAKEN : dropped(director, TABLE_FULL);
}

// The end of a connection whose drained real has had its time: each side gets a RST, made of the
// next packet that passes, for only that one shows sequence numbers that both sides take. Its
// sender gets one as from the other side (RFC 9293, 3.5.2), and the other side one as from its
// sender, with the number that it expects next (RFC 5961, 3.2). UDP knows no end; its flows are
// forgotten.
import { EXPIRES_MS, IDS, RECORD_WORDS, removeFlow } from '../flow/flow-table.ts';
import * as checksum from '../wire/checksum.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { forwardKnown } from './known-flow.ts';
import { forwardKnown6 } from './known-flow6.ts';
import { RESET_OLD } from './life.ts';
import { GONE, WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { isIpv6 } from './packet.ts';
import { dropped } from './refuse.ts';
import { IPV6_BIT } from './table.ts';
import { detailOf, kindOf, restOf, SEND, type Verdict } from './verdict.ts';

const FLOW_RESET = DROP['flow-reset'];
const TCP = 6;
/** Room for the headers of a tunnel. */
const HEADROOM = 128;
const TIME_TO_LIVE = 64;

/** True for a packet of a connection that is to be reset, unless it opens a new one. */
export function isToReset(director: Director, frame: DataView, l4: number, found: number): boolean {
  const { states, table, flows, packet, nowMs } = director;
  const record = (found >>> 1) * RECORD_WORDS;
  const realId = (flows.records[record + IDS] as number) & 0xffff;
  if (states.spent[realId] === 0 || table.life.reals[realId]?.old !== RESET_OLD) return false;
  if ((packet.protocol & ~IPV6_BIT) !== TCP) return false;
  if ((((flows.records[record + EXPIRES_MS] as number) - nowMs) | 0) <= 0) return false;
  return (tcp.flags(frame, l4) & (tcp.SYN | tcp.ACK)) !== tcp.SYN;
}

/** Resets both sides, and forgets the flow. @param end just past the packet's last byte */
export function resetFlow(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  arm: number,
  found: number,
): Verdict {
  const { values } = director.counters;
  if ((tcp.flags(frame, l4) & tcp.RST) === 0) pushAnswer(director, frame, at, l4, arm);
  pushOnward(director, frame, at, l4, arm, found);
  removeFlow(director.flows, found >>> 1);
  values[GLOBAL.resetFlows] = (values[GLOBAL.resetFlows] as number) + 1;
  return dropped(director, FLOW_RESET);
}

/** To the sender, as from the other side: with the number that it has acknowledged. */
function pushAnswer(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  arm: number,
): void {
  const flags = tcp.flags(frame, l4);
  const hasAck = (flags & tcp.ACK) !== 0;
  const sequence = hasAck ? tcp.acknowledgment(frame, l4) : 0;
  const next = (tcp.sequence(frame, l4) + segmentLength(director, frame, at, l4)) >>> 0;
  const bytes = copyHeaders(frame, at, l4, 0);
  const view = new DataView(bytes.buffer);
  const { armMacHigh, armMacLow } = director;
  ethernet.setDestination(view, 0, ethernet.sourceHigh(frame, at), ethernet.sourceLow(frame, at));
  ethernet.setSource(view, 0, armMacHigh[arm] as number, armMacLow[arm] as number);
  const ofIpv6 = isIpv6(director.packet);
  const [from, length] = ofIpv6 ? [ipv6.SOURCE_OFFSET, 16] : [12, 4];
  swap(bytes, ethernet.HEADER_BYTES + from, length);
  swap(bytes, l4 - at, 2);
  makeReset(view, 0, l4 - at, ofIpv6, sequence, hasAck ? -1 : next);
  director.outbox.push({ arm, bytes, tag: director.tag });
}

/** What a segment takes of the sequence numbers: its payload, and one each for SYN and FIN. */
function segmentLength({ packet }: Director, frame: DataView, at: number, l4: number): number {
  const l3 = at + ethernet.HEADER_BYTES;
  const bytes = isIpv6(packet) ? ipv6.totalBytes(frame, l3) : frame.getUint16(l3 + 2);
  const flags = tcp.flags(frame, l4);
  const marks = ((flags & tcp.SYN) !== 0 ? 1 : 0) + ((flags & tcp.FIN) !== 0 ? 1 : 0);
  return l3 + bytes - l4 - tcp.dataOffsetBytes(frame, l4) + marks;
}

/** To the other side, the way that the packet itself would have gone. */
function pushOnward(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  arm: number,
  found: number,
): void {
  const { packet, flows, ways, neighbours, table } = director;
  const realId = (flows.records[(found >>> 1) * RECORD_WORDS + IDS] as number) & 0xffff;
  const way = realId * WAY_WORDS;
  const from = (table.realNeighbour[realId] as number) * WAY_WORDS;
  ways.set(neighbours.ways.subarray(from, from + WAY_WORDS), way);
  const hasAck = (tcp.flags(frame, l4) & tcp.ACK) !== 0;
  const bytes = copyHeaders(frame, at, l4, HEADROOM);
  const view = new DataView(bytes.buffer);
  const newL4 = HEADROOM + l4 - at;
  const acknowledgment = hasAck ? tcp.acknowledgment(frame, l4) : -1;
  const ofIpv6 = isIpv6(packet);
  makeReset(view, HEADROOM, newL4, ofIpv6, tcp.sequence(frame, l4), acknowledgment);
  const forward = ofIpv6 ? forwardKnown6 : forwardKnown;
  const verdict = forward(director, view, HEADROOM, newL4, bytes.length, arm, 0);
  ways[way + WAY_ARM] = GONE;
  if (verdict < 0 || kindOf(verdict) !== SEND) return;
  const sent = bytes.slice(HEADROOM - restOf(verdict));
  director.outbox.push({ arm: detailOf(verdict), bytes: sent, tag: director.tag });
}

/** All headers of a packet, behind so much room. */
function copyHeaders(
  frame: DataView,
  at: number,
  l4: number,
  room: number,
): Uint8Array<ArrayBuffer> {
  const length = l4 - at + tcp.HEADER_BYTES;
  const bytes = new Uint8Array(room + length);
  bytes.set(new Uint8Array(frame.buffer, frame.byteOffset + at, length), room);
  return bytes;
}

function swap(bytes: Uint8Array, at: number, length: number): void {
  const first = bytes.slice(at, at + length);
  bytes.copyWithin(at, at + length, at + 2 * length);
  bytes.set(first, at + length);
}

/** @param acknowledgment below 0 for none */
function makeReset(
  view: DataView,
  at: number,
  l4: number,
  ofIpv6: boolean,
  sequence: number,
  acknowledgment: number,
): void {
  const l3 = at + ethernet.HEADER_BYTES;
  const bytes = tcp.HEADER_BYTES;
  view.setUint32(l4 + 4, sequence);
  view.setUint32(l4 + 8, Math.max(0, acknowledgment));
  view.setUint16(l4 + 12, (5 << 12) | tcp.RST | (acknowledgment < 0 ? 0 : tcp.ACK));
  for (const field of [14, 16, 18]) view.setUint16(l4 + field, 0);
  if (ofIpv6) {
    view.setUint16(l3 + 4, l4 + bytes - l3 - ipv6.HEADER_BYTES);
    view.setUint8(l3 + 7, TIME_TO_LIVE);
  } else {
    view.setUint16(l3 + 2, l4 + bytes - l3);
    view.setUint8(l3 + 8, TIME_TO_LIVE);
    view.setUint16(l3 + 10, 0);
    view.setUint16(l3 + 10, checksum.finish(checksum.sum(view, l3, l4)));
  }
  const seed = ofIpv6
    ? ipv6.pseudoHeader(view, l3, TCP, bytes)
    : checksum.pseudoHeader(view.getInt32(l3 + 12), view.getInt32(l3 + 16), TCP, bytes);
  tcp.setChecksum(view, l4, checksum.finish(checksum.sum(view, l4, l4 + bytes, seed)));
}

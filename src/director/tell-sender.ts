// ICMP errors of the director's own: a packet that NAT may not send on because its time to live is
// over, that is too long for the next network and must not be cut, or that no real takes. The error
// goes back to the station that the packet came from, which knows the way to its sender. There are
// rules about whom never to tell (RFC 1812, 4.3.2.7), and a limit (4.3.2.8), one for each kind, so
// that nobody can use up with one what the other needs.
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { isVip } from './table.ts';

/** Errors of one kind: at most so many at once, and one more each millisecond, as Linux has it. */
const BURST = 50;
/** An error is no longer than that, so that it gets through everywhere (RFC 1812, 4.3.2.3). */
const LONGEST_ERROR = 576;
/** Internetwork control (RFC 1812, 4.3.2.5). */
const TYPE_OF_SERVICE = 0xc0;
export const TIME_TO_LIVE = 64;
export const GROUP_BIT = 0x0100_0000;
/** Every network takes packets of so many bytes (RFC 791, 3.2). */
export const SMALLEST_MTU = 68;
const FRAGMENT_OFFSET = 0x1fff;
const NO_OPTIONS = new Uint8Array(0);

/** How many errors of each kind may be made now. */
export interface ErrorBudget {
  readonly left: Int32Array;
  filledMs: number;
}

export const KIND_TIME = 0;
export const KIND_LENGTH = 1;
export const KIND_REFUSED = 2;

export const createErrorBudget = (nowMs: number): ErrorBudget => ({
  left: Int32Array.of(BURST, BURST, BURST),
  filledMs: nowMs,
});

/** Tells the sender of a packet that its time to live is over (RFC 792, type 11, code 0). */
export function tellTimeExceeded(director: Director, frame: DataView, at: number, arm: number) {
  if (!mayTell(frame, at) || !takeBudget(director, KIND_TIME)) return;
  const error = { type: icmp.TIME_EXCEEDED, code: 0, nextHopMtu: 0 };
  pushTo(director, frame, at, senderOf(frame, at, arm), error);
}

/**
 * Tells a client from the VIP that nobody serves its new flow, as IPVS does (`ip_vs_leave` in
 * net/netfilter/ipvs/ip_vs_core.c), so that it does not ask for minutes in vain.
 */
export function tellRefused(director: Director, frame: DataView, at: number, arm: number) {
  if (!mayTell(frame, at) || !takeBudget(director, KIND_REFUSED)) return;
  const [type, code] = [icmp.DESTINATION_UNREACHABLE, icmp.PORT_UNREACHABLE];
  const vip = ipv4.destination(frame, at + ethernet.HEADER_BYTES);
  pushTo(director, frame, at, senderOf(frame, at, arm), { type, code, nextHopMtu: 0 }, vip);
}

/** Tells the sender of a packet how long the next one may be (RFC 1191, 4). */
export function tellTooBig(
  director: Director,
  frame: DataView,
  at: number,
  arm: number,
  nextHopMtu: number,
): void {
  if (!mayTell(frame, at) || !takeBudget(director, KIND_LENGTH)) return;
  const [type, code] = [icmp.DESTINATION_UNREACHABLE, icmp.FRAGMENTATION_NEEDED];
  const told = Math.max(SMALLEST_MTU, nextHopMtu);
  pushTo(director, frame, at, senderOf(frame, at, arm), { type, code, nextHopMtu: told });
}

/** Never about a later fragment or a damaged header, and never to what is not one host. */
function mayTell(frame: DataView, at: number): boolean {
  const l3 = at + ethernet.HEADER_BYTES;
  if ((ipv4.fragmentField(frame, l3) & FRAGMENT_OFFSET) !== 0) return false;
  if ((ethernet.sourceHigh(frame, at) & GROUP_BIT) !== 0) return false;
  return isHost(ipv4.source(frame, l3)) && ipv4.hasGoodChecksum(frame, l3);
}

export function isHost(address: number): boolean {
  const firstByte = address >>> 24;
  return firstByte !== 0 && firstByte !== 127 && firstByte < 224;
}

/** Whether one more error of this kind may be made; counted either way. */
export function takeBudget({ errorBudget, counters, nowMs }: Director, kind: number): boolean {
  const { left } = errorBudget;
  const more = Math.max(0, (nowMs - errorBudget.filledMs) | 0);
  errorBudget.filledMs = nowMs;
  for (let each = 0; each < left.length; each++) {
    left[each] = Math.min(BURST, (left[each] as number) + more);
  }
  const mayTake = (left[kind] as number) > 0;
  if (mayTake) left[kind] = (left[kind] as number) - 1;
  const counter = mayTake ? GLOBAL.ownErrors : GLOBAL.withheldErrors;
  counters.values[counter] = (counters.values[counter] as number) + 1;
  return mayTake;
}

/** The station that an error goes to. */
export interface Hop {
  readonly high: number;
  readonly low: number;
  readonly arm: number;
}

/** The one that a frame came from. */
export const senderOf = (frame: DataView, at: number, arm: number): Hop => ({
  high: ethernet.sourceHigh(frame, at),
  low: ethernet.sourceLow(frame, at),
  arm,
});

/**
 * Tells a client how long its packets may be for the path behind the director.
 * @param packet the beginning of one of them
 * @returns false if it is nobody to tell, or too many errors were made just now
 */
export function tellClient(
  director: Director,
  packet: Uint8Array,
  to: Hop,
  nextHopMtu: number,
): boolean {
  const view = new DataView(packet.buffer);
  if (!isHost(ipv4.source(view, 0)) || !takeBudget(director, KIND_LENGTH)) return false;
  const [type, code] = [icmp.DESTINATION_UNREACHABLE, icmp.FRAGMENTATION_NEEDED];
  pushTo(director, view, -ethernet.HEADER_BYTES, to, { type, code, nextHopMtu });
  return true;
}

/** @param at offset of the frame, of which no more may be there than a quote of its packet */
function pushTo(
  director: Director,
  frame: DataView,
  at: number,
  { high, low, arm }: Hop,
  error: Omit<icmp.ErrorMessage, 'quote'>,
  source = speakerOn(director, arm, ipv4.destination(frame, at + ethernet.HEADER_BYTES)),
): void {
  const l3 = at + ethernet.HEADER_BYTES;
  const room = LONGEST_ERROR - ipv4.HEADER_BYTES - icmp.HEADER_BYTES;
  const quoted = Math.min(room, ipv4.totalBytes(frame, l3), frame.byteLength - l3);
  const payloadBytes = icmp.HEADER_BYTES + quoted;
  const bytes = new Uint8Array(ethernet.HEADER_BYTES + ipv4.HEADER_BYTES + payloadBytes);
  const view = new DataView(bytes.buffer);
  ethernet.setDestination(view, 0, high, low);
  const { armMacHigh, armMacLow } = director;
  ethernet.setSource(view, 0, armMacHigh[arm] as number, armMacLow[arm] as number);
  ethernet.setType(view, 0, ethernet.TYPE_IPV4);
  const l4 = ipv4.emit(view, ethernet.HEADER_BYTES, {
    typeOfService: TYPE_OF_SERVICE,
    identification: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffsetBytes: 0,
    timeToLive: TIME_TO_LIVE,
    protocol: ipv4.PROTOCOL_ICMP,
    source,
    destination: ipv4.source(frame, l3),
    options: NO_OPTIONS,
    payloadBytes,
  });
  const quote = new Uint8Array(frame.buffer, frame.byteOffset + l3, quoted);
  icmp.emitError(view, ethernet.HEADER_BYTES + l4, { ...error, quote });
  director.outbox.push({ arm, bytes, tag: director.tag });
}

/**
 * The address that the director speaks from: the arm's own, for a traceroute shows it; without one
 * another arm's, as RFC 1812, 4.3.2.4 has it; with none at all the VIP that was asked.
 */
function speakerOn({ arms, table }: Director, arm: number, asked: number): number {
  const own = arms[arm]?.address ?? 0;
  if (own !== 0) return own;
  const other = arms.find(({ address }) => address !== 0)?.address ?? 0;
  return other === 0 && isVip(table, asked) ? asked : other;
}

// Which reals take new flows just now. Every reason against it is a bit in `closed`, by real id,
// and schedulers pass over a real that has any. What is found out about a real ends here: that
// nobody answers for its address, that it is drained or full. Nothing here is done for a packet of
// a known flow; but a real that is down, or whose time to drain is over, ends flows by `goneReals`.
import { ALL_OVER, NONE_OVER, UDP_OVER } from '../flow/flow-table.ts';
import { NEIGHBOUR_UNREACHABLE } from './counters.ts';
import type { Director } from './director.ts';
import { CUT_OLD, KEEP_OLD } from './life.ts';
import { realsOfService } from './table.ts';

/** Nobody answers for the real's address. */
export const DOWN = 1;
/** The configuration gives it no new flows. */
export const DRAINED = 2;
/** It has as many flows as it may have, or had, and not yet few enough again. */
export const FULL = 4;
/** It is new or back, and this one new flow is not for it. */
export const STARTING = 8;

/** All by real id. */
export interface RealStates {
  /** Bits as above; not 0: no new flows. */
  readonly closed: Uint8Array;
  /** FULL or 0: what keeps a real closed even where all fail open. */
  readonly full: Uint8Array;
  /** 1 for a real that the table had when it was last judged. */
  readonly known: Uint8Array;
  /** Since when it is drained, and whether its old flows have had their time. */
  readonly drainedMs: Int32Array;
  readonly spent: Uint8Array;
  /** Whether it is starting slowly, and since when. */
  readonly starting: Uint8Array;
  readonly startedMs: Int32Array;
  /** False until reals were judged for the first time. */
  judged: boolean;
}

export const createRealStates = (reals: number): RealStates => ({
  closed: new Uint8Array(reals),
  full: new Uint8Array(reals),
  known: new Uint8Array(reals),
  drainedMs: new Int32Array(reals),
  spent: new Uint8Array(reals),
  starting: new Uint8Array(reals),
  startedMs: new Int32Array(reals),
  judged: false,
});

/**
 * Brings the bits in line with the table and with what is known of the neighbours; to be called
 * when either changes, and when a real's time to drain is over.
 */
export function judgeReals(director: Director): void {
  const { states, table } = director;
  for (let id = 0; id < states.closed.length; id++) {
    judgeReal(director, id);
    // At once: by a new threshold it may be full now, and not quite when the next flow asks.
    judgeFull(director, id);
  }
  states.judged = true;
  for (const [service, life] of table.life.services.entries()) {
    if (life === undefined || life.sorry < 0) continue;
    // Datagrams have no end of their own: they go back to the reals as soon as one takes them.
    if (isAnyOpen(director, service)) director.flows.goneReals[life.sorry] = UDP_OVER;
  }
}

function judgeReal({ states, table, neighbours, flows, nowMs }: Director, id: number): void {
  const { closed, known, drainedMs, spent, starting, startedMs } = states;
  const neighbour = table.realNeighbour[id] ?? -1;
  const terms = table.life.reals[id];
  const before = closed[id] as number;
  const isKnown = neighbour >= 0 ? 1 : 0;
  const isDown = isKnown !== 0 && neighbours.state[neighbour] === NEIGHBOUR_UNREACHABLE;
  const drained = terms?.stopsNew ? DRAINED : 0;
  const now = (before & FULL) | drained | (isDown ? DOWN : 0);
  if (drained !== 0 && (before & DRAINED) === 0) drainedMs[id] = nowMs;
  spent[id] = terms?.stopsNew && isDrainOver(drainedMs[id] as number, terms, nowMs) ? 1 : 0;
  const isBack = known[id] !== isKnown || (before & ~FULL) !== 0;
  if ((now & ~FULL) !== 0 || isKnown === 0) starting[id] = 0;
  else if (isBack && states.judged) {
    starting[id] = 1;
    startedMs[id] = nowMs;
  }
  closed[id] = now;
  known[id] = isKnown;
  const isCut = isKnown === 0 || (spent[id] !== 0 && terms?.old === CUT_OLD);
  flows.goneReals[id] = isCut ? ALL_OVER : isDown || spent[id] !== 0 ? UDP_OVER : NONE_OVER;
}

function isDrainOver(
  sinceMs: number,
  { old, oldAfterMs }: { readonly old: number; readonly oldAfterMs: number },
  nowMs: number,
): boolean {
  return old !== KEEP_OLD && ((nowMs - sinceMs) | 0) >= oldAfterMs;
}

/** True if the old flows of a drained real have had their time and nobody has acted on it yet. */
export function isDrainDue({ states, table, nowMs }: Director): boolean {
  const { closed, spent, drainedMs } = states;
  for (const [id, terms] of table.life.reals.entries()) {
    if (terms === undefined || spent[id] !== 0 || ((closed[id] as number) & DRAINED) === 0)
      continue;
    if (isDrainOver(drainedMs[id] as number, terms, nowMs)) return true;
  }
  return false;
}

/**
 * Brings FULL in line with a real's flows, by the rule of IPVS (ip_vs_dest_update_overload in
 * net/netfilter/ipvs/ip_vs_conn.c): full at the upper threshold, free again below the lower one, or
 * below three quarters of the upper one where there is no lower one.
 */
export function judgeFull({ states, table, flows }: Director, id: number): void {
  const terms = table.life.reals[id];
  const { closed, full } = states;
  const count = flows.flowsByReal[id] as number;
  if (terms === undefined || terms.upper === 0) full[id] = 0;
  else if (count >= terms.upper) full[id] = FULL;
  else if (terms.lower > 0 ? count < terms.lower : count * 4 < terms.upper * 3) full[id] = 0;
  closed[id] = ((closed[id] as number) & ~FULL) | (full[id] as number);
}

/** True if one real of the service takes new flows. */
export function isAnyOpen({ states, table }: Director, service: number): boolean {
  const first = table.serviceFirstReal[service] as number;
  const end = first + (table.serviceRealCount[service] as number);
  for (let at = first; at < end; at++) {
    if (states.closed[table.serviceReals[at] as number] === 0) return true;
  }
  return false;
}

/** True if of the reals that the configuration gives new flows none is up, and there are some. */
export function areAllDown({ states, table }: Director, service: number): boolean {
  let down = 0;
  for (const id of realsOfService(table, service)) {
    const bits = states.closed[id] as number;
    if ((bits & (DOWN | DRAINED)) === 0) return false;
    if ((bits & DRAINED) === 0) down++;
  }
  return down > 0;
}

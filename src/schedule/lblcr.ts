// Locality-based least connection with replication, as IPVS does it (Linux,
// net/netfilter/ipvs/ip_vs_lblcr.c): a destination has a set of reals, of which the one with the
// least overhead for its weight gets the flow. When that one is overloaded (see lblc), the choice
// of wlc joins the set; a set that has not changed for a day loses its busiest real. Of equals the
// latest to join counts. `slots` holds the weights, `state` the sets: see locality.ts.
import { isClosed, isOverloaded, leastOverhead, overheadOf } from './load.ts';
import {
  changedAt,
  createEntries,
  EXPIRATION_MS,
  keepEntries,
  REALS,
  useEntry,
} from './locality.ts';
import type { Arrival, Load, Schedule, Scheduler, Slots } from './scheduler.ts';
import { weightSchedule } from './weights.ts';

/** Most reals of a set; in IPVS there can be any number. One more takes the busiest one's place. */
const MOST_REALS = 16;

function choose(schedule: Schedule, arrival: Arrival, load: Load): number {
  const { slots, state } = schedule;
  const entry = useEntry(schedule, arrival);
  const changed = changedAt(schedule, entry);
  const before = leastOfSet(schedule, entry, load);
  const unchangedMs = (arrival.nowMs - state[changed]!) >>> 0;
  if (state[entry + REALS + 1]! > 0 && unchangedMs > EXPIRATION_MS) {
    if (removeBusiest(schedule, entry, load)) state[changed] = arrival.nowMs;
  }
  if (before >= 0 && !isOverloaded(slots, load, before)) return before;
  const chosen = leastOverhead(slots, load);
  if (chosen < 0 || isInSet(schedule, entry, chosen)) return chosen;
  if (state[changed - 1]! > 0 && !removeBusiest(schedule, entry, load)) return chosen;
  state.copyWithin(entry + REALS + 1, entry + REALS, changed - 1);
  state[entry + REALS] = chosen + 1;
  state[changed] = arrival.nowMs;
  return chosen;
}

function isInSet(schedule: Schedule, entry: number, index: number): boolean {
  const end = changedAt(schedule, entry);
  for (let at = entry + REALS; at < end; at++) if (schedule.state[at] === index + 1) return true;
  return false;
}

/** Of the set's reals that take flows, the index of that with the least overhead for its weight. */
function leastOfSet(schedule: Schedule, entry: number, load: Load): number {
  const { slots, state } = schedule;
  const end = changedAt(schedule, entry);
  let least = -1;
  for (let at = entry + REALS; at < end && state[at]! > 0; at++) {
    const index = state[at]! - 1;
    if (slots[index] === 0 || isClosed(load, index)) continue;
    if (least < 0 || isBusier(slots, load, least, index)) least = index;
  }
  return least;
}

/**
 * Takes the real with the most overhead for its weight out, of those that take flows.
 * @returns whether there was one
 */
function removeBusiest(schedule: Schedule, entry: number, load: Load): boolean {
  const { slots, state } = schedule;
  const end = changedAt(schedule, entry);
  let busiestAt = -1;
  for (let at = entry + REALS; at < end && state[at]! > 0; at++) {
    const index = state[at]! - 1;
    if (slots[index] === 0) continue;
    if (busiestAt < 0 || isBusier(slots, load, index, state[busiestAt]! - 1)) busiestAt = at;
  }
  if (busiestAt < 0) return false;
  state.copyWithin(busiestAt, busiestAt + 1, end);
  state[end - 1] = 0;
  return true;
}

function isBusier(weights: Slots, load: Load, one: number, other: number): boolean {
  return overheadOf(load, one) * weights[other]! > overheadOf(load, other) * weights[one]!;
}

export const lblcr: Scheduler = {
  name: 'lblcr',
  summary: 'locality with replication: as lblc, but an overloaded real is joined by others',
  consistent: false,
  build: (reals, options) => weightSchedule('lblcr', reals, options, createEntries(MOST_REALS)),
  choose,
  takeOver: keepEntries,
};

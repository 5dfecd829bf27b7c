// Locality-based least connection, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_lblc.c), for
// caches: the flows to one destination go to the real that had them before, unless it takes none
// or is overloaded: it has more active flows than its weight, and another has not half of its own.
// Then, and at first, as wlc. `slots` holds the weights, `state` the destinations: see locality.ts.
import { isClosed, isOverloaded, leastOverhead } from './load.ts';
import { createEntries, keepEntries, REALS, useEntry } from './locality.ts';
import type { Arrival, Load, Schedule, Scheduler } from './scheduler.ts';
import { weightSchedule } from './weights.ts';

function choose(schedule: Schedule, arrival: Arrival, load: Load): number {
  const { slots, state } = schedule;
  const entry = useEntry(schedule, arrival);
  const before = state[entry + REALS]! - 1;
  const isGood = before >= 0 && slots[before]! > 0 && !isClosed(load, before);
  if (isGood && !isOverloaded(slots, load, before)) return before;
  const chosen = leastOverhead(slots, load);
  if (chosen >= 0) state[entry + REALS] = chosen + 1;
  return chosen;
}

export const lblc: Scheduler = {
  name: 'lblc',
  summary: 'locality: a destination stays with its real until that is overloaded, then as wlc',
  consistent: false,
  build: (reals, options) => weightSchedule('lblc', reals, options, createEntries(1)),
  choose,
  takeOver: keepEntries,
};

// Destination hash: all flows to one address go to the same real, as caches want it. As in IPVS
// (Linux, net/netfilter/ipvs/ip_vs_dh.c) every real has a bucket in turn, whatever its weight, and
// keeps it while it is drained; here the hash is keyed, and others may take over (`fallback`). A
// service with one VIP has one destination, and so one real. `slots` holds the real of each bucket,
// a power of two of them, or NOBODY; `state` is empty.
import { fillBuckets } from './buckets.ts';
import { hashWord } from './hash.ts';
import { openSlot, slotSchedule } from './open-slot.ts';
import {
  type Arrival,
  type BuildOptions,
  FLAG_DEFAULTS,
  type Load,
  type Schedule,
  type ScheduledReal,
  type Scheduler,
} from './scheduler.ts';

function build(reals: readonly ScheduledReal[], { seed, flags }: BuildOptions): Schedule {
  const all = { ...FLAG_DEFAULTS.dh, ...flags, port: false };
  const weights = reals.map(() => 1);
  const takes = (index: number) => reals[index]!.weight > 0;
  return slotSchedule('dh', fillBuckets(weights, takes, all.fallback === true), seed, all);
}

function choose(schedule: Schedule, { vip }: Arrival, load: Load): number {
  return openSlot(schedule, hashWord(vip, schedule.seed), load);
}

export const dh: Scheduler = {
  name: 'dh',
  summary: 'destination hash: all flows to one address go to the same real, weights aside',
  consistent: true,
  build,
  choose,
};

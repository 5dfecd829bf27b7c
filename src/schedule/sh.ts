// Source hash: a client address always goes to the same real. The buckets are those of IPVS (see
// buckets.ts); two things differ, each for a reason: the hash is keyed, and a drained real keeps as
// many buckets as it had, where IPVS lays out all of them anew around its one and moves most
// clients. `slots` holds the real of each bucket, a power of two, or NOBODY; `state` is empty.
import { fillBuckets } from './buckets.ts';
import { chooseByClient, slotSchedule } from './open-slot.ts';
import {
  type BuildOptions,
  FLAG_DEFAULTS,
  type Schedule,
  type ScheduledReal,
  type Scheduler,
} from './scheduler.ts';
import { slotWeight } from './weights.ts';

function build(reals: readonly ScheduledReal[], { seed, flags }: BuildOptions): Schedule {
  const all = { ...FLAG_DEFAULTS.sh, ...flags };
  const takes = (index: number) => reals[index]!.weight > 0;
  const slots = fillBuckets(reals.map(slotWeight), takes, all.fallback === true);
  return slotSchedule('sh', slots, seed, all);
}

export const sh: Scheduler = {
  name: 'sh',
  summary: 'source hash: a client address stays with its real while the list is the same',
  consistent: true,
  build,
  choose: chooseByClient,
};

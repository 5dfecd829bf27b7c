// Source hash: a client address always goes to the same real. The buckets are those of IPVS (see
// buckets.ts); two things differ, each for a reason: the hash is keyed, and a drained real keeps as
// many buckets as it had, where IPVS lays out all of them anew around its one and moves most
// clients. `slots` holds the real of each bucket, a power of two, or NOBODY; `state` is empty.
import { fillBuckets } from './buckets.ts';
import { hashClient } from './hash.ts';
import { openSlot } from './open-slot.ts';
import {
  type Arrival,
  type BuildOptions,
  FLAG_DEFAULTS,
  type Load,
  type Schedule,
  type ScheduledReal,
  type Scheduler,
} from './scheduler.ts';
import { slotWeight } from './weights.ts';

function build(reals: readonly ScheduledReal[], { seed, flags }: BuildOptions): Schedule {
  const { port, fallback } = { ...FLAG_DEFAULTS.sh, ...flags };
  const takes = (index: number) => reals[index]!.weight > 0;
  return {
    scheduler: 'sh',
    slots: fillBuckets(reals.map(slotWeight), takes, fallback === true),
    state: new Int32Array(0),
    seed,
    hashesPort: port === true,
    fallback: fallback === true,
  };
}

function choose(schedule: Schedule, arrival: Arrival, load: Load): number {
  return openSlot(schedule, hashClient(schedule, arrival), load);
}

export const sh: Scheduler = {
  name: 'sh',
  summary: 'source hash: a client address stays with its real while the list is the same',
  consistent: true,
  build,
  choose,
};

// Failover, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_fo.c): all flows to the real with the
// highest weight, the first of equals; the next one serves when that one is gone or drained.
// `slots` holds the index of that one real, or nothing.
import type { BuildOptions, Schedule, ScheduledReal, Scheduler } from './scheduler.ts';
import { largestWeight } from './weights.ts';

function build(reals: readonly ScheduledReal[], { seed }: BuildOptions): Schedule {
  const weights = reals.map(({ weight }) => weight);
  const largest = largestWeight(weights);
  const slots = largest === 0 ? new Int32Array(0) : Int32Array.of(weights.indexOf(largest));
  return { scheduler: 'fo', slots, state: new Int32Array(0), seed, hashesPort: false };
}

export const fo: Scheduler = {
  name: 'fo',
  summary: 'failover: all flows to the real with the highest weight',
  consistent: true,
  build,
  choose: ({ slots }) => slots[0] ?? -1,
};

// Shortest expected delay, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_sed.c): the real whose
// active flows, the new one included, are the fewest for its weight, and the first of equals. So an
// idle light real has to wait until a heavy one is busier. `slots` holds the weights.
import { activeOf, isClosed } from './load.ts';
import type { Load, Scheduler, Slots } from './scheduler.ts';
import { weightSchedule } from './weights.ts';

/** @returns the index of the real with the least (active + 1) / weight, or -1 */
export function shortestDelay(weights: Slots, load: Load): number {
  let least = -1;
  let leastLoad = 0;
  for (let index = 0; index < weights.length; index++) {
    const weight = weights[index]!;
    if (weight === 0 || isClosed(load, index)) continue;
    const own = activeOf(load, index) + 1;
    if (least < 0 || leastLoad * weight > own * weights[least]!) {
      least = index;
      leastLoad = own;
    }
  }
  return least;
}

export const sed: Scheduler = {
  name: 'sed',
  summary: 'shortest expected delay: least (active flows + 1) / weight',
  consistent: false,
  build: (reals, options) => weightSchedule('sed', reals, options),
  choose: ({ slots }, _, load) => shortestDelay(slots, load),
};

// Least connection, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_lc.c): the real with the least
// overhead, whatever its weight, and the first of equals. `slots` holds the weights.
import { isClosed, overheadOf } from './load.ts';
import type { Arrival, Load, Schedule, Scheduler } from './scheduler.ts';
import { weightSchedule } from './weights.ts';

function choose({ slots }: Schedule, _: Arrival, load: Load): number {
  let least = -1;
  let leastLoad = 0;
  for (let index = 0; index < slots.length; index++) {
    if (slots[index] === 0 || isClosed(load, index)) continue;
    const overhead = overheadOf(load, index);
    if (least < 0 || overhead < leastLoad) {
      least = index;
      leastLoad = overhead;
    }
  }
  return least;
}

export const lc: Scheduler = {
  name: 'lc',
  summary: 'least connection: the real with the fewest flows, weights aside',
  consistent: false,
  build: (reals, options) => weightSchedule('lc', reals, options),
  choose,
};

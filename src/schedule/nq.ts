// Never queue, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_nq.c): the first real without an
// active flow, whatever its weight; if all are busy, as sed. `slots` holds the weights.
import { activeOf, isClosed } from './load.ts';
import type { Arrival, Load, Schedule, Scheduler } from './scheduler.ts';
import { shortestDelay } from './sed.ts';
import { weightSchedule } from './weights.ts';

function choose({ slots }: Schedule, _: Arrival, load: Load): number {
  for (let index = 0; index < slots.length; index++) {
    if (slots[index] === 0 || isClosed(load, index)) continue;
    if (activeOf(load, index) === 0) return index;
  }
  return shortestDelay(slots, load);
}

export const nq: Scheduler = {
  name: 'nq',
  summary: 'never queue: the first idle real, else as sed',
  consistent: false,
  build: (reals, options) => weightSchedule('nq', reals, options),
  choose,
};

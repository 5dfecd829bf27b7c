// Overflow, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_ovf.c): the real with the highest
// weight whose active flows do not exceed its weight, the first of equals; so a real has up to
// weight + 1 of them. When all are full, a new flow is refused. `slots` holds the weights.
import { activeOf, isClosed } from './load.ts';
import type { Arrival, Load, Schedule, Scheduler } from './scheduler.ts';
import { weightSchedule } from './weights.ts';

function choose({ slots }: Schedule, _: Arrival, load: Load): number {
  let chosen = -1;
  let highest = 0;
  for (let index = 0; index < slots.length; index++) {
    const weight = slots[index]!;
    if (weight <= highest || activeOf(load, index) > weight) continue;
    if (isClosed(load, index)) continue;
    chosen = index;
    highest = weight;
  }
  return chosen;
}

export const ovf: Scheduler = {
  name: 'ovf',
  summary: 'overflow: the highest weight first, up to weight + 1 active flows, then the next',
  consistent: false,
  build: (reals, options) => weightSchedule('ovf', reals, options),
  choose,
};

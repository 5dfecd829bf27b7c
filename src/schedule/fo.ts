// Failover, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_fo.c): all flows to the real with the
// highest weight, the first of equals; the next one serves when that one is gone, drained or
// closed. `slots` holds the indices of all that take flows, the highest weight first.
import { isClosed } from './load.ts';
import type {
  Arrival,
  BuildOptions,
  Load,
  Schedule,
  ScheduledReal,
  Scheduler,
} from './scheduler.ts';

function build(reals: readonly ScheduledReal[], { seed }: BuildOptions): Schedule {
  const order = [...reals.keys()].filter((index) => reals[index]!.weight > 0);
  order.sort((one, other) => reals[other]!.weight - reals[one]!.weight);
  const slots = Int32Array.from(order);
  return { scheduler: 'fo', slots, state: new Int32Array(0), seed, hashesPort: false };
}

function choose({ slots }: Schedule, _: Arrival, load: Load): number {
  for (let at = 0; at < slots.length; at++) {
    if (!isClosed(load, slots[at]!)) return slots[at]!;
  }
  return -1;
}

export const fo: Scheduler = {
  name: 'fo',
  summary: 'failover: all flows to the real with the highest weight',
  consistent: true,
  build,
  choose,
};

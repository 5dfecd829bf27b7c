// Weighted least connection, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_wlc.c): the real with
// the least overhead for its weight, and the first of equals. `slots` holds the weights.
import { leastOverhead } from './load.ts';
import type { Scheduler } from './scheduler.ts';
import { weightSchedule } from './weights.ts';

export const wlc: Scheduler = {
  name: 'wlc',
  summary: 'weighted least connection: the real with the fewest flows for its weight',
  consistent: false,
  build: (reals, options) => weightSchedule('wlc', reals, options),
  choose: ({ slots }, _, load) => leastOverhead(slots, load),
};

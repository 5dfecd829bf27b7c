// Two choices, as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_twos.c; Mitzenmacher, "The Power of
// Two Random Choices"): two reals are drawn by weight, perhaps the same one twice, and the one with
// the lower overhead for its weight is taken, the first drawn if they are equal. IPVS draws from 0
// to the sum of the weights, both included, which favours the first real a little; here it is fair.
// `slots` holds the weights, `state` the random numbers.
import { drawByWeight, drawState, keepDrawing } from './draw.ts';
import { overheadOf } from './load.ts';
import type { Arrival, Load, Schedule, Scheduler } from './scheduler.ts';
import { weightSchedule } from './weights.ts';

function choose(schedule: Schedule, arrival: Arrival, load: Load): number {
  const { slots } = schedule;
  const first = drawByWeight(schedule, arrival, load);
  const second = drawByWeight(schedule, arrival, load);
  if (first < 0 || first === second) return first;
  const firstLoad = overheadOf(load, first) * slots[second]!;
  return firstLoad > overheadOf(load, second) * slots[first]! ? second : first;
}

export const twos: Scheduler = {
  name: 'twos',
  summary: 'two choices: the less loaded of two reals drawn by weight',
  consistent: false,
  build: (reals, options) => {
    return weightSchedule('twos', reals, options, drawState(reals, options.seed));
  },
  choose,
  takeOver: keepDrawing,
};

// Weighted round robin, choice for choice as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_wrr.c):
// a pointer goes round the list and takes each real whose weight reaches the current weight, which
// sinks by the common divisor with every pass. Heavy reals so take their turns among the others and
// not all at once. As in IPVS, a round is as long as the sum of the weights over their divisor.
// `slots` holds the divisor, the weight to start a round with, then all weights; `state` holds the
// pointer and the current weight.
import type { Schedule, ScheduledReal, Scheduler } from './scheduler.ts';
import { commonDivisor, largestWeight } from './weights.ts';

const STEP = 0;
const START = 1;
const WEIGHTS = 2;

const POINTER = 0;
const CURRENT_WEIGHT = 1;

function build(reals: readonly ScheduledReal[], options: { readonly seed: number }): Schedule {
  const step = commonDivisor(reals);
  const largest = largestWeight(reals);
  const start = largest === 0 ? 0 : largest - (step - 1);
  return {
    scheduler: 'wrr',
    slots: Int32Array.of(step, start, ...reals.map(({ weight }) => weight)),
    state: Int32Array.of(-1, start),
    seed: options.seed,
  };
}

function choose(schedule: Schedule): number {
  const { slots, state } = schedule;
  const start = slots[START]!;
  if (start === 0) return -1;
  const count = slots.length - WEIGHTS;
  let pointer = state[POINTER]!;
  let currentWeight = state[CURRENT_WEIGHT]!;
  // Ends within two passes: the current weight is never above the largest weight.
  do {
    pointer += 1;
    if (pointer === count) {
      pointer = 0;
      currentWeight -= slots[STEP]!;
      if (currentWeight <= 0) currentWeight = start;
    }
  } while (slots[WEIGHTS + pointer]! < currentWeight);
  state[POINTER] = pointer;
  state[CURRENT_WEIGHT] = currentWeight;
  return pointer;
}

export const wrr: Scheduler = {
  name: 'wrr',
  summary: 'weighted round robin: in turn, heavier reals more often, as IPVS does it',
  consistent: false,
  build,
  choose,
};

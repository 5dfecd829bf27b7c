// Weighted round robin, choice for choice as IPVS does it (Linux, net/netfilter/ipvs/ip_vs_wrr.c):
// a pointer goes round the list and takes each real whose weight reaches the current weight, which
// sinks by the common divisor with every pass. Heavy reals so take their turns among the others and
// not all at once. As in IPVS, a round is as long as the sum of the weights over their divisor.
// `slots` holds the divisor, the weight to start a round with, then all weights; `state` holds the
// pointer and the current weight.
import { isClosed } from './load.ts';
import type {
  Arrival,
  BuildOptions,
  Load,
  Schedule,
  ScheduledReal,
  Scheduler,
  Slots,
} from './scheduler.ts';
import { commonDivisor, largestWeight } from './weights.ts';

const STEP = 0;
const START = 1;
const WEIGHTS = 2;

const POINTER = 0;
const CURRENT_WEIGHT = 1;

function build(reals: readonly ScheduledReal[], { seed }: BuildOptions): Schedule {
  const weights = reals.map(({ weight }) => weight);
  const step = commonDivisor(weights);
  const largest = largestWeight(weights);
  const start = largest === 0 ? 0 : largest - (step - 1);
  const slots = Int32Array.from([step, start, ...weights]);
  return { scheduler: 'wrr', slots, state: Int32Array.of(-1, start), seed, hashesPort: false };
}

function choose({ slots, state }: Schedule, _: Arrival, load: Load): number {
  const start = slots[START]!;
  if (start === 0) return -1;
  const count = slots.length - WEIGHTS;
  let looks = 0;
  let pointer = state[POINTER]!;
  let currentWeight = state[CURRENT_WEIGHT]!;
  // Without closed reals it ends within two passes: the current weight is never above the largest
  // one. Else passes may be in vain, and those that would be are left out.
  do {
    if (looks++ === 2 * count) {
      const largest = largestOpen(slots, load);
      if (largest === 0) return -1;
      currentWeight = Math.min(currentWeight, largest - (slots[STEP]! - 1));
      looks = 0;
    }
    pointer += 1;
    if (pointer === count) {
      pointer = 0;
      currentWeight -= slots[STEP]!;
      if (currentWeight <= 0) currentWeight = start;
    }
  } while (slots[WEIGHTS + pointer]! < currentWeight || isClosed(load, pointer));
  state[POINTER] = pointer;
  state[CURRENT_WEIGHT] = currentWeight;
  return pointer;
}

function largestOpen(slots: Slots, load: Load): number {
  let largest = 0;
  for (let index = 0; index < slots.length - WEIGHTS; index++) {
    if (!isClosed(load, index)) largest = Math.max(largest, slots[WEIGHTS + index]!);
  }
  return largest;
}

/**
 * The same reals and weights go on as if nothing had been. Else the pointer starts anew and the
 * current weight stays, brought into the new steps: ip_vs_wrr_dest_changed.
 */
function takeOver({ slots, state }: Schedule, previous: Schedule, moved: Int32Array): void {
  const isSame =
    slots.length === previous.slots.length &&
    slots.every((slot, at) => slot === previous.slots[at]) &&
    moved.every((index, before) => index === before);
  if (isSame) {
    state.set(previous.state);
    return;
  }
  const currentWeight = previous.state[CURRENT_WEIGHT]!;
  const step = slots[STEP]!;
  if (currentWeight === 0 || currentWeight > slots[START]!) return;
  state[CURRENT_WEIGHT] = step > 1 ? Math.floor(currentWeight / step) * step + 1 : currentWeight;
}

export const wrr: Scheduler = {
  name: 'wrr',
  summary: 'weighted round robin: in turn, heavier reals more often, as IPVS does it',
  consistent: false,
  build,
  choose,
  takeOver,
};

// What the weighted schedulers ask of a list of weights. Weights are whole, 0 to 65535; a real of
// weight 0 takes no new flows and counts for nothing here.
import type { BuildOptions, Schedule, ScheduledReal, SchedulerName } from './scheduler.ts';

/** The greatest common divisor of all weights above 0, or 1 if there are none. */
export function commonDivisor(weights: readonly number[]): number {
  let divisor = 0;
  for (const weight of weights) {
    let rest = weight;
    while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  }
  return divisor || 1;
}

/** The largest weight, or 0 if there are none. */
export function largestWeight(weights: readonly number[]): number {
  return weights.reduce((largest, weight) => Math.max(largest, weight), 0);
}

/** The weight by which a hash lays out a real's slots: a drained real keeps its own. */
export function slotWeight({ weight, lastWeight = 0 }: ScheduledReal): number {
  return weight > 0 ? weight : lastWeight;
}

/** By code unit and not by locale, which may differ from director to director. */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** A schedule whose slots are the weights and nothing else. */
export function weightSchedule(
  scheduler: SchedulerName,
  reals: readonly ScheduledReal[],
  { seed }: BuildOptions,
  state: Int32Array = new Int32Array(0),
): Schedule {
  const slots = Int32Array.from(reals, ({ weight }) => weight);
  return { scheduler, slots, state, seed, hashesPort: false };
}

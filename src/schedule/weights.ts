// What the weighted schedulers ask of a list of weights. Weights are whole, 0 to 65535; a real of
// weight 0 takes no new flows and counts for nothing here.
import type { ScheduledReal } from './scheduler.ts';

/** The greatest common divisor of all weights above 0, or 1 if there are none. */
export function commonDivisor(reals: readonly ScheduledReal[]): number {
  let divisor = 0;
  for (const { weight } of reals) {
    let rest = weight;
    while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  }
  return divisor || 1;
}

/** The largest weight, or 0 if there are no reals. */
export function largestWeight(reals: readonly ScheduledReal[]): number {
  return reals.reduce((largest, { weight }) => Math.max(largest, weight), 0);
}

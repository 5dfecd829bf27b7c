// How the bench measures: all variants in turn, round after round, so that a slow minute of the
// machine hits each alike; then medians, their spread, and ratios of medians.
import { quantile } from '../quantile.ts';

export interface Sample {
  readonly name: string;
  readonly values: readonly number[];
  readonly median: number;
  /** Half the distance between the quartiles, as a share of the median. */
  readonly spread: number;
}

/** One thing to measure: a number that is better when larger. */
export interface Variant {
  readonly name: string;
  measure(): Promise<number>;
}

/** Measures every variant once a round, in order, for `rounds` rounds. */
export async function interleave(
  variants: readonly Variant[],
  rounds: number,
  tell: (text: string) => void,
): Promise<Map<string, Sample>> {
  const values = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const { name, measure } of variants) {
      tell(`round ${round} of ${rounds}: ${name}`);
      values.get(name)?.push(await measure());
    }
  }
  return new Map([...values].map(([name, list]) => [name, sampleOf(name, list)]));
}

export function sampleOf(name: string, values: readonly number[]): Sample {
  const median = quantile(values, 0.5);
  const spread = (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / (median || 1);
  return { name, values, median, spread };
}

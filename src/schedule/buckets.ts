// The buckets of sh and dh, filled as IPVS fills them (Linux, net/netfilter/ipvs/ip_vs_sh.c): round
// and round the list, as many consecutive buckets for a real as its weight. The weights are divided
// by their common divisor and the buckets, always 256 in IPVS, grow with their sum, because a
// weight of 256 would else take them all. A drained real keeps its buckets, so that nobody else's
// flows move; who serves them meanwhile is settled here too, so that a choice is one look.
import { NOBODY } from './scheduler.ts';
import { commonDivisor } from './weights.ts';

const FEWEST_BUCKETS = 256;
const MOST_BUCKETS = 65_536;
/** The last round is cut off anywhere; with so many whole ones before it, the shares stay true. */
const ROUNDS = 16;

/** Indices in the order of their buckets, each as often as its weight says. */
function roundOf(weights: readonly number[]): number[] {
  const divisor = commonDivisor(weights);
  const total = weights.reduce((sum, weight) => sum + weight / divisor, 0);
  const shrink = Math.min(1, MOST_BUCKETS / ROUNDS / total);
  return weights.flatMap((weight, index) => {
    const buckets = weight === 0 ? 0 : Math.max(1, Math.round((weight / divisor) * shrink));
    return new Array<number>(buckets).fill(index);
  });
}

/**
 * @param weights by which the buckets are laid out
 * @param takes whether the real of an index takes new flows
 * @param fallback whether others, in turn, take those that come to the bucket of one that does not
 * @returns the index of each bucket, or NOBODY; a power of two of them, or none if nobody takes any
 */
export function fillBuckets(
  weights: readonly number[],
  takes: (index: number) => boolean,
  fallback: boolean,
): Uint16Array {
  const round = roundOf(weights);
  const takers = round.filter(takes);
  if (takers.length === 0) return new Uint16Array(0);
  let buckets = FEWEST_BUCKETS;
  while (buckets < round.length * ROUNDS && buckets < MOST_BUCKETS) buckets *= 2;
  let turn = 0;
  return new Uint16Array(buckets).map((_, bucket) => {
    const index = round[bucket % round.length]!;
    if (takes(index)) return index;
    return fallback ? takers[turn++ % takers.length]! : NOBODY;
  });
}

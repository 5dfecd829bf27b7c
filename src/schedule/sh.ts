// Source hash: a client address always goes to the same real. Buckets are filled as IPVS fills them
// (Linux, net/netfilter/ipvs/ip_vs_sh.c): round and round the list, as many consecutive buckets for
// a real as its weight. Three things differ, each for a reason: the hash is keyed; a real of
// weight 0 gets no bucket; and the weights are divided by their common divisor and the buckets,
// always 256 in IPVS, grow with their sum, because a weight of 256 would else take them all.
// `slots` holds the real of each bucket, a power of two of them; `state` is empty.
import { hashWord } from './hash.ts';
import type { Schedule, ScheduledReal, Scheduler } from './scheduler.ts';
import { commonDivisor } from './weights.ts';

const FEWEST_BUCKETS = 256;
const MOST_BUCKETS = 65_536;
/** The last round is cut off anywhere; with so many whole ones before it, the shares stay true. */
const ROUNDS = 16;

interface Turn {
  readonly index: number;
  /** Consecutive buckets in every round. */
  readonly buckets: number;
}

/** The reals that take new flows, with weights as small as they can be. */
function turnsOf(reals: readonly ScheduledReal[]): Turn[] {
  const divisor = commonDivisor(reals);
  const total = reals.reduce((sum, { weight }) => sum + weight / divisor, 0);
  const shrink = Math.min(1, MOST_BUCKETS / ROUNDS / total);
  const turns = reals.map(({ weight }, index) => ({
    index,
    buckets: weight === 0 ? 0 : Math.max(1, Math.round((weight / divisor) * shrink)),
  }));
  return turns.filter(({ buckets }) => buckets > 0);
}

function fill(turns: readonly Turn[]): Int32Array {
  const round = turns.flatMap(({ index, buckets }) => new Array<number>(buckets).fill(index));
  if (round.length === 0) return new Int32Array(0);
  let buckets = FEWEST_BUCKETS;
  while (buckets < round.length * ROUNDS && buckets < MOST_BUCKETS) buckets *= 2;
  return new Int32Array(buckets).map((_, bucket) => round[bucket % round.length]!);
}

function build(reals: readonly ScheduledReal[], options: { readonly seed: number }): Schedule {
  return {
    scheduler: 'sh',
    slots: fill(turnsOf(reals)),
    state: new Int32Array(0),
    seed: options.seed,
  };
}

function choose(schedule: Schedule, clientAddress: number): number {
  const { slots, seed } = schedule;
  if (slots.length === 0) return -1;
  return slots[hashWord(clientAddress, seed) & (slots.length - 1)]!;
}

export const sh: Scheduler = {
  name: 'sh',
  summary: 'source hash: a client address stays with its real while the list is the same',
  consistent: true,
  build,
  choose,
};

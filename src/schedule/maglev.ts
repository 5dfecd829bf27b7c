// Maglev's consistent hash (Eisenbud et al., "Maglev", NSDI 2016, section 3.4): every real has its
// own order of the slots, and the reals take in turn the first slot of theirs that is still free.
// Directors with the same reals agree, in whatever order they list them, for the turns go by key;
// when a real leaves, few flows but its own move.
// Weights: in every round a real earns weight / largest weight of a turn (as Envoy does), and all
// earn a whole one in the first round, so that no real with a weight is left without a slot.
// A drained real keeps the slots of its last weight, as with IPVS's mh. With `fallback` its slots
// are served meanwhile by those who would have them without it; else what comes there is refused.
import { hashText } from './hash.ts';
import { chooseByClient, slotSchedule } from './open-slot.ts';
import {
  type BuildOptions,
  FLAG_DEFAULTS,
  NOBODY,
  type Schedule,
  type ScheduledReal,
  type Scheduler,
} from './scheduler.ts';
import { compareKeys, largestWeight, slotWeight } from './weights.ts';

/** Tells the hash behind a real's skip from the one behind its offset. */
const SKIP_KEY = 0x5bd1e995;

/** How the slots are laid out: so many, a prime, by the hashes of this seed. */
interface Layout {
  readonly seed: number;
  readonly count: number;
}

/** What the fill knows of the reals that take new flows, all arrays in the order of their turns. */
interface Takers {
  /** Index in the list given to `build`. */
  readonly index: Int32Array;
  readonly weight: Int32Array;
  /** Where each stands in its own order of the slots, and how far its next slot is. */
  readonly position: Int32Array;
  readonly skip: Int32Array;
}

function takersOf(
  reals: readonly ScheduledReal[],
  weights: readonly number[],
  { seed, count }: Layout,
): Takers {
  const order = [...reals.keys()].filter((index) => weights[index]! > 0);
  order.sort((a, b) => compareKeys(reals[a]!.key, reals[b]!.key));
  const keys = order.map((index) => reals[index]!.key);
  return {
    index: Int32Array.from(order),
    weight: Int32Array.from(order, (index) => weights[index]!),
    position: Int32Array.from(keys, (key) => (hashText(key, seed) >>> 0) % count),
    skip: Int32Array.from(
      keys,
      (key) => 1 + ((hashText(key, seed ^ SKIP_KEY) >>> 0) % (count - 1)),
    ),
  };
}

/** The index of each slot, for weights of which one at least is above 0. */
function fill(
  reals: readonly ScheduledReal[],
  weights: readonly number[],
  layout: Layout,
): Uint16Array {
  const takers = takersOf(reals, weights, layout);
  const { count } = layout;
  const { index, weight } = takers;
  const largest = largestWeight(weights);
  const slots = new Uint16Array(count).fill(NOBODY);
  // A bit for each slot that is taken: a table of a thousand reals asks 770,000 times, and so few
  // bytes stay in the processor's first cache.
  const takenBits = new Int32Array((count >>> 5) + 1);
  const credit = weight.map((own) => largest - own);
  for (let taken = 0; taken < count; ) {
    for (let taker = 0; taker < index.length && taken < count; taker++) {
      credit[taker] = credit[taker]! + weight[taker]!;
      if (credit[taker]! < largest) continue;
      credit[taker] = credit[taker]! - largest;
      const slot = nextFree(takers, taker, takenBits, count);
      slots[slot] = index[taker]!;
      takenBits[slot >>> 5] = takenBits[slot >>> 5]! | (1 << slot);
      taken += 1;
    }
  }
  return slots;
}

/** Goes on in a taker's order to its next free slot. Their number is prime: the order has all. */
function nextFree(takers: Takers, taker: number, takenBits: Int32Array, count: number): number {
  const skip = takers.skip[taker]!;
  let position = takers.position[taker]!;
  while ((takenBits[position >>> 5]! >>> position) & 1) {
    // Round and round, by sign rather than by a branch, which would be foretold wrongly too often.
    position += skip - count;
    position += count & (position >> 31);
  }
  takers.position[taker] = position;
  return position;
}

function layOut(reals: readonly ScheduledReal[], layout: Layout, fallback: boolean): Uint16Array {
  const weights = reals.map(({ weight }) => weight);
  if (largestWeight(weights) === 0) return new Uint16Array(0);
  const kept = reals.map(slotWeight);
  if (kept.every((weight, index) => weight === weights[index])) return fill(reals, weights, layout);
  const slots = fill(reals, kept, layout);
  const without = fallback
    ? fill(reals, weights, layout)
    : new Uint16Array(layout.count).fill(NOBODY);
  return slots.map((index, slot) => (weights[index]! > 0 ? index : without[slot]!));
}

function build(reals: readonly ScheduledReal[], { seed, flags }: BuildOptions): Schedule {
  const all = { ...FLAG_DEFAULTS.maglev, ...flags };
  const slots = layOut(reals, { seed, count: all.slots as number }, all.fallback === true);
  return slotSchedule('maglev', slots, seed, all);
}

export const maglev: Scheduler = {
  name: 'maglev',
  summary: 'consistent hash by weight (mh in IPVS); few flows move when the reals change',
  consistent: true,
  build,
  choose: chooseByClient,
};

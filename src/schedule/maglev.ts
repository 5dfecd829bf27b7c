// Maglev's consistent hash (Eisenbud et al., "Maglev", NSDI 2016, section 3.4): every real has its
// own order of the slots, and the reals take in turn the first slot of theirs that is still free.
// Directors with the same reals agree, in whatever order they list them, for the turns go by key;
// when a real leaves, few flows but its own move.
// Weights: in every round a real earns weight / largest weight of a turn (as Envoy does), and all
// earn a whole one in the first round, so that no real with a weight is left without a slot.
import { hashText, hashWords } from './hash.ts';
import type { Schedule, ScheduledReal, Scheduler } from './scheduler.ts';
import { largestWeight } from './weights.ts';

/** Slots of the table: a prime, and at least a hundred times as many as there are reals to be. */
export const SLOTS = 65_537;

/** Tells the hash behind a real's skip from the one behind its offset. */
const SKIP_KEY = 0x5bd1e995;

/** What the fill knows of the reals that take new flows, all arrays in the order of their turns. */
interface Takers {
  /** Index in the list given to `build`. */
  readonly index: Int32Array;
  readonly weight: Int32Array;
  /** Where each stands in its own order of the slots, and how far its next slot is. */
  readonly position: Int32Array;
  readonly skip: Int32Array;
}

/** By code unit and not by locale, which may differ from director to director. */
function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function takersOf(reals: readonly ScheduledReal[], seed: number): Takers {
  const order = [...reals.keys()].filter((index) => reals[index]!.weight > 0);
  order.sort((a, b) => compareKeys(reals[a]!.key, reals[b]!.key));
  const keys = order.map((index) => reals[index]!.key);
  return {
    index: Int32Array.from(order),
    weight: Int32Array.from(order, (index) => reals[index]!.weight),
    position: Int32Array.from(keys, (key) => (hashText(key, seed) >>> 0) % SLOTS),
    skip: Int32Array.from(
      keys,
      (key) => 1 + ((hashText(key, seed ^ SKIP_KEY) >>> 0) % (SLOTS - 1)),
    ),
  };
}

function fill(takers: Takers, largest: number): Int32Array {
  const { index, weight } = takers;
  const slots = new Int32Array(SLOTS).fill(-1);
  const credit = weight.map((own) => largest - own);
  for (let taken = 0; taken < SLOTS; ) {
    for (let taker = 0; taker < index.length && taken < SLOTS; taker++) {
      credit[taker] = credit[taker]! + weight[taker]!;
      if (credit[taker]! < largest) continue;
      credit[taker] = credit[taker]! - largest;
      slots[nextFree(takers, taker, slots)] = index[taker]!;
      taken += 1;
    }
  }
  return slots;
}

/** Goes on in a taker's order to its next free slot. SLOTS is prime, so the order has them all. */
function nextFree(takers: Takers, taker: number, slots: Int32Array): number {
  const skip = takers.skip[taker]!;
  let position = takers.position[taker]!;
  while (slots[position]! >= 0) {
    position += skip;
    if (position >= SLOTS) position -= SLOTS;
  }
  takers.position[taker] = position;
  return position;
}

function build(reals: readonly ScheduledReal[], options: { readonly seed: number }): Schedule {
  const largest = largestWeight(reals);
  return {
    scheduler: 'maglev',
    slots: largest === 0 ? new Int32Array(0) : fill(takersOf(reals, options.seed), largest),
    state: new Int32Array(0),
    seed: options.seed,
  };
}

function choose(schedule: Schedule, clientAddress: number, clientPort: number): number {
  const { slots, seed } = schedule;
  if (slots.length === 0) return -1;
  return slots[(hashWords(clientAddress, clientPort, seed) >>> 0) % SLOTS]!;
}

export const maglev: Scheduler = {
  name: 'maglev',
  summary: 'consistent hash of client address and port; few flows move when the reals change',
  consistent: true,
  build,
  choose,
};

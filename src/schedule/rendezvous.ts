// Rendezvous, or highest random weight (Thaler and Ravishankar, 1998): every real draws a number
// for the client from a hash of both, and the highest one gets the flow. Whatever the list, only
// the flows of a real that leaves, and those that a new real wins, move; directors agree in
// whatever order they list their reals. Weights by -weight / ln(number): "Weighted distributed hash
// tables" (Schindelhauer and Schomaker, 2005). A choice looks at every real.
// `slots` holds three words for each real that takes new flows: index, hash of its key, weight.
import { hashClient, hashText, hashWords } from './hash.ts';
import { isClosed } from './load.ts';
import {
  type Arrival,
  type BuildOptions,
  FLAG_DEFAULTS,
  type Load,
  type Schedule,
  type ScheduledReal,
  type Scheduler,
} from './scheduler.ts';
import { compareKeys } from './weights.ts';

const WORDS = 3;

function build(reals: readonly ScheduledReal[], { seed, flags }: BuildOptions): Schedule {
  const { port } = { ...FLAG_DEFAULTS.rendezvous, ...flags };
  const order = [...reals.keys()].filter((index) => reals[index]!.weight > 0);
  // By key, so that a draw of equal numbers ends alike on every director.
  order.sort((a, b) => compareKeys(reals[a]!.key, reals[b]!.key));
  const words = order.flatMap((index) => {
    const { key, weight } = reals[index]!;
    return [index, hashText(key, seed), weight];
  });
  const slots = Int32Array.from(words);
  const hashesPort = port === true;
  return { scheduler: 'rendezvous', slots, state: new Int32Array(0), seed, hashesPort };
}

function choose(schedule: Schedule, arrival: Arrival, load: Load): number {
  const { slots, seed } = schedule;
  const client = hashClient(schedule, arrival);
  let chosen = -1;
  let highest = 0;
  for (let at = 0; at < slots.length; at += WORDS) {
    if (isClosed(load, slots[at]!)) continue;
    const hash = hashWords(client, slots[at + 1]!, seed) >>> 0;
    const score = -slots[at + 2]! / Math.log((hash + 0.5) / 0x1_0000_0000);
    if (score <= highest) continue;
    chosen = slots[at]!;
    highest = score;
  }
  return chosen;
}

export const rendezvous: Scheduler = {
  name: 'rendezvous',
  summary: 'highest random weight: as few flows move as can be when the reals change',
  consistent: true,
  build,
  choose,
};

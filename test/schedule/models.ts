// Slow, obvious second writings of what the schedulers do fast, taken from the paper and from the
// kernel's source as they stand: what the fast ones are judged by.
import type { ScheduledReal } from '../../src/schedule/scheduler.ts';

/** MurmurHash3_x86_32 over bytes, in BigInt so that no shift or sign can hide an error. */
export function slowMurmur3(bytes: readonly number[], seed: number): number {
  const mask = 0xffff_ffffn;
  const rotate = (word: bigint, bits: bigint) => ((word << bits) | (word >> (32n - bits))) & mask;
  const scramble = (word: bigint) =>
    (rotate((word * 0xcc9e2d51n) & mask, 15n) * 0x1b873593n) & mask;
  const littleEndian = (part: readonly number[]) =>
    part.reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n);

  let hash = BigInt(seed >>> 0);
  const blocks = Math.floor(bytes.length / 4);
  for (let block = 0; block < blocks; block++) {
    hash ^= scramble(littleEndian(bytes.slice(block * 4, block * 4 + 4)));
    hash = (rotate(hash, 13n) * 5n + 0xe6546b64n) & mask;
  }
  if (bytes.length % 4 !== 0) hash ^= scramble(littleEndian(bytes.slice(blocks * 4)));
  hash ^= BigInt(bytes.length);
  hash = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) & mask;
  hash = ((hash ^ (hash >> 13n)) * 0xc2b2ae35n) & mask;
  return Number(hash ^ (hash >> 16n));
}

/** ip_vs_wrr.c: the list has a head that is no entry; `mark` is the state of the service. */
export class KernelWrr {
  readonly #weights: readonly number[];
  readonly #interval: number;
  readonly #most: number;
  #last = -1;
  #currentWeight: number;

  constructor(weights: readonly number[]) {
    this.#weights = weights;
    // ip_vs_wrr_gcd_weight: of weights above 0; 1 if there are none.
    const divides = (divisor: number) => weights.every((weight) => weight % divisor === 0);
    const largest = Math.max(0, ...weights);
    let interval = 1;
    for (let divisor = 1; divisor <= largest; divisor++) if (divides(divisor)) interval = divisor;
    this.#interval = interval;
    // ip_vs_wrr_max_weight less (di - 1).
    this.#most = largest - (interval - 1);
    this.#currentWeight = this.#most;
  }

  /** ip_vs_wrr_schedule, for reals that are never overloaded. */
  schedule(): number {
    if (this.#most === 0) return -1;
    for (;;) {
      for (let dest = this.#last + 1; dest < this.#weights.length; dest++) {
        if (this.#weights[dest]! >= this.#currentWeight) {
          this.#last = dest;
          return dest;
        }
      }
      // The list is at its end: go on from the head with a lower current weight.
      this.#last = -1;
      this.#currentWeight -= this.#interval;
      if (this.#currentWeight <= 0) this.#currentWeight = this.#most;
    }
  }
}

/**
 * The paper's section 3.4 with whole permutations written out, and the turns of weighted reals laid
 * out beforehand: the turn number k (from 0) of a real falls in round 1 + ceil(k * largest /
 * weight).
 * @param hashes offset and skip hash of a key, uint32
 * @returns for every slot the key of its real
 */
export function paperMaglev(
  reals: readonly ScheduledReal[],
  slotCount: number,
  hashes: (key: string) => { offset: number; skip: number },
): string[] {
  const takers = reals.filter(({ weight }) => weight > 0);
  const largest = Math.max(...takers.map(({ weight }) => weight));
  const turns = takers.flatMap(({ key, weight }) => {
    const share = Math.ceil((slotCount * weight) / largest) + 1;
    return Array.from({ length: share }, (_, k) => {
      return { key, round: 1 + Math.ceil((k * largest) / weight) };
    });
  });
  turns.sort((a, b) => a.round - b.round || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));

  const preferences = new Map(
    takers.map(({ key }) => {
      const hash = hashes(key);
      const offset = hash.offset % slotCount;
      const skip = (hash.skip % (slotCount - 1)) + 1;
      const permutation = Array.from({ length: slotCount }, (_, j) => {
        return (offset + j * skip) % slotCount;
      });
      return [key, permutation[Symbol.iterator]()] as const;
    }),
  );
  const entry = new Array<string | undefined>(slotCount).fill(undefined);
  let filled = 0;
  for (const { key } of turns) {
    if (filled === slotCount) break;
    for (const slot of preferences.get(key)!) {
      if (entry[slot] !== undefined) continue;
      entry[slot] = key;
      filled += 1;
      break;
    }
  }
  return entry.map((key) => key!);
}

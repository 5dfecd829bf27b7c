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

/** A real as the models of the load-aware schedulers see it, in the words of IPVS. */
export interface Dest {
  readonly weight: number;
  readonly activeconns: number;
  readonly inactconns: number;
}

/** ip_vs_dest_conn_overhead: `(activeconns << 8) + inactconns`. */
const overhead = ({ activeconns, inactconns }: Dest) =>
  BigInt(activeconns) * 256n + BigInt(inactconns);

/** The first of those with the least value over weight, by exact fractions. */
function firstLeast(dests: readonly Dest[], countOf: (dest: Dest) => bigint): number {
  const able = [...dests.keys()].filter((index) => dests[index]!.weight > 0);
  const isLess = (one: Dest, other: Dest) =>
    countOf(one) * BigInt(other.weight) < countOf(other) * BigInt(one.weight);
  const isLeast = (index: number) =>
    able.every((other) => !isLess(dests[other]!, dests[index]!)) &&
    able.every((other) => other >= index || isLess(dests[index]!, dests[other]!));
  return able.find(isLeast) ?? -1;
}

/** lc: weights count for nothing. */
export const slowLc = (dests: readonly Dest[]): number =>
  firstLeast(
    dests.map((dest) => ({ ...dest, weight: Math.min(dest.weight, 1) })),
    overhead,
  );

export const slowWlc = (dests: readonly Dest[]): number => firstLeast(dests, overhead);

export const slowSed = (dests: readonly Dest[]): number =>
  firstLeast(dests, ({ activeconns }) => BigInt(activeconns) + 1n);

export function slowNq(dests: readonly Dest[]): number {
  const idle = dests.findIndex(({ weight, activeconns }) => weight > 0 && activeconns === 0);
  return idle >= 0 ? idle : slowSed(dests);
}

export function slowFo(dests: readonly Dest[]): number {
  const highest = Math.max(0, ...dests.map(({ weight }) => weight));
  return highest === 0 ? -1 : dests.findIndex(({ weight }) => weight === highest);
}

export const slowOvf = (dests: readonly Dest[]): number =>
  slowFo(
    dests.map((dest) => ({ ...dest, weight: dest.activeconns > dest.weight ? 0 : dest.weight })),
  );

/** is_overloaded of ip_vs_lblc.c and ip_vs_lblcr.c. */
const isOverloaded = (dest: Dest, dests: readonly Dest[]) =>
  dest.activeconns > dest.weight &&
  dests.some(({ activeconns, weight }) => activeconns * 2 < weight);

const DAY_MS = 86_400_000;

/** The pseudo code at the top of ip_vs_lblc.c. No destination ever gives way to another. */
export class SlowLblc {
  readonly #cache = new Map<number, { real: number; lastUse: number }>();

  schedule(destination: number, dests: readonly Dest[], nowMs: number): number {
    const entry = this.#cache.get(destination);
    if (entry !== undefined && nowMs - entry.lastUse <= DAY_MS) {
      entry.lastUse = nowMs;
      const dest = dests[entry.real]!;
      if (dest.weight > 0 && !isOverloaded(dest, dests)) return entry.real;
    }
    const real = slowWlc(dests);
    if (real >= 0) this.#cache.set(destination, { real, lastUse: nowMs });
    return real;
  }
}

/** ip_vs_lblcr.c: sets are lists, and who joins goes to the head (list_add_rcu). */
export class SlowLblcr {
  readonly #sets = new Map<number, { list: number[]; lastUse: number; lastMod: number }>();

  schedule(destination: number, dests: readonly Dest[], nowMs: number): number {
    const set = this.#sets.get(destination);
    if (set === undefined || nowMs - set.lastUse > DAY_MS) {
      const real = slowWlc(dests);
      if (real >= 0) {
        this.#sets.set(destination, { list: [real], lastUse: nowMs, lastMod: nowMs });
      }
      return real;
    }
    set.lastUse = nowMs;
    const least = this.#pick(set.list, dests, slowWlc);
    if (set.list.length > 1 && nowMs - set.lastMod > DAY_MS) {
      // The most is the least of the reciprocals; of equals again the first in the list.
      const busiest = this.#pick(set.list, dests, slowBusiest);
      if (busiest >= 0) {
        set.list = set.list.filter((real) => real !== busiest);
        set.lastMod = nowMs;
      }
    }
    if (least >= 0 && !isOverloaded(dests[least]!, dests)) return least;
    const real = slowWlc(dests);
    if (real >= 0 && !set.list.includes(real)) {
      set.list.unshift(real);
      set.lastMod = nowMs;
    }
    return real;
  }

  #pick(list: readonly number[], dests: readonly Dest[], pick: typeof slowWlc): number {
    return list[pick(list.map((real) => dests[real]!))] ?? -1;
  }
}

/** ip_vs_dest_set_max. */
function slowBusiest(dests: readonly Dest[]): number {
  const able = [...dests.keys()].filter((index) => dests[index]!.weight > 0);
  const share = (index: number) => Number(overhead(dests[index]!)) / dests[index]!.weight;
  const most = Math.max(...able.map(share));
  return able.find((index) => share(index) === most) ?? -1;
}

/** ip_vs_dh_assign: bucket after bucket, the list again and again; a drained one's go round. */
export function slowDh(weights: readonly number[], hash: number, fallback: boolean): number {
  const takers = [...weights.keys()].filter((index) => weights[index]! > 0);
  if (takers.length === 0) return -1;
  let missed = 0;
  for (let bucket = 0; ; bucket++) {
    const index = bucket % weights.length;
    const isDrained = weights[index] === 0;
    if (bucket === (hash & 255)) {
      if (!isDrained) return index;
      return fallback ? takers[missed % takers.length]! : -1;
    }
    if (isDrained) missed += 1;
  }
}

/** Highest random weight, as the papers have it: all scores, sorted. */
export function slowRendezvous(
  reals: readonly ScheduledReal[],
  hashOf: (key: string) => number,
): string | undefined {
  const scores = reals
    .filter(({ weight }) => weight > 0)
    .map(({ key, weight }) => ({ key, score: weight / -Math.log((hashOf(key) + 0.5) / 2 ** 32) }));
  scores.sort((a, b) => b.score - a.score || (a.key < b.key ? -1 : 1));
  return scores[0]?.key;
}

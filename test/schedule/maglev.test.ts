// Maglev's table against a slow second writing of the paper; agreement between directors, fair
// shares of the slots, and how few flows move.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAGLEV_SLOTS } from '../../src/config/schema.ts';
import { hashText } from '../../src/schedule/hash.ts';
import { maglev } from '../../src/schedule/maglev.ts';
import { FLAG_DEFAULTS, type ScheduledReal } from '../../src/schedule/scheduler.ts';
import { paperMaglev } from './models.ts';
import { play } from './play.ts';

const SEED = 0x66757269;
const SLOTS = FLAG_DEFAULTS.maglev!.slots!;

const realsOf = (...weights: number[]): ScheduledReal[] =>
  weights.map((weight, n) => ({ key: `198.51.100.${n + 1}:443`, weight }));

/** The key that holds each slot. */
function keysOf(reals: readonly ScheduledReal[], seed = SEED, count = SLOTS): string[] {
  const { slots } = maglev.build(reals, { seed, flags: { slots: count } });
  return Array.from(slots, (index) => reals[index]!.key);
}

function countsOf(reals: readonly ScheduledReal[]): number[] {
  const counts = reals.map(() => 0);
  for (const index of maglev.build(reals, { seed: SEED }).slots) counts[index] = counts[index]! + 1;
  return counts;
}

const moved = (before: readonly string[], after: readonly string[]) =>
  before.filter((key, slot) => key !== after[slot]).length;

describe('agrees with a second writing of the paper', () => {
  const hashes = (seed: number) => (key: string) => ({
    offset: hashText(key, seed) >>> 0,
    skip: hashText(key, seed ^ 0x5bd1e995) >>> 0,
  });

  test.each([
    [[1]],
    [[1, 1, 1]],
    [[3, 0, 2, 1]],
    [[7, 5, 100, 64, 1]],
    [[65_535, 1]],
    [new Array<number>(40).fill(1)],
  ])('for the weights %j', (weights) => {
    const reals = realsOf(...weights);
    expect(keysOf(reals)).toEqual(paperMaglev(reals, SLOTS, hashes(SEED)));
  });

  test.each(MAGLEV_SLOTS)('on %i slots of two bytes, each real with one at least', (count) => {
    const reals = realsOf(...new Array<number>(200).fill(1), 65_535);
    expect(keysOf(reals, SEED, count)).toEqual(paperMaglev(reals, count, hashes(SEED)));
    const { slots } = maglev.build(reals, { seed: SEED, flags: { slots: count } });
    expect(slots.byteLength).toBe(count * 2);
    expect(new Set(slots).size).toBe(201);
  });

  test('for any few reals, weights and seeds', () => {
    const real = fc.record({ key: fc.string({ minLength: 1 }), weight: fc.nat(20) });
    const reals = fc.uniqueArray(real, { minLength: 1, maxLength: 6, selector: ({ key }) => key });
    fc.assert(
      fc.property(reals, fc.nat(0xffff_ffff), (list, seed) => {
        fc.pre(list.some(({ weight }) => weight > 0));
        expect(keysOf(list, seed)).toEqual(paperMaglev(list, SLOTS, hashes(seed)));
      }),
      { numRuns: 12 },
    );
  });
});

test('two directors agree, in whatever order they list their reals', () => {
  const reals = realsOf(1, 5, 2, 0, 9, 5, 30);
  const expected = keysOf(reals);
  fc.assert(
    fc.property(fc.shuffledSubarray(reals, { minLength: reals.length }), (shuffled) => {
      expect(keysOf(shuffled)).toEqual(expected);
    }),
    { numRuns: 10 },
  );
});

test('a real of weight 0 changes nothing for the others', () => {
  const reals = realsOf(1, 5, 2);
  const guest = { key: '10.0.0.1:1', weight: 0 };
  expect(keysOf([guest, ...reals])).toEqual(keysOf(reals));
});

describe('shares of the slots', () => {
  test('of equal reals differ by one slot at most', () => {
    const counts = countsOf(realsOf(...new Array<number>(100).fill(7)));
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  });

  test('follow the weights to one turn', () => {
    const weights = [1, 2, 3, 10, 100, 65];
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [index, count] of countsOf(realsOf(...weights)).entries()) {
      expect(Math.abs(count - (SLOTS * weights[index]!) / total)).toBeLessThanOrEqual(2);
    }
  });

  test('leave no weight above 0 without a slot', () => {
    const counts = countsOf(realsOf(65_535, 65_535, 1));
    expect(counts[2]).toBeGreaterThan(0);
  });
});

describe('when the reals change', () => {
  const hundred = realsOf(...new Array<number>(100).fill(1));

  test('and one of a hundred leaves, its own slots move and few others', () => {
    const before = keysOf(hundred);
    const gone = hundred[41]!.key;
    const after = keysOf(hundred.filter(({ key }) => key !== gone));
    const own = before.filter((key) => key === gone).length;
    expect(after).not.toContain(gone);
    // The paper's figure 12 has a few percent for a small number of losses.
    expect(moved(before, after) - own).toBeLessThan(SLOTS * 0.03);
  });

  test('and one is of weight 0 from the start, the same slots move as if it had left', () => {
    const drained = hundred.map((real, n) => (n === 41 ? { ...real, weight: 0 } : real));
    const without = hundred.filter((_, n) => n !== 41);
    expect(keysOf(drained)).toEqual(keysOf(without));
  });

  test('and one comes back, the table is as it was', () => {
    const returned = [...hundred.slice(0, 41), ...hundred.slice(42), hundred[41]!];
    expect(keysOf(returned)).toEqual(keysOf(hundred));
  });
});

test('the port counts: flows of one client spread over the reals', () => {
  const { arrive } = play(maglev, realsOf(1, 1, 1));
  const chosen = new Set<number>();
  for (let clientPort = 40_000; clientPort < 40_050; clientPort++)
    chosen.add(arrive({ clientPort }));
  expect(chosen).toEqual(new Set([0, 1, 2]));
});

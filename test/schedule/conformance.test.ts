// What every scheduler keeps, run for all of them: only reals that take new flows, shares that
// follow the weights, plain data, and the same choices from the same data.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SCHEDULER_NAMES, type ScheduledReal } from '../../src/schedule/scheduler.ts';
import { SCHEDULERS, schedulerNamed } from '../../src/schedule/schedulers.ts';

const SEED = 0x66757269;

const realsOf = (...weights: number[]): ScheduledReal[] =>
  weights.map((weight, n) => ({ key: `192.0.2.${n + 1}:80`, weight }));

/** Clients as they come: many addresses, a few ports each. */
const clients = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    address: (0x0a000000 + Math.floor(n / 3) * 7) | 0,
    port: 32_768 + ((n * 2_654_435_761) % 28_000),
  }));

test('there is one scheduler for every name', () => {
  expect(Object.keys(SCHEDULERS)).toEqual([...SCHEDULER_NAMES]);
});

describe.each(SCHEDULER_NAMES)('%s', (name) => {
  const scheduler = schedulerNamed(name);
  const build = (reals: readonly ScheduledReal[], seed = SEED) => scheduler.build(reals, { seed });

  /** How often each real is chosen by so many clients. */
  function countsOf(reals: readonly ScheduledReal[], flows: number): number[] {
    const schedule = build(reals);
    const counts = new Array<number>(reals.length).fill(0);
    for (const { address, port } of clients(flows)) {
      const chosen = scheduler.choose(schedule, address, port);
      counts[chosen] = counts[chosen]! + 1;
    }
    return counts;
  }

  test('says who it is', () => {
    expect(scheduler.name).toBe(name);
    expect(build(realsOf(1)).scheduler).toBe(name);
    expect(build(realsOf(1)).seed).toBe(SEED);
    expect(scheduler.summary).not.toBe('');
  });

  test.each([[[]], [[0]], [[0, 0, 0]]])('chooses none of the weights %j', (weights) => {
    const schedule = build(realsOf(...weights));
    for (let n = 0; n < 5; n++) expect(scheduler.choose(schedule, n, n)).toBe(-1);
  });

  test('chooses the only one that takes new flows, wherever it stands', () => {
    for (const weights of [[1], [65_535], [0, 7], [7, 0], [0, 0, 3, 0]]) {
      const schedule = build(realsOf(...weights));
      const expected = weights.findIndex((weight) => weight > 0);
      for (const { address, port } of clients(100)) {
        expect(scheduler.choose(schedule, address, port)).toBe(expected);
      }
    }
  });

  test('never leaves the list and never chooses weight 0', () => {
    const weight = fc.oneof(fc.constant(0), fc.nat(5), fc.nat(65_535));
    const client = fc.tuple(fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }), fc.nat(0xffff));
    fc.assert(
      fc.property(
        fc.array(weight, { maxLength: 12 }),
        fc.array(client, { minLength: 20, maxLength: 60 }),
        (weights, arrivals) => {
          const schedule = build(realsOf(...weights));
          const some = weights.some((own) => own > 0);
          for (const [address, port] of arrivals) {
            const chosen = scheduler.choose(schedule, address, port);
            if (some) expect(weights[chosen]).toBeGreaterThan(0);
            else expect(chosen).toBe(-1);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('goes on from a structured clone as from the original', () => {
    const schedule = build(realsOf(5, 0, 3, 2));
    for (const { address, port } of clients(7)) scheduler.choose(schedule, address, port);
    const clone = structuredClone(schedule);
    expect(clone).toEqual(schedule);
    for (const { address, port } of clients(50)) {
      const expected = scheduler.choose(schedule, address, port);
      expect(scheduler.choose(clone, address, port)).toBe(expected);
    }
  });

  test('chooses the same for the same clients in a second life', () => {
    const reals = realsOf(3, 1, 0, 4);
    const [one, two] = [build(reals), build(reals)];
    expect(two).toEqual(one);
    for (const { address, port } of clients(200)) {
      expect(scheduler.choose(two, address, port)).toBe(scheduler.choose(one, address, port));
    }
  });

  test('does not change the reals it was given', () => {
    const reals = realsOf(2, 0, 1).reverse();
    const before = structuredClone(reals);
    build(reals);
    expect(reals).toEqual(before);
  });

  // Hashing is a lottery: 30,000 flows over shares of at least a tenth stay well within 10 percent.
  const weighted = name !== 'rr';
  test.each([
    [[1, 1, 1]],
    [[100, 100, 100]],
    [[1, 2, 3]],
    [[99, 101]],
    [[300, 700]],
    [[60_000, 40_000, 20_000]],
    [[4, 0, 2, 2]],
  ])('shares flows by the weights %j', (weights) => {
    const shares = weights.map((weight) => (weighted ? weight : Math.sign(weight)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    const flows = 30_000;
    for (const [index, count] of countsOf(realsOf(...weights), flows).entries()) {
      const fair = (flows * shares[index]!) / total;
      expect(Math.abs(count - fair), `real ${index}: ${count} of ${fair}`).toBeLessThanOrEqual(
        fair * 0.1,
      );
    }
  });

  test('builds a thousand reals, and each of them is chosen', () => {
    const counts = countsOf(realsOf(...new Array<number>(1000).fill(10)), 60_000);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  if (scheduler.consistent) {
    test('depends on nothing but the client and the reals', () => {
      const reals = realsOf(3, 1, 2);
      const [one, two] = [build(reals), build(reals)];
      const arrivals = clients(300);
      const forward = arrivals.map(({ address, port }) => scheduler.choose(one, address, port));
      arrivals.reverse();
      const backward = arrivals.map(({ address, port }) => scheduler.choose(two, address, port));
      expect(backward.reverse()).toEqual(forward);
    });

    test('sends clients elsewhere under another seed', () => {
      const reals = realsOf(1, 1, 1, 1);
      const [one, two] = [build(reals, 1), build(reals, 2)];
      const moved = clients(3000).filter(({ address, port }) => {
        return scheduler.choose(one, address, port) !== scheduler.choose(two, address, port);
      });
      expect(moved.length).toBeGreaterThan(3000 * 0.65);
      expect(moved.length).toBeLessThan(3000 * 0.85);
    });
  }
});

// What every scheduler keeps, run for all of them: only reals that take new flows, shares that
// follow the weights where they should, plain data, and the same choices from the same data.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  FLAG_DEFAULTS,
  SCHEDULER_NAMES,
  type ScheduledReal,
  type SchedulerName,
} from '../../src/schedule/scheduler.ts';
import { SCHEDULERS, schedulerNamed } from '../../src/schedule/schedulers.ts';
import { arrivals, emptyLoad, play, realsOf, SEED } from './play.ts';

/** Every real that takes new flows gets as many, or as its weight says, or it is another matter. */
const SHARES: Readonly<Record<SchedulerName, 'equal' | 'by weight' | 'its own'>> = {
  ...{ rr: 'equal', wrr: 'by weight', lc: 'equal', wlc: 'by weight' },
  ...{ sh: 'by weight', dh: 'equal', maglev: 'by weight', rendezvous: 'by weight' },
  ...{ sed: 'by weight', nq: 'by weight', fo: 'its own', ovf: 'its own' },
  ...{ lblc: 'its own', lblcr: 'its own', random: 'by weight', twos: 'by weight' },
};
/** Those that must not care what the clients look like. */
const HASHES: readonly SchedulerName[] = ['sh', 'dh', 'maglev', 'rendezvous'];

test('there is one scheduler for every name', () => {
  expect(Object.keys(SCHEDULERS)).toEqual([...SCHEDULER_NAMES]);
});

test('flags are known to the schedulers that hash, and to no others', () => {
  expect(Object.keys(FLAG_DEFAULTS)).toEqual(HASHES);
});

describe.each(SCHEDULER_NAMES)('%s', (name) => {
  const scheduler = schedulerNamed(name);
  const build = (reals: readonly ScheduledReal[], seed = SEED) => scheduler.build(reals, { seed });

  test('says who it is', () => {
    expect(scheduler.name).toBe(name);
    expect(build(realsOf(1)).scheduler).toBe(name);
    expect(build(realsOf(1)).seed).toBe(SEED);
    expect(scheduler.summary).not.toBe('');
  });

  test.each([[[]], [[0]], [[0, 0, 0]]])('chooses none of the weights %j', (weights) => {
    const { arrive } = play(scheduler, realsOf(...weights));
    for (let n = 0; n < 5; n++) expect(arrive({ client: n, clientPort: n, vip: n })).toBe(-1);
  });

  test('chooses the only one that takes new flows, wherever it stands', () => {
    for (const weights of [[1], [65_535], [0, 7], [7, 0], [0, 0, 3, 0]]) {
      const { arrive, end } = play(scheduler, realsOf(...weights));
      const expected = weights.findIndex((weight) => weight > 0);
      for (const each of arrivals(100)) {
        expect(arrive(each)).toBe(expected);
        end(expected);
      }
    }
  });

  test('chooses none that was drained, whatever its weight was', () => {
    const reals = realsOf(3, 0, 2).map((real, n) => (n === 1 ? { ...real, lastWeight: 5 } : real));
    const { arrive, end } = play(scheduler, reals);
    for (const each of arrivals(300)) {
      const chosen = arrive(each);
      expect([0, 2]).toContain(chosen);
      end(chosen);
    }
  });

  test('never leaves the list and never chooses weight 0', () => {
    const weight = fc.oneof(fc.constant(0), fc.nat(5), fc.nat(65_535));
    const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
    const one = fc.record({ client: int32, clientPort: fc.nat(0xffff), vip: int32, nowMs: int32 });
    fc.assert(
      fc.property(
        fc.array(weight, { maxLength: 12 }),
        fc.array(one, { minLength: 20, maxLength: 60 }),
        (weights, list) => {
          const { arrive, end } = play(scheduler, realsOf(...weights));
          const some = weights.some((own) => own > 0);
          for (const [turn, each] of list.entries()) {
            const chosen = arrive(each);
            if (some) expect(weights[chosen]).toBeGreaterThan(0);
            else expect(chosen).toBe(-1);
            if (some && turn % 2 === 0) end(chosen);
            // Room for everybody, as far as ovf looks at it.
            if (name === 'ovf' && chosen >= 0 && turn % 2 === 1) end(chosen);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  describe('with closed reals', () => {
    const weights = [4, 1, 0, 65_535, 3, 2];

    test('chooses the only one that is open, wherever it stands', () => {
      for (const open of [0, 1, 3, 4, 5]) {
        const { arrive, close, end } = play(scheduler, realsOf(...weights));
        close(...[0, 1, 2, 3, 4, 5].filter((index) => index !== open));
        for (const each of arrivals(50)) {
          expect(arrive(each)).toBe(open);
          end(open);
        }
      }
    });

    test('chooses none if all are', () => {
      const { arrive, close } = play(scheduler, realsOf(...weights));
      close(0, 1, 3, 4, 5);
      for (const each of arrivals(5)) expect(arrive(each)).toBe(-1);
    });

    test('never chooses one, while they close and open', () => {
      const turn = fc.record({ closed: fc.uniqueArray(fc.nat(5)), arrivals: fc.nat(12) });
      fc.assert(
        fc.property(fc.array(turn, { maxLength: 12 }), (turns) => {
          const { arrive, close, end } = play(scheduler, realsOf(...weights));
          for (const { closed, arrivals: count } of turns) {
            close(...closed);
            const some = [0, 1, 3, 4, 5].some((index) => !closed.includes(index));
            for (const each of arrivals(count)) {
              const chosen = arrive(each);
              expect(closed).not.toContain(chosen);
              expect(chosen >= 0).toBe(some);
              if (some) end(chosen);
            }
          }
        }),
        { numRuns: 20 },
      );
    });

    if (HASHES.includes(name)) {
      test('moves no flow but those of the closed one, and all of them back', () => {
        const { schedule, load, close } = play(scheduler, realsOf(1, 1, 1, 1, 1));
        const list = arrivals(2000);
        const choices = () => list.map((each) => scheduler.choose(schedule, each, load));
        const before = choices();
        close(2);
        const during = choices();
        expect(during.filter((index) => index === 2)).toEqual([]);
        expect(during.every((index, n) => index === before[n] || before[n] === 2)).toBe(true);
        const heirs = [0, 1, 3, 4].map((heir) => {
          return during.filter((index, n) => before[n] === 2 && index === heir).length;
        });
        expect(Math.min(...heirs)).toBeGreaterThan(60);
        close();
        expect(choices()).toEqual(before);
      });
    }
  });

  test('goes on from a structured clone as from the original', () => {
    const { schedule, load, arrive } = play(scheduler, realsOf(5, 0, 3, 2));
    for (const each of arrivals(7)) arrive(each);
    const clone = structuredClone(schedule);
    expect(clone).toEqual(schedule);
    for (const each of arrivals(50)) {
      const expected = scheduler.choose(schedule, each, load);
      expect(scheduler.choose(clone, each, load)).toBe(expected);
    }
  });

  test('chooses the same for the same clients in a second life', () => {
    const reals = realsOf(3, 1, 0, 4);
    const [one, two] = [play(scheduler, reals), play(scheduler, reals)];
    expect(two.schedule).toEqual(one.schedule);
    for (const each of arrivals(200)) expect(two.arrive(each)).toBe(one.arrive(each));
  });

  test('does not change the reals it was given', () => {
    const reals = realsOf(2, 0, 1).reverse();
    const before = structuredClone(reals);
    build(reals);
    expect(reals).toEqual(before);
  });

  test('takes over from a schedule of other reals, and goes on', () => {
    const weights = fc.array(fc.nat(4), { minLength: 1, maxLength: 6 });
    const kept = fc.array(fc.nat(8), { maxLength: 6 });
    fc.assert(
      fc.property(weights, weights, kept, (before, now, from) => {
        fc.pre(now.some((weight) => weight > 0));
        const first = play(scheduler, realsOf(...before));
        for (const each of arrivals(20)) first.arrive(each);
        const next = play(scheduler, realsOf(...now));
        const moved = Int32Array.from(before, (_, index) => {
          const to = from.indexOf(index);
          return to < now.length ? to : -1;
        });
        scheduler.takeOver?.(next.schedule, first.schedule, moved);
        for (const each of arrivals(20)) {
          const chosen = next.arrive(each);
          expect(now[chosen]).toBeGreaterThan(0);
          next.end(chosen);
        }
      }),
      { numRuns: 100 },
    );
  });

  if (scheduler.takeOver !== undefined) {
    test('takes over from its own like: nothing has changed', () => {
      const reals = realsOf(3, 1, 0, 4);
      const [one, next] = [play(scheduler, reals), play(scheduler, reals)];
      for (const each of arrivals(17)) one.arrive(each);
      scheduler.takeOver?.(next.schedule, one.schedule, Int32Array.of(0, 1, 2, 3));
      expect(next.schedule).toEqual(one.schedule);
    });
  }

  // Hashing is a lottery: 30,000 flows over shares of at least a tenth stay well within 10 percent.
  test
    .skipIf(SHARES[name] === 'its own')
    .each([
      [[1, 1, 1]],
      [[100, 100, 100]],
      [[1, 2, 3]],
      [[99, 101]],
      [[300, 700]],
      [[60_000, 40_000, 20_000]],
      [[4, 0, 2, 2]],
    ])('shares flows by the weights %j', (weights) => {
    const shares = weights.map((own) => (SHARES[name] === 'equal' ? Math.sign(own) : own));
    const total = shares.reduce((sum, share) => sum + share, 0);
    const flows = 30_000;
    const { arrive } = play(scheduler, realsOf(...weights));
    const counts = weights.map(() => 0);
    for (const each of arrivals(flows)) counts[arrive(each)]! += 1;
    for (const [index, count] of counts.entries()) {
      const fair = (flows * shares[index]!) / total;
      expect(Math.abs(count - fair), `real ${index}: ${count} of ${fair}`).toBeLessThanOrEqual(
        fair * 0.1,
      );
    }
  });

  test.skipIf(SHARES[name] === 'its own')('builds a thousand reals, and chooses each', () => {
    const { arrive } = play(scheduler, realsOf(...new Array<number>(1000).fill(10)));
    const seen = new Set(arrivals(name === 'sh' ? 60_000 : 20_000).map(arrive));
    expect([...seen].filter((index) => index >= 0)).toHaveLength(1000);
  });

  if (scheduler.consistent) {
    test('depends on nothing but the client and the reals', () => {
      const reals = realsOf(3, 1, 2);
      const [one, two] = [play(scheduler, reals), play(scheduler, reals)];
      const list = arrivals(300);
      const forward = list.map((each) => one.arrive(each));
      const backward = list.toReversed().map((each) => two.arrive(each));
      expect(backward.reverse()).toEqual(forward);
    });
  }

  if (FLAG_DEFAULTS[name]?.fallback !== undefined) {
    test('without fallback refuses the flows of a closed real, and no others', () => {
      const schedule = scheduler.build(realsOf(1, 1, 1), {
        seed: SEED,
        flags: { fallback: false },
      });
      const load = emptyLoad(3);
      const choices = () => arrivals(500).map((each) => scheduler.choose(schedule, each, load));
      const before = choices();
      load.closed[load.ids[load.first + 1]!] = 1;
      expect(choices()).toEqual(before.map((index) => (index === 1 ? -1 : index)));
    });
  }

  if (HASHES.includes(name)) {
    test('sends clients elsewhere under another seed', () => {
      const reals = realsOf(1, 1, 1, 1);
      const [one, two] = [build(reals, 1), build(reals, 2)];
      const load = emptyLoad(4);
      const moved = arrivals(3000).filter((each) => {
        return scheduler.choose(one, each, load) !== scheduler.choose(two, each, load);
      });
      expect(moved.length).toBeGreaterThan(3000 * 0.65);
      expect(moved.length).toBeLessThan(3000 * 0.85);
    });
  }
});

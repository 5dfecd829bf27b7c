// The schedulers that hash: dh and rendezvous against slow writings, who moves when the reals
// change, and what becomes of the share of a drained real.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dh } from '../../src/schedule/dh.ts';
import { hashText, hashWord, hashWords } from '../../src/schedule/hash.ts';
import { maglev } from '../../src/schedule/maglev.ts';
import { rendezvous } from '../../src/schedule/rendezvous.ts';
import type { HashFlags, ScheduledReal, Scheduler } from '../../src/schedule/scheduler.ts';
import { sh } from '../../src/schedule/sh.ts';
import { slowDh, slowRendezvous } from './models.ts';
import { arrivals, play, realsOf, SEED } from './play.ts';

const CLIENTS = arrivals(6000);

/** The key that each client comes to, or undefined where it is refused. */
function served(scheduler: Scheduler, reals: readonly ScheduledReal[], flags: HashFlags = {}) {
  const { arrive } = play(scheduler, reals, { flags });
  return CLIENTS.map((client) => reals[arrive(client)]?.key);
}

const drain = (reals: readonly ScheduledReal[], index: number): ScheduledReal[] =>
  reals.map((real, n) => (n === index ? { ...real, weight: 0, lastWeight: real.weight } : real));

test('dh chooses as its model does', () => {
  const weights = fc.array(fc.nat(2), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(weights, fc.integer(), fc.boolean(), (list, vip, fallback) => {
      const { arrive } = play(dh, realsOf(...list), { flags: { fallback } });
      expect(arrive({ vip: vip | 0 })).toBe(slowDh(list, hashWord(vip, SEED), fallback));
    }),
  );
});

test('dh looks at the destination alone, in however many buckets', () => {
  const { schedule, arrive } = play(dh, realsOf(...new Array<number>(300).fill(1)));
  expect(schedule.slots.length).toBe(8192);
  for (let vip = 0; vip < 50; vip++) {
    const chosen = new Set([1, 2, 3].map((n) => arrive({ vip, client: n, clientPort: n })));
    expect(chosen.size).toBe(1);
  }
});

describe('rendezvous', () => {
  const real = fc.record({ key: fc.string({ minLength: 1 }), weight: fc.nat(20) });
  const lists = fc.uniqueArray(real, { maxLength: 8, selector: ({ key }) => key });

  test('chooses as its model does, in whatever order the reals are listed', () => {
    fc.assert(
      fc.property(lists, fc.integer(), fc.nat(0xffff), fc.boolean(), (reals, client, at, port) => {
        const flow = port ? hashWords(client, at, SEED) : hashWord(client, SEED);
        const hashOf = (key: string) => hashWords(flow, hashText(key, SEED), SEED) >>> 0;
        for (const list of [reals, reals.toReversed()]) {
          const { arrive } = play(rendezvous, list, { flags: { port } });
          const key = list[arrive({ client: client | 0, clientPort: at })]?.key;
          expect(key).toBe(slowRendezvous(list, hashOf));
        }
      }),
    );
  });

  test('moves only the flows of a real that leaves, or that a new one wins', () => {
    const reals = realsOf(1, 5, 2, 3, 1);
    const all = served(rendezvous, reals);
    const left = reals.filter((_, n) => n !== 3);
    const without = served(rendezvous, left);
    expect(all.every((key, n) => key === without[n] || key === reals[3]!.key)).toBe(true);
    expect(served(rendezvous, drain(reals, 3))).toEqual(without);
  });

  test('moves flows only to a real whose weight grows', () => {
    const before = served(rendezvous, realsOf(2, 2, 2));
    const after = served(rendezvous, realsOf(2, 3, 2));
    const moved = after.filter((key, n) => key !== before[n]);
    expect(moved.length).toBeGreaterThan(0);
    expect(new Set(moved)).toEqual(new Set(['192.0.2.2:80']));
  });
});

describe.each([sh, maglev, rendezvous])('$name', (scheduler) => {
  test.each([
    [true, 3],
    [false, 1],
  ])('with port: %s sends one client to %i of three reals', (port, count) => {
    const { arrive } = play(scheduler, realsOf(1, 1, 1), { flags: { port } });
    const chosen = new Set(Array.from({ length: 60 }, (_, n) => arrive({ clientPort: 1024 + n })));
    expect(chosen.size).toBe(count);
  });
});

test('by default maglev and rendezvous look at the port, and sh does not', () => {
  const looks = [sh, maglev, rendezvous].map(
    (scheduler) => play(scheduler, realsOf(1, 1)).schedule.hashesPort,
  );
  expect(looks).toEqual([false, true, true]);
});

describe.each([sh, dh, maglev])('$name with a drained real', (scheduler) => {
  const reals = realsOf(2, 2, 2, 2);
  const drained = drain(reals, 1);
  const before = served(scheduler, reals);

  test('moves its flows and no others, and shares them among the rest', () => {
    const after = served(scheduler, drained);
    const own = before.filter((key) => key === reals[1]!.key).length;
    const moved = after.filter((key, n) => key !== before[n]);
    expect(moved).toHaveLength(own);
    for (const { key } of [reals[0]!, reals[2]!, reals[3]!]) {
      const share = moved.filter((to) => to === key).length;
      expect(Math.abs(share - own / 3)).toBeLessThan((own / 3) * 0.25);
    }
  });

  test('refuses its flows without fallback, and no others', () => {
    const after = served(scheduler, drained, { fallback: false });
    const expected = before.map((key) => (key === reals[1]!.key ? undefined : key));
    expect(after).toEqual(expected);
  });

  test('is as it was when the real takes flows again', () => {
    expect(
      served(
        scheduler,
        drain(drained, 1).map((real) => ({ ...real, weight: 2 })),
      ),
    ).toEqual(before);
  });

  test('refuses all when every real is drained', () => {
    const all = reals.map((real) => ({ ...real, weight: 0, lastWeight: 2 }));
    expect(new Set(served(scheduler, all))).toEqual(new Set([undefined]));
  });
});

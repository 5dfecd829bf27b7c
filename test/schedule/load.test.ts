// The schedulers that look at flows, choice for choice against slow writings of IPVS's, for any
// weights and loads; and the ties, the thresholds and the turns that people rely on.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fo } from '../../src/schedule/fo.ts';
import { lblc } from '../../src/schedule/lblc.ts';
import { lblcr } from '../../src/schedule/lblcr.ts';
import { lc } from '../../src/schedule/lc.ts';
import { nq } from '../../src/schedule/nq.ts';
import { ovf } from '../../src/schedule/ovf.ts';
import { random } from '../../src/schedule/random.ts';
import type { Scheduler } from '../../src/schedule/scheduler.ts';
import { sed } from '../../src/schedule/sed.ts';
import { twos } from '../../src/schedule/twos.ts';
import { wlc } from '../../src/schedule/wlc.ts';
import {
  type Dest,
  SlowLblc,
  SlowLblcr,
  slowFo,
  slowLc,
  slowNq,
  slowOvf,
  slowSed,
  slowWlc,
} from './models.ts';
import { type Play, play, realsOf } from './play.ts';

const DAY_MS = 86_400_000;

const small = fc.record({
  ...{ weight: fc.nat(3), activeconns: fc.nat(4), inactconns: fc.nat(3) },
});
const large = fc.record({
  ...{ weight: fc.nat(65_535), activeconns: fc.nat(16_000_000), inactconns: fc.nat(16_000_000) },
});
const anyDests = fc.oneof(fc.array(small, { maxLength: 6 }), fc.array(large, { maxLength: 6 }));

const setLoads = ({ setLoad }: Play, dests: readonly Dest[]) => {
  for (const [index, { activeconns, inactconns }] of dests.entries()) {
    setLoad(index, { active: activeconns, inactive: inactconns });
  }
};

/** What a scheduler makes of these reals; an `active/inactive` pair each. */
function chosen(scheduler: Scheduler, weights: readonly number[], loads: readonly string[]) {
  const playing = play(scheduler, realsOf(...weights));
  for (const [index, load] of loads.entries()) {
    const [active = 0, inactive = 0] = load.split('/').map(Number);
    playing.setLoad(index, { active, inactive });
  }
  return playing.arrive();
}

const MODELS: [Scheduler, (dests: readonly Dest[]) => number][] = [
  ...([
    [lc, slowLc],
    [wlc, slowWlc],
    [sed, slowSed],
    [nq, slowNq],
    [fo, slowFo],
    [ovf, slowOvf],
  ] as const),
].map(([scheduler, model]) => [scheduler, model]);

test.each(MODELS.map(([scheduler, model]) => ({ name: scheduler.name, scheduler, model })))(
  '$name chooses as its model does',
  ({ scheduler, model }) => {
    fc.assert(
      fc.property(anyDests, (dests) => {
        const playing = play(scheduler, realsOf(...dests.map(({ weight }) => weight)));
        setLoads(playing, dests);
        expect(playing.arrive()).toBe(model(dests));
      }),
      { numRuns: 500 },
    );
  },
);

describe('of equals the first is taken', () => {
  test.each([lc, wlc, sed, nq, fo, ovf])('by $name', (scheduler) => {
    expect(chosen(scheduler, [0, 2, 2, 2], ['0/0', '1/4', '1/4', '1/4'])).toBe(1);
  });
});

describe('an active flow weighs as 256 others', () => {
  test.each([lc, wlc])('with $name', (scheduler) => {
    expect(chosen(scheduler, [1, 1], ['1/0', '0/255'])).toBe(1);
    expect(chosen(scheduler, [1, 1], ['1/0', '0/256'])).toBe(0);
    expect(chosen(scheduler, [1, 1], ['1/1', '0/256'])).toBe(1);
  });
});

test('sed lets a light real wait, wlc and nq do not', () => {
  expect(chosen(sed, [10, 1], ['3/0', '0/0'])).toBe(0);
  expect(chosen(wlc, [10, 1], ['3/0', '0/0'])).toBe(1);
  expect(chosen(nq, [10, 1], ['3/0', '0/0'])).toBe(1);
});

test('ovf fills the heaviest up to weight + 1 flows, then the next, then refuses', () => {
  const { arrive, end } = play(ovf, realsOf(1, 2, 0));
  expect(Array.from({ length: 6 }, () => arrive())).toEqual([1, 1, 1, 0, 0, -1]);
  end(1);
  expect(arrive()).toBe(1);
});

describe('lblc', () => {
  test('chooses as its model does, over days, drains and reals that come back', () => {
    compareByDestination(lblc, () => new SlowLblc());
  });

  test('keeps a destination where it is until that real is overloaded', () => {
    const { arrive, setLoad } = play(lblc, realsOf(2, 2));
    expect(arrive({ vip: 1 })).toBe(0);
    setLoad(0, { active: 3 });
    setLoad(1, { active: 1 });
    expect(arrive({ vip: 1 })).toBe(0);
    setLoad(1, { active: 0 });
    expect(arrive({ vip: 1 })).toBe(1);
    expect(arrive({ vip: 1 })).toBe(1);
  });

  test('forgets what nobody asked for in a day', () => {
    const { arrive, setLoad } = play(lblc, realsOf(9, 9));
    expect(arrive({ vip: 1, nowMs: 0 })).toBe(0);
    setLoad(0, { active: 2 });
    expect(arrive({ vip: 1, nowMs: DAY_MS })).toBe(0);
    expect(arrive({ vip: 1, nowMs: 2 * DAY_MS + 1 })).toBe(1);
  });

  test('lets the destination go that was used longest ago when there are too many', () => {
    const { arrive, setLoad } = play(lblc, realsOf(60_000, 60_000));
    expect(arrive({ vip: 7, nowMs: 0 })).toBe(0);
    setLoad(0, { active: 9 });
    for (let vip = 1000; vip < 6000; vip++) arrive({ vip, nowMs: vip });
    expect(arrive({ vip: 5999, nowMs: 6000 })).toBe(arrive({ vip: 5999, nowMs: 6001 }));
    setLoad(0, { active: 9 });
    setLoad(1, { active: 0 });
    expect(arrive({ vip: 7, nowMs: 6002 })).toBe(1);
  });

  test('takes its destinations over, and lets go of those of a real that left', () => {
    const before = play(lblc, realsOf(9, 9, 9));
    before.setLoad(0, { active: 1 });
    expect([before.arrive({ vip: 1 }), before.arrive({ vip: 2 })]).toEqual([1, 2]);
    const now = play(lblc, realsOf(9, 9));
    now.setLoad(1, { active: 3 });
    // The first real has left: 1 is 0 now, and 2 is 1; then the second leaves as well.
    lblc.takeOver!(now.schedule, before.schedule, Int32Array.of(-1, 0, 1));
    expect([now.arrive({ vip: 1 }), now.arrive({ vip: 2 })]).toEqual([0, 1]);
    const last = play(lblc, realsOf(9));
    lblc.takeOver!(last.schedule, now.schedule, Int32Array.of(-1, 0));
    expect([last.arrive({ vip: 1 }), last.arrive({ vip: 2 })]).toEqual([0, 0]);
  });
});

describe('lblcr', () => {
  test('chooses as its model does, over days, drains and reals that come back', () => {
    compareByDestination(lblcr, () => new SlowLblcr());
  });

  test('joins a real to the set of an overloaded one, and parts with the busiest in a day', () => {
    const { arrive, setLoad } = play(lblcr, realsOf(2, 2));
    expect(arrive({ vip: 1 })).toBe(0);
    setLoad(0, { active: 3 });
    expect(arrive({ vip: 1 })).toBe(1);
    setLoad(0, { active: 0 });
    setLoad(1, { active: 1 });
    // Both are in the set now, so the less loaded one is taken.
    expect(arrive({ vip: 1, nowMs: DAY_MS })).toBe(0);
    setLoad(0, { active: 0 });
    setLoad(1, { active: 2 });
    expect(arrive({ vip: 1, nowMs: DAY_MS + 1 })).toBe(0);
    // The busiest has left: 1 is no choice although it is idle.
    setLoad(0, { active: 1 });
    setLoad(1, { active: 0 });
    expect(arrive({ vip: 1, nowMs: DAY_MS + 2 })).toBe(0);
  });

  test('has room for sixteen reals; one more takes the place of the busiest', () => {
    const { arrive, setLoad } = play(lblcr, realsOf(...new Array<number>(18).fill(1)));
    // Each is overloaded in turn, while the next is idle.
    for (let index = 0; index < 18; index++) {
      expect(arrive({ vip: 1 })).toBe(index);
      setLoad(index, { active: 20 - index });
    }
    // 0 and 1, the busiest, have left the set: now that they are idle, others go before them.
    for (let index = 0; index < 18; index++) setLoad(index, { active: index < 2 ? 0 : 1 });
    expect(arrive({ vip: 1 })).toBe(17);
  });
});

/** Days pass, weights change and loads move, while flows to a few destinations come. */
function compareByDestination(
  scheduler: Scheduler,
  makeModel: () => { schedule(vip: number, dests: readonly Dest[], nowMs: number): number },
): void {
  const step = fc.record({
    ...{ vip: fc.nat(3), passMs: fc.constantFrom(0, 1, 1000, DAY_MS / 2, DAY_MS, DAY_MS + 1) },
    ...{ dests: fc.array(small, { minLength: 5, maxLength: 5 }) },
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), fc.integer(), (steps, start) => {
      const model = makeModel();
      let playing = play(scheduler, realsOf(0, 0, 0, 0, 0));
      let nowMs = 0;
      for (const { vip, passMs, dests } of steps) {
        nowMs += passMs;
        const before = playing.schedule;
        playing = play(scheduler, realsOf(...dests.map(({ weight }) => weight)));
        scheduler.takeOver!(playing.schedule, before, Int32Array.of(0, 1, 2, 3, 4));
        setLoads(playing, dests);
        const expected = model.schedule(vip, dests, nowMs);
        // The director's clock wraps.
        expect(playing.arrive({ vip, nowMs: (start + nowMs) | 0 })).toBe(expected);
      }
    }),
    { numRuns: 300 },
  );
}

describe('twos', () => {
  test('takes the less loaded of the two it draws', () => {
    const { arrive, setLoad } = play(twos, realsOf(1, 1));
    setLoad(0, { active: 100_000 });
    const counts = [0, 0];
    for (let n = 0; n < 2000; n++) counts[arrive()]! += 1;
    // Only when it is drawn twice, a quarter of the time, does the busy one get the flow.
    expect(counts[0]).toBeGreaterThan(400);
    expect(counts[0]).toBeLessThan(600);
  });

  test('evens out what random leaves uneven', () => {
    const spread = (scheduler: Scheduler) => {
      const { arrive } = play(scheduler, realsOf(...new Array<number>(20).fill(5)));
      const counts = new Array<number>(20).fill(0);
      for (let n = 0; n < 4000; n++) counts[arrive()]! += 1;
      return Math.max(...counts) - Math.min(...counts);
    };
    expect(spread(twos)).toBeLessThan(10);
    expect(spread(random)).toBeGreaterThan(25);
  });
});

describe.each([random, twos])('$name', (scheduler) => {
  const draws = (seed: number, first = 1) => {
    const reals = realsOf(first, 1, 1, 1);
    const { arrive } = play(scheduler, reals, { seed });
    return Array.from({ length: 60 }, () => arrive()).join('');
  };

  test('draws other numbers under another seed, and the same under the same', () => {
    expect(draws(1)).toBe(draws(1));
    expect(draws(1)).not.toBe(draws(2));
  });
});

// When the loop rests: on a busy host whose frames come few at a time, and not otherwise. The idle
// time is played, so that every case is the same on every machine.
import { expect, test } from 'vitest';
import { createCoalescing } from '../../src/control/coalesce.ts';
import { idleMs, processorCount } from '../../src/linux/idle-time.ts';

interface Traffic {
  readonly seconds: number;
  /** How often the loop finds its rings filled, and what it finds then. */
  readonly looksPerSecond: number;
  readonly frames: number;
  /** Of the time of two processors. */
  readonly idleShare: number;
}

const FEW_AT_A_TIME = { seconds: 2, looksPerSecond: 4000, frames: 4, idleShare: 0.01 };

/** A loop whose frames gather while it rests, as long as somebody sends them. */
function playLoop() {
  let idle = 0;
  let now = 2 ** 31 - 1500;
  const coalesce = createCoalescing({ idleMs: () => idle, processors: 2 }, now | 0);
  /** The share of the looks after which it was told to rest. */
  const play = ({ seconds, looksPerSecond, frames, idleShare }: Traffic): number => {
    const looks = seconds * looksPerSecond;
    let rests = 0;
    for (let look = 0; look < looks; look++) {
      now += 1000 / looksPerSecond;
      idle += (idleShare * 2 * 1000) / looksPerSecond;
      if (coalesce(frames, Math.floor(now) | 0)) rests++;
    }
    return rests / looks;
  };
  return { play, coalesce, now: () => Math.floor(now) | 0 };
}

test('a busy host whose frames come few at a time: the loop begins to rest', () => {
  const loop = playLoop();
  expect(loop.play({ ...FEW_AT_A_TIME, seconds: 0.4 })).toBe(0);
  expect(loop.play({ ...FEW_AT_A_TIME, seconds: 0.2 })).toBeGreaterThan(0.1);
});

test('it never rests with empty hands: then it waits for the next frame', () => {
  const loop = playLoop();
  loop.play({ ...FEW_AT_A_TIME, seconds: 0.6 });
  expect(loop.coalesce(4, loop.now())).toBe(true);
  expect(loop.coalesce(0, loop.now())).toBe(false);
});

test.each([
  ['a processor is idle', { ...FEW_AT_A_TIME, idleShare: 0.05 }],
  ['frames are few altogether', { ...FEW_AT_A_TIME, looksPerSecond: 1000, frames: 1 }],
  ['frames come many at a time anyway', { ...FEW_AT_A_TIME, looksPerSecond: 500, frames: 24 }],
  ['they fill the batches', { ...FEW_AT_A_TIME, looksPerSecond: 10_000, frames: 40 }],
  ['nobody tells the idle time', { ...FEW_AT_A_TIME, idleShare: Number.NaN }],
])('it does not rest if %s', (_, traffic) => {
  expect(playLoop().play(traffic)).toBe(0);
});

test('rests that gather enough go on', () => {
  const loop = playLoop();
  loop.play({ ...FEW_AT_A_TIME, seconds: 0.51 });
  const gathered = { seconds: 10, looksPerSecond: 400, frames: 30, idleShare: 0.01 };
  expect(loop.play(gathered)).toBeGreaterThan(0.95);
});

test.each([
  ['leave processors idle', { idleShare: 0.2, frames: 30 }],
  ['gather no more than came without', { idleShare: 0.01, frames: 5 }],
])('rests that %s end, and are tried again ever more rarely', (_, change) => {
  const loop = playLoop();
  const resting = { seconds: 0.5, looksPerSecond: 400, ...change };
  let tries = 0;
  for (let half = 0; half < 120; half++) {
    const rested = loop.play({ ...FEW_AT_A_TIME, seconds: 0.5 }) > 0.5;
    if (!rested) continue;
    tries++;
    loop.play(resting);
  }
  expect(tries).toBeGreaterThan(2);
  expect(tries).toBeLessThan(15);
});

test('the idle time of this host grows, and a host that does not tell it has none', async () => {
  const before = idleMs();
  expect(before).toBeGreaterThan(0);
  expect(processorCount()).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(idleMs()).toBeGreaterThanOrEqual(before);
  expect(idleMs('/proc/no-such-file')).toBeNaN();
});

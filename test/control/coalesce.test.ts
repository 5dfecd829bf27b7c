// When the loop rests, and for how long: on a busy host whose frames come few at a time, or are
// those of bulk transfers, and not otherwise. The idle time is played, so that every case is the
// same on every machine.
import { expect, test } from 'vitest';
import { createCoalescing, LONG_REST_US, SHORT_REST_US } from '../../src/control/coalesce.ts';
import { idleMs, processorCount } from '../../src/linux/idle-time.ts';

interface Traffic {
  readonly seconds: number;
  /** How often the loop finds its rings filled, and what it finds then. */
  readonly looksPerSecond: number;
  readonly frames: number;
  /** 500 unless given. */
  readonly frameBytes?: number;
  /** Of the time of two processors. */
  readonly idleShare: number;
}

const FEW_AT_A_TIME = { seconds: 2, looksPerSecond: 4000, frames: 4, idleShare: 0.01 };

/** A loop whose frames gather while it rests, as long as somebody sends them. */
function playLoop() {
  let idle = 0;
  let bytes = 0;
  let now = 2 ** 31 - 1500;
  const signs = { idleMs: () => idle, processors: 2, receivedBytes: () => bytes };
  const coalesce = createCoalescing(signs, now | 0);
  /** The share of the looks after which it was told to rest for so long. */
  const play = (traffic: Traffic, restUs = LONG_REST_US): number => {
    const { seconds, looksPerSecond, frames, frameBytes = 500, idleShare } = traffic;
    const looks = seconds * looksPerSecond;
    let rests = 0;
    for (let look = 0; look < looks; look++) {
      now += 1000 / looksPerSecond;
      idle += (idleShare * 2 * 1000) / looksPerSecond;
      bytes += frames * frameBytes;
      if (coalesce(frames, Math.floor(now) | 0) === restUs) rests++;
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
  expect(loop.coalesce(4, loop.now())).toBe(LONG_REST_US);
  expect(loop.coalesce(0, loop.now())).toBe(0);
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

const UPLOAD = { seconds: 3, looksPerSecond: 4000, frames: 8, frameBytes: 40_000, idleShare: 0.1 };

test.each([
  ['has little time to spare', UPLOAD],
  ['has none', { ...UPLOAD, idleShare: 0 }],
])('bulk transfers on a host that %s: rests are short', (_, traffic) => {
  const loop = playLoop();
  expect(loop.play(traffic, SHORT_REST_US)).toBeGreaterThan(0.8);
  expect(loop.play(traffic, LONG_REST_US)).toBe(0);
});

test.each([
  ['half of it is idle', { ...UPLOAD, idleShare: 0.5 }],
  ['it seldom finds a frame', { ...UPLOAD, looksPerSecond: 500 }],
  ['frames are small', { ...UPLOAD, frameBytes: 1500 }],
  ['nobody tells the idle time', { ...UPLOAD, idleShare: Number.NaN }],
])('bulk transfers get no rests if %s', (_, traffic) => {
  expect(playLoop().play(traffic, SHORT_REST_US)).toBe(0);
});

test('short rests end with the transfer', () => {
  const loop = playLoop();
  loop.play(UPLOAD, SHORT_REST_US);
  loop.play({ ...UPLOAD, frameBytes: 60, seconds: 0.51 });
  expect(loop.play({ ...UPLOAD, frameBytes: 60 }, SHORT_REST_US)).toBe(0);
});

test('a bulk transfer says nothing of long rests: they are tried soon after it', () => {
  const loop = playLoop();
  for (let time = 0; time < 5; time++) {
    let tenths = 0;
    while (loop.coalesce(4, loop.now()) !== LONG_REST_US && tenths < 100) {
      loop.play({ ...FEW_AT_A_TIME, seconds: 0.1 });
      tenths++;
    }
    // What is left of the transfer's window, one that short rests began, and one to see them come.
    expect(tenths).toBeLessThanOrEqual(16);
    loop.play({ ...UPLOAD, idleShare: 0, seconds: 1 });
    expect(loop.coalesce(8, loop.now())).toBe(SHORT_REST_US);
  }
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

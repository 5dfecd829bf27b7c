// Round robin: the order itself.
import { expect, test } from 'vitest';
import { rr } from '../../src/schedule/rr.ts';
import { play, realsOf } from './play.ts';

test('takes the reals in the order of the list and leaves out weight 0', () => {
  const { arrive } = play(rr, realsOf(2, 0, 9, 1));
  const chosen = Array.from({ length: 7 }, () => arrive());
  expect(chosen).toEqual([0, 2, 3, 0, 2, 3, 0]);
});

test.each([
  ['whose turn it is', [1, 1, 1, 1], [0, 1, 2, 3], 2],
  ['behind one that has left', [1, 1, 1], [0, 1, -1, 2], 2],
  ['behind one that is drained', [1, 1, 0, 1], [0, 1, 2, 3], 3],
  ['in its new place', [1, 1, 1, 1], [3, 2, 1, 0], 1],
  ['at the head if nobody is left', [1, 1], [-1, -1, -1, -1], 0],
])('after a change goes on with the real %s', (_, weights, moved, expected) => {
  const before = play(rr, realsOf(1, 1, 1, 1));
  before.arrive();
  before.arrive();
  const now = play(rr, realsOf(...weights));
  rr.takeOver!(now.schedule, before.schedule, Int32Array.from(moved));
  expect(now.arrive()).toBe(expected);
});

// Weighted round robin, choice for choice against a slow writing of the kernel's loop.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wrr } from '../../src/schedule/wrr.ts';
import { KernelWrr } from './models.ts';
import { play, realsOf } from './play.ts';

/** The first choices, as letters. */
function order(weights: readonly number[], count: number): string {
  const { arrive } = play(wrr, realsOf(...weights));
  const letters = Array.from({ length: count }, () => 'ABCDEF'[arrive()]);
  return letters.join('');
}

test('A, B, C of weights 4, 3, 2 come in the order that the LVS documentation gives', () => {
  expect(order([4, 3, 2], 18)).toBe('AABABCABCAABABCABC');
});

test.each([
  [[4, 2], 'AABAAB'],
  [[2, 4], 'BABBAB'],
  [[3, 3, 3], 'ABCABC'],
  [[1, 0, 2], 'CACCAC'],
  [[100, 200], 'BABBAB'],
])('weights %j: %s', (weights, expected) => {
  expect(order(weights, expected.length)).toBe(expected);
});

test('chooses as the kernel does, for any weights', () => {
  const small = fc.array(fc.nat(9), { maxLength: 8 });
  const scaled = fc
    .tuple(fc.array(fc.nat(9), { maxLength: 8 }), fc.integer({ min: 1, max: 100 }))
    .map(([weights, factor]) => weights.map((weight) => weight * factor));
  const large = fc.array(fc.nat(3000), { maxLength: 5 });
  fc.assert(
    fc.property(fc.oneof(small, scaled, large), (weights) => {
      const kernel = new KernelWrr(weights);
      const { arrive } = play(wrr, realsOf(...weights));
      for (let n = 0; n < 200; n++) {
        expect(arrive(), `choice ${n}`).toBe(kernel.schedule());
      }
    }),
    { numRuns: 300 },
  );
});

test('a round has exactly as many turns for a real as its weight over the common divisor', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }), (weights) => {
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      fc.pre(total > 0);
      const { arrive } = play(wrr, realsOf(...weights.map((weight) => weight * 7)));
      const counts = weights.map(() => 0);
      // A whole number of rounds whatever the divisor of the weights themselves is.
      for (let n = 0; n < total; n++) {
        counts[arrive()]! += 1;
      }
      expect(counts).toEqual(weights);
    }),
  );
});

test.each([
  ['other weights', [4, 2, 1], 'AABABCAAA'],
  ['a larger divisor', [6, 3], 'AABAAB'],
  ['smaller weights', [1, 1, 1], 'ABCABC'],
])(
  'after a change to %s starts at the head, with its current weight in the new steps',
  (_, weights, expected) => {
    const before = play(wrr, realsOf(4, 2, 2));
    for (let n = 0; n < 5; n++) before.arrive();
    const now = play(wrr, realsOf(...weights));
    wrr.takeOver!(now.schedule, before.schedule, Int32Array.of(0, 1, 2));
    const letters = Array.from(expected, () => 'ABCDEF'[now.arrive()]);
    expect(letters.join('')).toBe(expected);
  },
);

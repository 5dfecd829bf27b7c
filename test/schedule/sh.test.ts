// Source hash: the fill of the buckets, and whom a client stays with.
import { describe, expect, test } from 'vitest';
import { sh } from '../../src/schedule/sh.ts';
import { play, realsOf } from './play.ts';

const build = (weights: readonly number[]) =>
  sh.build(
    weights.map((weight, n) => ({ key: `${n}`, weight })),
    { seed: 7 },
  );

test('a client stays with its real whatever its port', () => {
  const { arrive } = play(sh, realsOf(1, 1, 1));
  for (let client = 0; client < 50; client++) {
    const ports = [0, 1, 443, 40_000, 65_535];
    const chosen = new Set(ports.map((clientPort) => arrive({ client, clientPort })));
    expect(chosen.size).toBe(1);
  }
});

describe('buckets', () => {
  test('go round the list, as many in a row as the weight, 256 of them', () => {
    const { slots } = build([1, 3, 0, 2]);
    expect(slots.length).toBe(256);
    expect([...slots.subarray(0, 13)]).toEqual([0, 1, 1, 1, 3, 3, 0, 1, 1, 1, 3, 3, 0]);
  });

  test('are the same for weights with the same proportions', () => {
    expect(build([100, 300, 0, 200]).slots).toEqual(build([1, 3, 0, 2]).slots);
  });

  test.each([
    ['a weight beyond 256 buckets', [300, 7]],
    ['the largest weights', [65_535, 65_534]],
    ['one heavy and many light ones', [65_535, ...new Array<number>(1000).fill(1)]],
    ['more reals than buckets', new Array<number>(700).fill(1)],
  ])('grow in number for %s, up to 65,536, and leave nobody out', (_, weights) => {
    const { slots } = build(weights);
    expect(Math.log2(slots.length) % 1).toBe(0);
    expect(slots.length).toBeLessThanOrEqual(65_536);
    expect(new Set(slots).size).toBe(weights.length);
  });

  test('follow weights without a common divisor within 5 percent', () => {
    const weights = [65_535, 65_534, 32_768, 7_001];
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const { slots } = build(weights);
    for (const [index, weight] of weights.entries()) {
      const share = slots.filter((real) => real === index).length / slots.length;
      const fair = weight / total;
      expect(Math.abs(share - fair) / fair, `real ${index}: ${share} of ${fair}`).toBeLessThan(
        0.05,
      );
    }
  });
});

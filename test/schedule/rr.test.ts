// Round robin: the order itself.
import { expect, test } from 'vitest';
import { rr } from '../../src/schedule/rr.ts';

test('takes the reals in the order of the list and leaves out weight 0', () => {
  const reals = [2, 0, 9, 1].map((weight, n) => ({ key: `${n}`, weight }));
  const schedule = rr.build(reals, { seed: 0 });
  const chosen = Array.from({ length: 7 }, () => rr.choose(schedule, 1, 1));
  expect(chosen).toEqual([0, 2, 3, 0, 2, 3, 0]);
});

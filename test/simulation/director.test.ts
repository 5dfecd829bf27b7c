// The whole director, simulated from a seed. A run that fails names its seed; to see that run
// alone: FURIWAKE_SEED=17 npx vitest run --config test/vitest.config.ts test/simulation
import { expect, test } from 'vitest';
import { SCHEDULER_NAMES } from '../../src/schedule/scheduler.ts';
import { type Report, simulate } from './simulate.ts';

/** One for each scheduler. */
const SEEDS = SCHEDULER_NAMES.length;
const given = process.env.FURIWAKE_SEED;
const seeds =
  given === undefined ? Array.from({ length: SEEDS }, (_, n) => n + 1) : [Number(given)];
const reports: Report[] = [];

test.each(seeds)('seed %i: flows keep their reals, and everything works again in quiet', (seed) => {
  const report = simulate(seed);
  reports.push(report);
  if (given !== undefined) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  const replay = `FURIWAKE_SEED=${seed} npx vitest run --config test/vitest.config.ts test/simulation`;
  expect(report.violations, replay).toEqual([]);
});

test.skipIf(given !== undefined)('the simulations had trouble, and connections that lived', () => {
  const sum = (pick: (report: Report) => number | undefined) =>
    reports.reduce((total, report) => total + (pick(report) ?? 0), 0);
  expect(sum(({ trouble }) => trouble.done)).toBeGreaterThan(SEEDS * 50);
  expect(sum(({ trouble }) => trouble['given up'])).toBeGreaterThan(0);
  expect(sum(({ totals }) => totals.evictedFlows)).toBeGreaterThan(0);
  const reasons = new Set(reports.flatMap(({ drops }) => Object.keys(drops)));
  expect([...reasons]).toEqual(expect.arrayContaining(['no-flow', 'real-unresolved']));
});

test('the same seed gives the same run', () => {
  expect(simulate(seeds[0]!)).toEqual(simulate(seeds[0]!));
});

// The whole director, simulated from a seed. A run that fails names its seed; to see that run
// alone: FURIWAKE_SIMULATION_SEED=17 npx vitest run --config test/vitest.config.ts test/simulation
// FURIWAKE_SIMULATION_PACKETS=3000000 goes on from seed to seed until so many frames have come.
import { expect, test } from 'vitest';
import { SCHEDULER_NAMES } from '../../src/schedule/scheduler.ts';
import { type Report, simulate } from './simulate.ts';

/** One for each scheduler. */
const SEEDS = SCHEDULER_NAMES.length;
const given = process.env.FURIWAKE_SIMULATION_SEED;
const packets = Number(process.env.FURIWAKE_SIMULATION_PACKETS ?? 0);
const DAY_MS = 86_400_000;
const seeds =
  given === undefined ? Array.from({ length: SEEDS }, (_, n) => n + 1) : [Number(given)];
const reports: Report[] = [];

function run(seed: number): Report {
  const report = simulate(seed);
  const command = 'npx vitest run --config test/vitest.config.ts test/simulation';
  expect(report.violations, `FURIWAKE_SIMULATION_SEED=${seed} ${command}`).toEqual([]);
  return report;
}

test.each(seeds)('seed %i: flows keep their reals, and everything works again in quiet', (seed) => {
  const report = run(seed);
  reports.push(report);
  if (given !== undefined) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
});

test.skipIf(packets === 0)('so do they over many more packets', { timeout: DAY_MS }, () => {
  let frames = 0;
  let seed = seeds.at(-1)!;
  const ends = new Map<string, number>();
  const note = (name: string, count: number) => void ends.set(name, (ends.get(name) ?? 0) + count);
  while (frames < packets) {
    seed += 1;
    const report = run(seed);
    frames += report.frames;
    for (const [phase, count] of Object.entries(report.trouble)) note(phase, count);
    for (const [reason, count] of Object.entries(report.drops)) note(`drop ${reason}`, count);
  }
  const seen = JSON.stringify(Object.fromEntries(ends));
  process.stdout.write(`${frames} frames, seeds up to ${seed}: ${seen}\n`);
});

test.skipIf(given !== undefined)('the simulations had trouble, and connections that lived', () => {
  const sum = (pick: (report: Report) => number | undefined) =>
    reports.reduce((total, report) => total + (pick(report) ?? 0), 0);
  expect(sum(({ trouble }) => trouble.done)).toBeGreaterThan(SEEDS * 50);
  expect(sum(({ trouble }) => trouble['given up'])).toBeGreaterThan(0);
  expect(sum(({ totals }) => totals.evictedFlows)).toBeGreaterThan(0);
  expect(sum(({ totals }) => totals.statelessPackets)).toBeGreaterThan(0);
  const reasons = new Set(reports.flatMap(({ drops }) => Object.keys(drops)));
  expect([...reasons]).toEqual(
    expect.arrayContaining(['no-flow', 'real-unresolved', 'flow-table-full']),
  );
});

test('the same seed gives the same run', () => {
  expect(simulate(seeds[0]!)).toEqual(simulate(seeds[0]!));
});

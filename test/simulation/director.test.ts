// The whole director, simulated from a seed. A run that fails names its seed; to see that run
// alone: FURIWAKE_SIMULATION_SEED=17 npx vitest run --config test/vitest.config.ts test/simulation
// FURIWAKE_SIMULATION_FRAMES=10000000 goes on from seed to seed until so many frames have come, and
// FURIWAKE_SIMULATION_FROM says behind which seed.
import { expect, test } from 'vitest';
import { type Report, simulate } from './simulate.ts';

const SEEDS = 8;
const given = process.env.FURIWAKE_SIMULATION_SEED;
const frames = Number(process.env.FURIWAKE_SIMULATION_FRAMES ?? 0);
const from = Number(process.env.FURIWAKE_SIMULATION_FROM ?? SEEDS);
const DAY_MS = 86_400_000;
/** A second or two each, but on a machine that has much else to do. */
const timeout = 300_000;
const seeds =
  given === undefined ? Array.from({ length: SEEDS }, (_, n) => n + 1) : [Number(given)];
const reports: Report[] = [];

function run(seed: number): Report {
  const report = simulate(seed);
  const command = 'npx vitest run --config test/vitest.config.ts test/simulation';
  expect(report.violations.slice(0, 20), `FURIWAKE_SIMULATION_SEED=${seed} ${command}`).toEqual([]);
  return report;
}

test.each(seeds)('seed %i: all rules hold, and all works again in quiet', { timeout }, (seed) => {
  const report = run(seed);
  reports.push(report);
  if (given !== undefined) process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
});

test.skipIf(frames === 0)('so it is over many more frames', { timeout: DAY_MS }, () => {
  let [sum, seed] = [0, from];
  const ends = new Map<string, number>();
  const note = (name: string, count: number) => void ends.set(name, (ends.get(name) ?? 0) + count);
  while (sum < frames) {
    seed += 1;
    const report = run(seed);
    sum += report.frames;
    for (const [name, count] of Object.entries(report.totals)) note(name, count);
    for (const [phase, count] of Object.entries(report.trouble)) note(phase, count);
    for (const [reason, count] of Object.entries(report.drops)) note(`drop ${reason}`, count);
  }
  const seen = JSON.stringify(Object.fromEntries(ends));
  process.stdout.write(`${sum} frames, seeds up to ${seed}: ${seen}\n`);
});

test.skipIf(given !== undefined)('the simulations had all the trouble that they are for', () => {
  const sum = (pick: (report: Report) => number | undefined) =>
    reports.reduce((total, report) => total + (pick(report) ?? 0), 0);
  expect(sum(({ trouble }) => trouble.done)).toBeGreaterThan(SEEDS * 200);
  expect(sum(({ trouble }) => trouble['given up'])).toBeGreaterThan(0);
  expect(sum(({ errors }) => errors.clients)).toBeGreaterThan(100);
  expect(sum(({ errors }) => errors.reals)).toBeGreaterThan(100);
  for (const field of ['evictedFlows', 'statelessPackets', 'resetFlows', 'ownErrors'] as const) {
    expect([field, sum(({ totals }) => totals[field])]).not.toEqual([field, 0]);
  }
  const reasons = new Set(reports.flatMap(({ drops }) => Object.keys(drops)));
  expect([...reasons]).toEqual(
    expect.arrayContaining([
      ...['no-flow', 'real-unresolved', 'flow-table-full', 'no-real', 'flow-reset'],
      ...['source-denied', 'source-limited', 'fragment-timeout', 'ttl-expired', 'no-service'],
    ]),
  );
});

test('the same seed gives the same run', { timeout }, () => {
  expect(simulate(seeds[0]!)).toEqual(simulate(seeds[0]!));
});

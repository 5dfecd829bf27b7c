// The closing table of the demo: it must show at once what does not hold. The demo as a whole is
// what `npm run lab` runs; its parts have tests of their own.
import { expect, test } from 'vitest';
import { type DemoResult, renderClosing } from '../../lab/demo.ts';
import type { Confirmation } from '../../lab/throughput/confirm.ts';
import { NOTHING } from '../../lab/throughput/crossing.ts';
import type { ThroughputResult } from '../../lab/throughput/run-throughput.ts';
import { DIRECTIONS, METHODS, type Sample, summarize } from '../../lab/throughput/summary.ts';
import type { Claim } from '../../lab/verify/claim.ts';
import type { Verification } from '../../lab/verify/run-verify.ts';
import { PLAIN, WIDTH } from '../../src/cli/output.ts';

const verification = (verdicts: readonly Claim['verdict'][]) =>
  ({
    holds: verdicts.every((verdict) => verdict === 'holds'),
    claims: verdicts.map((verdict) => ({ verdict })),
  }) as unknown as Verification;

const KINDS = METHODS.flatMap((method) => DIRECTIONS.map((direction) => ({ method, direction })));

const SAMPLES = KINDS.map(({ method, direction }): Sample => {
  const past = method === 'dsr' && direction === 'download';
  const crossed = { ...NOTHING, inBytes: past ? 5 : 1020, outBytes: past ? 5 : 1020 };
  const rest = { deliveredBytes: 1000, retransmits: 0, lostFrames: 0, round: 0 };
  const bitsPerSecond = past ? 16e9 : 12e9;
  return { method, direction, bitsPerSecond, director: crossed, kernel: crossed, ...rest };
});

function resultWith(verdicts: readonly Confirmation['verdict'][], good: boolean): DemoResult {
  const confirmations = KINDS.map((kind, index) => ({ ...kind, verdict: verdicts[index] }));
  const throughput = { summary: summarize(SAMPLES), confirmations } as unknown as ThroughputResult;
  const verifications = {
    dsr: verification(['holds', 'holds']),
    nat: verification(good ? ['holds', 'holds'] : ['holds', 'not-tested']),
  };
  return { good, directory: 'lab-results/x-demo', verifications, throughput };
}

const rowsOf = (text: string) => text.split('\n').filter((line) => /^(dsr|nat) /.test(line));

test('the closing table has a line for each method', () => {
  const text = renderClosing(resultWith(new Array(4).fill('confirmed'), true), PLAIN);
  expect(rowsOf(text).map((row) => row.split(/ {2,}/))).toEqual(
    [
      ...[['dsr', '2 of 2', '12.0 Gbit/s', '16.0 Gbit/s', '1.0200', '0.0050']],
      ...[['nat', '2 of 2', '12.0 Gbit/s', '12.0 Gbit/s', '1.0200', '1.0200']],
    ].map((row) => [...row, 'confirmed', `verify-${row[0]}/`]),
  );
  expect(text).toContain('Every claim holds, and captures confirm the counters.');
  expect(text).toContain('Captures and figures: lab-results/x-demo/');
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(WIDTH);
});

test('a claim that was not tested and a capture that is not whole do not pass for good', () => {
  const verdicts = ['confirmed', 'not-whole', 'confirmed', 'confirmed'] as const;
  const text = renderClosing(resultWith(verdicts, false), PLAIN);
  const [dsr, nat] = rowsOf(text);
  expect(dsr).toMatch(/2 of 2 .* unconfirmed /);
  expect(nat).toMatch(/1 of 2 .* confirmed /);
  expect(text).toContain('Not all is good');
  expect(text).not.toContain('Every claim holds');
});

// A whole comparison of two paths in two measures, as a user runs it: from the build, with labs,
// captures and figures. Needs root and the lab's programs.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CompareResult } from '../../../lab/compare/result.ts';
import { run } from '../../../lab/net/command.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../../lab/requirements.ts';
import { runVerifyFrom } from '../../../lab/verify/run-verify.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'wrk', 'sockperf', 'tshark']);
const MAIN = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url));
const TIMEOUT_MS = 120_000;

describe.skipIf(reason !== undefined)(`lab compare${reason ? `: ${reason}` : ''}`, () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'furiwake-compare-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it(
    'measures two paths and proves their ways by captures that verify accepts too',
    async () => {
      const options = ['--rounds', '1', '--seconds', '1', '--no-sql', '--no-cache', '--json'];
      const chosen = ['--paths', 'none,furiwake-dsr-ring', '--measures', 'download,requests'];
      const argv = [process.execPath, MAIN, 'lab', 'compare', '--keep', directory];
      const { stdout } = await run([...argv, ...options, ...chosen], { timeoutMs: TIMEOUT_MS });
      const result = JSON.parse(stdout) as CompareResult;
      expect(result.paths.map(({ name, status }) => [name, status])).toEqual([
        ['none', 'measured'],
        ['furiwake-dsr-ring', 'measured'],
      ]);
      for (const { measures, evidence, configs, name } of result.paths) {
        expect(measures.download?.samples[0]?.value, name).toBeGreaterThan(1e6);
        expect(measures.requests?.samples[0]?.value, name).toBeGreaterThan(1);
        expect(evidence?.tsharkComplaints).toEqual([]);
        expect(evidence?.claims.filter(({ verdict }) => verdict !== 'holds')).toEqual([]);
        for (const file of evidence?.captures ?? []) {
          expect(statSync(join(directory, file)).size, file).toBeGreaterThan(24);
        }
        expect(configs.length, name).toBe(name === 'none' ? 0 : 1);
      }
      const kept = readFileSync(join(directory, 'compare.json'), 'utf8');
      expect((JSON.parse(kept) as CompareResult).paths).toEqual(result.paths);
      expect(readFileSync(join(directory, 'report.html'), 'utf8')).toContain('furiwake DSR');
      const said = vi.spyOn(console, 'log').mockImplementation(() => {});
      const own = join(directory, 'captures', 'furiwake-dsr-ring');
      expect(await runVerifyFrom(own, { json: true })).toBe(0);
      said.mockRestore();
    },
    TIMEOUT_MS,
  );
});

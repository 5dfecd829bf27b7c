// No allocation per packet, shown by what it would lead to: ten million frames of each method
// pass through the loop, and there is not one garbage collection. The process that forwards them
// runs plain JavaScript, as the director does, with none of the test runner's own code around it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ROOMS = ['wire', 'schedule', 'flow', 'director', 'datapath', 'control', 'config'];
const directory = mkdtempSync(join(tmpdir(), 'furiwake-no-allocation-'));

interface Report {
  readonly whileForwarding: number;
  readonly whileLittering: number;
  readonly evicted: number;
  readonly totals: Record<string, number>;
  readonly drops: Record<string, number>;
}

/** Compiles one file, as `tsc` would but without a look at its types. */
function compile(path: string): void {
  const { outputText } = ts.transpileModule(readFileSync(join(ROOT, path), 'utf8'), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  const target = join(directory, path.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
}

/** V8 collects on its own after eight quiet seconds, which a slow machine's run may last. */
const V8_FLAGS = ['--no-memory-reducer'];
/** It may have other reasons in one run; a packet that allocates shows in all of them. */
const RUNS = 3;

function forwardMany(method: string): Report {
  const child = join(directory, 'test/director/forward-many.js');
  for (let run = 1; ; run++) {
    const output = execFileSync(process.execPath, [...V8_FLAGS, child, method], {
      encoding: 'utf8',
    });
    const report = JSON.parse(output) as Report;
    if (report.whileForwarding === 0 || run === RUNS) return report;
  }
}

beforeAll(() => {
  const sources = ROOMS.flatMap((room) =>
    readdirSync(join(ROOT, 'src', room)).map((name) => `src/${room}/${name}`),
  );
  for (const path of sources) compile(path);
  const tests = ['director/forward-many.ts', 'packets/scene.ts', 'packets/pieces.ts'];
  tests.push('packets/scene6.ts', 'packets/frames6.ts', 'wire/naive-checksum.ts');
  for (const path of tests) compile(`test/${path}`);
  compile('lab/frame.ts');
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const METHODS = ['dsr', 'nat', 'dsr6', 'nat6', 'fullnat', 'fullnat6', 'gue', 'gue6'];

describe.each(METHODS)('ten million frames by %s', (method) => {
  const reports: Report[] = [];
  beforeAll(() => void reports.push(forwardMany(method)));

  test('are forwarded without one garbage collection', () => {
    expect(reports[0]?.whileForwarding).toBe(0);
  });

  test('(and a collection would have been seen)', () => {
    expect(reports[0]?.whileLittering).toBeGreaterThan(0);
  });

  test('take every way there is: new flows, old ones, drops, answers, replies', () => {
    const { totals, drops, evicted } = reports[0]!;
    expect(totals.sentFrames).toBeGreaterThan(10_000_000);
    for (const count of [totals.openedFlows, totals.answeredFrames, evicted]) {
      expect(count).toBeGreaterThan(100_000);
    }
    expect(Object.keys(drops).sort()).toEqual(['no-flow', 'no-service', 'source-limited']);
  });
});

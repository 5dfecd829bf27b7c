// How a comparison goes: whose turn it is, what becomes of paths and measures that fail, die or
// hang, what an interruption leaves, and what is shown in the end.
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Workload } from '../../../lab/compare/compare.ts';
import type { OpenPath } from '../../../lab/compare/path.ts';
import { planFor, turnsOf } from '../../../lab/compare/plan.ts';
import { renderCompare } from '../../../lab/compare/render.ts';
import type { CompareResult, PathName, PathResult, Sample } from '../../../lab/compare/result.ts';
import { carryOut, exitCodeOf } from '../../../lab/compare/run-compare.ts';
import { SILENT } from '../../../lab/progress.ts';
import { UsageError } from '../../../lab/requirements.ts';
import { PLAIN } from '../../../src/cli/output.ts';
import {
  EVIDENCE,
  type FakePath,
  fakeMeasure,
  fakePath,
  fakeTask,
  OPTIONS,
  sampleOf,
} from './fakes.ts';

const NAMES: readonly PathName[] = ['none', 'haproxy', 'nft-dnat'];
const fakePaths = (): FakePath[] => NAMES.map((name) => fakePath(name));

const rowOf = (result: CompareResult, name: PathName): PathResult =>
  result.paths.find((path) => path.name === name)!;

const never = (): Promise<never> => new Promise(() => {});

describe('the plan', () => {
  test('lets all paths take turns in each measure, another first in each round', () => {
    const measures = [fakeMeasure('upload'), fakeMeasure('requests')];
    const turns = turnsOf(2, measures, ['a', 'b', 'c']);
    expect(turns.map(({ round, measure, path }) => `${round} ${measure.name} ${path}`)).toEqual([
      ...['0 upload a', '0 upload b', '0 upload c'],
      ...['0 requests a', '0 requests b', '0 requests c'],
      ...['1 upload b', '1 upload c', '1 upload a'],
      ...['1 requests b', '1 requests c', '1 requests a'],
    ]);
  });

  test('takes what is named, in the order of the rows, and refuses what is not known', () => {
    const all = { paths: fakePaths(), measures: [fakeMeasure('upload'), fakeMeasure('packets')] };
    const plan = planFor({ ...OPTIONS, paths: ['haproxy', 'none'], measures: ['packets'] }, all);
    expect(plan.paths.map(({ name }) => name)).toEqual(['none', 'haproxy']);
    expect(plan.measures.map(({ name }) => name)).toEqual(['packets']);
    expect(() => planFor({ ...OPTIONS, paths: ['haprox'] }, all)).toThrow(UsageError);
    expect(() => planFor({ ...OPTIONS, paths: ['haprox'] }, all)).toThrow(
      '--paths: found haprox; allowed: none, haproxy, nft-dnat',
    );
  });
});

describe('a comparison', () => {
  test('measures every path in every round, and keeps all of it in a file', async () => {
    const order: string[] = [];
    const paths = fakePaths();
    const take = async ({ path }: OpenPath, { round }: { round: number }): Promise<Sample> => {
      order.push(`${round} ${path.name}`);
      return sampleOf(100, round);
    };
    const task = fakeTask({ paths, measures: [fakeMeasure('upload', take)] });
    const result = await carryOut(task);
    expect(order).toEqual([
      ...['0 none', '0 haproxy', '0 nft-dnat'],
      ...['1 haproxy', '1 nft-dnat', '1 none'],
    ]);
    expect(paths.map(({ closed }) => closed)).toEqual([1, 1, 1]);
    const kept = JSON.parse(readFileSync(join(task.directory, 'compare.json'), 'utf8'));
    expect({ ...kept, endedAt: '' }).toEqual({ ...result, endedAt: '' });
    const row = rowOf(result, 'haproxy');
    expect(row).toMatchObject({ status: 'measured', evidence: EVIDENCE });
    expect(row.configs).toHaveLength(1);
    expect(row.residentBytes).toBeGreaterThan(0);
    expect(row.measures.upload?.samples.map(({ round }) => round)).toEqual([0, 1]);
    expect(exitCodeOf(result)).toBe(0);
  });

  test('goes on without a path that is missing, and with a failed row for one that is broken', async () => {
    const paths = [
      fakePath('none'),
      fakePath('ipvs-dr', { whyNot: async () => 'no ip_vs in this kernel' }),
      fakePath('haproxy', {
        open: async () => {
          throw new Error('haproxy ended:\n  bad port');
        },
      }),
    ];
    const result = await carryOut(fakeTask({ paths, measures: [fakeMeasure('upload')] }));
    expect(rowOf(result, 'ipvs-dr')).toMatchObject({
      status: 'missing',
      reason: 'no ip_vs in this kernel',
    });
    expect(rowOf(result, 'haproxy')).toMatchObject({
      status: 'failed',
      reason: 'did not come up: haproxy ended:; bad port',
    });
    expect(rowOf(result, 'none').measures.upload?.samples).toHaveLength(2);
    expect(exitCodeOf(result)).toBe(1);
  });

  test('is good without what is missing', async () => {
    const paths = [fakePath('none'), fakePath('ipvs-dr', { whyNot: async () => 'not here' })];
    const result = await carryOut(fakeTask({ paths, measures: [fakeMeasure('upload')] }));
    expect(exitCodeOf(result)).toBe(0);
  });

  test('tries a sample again once, then leaves that measure of that path alone', async () => {
    let attempts = 0;
    const failing = fakeMeasure('upload', async ({ path }) => {
      if (path.name !== 'haproxy') return sampleOf(100);
      attempts += 1;
      throw new Error('connection refused');
    });
    let first = true;
    const flaky = fakeMeasure('requests', async ({ path }) => {
      if (path.name === 'haproxy' && first) {
        first = false;
        throw new Error('once');
      }
      return sampleOf(7);
    });
    const result = await carryOut(fakeTask({ paths: fakePaths(), measures: [failing, flaky] }));
    expect(attempts).toBe(2);
    const { measures } = rowOf(result, 'haproxy');
    expect(measures.upload).toEqual({
      status: 'failed',
      reason: 'connection refused',
      samples: [],
    });
    expect(measures.requests).toMatchObject({ status: 'measured', retried: ['once'] });
    expect(measures.requests?.samples).toHaveLength(2);
    expect(rowOf(result, 'none').measures.requests?.retried).toBeUndefined();
    expect(rowOf(result, 'none').measures.upload?.samples).toHaveLength(2);
    expect(exitCodeOf(result)).toBe(1);
  });

  test('does not measure what does not apply', async () => {
    const measure = {
      ...fakeMeasure('packets'),
      notApplicable: ({ path }: OpenPath) => (path.name === 'haproxy' ? 'no UDP' : undefined),
    };
    const result = await carryOut(fakeTask({ paths: fakePaths(), measures: [measure] }));
    expect(rowOf(result, 'haproxy').measures.packets).toEqual({
      ...{ status: 'not-applicable', reason: 'no UDP', samples: [] },
    });
    expect(exitCodeOf(result)).toBe(0);
  });

  test('ends a sample that hangs, and goes on', async () => {
    const ended: string[] = [];
    const hanging = fakeMeasure('upload', async ({ path }) =>
      path.name === 'haproxy' ? never() : sampleOf(100),
    );
    const task = fakeTask({
      paths: fakePaths(),
      measures: [hanging, fakeMeasure('requests')],
      options: { seconds: 1 },
      limits: { sampleSpareSeconds: -1.4 },
      parts: { endSample: async ({ path }) => void ended.push(path.name) },
    });
    const result = await carryOut(task);
    expect(ended).toEqual(['haproxy']);
    const { measures } = rowOf(result, 'haproxy');
    expect(measures.upload).toMatchObject({ status: 'failed' });
    expect(measures.upload?.reason).toContain('exceeded its time');
    expect(measures.requests?.samples).toHaveLength(2);
  });

  test('skips a path whose balancer died, and keeps what it gave before', async () => {
    const paths = fakePaths();
    const measure = fakeMeasure('upload', async ({ path }, { round }) => {
      if (path.name === 'haproxy' && round === 1) paths[1]!.dead = 'haproxy ended (SIGKILL)';
      return sampleOf(100, round);
    });
    const task = fakeTask({ paths, measures: [measure, fakeMeasure('requests')] });
    const result = await carryOut(task);
    const row = rowOf(result, 'haproxy');
    expect(row).toMatchObject({ status: 'failed', reason: 'haproxy ended (SIGKILL)' });
    expect(row.measures.upload?.samples.map(({ round }) => round)).toEqual([0]);
    expect(row.measures.requests?.samples).toHaveLength(1);
    expect(rowOf(result, 'none').measures.requests?.samples).toHaveLength(2);
    expect(paths[1]!.closed).toBe(1);
    expect(exitCodeOf(result)).toBe(1);
  });

  test('says so if the evidence of a path does not hold, or cannot be had', async () => {
    const gatherEvidence = async ({ path }: OpenPath) => {
      if (path.name === 'haproxy') throw new Error('cannot record');
      return path.name === 'none' ? EVIDENCE : { ...EVIDENCE, holds: false };
    };
    const measures = [fakeMeasure('upload')];
    const result = await carryOut(
      fakeTask({ paths: fakePaths(), measures, parts: { gatherEvidence } }),
    );
    expect(rowOf(result, 'haproxy').evidence).toMatchObject({
      holds: false,
      claims: [{ text: 'Evidence could not be gathered: cannot record', verdict: 'not-tested' }],
    });
    expect(rowOf(result, 'haproxy').measures.upload?.samples).toHaveLength(2);
    expect(exitCodeOf(result)).toBe(1);
  });

  test('goes on where nothing can be written any more, says so once, and writes when it can', async () => {
    const paths = fakePaths();
    const noted: string[] = [];
    const announce = () => ({ ...SILENT, note: (text: string) => void noted.push(text) });
    const inTheWay = () => join(task.directory, 'compare.json');
    const measure = fakeMeasure('upload', async ({ path }, { round }) => {
      if (round === 0 && path.name === 'haproxy') {
        rmSync(inTheWay());
        mkdirSync(inTheWay());
      } else if (round === 1 && path.name === 'none') rmdirSync(inTheWay());
      return sampleOf(100, round);
    });
    const task = fakeTask({ paths, measures: [measure], announce });
    const result = await carryOut(task);
    expect(noted).toHaveLength(1);
    expect(noted[0]).toMatch(/^cannot write \/.*\/compare\.json: E.*; the comparison goes on$/);
    expect(rowOf(result, 'nft-dnat').measures.upload?.samples).toHaveLength(2);
    const kept = JSON.parse(readFileSync(inTheWay(), 'utf8'));
    expect({ ...kept, endedAt: '' }).toEqual({ ...result, endedAt: '' });
  });

  test('does not begin where nothing can be written', async () => {
    const paths = fakePaths();
    const task = fakeTask({ paths, measures: [fakeMeasure('upload')] });
    mkdirSync(join(task.directory, 'compare.json'));
    await expect(carryOut(task)).rejects.toThrow(UsageError);
    await expect(carryOut(task)).rejects.toThrow(/^cannot write .*compare\.json: E/);
    expect(paths.map(({ closed }) => closed)).toEqual([0, 0, 0]);
  });

  test('leaves out the samples for which there is no time', async () => {
    const slow = { ...fakeMeasure('requests'), secondsBeside: 1000 };
    const options = { quick: true, rounds: 1, paths: NAMES, measures: ['upload', 'requests'] };
    const measures = [fakeMeasure('upload'), slow];
    // What comes on top takes nothing away.
    const soak = { title: 'soak', seconds: 1000, onTop: true } as const;
    const taken: string[] = [];
    const take = async () => void taken.push('soak');
    const parts = { workloads: [{ ...soak, take, failed: () => ({}) }] };
    const result = await carryOut(fakeTask({ paths: fakePaths(), measures, options, parts }));
    const row = rowOf(result, 'none');
    expect(row.measures.upload?.samples).toHaveLength(1);
    expect(row.measures.requests).toBeUndefined();
    expect(result.leftOut).toEqual(['Requests']);
    expect(exitCodeOf(result)).toBe(0);
    expect(taken).toEqual(['soak']);
  });

  test('is not good if there was no time for anything', async () => {
    const measures = [{ ...fakeMeasure('upload'), secondsBeside: 1000 }];
    const options = { quick: true, paths: NAMES, measures: ['upload'] };
    const result = await carryOut(fakeTask({ paths: fakePaths(), measures, options }));
    expect(result.leftOut).toEqual(['Bulk upload']);
    expect(exitCodeOf(result)).toBe(1);
  });
});

test('a workload for which a quick comparison has no time is left out', async () => {
  const take = () => Promise.reject(new Error('it was taken'));
  const workload: Workload = { title: 'SQL', seconds: 1000, take, failed: () => ({}) };
  const options = { quick: true, paths: NAMES, measures: ['upload'] };
  const noted: string[] = [];
  const announce = () => ({ ...SILENT, note: (text: string) => void noted.push(text) });
  const parts = { workloads: [workload] };
  const measures = [fakeMeasure('upload')];
  const task = fakeTask({ paths: fakePaths(), measures, options, parts, announce });
  expect((await carryOut(task)).leftOut).toEqual(['SQL']);
  expect(noted).toContain('No time is left for SQL');
});

test('the first two measures come before the workloads where there is little time', async () => {
  const taken: string[] = [];
  const take = async () => void taken.push('SQL');
  const workload: Workload = { title: 'SQL', seconds: 115, take, failed: () => ({}) };
  const slow = (name: 'upload' | 'download' | 'packets') => ({
    ...fakeMeasure(name),
    secondsBeside: 10,
  });
  const measures = [slow('upload'), slow('download'), slow('packets')];
  const options = { quick: true, paths: ['none'], measures: measures.map(({ name }) => name) };
  const parts = { workloads: [workload] };
  const paths = fakePaths();
  const result = await carryOut(fakeTask({ paths, measures, options, parts }));
  const row = rowOf(result, 'none');
  expect(row.measures.upload?.samples).toHaveLength(2);
  expect(row.measures.download?.samples).toHaveLength(2);
  expect(row.measures.packets).toBeUndefined();
  expect(taken).toEqual(['SQL']);
});

describe('workloads', () => {
  const working = (take: Workload['take']): Workload => ({
    ...{ title: 'soak', seconds: 1, take },
    failed: (reason) => ({ soaks: [{ ...SOAK, status: 'failed', reason }] }),
  });
  const SOAK = { method: 'dsr', status: 'measured', points: [], drops: {} } as const;

  test('run after all paths are closed; one that fails is noted', async () => {
    const paths = fakePaths();
    let closedBefore = 0;
    const first = working(async () => {
      closedBefore = paths.filter(({ closed }) => closed === 1).length;
      throw new Error('no memory');
    });
    const second = working(async ({ note }) => note({ soaks: [SOAK] }));
    const measures = [fakeMeasure('upload')];
    const failed = await carryOut(fakeTask({ paths, measures, parts: { workloads: [first] } }));
    expect(closedBefore).toBe(3);
    expect(failed.soaks).toMatchObject([{ status: 'failed', reason: 'no memory' }]);
    expect(exitCodeOf(failed)).toBe(1);
    const parts = { workloads: [second] };
    const good = await carryOut(fakeTask({ paths: fakePaths(), measures, parts }));
    expect(good.soaks).toEqual([SOAK]);
    expect(exitCodeOf(good)).toBe(0);
  });

  test('tell what they have when they are interrupted', async () => {
    const workload = working(async ({ note, signal }) => {
      setImmediate(() => process.kill(process.pid, 'SIGINT'));
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      note({ soaks: [{ ...SOAK, status: 'partly', reason: 'interrupted' }] });
    });
    const parts = { workloads: [workload, working(never)] };
    const result = await carryOut(
      fakeTask({ paths: fakePaths(), measures: [fakeMeasure('upload')], parts }),
    );
    expect(result.interrupted).toBe(true);
    expect(result.soaks).toMatchObject([{ status: 'partly', reason: 'interrupted' }]);
  });
});

describe('an interruption', () => {
  test('ends a sample that runs, keeps the others, closes everything, takes one signal', async () => {
    const paths = fakePaths();
    const listeners = process.listenerCount('SIGINT');
    const measure = fakeMeasure('upload', async ({ path }, { round }) => {
      if (path.name !== 'nft-dnat') return sampleOf(100, round);
      process.kill(process.pid, 'SIGINT');
      return never();
    });
    const task = fakeTask({ paths, measures: [measure] });
    const result = await carryOut(task);
    expect(result.interrupted).toBe(true);
    expect(rowOf(result, 'haproxy').measures.upload?.samples).toHaveLength(1);
    expect(rowOf(result, 'nft-dnat').measures.upload).toBeUndefined();
    expect(paths.map(({ closed }) => closed)).toEqual([1, 1, 1]);
    expect(exitCodeOf(result)).toBe(1);
    expect(existsSync(join(task.directory, 'compare.json'))).toBe(true);
    expect(process.listenerCount('SIGINT')).toBe(listeners);
  });

  test('of an opening path leaves the rest not run, and closes what comes too late', async () => {
    const late = fakePath('none');
    const path = fakePath('none', {
      open: async () => {
        process.kill(process.pid, 'SIGINT');
        await new Promise((resolve) => setTimeout(resolve, 100));
        return fakeOpen(late);
      },
    });
    const fakeOpen = (of: FakePath) => of.open();
    const paths = [path, fakePath('haproxy', { whyNot: never }), fakePath('nft-dnat')];
    const result = await carryOut(fakeTask({ paths, measures: [fakeMeasure('upload')] }));
    expect(result.paths.map(({ status }) => status)).toEqual(['not-run', 'not-run', 'not-run']);
    await expect.poll(() => late.closed).toBe(1);
  });

  test('is not mistaken for a failure of the sample that it ends', async () => {
    const measure = fakeMeasure('upload', async () => {
      setTimeout(() => process.kill(process.pid, 'SIGINT'), 5);
      throw new Error('iperf3 was ended by a signal');
    });
    const result = await carryOut(fakeTask({ paths: [fakePath('none')], measures: [measure] }));
    expect(result.interrupted).toBe(true);
    expect(rowOf(result, 'none').measures.upload).toBeUndefined();
  });
});

describe('the tables', () => {
  const files = { directory: 'there', files: ['compare.json'] };

  async function rendered(): Promise<string> {
    const values: Partial<Record<PathName, number[]>> = {
      none: [10e9, 12e9],
      haproxy: [5e9, 5e9],
    };
    const paths = [
      fakePath('none'),
      fakePath('haproxy'),
      fakePath('ipvs-dr', { whyNot: async () => 'no ip_vs in this kernel' }),
      fakePath('nft-dnat'),
    ];
    const download = fakeMeasure('download', async ({ path }, { round }) => {
      const value = values[path.name]?.[round];
      if (value === undefined) throw new Error('no route to host');
      return sampleOf(value, round);
    });
    const result = await carryOut(fakeTask({ paths, measures: [download] }));
    return renderCompare({ ...result, interrupted: true }, files, PLAIN);
  }

  test('have medians, spreads and ratios, and rows that say what is missing or failed', async () => {
    const text = await rendered();
    const lines = text.split('\n');
    expect(lines[0]).toMatch(/^path +down Gbit\/s +spread +ratio$/);
    expect(lines[1]).toMatch(/^none +11\.0 +±9 % +1\.00$/);
    expect(lines[2]).toMatch(/^haproxy +5\.00 +±0 % +0\.46$/);
    expect(lines[3]).toMatch(/^ipvs-dr +missing$/);
    expect(lines[4]).toMatch(/^nft-dnat +failed$/);
    expect(text).toContain('ipvs-dr, missing: no ip_vs in this kernel');
    expect(text).toContain('nft-dnat, Bulk download, failed: no route to host');
    expect(text).toContain('Interrupted');
    expect(text).toContain('captures/none/client.pcap#7');
    expect(text).toContain('  compare.json');
  });

  test('of one round have no column for a spread that one round has not', async () => {
    const measures = [fakeMeasure('upload')];
    const task = fakeTask({ paths: fakePaths(), measures, options: { rounds: 1 } });
    const [head, row] = renderCompare(await carryOut(task), files, PLAIN).split('\n');
    expect(head).toMatch(/^path +up Gbit\/s +ratio$/);
    expect(row).toMatch(/^none +\S+ +1\.00$/);
  });

  test('warn of a machine that had other work before, and of no other', async () => {
    const result = await carryOut(fakeTask({ paths: fakePaths(), measures: [] }));
    const withLoad = (loadBefore: number) => {
      const conditions = { ...result.conditions, loadBefore };
      return renderCompare({ ...result, conditions }, files, PLAIN);
    };
    expect(withLoad(8.4)).toContain('The machine was busy: before it began, the load was 8.4 on 2');
    expect(withLoad(1.2)).not.toContain('busy');
  });

  test('fit into 100 columns', async () => {
    const long = (await rendered()).split('\n').filter((line) => line.length > 100);
    expect(long).toEqual([]);
  });
});

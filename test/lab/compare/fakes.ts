// Paths and measures that no lab needs: a comparison can be led through everything that happens to
// a real one, in milliseconds.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { CompareParts, StepLimits } from '../../../lab/compare/compare.ts';
import type { Measure } from '../../../lab/compare/measure.ts';
import type { OpenPath, Path } from '../../../lab/compare/path.ts';
import { type CompareOptions, planFor } from '../../../lab/compare/plan.ts';
import type {
  Conditions,
  Evidence,
  MeasureName,
  PathName,
  Sample,
} from '../../../lab/compare/result.ts';
import type { Task } from '../../../lab/compare/run-compare.ts';
import { SILENT } from '../../../lab/progress.ts';

export interface FakePath extends Path {
  /** Why its balancer is dead, once a test says so. */
  dead: string | undefined;
  closed: number;
}

export function fakePath(name: PathName, change: Partial<Path> = {}): FakePath {
  const path: FakePath = {
    ...{ name, title: name, kind: 'nat', summary: `the path ${name}` },
    ...{ dead: undefined, closed: 0 },
    whyNot: async () => undefined,
    open: async () => openPath(path),
    ...change,
  };
  return path;
}

function openPath(path: FakePath): OpenPath {
  return {
    path,
    // No fake looks into its lab.
    ...({ lab: undefined, topology: undefined } as unknown as Pick<OpenPath, 'lab' | 'topology'>),
    ...{ target: '192.0.2.100', carriesUdp: true },
    configs: [{ name: 'a.conf', text: 'text', source: 'its manual' }],
    processes: () => [process.pid],
    whyDead: () => path.dead,
    close: async () => {
      path.closed += 1;
    },
  };
}

export function fakeMeasure(name: MeasureName, take: Measure['take'] = async () => sampleOf(100)) {
  return { name, secondsBeside: 0.5, notApplicable: () => undefined, take } satisfies Measure;
}

export const sampleOf = (value: number, round = 0): Sample => ({
  ...{ round, value, deliveredBytes: 1e9, deliveredCount: 1000 },
  crossed: { inFrames: 1000, inBytes: 1e9, outFrames: 1000, outBytes: 1e9 },
  cpu: { wallSeconds: 1, machineSeconds: 1, balancerSeconds: 0.5 },
});

export const EVIDENCE: Evidence = {
  holds: true,
  claims: [
    {
      text: 'Every reply goes from the real to the host between.',
      verdict: 'holds',
      frames: [{ file: 'captures/none/client.pcap', frame: 7 }],
      looked: 12,
    },
  ],
  captures: ['captures/none/client.pcap'],
  tsharkComplaints: [],
};

export const CONDITIONS: Conditions = {
  ...{ kernel: '6.1', cpus: 2, cpuModel: 'a processor', memoryBytes: 4e9, node: 'v20' },
  ...{ congestionControl: 'cubic', loadBefore: 0.1, versions: { furiwake: '0.1.0' } },
};

const LIMITS: StepLimits = {
  ...{ openSeconds: 5, evidenceSeconds: 5, sampleSpareSeconds: 5, graceSeconds: 0.2 },
};

export const OPTIONS: CompareOptions = {
  ...{ quick: false, rounds: 2, seconds: 1, sql: false, cache: false, soakMinutes: 0 },
};

interface Fakes {
  readonly paths: readonly Path[];
  readonly measures: readonly Measure[];
  readonly options?: Partial<CompareOptions>;
  readonly limits?: Partial<StepLimits>;
  readonly parts?: Partial<CompareParts>;
  readonly announce?: Task['announce'];
}

export function fakeTask(fakes: Fakes): Task {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-compare-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return {
    plan: planFor({ ...OPTIONS, ...fakes.options }, fakes),
    directory,
    conditions: CONDITIONS,
    announce: fakes.announce ?? (() => SILENT),
    parts: {
      gatherEvidence: async () => EVIDENCE,
      endSample: async () => {},
      workloads: [],
      limits: { ...LIMITS, ...fakes.limits },
      ...fakes.parts,
    },
  };
}

// `npm run bench -- scale`: what becomes of the cost when there is much of everything. A packet of
// up to ten million flows, in the core alone and through a running director; a Maglev table of a
// thousand reals; ten thousand services. A part that fails leaves a reason, and the rest goes on.
import { join } from 'node:path';
import { run } from '../net/command.ts';
import { startProgress } from '../progress.ts';
import { requireLab } from '../requirements.ts';
import { type Bed, buildBed } from './bed.ts';
import type { Target } from './main.ts';
import { type Sample, sampleOf } from './measure.ts';
import type { Tables } from './scale-tables-child.ts';
import {
  ENOUGH,
  measureWhole,
  WHOLE_SECONDS,
  type Whole,
  type WholeMethod,
} from './scale-whole.ts';

const FLOWS = [1000, 10_000, 100_000, 1_000_000, 10_000_000];
/** What all points of the core have together, and what the tables have, in seconds. */
const CORE_SECONDS = 120;
const TABLES_SECONDS = 60;

export interface CorePoint {
  readonly flows: number;
  /** Nanoseconds of user time a packet, one for each run. */
  readonly runs: readonly number[];
  readonly bytesPerFlow: number;
}

export interface Scale {
  readonly core: readonly CorePoint[];
  readonly dsr: Whole | undefined;
  readonly nat: Whole | undefined;
  readonly tables: Tables | undefined;
  /** What could not be measured, and why. */
  readonly failures: readonly { readonly part: string; readonly reason: string }[];
}

export async function measureScale(): Promise<Scale> {
  const coreSeconds = FLOWS.map((flows) => 4 + flows / 500_000);
  const whole = WHOLE_SECONDS;
  const seconds = [...coreSeconds, 10, whole, whole];
  const title = 'scale (two to nine minutes, by how busy the machine is)';
  const progress = startProgress({ title, seconds }, process.stderr);
  const failures: { part: string; reason: string }[] = [];
  const attempt = async <T>(part: string, work: () => Promise<T>): Promise<T | undefined> => {
    progress.begin(part);
    try {
      return await work();
    } catch (error) {
      failures.push({ part, reason: (error as Error).message });
      progress.note(`${part}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const core: CorePoint[] = [];
  const deadline = performance.now() + CORE_SECONDS * 1000;
  for (const flows of FLOWS) {
    const point = await attempt(`core alone, ${flows} flows`, () =>
      child<CorePoint>('scale-child.js', deadline, String(flows)),
    );
    if (point !== undefined) core.push(point);
  }
  const tables = await attempt('reals and services', () =>
    child<Tables>('scale-tables-child.js', performance.now() + TABLES_SECONDS * 1000),
  );
  const wholeOf = async (method: WholeMethod) => {
    const part = `whole packet by ${method.toUpperCase()}`;
    const found = await attempt(part, () =>
      withBed((bed) => measureWhole(bed, method, FLOWS, progress.say)),
    );
    if (found === undefined) return undefined;
    const { kept, missing } = onlyOpen(found);
    for (const flows of missing) {
      const reason = `only ${found.opened} flows were open when time for opening them was up`;
      failures.push({ part: `${part}, ${flows} flows`, reason });
    }
    return kept;
  };
  const [dsr, nat] = [await wholeOf('dsr'), await wholeOf('nat')];
  progress.end();
  return { core, dsr, nat, tables, failures };
}

/** Leaves out the points of more flows than were open. */
export function onlyOpen(whole: Whole): { readonly kept: Whole; readonly missing: number[] } {
  const isOpen = ({ flows }: FlowsPoint) => whole.opened >= flows * ENOUGH;
  const missing = whole.points.filter((point) => !isOpen(point)).map(({ flows }) => flows);
  return { kept: { ...whole, points: whole.points.filter(isOpen) }, missing };
}

/** @param deadline by `performance.now()`; the child is ended then, or not begun after it */
async function child<T>(file: string, deadline: number, ...args: string[]): Promise<T> {
  const timeoutMs = Math.floor(deadline - performance.now());
  if (timeoutMs <= 0) throw new Error('no time left');
  const argv = [process.execPath, join(import.meta.dirname, file), ...args];
  return JSON.parse((await run(argv, { timeoutMs })).stdout) as T;
}

async function withBed<T>(work: (bed: Bed) => Promise<T>): Promise<T> {
  requireLab();
  const bed = await buildBed();
  try {
    return await work(bed);
  } finally {
    await bed.lab.close();
  }
}

interface FlowsPoint {
  readonly flows: number;
  readonly runs: readonly number[];
}

const byFlows = (points: readonly FlowsPoint[]): Sample[] =>
  points.map(({ flows, runs }) => sampleOf(`${flows} flows`, runs));

/** Samples by the name of their curve; what failed is left out. */
export function scaleSamples({ core, dsr, nat, tables }: Scale): Record<string, Sample[]> {
  const services = tables?.points ?? [];
  const curves: Record<string, Sample[]> = {
    'scale: whole packet by DSR, ns': byFlows(dsr?.points ?? []),
    'scale: whole packet by NAT, ns': byFlows(nat?.points ?? []),
    'scale: core alone, ns a packet': byFlows(core),
    'scale: look-up of a service, ns': services.map((each) =>
      sampleOf(`${each.services} services`, each.lookUpNs),
    ),
    'scale: forwarding table, ms': services.map((each) =>
      sampleOf(`${each.services} services`, each.tableMs),
    ),
    'scale: maglev table, ms':
      tables === undefined ? [] : [sampleOf(`${tables.reals} reals`, tables.maglevMs)],
  };
  return Object.fromEntries(Object.entries(curves).filter(([, samples]) => samples.length > 0));
}

/** How many times a packet of the most flows costs one of the fewest; NaN if a point is missing. */
export function growth(points: readonly FlowsPoint[]): number {
  const at = (flows: number | undefined) =>
    sampleOf('', points.find((point) => point.flows === flows)?.runs ?? []).median;
  return at(FLOWS.at(-1)) / at(FLOWS[0]);
}

/** The growth of a packet is judged by its whole cost; the core's own is told beside it. */
export function scaleTargets(scale: Scale): Target[] {
  const { core, dsr, nat, tables } = scale;
  const atMost = (name: string, value: number, wanted: number, unit: string): Target => ({
    ...{ name, value, wanted, rule: 'at most', unit },
  });
  const times = '10 million flows / 1,000 flows';
  const wholeTarget = (name: string, { points }: Whole) =>
    atMost(`whole packet by ${name}, ${times}`, growth(points), 2.5, 'x');
  const last = core.find(({ flows }) => flows === FLOWS.at(-1));
  const lookUp = tables?.points.at(-1);
  return [
    ...(dsr ? [wholeTarget('DSR', dsr)] : []),
    ...(nat ? [wholeTarget('NAT', nat)] : []),
    ...(last
      ? [
          { ...atMost(`core alone, ${times}`, growth(core), 0, 'x'), rule: 'none' as const },
          atMost('memory of each of 10 million flows', last.bytesPerFlow, 64, 'bytes'),
        ]
      : []),
    ...(tables && lookUp
      ? [
          atMost('maglev of 1,000 reals', sampleOf('', tables.maglevMs).median, 10, 'ms'),
          atMost('look-up among 10,000 services', sampleOf('', lookUp.lookUpNs).median, 200, 'ns'),
        ]
      : []),
  ].filter(({ value }) => !Number.isNaN(value));
}

// What a comparison has found so far. After every step it is written down whole, so that whatever
// happens next, what was measured is kept.
import { join } from 'node:path';
import { tryToKeep } from '../results-directory.ts';
import type { OpenPath, Path } from './path.ts';
import type { Plan } from './plan.ts';
import type {
  CompareResult,
  Conditions,
  Evidence,
  MeasureName,
  MeasureResult,
  PathName,
  PathResult,
  Sample,
} from './result.ts';

export const RESULT_FILE = 'compare.json';

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Row = Writable<Omit<PathResult, 'measures'>> & { readonly measures: Writable<Measured> };
type Measured = PathResult['measures'];
export type WorkloadResults = Partial<Pick<CompareResult, 'sql' | 'cache' | 'soaks'>>;

export class Ledger {
  readonly #plan: Plan;
  readonly #directory: string;
  readonly #conditions: Conditions;
  readonly #startedAt = new Date().toISOString();
  readonly #rows: Map<PathName, Row>;
  #workloads: WorkloadResults = {};
  readonly #leftOut = new Set<string>();
  interrupted = false;
  /** Why the file is not as it should be, or undefined. */
  problem: string | undefined;
  /** Told of each new problem: what is measured meanwhile is kept in memory, and may still be. */
  onProblem: (problem: string) => void = () => {};

  constructor(plan: Plan, conditions: Conditions, directory: string) {
    this.#plan = plan;
    this.#conditions = conditions;
    this.#directory = directory;
    this.#rows = new Map(plan.paths.map((path) => [path.name, newRow(path)]));
  }

  missing({ name }: Path, reason: string): void {
    this.#change(name, { status: 'missing', reason });
  }

  failed({ name }: Path, reason: string): void {
    this.#change(name, { status: 'failed', reason });
  }

  opened({ path, configs }: OpenPath): void {
    this.#change(path.name, { status: 'measured', configs });
  }

  evidence({ name }: Path, evidence: Evidence): void {
    this.#change(name, { evidence });
  }

  /** Written down with the next step. */
  memory({ name }: Path, residentBytes: number | null): void {
    this.#row(name).residentBytes = residentBytes;
  }

  /** @param firstFailure why the first attempt failed, if this is what the second gave */
  sample(path: Path, measure: MeasureName, sample: Sample, firstFailure?: string): void {
    const samples = [...this.samplesOf(path, measure), sample];
    const before = this.measureOf(path, measure)?.retried ?? [];
    const retried = firstFailure === undefined ? before : [...before, firstFailure];
    const again = retried.length === 0 ? {} : { retried };
    this.#measured(path, measure, { status: 'measured', samples, ...again });
  }

  /** What was measured before it failed is kept. */
  measureFailed(path: Path, measure: MeasureName, reason: string): void {
    const samples = this.samplesOf(path, measure);
    const before = this.measureOf(path, measure);
    this.#measured(path, measure, { ...before, status: 'failed', reason, samples });
  }

  notApplicable(path: Path, measure: MeasureName, reason: string): void {
    this.#measured(path, measure, { status: 'not-applicable', reason, samples: [] });
  }

  workload(found: WorkloadResults): void {
    this.#workloads = { ...this.#workloads, ...found };
    this.save();
  }

  /** @param title of a measure or a workload for which no time is left */
  leaveOut(title: string): void {
    this.#leftOut.add(title);
    this.save();
  }

  samplesOf({ name }: Path, measure: MeasureName): readonly Sample[] {
    return this.#row(name).measures[measure]?.samples ?? [];
  }

  soFar({ name }: Path): Partial<Record<MeasureName, readonly Sample[]>> {
    const measures = Object.entries(this.#row(name).measures);
    return Object.fromEntries(measures.map(([measure, { samples }]) => [measure, samples]));
  }

  measureOf({ name }: Path, measure: MeasureName): MeasureResult | undefined {
    return this.#row(name).measures[measure];
  }

  statusOf({ name }: Path): PathResult['status'] {
    return this.#row(name).status;
  }

  result(): CompareResult {
    const { quick, rounds, secondsPerSample } = this.#plan;
    return {
      format: 'furiwake-compare-1',
      startedAt: this.#startedAt,
      endedAt: new Date().toISOString(),
      interrupted: this.interrupted,
      ...(this.#leftOut.size === 0 ? {} : { leftOut: [...this.#leftOut] }),
      ...{ quick, rounds, secondsPerSample },
      conditions: this.#conditions,
      paths: [...this.#rows.values()],
      soaks: [],
      ...this.#workloads,
    };
  }

  save(): void {
    const before = this.problem;
    const text = `${JSON.stringify(this.result(), null, 2)}\n`;
    this.problem = tryToKeep(join(this.#directory, RESULT_FILE), text);
    if (this.problem !== undefined && this.problem !== before) this.onProblem(this.problem);
  }

  #measured({ name }: Path, measure: MeasureName, result: MeasureResult): void {
    this.#row(name).measures[measure] = result;
    this.save();
  }

  #change(name: PathName, change: Partial<Writable<PathResult>>): void {
    Object.assign(this.#row(name), change);
    this.save();
  }

  #row(name: PathName): Row {
    return this.#rows.get(name)!;
  }
}

function newRow({ name, title, kind, summary }: Path): Row {
  const nothing = { configs: [], measures: {}, residentBytes: null };
  return { name, title, kind, summary, status: 'not-run', ...nothing };
}

// `furiwake lab compare`: every path in one sitting. It ends with a table, a page, the figures as
// JSON and the captures, also when it is interrupted: then with what was measured until then.
import { join } from 'node:path';
import { type Colours, coloursFor } from '../../src/cli/output.ts';
import { run } from '../net/command.ts';
import { closeAllLabs, takeFirstSignal } from '../net/signals.ts';
import { type Progress, SILENT, startProgress } from '../progress.ts';
import { requireLab, UsageError } from '../requirements.ts';
import { makeResultsDirectory, tryToKeep } from '../results-directory.ts';
import { clientOf } from '../topologies/topology.ts';
import { type CompareParts, compare, foretell, LIMITS } from './compare.ts';
import { readConditions } from './conditions.ts';
import { gatherEvidence } from './evidence.ts';
import { Ledger, RESULT_FILE } from './ledger.ts';
import { MEASURE_LIST } from './measures/all.ts';
import type { OpenPath } from './path.ts';
import { PATHS } from './paths/all.ts';
import { type CompareOptions, type Plan, planFor } from './plan.ts';
import { renderCompare } from './render.ts';
import type { CompareResult, Conditions } from './result.ts';
import { workloadsOf } from './workloads.ts';

export interface RunCompareOptions extends CompareOptions {
  /** Where everything goes; `lab-results/TIME-compare` unless given. */
  readonly keep?: string | undefined;
  readonly json: boolean;
}

const REPORT_FILE = 'report.html';
/** What an interrupted step has left in this process may not hold up its end for longer. */
const LINGER_MS = 3_000;

/**
 * Runs the command. Resolves with its exit code: 0 if every path that is there was measured and its
 * evidence holds, 1 if not, also for want of time, or if it was interrupted.
 */
export async function runCompare(options: RunCompareOptions): Promise<number> {
  const plan = planFor(options, { paths: PATHS, measures: MEASURE_LIST });
  requireLab();
  const directory = makeResultsDirectory('compare', options.keep);
  const parts: CompareParts = {
    gatherEvidence: (open) => gatherEvidence(open, directory),
    endSample,
    workloads: workloadsOf(plan, directory),
    limits: LIMITS,
  };
  const conditions = await readConditions();
  const announce = (seconds: readonly number[]) =>
    options.json ? SILENT : startProgress({ title: titleOf(plan), seconds }, process.stdout);
  const result = await carryOut({ plan, parts, directory, conditions, announce });
  const { files, problems } = await unhurried(() => writePage(result, directory));
  console.log(
    options.json
      ? JSON.stringify(result)
      : endOf(result, { directory, files }, coloursFor(process.stdout)),
  );
  for (const problem of problems) console.error(`furiwake: ${problem}`);
  const code = problems.length > 0 ? 1 : exitCodeOf(result);
  if (result.interrupted) setTimeout(() => process.exit(code), LINGER_MS).unref();
  return code;
}

/** What is the fruit of an hour takes a second: the first signal meanwhile is not heeded. */
async function unhurried<T>(action: () => Promise<T>): Promise<T> {
  const giveUp = takeFirstSignal(() => {});
  try {
    return await action();
  } finally {
    giveUp();
  }
}

const endOf = (
  result: CompareResult,
  files: { readonly directory: string; readonly files: readonly string[] },
  colours: Colours,
): string => `\n${renderCompare(result, files, colours)}`;

function titleOf({ paths, measures, rounds, secondsPerSample }: Plan): string {
  const times = rounds > 1 ? `${rounds} rounds` : 'one round';
  return (
    `Comparing ${paths.length} paths in ${measures.length} measures, ` +
    `${times} of ${secondsPerSample} s`
  );
}

export interface Task {
  readonly plan: Plan;
  readonly parts: CompareParts;
  readonly directory: string;
  readonly conditions: Conditions;
  /** Begins to show progress, told how long each step takes. */
  announce(seconds: readonly number[]): Progress;
}

/** Compares, and closes all labs however it ends. The first signal ends it early and in order. */
export async function carryOut(task: Task): Promise<CompareResult> {
  const { plan, parts, directory, conditions, announce } = task;
  const ledger = new Ledger(plan, conditions, directory);
  ledger.save();
  if (ledger.problem !== undefined) throw new UsageError(ledger.problem);
  const interruption = new AbortController();
  const progress = announce(foretell(plan, parts.workloads));
  ledger.onProblem = (problem) => progress.note(`${problem}; the comparison goes on`);
  const giveUp = takeFirstSignal(() => {
    interruption.abort();
    progress.note('Interrupted: ending, and keeping what was measured');
    // Whatever runs in a lab ends with it.
    void closeAllLabs();
  });
  try {
    await compare({ plan, parts, ledger, progress, signal: interruption.signal });
  } finally {
    progress.end();
    await closeAllLabs();
    giveUp();
  }
  return ledger.result();
}

/** Only load generators run on the client: what is left there belongs to the sample. */
async function endSample({ lab, topology }: OpenPath): Promise<void> {
  const namespace = lab.namespaceOf(clientOf(topology).name);
  const { stdout } = await run(['ip', 'netns', 'pids', namespace], { onFailure: 'return' });
  for (const pid of stdout.split('\n').filter(Boolean).map(Number)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

interface Kept {
  /** Those that the table names; captures are many, their directory stands for them. */
  readonly files: readonly string[];
  readonly problems: readonly string[];
}

/**
 * Draws the page from the figures, which are kept already: whatever is wrong with the page, they
 * are there, and `furiwake lab report` draws it again. On a full disk they may not be: then once
 * more, for there may be room again.
 */
async function writePage(result: CompareResult, directory: string): Promise<Kept> {
  const captures = result.paths.flatMap(({ evidence }) => evidence?.captures ?? []);
  const pcaps = captures.length === 0 ? [] : [`captures/ (${captures.length} pcap files)`];
  // The chart library is large, and needed at the very end alone.
  const { renderReport } = await import('../report/render-report.ts');
  const texts = {
    [REPORT_FILE]: () => renderReport(result),
    [RESULT_FILE]: () => `${JSON.stringify(result, null, 2)}\n`,
  };
  const tried = Object.entries(texts).map(([name, text]) => ({
    name,
    problem: tryToKeep(join(directory, name), text()),
  }));
  return {
    files: [...tried.flatMap(({ name, problem }) => (problem ? [] : [name])), ...pcaps],
    problems: tried.flatMap(({ problem }) => problem ?? []),
  };
}

export function exitCodeOf(result: CompareResult): number {
  const { interrupted, paths, sql, cache, soaks } = result;
  const there = paths.filter(({ status }) => status !== 'missing');
  const measured = there.every(
    (path) =>
      path.status === 'measured' &&
      path.evidence?.holds === true &&
      Object.keys(path.measures).length > 0 &&
      Object.values(path.measures).every(({ status }) => status !== 'failed'),
  );
  const workloads = [sql, cache, ...soaks].filter((each) => each !== undefined);
  const worked = workloads.every(({ status }) => status === 'measured' || status === 'missing');
  return !interrupted && measured && worked ? 0 : 1;
}

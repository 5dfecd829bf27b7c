// The comparison itself: opens all paths, gathers the evidence of each, lets them take turns in all
// measures, then runs the workloads. Whatever fails gets a row that says so, and the rest goes on.
// Everything outside comes as an argument, so that tests run it without a lab.
import { readFileSync } from 'node:fs';
import type { Progress } from '../progress.ts';
import type { Ledger, WorkloadResults } from './ledger.ts';
import type { Measure } from './measure.ts';
import type { OpenPath, Path } from './path.ts';
import { type Plan, type Turn, turnsOf } from './plan.ts';
import { type Evidence, MEASURES } from './result.ts';
import { Interrupted, TooLate, within } from './within.ts';

/** A workload of its own, with labs of its own, after the paths are closed. */
export interface Workload {
  readonly title: string;
  /** About how long it takes. */
  readonly seconds: number;
  /** Whoever asks for it gives it time of its own, beyond what a quick comparison may take. */
  readonly onTop?: true;
  take(options: WorkloadTakes): Promise<void>;
  /** What is noted if it fails or exceeds its time. */
  failed(reason: string): WorkloadResults;
}

export interface WorkloadTakes {
  /** Told of what was found so far. */
  note(found: WorkloadResults): void;
  /** Told of what is done. */
  say(what: string): void;
  readonly signal: AbortSignal;
}

export interface CompareParts {
  readonly gatherEvidence: (open: OpenPath) => Promise<Evidence>;
  /** Ends what a sample that exceeded its time left running. */
  readonly endSample: (open: OpenPath) => Promise<void>;
  readonly workloads: readonly Workload[];
  readonly limits: StepLimits;
}

export interface StepLimits {
  readonly openSeconds: number;
  readonly evidenceSeconds: number;
  /** A sample may take this much longer than it should. */
  readonly sampleSpareSeconds: number;
  /** How long an interrupted workload may take to tell what it has. */
  readonly graceSeconds: number;
}

export const LIMITS: StepLimits = {
  openSeconds: 90,
  evidenceSeconds: 90,
  sampleSpareSeconds: 20,
  graceSeconds: 15,
};

export interface CompareContext {
  readonly plan: Plan;
  readonly parts: CompareParts;
  readonly ledger: Ledger;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Two cores open two paths in the time of one. */
const AT_ONCE = 2;
/** So many measures, the first of the plan, come before the workloads. */
const FOREMOST = 2;
/** By so much a workload may end too late rather than be left out. */
const LATE_SECONDS = 4;
const CLOSE_LIMIT_MS = 20_000;
const OPEN_SECONDS = 1.5;
const EVIDENCE_SECONDS = 2.5;

/** How long each step takes, in the order of the steps. */
export function foretell(plan: Plan, workloads: readonly Workload[]): number[] {
  const samples = turnsOf(plan.rounds, plan.measures, plan.paths);
  return [
    ...plan.paths.map(() => OPEN_SECONDS),
    ...plan.paths.map(() => EVIDENCE_SECONDS),
    ...samples.map(({ measure }) => plan.secondsPerSample + measure.secondsBeside),
    ...workloads.map(({ seconds }) => seconds),
  ];
}

/** Fills the ledger. Never throws for what a path or a measure does; all paths are closed after. */
export async function compare(context: CompareContext): Promise<void> {
  const beganMs = performance.now();
  const opened: OpenPath[] = [];
  try {
    try {
      await eachOf(context.plan.paths, (path) => openPath(context, path, opened));
      // In the order of the plan, whichever came up first.
      opened.sort((a, b) => orderOf(context.plan, a) - orderOf(context.plan, b));
      await eachOf(opened, (open) => takeEvidence(context, open));
      await takeSamples(context, opened, beganMs);
    } finally {
      await closeAll(opened);
    }
    for (const workload of context.parts.workloads) {
      if (isTime(context, workload, beganMs)) await runWorkload(context, workload);
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    context.ledger.interrupted = true;
  }
  context.ledger.save();
}

const orderOf = ({ paths }: Plan, { path }: OpenPath) => paths.indexOf(path);

/** Runs `action` for all, some at once; the first that throws ends the rest. */
async function eachOf<T>(list: readonly T[], action: (each: T) => Promise<void>): Promise<void> {
  const waiting = [...list];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await action(next);
  };
  const workers = Array.from({ length: AT_ONCE }, work);
  const settled = await Promise.allSettled(workers);
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function openPath(context: CompareContext, path: Path, opened: OpenPath[]): Promise<void> {
  const { ledger, progress, signal, parts } = context;
  const limits = { limitMs: parts.limits.openSeconds * 1000, signal };
  progress.begin(`${path.title}: opening`);
  let inTime = true;
  try {
    const reason = await within(() => path.whyNot(), limits);
    if (reason !== undefined) {
      progress.note(`${path.title} is missing: ${reason}`);
      ledger.missing(path, reason);
      return;
    }
    const opening = () =>
      path.open().then(async (open) => {
        if (!inTime) await open.close();
        return open;
      });
    const open = await within(opening, limits);
    ledger.opened(open);
    opened.push(open);
  } catch (error) {
    inTime = false;
    if (error instanceof Interrupted) throw error;
    pathFailed(context, path, `did not come up: ${reasonOf(error)}`);
  }
}

async function takeEvidence(context: CompareContext, open: OpenPath): Promise<void> {
  const { ledger, progress, signal, parts } = context;
  const { path } = open;
  progress.begin(`${path.title}: evidence`);
  const limits = { limitMs: parts.limits.evidenceSeconds * 1000, signal };
  try {
    ledger.evidence(path, await within(() => parts.gatherEvidence(open), limits));
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    const text = `Evidence could not be gathered: ${reasonOf(error)}`;
    const claim = { text, verdict: 'not-tested', frames: [], looked: 0 } as const;
    ledger.evidence(path, { holds: false, claims: [claim], captures: [], tsharkComplaints: [] });
    progress.note(`${path.title}: ${text}`);
    checkAlive(context, open);
  }
}

async function takeSamples(
  context: CompareContext,
  opened: readonly OpenPath[],
  beganMs: number,
): Promise<void> {
  const { plan, progress } = context;
  const turns = turnsOf(plan.rounds, plan.measures, opened);
  const missing = plan.paths.length - opened.length;
  // Steps that were foretold for paths which did not come up.
  const skipped = missing * (1 + plan.rounds * plan.measures.length);
  for (let each = 0; each < skipped; each++) progress.skip();
  // A measure that only some paths could take part in would compare nothing: all of them or none.
  const perMeasure = Math.max(1, opened.length);
  for (let first = 0; first < turns.length; first += perMeasure) {
    const group = turns.slice(first, first + perMeasure);
    if (fits(context, group, beganMs)) for (const turn of group) await takeTurn(context, turn);
    else leaveOut(context, group);
  }
}

function leaveOut({ ledger, progress }: CompareContext, group: readonly Turn<OpenPath>[]): void {
  for (const { measure } of group) {
    progress.skip();
    ledger.leaveOut(MEASURES[measure.name].title);
  }
  progress.note(`No time is left for ${group[0]?.measure.name}`);
}

/**
 * True if there is no limit, or if after these samples there is still time for the workloads. The
 * first measures are what a comparison is for: on a slow machine the workloads make way for them.
 */
function fits(
  { plan, parts }: CompareContext,
  group: readonly Turn<OpenPath>[],
  beganMs: number,
): boolean {
  if (plan.endAfterSeconds === null) return true;
  const begins = (performance.now() - beganMs) / 1000;
  const samples = group.map(({ measure }) => plan.secondsPerSample + measure.secondsBeside);
  const foremost = plan.measures.slice(0, FOREMOST).some((each) => each === group[0]?.measure);
  const waiting = foremost ? [] : parts.workloads;
  const after = waiting.map((each) => (each.onTop === true ? 0 : each.seconds));
  return begins + sum([...samples, ...after]) <= plan.endAfterSeconds;
}

const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0);

async function takeTurn(context: CompareContext, turn: Turn<OpenPath>): Promise<void> {
  const { ledger, progress, plan } = context;
  const { path: open, measure, round } = turn;
  const { path } = open;
  const before = ledger.measureOf(path, measure.name);
  const over = before !== undefined && before.status !== 'measured';
  if (over || ledger.statusOf(path) !== 'measured' || !checkAlive(context, open)) {
    progress.skip();
    return;
  }
  const reason = measure.notApplicable(open);
  if (reason !== undefined) {
    ledger.notApplicable(path, measure.name, reason);
    progress.skip();
    return;
  }
  const rounds = plan.rounds > 1 ? `round ${round + 1} of ${plan.rounds}, ` : '';
  progress.begin(`${rounds}${measure.name}: ${path.title}`);
  await takeSample(context, open, measure, round);
}

/** Tries again once, unless the balancer is dead or the time was exceeded. */
async function takeSample(
  context: CompareContext,
  open: OpenPath,
  measure: Measure,
  round: number,
): Promise<void> {
  const { ledger, progress, plan, parts, signal } = context;
  const { path } = open;
  const seconds = plan.secondsPerSample;
  const mostSeconds = seconds + measure.secondsBeside + parts.limits.sampleSpareSeconds;
  let firstFailure: string | undefined;
  for (;;) {
    try {
      const options = { round, seconds, soFar: ledger.soFar(path) };
      const limits = { limitMs: mostSeconds * 1000, signal };
      const sample = await within(() => measure.take(open, options), limits);
      // A sample during which the balancer died measured something else.
      if (!checkAlive(context, open)) return;
      ledger.memory(path, residentBytes(open.processes()));
      ledger.sample(path, measure.name, sample, firstFailure);
      return;
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      const late = error instanceof TooLate;
      if (late) await parts.endSample(open);
      if (!checkAlive(context, open)) return;
      const reason = reasonOf(error);
      if (firstFailure === undefined && !late) {
        firstFailure = reason;
        progress.note(`${path.title}, ${measure.name}: ${reason}; it is tried again`);
        continue;
      }
      ledger.measureFailed(path, measure.name, reason);
      progress.note(`${path.title}, ${measure.name}: ${reason}`);
      return;
    }
  }
}

/** False if the path's balancer has died; its row says so then. */
function checkAlive(context: CompareContext, open: OpenPath): boolean {
  const reason = open.whyDead();
  if (reason === undefined) return true;
  if (context.ledger.statusOf(open.path) !== 'failed') pathFailed(context, open.path, reason);
  return false;
}

function pathFailed({ ledger, progress }: CompareContext, path: Path, reason: string): void {
  const line = oneLine(reason);
  ledger.failed(path, line);
  progress.note(`${path.title} failed: ${line}`);
}

/** Stops waiting after a while: what hangs is for the sweeper of its lab. */
async function closeAll(opened: readonly OpenPath[]): Promise<void> {
  const never = new AbortController().signal;
  const close = (open: OpenPath) =>
    within(() => open.close(), { limitMs: CLOSE_LIMIT_MS, signal: never });
  await Promise.allSettled(opened.map(close));
}

/** Whatever came before may have taken longer than was foretold. */
function isTime(context: CompareContext, workload: Workload, beganMs: number): boolean {
  const { endAfterSeconds } = context.plan;
  if (endAfterSeconds === null || workload.onTop === true) return true;
  const ends = (performance.now() - beganMs) / 1000 + workload.seconds;
  if (ends <= endAfterSeconds + LATE_SECONDS) return true;
  context.progress.skip();
  context.ledger.leaveOut(workload.title);
  context.progress.note(`No time is left for ${workload.title}`);
  return false;
}

/** A workload that is interrupted has a while to tell what it has. */
async function runWorkload(context: CompareContext, workload: Workload): Promise<void> {
  const { ledger, progress, signal, parts } = context;
  if (signal.aborted) throw new Interrupted();
  progress.begin(workload.title);
  const patience = new AbortController();
  const hurry = () => setTimeout(() => patience.abort(), parts.limits.graceSeconds * 1000).unref();
  signal.addEventListener('abort', hurry, { once: true });
  try {
    const limits = { limitMs: (workload.seconds * 3 + 60) * 1000, signal: patience.signal };
    const takes = {
      note: (found: WorkloadResults) => ledger.workload(found),
      say: (what: string) => progress.say(what),
      signal,
    };
    await within(() => workload.take(takes), limits);
  } catch (error) {
    if (signal.aborted) throw new Interrupted();
    ledger.workload(workload.failed(reasonOf(error)));
    progress.note(`${workload.title}: ${reasonOf(error)}`);
  } finally {
    signal.removeEventListener('abort', hurry);
  }
  if (signal.aborted) throw new Interrupted();
}

/** Resident memory of processes together, a page that n share by 1/n each; null without any. */
export function residentBytes(pids: readonly number[]): number | null {
  const sizes = pids.flatMap((pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      return [Number(/^Pss:\s*(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024];
    } catch {
      return [];
    }
  });
  return sizes.length === 0 ? null : sum(sizes);
}

function reasonOf(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error));
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, '; ');

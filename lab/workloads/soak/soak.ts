// Long traffic through a director: one bulk flow at a fixed pace for the whole time, and requests
// that each open and end a flow of their own. In intervals it is noted what arrived, and what the
// director says of itself: memory, flows, drops. The curves show the time they show, and no more.
import type { Status } from '../../../src/control/status.ts';
import { runWrk } from '../../compare/measures/wrk.ts';
import type { SoakPoint, SoakResult } from '../../compare/result.ts';
import type { Lab } from '../../net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../requirements.ts';
import { type RunningLab, startLab } from '../../running.ts';
import { clientOf } from '../../topologies/topology.ts';
import { type Bulk, startBulk } from './bulk.ts';

export interface SoakOptions {
  readonly method: 'dsr' | 'nat';
  /** Whole seconds. */
  readonly seconds: number;
  /** Whole seconds from point to point; the last may come sooner. */
  readonly intervalSeconds: number;
  /** Called for each point as soon as it is known, with all drops until then. */
  onPoint(point: SoakPoint, drops: SoakResult['drops']): void;
  readonly signal?: AbortSignal | undefined;
}

/** A pace that every method holds beside the requests on a machine of two processors. */
export const BULK_BITS_PER_SECOND = 2e9;
/** Requests that are under way at a time. */
export const REQUEST_CONNECTIONS = 4;

/** Building the lab, starting the director, and ending both. */
export const SOAK_SECONDS_BESIDE = 5;

/** Counts of frames that did not go on, by what became of them. */
type Drops = Readonly<Record<string, number>>;

/** Soaks until `seconds` are over. What fails is told in the result; the points so far are kept. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { method, signal } = options;
  const seen: Seen = { points: [], reasons: [], drops: {} };
  try {
    const lack = whyNoLab([...ALL_PROGRAMS, 'wrk']);
    if (lack !== undefined) throw new Error(lack);
    if (!signal?.aborted)
      await soakLab(await startLab({ topology: method, longLoad: true }), options, seen);
  } catch (error) {
    seen.reasons.push(reasonOf(error));
  }
  const { points, drops } = seen;
  // Being ended breaks what is under way; that says nothing of its own.
  const reasons = signal?.aborted ? ['interrupted'] : seen.reasons;
  const whole = reasons.length === 0;
  return {
    method,
    status: whole ? 'measured' : points.length > 0 ? 'partly' : 'failed',
    ...(whole ? {} : { reason: reasons.join('; ') }),
    ...{ points, drops },
  };
}

/** What grows while it soaks, and stays whatever happens. */
interface Seen {
  readonly points: SoakPoint[];
  readonly reasons: string[];
  drops: Drops;
}

/** @throws Error if it cannot go on */
async function soakLab(running: RunningLab, options: SoakOptions, seen: Seen): Promise<void> {
  const { seconds, intervalSeconds, signal } = options;
  const { lab, topology, director } = running;
  const interrupt = () => void running.close();
  signal?.addEventListener('abort', interrupt);
  try {
    const first = dropsOf(await director.status());
    const begun = performance.now();
    const target = { host: clientOf(topology).name, address: topology.vip };
    const bulk = startBulk(lab, { ...target, bitsPerSecond: BULK_BITS_PER_SECOND });
    for (let left = seconds; left > 0 && !signal?.aborted; left -= intervalSeconds) {
      const requests = await sendRequests(lab, target, Math.min(left, intervalSeconds), seen);
      if (signal?.aborted) break;
      const status = await director.status();
      const drops = since(first, dropsOf(status));
      const point: SoakPoint = {
        atSeconds: (performance.now() - begun) / 1000,
        bitsPerSecond: bulk.takeBitsPerSecond(),
        ...requests,
        residentBytes: status.residentBytes,
        activeFlows: status.totals.activeFlows,
        droppedFrames: total(drops) - total(seen.drops),
      };
      seen.drops = drops;
      seen.points.push(point);
      options.onPoint(point, drops);
      goingOn(bulk);
    }
    await bulk.stop();
  } finally {
    signal?.removeEventListener('abort', interrupt);
    await running.close();
  }
}

type Requests = Pick<SoakPoint, 'requestsPerSecond' | 'p99Seconds'>;

/** A piece with errors has no figures; the soak goes on, and its result tells of it. */
async function sendRequests(
  lab: Lab,
  { host, address }: { readonly host: string; readonly address: string },
  seconds: number,
  { points, reasons }: Seen,
): Promise<Requests> {
  try {
    const options = { host, url: `http://${address}/`, connections: REQUEST_CONNECTIONS, seconds };
    const result = await runWrk(lab, { ...options, header: 'Connection: close' });
    return {
      requestsPerSecond: result.requests / result.seconds,
      p99Seconds: result.p99Seconds,
    };
  } catch (error) {
    reasons.push(`point ${points.length + 1}: ${reasonOf(error)}`);
    return { requestsPerSecond: null, p99Seconds: null };
  }
}

function goingOn(bulk: Bulk): void {
  const reason = bulk.whyNot();
  if (reason !== undefined) throw new Error(reason);
}

/** The director's drop reasons, with what its arms missed or could not send. */
function dropsOf({ drops, arms }: Status): Drops {
  const missed = arms.reduce((sum, arm) => sum + arm.missedFrames, 0);
  const failed = arms.reduce((sum, arm) => sum + arm.failedFrames, 0);
  return { ...drops, missed, failed };
}

/** Those that grew, by how much. */
function since(before: Drops, after: Drops): Drops {
  const grown = Object.entries(after).map(
    ([name, count]) => [name, count - (before[name] ?? 0)] as const,
  );
  return Object.fromEntries(grown.filter(([, count]) => count > 0));
}

const total = (drops: Drops): number => Object.values(drops).reduce((sum, each) => sum + each, 0);

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).trim().split('\n').join(' ');

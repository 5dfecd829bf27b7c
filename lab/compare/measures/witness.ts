// What every sample is taken with: what crossed the balancer's host by the kernel's count, and the
// processor time meanwhile, from a still moment before the load to a still moment after it, so that
// no frame on its way is missed. The kernel is the one witness that every path has; it counts a
// super-frame as one frame, with one header. The start of the program that makes the load is in the
// processor time too, on every path alike.
import { setTimeout as pause } from 'node:timers/promises';
import {
  kernelCrossing,
  NOTHING,
  sameCrossing,
  subtractCrossing,
  sumCrossings,
} from '../../throughput/crossing.ts';
import { until } from '../../wait.ts';
import type { OpenPath } from '../path.ts';
import type { CpuUse, Crossed } from '../result.ts';
import { cpuBetween, readCpu } from './cpu-time.ts';

export interface Witnessed<T> {
  readonly result: T;
  readonly crossed: Crossed;
  readonly cpu: CpuUse;
}

/** Frames need microseconds to cross; a proxy may hold some back until it gets its turn. */
const STILL_MS = 100;
/** A path whose balancer asks its reals now and then is still in between. */
const STILL_TIMEOUT_MS = 10_000;

/** Two still moments and what is read between them, for the time that a sample takes. */
export const SETTLE_SECONDS = 0.25;

/**
 * Runs `load` and tells what crossed and was used meanwhile.
 * @throws Error with one line: why the balancer is dead, or else what `load` threw
 */
export async function witnessed<T>(open: OpenPath, load: () => Promise<T>): Promise<Witnessed<T>> {
  requireAlive(open);
  const crossedBefore = await stillCrossing(open);
  const cpuBefore = readCpu(open.processes());
  const result = await orWhyDead(open, load);
  const crossedAfter = await stillCrossing(open);
  const cpuAfter = readCpu(open.processes());
  requireAlive(open);
  return {
    result,
    crossed: subtractCrossing(crossedAfter, crossedBefore),
    cpu: cpuBetween(cpuBefore, cpuAfter),
  };
}

/** A load that fails because nobody forwards any more shall say so. */
async function orWhyDead<T>(open: OpenPath, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    requireAlive(open);
    throw error;
  }
}

function requireAlive(open: OpenPath): void {
  const reason = open.whyDead();
  if (reason !== undefined) throw new Error(`${open.path.title}: ${reason}`);
}

/** Waits until nothing crosses the balancer's host, and reads. */
export function stillCrossing(open: OpenPath): Promise<Crossed> {
  const where = `a moment in which no frame crosses the balancer of ${open.path.title}`;
  return until(where, () => tryStill(open), {
    timeoutMs: STILL_TIMEOUT_MS,
    giveUp: () => open.whyDead(),
  });
}

async function tryStill(open: OpenPath): Promise<Crossed | undefined> {
  const first = await readCrossing(open);
  await pause(STILL_MS);
  const second = await readCrossing(open);
  return sameCrossing(first, second) ? second : undefined;
}

/** Sums over the arms of the host between client and reals; nothing where there is no such host. */
async function readCrossing({ lab, topology }: OpenPath): Promise<Crossed> {
  const host = topology.hosts.find(({ role }) => role === 'director');
  if (host === undefined) return NOTHING;
  const { stdout } = await lab.exec(host.name, ['cat', '/proc/net/dev']);
  return sumCrossings(host.arms.map((arm) => kernelCrossing(stdout, arm.name)));
}

// The counters over the life of a director, which may be longer than that of one data plane. Sums
// go on; gauges (active flows, neighbours) start anew with each data plane, whose flows they
// describe.
import type { Config } from '../config/config.ts';
import { FULL } from '../director/availability.ts';
import {
  ACTIVE_FLOWS,
  CLOSED_BITS,
  type CounterRoom,
  type Counters,
  counterBytes,
  DRAIN_LEFT_MS,
  GLOBAL,
  NEIGHBOUR_MAC,
  NEIGHBOUR_STATE,
  realAt,
  START_LEFT_MS,
  serviceAt,
  wrapCounters,
} from '../director/counters.ts';

/**
 * Room to reload configurations that are larger than the first one, and for all that come and go:
 * no id is given twice. 128 bytes a row.
 */
const LEAST_SERVICES = 512;
const LEAST_REALS = 4096;

const NEIGHBOUR_FIELDS = [
  NEIGHBOUR_STATE,
  NEIGHBOUR_MAC,
  CLOSED_BITS,
  START_LEFT_MS,
  DRAIN_LEFT_MS,
] as const;

export interface SharedCounters {
  /** Those of all workers together, as of the last `sumWorkers`. */
  readonly counters: Counters;
  /** Each worker's own; one worker's are `counters` themselves. */
  readonly workers: readonly Counters[];
  readonly memories: readonly SharedArrayBuffer[];
}

/** Zeroed counters with room for twice the services and reals of the configuration at least. */
export function makeCounters(config: Config): SharedCounters {
  const reals = config.services.reduce((sum, service) => sum + service.reals.length + 1, 0);
  const room: CounterRoom = {
    arms: config.interfaces.length,
    services: Math.max(LEAST_SERVICES, 2 * config.services.length),
    reals: Math.max(LEAST_REALS, 2 * reals),
  };
  const bytes = counterBytes(room);
  const memories = Array.from({ length: config.workers }, () => new SharedArrayBuffer(bytes));
  const workers = memories.map((memory) => wrapCounters(memory, room));
  const [only] = workers;
  const isOne = only !== undefined && workers.length === 1;
  const counters = isOne ? only : wrapCounters(new ArrayBuffer(bytes), room);
  return { counters, workers, memories };
}

/** Adds up what the workers counted. What is no count is worker 0's; a real may be full in any. */
export function sumWorkers({ counters, workers }: SharedCounters): void {
  const [leader, ...others] = workers;
  if (leader === undefined || others.length === 0) return;
  const { values, room } = counters;
  values.set(leader.values);
  for (const other of others) {
    for (let index = 0; index < values.length; index++) {
      values[index] = (values[index] as number) + (other.values[index] as number);
    }
  }
  values[GLOBAL.generation] = leader.values[GLOBAL.generation] as number;
  for (let id = 0; id < room.reals; id++) {
    const row = realAt(room, id);
    for (const field of NEIGHBOUR_FIELDS) {
      values[row + field] = leader.values[row + field] as number;
    }
    for (const other of others) {
      const full = (other.values[row + CLOSED_BITS] as number) & FULL;
      values[row + CLOSED_BITS] = (values[row + CLOSED_BITS] as number) | full;
    }
  }
}

/** Puts all gauges to zero, because the data plane that they described is gone. */
export function clearGauges({ room, values }: Counters): void {
  values[GLOBAL.activeFlows] = 0;
  values[GLOBAL.heldFrames] = 0;
  values[GLOBAL.templates] = 0;
  values[GLOBAL.halfOpenFlows] = 0;
  values[GLOBAL.countedClients] = 0;
  values[GLOBAL.retiredFlows] = 0;
  values[GLOBAL.cachedFlows] = 0;
  values[GLOBAL.generation] = 0;
  for (let id = 0; id < room.services; id++) values[serviceAt(room, id) + ACTIVE_FLOWS] = 0;
  for (let id = 0; id < room.reals; id++) {
    for (const field of [ACTIVE_FLOWS, ...NEIGHBOUR_FIELDS]) {
      values[realAt(room, id) + field] = 0;
    }
  }
}

/**
 * Takes in the counters that a child process posts, which start at zero with each child.
 * @param base the counters when the child was started, gauges cleared
 */
export function takeCounters(counters: Counters, base: Float64Array, posted: Float64Array): void {
  const { values } = counters;
  for (let index = 0; index < values.length; index++) {
    values[index] = (base[index] ?? 0) + (posted[index] ?? 0);
  }
}

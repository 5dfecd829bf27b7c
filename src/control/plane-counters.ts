// The counters over the life of a director, which may be longer than that of one data plane. Sums
// go on; gauges (active flows, neighbours) start anew with each data plane, whose flows they
// describe.
import type { Config } from '../config/config.ts';
import {
  ACTIVE_FLOWS,
  type CounterRoom,
  type Counters,
  counterBytes,
  GLOBAL,
  NEIGHBOUR_MAC_HIGH,
  NEIGHBOUR_MAC_LOW,
  NEIGHBOUR_STATE,
  realAt,
  serviceAt,
  wrapCounters,
} from '../director/counters.ts';

/** Room to reload configurations that are larger than the first one: 128 bytes a row. */
const LEAST_SERVICES = 256;
const LEAST_REALS = 2048;

export interface SharedCounters {
  readonly counters: Counters;
  readonly memory: SharedArrayBuffer;
}

/** Zeroed counters with room for twice the services and reals of the configuration at least. */
export function makeCounters(config: Config): SharedCounters {
  const reals = config.services.reduce((sum, service) => sum + service.reals.length, 0);
  const room: CounterRoom = {
    arms: config.interfaces.length,
    services: Math.max(LEAST_SERVICES, 2 * config.services.length),
    reals: Math.max(LEAST_REALS, 2 * reals),
  };
  const memory = new SharedArrayBuffer(counterBytes(room));
  return { counters: wrapCounters(memory, room), memory };
}

/** Puts all gauges to zero, because the data plane that they described is gone. */
export function clearGauges({ room, values }: Counters): void {
  values[GLOBAL.activeFlows] = 0;
  values[GLOBAL.heldFrames] = 0;
  for (let id = 0; id < room.services; id++) values[serviceAt(room, id) + ACTIVE_FLOWS] = 0;
  for (let id = 0; id < room.reals; id++) {
    for (const field of [ACTIVE_FLOWS, NEIGHBOUR_STATE, NEIGHBOUR_MAC_HIGH, NEIGHBOUR_MAC_LOW]) {
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

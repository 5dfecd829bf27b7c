// Brings the counters up to date that the packets do not count themselves: what the flow table and
// the neighbours know, and the services' rows, which are the sums of their reals'. All sums are
// moved on by differences: they never sink, neither when a real leaves its service nor when a new
// data plane goes on with the counters of an old one.
import { UDP_OVER } from '../flow/flow-table.ts';
import { DROP } from '../wire/drop-reason.ts';
import { judgeFull } from './availability.ts';
import * as counts from './counters.ts';
import type { Director } from './director.ts';
import type { Table } from './table.ts';

const FIELDS = counts.ACTIVE_FLOWS + 1;
const FRAGMENT_TIMEOUT = DROP['fragment-timeout'];
const FRAGMENT_TABLE_FULL = DROP['fragment-table-full'];

/** What was published last, so that only what has come since is added. */
export interface Totals {
  endedFlows: number;
  evictedFlows: number;
  /** The traffic fields of each real's row. */
  readonly reals: Float64Array;
  /** Service of each real id that ever was, or -1; a real keeps its service for good. */
  readonly serviceOfReal: Int32Array;
}

export function createTotals({ room, values }: counts.Counters): Totals {
  const reals = new Float64Array(room.reals * FIELDS);
  for (let id = 0; id < room.reals; id++) {
    const row = counts.realAt(room, id);
    for (let field = 0; field < FIELDS; field++) {
      reals[id * FIELDS + field] = values[row + field] as number;
    }
  }
  return {
    endedFlows: 0,
    evictedFlows: 0,
    reals,
    serviceOfReal: new Int32Array(room.reals).fill(-1),
  };
}

/** Learns from a new table to which service each real belongs. */
export function mapReals({ serviceOfReal }: Totals, table: Table): void {
  for (const [service, schedule] of table.schedules.entries()) {
    if (schedule === undefined) continue;
    const first = table.serviceFirstReal[service] as number;
    const count = table.serviceRealCount[service] as number;
    for (const id of table.serviceReals.subarray(first, first + count)) serviceOfReal[id] = service;
    const sorry = table.life.services[service]?.sorry ?? -1;
    if (sorry >= 0) serviceOfReal[sorry] = service;
  }
}

/** Brings sums and gauges up to date. */
export function publish(director: Director): void {
  const { flows, totals, counters } = director;
  const { values } = counters;
  values[counts.GLOBAL.activeFlows] = flows.active;
  values[counts.GLOBAL.templates] = flows.templates?.active ?? 0;
  values[counts.GLOBAL.countedClients] = flows.clients?.active ?? 0;
  values[counts.GLOBAL.halfOpenFlows] = flows.halfOpen;
  const ended = flows.ended - totals.endedFlows;
  const evicted = flows.evicted - totals.evictedFlows;
  totals.endedFlows = flows.ended;
  totals.evictedFlows = flows.evicted;
  values[counts.GLOBAL.endedFlows] = (values[counts.GLOBAL.endedFlows] as number) + ended;
  values[counts.GLOBAL.evictedFlows] = (values[counts.GLOBAL.evictedFlows] as number) + evicted;
  publishFragments(director);
  publishNeighbours(director);
  for (let id = 0; id < totals.serviceOfReal.length; id++) publishReal(director, id);
}

/** Counts the held fragments that were lost meanwhile as the drops that they are. */
export function publishFragments({ fragments, counters }: Director): void {
  const { values } = counters;
  values[counts.GLOBAL.heldFrames] = fragments.holding;
  if (fragments.late !== 0) addDrops(values, FRAGMENT_TIMEOUT, fragments.late);
  if (fragments.displaced !== 0) addDrops(values, FRAGMENT_TABLE_FULL, fragments.displaced);
  fragments.late = 0;
  fragments.displaced = 0;
}

function addDrops(values: Float64Array, reason: number, times: number): void {
  const at = counts.dropAt(reason);
  values[at] = (values[at] as number) + times;
  values[counts.GLOBAL.droppedFrames] = (values[counts.GLOBAL.droppedFrames] as number) + times;
}

function publishNeighbours(director: Director): void {
  const { table, neighbours, counters } = director;
  const { values, room } = counters;
  for (let id = 0; id < table.realNeighbour.length; id++) {
    const neighbour = table.realNeighbour[id] as number;
    if (neighbour < 0) continue;
    const row = counts.realAt(room, id);
    // The state comes last: another worker that finds it finds the address as well.
    const high = (neighbours.macHigh[neighbour] as number) >>> 0;
    values[row + counts.NEIGHBOUR_MAC] = high * 0x10000 + (neighbours.macLow[neighbour] as number);
    values[row + counts.NEIGHBOUR_STATE] = neighbours.state[neighbour] as number;
    publishState(director, id, row);
  }
  values[counts.GLOBAL.generation] = table.generation;
}

/** Whether a real takes new flows, and what is left of its slow start and of its drain. */
function publishState(director: Director, id: number, row: number): void {
  const { states, table, totals, flows, counters, nowMs } = director;
  const { values } = counters;
  const terms = table.life.reals[id];
  const life = table.life.services[totals.serviceOfReal[id] as number];
  if (terms !== undefined) {
    judgeFull(director, id);
    // It may be full no more, and takes the datagrams back.
    const isBack = life !== undefined && life.sorry >= 0 && states.closed[id] === 0;
    if (isBack && id !== life.sorry) flows.goneReals[life.sorry] = UDP_OVER;
  }
  const slowStartMs = life?.slowStartMs ?? 0;
  const isStarting = states.starting[id] !== 0 && slowStartMs > 0;
  const startedMs = (nowMs - (states.startedMs[id] as number)) | 0;
  const drainedMs = (nowMs - (states.drainedMs[id] as number)) | 0;
  values[row + counts.CLOSED_BITS] = states.closed[id] as number;
  values[row + counts.START_LEFT_MS] = isStarting ? Math.max(0, slowStartMs - startedMs) : 0;
  values[row + counts.DRAIN_LEFT_MS] = terms?.stopsNew
    ? Math.max(0, terms.oldAfterMs - drainedMs)
    : 0;
}

/** Adds what has come to a real's row since the last time to its service's row. */
function publishReal({ flows, totals, counters }: Director, id: number): void {
  const service = totals.serviceOfReal[id] as number;
  if (service < 0) return;
  const { values, room } = counters;
  const real = counts.realAt(room, id);
  const row = counts.serviceAt(room, service);
  values[real + counts.ACTIVE_FLOWS] = flows.flowsByReal[id] as number;
  for (let field = counts.REQUEST_PACKETS; field <= counts.ACTIVE_FLOWS; field++) {
    const now = values[real + field] as number;
    const at = id * FIELDS + field;
    const more = now - (totals.reals[at] as number);
    totals.reals[at] = now;
    values[row + field] = (values[row + field] as number) + more;
  }
}

// Where every count of the data plane lies: one Float64Array (whole numbers up to 2^53), usually on
// shared memory, written by the data plane alone and read by control at any time. Rows are indexed
// by the stable ids of services and reals, so that a table swap moves nothing.
import { DROP_REASONS } from '../wire/drop-reason.ts';

/** Fields of a service's row and of a real's row. */
export const TRAFFIC_FIELDS = [
  'requestPackets',
  'requestBytes',
  'replyPackets',
  'replyBytes',
  'openedFlows',
  'activeFlows',
] as const;
export type TrafficField = (typeof TRAFFIC_FIELDS)[number];
export type Traffic = Record<TrafficField, number>;

export const REQUEST_PACKETS = 0;
export const REQUEST_BYTES = 1;
export const REPLY_PACKETS = 2;
export const REPLY_BYTES = 3;
export const OPENED_FLOWS = 4;
export const ACTIVE_FLOWS = 5;
/** Only in a real's row: its neighbour's state, and its MAC address as one number of 48 bits. */
export const NEIGHBOUR_STATE = 6;
export const NEIGHBOUR_MAC = 7;
/** Likewise: bits that keep it closed (availability.ts), and what is left of its slow start. */
export const CLOSED_BITS = 8;
export const START_LEFT_MS = 9;
/** Milliseconds until the old flows of a drained real are cut or reset. */
export const DRAIN_LEFT_MS = 10;

/** Columns of one row; rows are padded to a multiple of cache lines by this stride. */
export const ROW_STRIDE = 16;

export const NEIGHBOUR_RESOLVING = 0;
export const NEIGHBOUR_RESOLVED = 1;
export const NEIGHBOUR_UNREACHABLE = 2;

/**
 * Fields that are about the director as a whole. Errors are those of ICMP: of others and sent on,
 * of the director itself, and not made because too many were. `heldFrames`, `templates`,
 * `activeFlows`, `halfOpenFlows` and `retiredFlows` (by what left the source pool) is how many
 * there are now, and `cachedFlows` how many the kernel repeats, which sent `cachedFrames` (they are
 * in `sentFrames` too); templates are refused where their table has no room; so are clients whose
 * flows a service limits, which then are not counted. `generation` is that of the table in use.
 */
export const GLOBAL_FIELDS = [
  'passedFrames',
  'sentFrames',
  'answeredFrames',
  'droppedFrames',
  'openedFlows',
  'endedFlows',
  'evictedFlows',
  'activeFlows',
  'arpAnswers',
  'echoAnswers',
  'neighbourProbes',
  'vipConflicts',
  'relayedErrors',
  'ownErrors',
  'withheldErrors',
  'cutFrames',
  'segmentedFrames',
  'heldFrames',
  'ndpAnswers',
  'templates',
  'refusedTemplates',
  'resetFlows',
  'halfOpenFlows',
  'statelessPackets',
  'countedClients',
  'uncountedFlows',
  'retiredFlows',
  'cachedFlows',
  'cachedFrames',
  'generation',
] as const;
export type GlobalField = (typeof GLOBAL_FIELDS)[number];
export const GLOBAL = Object.fromEntries(
  GLOBAL_FIELDS.map((name, index) => [name, index]),
) as Readonly<Record<GlobalField, number>>;

/** Fields of an arm's row; as ArmCounters of the datapath. */
export const ARM_FIELDS = [
  'receivedFrames',
  'receivedBytes',
  'sentFrames',
  'sentBytes',
  'missedFrames',
  'failedFrames',
] as const;

const GLOBAL_ROWS = Math.ceil(GLOBAL_FIELDS.length / ROW_STRIDE);
const DROP_ROWS = Math.ceil(DROP_REASONS.length / ROW_STRIDE);

/** How many rows of each kind there is room for; fixed when the director starts. */
export interface CounterRoom {
  readonly arms: number;
  readonly services: number;
  readonly reals: number;
}

export interface Counters {
  readonly room: CounterRoom;
  readonly values: Float64Array;
}

const rowsOf = (room: CounterRoom) =>
  GLOBAL_ROWS + DROP_ROWS + room.arms + room.services + room.reals;

/** Bytes that `wrapCounters` needs. */
export const counterBytes = (room: CounterRoom): number => rowsOf(room) * ROW_STRIDE * 8;

export function wrapCounters(buffer: ArrayBufferLike, room: CounterRoom): Counters {
  return { room, values: new Float64Array(buffer, 0, rowsOf(room) * ROW_STRIDE) };
}

/** Index of the count of a drop reason. */
export const dropAt = (reason: number): number => GLOBAL_ROWS * ROW_STRIDE + reason;
/** Index of the first field of an arm's, a service's, a real's row. */
export const armAt = (arm: number): number => (GLOBAL_ROWS + DROP_ROWS + arm) * ROW_STRIDE;
export const serviceAt = (room: CounterRoom, id: number): number =>
  (GLOBAL_ROWS + DROP_ROWS + room.arms + id) * ROW_STRIDE;
export const realAt = (room: CounterRoom, id: number): number =>
  (GLOBAL_ROWS + DROP_ROWS + room.arms + room.services + id) * ROW_STRIDE;

/** A copy of one row's first fields by name, for status and logs. */
export function readRow<F extends string>(
  counters: Counters,
  at: number,
  fields: readonly F[],
): Record<F, number> {
  const entries = fields.map((name, index) => [name, counters.values[at + index] ?? 0]);
  return Object.fromEntries(entries) as Record<F, number>;
}

/** The drops that happened, by name. */
export function readDrops(counters: Counters): Record<string, number> {
  const drops: Record<string, number> = {};
  for (const [number, [name]] of DROP_REASONS.entries()) {
    const count = counters.values[dropAt(number)] ?? 0;
    if (count > 0) drops[name] = count;
  }
  return drops;
}

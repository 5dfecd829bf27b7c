// How much each client has of a service that limits it: its flows, and how fast it has opened them.
// The latter is a bucket that is kept as a debt of time: each new flow adds its share of a second,
// time pays it off, and a client may owe no more than a burst. A client is one address, or all with
// a prefix in common.
// Sets of eight entries on typed arrays, as of templates: the maximum is stated, and where a set is
// full the entry without flows that owes least gives way; entries with flows never do.
import { hasKey, KEY_WORDS, setOf, WAYS } from './template-table.ts';

export interface ClientTable {
  readonly maximum: number;
  readonly seed: number;
  /** KEY_WORDS each, as of templates; the first is 0 in a free entry. */
  readonly keys: Int32Array;
  readonly flows: Int32Array;
  /** What each owed at `atMs`. */
  readonly debtsMs: Float64Array;
  readonly atMs: Int32Array;
  active: number;
  hand: number;
}

/** What a client may have; 0: as much as it wants. */
export interface ClientShare {
  readonly flows: number;
  /** What a new flow costs, and what a client may owe. */
  readonly intervalMs: number;
  readonly burstMs: number;
}

/** @param maximum most clients; rounded up to a power of two, 8 at least */
export function createClientTable(maximum: number, seed: number): ClientTable {
  const room = Math.max(WAYS, 1 << Math.ceil(Math.log2(maximum)));
  return {
    maximum: room,
    seed,
    keys: new Int32Array(room * KEY_WORDS),
    flows: new Int32Array(room),
    debtsMs: new Float64Array(room),
    atMs: new Int32Array(room),
    active: 0,
    hand: 0,
  };
}

function debtOf({ debtsMs, atMs }: ClientTable, number: number, nowMs: number): number {
  return Math.max(0, (debtsMs[number] as number) - ((nowMs - (atMs[number] as number)) | 0));
}

/** The client's entry, a new one if need be. @returns its number, or -1 if there is no room */
export function enterClient(table: ClientTable, key: Int32Array, nowMs: number): number {
  const { keys, flows, debtsMs, atMs } = table;
  const first = setOf(table, key);
  let chosen = -1;
  let leastMs = Infinity;
  for (let number = first; number < first + WAYS; number++) {
    if (hasKey(table, number, key)) return number;
    if ((flows[number] as number) > 0) continue;
    const owesMs = keys[number * KEY_WORDS] === 0 ? -1 : debtOf(table, number, nowMs);
    if (owesMs >= leastMs) continue;
    chosen = number;
    leastMs = owesMs;
  }
  if (chosen < 0) return -1;
  if (keys[chosen * KEY_WORDS] === 0) table.active++;
  keys.set(key, chosen * KEY_WORDS);
  debtsMs[chosen] = 0;
  atMs[chosen] = nowMs;
  return chosen;
}

/** True if the client may have no more flows, or none just now. */
export function isAtLimit(
  table: ClientTable,
  number: number,
  { flows, intervalMs, burstMs }: ClientShare,
  nowMs: number,
): boolean {
  if (flows > 0 && (table.flows[number] as number) >= flows) return true;
  // Sums of fractions may miss the burst by a hair.
  return intervalMs > 0 && debtOf(table, number, nowMs) + intervalMs > burstMs + 1e-6;
}

/** The client has opened a flow. */
export function holdClient(
  table: ClientTable,
  number: number,
  { intervalMs }: ClientShare,
  nowMs: number,
): void {
  table.flows[number] = (table.flows[number] as number) + 1;
  table.debtsMs[number] = debtOf(table, number, nowMs) + intervalMs;
  table.atMs[number] = nowMs;
}

/** One of its flows is over. */
export function releaseClient({ flows }: ClientTable, number: number): void {
  flows[number] = (flows[number] as number) - 1;
}

/** A flow is over: if its client was counted, that one has a flow less. */
export function letClientGo(table: ClientTable, clientOf: Int32Array, flow: number): void {
  const client = (clientOf[flow] as number) - 1;
  if (client < 0) return;
  releaseClient(table, client);
  clientOf[flow] = 0;
}

/** Looks at the next `budget` entries and clears those that have nothing and owe nothing. */
export function sweepClients(table: ClientTable, nowMs: number, budget: number): void {
  const { keys, flows, debtsMs, atMs } = table;
  for (let look = 0; look < budget; look++) {
    const number = table.hand;
    table.hand = (number + 1) & (table.maximum - 1);
    if (keys[number * KEY_WORDS] === 0) continue;
    // Brought up to date: a time that lies 24 days back would look like one that is to come.
    debtsMs[number] = debtOf(table, number, nowMs);
    atMs[number] = nowMs;
    if ((flows[number] as number) > 0 || (debtsMs[number] as number) > 0) continue;
    keys[number * KEY_WORDS] = 0;
    table.active--;
  }
}

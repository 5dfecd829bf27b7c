// Where a client's flows go: IPVS calls such an entry a template. It is for one service and one
// client, or all clients with a prefix in common, and says which real they stay with. It lives for
// its time from the latest new flow on, and beyond that for as long as flows of it live, as in IPVS
// (which looks again every 60 seconds where this knows at once).
// Sets of eight entries on typed arrays: the maximum is stated, and where a set is full the entry
// without flows that would end first gives way; entries with flows never do.

/** Words of a key: service id + 1, and the client's address as IPv6 has it, masked. */
export const KEY_WORDS = 5;
export const WAYS = 8;

export interface TemplateTable {
  readonly maximum: number;
  readonly seed: number;
  /** KEY_WORDS each; the first is 0 in a free entry. */
  readonly keys: Int32Array;
  readonly realIds: Int32Array;
  readonly expiresMs: Int32Array;
  /** Flows that live by each. */
  readonly flows: Int32Array;
  active: number;
  hand: number;
}

/** @param maximum most templates; rounded down to a power of two, 8 at least */
export function createTemplateTable(maximum: number, seed: number): TemplateTable {
  const room = Math.max(WAYS, 1 << Math.floor(Math.log2(maximum)));
  return {
    maximum: room,
    seed,
    keys: new Int32Array(room * KEY_WORDS),
    realIds: new Int32Array(room),
    expiresMs: new Int32Array(room),
    flows: new Int32Array(room),
    active: 0,
    hand: 0,
  };
}

type KeyTable = Pick<TemplateTable, 'seed' | 'maximum' | 'keys'>;

/** The number of the first entry in a key's set. */
export function setOf({ seed, maximum }: KeyTable, key: Int32Array): number {
  let hash = seed;
  for (let word = 0; word < KEY_WORDS; word++) {
    hash = Math.imul(hash ^ (key[word] as number), 0x85ebca6b);
    hash = (hash ^ (hash >>> 15)) + 0x27d4eb2f;
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & (maximum - 1) & ~(WAYS - 1);
}

export function hasKey({ keys }: KeyTable, number: number, key: Int32Array): boolean {
  const at = number * KEY_WORDS;
  for (let word = 0; word < KEY_WORDS; word++) if (keys[at + word] !== key[word]) return false;
  return true;
}

function isOver({ expiresMs, flows }: TemplateTable, number: number, nowMs: number): boolean {
  return flows[number] === 0 && (((expiresMs[number] as number) - nowMs) | 0) <= 0;
}

/** @returns the number of the key's template, or -1 */
export function findTemplate(table: TemplateTable, key: Int32Array, nowMs: number): number {
  const first = setOf(table, key);
  for (let number = first; number < first + WAYS; number++) {
    if (hasKey(table, number, key)) return isOver(table, number, nowMs) ? -1 : number;
  }
  return -1;
}

/**
 * Lets the key's template, a new one if need be, lead to a real from now on.
 * @returns its number, or -1 if there is no room
 */
export function putTemplate(
  table: TemplateTable,
  key: Int32Array,
  realId: number,
  timeoutMs: number,
  nowMs: number,
): number {
  const number = entryFor(table, key, nowMs);
  if (number < 0) return -1;
  if (table.keys[number * KEY_WORDS] === 0) table.active++;
  table.keys.set(key, number * KEY_WORDS);
  table.realIds[number] = realId;
  table.expiresMs[number] = (nowMs + timeoutMs) | 0;
  return number;
}

/** The key's own entry; else a free one, or of those without flows the one that ends first. */
function entryFor(table: TemplateTable, key: Int32Array, nowMs: number): number {
  const first = setOf(table, key);
  let chosen = -1;
  let leastMs = Infinity;
  for (let number = first; number < first + WAYS; number++) {
    if (hasKey(table, number, key)) return number;
    if ((table.flows[number] as number) > 0) continue;
    const isFree = table.keys[number * KEY_WORDS] === 0;
    const leftMs = isFree ? -Infinity : ((table.expiresMs[number] as number) - nowMs) | 0;
    if (leftMs >= leastMs) continue;
    chosen = number;
    leastMs = leftMs;
  }
  return chosen;
}

/** A flow lives by this template. */
export function holdTemplate({ flows }: TemplateTable, number: number): void {
  flows[number] = (flows[number] as number) + 1;
}

/** One of its flows is over. */
export function releaseTemplate({ flows }: TemplateTable, number: number): void {
  flows[number] = (flows[number] as number) - 1;
}

/** Looks at the next `budget` entries and clears those that are over. */
export function sweepTemplates(table: TemplateTable, nowMs: number, budget: number): void {
  for (let look = 0; look < budget; look++) {
    const number = table.hand;
    table.hand = (number + 1) & (table.maximum - 1);
    if (table.keys[number * KEY_WORDS] === 0 || !isOver(table, number, nowMs)) continue;
    table.keys[number * KEY_WORDS] = 0;
    table.active--;
  }
}

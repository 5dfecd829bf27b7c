// Flows whose addresses a table names: whatever flows there are, they are found by the new handles
// afterwards, and nothing else of them is another: not the queue of those that are half open, not
// their templates and clients, not flows of IPv4 whose addresses are the same numbers.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fixAddresses,
  holdAddress,
  releaseAddress,
  wordsAt,
  wordsOf,
} from '../../src/flow/address-book.ts';
import { createClientTable, enterClient, holdClient } from '../../src/flow/client-table.ts';
import {
  addFlow,
  createFlowTable,
  type FlowTable,
  FULLNAT_BIT,
  NAT_BIT,
  type NewFlow,
  REPLY_TAKEN,
  removeFlow,
  sweepFlows,
} from '../../src/flow/flow-table.ts';
import { renameAddresses } from '../../src/flow/rename-addresses.ts';
import { ESTABLISHED, SYN_RECV, UDP } from '../../src/flow/tcp-states.ts';
import { createTemplateTable, holdTemplate, putTemplate } from '../../src/flow/template-table.ts';
import { find, replyKey, requestKey } from './flow-model.ts';

const MAXIMUM = 24;
const LIMITS = { flows: 0, intervalMs: 0, burstMs: 0 };
/** Handles 0 and 1 in every table: a real, and an address of a pool. */
const [REAL, POOL] = [0, 1];
const FIXED = [1, 2];
/** What flows have as their ends: as its last word, of four. */
const ENDS = [3, 4, 5, 6, 7];
const wordsFor = (ends: readonly number[]) =>
  Int32Array.from(ends.flatMap((end) => [0x20010db8, 0, 0, end]));

interface Drawn {
  readonly client: number;
  readonly vip: number;
  readonly clientPort: number;
  readonly bits: number;
  readonly state: number;
  readonly isIpv6: boolean;
}

const anyFlow: fc.Arbitrary<Drawn> = fc.record({
  client: fc.constantFrom(...ENDS),
  vip: fc.constantFrom(...ENDS),
  clientPort: fc.nat(2),
  bits: fc.constantFrom(0, NAT_BIT, NAT_BIT | FULLNAT_BIT),
  state: fc.constantFrom(ESTABLISHED, SYN_RECV, UDP),
  isIpv6: fc.boolean(),
});

/** Adds a flow as the director does it: both ends are held until it holds them by itself. */
function open(table: FlowTable, drawn: Drawn): readonly [number, NewFlow] | undefined {
  const { book } = table;
  const [client = 0, vip = 0] = [drawn.client, drawn.vip].map((end) => hold(table, end));
  const flow: NewFlow = {
    ...{ client, vip, real: REAL, local: drawn.bits & FULLNAT_BIT ? POOL : client },
    ...{ ports: (drawn.clientPort << 16) | 80, replyPorts: (8080 << 16) | drawn.clientPort },
    ...{ protocol: drawn.isIpv6 ? 6 | 0x40 : 6, bits: drawn.bits, realId: 1, serviceId: 2 },
    ...{ hopHigh: 3, hopLow: 4, deltas: 5 },
  };
  const isKnown = find(table, requestKey(flow)) >= 0;
  const number = isKnown ? REPLY_TAKEN : addFlow(table, flow, drawn.state, 0);
  for (const handle of [client, vip]) releaseAddress(book, handle);
  return number < 0 ? undefined : [number, flow];
}

function hold({ book }: FlowTable, end: number): number {
  const frame = new DataView(new ArrayBuffer(16));
  frame.setInt32(0, 0x20010db8);
  frame.setInt32(12, end);
  return holdAddress(book, frame, 0);
}

function countFlow(table: FlowTable, number: number): void {
  const key = Int32Array.of(1, 0, 0, 0, number & 1);
  const template = putTemplate(table.templates!, key, 1, 1000, 0);
  holdTemplate(table.templates!, template);
  table.templateOf[number] = template + 1;
  const client = enterClient(table.clients!, key, 0);
  holdClient(table.clients!, client, LIMITS, 0);
  table.clientOf[number] = client + 1;
}

function makeTable(seed: number): FlowTable {
  const table = createFlowTable(MAXIMUM, 2, seed, 6);
  table.templates = createTemplateTable(8, seed);
  table.clients = createClientTable(8, seed);
  table.templateOf = new Int32Array(MAXIMUM);
  table.clientOf = new Int32Array(MAXIMUM);
  fixAddresses(table.book, wordsFor(FIXED));
  return table;
}

const heldIn = ({ book }: FlowTable) => book.holds.reduce((sum, holds) => sum + holds, 0);

/** What no new name changes. */
const restOf = ({ active, halfOpen, oldest, queued, joined, freeRecord, ...table }: FlowTable) => ({
  ...{ active, halfOpen, oldest, queued, joined, freeRecord, queue: [...table.queue] },
  ...{ templateOf: [...table.templateOf], templates: [...table.templates!.flows] },
  ...{ clientOf: [...table.clientOf], clients: [...table.clients!.flows] },
  keys: table.slots.filter((word) => word !== 0).length,
});

function play(all: readonly Drawn[], named: readonly number[], seed: number): void {
  const table = makeTable(seed);
  const flows = new Map<number, NewFlow>();
  for (const drawn of all) {
    const added = open(table, drawn);
    if (added === undefined) continue;
    flows.set(...added);
    countFlow(table, added[0]);
    // Every third leaves a free record.
    if (flows.size % 3 === 0) removeFlow(table, added[0]);
    if (flows.size % 3 === 0) flows.delete(added[0]);
  }
  // One that a packet in pieces holds too.
  const other = hold(table, ENDS[0]!);
  for (const number of flows.keys()) if (!isThere(table, flows, number)) flows.delete(number);
  const before = restOf(table);
  const addresses = wordsFor([...FIXED, ...named]);
  const renamed = fixAddresses(table.book, addresses);
  renameAddresses(table, renamed);
  expect(restOf(table)).toEqual(before);
  check(table, flows, renamed, other);
  releaseAddress(table.book, other);
  expect(renamed.size === 0 || named.length > 0).toBe(true);
  sweepFlows(table, 0x7fff_ffff, MAXIMUM);
  expect([table.active, heldIn(table), table.halfOpen]).toEqual([0, 0, 0]);
  expect(table.slots.every((word) => word === 0)).toBe(true);
  const counts = [...table.templates!.flows, ...table.clients!.flows];
  expect(counts.every((count) => count === 0)).toBe(true);
}

/** A flow that was opened half open may have made room for another. */
const isThere = (table: FlowTable, flows: ReadonlyMap<number, NewFlow>, number: number) =>
  find(table, requestKey(flows.get(number)!)) === number << 1;

function check(
  table: FlowTable,
  flows: ReadonlyMap<number, NewFlow>,
  renamed: ReadonlyMap<number, number>,
  other: number,
): void {
  const holds = new Map<number, number>([[other, 1]]);
  for (const [number, flow] of flows) {
    const ofIpv6 = (flow.protocol & 0x40) !== 0;
    const now = (handle: number) => (ofIpv6 ? (renamed.get(handle) ?? handle) : handle);
    const [client, vip, local] = [now(flow.client), now(flow.vip), now(flow.local)];
    const renewed = { ...flow, client, vip, local };
    expect(find(table, requestKey(renewed))).toBe(number << 1);
    if (flow.bits & NAT_BIT) expect(find(table, replyKey(renewed))).toBe((number << 1) | 1);
    if (!ofIpv6) continue;
    for (const handle of [client, vip]) holds.set(handle, (holds.get(handle) ?? 0) + 1);
  }
  const { book } = table;
  const held = [...holds].filter(([handle]) => handle < 0);
  for (const [handle, count] of held) expect(book.holds[~handle]).toBe(count);
  expect(heldIn(table)).toBe(held.reduce((sum, [, count]) => sum + count, 0));
  // What is held by its old number still stands for the same address.
  expect(wordsOf(book, other)[wordsAt(other) + 3]).toBe(ENDS[0]);
}

describe('flows whose addresses are named', () => {
  test('are found by their new handles, and are the same in all else', () => {
    const flows = fc.array(anyFlow, { maxLength: 50, size: 'max' });
    const seed = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
    fc.assert(fc.property(flows, fc.subarray(ENDS), seed, play), { numRuns: 600 });
  });

  test('are not looked at if there is no new name', () => {
    const table = makeTable(1);
    open(table, { ...ANY, isIpv6: true });
    const untouchable = new Proxy(table, {
      get: () => {
        throw new Error('a flow was looked at');
      },
    });
    expect(() => renameAddresses(untouchable, new Map())).not.toThrow();
    expect(fixAddresses(table.book, wordsFor(FIXED)).size).toBe(0);
  });
});

const ANY: Drawn = {
  ...{ client: 3, vip: 4, clientPort: 1, bits: NAT_BIT, state: ESTABLISHED, isIpv6: true },
};

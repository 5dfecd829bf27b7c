// The flow table once more, slow and obvious: a Map of flows by record number, searched from end to
// end, on a clock that does not wrap. `lockstep` does everything on both and compares.
import { expect } from 'vitest';
import {
  addFlow,
  changeState,
  createFlowTable,
  EXPIRES_MS,
  type FlowTable,
  findFlow,
  isOver,
  NAT_BIT,
  type NewFlow,
  RECORD_WORDS,
  REPLY_TAKEN,
  removeFlow,
  sweepFlows,
  TABLE_FULL,
} from '../../src/flow/flow-table.ts';
import { ESTABLISHED, TIMEOUT_MS, UDP } from '../../src/flow/tcp-states.ts';

export const REAL_IDS = 4;
/** ESTABLISHED, SYN_SENT, SYN_RECV, SYNACK, UDP, UDP_NEW. */
const ACTIVE = new Set([1, 2, 3, 10, 11, 12]);
/** SYN_SENT, SYN_RECV, SYNACK, UDP_NEW. */
const HALF_OPEN = new Set([2, 3, 10, 12]);

interface ModelFlow {
  readonly flow: NewFlow;
  state: number;
  /** On the clock that does not wrap. */
  expiresMs: number;
}

/** A packet's addresses, ports and protocol. */
export interface Key {
  readonly source: number;
  readonly destination: number;
  readonly ports: number;
  readonly protocol: number;
}

export const requestKey = ({ client, vip, ports, protocol }: NewFlow): Key => ({
  ...{ source: client, destination: vip, ports, protocol },
});

export const replyKey = ({ real, local, replyPorts, protocol }: NewFlow): Key => ({
  ...{ source: real, destination: local, ports: replyPorts, protocol },
});

const isNat = ({ bits }: NewFlow): boolean => (bits & NAT_BIT) !== 0;

const isSame = (a: Key, b: Key) =>
  a.source === b.source &&
  a.destination === b.destination &&
  a.ports === b.ports &&
  a.protocol === b.protocol;

export const find = (table: FlowTable, { source, destination, ports, protocol }: Key): number =>
  findFlow(table, source, destination, ports, protocol);

export interface Lockstep {
  readonly table: FlowTable;
  readonly flows: ReadonlyMap<number, ModelFlow>;
  /** As the director does it: a flow that is met and is over makes room first. */
  open(flow: NewFlow, state: number): number;
  remove(number: number): void;
  setState(number: number, state: number): void;
  setGone(realId: number, gone: boolean): void;
  pass(ms: number): void;
  sweep(budget: number): void;
  look(key: Key): void;
  /** Everything that must hold whatever was done. */
  check(): void;
}

export interface LockstepOptions {
  readonly maximum: number;
  readonly seed: number;
  readonly startMs: number;
  readonly halfOpenMaximum?: number;
}

export function lockstep(options: LockstepOptions): Lockstep {
  const { maximum, halfOpenMaximum = maximum } = options;
  const table = createFlowTable(maximum, REAL_IDS, options.seed, halfOpenMaximum);
  const flows = new Map<number, ModelFlow>();
  const gone = new Set<number>();
  let nowMs = options.startMs;
  const wrapped = () => nowMs | 0;
  const over = ({ flow, expiresMs }: ModelFlow) => expiresMs <= nowMs || gone.has(flow.realId);
  const mayGiveUp = (entry: ModelFlow) =>
    over(entry) || (entry.state !== ESTABLISHED && entry.state !== UDP);

  /** Record and direction of a key, as findFlow gives them. */
  function slowFind(key: Key): number {
    for (const [number, { flow }] of flows) {
      if (isSame(requestKey(flow), key)) return number << 1;
      if (isNat(flow) && isSame(replyKey(flow), key)) return (number << 1) | 1;
    }
    return -1;
  }

  function dropOver(key: Key): boolean {
    const found = slowFind(key);
    const entry = flows.get(found >>> 1);
    if (found < 0 || entry === undefined) return true;
    if (!over(entry)) return false;
    flows.delete(found >>> 1);
    return true;
  }

  function open(flow: NewFlow, state: number): number {
    const met = find(table, requestKey(flow));
    if (met >= 0 && !isOver(table, met >>> 1, wrapped())) return met >>> 1;
    if (met >= 0) removeFlow(table, met >>> 1);
    expect(dropOver(requestKey(flow))).toBe(true);
    const number = addFlow(table, flow, state, wrapped());
    if (isNat(flow) && !dropOver(replyKey(flow))) {
      expect(number).toBe(REPLY_TAKEN);
      return number;
    }
    if (HALF_OPEN.has(state)) takeDisplaced();
    if (flows.size === options.maximum) takeEvicted(number);
    if (number >= 0) {
      expect(flows.has(number)).toBe(false);
      flows.set(number, { flow, state, expiresMs: nowMs + TIMEOUT_MS[state]! });
    }
    return number;
  }

  /** A half-open flow may have taken the place of one like it, and of one only. */
  function takeDisplaced(): void {
    const isGone = ({ flow }: ModelFlow) => find(table, requestKey(flow)) < 0;
    const displaced = [...flows].filter(([, entry]) => HALF_OPEN.has(entry.state) && isGone(entry));
    if (flows.size < maximum) expect(displaced.length).toBeLessThanOrEqual(1);
    for (const [number] of displaced.slice(0, 1)) flows.delete(number);
  }

  /** Which flow is given up is the table's choice, but it must be one of those that may be. */
  function takeEvicted(number: number): void {
    const choice = [...flows].filter(([, entry]) => mayGiveUp(entry)).map(([record]) => record);
    if (choice.length === 0) {
      expect(number).toBe(TABLE_FULL);
    } else {
      expect(choice).toContain(number);
      flows.delete(number);
    }
  }

  function sweep(budget: number): void {
    sweepFlows(table, wrapped(), budget);
    for (const [number, entry] of flows) {
      const isThere = find(table, requestKey(entry.flow)) === number << 1;
      if (!isThere) expect(over(entry)).toBe(true);
      if (!isThere) flows.delete(number);
      else if (budget >= options.maximum) expect(over(entry)).toBe(false);
    }
  }

  return {
    ...{ table, flows, open, sweep },
    remove(number) {
      removeFlow(table, number);
      flows.delete(number);
    },
    setState(number, state) {
      const entry = flows.get(number)!;
      entry.state = state;
      entry.expiresMs = nowMs + TIMEOUT_MS[state]!;
      const at = number * RECORD_WORDS;
      changeState(table, number, state);
      table.records[at + EXPIRES_MS] = (wrapped() + TIMEOUT_MS[state]!) | 0;
    },
    setGone(realId, isGone) {
      table.goneReals[realId] = isGone ? 1 : 0;
      if (isGone) gone.add(realId);
      else gone.delete(realId);
    },
    pass(ms) {
      nowMs += ms;
    },
    look: (key) => expect(find(table, key)).toBe(slowFind(key)),
    check() {
      expect(table.active).toBe(flows.size);
      const byReal = new Array(REAL_IDS).fill(0);
      const active = new Array(REAL_IDS).fill(0);
      let keys = 0;
      let halfOpen = 0;
      for (const [number, entry] of flows) {
        expect(find(table, requestKey(entry.flow))).toBe(number << 1);
        if (isNat(entry.flow)) expect(find(table, replyKey(entry.flow))).toBe((number << 1) | 1);
        expect(isOver(table, number, wrapped())).toBe(over(entry));
        keys += isNat(entry.flow) ? 2 : 1;
        byReal[entry.flow.realId]++;
        if (HALF_OPEN.has(entry.state)) halfOpen++;
        if (ACTIVE.has(entry.state)) active[entry.flow.realId]++;
      }
      expect(table.halfOpen).toBe(halfOpen);
      expect([...table.flowsByReal]).toEqual(byReal);
      expect([...table.activeByReal]).toEqual(active);
      expect(table.slots.filter((word) => word !== 0)).toHaveLength(keys);
    },
  };
}

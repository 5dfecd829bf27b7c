// The flow table against its model: any course of events on small tables that are nearly full, on
// keys that all want the same slot, and over the moment in which the clock wraps.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addFlow,
  createFlowTable,
  DELTAS,
  FULLNAT_BIT,
  findAt,
  HOP_HIGH,
  HOP_LOW,
  IDS,
  isOver,
  LOCAL,
  MAXIMUM_FLOWS,
  META,
  NAT_BIT,
  type NewFlow,
  RECORD_WORDS,
  REPLY_TAKEN,
  removeFlow,
  sweepFlows,
  TABLE_FULL,
  TUNNEL_BIT,
} from '../../src/flow/flow-table.ts';
import {
  CLOSE,
  ESTABLISHED,
  SYN_RECV,
  TIME_WAIT,
  UDP,
  UDP_NEW,
} from '../../src/flow/tcp-states.ts';
import { find, type Lockstep, lockstep, REAL_IDS, replyKey, requestKey } from './flow-model.ts';

const MAXIMUM = 6;
const STATES = [ESTABLISHED, SYN_RECV, TIME_WAIT, CLOSE, UDP, UDP_NEW] as const;

/** Few enough that keys meet, in both directions; addresses with the sign bit among them. */
const anyFlow: fc.Arbitrary<NewFlow> = fc
  .record({
    client: fc.constantFrom(0x0a000001, 0xc0a80001 | 0, 0xc6336407 | 0),
    vip: fc.constantFrom(0xc0000250 | 0, 0xc0000251 | 0),
    clientPort: fc.constantFrom(80, 1024, 65_535),
    vipPort: fc.constantFrom(80, 443),
    realId: fc.nat(REAL_IDS - 1),
    protocol: fc.constantFrom(6, 17),
    bits: fc.constantFrom(0, NAT_BIT, NAT_BIT | FULLNAT_BIT, TUNNEL_BIT),
    pool: fc.constantFrom(0x0a000009, 0x0a00000a),
  })
  .map(({ clientPort, vipPort, realId, pool, ...rest }) => ({
    ...rest,
    local: rest.bits & FULLNAT_BIT ? pool : rest.client,
    realId,
    serviceId: 40_000 + realId,
    ports: (clientPort << 16) | vipPort,
    // Two ids for each address: one real behind two services.
    real: 0xc0a80a00 | 0 | (realId >> 1),
    replyPorts: (8080 << 16) | clientPort,
    hopHigh: -1,
    hopLow: 0xffff,
    deltas: -1,
  }));

type Step = (on: Lockstep) => unknown;
const nth = (on: Lockstep, choice: number) => [...on.flows.keys()][choice % (on.flows.size || 1)];

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(anyFlow, fc.constantFrom(...STATES)).map(openStep) },
  { weight: 2, arbitrary: anyFlow.map(lookStep) },
  { weight: 2, arbitrary: fc.nat(50).map(removeStep) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(50), fc.constantFrom(...STATES)).map(stateStep) },
  { weight: 2, arbitrary: fc.constantFrom(1, 9_999, 10_000, 120_000, 900_000).map(passStep) },
  { weight: 1, arbitrary: fc.constantFrom(1, 2, 100).map(sweepStep) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(REAL_IDS - 1), fc.boolean()).map(goneStep) },
);

function openStep([flow, state]: [NewFlow, number]): Step {
  return (on) => on.open(flow, state);
}

function lookStep(flow: NewFlow): Step {
  return (on) => {
    on.look(requestKey(flow));
    on.look(replyKey(flow));
  };
}

function removeStep(choice: number): Step {
  return (on) => {
    const number = nth(on, choice);
    if (number !== undefined) on.remove(number);
  };
}

function stateStep([choice, state]: [number, number]): Step {
  return (on) => {
    const number = nth(on, choice);
    if (number !== undefined) on.setState(number, state);
  };
}

function passStep(ms: number): Step {
  return (on) => on.pass(ms);
}

function sweepStep(budget: number): Step {
  return (on) => on.sweep(budget);
}

function goneStep([realId, gone]: [number, boolean]): Step {
  return (on) => on.setGone(realId, gone);
}

describe('any course of events', () => {
  const seed = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
  const startMs = fc.constantFrom(0, 0x7fff_ffff - 1_000_000, 0xffff_ffff - 1_000_000);
  const steps = fc.array(anyStep, { maxLength: 120, size: 'max' });

  test('leaves the table as the model has it', () => {
    fc.assert(
      fc.property(seed, startMs, fc.constantFrom(1, 3, MAXIMUM), fc.nat(2), steps, (...given) => {
        const [tableSeed, start, maximum, fewer, course] = given;
        const halfOpenMaximum = Math.max(1, maximum - fewer);
        const on = lockstep({ maximum, seed: tableSeed, startMs: start, halfOpenMaximum });
        for (const step of course) {
          step(on);
          on.check();
        }
      }),
      { numRuns: 300 },
    );
  });

  test('does not depend on the seed of the hash', () => {
    fc.assert(
      fc.property(seed, seed, steps, (one, other, course) => {
        const both = [one, other].map((each) =>
          lockstep({ maximum: MAXIMUM, seed: each, startMs: 0 }),
        );
        for (const step of course) {
          const [first, second] = both.map((on) => step(on));
          expect(first).toEqual(second);
        }
        const [first, second] = both.map(({ table }) => table);
        expect(first!.records).toEqual(second!.records);
      }),
      { numRuns: 100 },
    );
  });
});

test('what the index had before leads to no flow but the one that has the key', () => {
  fc.assert(
    fc.property(anyFlow, anyFlow, (before, after) => {
      const table = createFlowTable(1, REAL_IDS, 7);
      addFlow(table, before, ESTABLISHED, 0);
      const words = table.slots.filter((word) => word !== 0);
      removeFlow(table, 0);
      addFlow(table, after, ESTABLISHED, 0);
      for (const key of [before, after].flatMap((flow) => [requestKey(flow), replyKey(flow)])) {
        const { source, destination, ports, protocol } = key;
        for (const word of words) {
          const found = findAt(table.records, word, source, destination, ports, protocol);
          expect([-1, find(table, key)]).toContain(found);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

const flowFrom = (client: number, more: Partial<NewFlow> = {}): NewFlow => ({
  ...{ client, vip: 0xc0000250 | 0, ports: (1024 << 16) | 80, protocol: 6, bits: 0 },
  ...{ real: 0x0a00000b, replyPorts: (8080 << 16) | 1024, realId: 1, serviceId: 2 },
  ...{ local: client, hopHigh: 0, hopLow: 0, deltas: 0, ...more },
});

/** Clients whose flows all want one of the last two slots of a table of this size. */
function clientsThatCollide(maximum: number, seed: number, count: number): number[] {
  const clients: number[] = [];
  for (let client = 1; clients.length < count; client++) {
    const table = createFlowTable(maximum, REAL_IDS, seed);
    addFlow(table, flowFrom(client), ESTABLISHED, 0);
    const home = table.slots.findIndex((word) => word !== 0);
    if (home >= table.slots.length - 2) clients.push(client);
  }
  return clients;
}

describe('flows that all want the same slots, where the table begins again', () => {
  const seed = 5;
  const maximum = 12;
  const clients = clientsThatCollide(maximum, seed, maximum);

  test('are found, whichever of them leave, in any order', () => {
    const order = fc.shuffledSubarray(clients.map((_, index) => index));
    fc.assert(
      fc.property(order, order, (leave, comeBack) => {
        const on = lockstep({ maximum, seed, startMs: 0 });
        const records = clients.map((client) => on.open(flowFrom(client), ESTABLISHED));
        on.check();
        for (const index of leave) {
          on.remove(records[index]!);
          on.check();
        }
        for (const index of comeBack) {
          on.open(flowFrom(clients[index]!), ESTABLISHED);
          on.check();
        }
      }),
      { numRuns: 200 },
    );
  });

  test('leave an empty index when they are gone', () => {
    const on = lockstep({ maximum, seed, startMs: 0 });
    for (const client of clients) on.open(flowFrom(client, { bits: NAT_BIT }), ESTABLISHED);
    for (const number of [...on.flows.keys()]) on.remove(number);
    expect(on.table.slots.every((word) => word === 0)).toBe(true);
  });
});

describe('two keys that the hash cannot tell apart', () => {
  /** Where a flow's one key lies in an empty table, and the part of its hash in the index word. */
  function traceOf(flow: NewFlow): string {
    const table = createFlowTable(1, REAL_IDS, 5);
    addFlow(table, flow, ESTABLISHED, 0);
    const home = table.slots.findIndex((word) => word !== 0);
    return `${home} ${table.slots[home]! >>> 25}`;
  }

  /** The first pair of flows, made by counting, that leave the same trace. */
  function twins(make: (count: number) => [NewFlow, NewFlow]): [NewFlow, NewFlow] {
    for (let count = 1; count < 100_000; count++) {
      const [one, other] = make(count);
      if (traceOf(one) === traceOf(other)) return [one, other];
    }
    throw new Error('there are no two such flows');
  }

  test.each<[string, (count: number) => [NewFlow, NewFlow]]>([
    ['client', (n) => [flowFrom(1), flowFrom(1 + n)]],
    ['VIP', (n) => [flowFrom(1), flowFrom(1, { vip: n })]],
    ['ports', (n) => [flowFrom(1), flowFrom(1, { ports: n })]],
  ])('are told apart by the %s', (_, make) => {
    const [one, other] = twins(make);
    const on = lockstep({ maximum: 6, seed: 5, startMs: 0 });
    on.open(one, ESTABLISHED);
    on.look(requestKey(other));
    on.open(other, ESTABLISHED);
    on.check();
    on.remove(0);
    on.look(requestKey(one));
    on.check();
  });

  test.each<[string, (count: number) => [NewFlow, NewFlow]]>([
    ['real', (n) => [flowFrom(1, { real: 1 }), flowFrom(1, { real: 1 + n })]],
    ['client', (n) => [flowFrom(1), flowFrom(1 + n)]],
    ['ports', (n) => [flowFrom(1), flowFrom(1, { replyPorts: n })]],
  ])('are told apart by the %s of the reply', (_, make) => {
    // A flow whose request looks like the reply leaves the trace of the reply alone.
    const asRequest = (flow: NewFlow) =>
      flowFrom(flow.real, { vip: flow.client, ports: flow.replyPorts });
    const [one, other] = twins((count) => {
      const [first, second] = make(count);
      return [asRequest(first), asRequest(second)];
    });
    const back = ({ client, vip, ports }: NewFlow, n: number): NewFlow =>
      flowFrom(vip, { bits: NAT_BIT, real: client, replyPorts: ports, ports: n });
    const on = lockstep({ maximum: 6, seed: 5, startMs: 0 });
    on.open(back(one, 1), ESTABLISHED);
    on.look(requestKey(other));
    on.open(back(other, 2), ESTABLISHED);
    on.check();
  });
});

describe('a full table', () => {
  const filled = (states: readonly number[], maximum = states.length) => {
    const table = createFlowTable(maximum, REAL_IDS, 1);
    for (const [index, state] of states.entries()) {
      const protocol = state === UDP ? 17 : 6;
      expect(addFlow(table, flowFrom(index + 1, { protocol }), state, 0)).toBe(index);
    }
    return table;
  };
  const add = (table: ReturnType<typeof filled>, nowMs = 1) =>
    addFlow(table, flowFrom(0x7777), SYN_RECV, nowMs);

  test('gives up no established connection and no UDP flow', () => {
    const table = filled([ESTABLISHED, UDP, UDP, ESTABLISHED]);
    expect(add(table)).toBe(TABLE_FULL);
    expect(table.active).toBe(4);
    expect(table.evicted).toBe(0);
  });

  test.each([
    ['half open', SYN_RECV],
    ['over with both sides', TIME_WAIT],
    ['cut off', CLOSE],
  ])('gives up one that is %s, and counts it', (_, state) => {
    const table = filled([ESTABLISHED, UDP, state, ESTABLISHED]);
    expect(add(table)).toBe(2);
    expect([table.active, table.evicted, table.ended]).toEqual([4, 1, 1]);
    expect(find(table, requestKey(flowFrom(3)))).toBe(-1);
    expect(find(table, requestKey(flowFrom(0x7777)))).toBe(2 << 1);
  });

  test('takes the room of one whose time is over, which is not giving up', () => {
    const table = filled([ESTABLISHED, UDP]);
    expect(add(table, 299_999)).toBe(TABLE_FULL);
    expect(add(table, 300_000)).toBe(1);
    expect([table.active, table.evicted, table.ended]).toEqual([2, 0, 1]);
  });

  test('takes the room of one whose real is gone', () => {
    const table = filled([ESTABLISHED, UDP]);
    table.goneReals[1] = 1;
    expect(add(table)).toBe(0);
    expect(table.evicted).toBe(0);
  });

  test('looks at 256 flows for each new one, and goes on from there', () => {
    const states = new Array<number>(600).fill(ESTABLISHED);
    states[599] = CLOSE;
    const table = filled(states);
    expect([add(table), add(table), add(table)]).toEqual([TABLE_FULL, TABLE_FULL, 599]);
  });

  test('has room again for each flow that is taken out, in the record of that flow', () => {
    const table = filled([ESTABLISHED, ESTABLISHED, ESTABLISHED]);
    removeFlow(table, 0);
    removeFlow(table, 2);
    expect(addFlow(table, flowFrom(0x7777), UDP, 0)).toBe(2);
    expect(addFlow(table, flowFrom(0x7778), UDP, 0)).toBe(0);
    expect(addFlow(table, flowFrom(0x7779), UDP, 0)).toBe(TABLE_FULL);
  });
});

describe('time', () => {
  test.each([0, 0x7fff_ffff - 5000, -5000])('is over at the millisecond, from %i on', (nowMs) => {
    const table = createFlowTable(4, REAL_IDS, 1);
    const number = addFlow(table, flowFrom(1), CLOSE, nowMs);
    expect(isOver(table, number, (nowMs + 9_999) | 0)).toBe(false);
    expect(isOver(table, number, (nowMs + 10_000) | 0)).toBe(true);
    sweepFlows(table, (nowMs + 9_999) | 0, 10);
    expect(table.active).toBe(1);
    sweepFlows(table, (nowMs + 10_000) | 0, 10);
    expect(table.active).toBe(0);
  });

  test('is looked at by the sweep in turns, as many records as it may', () => {
    const table = createFlowTable(10, REAL_IDS, 1);
    for (let client = 1; client <= 10; client++) addFlow(table, flowFrom(client), CLOSE, 0);
    const actives = [3, 3, 3, 3].map((budget) => {
      sweepFlows(table, 20_000, budget);
      return table.active;
    });
    expect(actives).toEqual([7, 4, 1, 0]);
    sweepFlows(createFlowTable(4, REAL_IDS, 1), 0, 100);
  });
});

describe('a reply key', () => {
  const nat = (ports: number, realId = 1) => flowFrom(9, { bits: NAT_BIT, ports, realId });

  test('belongs to one flow at a time', () => {
    const table = createFlowTable(4, REAL_IDS, 1);
    expect(addFlow(table, nat(80), SYN_RECV, 0)).toBe(0);
    expect(addFlow(table, nat(443), SYN_RECV, 0)).toBe(REPLY_TAKEN);
    expect([table.active, table.evicted]).toEqual([1, 0]);
    removeFlow(table, 0);
    expect(addFlow(table, nat(443), SYN_RECV, 0)).toBe(0);
  });

  test('of a flow whose time is over is free', () => {
    const table = createFlowTable(4, REAL_IDS, 1);
    addFlow(table, nat(80), SYN_RECV, 0);
    expect(addFlow(table, nat(443), SYN_RECV, 59_999)).toBe(REPLY_TAKEN);
    expect(addFlow(table, nat(443), SYN_RECV, 60_000)).toBe(0);
    expect(find(table, requestKey(nat(80)))).toBe(-1);
  });

  test('of a flow whose real is gone is free', () => {
    const table = createFlowTable(4, REAL_IDS, 1);
    addFlow(table, nat(80), ESTABLISHED, 0);
    table.goneReals[1] = 1;
    expect(addFlow(table, nat(443, 2), SYN_RECV, 1)).toBe(0);
    expect([...table.flowsByReal]).toEqual([0, 0, 1, 0]);
  });

  test('is not taken by DSR, whose replies go another way', () => {
    const table = createFlowTable(4, REAL_IDS, 1);
    addFlow(table, flowFrom(9), SYN_RECV, 0);
    expect(find(table, replyKey(flowFrom(9)))).toBe(-1);
  });
});

test('a record holds all that it is given, the largest values as well', () => {
  const table = createFlowTable(2, 65_535, 1);
  const flow = flowFrom(-1, {
    ...{ vip: -2, ports: -3, real: -4, replyPorts: -5, protocol: 17, bits: NAT_BIT },
    ...{ realId: 65_534, serviceId: 65_534, hopHigh: -6, hopLow: -7, deltas: -8, local: -9 },
  });
  const at = addFlow(table, flow, UDP, 0) * RECORD_WORDS;
  const word = (field: number) => table.records[at + field]!;
  expect(word(IDS) & 0xffff).toBe(65_534);
  expect(word(IDS) >>> 16).toBe(65_534);
  expect([word(HOP_HIGH), word(HOP_LOW), word(DELTAS)]).toEqual([-6, -7, -8]);
  expect(word(LOCAL)).toBe(-9);
  expect(word(META)).toBe(UDP | (17 << 8) | NAT_BIT);
  expect([find(table, requestKey(flow)), find(table, replyKey(flow))]).toEqual([0, 1]);
});

describe('the size of a table', () => {
  test.each([0, -1, 1.5, MAXIMUM_FLOWS + 1, Number.NaN])('cannot be %d', (maximum) => {
    expect(() => createFlowTable(maximum, 1, 0)).toThrow(RangeError);
  });

  test.each([1, 6, 7, 1000, 262_144])('leaves a fifth of the index free: %i flows', (maximum) => {
    const { slots, slotMask } = createFlowTable(maximum, 1, 0);
    expect(slots.length).toBe(slotMask + 1);
    expect(slots.length & slotMask).toBe(0);
    expect(maximum * 2).toBeLessThanOrEqual(slots.length * 0.8);
  });
});

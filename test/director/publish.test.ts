// The counters that control reads: rows of services, gauges of reals, sums that only ever grow.
import { describe, expect, test } from 'vitest';
import {
  type Counters,
  GLOBAL,
  NEIGHBOUR_MAC,
  NEIGHBOUR_STATE,
  readDrops,
  readRow,
  realAt,
  serviceAt,
  TRAFFIC_FIELDS,
} from '../../src/director/counters.ts';
import { createDirector, takeTable, tick } from '../../src/director/director.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  ARMS,
  DSR_REALS,
  dsrTcp,
  INSIDE,
  makeScene,
  NAT_REALS,
  natTcp,
  replyTcp,
  type Scene,
  standardServices,
  tableOf,
  withoutReal,
} from '../packets/scene.ts';

const SYN = { flags: tcp.SYN };
const later = (scene: Scene, ms = 10) => tick(scene.director, scene.director.nowMs + ms);
const service = ({ room, ...counters }: Counters, id: number) =>
  readRow({ room, ...counters }, serviceAt(room, id), TRAFFIC_FIELDS);
const real = (counters: Counters, id: number) =>
  readRow(counters, realAt(counters.room, id), TRAFFIC_FIELDS);

/** Four connections to the DSR service, a packet more on each. */
function visit(scene: Scene): void {
  for (let sourcePort = 1; sourcePort <= 4; sourcePort++) {
    scene.receive(dsrTcp({ ...SYN, sourcePort }));
    scene.receive(dsrTcp({ sourcePort }));
  }
}

describe('the row of a service', () => {
  test('is the sum of the rows of its reals', () => {
    const scene = makeScene();
    visit(scene);
    scene.receive(natTcp(SYN));
    scene.receive(replyTcp(NAT_REALS[0]!, { payload: new Uint8Array(6) }), { arm: INSIDE });
    later(scene);
    const half = { requestPackets: 4, requestBytes: 4 * 54, openedFlows: 2, activeFlows: 2 };
    const none = { replyPackets: 0, replyBytes: 0 };
    expect(real(scene.counters, 0)).toEqual({ ...half, ...none });
    expect(real(scene.counters, 1)).toEqual({ ...half, ...none });
    expect(service(scene.counters, 0)).toEqual({
      ...{ requestPackets: 8, requestBytes: 8 * 54, openedFlows: 4, activeFlows: 4, ...none },
    });
    expect(service(scene.counters, 2)).toEqual({
      ...{ requestPackets: 1, requestBytes: 54, openedFlows: 1, activeFlows: 1 },
      ...{ replyPackets: 1, replyBytes: 60 },
    });
  });

  test('keeps what a real did that is gone, and loses its flows', () => {
    const scene = makeScene();
    visit(scene);
    takeTable(scene.director, tableOf(withoutReal(standardServices(), DSR_REALS[0]!)));
    later(scene);
    const sums = { requestPackets: 8, openedFlows: 4 };
    expect(service(scene.counters, 0)).toMatchObject({ ...sums, activeFlows: 2 });
    takeTable(scene.director, tableOf(standardServices()));
    later(scene);
    expect(service(scene.counters, 0)).toMatchObject({ ...sums, activeFlows: 2 });
    expect(real(scene.counters, 0)).toMatchObject({ requestPackets: 4, activeFlows: 0 });
  });

  test('goes on when a new director takes the counters over', () => {
    const first = makeScene();
    visit(first);
    first.receive(dsrTcp({ flags: tcp.RST, sourcePort: 1 }));
    later(first, 10_000);
    const { counters } = first;
    const ended = counters.values[GLOBAL.endedFlows];
    expect(ended).toBe(1);
    // What control does between the two: a new flow table has no flows.
    const { room, values } = counters;
    for (let id = 0; id < room.services; id++) values[serviceAt(room, id) + 5] = 0;
    for (let id = 0; id < room.reals; id++) values[realAt(room, id) + 5] = 0;
    const table = tableOf(standardServices());
    const start = { arms: ARMS, table, maximumFlows: 8, flowSeed: 1, nowMs: 0 };
    tick(createDirector({ ...start, counters }), 10);
    expect(service(counters, 0)).toMatchObject({
      ...{ requestPackets: 9, openedFlows: 4, activeFlows: 0 },
    });
    expect(counters.values[GLOBAL.endedFlows]).toBe(ended);
  });
});

test('flows are counted as they open, end and are given up', () => {
  const scene = makeScene({ maximumFlows: 2 });
  for (let sourcePort = 1; sourcePort <= 3; sourcePort++) {
    scene.receive(dsrTcp({ ...SYN, sourcePort }));
  }
  later(scene);
  const { values } = scene.counters;
  const flows = () => ({
    opened: values[GLOBAL.openedFlows],
    active: values[GLOBAL.activeFlows],
    ended: values[GLOBAL.endedFlows],
    evicted: values[GLOBAL.evictedFlows],
  });
  expect(flows()).toEqual({ opened: 3, active: 2, ended: 1, evicted: 1 });
  later(scene, 60_000);
  expect(flows()).toEqual({ opened: 3, active: 0, ended: 3, evicted: 1 });
});

test('the row of a real says where it is', () => {
  const scene = makeScene({ resolved: [NAT_REALS[1]!] });
  later(scene);
  const { room, values } = scene.counters;
  const states = [4, 5, 6, 7].map((id) => values[realAt(room, id) + NEIGHBOUR_STATE]);
  expect(states).toEqual([0, 1, 0, 1]);
  expect(values[realAt(room, 5) + NEIGHBOUR_MAC]! % 0x10000).toBe(0x0d02);
});

test('drops are read by name, and only those that happened', () => {
  const scene = makeScene();
  expect(readDrops(scene.counters)).toEqual({});
  scene.receive(dsrTcp());
  scene.receive(dsrTcp({ destinationPort: 81 }));
  scene.receive(dsrTcp());
  expect(readDrops(scene.counters)).toEqual({ 'no-flow': 2, 'no-service': 1 });
});

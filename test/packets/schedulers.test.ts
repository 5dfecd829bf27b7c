// New flows on the director's own way: which real a scheduler gives them, by the flows that there
// are, and what a swapped table changes of it.
import { describe, expect, test } from 'vitest';
import { takeTable, tick } from '../../src/director/director.ts';
import { SCHEDULER_NAMES, type SchedulerName } from '../../src/schedule/scheduler.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  dsrTcp,
  dsrUdp,
  makeScene,
  NAT_REALS,
  natTcp,
  replyTcp,
  type Scene,
  type SceneService,
  standardServices,
  tableOf,
} from './scene.ts';

const sceneBy = (scheduler: SchedulerName) => makeScene({ services: standardServices(scheduler) });

/** The real id that the frame opened a flow to, or why it was dropped. */
function opens(scene: Scene, frame: Uint8Array): number | string {
  const { moved, verdict } = scene.receive(frame);
  const key = Object.keys(moved).find((name) => /^real \d+ openedFlows$/.test(name));
  return key === undefined ? verdict : Number(key.split(' ')[1]);
}

const syn = (sourcePort: number) => dsrTcp({ sourcePort, flags: tcp.SYN });
const natSyn = (sourcePort: number) => natTcp({ sourcePort, flags: tcp.SYN });

/** The standard services with these weights for the reals of each. */
const weighted = (scheduler: SchedulerName, ...weights: number[]): SceneService[] =>
  standardServices(scheduler).map((service) => ({
    ...service,
    reals: service.reals.map((real, n) => ({ ...real, weight: weights[n] ?? 1 })),
  }));

describe.each(['lc', 'wlc'] as const)('by %s a new flow goes to the less loaded real', (name) => {
  test('when a connection of DSR closes', () => {
    const scene = sceneBy(name);
    expect([1, 2, 3, 4].map((port) => opens(scene, syn(port)))).toEqual([0, 1, 0, 1]);
    // A FIN of the client makes the flow inactive, but it is still there.
    scene.receive(dsrTcp({ sourcePort: 2, flags: tcp.FIN | tcp.ACK }));
    expect(scene.director.flows.activeByReal.slice(0, 2)).toEqual(Int32Array.of(2, 1));
    expect(scene.director.flows.flowsByReal.slice(0, 2)).toEqual(Int32Array.of(2, 2));
    expect(opens(scene, syn(5))).toBe(1);
    // Now the inactive flow decides: both have two active ones.
    expect(opens(scene, syn(6))).toBe(0);
  });

  test('when a connection of NAT is reset by its real', () => {
    const scene = sceneBy(name);
    expect([1, 2].map((port) => opens(scene, natSyn(port)))).toEqual([4, 5]);
    scene.receive(replyTcp(NAT_REALS[0]!, { destinationPort: 1, flags: tcp.SYN | tcp.ACK }), {
      arm: 1,
    });
    scene.receive(replyTcp(NAT_REALS[0]!, { destinationPort: 1, flags: tcp.RST }), { arm: 1 });
    expect([3, 4].map((port) => opens(scene, natSyn(port)))).toEqual([4, 5]);
  });

  test('when the time of flows is over', () => {
    const scene = sceneBy(name);
    for (let port = 1; port <= 4; port++) scene.receive(syn(port));
    const { director } = scene;
    director.nowMs += 30_000;
    for (const port of [1, 3]) {
      // The flows to real 1 go on, and so outlive those to real 0.
      scene.receive(dsrTcp({ sourcePort: port + 1 }));
    }
    tick(director, director.nowMs + 60_000);
    expect([5, 6].map((port) => opens(scene, syn(port)))).toEqual([0, 0]);
  });

  test('with UDP, whose flows are active while they last', () => {
    const scene = sceneBy(name);
    const ports = [1, 2, 1, 3];
    expect(ports.map((sourcePort) => opens(scene, dsrUdp({ sourcePort })))).toEqual([
      ...[2, 3, 'send 0', 2],
    ]);
    expect([...scene.director.flows.activeByReal.slice(2, 4)]).toEqual([2, 1]);
  });
});

test('each service has its own load', () => {
  const scene = sceneBy('wlc');
  for (let port = 1; port <= 3; port++) scene.receive(syn(port));
  expect(opens(scene, natSyn(1))).toBe(4);
  expect(opens(scene, dsrUdp({ sourcePort: 1 }))).toBe(2);
});

test('ovf refuses a flow when all reals are full, and takes one when a connection has closed', () => {
  const scene = makeScene({ services: weighted('ovf', 1, 0) });
  expect([1, 2, 3].map((port) => opens(scene, syn(port)))).toEqual([0, 0, 'drop no-real']);
  scene.receive(dsrTcp({ sourcePort: 1, flags: tcp.FIN | tcp.ACK }));
  expect(opens(scene, syn(3))).toBe(0);
});

test('fo goes to the next real when the first is drained, and flows stay', () => {
  const scene = makeScene({ services: weighted('fo', 2, 1) });
  expect(opens(scene, syn(1))).toBe(0);
  takeTable(scene.director, tableOf(weighted('fo', 0, 1)));
  expect(opens(scene, syn(2))).toBe(1);
  expect(scene.receive(dsrTcp({ sourcePort: 1 })).moved).toMatchObject({
    'real 0 requestPackets': 1,
  });
});

describe('a swapped table', () => {
  test('leaves the turn where it is', () => {
    const scene = sceneBy('rr');
    expect(opens(scene, syn(1))).toBe(0);
    takeTable(scene.director, tableOf(standardServices('rr')));
    expect(opens(scene, syn(2))).toBe(1);
  });

  test('leaves a destination with its real', () => {
    const scene = makeScene({ services: weighted('lblc', 9, 9) });
    expect(opens(scene, syn(1))).toBe(0);
    takeTable(scene.director, tableOf(weighted('lblc', 9, 9)));
    expect(opens(scene, syn(2))).toBe(0);
  });

  const changes = SCHEDULER_NAMES.flatMap((to) => [
    { from: 'rr' as const, to },
    { from: to, to: 'wlc' as const },
  ]);
  test.each(changes)('from $from to $to keeps every flow', ({ from, to }) => {
    const scene = makeScene({ services: weighted(from, 99, 99) });
    const ports = Array.from({ length: 8 }, (_, n) => 1000 + n);
    const before = ports.map((port) => opens(scene, syn(port)));
    expect(before.every((real) => typeof real === 'number')).toBe(true);
    takeTable(scene.director, tableOf(weighted(to, 99, 99)));
    for (const [n, port] of ports.entries()) {
      const { moved } = scene.receive(dsrTcp({ sourcePort: port }));
      expect(moved[`real ${before[n]} requestPackets`]).toBe(1);
      expect(moved.openedFlows).toBeUndefined();
    }
    expect(opens(scene, syn(5000))).toBeTypeOf('number');
  });
});

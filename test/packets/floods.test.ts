// Floods: half-open flows have bounds, established ones are kept, and what there is no room for is
// sent on by hash without being remembered, or dropped by name where that cannot be.
import { describe, expect, test } from 'vitest';
import { tick } from '../../src/director/director.ts';
import type { ServiceLife } from '../../src/director/life.ts';
import type { SchedulerName } from '../../src/schedule/scheduler.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  DSR_REALS,
  dsrTcp,
  dsrUdp,
  introduce,
  makeScene,
  natTcp,
  natUdp,
  type Scene,
  standardServices,
} from './scene.ts';

const SYN = { flags: tcp.SYN };
const PERSISTENT: ServiceLife = {
  persistence: { timeoutMs: 5000, prefixLength: 128, family: 4 },
  ...{ onePacket: false, slowStartMs: 0, sorry: -1, failOpen: false },
};
const ACK = { flags: tcp.ACK | tcp.PSH, payload: Uint8Array.of(1) };

/** The host that a frame was sent to, by the last two bytes of its MAC address; or the verdict. */
function to(scene: Scene, frame: Uint8Array): string {
  const { verdict, frame: after } = scene.receive(frame);
  return verdict.startsWith('send') ? Buffer.from(after.subarray(4, 6)).toString('hex') : verdict;
}

/** A scene whose table is full of established connections, from port 50,000 on. */
function fullScene(scheduler: SchedulerName, maximumFlows = 8, life?: ServiceLife): Scene {
  const services = standardServices(scheduler).map((service) => ({
    ...service,
    ...(life && { life }),
  }));
  const scene = makeScene({ services, maximumFlows });
  for (let flow = 0; flow < maximumFlows; flow++) {
    for (const each of [SYN, ACK]) scene.receive(dsrTcp({ ...each, sourcePort: 50_000 + flow }));
  }
  return scene;
}

describe('a flood', () => {
  test.each([
    ['of SYNs', dsrTcp, SYN],
    ['of SYNs to a NAT service', natTcp, SYN],
    ['of UDP datagrams', dsrUdp, {}],
    ['of UDP datagrams to a NAT service', natUdp, {}],
    ['of ACKs, which open flows where a hash chooses', dsrTcp, ACK],
  ] as const)('%s has no more room than half-open flows have', (_, make, fields) => {
    const services = standardServices('maglev');
    const scene = makeScene({ services, maximumFlows: 64, maximumHalfOpen: 16 });
    const by = to(scene, dsrTcp({ ...SYN, sourcePort: 1000 }));
    to(scene, dsrTcp({ ...ACK, sourcePort: 1000 }));
    for (let port = 2000; port < 2500; port++) {
      expect(to(scene, make({ ...fields, sourcePort: port }))).toMatch(/^0[cd]0[12]$/);
    }
    const { flows } = scene.director;
    expect(flows.halfOpen).toBe(16);
    expect(flows.active).toBe(17);
    expect(flows.evicted).toBe(500 - 16);
    expect(to(scene, dsrTcp({ ...ACK, sourcePort: 1000 }))).toBe(by);
  });

  test('of datagrams leaves those that came twice', () => {
    const scene = makeScene({ maximumFlows: 8, maximumHalfOpen: 4 });
    const known = [1, 2, 3, 4].map((port) => {
      const by = to(scene, dsrUdp({ sourcePort: port }));
      expect(to(scene, dsrUdp({ sourcePort: port }))).toBe(by);
      return by;
    });
    for (let port = 2000; port < 2100; port++) scene.receive(dsrUdp({ sourcePort: port }));
    const after = [1, 2, 3, 4].map((port) => to(scene, dsrUdp({ sourcePort: port })));
    expect(after).toEqual(known);
  });

  test('gives up the one that was opened first', () => {
    const scene = makeScene({ maximumFlows: 8, maximumHalfOpen: 2 });
    for (const port of [1, 2, 3]) scene.receive(dsrTcp({ ...SYN, sourcePort: port }));
    const sentTo = [1, 2, 3].map((port) => to(scene, dsrTcp({ ...ACK, sourcePort: port })));
    expect(sentTo).toEqual(['drop no-flow', '0c02', '0c01']);
  });
});

describe('where the table is full of established flows', () => {
  test.each<SchedulerName>(['maglev', 'rr', 'wlc'])(
    'a new connection goes by hash with %s, to its end, and is counted',
    (scheduler) => {
      const scene = fullScene(scheduler);
      for (let port = 1000; port < 1020; port++) {
        const first = scene.receive(dsrTcp({ ...SYN, sourcePort: port }));
        expect(first.verdict).toBe('send 0');
        expect(first.moved).toMatchObject({ statelessPackets: 1 });
        const by = Buffer.from(first.frame.subarray(4, 6)).toString('hex');
        for (const flags of [tcp.ACK, tcp.ACK | tcp.PSH, tcp.FIN | tcp.ACK]) {
          expect(to(scene, dsrTcp({ flags, sourcePort: port }))).toBe(by);
        }
      }
      expect(scene.director.flows.active).toBe(8);
    },
  );

  test('both reals get some of them', () => {
    const scene = fullScene('rr');
    const ports = Array.from({ length: 40 }, (_, index) => 1000 + index);
    const reals = ports.map((port) => to(scene, dsrTcp({ ...SYN, sourcePort: port })));
    expect(new Set(reals)).toEqual(new Set(['0c01', '0c02']));
  });

  test('what has begun by hash ends so when there is room again; later the turns go on', () => {
    const scene = fullScene('rr');
    const by = to(scene, dsrTcp({ ...SYN, sourcePort: 1000 }));
    scene.receive(dsrTcp({ flags: tcp.RST, sourcePort: 50_000 }));
    tick(scene.director, scene.director.nowMs + 20_000);
    expect(to(scene, dsrTcp({ ...ACK, sourcePort: 1000 }))).toBe(by);
    expect(scene.director.flows.active).toBe(8);
    tick(scene.director, scene.director.nowMs + 200_000);
    expect(to(scene, dsrTcp({ ...ACK, sourcePort: 1001 }))).toBe('drop no-flow');
  });

  test('a connection without a flow goes on for as long as its packets come', () => {
    const scene = fullScene('rr');
    const by = to(scene, dsrTcp({ ...SYN, sourcePort: 1000 }));
    for (let minute = 0; minute < 5; minute++) {
      for (let turn = 0; turn < 3; turn++) {
        tick(scene.director, scene.director.nowMs + 20_000);
        for (const real of DSR_REALS) introduce(scene, real);
      }
      expect(to(scene, dsrTcp({ ...ACK, sourcePort: 1000 }))).toBe(by);
    }
  });

  test.each<SchedulerName>(['maglev', 'rr'])(
    'a connection without a flow stays at its real whatever becomes of persistence, with %s',
    (scheduler) => {
      const scene = fullScene(scheduler, 8, PERSISTENT);
      const { director } = scene;
      const persistent = to(scene, dsrTcp({ ...ACK, sourcePort: 50_000 }));
      const ports = Array.from({ length: 40 }, (_, index) => 1000 + index);
      const open = (flags: number) =>
        ports.map((sourcePort) => to(scene, dsrTcp({ flags, sourcePort })));
      const reals = open(tcp.SYN);
      expect(new Set(reals)).toEqual(new Set(['0c01', '0c02']));
      expect(open(tcp.ACK)).toEqual(reals);
      // There is room again, and the client's template is there: known flows keep it.
      scene.receive(dsrTcp({ flags: tcp.RST, sourcePort: 50_001 }));
      tick(director, director.nowMs + 20_000);
      expect(open(tcp.ACK | tcp.PSH)).toEqual(reals);
      // A new one with room goes where its client's flows are.
      scene.receive(dsrTcp({ flags: tcp.RST, sourcePort: 50_002 }));
      tick(director, director.nowMs + 20_000);
      expect(to(scene, dsrTcp({ ...SYN, sourcePort: 60_000 }))).toBe(persistent);
    },
  );

  test('NAT cannot do without a flow', () => {
    const scene = fullScene('maglev');
    expect(to(scene, natTcp(SYN))).toBe('drop flow-table-full');
    expect(to(scene, natUdp())).toBe('drop flow-table-full');
  });

  test('a flow for one packet counts nowhere once that has gone', () => {
    const scene = fullScene('rr');
    const { flows } = scene.director;
    const before = [...flows.activeByReal];
    for (let port = 1000; port < 1010; port++) scene.receive(dsrTcp({ ...SYN, sourcePort: port }));
    scene.receive(dsrUdp());
    expect([...flows.activeByReal]).toEqual(before);
    expect(flows.halfOpen).toBe(0);
  });
});

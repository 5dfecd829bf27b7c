// Flows over time and over tables: who may open one, when one is over, and what a change of the
// reals does to those that there are.
import { describe, expect, test } from 'vitest';
import { takeTable, tick } from '../../src/director/director.ts';
import type { SchedulerName } from '../../src/schedule/scheduler.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  CLIENT,
  DSR_REALS,
  dsrTcp,
  dsrUdp,
  INSIDE,
  makeScene,
  NAT_REALS,
  natTcp,
  natUdp,
  replyTcp,
  type Scene,
  type SceneService,
  standardServices,
  tableOf,
  withoutReal,
} from './scene.ts';

const SYN = { flags: tcp.SYN };
const FIN = { flags: tcp.FIN | tcp.ACK };
const RST = { flags: tcp.RST };

/** The host that a frame was sent to, by the last byte of its MAC address; or the verdict. */
function to(scene: Scene, frame: Uint8Array): string {
  const outcome = scene.receive(frame);
  return outcome.verdict.startsWith('send')
    ? Buffer.from(outcome.frame.subarray(4, 6)).toString('hex')
    : outcome.verdict;
}

const pass = (scene: Scene, ms: number) => tick(scene.director, scene.director.nowMs + ms);
const take = (scene: Scene, services: readonly SceneService[]) =>
  takeTable(scene.director, tableOf(services));

describe('a packet from the middle of a connection', () => {
  const lost = { flags: tcp.ACK | tcp.PSH, payload: Uint8Array.of(1) };

  test.each<SchedulerName>(['sh', 'maglev'])('opens a flow with %s', (scheduler) => {
    const opened = (frame: Uint8Array) =>
      to(makeScene({ services: standardServices(scheduler) }), frame);
    for (const make of [dsrTcp, natTcp]) {
      const by = opened(make(SYN));
      expect(by).toMatch(/^0[cd]0[12]$/);
      expect(opened(make(lost))).toBe(by);
      expect(opened(make(FIN))).toBe(by);
      expect(opened(make(RST))).toBe('drop no-flow');
      expect(opened(make({ flags: tcp.PSH }))).toBe('drop no-flow');
    }
  });

  test.each<SchedulerName>(['rr', 'wrr'])('opens none with %s', (scheduler) => {
    for (const make of [dsrTcp, natTcp]) {
      const scene = makeScene({ services: standardServices(scheduler) });
      expect(to(scene, make(lost))).toBe('drop no-flow');
      expect(to(scene, make(FIN))).toBe('drop no-flow');
    }
  });
});

describe('a SYN on the ports of an old connection', () => {
  const after = (...flags: number[]) => {
    const scene = makeScene();
    const first = to(scene, dsrTcp(SYN));
    for (const each of flags) expect(to(scene, dsrTcp({ flags: each }))).toBe(first);
    return to(scene, dsrTcp(SYN)) === first ? 'the same real' : 'a new real';
  };

  test('that lives is a repetition', () => {
    expect(after()).toBe('the same real');
    expect(after(tcp.ACK)).toBe('the same real');
  });

  test('that has ended opens a new one', () => {
    expect(after(tcp.ACK, tcp.FIN | tcp.ACK)).toBe('a new real');
    expect(after(tcp.ACK, tcp.RST)).toBe('a new real');
  });

  test('by NAT, one that is half closed is still the old one', () => {
    const scene = makeScene();
    const first = to(scene, natTcp(SYN));
    scene.receive(replyTcp(NAT_REALS[0]!, { flags: tcp.SYN | tcp.ACK }), { arm: INSIDE });
    to(scene, natTcp());
    to(scene, natTcp(FIN));
    expect(to(scene, natTcp(SYN))).toBe(first);
  });

  test('by NAT, one that both sides have closed is over', () => {
    const scene = makeScene();
    const first = to(scene, natTcp(SYN));
    scene.receive(replyTcp(NAT_REALS[0]!, { flags: tcp.SYN | tcp.ACK }), { arm: INSIDE });
    to(scene, natTcp());
    to(scene, natTcp(FIN));
    scene.receive(replyTcp(NAT_REALS[0]!, FIN), { arm: INSIDE });
    expect(to(scene, natTcp())).toBe(first);
    expect(to(scene, natTcp(SYN))).not.toBe(first);
  });
});

test('a SYN of a real belongs to its flow, even to one that has ended', () => {
  const scene = makeScene();
  to(scene, natTcp(SYN));
  to(scene, natTcp());
  to(scene, natTcp(RST));
  expect(scene.receive(replyTcp(NAT_REALS[0]!, SYN), { arm: INSIDE }).verdict).toBe('send 0');
  expect(scene.director.flows.active).toBe(1);
});

describe('time', () => {
  test('ends a flow that is still: then its packets belong to nothing', () => {
    const scene = makeScene();
    to(scene, dsrTcp(SYN));
    const by = to(scene, dsrTcp());
    scene.director.nowMs += 899_999;
    expect(to(scene, dsrTcp())).toBe(by);
    scene.director.nowMs += 900_000;
    expect(to(scene, dsrTcp())).toBe('drop no-flow');
    expect(scene.director.flows.active).toBe(0);
  });

  test('of a reply counts as well', () => {
    const scene = makeScene();
    to(scene, natTcp(SYN));
    const reply = replyTcp(NAT_REALS[0]!);
    const back = (laterMs: number) => {
      scene.director.nowMs += laterMs;
      return scene.receive(reply, { arm: INSIDE }).verdict;
    };
    expect(back(59_999)).toBe('send 0');
    expect(back(899_999)).toBe('send 0');
    expect(back(899_999)).toBe('send 0');
    expect(back(900_000)).toBe('drop no-flow');
  });

  test('ends a UDP exchange: the next datagram may go to another real', () => {
    const scene = makeScene();
    const first = to(scene, dsrUdp());
    expect(to(scene, dsrUdp())).toBe(first);
    scene.director.nowMs += 300_000;
    expect(to(scene, dsrUdp())).not.toBe(first);
  });

  test('takes flows out without a packet, by the sweep', () => {
    const scene = makeScene();
    to(scene, dsrTcp(SYN));
    to(scene, dsrUdp());
    pass(scene, 60_000);
    expect(scene.director.flows.active).toBe(1);
    pass(scene, 240_000);
    expect(scene.director.flows.active).toBe(0);
  });

  test('frees the port of a NAT flow for another service at once', () => {
    const twins = [80, 81].map(
      (port, id): SceneService => ({
        ...{ id, vip: '192.0.2.81', port, protocol: 6, method: 'nat', scheduler: 'rr' },
        reals: [{ id, address: NAT_REALS[0]!.address, port: 8080, arm: INSIDE }],
      }),
    );
    const scene = makeScene({ services: twins });
    to(scene, natTcp(SYN));
    const other = natTcp({ ...SYN, destinationPort: 81 });
    expect(to(scene, other)).toBe('drop flow-conflict');
    scene.director.nowMs += 60_000;
    expect(to(scene, other)).toBe('0d01');
    expect(scene.director.flows.active).toBe(1);
  });
});

describe('a new table', () => {
  const ports = [40_000, 40_001, 40_002, 40_003];
  const all = (scene: Scene, make: typeof dsrTcp | typeof natTcp, flags: number = tcp.ACK) =>
    ports.map((sourcePort) => to(scene, make({ sourcePort, flags })));

  test('that changes nothing changes nothing', () => {
    for (const make of [dsrTcp, natTcp]) {
      const scene = makeScene();
      const before = all(scene, make, tcp.SYN);
      take(scene, standardServices());
      expect(all(scene, make)).toEqual(before);
    }
  });

  test('without a real ends the flows of that real alone', () => {
    const scene = makeScene();
    expect(all(scene, dsrTcp, tcp.SYN)).toEqual(['0c01', '0c02', '0c01', '0c02']);
    take(scene, withoutReal(standardServices(), DSR_REALS[0]!));
    const gone = 'drop no-flow';
    expect(all(scene, dsrTcp)).toEqual([gone, '0c02', gone, '0c02']);
    expect(all(scene, dsrTcp, tcp.SYN)).toEqual(['0c02', '0c02', '0c02', '0c02']);
  });

  test('without a real sends its UDP on to another', () => {
    const scene = makeScene();
    const udp = () => ports.map((sourcePort) => to(scene, natUdp({ sourcePort })));
    expect(udp()).toEqual(['0d01', '0d02', '0d01', '0d02']);
    take(scene, withoutReal(standardServices(), NAT_REALS[1]!));
    expect(udp()).toEqual(['0d01', '0d01', '0d01', '0d01']);
  });

  test('without a real passes its late replies to nobody', () => {
    const scene = makeScene();
    to(scene, natTcp(SYN));
    take(scene, withoutReal(standardServices(), NAT_REALS[0]!));
    expect(scene.receive(replyTcp(NAT_REALS[0]!), { arm: INSIDE }).verdict).toBe('pass');
    expect(scene.director.flows.active).toBe(0);
  });

  test('gives the room of such flows back by the sweep, although their time is not over', () => {
    const scene = makeScene();
    all(scene, dsrTcp, tcp.SYN);
    all(scene, dsrTcp, tcp.ACK);
    take(scene, withoutReal(standardServices(), DSR_REALS[0]!));
    expect(scene.director.flows.active).toBe(4);
    pass(scene, 10);
    expect(scene.director.flows.active).toBe(2);
  });

  test('with a real of weight 0 keeps its flows and gives it no more', () => {
    const scene = makeScene();
    const before = all(scene, dsrTcp, tcp.SYN);
    const drained = standardServices().map((service) => ({
      ...service,
      reals: service.reals.map((real, index) => ({ ...real, weight: index === 0 ? 0 : 1 })),
    }));
    take(scene, drained);
    expect(all(scene, dsrTcp)).toEqual(before);
    for (let port = 50_000; port < 50_006; port++) {
      expect(to(scene, dsrTcp({ ...SYN, sourcePort: port }))).toBe('0c02');
    }
  });

  test('that brings a real back before anyone asked finds its flows again', () => {
    const scene = makeScene();
    const before = all(scene, dsrTcp, tcp.SYN);
    take(scene, withoutReal(standardServices(), DSR_REALS[0]!));
    take(scene, standardServices());
    expect(scene.director.flows.active).toBe(4);
    expect(all(scene, dsrTcp).filter((by) => by === '0c02')).toEqual(
      before.filter((by) => by === '0c02'),
    );
  });

  test('too large for the counters is refused whole', () => {
    const scene = makeScene();
    const [service] = standardServices() as [SceneService];
    const large = { ...service, reals: [{ ...service.reals[0]!, id: 16 }] };
    expect(() => take(scene, [large])).toThrow(RangeError);
    expect(to(scene, dsrTcp(SYN))).toBe('0c01');
  });
});

test('two clients with one port each are two flows, on the same real or not', () => {
  const scene = makeScene();
  expect(to(scene, dsrTcp(SYN))).toBe('0c01');
  expect(to(scene, dsrTcp({ ...SYN, source: '198.51.100.8' }))).toBe('0c02');
  expect(to(scene, dsrTcp({ source: CLIENT }))).toBe('0c01');
  expect(scene.director.flows.active).toBe(2);
});

// Where the reals are: when the director asks, how it asks, what it believes, and when it gives a
// real up; and the announcements of its VIPs.
import { describe, expect, test } from 'vitest';
import type { Arm } from '../../src/datapath/datapath.ts';
import { counterBytes, wrapCounters } from '../../src/director/counters.ts';
import { createDirector, linkIsUp, takeTable, tick } from '../../src/director/director.ts';
import { formatIpv4, formatMac } from '../../src/wire/address.ts';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  ARMS,
  DSR_REALS,
  dsrTcp,
  INSIDE,
  introduce,
  makeScene,
  NAT_REALS,
  natTcp,
  replyTcp,
  type Scene,
  standardServices,
  tableOf,
  withoutReal,
} from '../packets/scene.ts';

interface Heard {
  readonly arm: number;
  readonly to: string;
  readonly who: string;
  readonly from: string;
}

/** Takes the frames that wait to be sent, in the order of sending. */
function listen(director: Scene['director']): Heard[] {
  return director.outbox.splice(0).map(({ arm, bytes }) => {
    const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    expect(arp.check(frame, 14, bytes.length)).toBe(0);
    expect(arp.operation(frame, 14)).toBe(arp.REQUEST);
    const own = director.arms[arm]!;
    expect(ethernet.sourceHigh(frame, 0)).toBe(own.macHigh);
    expect(ethernet.sourceLow(frame, 0)).toBe(own.macLow);
    expect(arp.senderMacLow(frame, 14)).toBe(own.macLow);
    return {
      arm,
      to: formatMac(ethernet.destinationHigh(frame, 0), ethernet.destinationLow(frame, 0)),
      who: formatIpv4(arp.targetAddress(frame, 14)),
      from: formatIpv4(arp.senderAddress(frame, 14)),
    };
  });
}

const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const [REAL] = DSR_REALS as [(typeof DSR_REALS)[number]];
const START_MS = 1000;

/** Only one real, so that only its questions are heard; announcements are taken off. */
function alone(nowMs = START_MS): Scene {
  const services = withoutReal(standardServices(), DSR_REALS[1]!).slice(0, 2);
  const scene = makeScene({ services, resolved: [], nowMs });
  listen(scene.director);
  return scene;
}

/** The times at which the director asks from now on, in milliseconds from now. */
function askedAt(scene: Scene, untilMs: number): { atMs: number; to: string }[] {
  const startMs = scene.director.nowMs;
  const asked: { atMs: number; to: string }[] = [];
  for (let atMs = 0; atMs <= untilMs; atMs += 10) {
    tick(scene.director, (startMs + atMs) | 0);
    for (const { to, who } of listen(scene.director)) {
      expect(who).toBe(REAL.address);
      asked.push({ atMs, to });
    }
  }
  return asked;
}

const stateOf = (scene: Scene) => scene.director.neighbours.state[0];
const RESOLVING = 0;
const RESOLVED = 1;
const UNREACHABLE = 2;

describe('a follower', () => {
  const room = { arms: 2, services: 8, reals: 16 };
  const reals = standardServices().slice(0, 1);
  const follow = (leader: Scene, generation: number) => {
    const table = { ...tableOf(reals), generation };
    const [maximumFlows, flowSeed, nowMs] = [4, 0, START_MS];
    const counters = wrapCounters(new ArrayBuffer(counterBytes(room)), room);
    const director = createDirector({
      ...{ arms: ARMS, table, counters, maximumFlows, flowSeed, nowMs },
      ...{ leader: leader.counters, worker: 1, workers: 2 },
    });
    tick(director, START_MS);
    return [...director.neighbours.state];
  };

  test('takes over what its leader says of the same table, and nothing of another', () => {
    const leader = makeScene({ services: reals, nowMs: START_MS });
    tick(leader.director, START_MS);
    expect(follow(leader, 0)).toEqual([RESOLVED, RESOLVED]);
    expect(follow(leader, 1)).toEqual([RESOLVING, RESOLVING]);
    takeTable(leader.director, { ...tableOf(reals), generation: 1 });
    tick(leader.director, START_MS + 10);
    expect(follow(leader, 1)).toEqual([RESOLVED, RESOLVED]);
  });
});

describe('a real that does not answer', () => {
  test('is asked at once, then ever more slowly, then once a second', () => {
    const asked = askedAt(alone(), 5000);
    expect(asked.map(({ atMs }) => atMs)).toEqual([0, 100, 300, 800, 1800, 2800, 3800, 4800]);
    expect(new Set(asked.map(({ to }) => to))).toEqual(new Set([BROADCAST]));
  });

  test('is unreachable after four questions without an answer', () => {
    const scene = alone();
    askedAt(scene, 1790);
    expect(stateOf(scene)).toBe(RESOLVING);
    tick(scene.director, START_MS + 1800);
    expect(stateOf(scene)).toBe(UNREACHABLE);
  });

  test('is there again as soon as it answers', () => {
    const scene = alone();
    askedAt(scene, 10_000);
    introduce(scene, REAL);
    expect(stateOf(scene)).toBe(RESOLVED);
    expect(askedAt(scene, 14_990)).toEqual([]);
  });
});

describe('a real that has answered', () => {
  const known = (nowMs = START_MS) => {
    const scene = alone(nowMs);
    tick(scene.director, nowMs);
    listen(scene.director);
    introduce(scene, REAL);
    return scene;
  };

  test('is asked again after 15 seconds: twice directly, then by broadcast, then given up', () => {
    const scene = known();
    const asked = askedAt(scene, 17_000);
    expect(asked).toEqual([
      { atMs: 15_000, to: REAL.mac },
      { atMs: 15_100, to: REAL.mac },
      { atMs: 15_300, to: BROADCAST },
      { atMs: 15_800, to: BROADCAST },
      { atMs: 16_800, to: BROADCAST },
    ]);
    expect(stateOf(scene)).toBe(UNREACHABLE);
  });

  test('serves while it is asked', () => {
    const scene = known();
    askedAt(scene, 16_790);
    expect(stateOf(scene)).toBe(RESOLVED);
  });

  test('is left in peace for another 15 seconds when it answers', () => {
    const scene = known();
    expect(askedAt(scene, 15_000)).toHaveLength(1);
    introduce(scene, REAL);
    expect(askedAt(scene, 14_990)).toEqual([]);
    expect(askedAt(scene, 10)).toHaveLength(1);
  });

  test('all this holds where the clock wraps', () => {
    const scene = known(0x7fff_ffff - 5000);
    expect(askedAt(scene, 17_000).map(({ atMs }) => atMs)).toEqual([
      15_000, 15_100, 15_300, 15_800, 16_800,
    ]);
  });

  test('is known to the next table, and asked when it was due', () => {
    const scene = known();
    askedAt(scene, 10_000);
    takeTable(scene.director, tableOf(standardServices()));
    listen(scene.director);
    expect([...scene.director.neighbours.state]).toEqual([RESOLVED, 0, 0, 0]);
    tick(scene.director, START_MS + 10_010);
    const others = [DSR_REALS[1]!, ...NAT_REALS].map(({ address }) => address);
    expect(listen(scene.director).map(({ who }) => who)).toEqual(others);
  });

  test('is asked at once when the link of its arm comes back', () => {
    const scene = known();
    linkIsUp(scene.director, 1);
    expect(askedAt(scene, 10)).toEqual([]);
    linkIsUp(scene.director, 0);
    listen(scene.director);
    expect(askedAt(scene, 10)).toEqual([{ atMs: 0, to: REAL.mac }]);
    expect(stateOf(scene)).toBe(RESOLVED);
  });
});

describe('a real that is given up', () => {
  const SYN = { flags: tcp.SYN };
  const [dsrReal, natReal] = [DSR_REALS[0]!, NAT_REALS[0]!];
  const givenUp = () => {
    const scene = makeScene();
    for (const frame of [dsrTcp(SYN), natTcp(SYN)]) scene.receive(frame);
    for (let ms = 0; ms <= 17_000; ms += 10) tick(scene.director, START_MS + ms);
    expect([...scene.director.neighbours.state]).toEqual(new Array(4).fill(UNREACHABLE));
    return scene;
  };

  test('gets no packets, neither of old flows nor of new ones', () => {
    const scene = givenUp();
    for (const frame of [dsrTcp(), natTcp()]) {
      expect(scene.receive(frame).verdict).toBe('drop real-unresolved');
    }
    expect(scene.receive(dsrTcp({ ...SYN, sourcePort: 7 })).verdict).toBe('drop no-real');
    expect(scene.director.flows.active).toBe(2);
  });

  test('may still answer, for then it lives', () => {
    expect(givenUp().receive(replyTcp(natReal), { arm: INSIDE }).verdict).toBe('send 0');
  });

  test('has its flows again when it is back', () => {
    const scene = givenUp();
    introduce(scene, dsrReal);
    introduce(scene, natReal);
    expect(scene.receive(dsrTcp()).verdict).toBe('send 0');
    expect(scene.receive(natTcp()).verdict).toBe('send 1');
  });
});

test('questions are counted, and go out on the arm of the real in the name of that arm', () => {
  const scene = makeScene({ resolved: [] });
  listen(scene.director);
  const before = scene.counters.values.slice();
  tick(scene.director, START_MS);
  expect(listen(scene.director)).toEqual([
    ...DSR_REALS.map(({ address }) => ({
      ...{ arm: 0, to: BROADCAST, who: address, from: '192.0.2.1' },
    })),
    ...NAT_REALS.map(({ address }) => ({
      ...{ arm: 1, to: BROADCAST, who: address, from: '10.0.0.1' },
    })),
  ]);
  expect(scene.counters.values.reduce((sum, value, at) => sum + value - before[at]!, 0)).toBe(4);
});

describe('the VIPs are announced', () => {
  const vips = ['192.0.2.80', '192.0.2.81'];
  const said = (heard: Heard[]) =>
    heard.map(({ arm, to, who, from }) => {
      expect({ to, from }).toEqual({ to: BROADCAST, from: who });
      return `${who} on ${arm}`;
    });

  test('at the start, on the arm that they are near', () => {
    const { director } = makeScene({ resolved: [] });
    expect(said(listen(director))).toEqual(vips.map((vip) => `${vip} on 0`));
  });

  test('with every new table, and when the link of their arm comes back', () => {
    const { director } = makeScene({ resolved: [] });
    listen(director);
    takeTable(director, tableOf(standardServices()));
    expect(said(listen(director))).toEqual(vips.map((vip) => `${vip} on 0`));
    linkIsUp(director, 1);
    expect(listen(director)).toEqual([]);
    linkIsUp(director, 0);
    expect(said(listen(director))).toEqual(vips.map((vip) => `${vip} on 0`));
  });

  test.each<[string, Partial<Arm>]>([
    ['another subnet', { address: 0x0a010001 }],
    ['no address', { address: 0, prefixLength: 0 }],
  ])('on every arm if they are near to none: the first has %s', (_, change) => {
    const room = { arms: 2, services: 8, reals: 16 };
    const arms = [{ ...ARMS[0]!, ...change }, ARMS[1]!];
    const director = createDirector({
      ...{ arms, table: tableOf(standardServices()), maximumFlows: 4, flowSeed: 0, nowMs: 0 },
      counters: wrapCounters(new ArrayBuffer(counterBytes(room)), room),
    });
    const everywhere = vips.flatMap((vip) => [`${vip} on 0`, `${vip} on 1`]);
    expect(said(listen(director))).toEqual(everywhere);
  });
});

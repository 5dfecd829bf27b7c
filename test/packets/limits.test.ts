// Limits of each client: how many flows it has, and how fast it opens them. Over time, so with the
// scene's clock; what is known already goes on whatever the limits say.
import { describe, expect, test } from 'vitest';
import { GLOBAL } from '../../src/director/counters.ts';
import { takeTable, tick } from '../../src/director/director.ts';
import type { ClientLimits } from '../../src/director/life.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { droppedFor } from './moved.ts';
import {
  CLIENT,
  dsrTcp,
  dsrUdp,
  INSIDE,
  makeScene,
  NAT_REALS,
  natTcp,
  replyTcp,
  type Scene,
  standardServices,
  tableOf,
} from './scene.ts';
import { dsrTcp6, makeScene6, services6 } from './scene6.ts';

const SYN = { flags: tcp.SYN };
const NO_LIMITS: ClientLimits = { flows: 0, intervalMs: 0, burstMs: 0, prefixLength: 128 };
const LIFE = { persistence: undefined, onePacket: false, slowStartMs: 0, sorry: -1 };
const PERSISTENCE = { timeoutMs: 10_000, prefixLength: 96 + 24, family: 4 } as const;

const servicesWith = (limits: Partial<ClientLimits> | undefined, life: object = {}) =>
  standardServices().map((service) => ({
    ...service,
    life: {
      ...{ ...LIFE, failOpen: false, ...life },
      limits: limits && { ...NO_LIMITS, ...limits },
    },
  }));
const sceneWith = (limits: Partial<ClientLimits>, life: object = {}, maximumFlows = 64): Scene =>
  makeScene({ services: servicesWith(limits, life), maximumFlows });

/** `send` or the verdict of each of so many new connections, from ports of their own. */
let port = 41_000;
const open = (scene: Scene, count = 1, source = CLIENT, make = dsrTcp): string[] =>
  Array.from({ length: count }, () => {
    const { verdict } = scene.receive(make({ ...SYN, source, sourcePort: port++ }));
    return verdict.replace(/^send \d/, 'send');
  });
const pass = (scene: Scene, ms: number) => tick(scene.director, scene.director.nowMs + ms);
const times = (text: string, count: number): string[] => Array<string>(count).fill(text);
const LIMITED = 'drop source-limited';

describe('flows of a client', () => {
  test('are no more than it may have, by the way of a dropped SYN that is counted', () => {
    const scene = sceneWith({ flows: 3 });
    expect(open(scene, 5)).toEqual([...times('send', 3), ...times(LIMITED, 2)]);
    const { moved } = scene.receive(dsrTcp({ ...SYN, sourcePort: 40_999 }));
    expect(moved).toEqual(droppedFor('source-limited'));
    // Others have a share of their own, and so has the client at another service.
    expect(open(scene, 4, '198.51.100.8')).toEqual([...times('send', 3), LIMITED]);
    expect(open(scene, 4, CLIENT, natTcp)).toEqual([...times('send', 3), LIMITED]);
    pass(scene, 10);
    expect(scene.counters.values[GLOBAL.countedClients]).toBe(3);
  });

  test('go on, and leave room when they end', () => {
    const scene = sceneWith({ flows: 1 });
    const sourcePort = 40_000;
    expect(scene.receive(natTcp({ ...SYN, sourcePort })).verdict).toMatch('send');
    expect(open(scene, 1, CLIENT, natTcp)).toEqual([LIMITED]);
    expect(scene.receive(natTcp({ sourcePort })).verdict).toMatch('send');
    const reset = replyTcp(NAT_REALS[0]!, { flags: tcp.RST, destinationPort: sourcePort });
    expect(scene.receive(reset, { arm: INSIDE }).verdict).toMatch('send');
    // CLOSE is remembered for ten seconds.
    pass(scene, 11_000);
    expect(open(scene, 2, CLIENT, natTcp)).toEqual(['send', LIMITED]);
  });

  test('are counted down when a flood pushes them out', () => {
    const scene = makeScene({ services: servicesWith({ flows: 2 }), maximumHalfOpen: 2 });
    expect(open(scene, 2)).toEqual(times('send', 2));
    expect(open(scene, 2, '198.51.100.8')).toEqual(times('send', 2));
    expect(open(scene, 3)).toEqual([...times('send', 2), LIMITED]);
  });

  test('are those of all addresses with a prefix in common', () => {
    const scene = sceneWith({ flows: 2, prefixLength: 96 + 24 });
    expect(open(scene, 1, '198.51.100.1')).toEqual(['send']);
    expect(open(scene, 2, '198.51.100.200')).toEqual(['send', LIMITED]);
    expect(open(scene, 1, '198.51.101.1')).toEqual(['send']);
  });

  test('count beside persistence, whose key is another', () => {
    const scene = sceneWith({ flows: 2 }, { persistence: PERSISTENCE });
    expect(open(scene, 3)).toEqual([...times('send', 2), LIMITED]);
    expect(open(scene, 3, '198.51.100.8')).toEqual([...times('send', 2), LIMITED]);
    expect(scene.director.flows.templates?.active).toBe(1);
    expect(scene.director.flows.clients?.active).toBe(2);
  });

  test('that were opened before there was a limit do not count', () => {
    const scene = makeScene();
    open(scene, 5);
    takeTable(scene.director, tableOf(servicesWith({ flows: 1 })));
    expect(open(scene, 2)).toEqual(['send', LIMITED]);
    takeTable(scene.director, tableOf(servicesWith(undefined)));
    expect(open(scene, 5)).toEqual(times('send', 5));
  });

  test('that nobody could open are not counted', () => {
    const scene = makeScene({ services: servicesWith({ flows: 1 }), resolved: [] });
    expect(open(scene, 2)).toEqual(times('drop real-unresolved', 2));
  });

  test('are not what is sent on without a flow', () => {
    const scene = sceneWith({ flows: 2 }, {}, 1);
    for (let turn = 0; turn < 2; turn++) scene.receive(dsrUdp({ source: '198.51.100.9' }));
    expect(open(scene, 5)).toEqual(times('send', 5));
  });
});

describe('limits of IPv6', () => {
  test('are of a /64, and IPv4 clients are others', () => {
    const limits = { ...NO_LIMITS, flows: 2, prefixLength: 64 };
    const life = { ...LIFE, failOpen: false, limits };
    const services = [...standardServices(), ...services6()].map((each) => ({ ...each, life }));
    const scene = makeScene6({ services });
    const open6 = (source: string) =>
      scene.receive(dsrTcp6({ ...SYN, source, sourcePort: port++ })).verdict;
    const verdicts = ['2001:db8:c::1', '2001:db8:c::2', '2001:db8:c::3'].map(open6);
    expect(verdicts).toEqual([...times('send 0', 2), LIMITED]);
    expect(open6('2001:db8:c:1::1')).toBe('send 0');
    expect(open(scene, 2)).toEqual(times('send', 2));
    expect(scene.director.flows.clients?.active).toBe(3);
  });
});

describe('new flows of a client', () => {
  const RATE = { intervalMs: 100, burstMs: 300 };

  test('come at once as many as a burst, and then as fast as they may', () => {
    const scene = sceneWith(RATE);
    expect(open(scene, 5)).toEqual([...times('send', 3), LIMITED, LIMITED]);
    pass(scene, 99);
    expect(open(scene)).toEqual([LIMITED]);
    pass(scene, 1);
    expect(open(scene, 2)).toEqual(['send', LIMITED]);
    pass(scene, 10_000);
    expect(open(scene, 4)).toEqual([...times('send', 3), LIMITED]);
  });

  test('are not the packets of one that is known', () => {
    const scene = sceneWith({ intervalMs: 1000, burstMs: 1000 });
    const sourcePort = 40_000;
    for (let turn = 0; turn < 4; turn++) {
      const { verdict } = scene.receive(dsrUdp({ sourcePort }));
      expect(verdict).toMatch('send');
    }
    expect(scene.receive(dsrUdp({ sourcePort: 40_001 })).verdict).toBe(LIMITED);
  });

  test('are single datagrams where each is scheduled alone', () => {
    const scene = sceneWith({ ...RATE, flows: 1 }, { onePacket: true });
    const verdicts = times('', 5).map(() => scene.receive(dsrUdp()).verdict);
    expect(verdicts).toEqual([...times('send 0', 3), LIMITED, LIMITED]);
  });

  test('are forgotten with those who opened them', () => {
    const scene = sceneWith(RATE);
    open(scene, 3);
    const { clients } = scene.director.flows;
    for (let tenth = 0; tenth < 700; tenth++) pass(scene, 100);
    expect([scene.director.flows.active, clients?.active]).toEqual([0, 0]);
  });
});

// Prefixes of IPv6 as VIPs: every address of them is forwarded by either method, asked for by NDP,
// pinged and spoken of by ICMPv6 errors; a single VIP and a longer prefix go before; and nothing is
// kept of an address when its flows are gone. Flows live on when a reload names their addresses.
import { describe, expect, test } from 'vitest';
import { takeTable, tick } from '../../src/director/director.ts';
import type { ServiceLife } from '../../src/director/life.ts';
import { VIP } from '../../src/flow/flow-table.ts';
import { sweepFragments } from '../../src/flow/fragment-table.ts';
import { parseMac } from '../../src/wire/address.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ndp from '../../src/wire/ndp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { type Check, macs, onlyMacsChanged, unchanged } from './checks.ts';
import { addressOf, cut6, icmp6, type PortFields6, tcp6, udp6 } from './frames6.ts';
import { droppedFor, opened, replied } from './moved.ts';
import { testPackets } from './packet-table.ts';
import {
  INSIDE,
  INSIDE_ARM,
  OUTSIDE,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  type Scene,
  type SceneService,
  tableOf,
} from './scene.ts';
import {
  CLIENT6,
  DSR_REALS6,
  dsrTcp6,
  dsrUdp6,
  errorToVip6,
  FAR_ROUTER6,
  introduce6,
  makeScene6,
  NAT_REALS6,
  ping6,
  replyTcp6,
  replyUdp6,
} from './scene6.ts';

const DSR_PREFIX = '2001:db8:d::/64';
const NAT_PREFIX = '2001:db8:e:0:8000::/65';
/** A longer prefix, and a single VIP, in that of NAT; both go to its second real. */
const LONGER = '2001:db8:e:0:8000::5:0/112';
const SINGLE = '2001:db8:e:0:8000::5:7';
const DSR_VIP = '2001:db8:d::1:2:3:4';
const NAT_VIP = '2001:db8:e:0:ffff:1:2:3';
const REAL = NAT_REALS6[0]!;

type Scheduler = 'rr' | 'maglev';
const real = (index: number, id: number, port: number) => [
  { id, address: NAT_REALS6[index]!.address, port, arm: INSIDE },
];
const services = (scheduler: Scheduler): SceneService[] => [
  {
    ...{ id: 0, vip: '2001:db8:d::', port: 0, protocol: 6, method: 'dsr', scheduler },
    listens: { vips: [DSR_PREFIX], ports: ['any'], protocols: [6, 17] },
    reals: DSR_REALS6.map(({ address }, id) => ({ id, address, port: 0, arm: OUTSIDE })),
  },
  {
    ...{ id: 1, vip: '2001:db8:e::', port: 80, protocol: 6, method: 'nat', scheduler },
    listens: { vips: [NAT_PREFIX], ports: [80, 8000], protocols: [6, 17] },
    reals: real(0, 2, 8080),
  },
  {
    ...{ id: 2, vip: '2001:db8:e::', port: 80, protocol: 6, method: 'nat', scheduler },
    listens: { vips: [LONGER], ports: ['any'], protocols: [6] },
    reals: real(1, 3, 7000),
  },
  {
    ...{ id: 3, vip: SINGLE, port: 443, protocol: 6, method: 'nat', scheduler },
    reals: real(1, 4, 7001),
  },
];
const make = (scheduler: Scheduler = 'rr', maximumFlows = 64) =>
  makeScene6({ services: services(scheduler), maximumFlows });
const scene = () => make();

const SYN = { flags: tcp.SYN };
const payload = Uint8Array.from({ length: 33 }, (_, index) => index);
const dsr = (fields: Partial<PortFields6> = {}) =>
  dsrTcp6({ ...SYN, destination: DSR_VIP, ...fields });
const nat = (fields: Partial<PortFields6> = {}) =>
  dsrTcp6({ ...SYN, destination: NAT_VIP, ...fields });
const sent = (to: Partial<PortFields6>, make = tcp6) =>
  make({
    ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: CLIENT6, hopLimit: 63 },
    ...{ destination: REAL.address, sourcePort: 40_000, destinationPort: 8080, ...to },
  });
/** What a client gets of a NAT VIP. */
const fromVip = (make: typeof tcp6, fields: Partial<PortFields6> = {}) =>
  make({
    ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: NAT_VIP, hopLimit: 63 },
    ...{ destination: CLIENT6, sourcePort: 80, destinationPort: 40_000, payload, ...fields },
  });

const hex = (frame: Uint8Array) => Buffer.from(frame).toString('hex');
const is =
  (expected: Uint8Array): Check =>
  (_, after) =>
    expect(hex(after)).toBe(hex(expected));
const openNat = (scene: Scene) => void scene.receive(nat());
const dropOf = (reason: string) => ({ verdict: `drop ${reason}`, moved: droppedFor(reason) });

testPackets([
  {
    ...{ name: 'DSR: a SYN opens a flow', scene, frame: dsr(), verdict: 'send 0' },
    ...{ moved: opened(0, dsr().length) },
    checks: [onlyMacsChanged, macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS6[0]!.mac })],
  },
  {
    ...{ name: 'DSR: another address goes its own way', scene, verdict: 'send 0' },
    before: (scene) => void scene.receive(dsr()),
    frame: dsr({ destination: '2001:db8:d::' }),
    ...{ moved: opened(1, dsr().length), checks: [onlyMacsChanged] },
  },
  {
    ...{ name: 'NAT: a SYN opens a flow', scene, frame: nat(), verdict: 'send 1' },
    ...{ moved: opened(2, nat().length), checks: [is(sent(SYN))] },
  },
  {
    ...{ name: 'NAT: the answer comes from the address that was asked', scene, arm: INSIDE },
    ...{ before: openNat, frame: replyTcp6(REAL, { payload }), verdict: 'send 0' },
    moved: replied(2, replyTcp6(REAL, { payload }).length),
    checks: [is(fromVip(tcp6))],
  },
  {
    ...{ name: 'outside of the prefix, by one bit', scene, checks: [unchanged] },
    ...{ frame: nat({ destination: '2001:db8:e:0:7fff::1' }), verdict: 'pass' },
    moved: {},
  },
  {
    ...{ name: 'another port of the prefix', scene, checks: [] },
    ...{ frame: nat({ destinationPort: 81 }), ...dropOf('no-service') },
  },
  {
    ...{ name: 'from a NAT real without a flow', scene, arm: INSIDE, checks: [] },
    ...{ frame: replyTcp6(REAL), ...dropOf('no-flow') },
  },
]);

describe('the more exact VIP goes before', () => {
  test.each([
    ['2001:db8:e:0:8000::5:7', 443, '7001'],
    ['2001:db8:e:0:8000::5:7', 80, '7000'],
    ['2001:db8:e:0:8000::5:8', 443, '7000'],
    ['2001:db8:e:0:8000::6:7', 8000, '8080'],
  ])('%s port %i', (destination, destinationPort, port) => {
    const outcome = make().receive(nat({ destination, destinationPort }));
    expect(outcome.verdict).toBe('send 1');
    expect(String(new DataView(outcome.frame.buffer).getUint16(56))).toBe(port);
  });

  test('and what it has no protocol for goes to the prefix', () => {
    const outcome = make().receive(dsrUdp6({ destination: SINGLE }));
    expect(new DataView(outcome.frame.buffer).getUint16(56)).toBe(8080);
  });
});

describe('an address of a prefix', () => {
  const question = (target: string, fields: Partial<ndp.Message> = {}) => {
    const { high: macHigh, low: macLow } = parseMac(ROUTER.mac)!;
    return ndp.message({
      ...{ type: icmpv6.NEIGHBOUR_SOLICITATION, source: addressOf('fe80::b:1'), macHigh, macLow },
      ...{ destination: ndp.groupOf(addressOf(target)), target: addressOf(target), ...fields },
    });
  };

  test('is answered for by NDP, and its neighbour outside is not', () => {
    const { verdict, own } = make().receive(question(DSR_VIP));
    expect(verdict).toBe('taken');
    const { high: macHigh, low: macLow } = parseMac(OUTSIDE_ARM.mac)!;
    const answer = ndp.message({
      ...{ type: icmpv6.NEIGHBOUR_ADVERTISEMENT, flags: ndp.SOLICITED | ndp.OVERRIDE },
      ...{ source: addressOf(DSR_VIP), target: addressOf(DSR_VIP), macHigh, macLow },
      ...{ destination: addressOf('fe80::b:1'), to: parseMac(ROUTER.mac)! },
    });
    expect(own.map(({ bytes }) => hex(bytes))).toEqual([hex(answer)]);
    expect(make().receive(question('2001:db8:d:1::')).verdict).toBe('pass');
  });

  test('that another host has is told of', () => {
    const scene = make();
    scene.receive(question(DSR_VIP, { source: addressOf('2001:db8:d::99') }));
    expect(scene.director.conflicts.map(({ vip6 }) => vip6)).toEqual([addressOf('2001:db8:d::99')]);
  });

  test('is not announced', () => {
    const scene = make();
    scene.director.outbox.length = 0;
    tick(scene.director, 1010);
    const all = scene.director.outbox.map(({ bytes }) => hex(bytes)).join();
    expect(all).not.toContain('20010db8000d');
  });

  test('answers pings', () => {
    const outcome = make().receive(ping6({ destination: NAT_VIP }));
    expect(outcome.verdict).toBe('answer 0');
    expect(hex(outcome.frame.slice(22, 38))).toBe(hex(ping6({ source: NAT_VIP }).slice(22, 38)));
  });

  test('takes pieces of a datagram, and of its answer', () => {
    const scene = make();
    const long = { payload: new Uint8Array(3000).fill(7) };
    const request = dsrUdp6({ destination: NAT_VIP, ...long });
    const left = cut6(request, 1232).map((piece) => hex(scene.receive(piece).frame));
    expect(left).toEqual(cut6(sent(long, udp6), 1232).map(hex));
    const back = cut6(replyUdp6(REAL, long), 1232);
    const gone = back.map((piece) => hex(scene.receive(piece, { arm: INSIDE }).frame));
    expect(gone).toEqual(cut6(fromVip(udp6, long), 1232).map(hex));
  });

  test('is that of all pieces of an answer, though its flow ends between them', () => {
    const scene = make('rr', 1);
    const { flows, fragments } = scene.director;
    const held = () => flows.book.holds.reduce((sum, holds) => sum + holds, 0);
    const long = { payload: new Uint8Array(3000).fill(7) };
    const ask = (host: number) =>
      scene.receive(dsrUdp6({ destination: `2001:db8:e:0:9000::${host}`, sourcePort: host }));
    scene.receive(dsrUdp6({ destination: NAT_VIP }));
    const [first, ...others] = cut6(replyUdp6(REAL, long), 1232);
    scene.receive(first!, { arm: INSIDE });
    // One flow fits: each of these takes the place of the one before.
    for (const host of [1, 2, 3]) expect(ask(host).verdict).toBe('send 1');
    expect(flows.evicted).toBe(3);
    expect(held()).toBe(4);
    const gone = others.map((piece) => hex(scene.receive(piece, { arm: INSIDE }).frame));
    expect(gone).toEqual(cut6(fromVip(udp6, long), 1232).slice(1).map(hex));
    sweepFragments(fragments, scene.director.nowMs + 15_000, fragments.entries.length);
    expect(held()).toBe(2);
  });

  test('is that of all pieces of an answer, whatever its number in the book is', () => {
    const scene = make();
    const { director } = scene;
    const long = { payload: new Uint8Array(3000).fill(7) };
    const numbers = new Set<number>();
    // Each flow leaves its two entries to the next one, the other way round.
    for (let round = 0; round < 3; round++) {
      scene.receive(dsrUdp6({ destination: NAT_VIP }));
      numbers.add(director.flows.records[VIP]!);
      const back = cut6(replyUdp6(REAL, long), 1232, round);
      const gone = back.map((piece) => hex(scene.receive(piece, { arm: INSIDE }).frame));
      expect(gone).toEqual(cut6(fromVip(udp6, long), 1232, round).map(hex));
      const { fragments, flows, nowMs } = director;
      sweepFragments(fragments, nowMs + 15_000, fragments.entries.length);
      tick(director, nowMs + 3_600_000);
      expect(flows.active).toBe(0);
      introduce6(scene, REAL);
    }
    expect([...numbers].toSorted()).toEqual([-1, -2]);
  });

  test('has room in the book for packets in pieces beside the flows', () => {
    const scene = make('rr', 1);
    const fields = { payload: new Uint8Array(300) };
    for (let host = 1; host < 50; host++) {
      const ends = { destination: `2001:db8:e:0:9000::${host}`, source: `2001:db8:c::${host}` };
      const [first] = cut6(dsrUdp6({ ...ends, ...fields }), 160);
      expect(scene.receive(first!).verdict).toBe('send 1');
    }
  });
});

describe('ICMPv6 errors reach the NAT real', () => {
  const expected = icmp6({
    ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: FAR_ROUTER6 },
    ...{ destination: REAL.address, type: 2, word: 1400, hopLimit: 63 },
    data: packetOf(replyTcp6(REAL, { payload, hopLimit: 63 })),
  });
  const error = errorToVip6(NAT_VIP, fromVip(tcp6));

  test('by the flow', () => {
    const scene = make();
    openNat(scene);
    expect(hex(scene.receive(error).frame)).toBe(hex(expected));
  });

  test('by hash, and nothing is kept of it', () => {
    const scene = make('maglev');
    expect(hex(scene.receive(error).frame)).toBe(hex(expected));
    expect(scene.director.flows.book.holds.every((holds) => holds === 0)).toBe(true);
  });

  test('or are dropped where nobody knows', () => {
    expect(make().receive(error).verdict).toBe('drop icmp-no-flow');
  });
});

describe('a reload that names an address for the first time', () => {
  const held = ({ director: { flows } }: Scene) =>
    flows.book.holds.reduce((sum, holds) => sum + holds, 0);
  /** The services as they were, and one of each address. */
  function reload(scene: Scene, addresses: string[], before = services('rr')): void {
    const named = addresses.map((vip, index) => ({
      ...before[3]!,
      id: before.length + index,
      vip,
    }));
    takeTable(scene.director, tableOf([...before, ...named]));
    introduce6(scene, REAL);
  }

  test('as a VIP, and then no more, keeps the flows that have it as VIP or client', () => {
    const scene = make();
    const { flows } = scene.director;
    const ends = { destination: '2001:db8:e:0:ffff::5', source: '2001:db8:c::9' };
    const ask = (more: Partial<PortFields6>) => scene.receive(nat({ ...ends, ...more })).verdict;
    const answer = () => {
      const back = replyTcp6(REAL, { payload, destination: ends.source });
      const expected = fromVip(tcp6, { source: ends.destination, destination: ends.source });
      const { verdict, frame } = scene.receive(back, { arm: INSIDE });
      return [verdict, hex(frame) === hex(expected)];
    };
    const livesOn = () => {
      expect(ask({ flags: tcp.ACK })).toBe('send 1');
      expect(answer()).toEqual(['send 0', true]);
      const error = errorToVip6(ends.destination, fromVip(tcp6, answered));
      expect(scene.receive(error).verdict).toBe('send 1');
      expect([flows.active, flows.ended]).toEqual([1, 0]);
    };
    const answered = { source: ends.destination, destination: ends.source };
    expect(ask(SYN)).toBe('send 1');
    livesOn();
    reload(scene, [ends.destination]);
    expect(held(scene)).toBe(1);
    livesOn();
    reload(scene, [ends.source]);
    expect(held(scene)).toBe(0);
    livesOn();
    // No service has either any more; a new flow of the address is the prefix's again.
    reload(scene, []);
    livesOn();
    expect(ask({ ...SYN, sourcePort: 40_001 })).toBe('send 1');
    expect(flows.flowsByReal[2]).toBe(2);
    tick(scene.director, 1000 + 3_600_000);
    expect(flows.active).toBe(0);
    expect(flows.slots.every((word) => word === 0)).toBe(true);
  });

  test('keeps the way of a packet whose pieces come before and after', () => {
    const scene = make();
    const { director } = scene;
    const ends = { destination: '2001:db8:e:0:ffff::6', source: '2001:db8:c::a' };
    const long = { payload: new Uint8Array(3000).fill(7) };
    scene.receive(dsrUdp6(ends));
    const [first, ...others] = cut6(replyUdp6(REAL, { ...long, destination: ends.source }), 1232);
    scene.receive(first!, { arm: INSIDE });
    reload(scene, [ends.destination, ends.source]);
    // The flow has let go of both, and the packet has not.
    expect(held(scene)).toBe(2);
    const gone = others.map((piece) => hex(scene.receive(piece, { arm: INSIDE }).frame));
    const whole = fromVip(udp6, { source: ends.destination, destination: ends.source, ...long });
    expect(gone).toEqual(cut6(whole, 1232).slice(1).map(hex));
    sweepFragments(director.fragments, director.nowMs + 15_000, director.fragments.entries.length);
    expect(held(scene)).toBe(0);
  });

  test('keeps a client with its real, and the count of its flows', () => {
    const each = { prefixLength: 128 };
    const life: ServiceLife = {
      ...{ onePacket: false, slowStartMs: 0, sorry: -1, failOpen: false },
      persistence: { timeoutMs: 5000, family: 6, ...each },
      limits: { flows: 3, intervalMs: 0, burstMs: 0, ...each },
    };
    const [first, ...others] = services('rr');
    const all = [{ ...first!, life }, ...others];
    const scene = makeScene6({ services: all });
    const ask = (sourcePort: number) =>
      scene.receive(dsr({ source: '2001:db8:c::b', sourcePort })).verdict;
    expect([ask(1), ask(2)]).toEqual(['send 0', 'send 0']);
    reload(scene, ['2001:db8:c::b'], all);
    expect([ask(1), ask(3), ask(4)]).toEqual(['send 0', 'send 0', 'drop source-limited']);
    const { flowsByReal, clients, templates } = scene.director.flows;
    expect([...flowsByReal.slice(0, 2)].toSorted()).toEqual([0, 3]);
    expect([...clients!.flows, ...templates!.flows].filter((count) => count > 0)).toEqual([3, 3]);
  });
});

test('client and VIP are held as long as a flow has them', () => {
  const scene = make('rr', 4);
  const { book } = scene.director.flows;
  const held = () => book.holds.reduce((sum, holds) => sum + holds, 0);
  for (const host of [1, 2, 3]) {
    const destination = `2001:db8:e:0:9000::${host}`;
    scene.receive(nat({ destination, sourcePort: host }));
  }
  expect(held()).toBe(6);
  tick(scene.director, 1000 + 3_600_000);
  expect(scene.director.flows.active).toBe(0);
  expect(held()).toBe(0);
});

test('a flood over all addresses fills no book: half-open flows make room', () => {
  const scene = make('rr', 8);
  for (let host = 1; host < 200; host++) {
    const destination = `2001:db8:d::${host.toString(16)}`;
    const source = `2001:db8:c::${host.toString(16)}`;
    expect(scene.receive(dsr({ destination, source })).verdict).toBe('send 0');
  }
  const { book, active } = scene.director.flows;
  expect(book.holds.reduce((sum, holds) => sum + holds, 0)).toBe(active * 2);
});

// Fullnat over IPv6, packet by packet: to the real every client is an address and port of the pool,
// to the client there is the VIP alone, and whatever speaks of a packet speaks of the one that was
// sent. What comes out is compared with a frame that was built as it should be, sums and all.
import { describe, expect, test } from 'vitest';
import { listFlows } from '../../src/control/list-flows.ts';
import { takeTable, tick } from '../../src/director/director.ts';
import { parseMac } from '../../src/wire/address.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as ndp from '../../src/wire/ndp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { type Check, unchanged } from './checks.ts';
import { addressOf, cut6, icmp6, optionsBefore, type PortFields6, tcp6, udp6 } from './frames6.ts';
import { droppedFor, opened, replied, requested } from './moved.ts';
import { testPackets } from './packet-table.ts';
import {
  type Host,
  INSIDE,
  INSIDE_ARM,
  OUTSIDE,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  type Scene,
  type SceneOptions,
  type ScenePool,
} from './scene.ts';
import {
  ARMS6,
  advertisement,
  CLIENT6,
  errorToClient6,
  errorToVip6,
  makeScene6,
  NAT_REALS6,
  NAT_VIP6,
  NEAR_ROUTER6,
  natTcp6,
  natUdp6,
  ping6,
  replyTcp6,
  replyUdp6,
  services6,
} from './scene6.ts';

const [REAL, OTHER] = [NAT_REALS6[0]!, NAT_REALS6[1]!];
const POOL = '2001:db8:b::200';
const PORT = 61_000;
const ONE_PORT: ScenePool = { addresses: [POOL], firstPort: PORT, portCount: 1 };

const SERVICES = services6().map((service) =>
  service.method === 'nat' ? ({ ...service, method: 'fullnat' } as const) : service,
);
const fullnat = (options: SceneOptions = {}) =>
  makeScene6({ pool: ONE_PORT, services: SERVICES, ...options });

/** What the real answers: to the pool. */
const TO_POOL = { destination: POOL, destinationPort: PORT };
const answerTcp = (fields: Partial<PortFields6> = {}) => replyTcp6(REAL, { ...TO_POOL, ...fields });
const answerUdp = (fields: Partial<PortFields6> = {}) => replyUdp6(REAL, { ...TO_POOL, ...fields });

const is =
  (expected: Uint8Array): Check =>
  (_, after) =>
    expect(Buffer.from(after).toString('hex')).toBe(Buffer.from(expected).toString('hex'));

const atReal = (fields: Partial<PortFields6> = {}) => ({
  ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: POOL, sourcePort: PORT },
  ...{ destination: REAL.address, destinationPort: 8080, hopLimit: 63, ...fields },
});
const atClient = (fields: Partial<PortFields6> = {}) => ({
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: NAT_VIP6, sourcePort: 80 },
  ...{ destination: CLIENT6, destinationPort: 40_000, hopLimit: 63, ...fields },
});

const SYN = { flags: tcp.SYN };
const openTcp = (scene: Scene) => void scene.receive(natTcp6(SYN));
const openUdp = (scene: Scene) => void scene.receive(natUdp6());
const payload = Uint8Array.from({ length: 701 }, (_, index) => index);
const OPTIONS = { first: 0, bytes: [...optionsBefore(60), ...optionsBefore(6)] };
const SUPER = { payload: new Uint8Array(65_000).fill(3), partialChecksum: true };

describe('a request becomes one of the pool:', () => {
  testPackets([
    {
      ...{ name: 'a SYN', scene: fullnat, frame: natTcp6(SYN), verdict: 'send 1' },
      ...{ checks: [is(tcp6(atReal(SYN)))], moved: opened(12, natTcp6(SYN).length) },
    },
    ...[
      { payload },
      { payload, extensions: OPTIONS },
      { payload, partialChecksum: true },
      { flags: tcp.FIN | tcp.ACK },
      { flags: tcp.RST },
    ].map((fields: Partial<PortFields6>, index) => ({
      ...{ name: `TCP ${index}`, scene: fullnat, before: openTcp, frame: natTcp6(fields) },
      ...{ partial: fields.partialChecksum ?? false, verdict: 'send 1' },
      checks: [is(tcp6(atReal(fields)))],
      moved: requested(12, natTcp6(fields).length),
    })),
    {
      ...{ name: 'a super-frame', scene: fullnat, before: openTcp, frame: natTcp6(SUPER) },
      ...{ partial: true, segmentBytes: 1428, verdict: 'send 1' },
      checks: [is(tcp6(atReal(SUPER)))],
      moved: requested(12, natTcp6(SUPER).length),
    },
    {
      ...{ name: 'UDP', scene: fullnat, frame: natUdp6({ payload }), verdict: 'send 1' },
      checks: [is(udp6(atReal({ payload })))],
      moved: opened(14, natUdp6({ payload }).length),
    },
    {
      ...{ name: 'a partial checksum of UDP', scene: fullnat, before: openUdp, partial: true },
      ...{ frame: natUdp6({ payload, partialChecksum: true }), verdict: 'send 1' },
      checks: [is(udp6(atReal({ payload, partialChecksum: true })))],
      moved: requested(14, natUdp6({ payload }).length),
    },
  ]);

  test('UDP whose sum comes out as 0 has 0xffff instead', () => {
    // A payload that is the sum of all the rest makes the sum of the whole 0.
    const rest = udp6(atReal({ payload: new Uint8Array(2) }));
    const data = { payload: rest.slice(54 + 6, 54 + 8) };
    const { frame } = fullnat().receive(natUdp6(data));
    expect(new DataView(frame.buffer).getUint16(54 + 6)).toBe(0xffff);
    is(udp6(atReal(data)))(frame, frame);
  });
});

describe('a reply becomes one of the VIP:', () => {
  testPackets([
    ...[
      { flags: tcp.SYN | tcp.ACK },
      { payload },
      { payload, extensions: OPTIONS },
      { payload, partialChecksum: true },
      { flags: tcp.RST },
    ].map((fields: Partial<PortFields6>, index) => ({
      ...{ name: `TCP ${index}`, scene: fullnat, before: openTcp, frame: answerTcp(fields) },
      ...{ partial: fields.partialChecksum ?? false, arm: INSIDE, verdict: 'send 0' },
      checks: [is(tcp6(atClient(fields)))],
      moved: replied(12, answerTcp(fields).length),
    })),
    {
      ...{ name: 'a super-frame', scene: fullnat, before: openTcp, frame: answerTcp(SUPER) },
      ...{ partial: true, segmentBytes: 1428, arm: INSIDE, verdict: 'send 0' },
      checks: [is(tcp6(atClient(SUPER)))],
      moved: replied(12, answerTcp(SUPER).length),
    },
    {
      ...{ name: 'UDP', scene: fullnat, before: openUdp, frame: answerUdp({ payload }) },
      ...{ arm: INSIDE, verdict: 'send 0', checks: [is(udp6(atClient({ payload })))] },
      moved: replied(14, answerUdp({ payload }).length),
    },
  ]);
});

describe('dropped:', () => {
  const zeroSum = answerUdp();
  new DataView(zeroSum.buffer).setUint16(54 + 6, 0);
  const drop = (reason: string, name: string, frame: Uint8Array, before = openTcp) => ({
    ...{ name: `${reason}: ${name}`, scene: fullnat, before, frame },
    arm: reason === 'no-source-port' ? OUTSIDE : INSIDE,
    ...{ verdict: `drop ${reason}`, checks: [unchanged], moved: droppedFor(reason) },
  });
  testPackets([
    drop('no-flow', 'to another port of the pool', answerTcp({ destinationPort: PORT + 1 })),
    drop('no-flow', 'to the client, past the pool', replyTcp6(REAL)),
    drop('no-service', 'to the pool, of a stranger', answerTcp({ source: '2001:db8:b::77' })),
    drop('udp-no-checksum', 'UDP without a checksum', zeroSum, openUdp),
    drop(
      'no-source-port',
      'one port, and the third client',
      natTcp6({ ...SYN, sourcePort: 3 }),
      (on) => {
        for (const sourcePort of [1, 2]) {
          on.receive(natTcp6({ ...SYN, sourcePort }));
          on.receive(natTcp6({ sourcePort }));
        }
      },
    ),
    drop('no-source-port', 'a pool of IPv4 alone', natTcp6(SYN), (on) => {
      const { table } = on.director;
      Object.assign(table, { pool: { ...table.pool, addresses6: new Int32Array(0) } });
    }),
  ]);

  test('a request whose hop limit is over, and its client is told', () => {
    const scene = fullnat();
    openTcp(scene);
    const { verdict, own } = scene.receive(natTcp6({ hopLimit: 1 }));
    expect([verdict, own.length]).toEqual(['drop ttl-expired', 1]);
    expect(own[0]!.bytes[54]).toBe(icmpv6.TIME_EXCEEDED);
  });

  test('a request too long for the next network, and its client is told how long it may be', () => {
    const scene = fullnat({
      arms: ARMS6.map((arm, index) => ({ ...arm, mtu: index === INSIDE ? 1400 : 1500 })),
    });
    openTcp(scene);
    const long = natTcp6({ payload: new Uint8Array(1400) });
    const { verdict, own } = scene.receive(long);
    expect(verdict).toBe('drop too-big');
    const told = own[0]!.bytes;
    expect([told[54], new DataView(told.buffer).getUint32(58)]).toEqual([2, 1400]);
    expect(Buffer.from(told.subarray(62, 62 + 1232))).toEqual(
      Buffer.from(packetOf(long).subarray(0, 1232)),
    );
  });
});

describe('an ICMPv6 error', () => {
  const kinds = [
    ['TCP', natTcp6, tcp6, replyTcp6],
    ['UDP', natUdp6, udp6, replyUdp6],
  ] as const;
  const open = (scene: Scene) => {
    openTcp(scene);
    openUdp(scene);
  };

  test.each(kinds.flatMap((kind) => [undefined, 48].map((keep) => [...kind, keep] as const)))(
    'about a %s request: the client hears of what it sent, from the VIP',
    (_name, request, make, _reply, keep) => {
      const scene = fullnat();
      open(scene);
      const asSeen = packetOf(make(atReal({ payload, hopLimit: 62 }))).slice(0, keep);
      const asSent = packetOf(request({ payload, hopLimit: 62 })).slice(0, keep);
      const error = errorToClient6(request(), { destination: POOL, data: asSeen });
      const { verdict, frame } = scene.receive(error, { arm: INSIDE });
      expect(verdict).toBe('send 0');
      const expected = icmp6({
        ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: NAT_VIP6 },
        ...{ destination: CLIENT6, type: 2, word: 1400, data: asSent, hopLimit: 63 },
      });
      is(expected)(error, frame);
    },
  );

  test.each(kinds.flatMap((kind) => [undefined, 48].map((keep) => [...kind, keep] as const)))(
    'about a %s reply: the real hears of what it sent, and from the pool',
    (_name, _request, make, reply, keep) => {
      const scene = fullnat();
      open(scene);
      const asSeen = packetOf(make(atClient({ payload, hopLimit: 62 }))).slice(0, keep);
      const asSent = packetOf(reply(REAL, { ...TO_POOL, payload, hopLimit: 62 })).slice(0, keep);
      const error = errorToVip6(NAT_VIP6, reply(REAL), { data: asSeen });
      const { verdict, frame } = scene.receive(error);
      expect(verdict).toBe('send 1');
      const expected = icmp6({
        ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: POOL },
        ...{ destination: REAL.address, type: 2, word: 1400, data: asSent, hopLimit: 63 },
      });
      is(expected)(error, frame);
    },
  );

  test('about a reply of no flow names no port of the pool, so it is dropped', () => {
    const scheduled = SERVICES.map((service) => ({ ...service, scheduler: 'maglev' as const }));
    const error = errorToVip6(NAT_VIP6, tcp6(atClient()));
    for (const services of [SERVICES, scheduled]) {
      expect(fullnat({ services }).receive(error).verdict).toBe('drop icmp-no-flow');
    }
  });

  test('to the pool about a port that nobody has is dropped', () => {
    const data = packetOf(tcp6(atReal({ sourcePort: PORT + 5 })));
    const error = errorToClient6(natTcp6(), { source: NEAR_ROUTER6, destination: POOL, data });
    expect(fullnat().receive(error, { arm: INSIDE }).verdict).toBe('drop icmp-no-flow');
  });
});

describe('fragments', () => {
  const long = Uint8Array.from({ length: 3000 }, (_, index) => index);
  const hex = (frame: Uint8Array) => Buffer.from(frame).toString('hex');
  const sorted = (frame: Uint8Array) => cut6(frame, 1232).map(hex).sort();
  const orders = [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ] as const;
  const play = (scene: Scene, frame: Uint8Array, order: readonly number[], arm: number) => {
    const pieces = cut6(frame, 1232);
    return order
      .flatMap((index) => {
        const { verdict, frame: after, own } = scene.receive(pieces[index]!, { arm });
        return [...(verdict.startsWith('send') ? [after] : []), ...own.map(({ bytes }) => bytes)];
      })
      .map(hex)
      .sort();
  };

  test.each(orders)('of a request, in the order %i %i %i', (...order) => {
    const left = play(fullnat(), natUdp6({ payload: long }), order, 0);
    expect(left).toEqual(sorted(udp6(atReal({ payload: long }))));
  });

  test.each(orders)('of a reply, in the order %i %i %i', (...order) => {
    const scene = fullnat();
    openUdp(scene);
    const left = play(scene, answerUdp({ payload: long }), order, INSIDE);
    expect(left).toEqual(sorted(udp6(atClient({ payload: long }))));
  });

  test('of a reply go to its client, though its flow has ended and its number is given anew', () => {
    const scene = fullnat({ maximumFlows: 1 });
    openUdp(scene);
    const pieces = cut6(answerUdp({ payload: long }), 1232);
    expect(scene.receive(pieces[0]!, { arm: INSIDE }).verdict).toBe('send 0');
    // Another client takes its place in the table, and with it its number.
    scene.receive(natUdp6({ source: '2001:db8:c::8' }));
    const { verdict, frame } = scene.receive(pieces[1]!, { arm: INSIDE });
    expect(verdict).toBe('send 0');
    expect(hex(frame)).toBe(hex(cut6(udp6(atClient({ payload: long })), 1232)[1]!));
  });
});

describe('an address of the pool', () => {
  test('is answered for by NDP', () => {
    const scene = fullnat();
    const mac = parseMac(REAL.mac)!;
    const question = ndp.message({
      ...{ type: icmpv6.NEIGHBOUR_SOLICITATION, source: addressOf(REAL.address) },
      ...{ destination: ndp.groupOf(addressOf(POOL)), target: addressOf(POOL) },
      ...{ macHigh: mac.high, macLow: mac.low },
    });
    const { verdict, own, moved } = scene.receive(question, { arm: INSIDE });
    expect(verdict).toBe('taken');
    expect(moved.ndpAnswers).toBe(1);
    const answer = new DataView(own[0]!.bytes.buffer);
    expect(ipv6.addressAt(answer, ndp.target(54))).toEqual(addressOf(POOL));
    expect(answer.getUint8(54)).toBe(icmpv6.NEIGHBOUR_ADVERTISEMENT);
  });

  test('is announced on its arm, and another host that has it is a conflict', () => {
    const scene = fullnat();
    takeTable(scene.director, scene.director.table);
    const told = scene.director.outbox.filter(({ bytes }) =>
      ipv6.isAddress(new DataView(bytes.buffer), ndp.target(54), addressOf(POOL)),
    );
    expect(told.map(({ arm }) => arm)).toEqual([INSIDE]);
    const other: Host = { mac: '02:00:00:00:0d:77', address: POOL };
    scene.receive(advertisement(other), { arm: INSIDE });
    expect(scene.director.conflicts).toHaveLength(1);
  });

  test('answers pings', () => {
    const [ours, theirs] = [{ word: 7, data: payload }, { sourceMac: REAL.mac }];
    const ping = ping6({
      ...{ ...ours, ...theirs, source: REAL.address },
      ...{ destinationMac: INSIDE_ARM.mac, destination: POOL },
    });
    const { verdict, frame } = fullnat().receive(ping, { arm: INSIDE });
    expect(verdict).toBe('answer 1');
    const answer = icmp6({
      ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: POOL },
      ...{ destination: REAL.address, type: icmpv6.ECHO_REPLY, ...ours },
    });
    is(answer)(ping, frame);
  });
});

describe('the ports of the pool', () => {
  const sourceOf = (frame: Uint8Array) => [
    Buffer.from(frame.subarray(22, 38)).toString('hex'),
    new DataView(frame.buffer, frame.byteOffset).getUint16(54),
  ];

  test('are all taken before one is missed, of every address, and those of IPv4 never', () => {
    const addresses = [POOL, '10.0.0.200', '2001:db8:b::201'];
    const scene = fullnat({ pool: { addresses, firstPort: PORT, portCount: 4 } });
    const seen = new Set<string>();
    // Two reals in turn: eight ports for each.
    for (let sourcePort = 1; sourcePort <= 16; sourcePort++) {
      const { verdict, frame } = scene.receive(natTcp6({ ...SYN, sourcePort }));
      expect(verdict).toBe('send 1');
      scene.receive(natTcp6({ sourcePort }));
      seen.add(`${sourceOf(frame).join()} ${frame[53]}`);
    }
    expect(seen.size).toBe(16);
    const { verdict, moved } = scene.receive(natTcp6({ ...SYN, sourcePort: 17 }));
    expect([verdict, moved['drop no-source-port']]).toEqual(['drop no-source-port', 1]);
  });

  test('a client keeps its address, and the port of a flow that comes again', () => {
    const addresses = [POOL, '2001:db8:b::201', '2001:db8:b::202', '2001:db8:b::203'];
    const pool = { addresses, firstPort: PORT, portCount: 1000 };
    const services = SERVICES.map((service) => ({
      ...service,
      reals: service.reals.filter(({ address }) => address === REAL.address),
    }));
    const scene = fullnat({ pool, services });
    const first = sourceOf(scene.receive(natTcp6(SYN)).frame);
    expect(sourceOf(scene.receive(natTcp6({ ...SYN, sourcePort: 2 })).frame)[0]).toBe(first[0]);
    scene.receive(natTcp6({ flags: tcp.RST }));
    tick(scene.director, scene.director.nowMs + 200_000);
    // Others come in the meantime, so that the client gets another number.
    for (let client = 1; client < 9; client++) {
      scene.receive(natTcp6({ ...SYN, source: `2001:db8:c::1:${client}` }));
    }
    expect(sourceOf(scene.receive(natTcp6(SYN)).frame)).toEqual(first);
  });

  /** The sources that a worker of three gives to more flows than it has ports for. */
  const takenBy = (worker: number, addresses: readonly string[], portCount: number) => {
    const scene = fullnat({ pool: { addresses, firstPort: PORT, portCount } });
    Object.assign(scene.director, { worker, workers: 3 });
    const outcomes = Array.from({ length: 30 }, (_, index) => {
      const outcome = scene.receive(natTcp6({ ...SYN, sourcePort: index + 1 }));
      // An established connection keeps its port.
      scene.receive(natTcp6({ sourcePort: index + 1 }));
      return outcome;
    });
    const sent = outcomes.filter(({ verdict }) => verdict === 'send 1');
    const rest = outcomes.filter(({ verdict }) => verdict === 'drop no-source-port');
    expect(sent.length + rest.length).toBe(outcomes.length);
    const sources = sent.map(({ frame }) => sourceOf(frame));
    const [hosts, ports] = [0, 1].map((part) => [...new Set(sources.map((each) => each[part]))]);
    return { count: sent.length, hosts, ports: ports!.sort() };
  };

  test('are each one of one worker alone', () => {
    // Of ten ports from one that leaves 1 over; two reals have them all.
    const own = [
      [2, 5, 8],
      [0, 3, 6, 9],
      [1, 4, 7],
    ];
    for (const [worker, ports] of own.entries()) {
      const { count, hosts, ports: seen } = takenBy(worker, [POOL], 10);
      expect(seen).toEqual(ports.map((port) => PORT + port));
      expect([count, hosts!.length]).toEqual([2 * ports.length, 1]);
    }
  });

  test('are all of one worker where each has an address', () => {
    const addresses = [POOL, '2001:db8:b::201', '2001:db8:b::202'];
    for (const [worker, address] of addresses.entries()) {
      const { count, hosts, ports } = takenBy(worker, addresses, 5);
      const words = addressOf(address).map((word) => (word >>> 0).toString(16).padStart(8, '0'));
      expect(hosts).toEqual([words.join('')]);
      expect(ports).toEqual([0, 1, 2, 3, 4].map((port) => PORT + port));
      expect(count).toBe(10);
    }
  });

  test('are shown with their flows', () => {
    const scene = fullnat();
    openTcp(scene);
    expect(listFlows(scene.director, 9)).toMatchObject([
      { client: CLIENT6, vip: NAT_VIP6, real: REAL.address, source: POOL, sourcePort: PORT },
    ]);
  });
});

describe('a NAT real that asks the VIP of its own service', () => {
  const SUBNETS = ARMS6.map((arm) => ({
    ...arm,
    subnets6: [{ address: arm.address6, prefixLength: 64 }],
  }));
  const nat = (more: SceneOptions = {}) =>
    makeScene6({ services: services6(), arms: SUBNETS, pool: ONE_PORT, ...more });
  const fromReal = (host: Host) => ({
    ...{ sourceMac: host.mac, destinationMac: INSIDE_ARM.mac, source: host.address },
  });

  test.each([OTHER, REAL])('is answered by way of the director, from the pool: %o', (host) => {
    const scene = nat();
    const request = natTcp6({ ...SYN, ...fromReal(host) });
    const { verdict, frame } = scene.receive(request, { arm: INSIDE });
    expect(verdict).toBe('send 1');
    is(tcp6(atReal(SYN)))(request, frame);
    const answer = answerTcp({ flags: tcp.SYN | tcp.ACK });
    const back = scene.receive(answer, { arm: INSIDE });
    expect(back.verdict).toBe('send 1');
    const there = { sourceMac: INSIDE_ARM.mac, destinationMac: host.mac, flags: tcp.SYN | tcp.ACK };
    is(tcp6(atClient({ ...there, destination: host.address })))(answer, back.frame);
  });

  test('without a pool of its family is sent on as it is', () => {
    const scene = nat({ pool: { ...ONE_PORT, addresses: ['10.0.0.200'] } });
    const request = natTcp6({ ...SYN, ...fromReal(OTHER) });
    const { frame } = scene.receive(request, { arm: INSIDE });
    const seen = { ...SYN, source: OTHER.address, sourcePort: 40_000 };
    is(tcp6(atReal(seen)))(request, frame);
  });

  test('a client elsewhere is seen by its own address, pool or not', () => {
    const request = natTcp6(SYN);
    const { frame } = nat().receive(request);
    is(tcp6(atReal({ ...SYN, source: CLIENT6, sourcePort: 40_000 })))(request, frame);
  });
});

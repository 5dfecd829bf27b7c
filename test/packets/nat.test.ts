// NAT, packet by packet and in both directions: addresses, ports, TTL and MACs change, every sum is
// right afterwards, and nothing else moves.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layWays } from '../../src/director/director.ts';
import { learnNeighbour } from '../../src/director/neighbours.ts';
import { formatIpv4, parseIpv4 } from '../../src/wire/address.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  type Check,
  checksumIs,
  checksumsGood,
  endpoints,
  headerChecksumGood,
  macs,
  partialChecksumGood,
  restUntouched,
  ttlOneLess,
  unchanged,
} from './checks.ts';
import { droppedFor, opened, replied, requested } from './moved.ts';
import { testPackets } from './packet-table.ts';
import {
  CLIENT,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REALS,
  natTcp,
  natUdp,
  OTHER_ROUTER,
  OUTSIDE_ARM,
  ROUTER,
  replyTcp,
  replyUdp,
  type Scene,
  type SceneService,
} from './scene.ts';

const REAL = NAT_REALS[0]!;
const TCP_REAL_ID = 4;
const UDP_REAL_ID = 6;
const REQUEST: readonly Check[] = [
  macs({ from: INSIDE_ARM.mac, to: REAL.mac }),
  endpoints(`${CLIENT}:40000`, '10.0.0.11:8080'),
  ttlOneLess,
  restUntouched,
];
const REPLY: readonly Check[] = [
  macs({ from: OUTSIDE_ARM.mac, to: ROUTER.mac }),
  endpoints('192.0.2.81:80', `${CLIENT}:40000`),
  ttlOneLess,
  restUntouched,
];

const openTcp = (scene: Scene) => void scene.receive(natTcp({ flags: tcp.SYN }));
const openUdp = (scene: Scene) => void scene.receive(natUdp());
const DATA = new Uint8Array(700).map((_, index) => index);
const IP_OPTIONS = Uint8Array.of(1, 1, 1, 0);

/** The frame with its TCP or UDP checksum field set to this; it must have no IP options. */
function withChecksum(frame: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = frame.slice();
  new DataView(copy.buffer).setUint16(34 + offset, value);
  return copy;
}

const requestCases = {
  syn: natTcp({ flags: tcp.SYN }),
  data: natTcp({ payload: DATA }),
  fin: natTcp({ flags: tcp.FIN | tcp.ACK }),
  rst: natTcp({ flags: tcp.RST }),
  options: natTcp({ ipOptions: IP_OPTIONS, options: new Uint8Array(12).fill(1) }),
  partial: natTcp({ payload: new Uint8Array(65_000).fill(3), partialChecksum: true }),
  udp: natUdp({ payload: DATA }),
  udpPartial: natUdp({ payload: DATA, partialChecksum: true }),
  udpBare: withChecksum(natUdp({ payload: DATA }), 6, 0),
};

describe('a request', () => {
  testPackets([
    {
      ...{ name: 'TCP: a SYN', frame: requestCases.syn, verdict: 'send 1' },
      checks: [...REQUEST, checksumsGood],
      moved: opened(TCP_REAL_ID, requestCases.syn.length),
    },
    ...(['data', 'fin', 'rst', 'options'] as const).map((name) => ({
      ...{ name: `TCP: ${name}`, before: openTcp, frame: requestCases[name], verdict: 'send 1' },
      checks: [...REQUEST, checksumsGood],
      moved: requested(TCP_REAL_ID, requestCases[name].length),
    })),
    {
      ...{ name: 'TCP: a super-frame with a partial checksum', frame: requestCases.partial },
      ...{ before: openTcp, partial: true, segmentBytes: 1448, verdict: 'send 1' },
      checks: [...REQUEST, partialChecksumGood],
      moved: requested(TCP_REAL_ID, requestCases.partial.length),
    },
    {
      ...{ name: 'UDP', frame: requestCases.udp, verdict: 'send 1' },
      checks: [...REQUEST, checksumsGood],
      moved: opened(UDP_REAL_ID, requestCases.udp.length),
    },
    {
      ...{ name: 'UDP with a partial checksum', frame: requestCases.udpPartial, partial: true },
      verdict: 'send 1',
      checks: [...REQUEST, partialChecksumGood],
      moved: opened(UDP_REAL_ID, requestCases.udpPartial.length),
    },
    {
      ...{ name: 'UDP without a checksum gets none', frame: requestCases.udpBare },
      verdict: 'send 1',
      checks: [...REQUEST, headerChecksumGood, checksumIs(0)],
      moved: opened(UDP_REAL_ID, requestCases.udpBare.length),
    },
    {
      ...{ name: 'a TTL of 1 ends here', before: openTcp, frame: natTcp({ timeToLive: 1 }) },
      verdict: 'drop ttl-expired',
      checks: [unchanged],
      moved: { ...droppedFor('ttl-expired'), ownErrors: 1 },
    },
    {
      ...{ name: 'a TTL of 1 opens no flow', frame: natTcp({ flags: tcp.SYN, timeToLive: 1 }) },
      verdict: 'drop ttl-expired',
      checks: [unchanged],
      moved: { ...droppedFor('ttl-expired'), ownErrors: 1 },
    },
    {
      ...{ name: 'a TTL of 1 opens no flow of UDP', frame: natUdp({ timeToLive: 1 }) },
      verdict: 'drop ttl-expired',
      checks: [unchanged],
      moved: { ...droppedFor('ttl-expired'), ownErrors: 1 },
    },
    {
      ...{ name: 'a TTL of 0 as well', before: openTcp, frame: natTcp({ timeToLive: 0 }) },
      verdict: 'drop ttl-expired',
      checks: [unchanged],
      moved: { ...droppedFor('ttl-expired'), ownErrors: 1 },
    },
    {
      ...{ name: 'a TTL of 2 goes on', before: openTcp, frame: natTcp({ timeToLive: 2 }) },
      verdict: 'send 1',
      checks: [...REQUEST, checksumsGood],
      moved: requested(TCP_REAL_ID, natTcp().length),
    },
  ]);
});

const replyCases = {
  synAck: replyTcp(REAL, { flags: tcp.SYN | tcp.ACK }),
  data: replyTcp(REAL, { payload: DATA }),
  options: replyTcp(REAL, { ipOptions: IP_OPTIONS, options: new Uint8Array(12).fill(1) }),
  rst: replyTcp(REAL, { flags: tcp.RST | tcp.ACK }),
  partial: replyTcp(REAL, { payload: new Uint8Array(65_000).fill(3), partialChecksum: true }),
  udp: replyUdp(REAL, { payload: DATA }),
  udpPartial: replyUdp(REAL, { payload: DATA, partialChecksum: true }),
  udpBare: withChecksum(replyUdp(REAL, { payload: DATA }), 6, 0),
};

describe('a reply', () => {
  const from = { arm: INSIDE, verdict: 'send 0' };
  testPackets([
    ...(['synAck', 'data', 'options', 'rst'] as const).map((name) => ({
      ...{ name: `TCP: ${name}`, before: openTcp, frame: replyCases[name], ...from },
      checks: [...REPLY, checksumsGood],
      moved: replied(TCP_REAL_ID, replyCases[name].length),
    })),
    {
      ...{ name: 'TCP: a super-frame with a partial checksum', frame: replyCases.partial },
      ...{ before: openTcp, partial: true, segmentBytes: 1448, ...from },
      checks: [...REPLY, partialChecksumGood],
      moved: replied(TCP_REAL_ID, replyCases.partial.length),
    },
    {
      ...{ name: 'UDP', before: openUdp, frame: replyCases.udp, ...from },
      checks: [...REPLY, checksumsGood],
      moved: replied(UDP_REAL_ID, replyCases.udp.length),
    },
    {
      ...{ name: 'UDP with a partial checksum', before: openUdp, frame: replyCases.udpPartial },
      ...{ partial: true, ...from },
      checks: [...REPLY, partialChecksumGood],
      moved: replied(UDP_REAL_ID, replyCases.udpPartial.length),
    },
    {
      ...{ name: 'UDP without a checksum gets none', before: openUdp, frame: replyCases.udpBare },
      ...from,
      checks: [...REPLY, headerChecksumGood, checksumIs(0)],
      moved: replied(UDP_REAL_ID, replyCases.udpBare.length),
    },
    {
      ...{ name: 'a TTL of 1 ends here', before: openTcp, arm: INSIDE },
      ...{ frame: replyTcp(REAL, { timeToLive: 1 }), verdict: 'drop ttl-expired' },
      checks: [unchanged],
      moved: { ...droppedFor('ttl-expired'), ownErrors: 1 },
    },
    {
      ...{ name: 'of no flow is dropped', frame: replyCases.data, arm: INSIDE },
      verdict: 'drop no-flow',
      checks: [unchanged],
      moved: droppedFor('no-flow'),
    },
    {
      ...{ name: 'to the director itself is passed', arm: INSIDE, verdict: 'pass' },
      frame: replyTcp(REAL, { destination: INSIDE_ARM.address }),
      checks: [unchanged],
      moved: {},
    },
    {
      ...{ name: 'of another protocol is passed', arm: INSIDE, verdict: 'pass' },
      scene: () => makeScene({ services: [udpOnly] }),
      frame: replyCases.data,
      checks: [unchanged],
      moved: {},
    },
    {
      ...{ name: "from another port of a real is the host's own affair", before: openTcp },
      ...{ arm: INSIDE, verdict: 'pass', frame: replyTcp(REAL, { sourcePort: 22 }) },
      checks: [unchanged],
      moved: {},
    },
  ]);
});

const udpOnly: SceneService = {
  ...{ id: 0, vip: '192.0.2.81', port: 80, protocol: 17, method: 'nat', scheduler: 'rr' },
  reals: [{ id: 0, address: REAL.address, port: 8080, arm: INSIDE }],
};

describe('replies go to where the latest request came from', () => {
  const next = (scene: Scene) =>
    scene.receive(replyTcp(REAL), { arm: INSIDE }).frame.slice(0, 6).join();
  const macBytes = (mac: string) => mac.split(':').map((pair) => Number.parseInt(pair, 16));

  test('also when the client comes over another router', () => {
    const scene = makeScene();
    openTcp(scene);
    expect(next(scene)).toBe(macBytes(ROUTER.mac).join());
    scene.receive(natTcp({ sourceMac: OTHER_ROUTER.mac }));
    expect(next(scene)).toBe(macBytes(OTHER_ROUTER.mac).join());
    scene.receive(natTcp());
    expect(next(scene)).toBe(macBytes(ROUTER.mac).join());
  });

  test.each([
    ['from the first packet on', [tcp.SYN]],
    ['in the middle', [undefined, tcp.ACK]],
  ])('also when it comes over another arm, %s', (_, course) => {
    const scene = makeScene();
    for (const flags of course) {
      if (flags === undefined) openTcp(scene);
      else scene.receive(overInside(flags), { arm: INSIDE });
    }
    const reply = scene.receive(replyTcp(REAL), { arm: INSIDE });
    expect(reply.verdict).toBe('send 1');
    macs({ from: INSIDE_ARM.mac, to: OTHER_ROUTER.mac })(reply.frame, reply.frame);
  });

  const overInside = (flags: number) =>
    natTcp({ flags, destinationMac: INSIDE_ARM.mac, sourceMac: OTHER_ROUTER.mac });
});

describe('the sums', () => {
  test('a UDP checksum that comes out as 0 is written as 0xffff', () => {
    // Two bytes of data are chosen so that the sum of the request, once rewritten, is minus zero.
    const probe = makeScene().receive(natUdp({ payload: Uint8Array.of(0, 0) })).frame;
    const missing = new DataView(probe.buffer).getUint16(34 + 6);
    const frame = natUdp({ payload: Uint8Array.of(missing >>> 8, missing & 0xff) });
    const { frame: after } = makeScene().receive(frame);
    checksumsGood(frame, after);
    checksumIs(0xffff)(frame, after);
  });

  test('a wrong checksum is not healed: the error stays as large as it was', () => {
    const good = natTcp({ flags: tcp.SYN });
    const sum = new DataView(good.buffer).getUint16(34 + 16);
    const bad = withChecksum(good, 16, sum ^ 0x0101);
    const { frame } = makeScene().receive(bad);
    expect(() => checksumsGood(bad, frame)).toThrow();
  });

  const octet = fc.integer({ min: 0, max: 255 });
  const address = fc
    .integer({ min: -0x8000_0000, max: 0x7fff_ffff })
    .filter((value) => value !== 0)
    .map(formatIpv4);
  /** Of a host. */
  const client = fc
    .integer({ min: 0x0100_0000, max: 0xdfff_ffff })
    .filter((value) => value >>> 24 !== 127)
    .map(formatIpv4);
  const port = fc.integer({ min: 0, max: 0xffff });
  // Port 0 of a real stands for the one that was asked for.
  const realPort = fc.integer({ min: 1, max: 0xffff });

  test.each([6, 17] as const)('are right for any flow of protocol %i, both ways', (protocol) => {
    const flow = fc.record({
      ...{ vip: address, real: address, client, clientPort: port },
      ...{ vipPort: port, realPort, timeToLive: fc.integer({ min: 2, max: 255 }) },
      ...{ data: fc.array(octet, { maxLength: 30 }), partialChecksum: fc.boolean() },
    });
    fc.assert(
      fc.property(flow, (given) => {
        // A real that is a VIP, or a client that is either, is no NAT.
        fc.pre(new Set([given.vip, given.real, given.client]).size === 3);
        roundTrip(given, protocol);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['the same port', { vip: '192.0.2.81', real: '10.0.0.11', vipPort: 80, realPort: 80 }],
    ['a sum of the addresses that does not change', { vip: '10.0.0.1', real: '0.1.10.0' }],
    ['all bits set', { vip: '255.255.255.255', real: '255.255.255.254', clientPort: 0xffff }],
    ['ports 0', { clientPort: 0, vipPort: 0, realPort: 0 }],
  ])('are right with %s', (_, special) => {
    const usual = { vip: '192.0.2.81', real: '10.0.0.11', client: CLIENT, clientPort: 40_000 };
    const rest = { vipPort: 80, realPort: 8080, timeToLive: 2, data: [1], partialChecksum: false };
    for (const protocol of [6, 17] as const) {
      roundTrip({ ...usual, ...rest, ...special }, protocol);
      roundTrip({ ...usual, ...rest, ...special, partialChecksum: true }, protocol);
    }
  });
});

interface AnyFlow {
  readonly vip: string;
  readonly real: string;
  readonly client: string;
  readonly clientPort: number;
  readonly vipPort: number;
  readonly realPort: number;
  readonly timeToLive: number;
  readonly data: readonly number[];
  readonly partialChecksum: boolean;
}

const REAL_MAC = { high: 0x02000000, low: 0x0201 };

/** A request to the real and its reply to the client, with all sums looked at. */
function roundTrip(flow: AnyFlow, protocol: 6 | 17): void {
  const { vip, real, client, clientPort, vipPort, realPort, partialChecksum } = flow;
  const service = { id: 0, protocol, method: 'nat', scheduler: 'rr' } as const;
  const scene = makeScene({
    services: [
      { ...service, vip, port: vipPort, reals: [{ id: 0, address: real, port: realPort, arm: 1 }] },
    ],
    resolved: [],
  });
  const { high, low } = REAL_MAC;
  const address = parseIpv4(real) ?? 0;
  learnNeighbour(scene.director.neighbours, { arm: 1, address, high, low }, 0);
  layWays(scene.director);
  const { timeToLive, data } = flow;
  const common = { timeToLive, partialChecksum, payload: Uint8Array.from(data) };
  const good = partialChecksum ? partialChecksumGood : checksumsGood;
  const [request, reply] = protocol === 6 ? [natTcp, replyTcp] : [natUdp, replyUdp];
  const asked = request({
    ...{ ...common, source: client, sourcePort: clientPort, flags: tcp.SYN },
    ...{ destination: vip, destinationPort: vipPort },
  });
  const there = scene.receive(asked, { partial: partialChecksum });
  expect(there.verdict).toBe('send 1');
  endpoints(`${client}:${clientPort}`, `${real}:${realPort}`)(asked, there.frame);
  good(asked, there.frame);
  const answered = reply(REAL, {
    ...{ ...common, source: real, sourcePort: realPort },
    ...{ destination: client, destinationPort: clientPort },
  });
  const back = scene.receive(answered, { arm: INSIDE, partial: partialChecksum });
  expect(back.verdict).toBe('send 0');
  endpoints(`${vip}:${vipPort}`, `${client}:${clientPort}`)(answered, back.frame);
  good(answered, back.frame);
}

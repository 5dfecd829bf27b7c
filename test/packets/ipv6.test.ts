// IPv6 beside IPv4: packets of both methods there and back, what opens a flow, what is dropped and
// why, pings, and packets that are too long or too old. What comes out is compared with a frame
// that was built as it should be, sums and all.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { listFlows } from '../../src/control/list-flows.ts';
import { parseIpv6 } from '../../src/wire/address.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { type Check, macs, onlyMacsChanged, unchanged } from './checks.ts';
import { icmp6, optionsBefore, type PortFields6, tcp6, udp6 } from './frames6.ts';
import { droppedFor, opened, replied, requested } from './moved.ts';
import { type PacketCase, testPackets } from './packet-table.ts';
import {
  dsrTcp,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  OTHER_ROUTER,
  OUTSIDE_ARM,
  ROUTER,
  type Scene,
} from './scene.ts';
import {
  ARMS6,
  CLIENT6,
  DSR_REALS6,
  DSR_VIP6,
  dsrTcp6,
  dsrUdp6,
  INSIDE_ADDRESS,
  makeScene6,
  NAT_REALS6,
  NAT_VIP6,
  natTcp6,
  natUdp6,
  OUTSIDE_ADDRESS,
  ping6,
  replyTcp6,
  replyUdp6,
} from './scene6.ts';

const SYN = { flags: tcp.SYN };
const payload = Uint8Array.from({ length: 33 }, (_, index) => index);
const REAL = NAT_REALS6[0]!;
const OPTIONS = { first: 0, bytes: [...optionsBefore(60), ...optionsBefore(6)] };
const UDP_OPTIONS = { first: 60, bytes: optionsBefore(17) };

const is =
  (expected: Uint8Array): Check =>
  (_, after) =>
    expect(Buffer.from(after).toString('hex')).toBe(Buffer.from(expected).toString('hex'));

const scene = () => makeScene6();
const toReal: readonly Check[] = [
  onlyMacsChanged,
  macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS6[0]!.mac }),
];

function openAll(scene: Scene): void {
  for (const frame of [dsrTcp6(SYN), dsrUdp6(), natTcp6(SYN), natUdp6()]) scene.receive(frame);
}

describe('DSR changes the MAC addresses alone:', () => {
  const data = dsrTcp6({ payload });
  const udp = dsrUdp6({ payload, hopLimit: 1 });
  const extended = dsrTcp6({ payload, extensions: OPTIONS });
  const partial = dsrUdp6({ payload, partialChecksum: true });
  const row = (name: string, frame: Uint8Array, real: number, more: Partial<PacketCase> = {}) => ({
    ...{ name, frame, scene, before: openAll, verdict: 'send 0', checks: toReal },
    ...{ moved: requested(real, frame.length), ...more },
  });
  testPackets([
    row('a SYN', dsrTcp6(SYN), 8, { before: () => {}, moved: opened(8, 74) }),
    row('a first datagram', udp, 10, { before: () => {}, moved: opened(10, udp.length) }),
    row('TCP', data, 8),
    row('UDP, with a hop limit of 1', udp, 10),
    row('behind extension headers', extended, 8),
    row('a partial checksum', partial, 10, { partial: true }),
    row('a FIN', dsrTcp6({ flags: tcp.FIN | tcp.ACK }), 8),
  ]);
});

const atReal = (fields: Partial<PortFields6>, hopLimit = 63) => ({
  ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: CLIENT6, sourcePort: 40_000 },
  ...{ destination: REAL.address, destinationPort: 8080, hopLimit, ...fields },
});
const atClient = (fields: Partial<PortFields6>) => ({
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: NAT_VIP6, sourcePort: 80 },
  ...{ destination: CLIENT6, destinationPort: 40_000, hopLimit: 63, ...fields },
});

describe('NAT changes addresses, ports, hop limit and sums:', () => {
  const request = (
    name: string,
    [from, to]: readonly [typeof natTcp6, typeof tcp6],
    fields: Partial<PortFields6>,
    real: number,
  ): PacketCase => ({
    ...{ name, scene, before: openAll, frame: from(fields), verdict: 'send 1' },
    ...{ partial: fields.partialChecksum ?? false, checks: [is(to(atReal(fields)))] },
    moved: requested(real, from(fields).length),
  });
  const reply = (
    name: string,
    [from, to]: readonly [typeof replyTcp6, typeof tcp6],
    fields: Partial<PortFields6>,
    real: number,
  ): PacketCase => ({
    ...{ name, scene, before: openAll, frame: from(REAL, fields), arm: INSIDE, verdict: 'send 0' },
    ...{ partial: fields.partialChecksum ?? false, checks: [is(to(atClient(fields)))] },
    moved: replied(real, from(REAL, fields).length),
  });
  const [TCP, UDP] = [[natTcp6, tcp6] as const, [natUdp6, udp6] as const];
  const [TCP_BACK, UDP_BACK] = [[replyTcp6, tcp6] as const, [replyUdp6, udp6] as const];
  testPackets([
    {
      ...{ name: 'a SYN', scene, frame: natTcp6(SYN), verdict: 'send 1', moved: opened(12, 74) },
      checks: [is(tcp6(atReal(SYN)))],
    },
    request('TCP', TCP, { payload }, 12),
    request('UDP', UDP, { payload }, 14),
    request('behind extension headers', TCP, { payload, extensions: OPTIONS }, 12),
    request('UDP behind an extension header', UDP, { extensions: UDP_OPTIONS }, 14),
    request('a partial checksum', TCP, { payload, partialChecksum: true }, 12),
    request('a partial checksum of UDP', UDP, { payload, partialChecksum: true }, 14),
    reply('TCP, back', TCP_BACK, { payload }, 12),
    reply('UDP, back', UDP_BACK, { payload }, 14),
    reply('a partial checksum, back', TCP_BACK, { payload, partialChecksum: true }, 12),
    reply('behind extension headers, back', TCP_BACK, { payload, extensions: OPTIONS }, 12),
  ]);

  test('replies follow a client that comes by another router', () => {
    const scene = makeScene6();
    scene.receive(natTcp6(SYN));
    scene.receive(natTcp6({ sourceMac: OTHER_ROUTER.mac }));
    const { frame } = scene.receive(replyTcp6(REAL), { arm: INSIDE });
    macs({ from: OUTSIDE_ARM.mac, to: OTHER_ROUTER.mac })(frame, frame);
  });

  const port = fc.integer({ min: 1, max: 0xffff });
  const flow = fc.record({
    ...{ sourcePort: port, payload: fc.uint8Array({ maxLength: 90 }), isTcp: fc.boolean() },
    client: fc.uint8Array({ minLength: 14, maxLength: 14 }),
  });
  test('of any packet, there and back', () => {
    fc.assert(
      fc.property(flow, ({ sourcePort, payload, isTcp, client }) => {
        const groups = Array.from({ length: 7 }, (_, at) => client[at * 2]! * 256 + client[at]!);
        const source = ['2001', ...groups.map((group) => group.toString(16))].join(':');
        expect(parseIpv6(source)).toBeDefined();
        const scene = makeScene6();
        const [there, make] = isTcp ? [natTcp6, tcp6] : [natUdp6, udp6];
        const back = isTcp ? replyTcp6 : replyUdp6;
        const fields = { source, sourcePort, payload, ...SYN };
        const sent = scene.receive(there(fields));
        expect(sent.verdict).toBe('send 1');
        is(make(atReal(fields)))(sent.frame, sent.frame);
        const answer = { destination: source, destinationPort: sourcePort, payload };
        const returned = scene.receive(back(REAL, answer), { arm: INSIDE });
        expect(returned.verdict).toBe('send 0');
        is(make(atClient(answer)))(returned.frame, returned.frame);
      }),
      { numRuns: 400 },
    );
  });
});

const changed = (frame: Uint8Array, at: number, ...bytes: number[]) => {
  const copy = frame.slice();
  copy.set(bytes, at);
  return copy;
};

describe('dropped:', () => {
  const row = (
    reason: string,
    name: string,
    frame: Uint8Array,
    more: Partial<PacketCase> = {},
  ) => ({
    ...{ name: `${reason}: ${name}`, scene, before: openAll, frame, verdict: `drop ${reason}` },
    ...{ checks: [unchanged], moved: droppedFor(reason), ...more },
  });
  const noSum = (frame: Uint8Array) => changed(frame, 14 + 40 + 6, 0, 0);
  const unresolved = () => makeScene6({ resolved6: [] });
  const none = { before: () => {} };
  testPackets([
    row('ipv6-truncated', 'a header of 39 bytes', dsrTcp6().slice(0, 14 + 39)),
    row('ipv6-version', 'version 4', changed(dsrTcp6(), 14, 0x45)),
    row('ipv6-length', 'longer than the frame', dsrTcp6().slice(0, 73)),
    row('ipv6-length', 'a jumbogram', changed(dsrTcp6(), 14 + 4, 0, 0, 0)),
    row('ipv6-extension', 'beyond the packet', changed(dsrTcp6(), 14 + 6, 60, 64, 60, 60)),
    row('ipv6-extension', 'torn', changed(dsrTcp6(), 14 + 5, 4, 60).slice(0, 58)),
    row('tcp-truncated', 'TCP', changed(dsrTcp6(), 14 + 5, 19)),
    row('udp-length', 'UDP', changed(dsrUdp6(), 14 + 40 + 5, 9)),
    row('udp-no-checksum', 'by DSR', noSum(dsrUdp6())),
    row('udp-no-checksum', 'by NAT', noSum(natUdp6())),
    row('udp-no-checksum', 'back', noSum(replyUdp6(REAL)), { arm: INSIDE }),
    row('no-service', 'another port', dsrTcp6({ destinationPort: 81 })),
    row('no-flow', 'an ACK of nobody', dsrTcp6({ sourcePort: 5 })),
    row('no-flow', 'a reply of nobody', replyTcp6(REAL, { destinationPort: 5 }), { arm: INSIDE }),
    row('real-unresolved', 'nobody has answered', dsrTcp6(SYN), { scene: unresolved, ...none }),
    row('ip-protocol', 'none', changed(dsrTcp6(), 14 + 6, 59)),
    row('ip-protocol', 'ESP', changed(dsrTcp6(), 14 + 6, 50)),
    row(
      'ip-protocol',
      'routed on',
      dsrTcp6({
        extensions: { first: 43, bytes: [6, 2, 2, 1, ...new Array(20).fill(0)] },
      }),
    ),
    row('icmp-type', 'a multicast listener report', ping6({ type: 143 })),
    row('icmp-type', 'an unknown error', ping6({ type: 5 })),
    row('icmp-truncated', 'a ping', changed(ping6(), 14 + 5, 7)),
    row('icmp-checksum', 'a ping', changed(ping6(), 14 + 40 + 2, 9)),
  ]);

  test('flow-table-full, and the client is forgotten', () => {
    const scene = makeScene6({ maximumFlows: 1 });
    scene.receive(natUdp6());
    scene.receive(natUdp6());
    const { verdict } = scene.receive(natUdp6({ source: '2001:db8::99' }));
    expect(verdict).toBe('drop flow-table-full');
    expect(scene.director.flows.book.fresh).toBe(2);
    expect(scene.director.flows.book.freeEntry).toBe(1);
  });

  test('but by DSR it is sent on and nobody remembers it', () => {
    const scene = makeScene6({ maximumFlows: 1 });
    scene.receive(dsrUdp6());
    scene.receive(dsrUdp6());
    const { verdict, moved } = scene.receive(dsrUdp6({ source: '2001:db8::99' }));
    expect(verdict).toBe('send 0');
    expect(moved.statelessPackets).toBe(1);
    const { holds } = scene.director.flows.book;
    expect([holds[0], holds.slice(1).some((count) => count !== 0)]).toEqual([1, false]);
  });

  test('flow-conflict: the same real by two services', () => {
    const second = '2001:db8:a::82';
    const real = { id: 0, address: REAL.address, port: 8080, arm: INSIDE };
    const service = { port: 80, protocol: 6, method: 'nat', scheduler: 'rr' } as const;
    const services = [
      { ...service, id: 0, vip: NAT_VIP6, reals: [real] },
      { ...service, id: 1, vip: second, reals: [{ ...real, id: 1 }] },
    ];
    const scene = makeScene6({ services, resolved: [] });
    expect(scene.receive(natTcp6(SYN)).verdict).toBe('send 1');
    const { verdict } = scene.receive(natTcp6({ ...SYN, destination: second }));
    expect(verdict).toBe('drop flow-conflict');
    expect(scene.director.flows.book.fresh).toBe(1);
  });
});

describe('none of its business:', () => {
  const row = (name: string, frame: Uint8Array, more: Partial<PacketCase> = {}): PacketCase => ({
    ...{ name, scene, before: openAll, frame, verdict: 'pass', checks: [unchanged], moved: {} },
    ...more,
  });
  testPackets([
    row('to somebody else', dsrTcp6({ destination: '2001:db8::dead' })),
    row('to another station', dsrTcp6({ destinationMac: '02:00:00:00:0e:0e' })),
    row('to a group', dsrTcp6({ destinationMac: '33:33:00:00:00:01', destination: 'ff02::1' })),
    row('torn, to a group', dsrTcp6({ destinationMac: '33:33:00:00:00:01' }).slice(0, 50)),
    row('from another port of a real', replyTcp6(REAL, { sourcePort: 22 }), { arm: INSIDE }),
    row(
      "to the director's host, from a real",
      replyTcp6(REAL, { destination: INSIDE_ADDRESS, destinationPort: 5 }),
      { arm: INSIDE },
    ),
    row(
      "to the director's link-local address, from a real",
      replyTcp6(REAL, { destination: 'fe80::5', destinationPort: 5 }),
      { arm: INSIDE },
    ),
    row("a ping of the director's host", ping6({ destination: OUTSIDE_ADDRESS })),
    row('all of it, without a service of IPv6', dsrTcp6(SYN), {
      scene: () => makeScene({ arms: ARMS6 }),
      before: () => {},
    }),
  ]);
});

describe('a ping to a VIP is answered', () => {
  const fields = { word: 0x12340005, data: payload };
  const answer = icmp6({
    ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: DSR_VIP6 },
    ...{ destination: CLIENT6, type: 129, ...fields },
  });
  testPackets([
    {
      ...{ name: 'whole', scene, frame: ping6({ ...fields, hopLimit: 3 }), verdict: 'answer 0' },
      ...{ checks: [is(answer)], moved: { echoAnswers: 1 } },
    },
  ]);
});

describe('flows of both families', () => {
  test('live side by side, and are shown', () => {
    const scene = makeScene6();
    expect(scene.receive(dsrTcp(SYN)).verdict).toBe('send 0');
    expect(scene.receive(natTcp6(SYN)).verdict).toBe('send 1');
    scene.receive(natUdp6());
    expect(listFlows(scene.director, 9)).toMatchObject([
      { protocol: 'tcp', client: '198.51.100.7', vip: '192.0.2.80', method: 'dsr' },
      { protocol: 'tcp', client: CLIENT6, vip: NAT_VIP6, real: REAL.address, realPort: 8080 },
      { protocol: 'udp', client: CLIENT6, clientPort: 40_000, vip: NAT_VIP6, method: 'nat' },
    ]);
  });

  test('a client is known for as long as it has a flow', () => {
    const scene = makeScene6();
    const { book } = scene.director.flows;
    openAll(scene);
    expect([...book.holds.slice(0, 2)]).toEqual([4, 0]);
    scene.director.nowMs += 100_000_000;
    scene.receive(dsrUdp6());
    expect([...book.holds.slice(0, 2)]).toEqual([4, 0]);
  });

  test('a SYN on a flow that has ended is a new flow', () => {
    const scene = makeScene6();
    scene.receive(dsrTcp6(SYN));
    scene.receive(dsrTcp6());
    scene.receive(dsrTcp6({ flags: tcp.RST }));
    const { moved, frame } = scene.receive(dsrTcp6(SYN));
    expect(moved.openedFlows).toBe(1);
    macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS6[1]!.mac })(frame, frame);
  });

  test('one client without its port goes to one real by source hash', () => {
    const scene = makeScene6({ scheduler: 'sh' });
    const ways = [1, 2, 3, 4, 5].map((sourcePort) =>
      scene.receive(dsrUdp6({ sourcePort })).frame.slice(0, 6).join(),
    );
    expect(new Set(ways).size).toBe(1);
  });
});

describe('told of by the director:', () => {
  const told = { ownErrors: 1 };
  const quoting = (frame: Uint8Array) => frame.slice(14, 14 + 1232);
  const fromOutside = {
    ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: OUTSIDE_ADDRESS },
    ...{ destination: CLIENT6, flowLabel: 0 },
  };
  const long = dsrTcp6({ payload: new Uint8Array(1500) });
  const old = natTcp6({ hopLimit: 1 });
  const lastReply = replyUdp6(REAL, { hopLimit: 1 });
  const rows: [string, Uint8Array, string, Uint8Array, number][] = [
    [
      'a packet that is too long',
      long,
      'too-big',
      icmp6({ ...fromOutside, type: 2, word: 1500, data: quoting(long) }),
      0,
    ],
    [
      'a hop limit that is over',
      old,
      'ttl-expired',
      icmp6({ ...fromOutside, type: 3, data: quoting(old) }),
      0,
    ],
    [
      'a hop limit that is over on the way back',
      lastReply,
      'ttl-expired',
      icmp6({
        ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: INSIDE_ADDRESS },
        ...{ destination: REAL.address, flowLabel: 0, type: 3, data: quoting(lastReply) },
      }),
      INSIDE,
    ],
  ];
  test.each(rows)('%s', (_, frame, reason, error, arm) => {
    const scene = makeScene6();
    openAll(scene);
    const outcome = scene.receive(frame, { arm });
    expect(outcome.verdict).toBe(`drop ${reason}`);
    expect(outcome.moved).toEqual({ ...droppedFor(reason), ...told });
    expect(outcome.own.map((each) => each.arm)).toEqual([arm]);
    is(error)(error, outcome.own[0]!.bytes);
  });

  test('a super-frame goes by the length of its segments', () => {
    const scene = makeScene6();
    openAll(scene);
    const frame = natTcp6({ payload: new Uint8Array(4000), partialChecksum: true });
    const receive = (segmentBytes: number) =>
      scene.receive(frame, { partial: true, segmentBytes }).verdict;
    expect(receive(1440)).toBe('send 1');
    expect(receive(1441)).toBe('drop too-big');
  });

  test('by an arm without an address of its own, as the VIP', () => {
    const arms = ARMS6.map(({ address6, ...arm }) => arm);
    const scene = makeScene6({ arms });
    openAll(scene);
    const [error] = scene.receive(old).own;
    is(icmp6({ ...fromOutside, source: NAT_VIP6, type: 3, data: quoting(old) }))(old, error!.bytes);
  });

  test.each(['::', 'ff02::5'])('but not to %s', (source) => {
    const scene = makeScene6();
    const outcome = scene.receive(natUdp6({ source, hopLimit: 1 }));
    expect(outcome.verdict).toBe('drop ttl-expired');
    expect(outcome.own).toEqual([]);
  });
});

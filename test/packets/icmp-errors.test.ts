// ICMP errors, packet by packet: each goes to the one whose packet it speaks of, and by NAT that
// one reads of the very packet that it sent. What is expected is built anew, byte for byte.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { icmpEchoFrame, icmpErrorFrame, tcpFrame, udpFrame } from '../../lab/frame.ts';
import { formatIpv4, parseIpv4 } from '../../src/wire/address.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { type Check, macs, onlyMacsChanged, unchanged } from './checks.ts';
import { droppedFor } from './moved.ts';
import { type PacketCase, testPackets } from './packet-table.ts';
import {
  CLIENT,
  DSR_REALS,
  DSR_VIP,
  dsrTcp,
  dsrUdp,
  errorToClient,
  errorToVip,
  FAR_ROUTER,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  NEAR_ROUTER,
  natTcp,
  natUdp,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  replyTcp,
  replyUdp,
  type Scene,
  standardServices,
} from './scene.ts';

const SYN = { flags: tcp.SYN };
const REAL = NAT_REALS[0]!;
const DATA = new Uint8Array(600).map((_, index) => index);
const IP_OPTIONS = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);

const openAll = (scene: Scene) => {
  for (const frame of [dsrTcp(SYN), dsrUdp(), natTcp(SYN), natUdp()]) scene.receive(frame);
};

/** What a client-side router quotes: a reply as it left as from the VIP. */
const fromVip = (vip: string) => ({
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: vip, sourcePort: 80 },
  ...{ destination: CLIENT, destinationPort: 40_000, timeToLive: 60, payload: DATA },
});
const dsrReply = tcpFrame(fromVip(DSR_VIP));
const dsrUdpReply = udpFrame(fromVip(DSR_VIP));
const natReply = tcpFrame(fromVip(NAT_VIP));

const changed = (frame: Uint8Array, at: number, ...bytes: number[]) => {
  const copy = frame.slice();
  copy.set(bytes, at);
  return copy;
};
const quoting = (quote: Uint8Array) => errorToVip(DSR_VIP, dsrReply, { quote });

const relayed = (name: string, frame: Uint8Array, more: Partial<PacketCase> = {}): PacketCase => ({
  ...{ name, frame, before: openAll, verdict: 'send 0', moved: { relayedErrors: 1 } },
  checks: [onlyMacsChanged, macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS[0]!.mac })],
  ...more,
});

describe('to a DSR real, by MAC address alone:', () =>
  testPackets([
    relayed('fragmentation needed', errorToVip(DSR_VIP, dsrReply)),
    relayed('of UDP', errorToVip(DSR_VIP, dsrUdpReply)),
    relayed('port unreachable', errorToVip(DSR_VIP, dsrUdpReply, { code: 3, nextHopMtu: 0 })),
    relayed('time exceeded', errorToVip(DSR_VIP, dsrReply, { type: 11, code: 0 })),
    relayed('parameter problem', errorToVip(DSR_VIP, dsrReply, { type: 12, code: 0 })),
    relayed('eight bytes quoted', quoting(packetOf(dsrReply).slice(0, 28))),
    relayed('options in its own header', errorToVip(DSR_VIP, dsrReply, { ipOptions: IP_OPTIONS })),
    relayed(
      'options in the quoted header',
      errorToVip(DSR_VIP, tcpFrame({ ...fromVip(DSR_VIP), ipOptions: IP_OPTIONS })),
    ),
    relayed(
      'options in the quoted header, eight bytes behind them',
      quoting(packetOf(tcpFrame({ ...fromVip(DSR_VIP), ipOptions: IP_OPTIONS })).slice(0, 36)),
    ),
    relayed('a TTL of 1: DSR is no hop', errorToVip(DSR_VIP, dsrReply, { timeToLive: 1 })),
    relayed('a wrong sum in the quoted header', quoting(changed(packetOf(dsrReply), 8, 1))),
    relayed('a quoted first fragment', quoting(changed(packetOf(dsrReply), 6, 0x20, 0))),
  ]));

/** The frame is exactly this one. */
const is =
  (expected: Uint8Array): Check =>
  (_, after) =>
    expect(Buffer.from(after).toString('hex')).toBe(Buffer.from(expected).toString('hex'));

/** A table row for an error about a packet that a NAT real sent. */
function toReal(
  name: string,
  [make, reply]: readonly [typeof tcpFrame, typeof replyTcp],
  { keep, ...fields }: { keep?: number } & Record<string, unknown>,
): PacketCase {
  const seen = packetOf(make({ ...fromVip(NAT_VIP), ...fields })).slice(0, keep);
  const sent = packetOf(reply(REAL, { timeToLive: 60, payload: DATA, ...fields })).slice(0, keep);
  const expected = errorToVip(REAL.address, natReply, {
    ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, quote: sent, timeToLive: 63 },
  });
  const frame = errorToVip(NAT_VIP, natReply, { quote: seen });
  const checks = [is(expected)];
  return { name, frame, before: openAll, verdict: 'send 1', checks, moved: { relayedErrors: 1 } };
}

describe('to a NAT real, about the packet that it sent:', () =>
  testPackets([
    toReal('TCP', [tcpFrame, replyTcp], {}),
    toReal('UDP', [udpFrame, replyUdp], {}),
    toReal('TCP, eight bytes', [tcpFrame, replyTcp], { keep: 28 }),
    toReal('UDP, eight bytes', [udpFrame, replyUdp], { keep: 28 }),
    toReal('TCP, all before its checksum', [tcpFrame, replyTcp], { keep: 20 + 16 }),
    toReal('TCP, just its checksum', [tcpFrame, replyTcp], { keep: 20 + 18 }),
    toReal('an odd number of bytes', [udpFrame, replyUdp], { keep: 31 }),
    toReal('options in the quoted header', [tcpFrame, replyTcp], { ipOptions: IP_OPTIONS }),
  ]));

/** A table row for an error about a packet of the client, as the NAT real saw it. */
function toClient(
  name: string,
  [make, seen]: readonly [typeof natTcp, typeof natTcp],
  { source, keep, ...fields }: { source?: string; keep?: number } & Record<string, unknown>,
): PacketCase {
  const common = { timeToLive: 62, payload: DATA, ...fields };
  const atReal = { ...common, destination: REAL.address, destinationPort: 8080 };
  const from = source === undefined ? {} : { source };
  const frame = errorToClient(seen(atReal), {
    ...{ ...from, quote: packetOf(seen(atReal)).slice(0, keep) },
  });
  const expected = errorToClient(make(common), {
    ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, timeToLive: 63 },
    ...{ source: NAT_VIP, quote: packetOf(make(common)).slice(0, keep) },
  });
  const checks = [is(expected)];
  const from1 = { arm: INSIDE, before: openAll, verdict: 'send 0' };
  return { name, frame, ...from1, checks, moved: { relayedErrors: 1 } };
}

describe('to the client, as from the VIP, about the packet that it sent:', () =>
  testPackets([
    toClient('of the real', [natTcp, natTcp], { source: REAL.address }),
    toClient('of a router behind the director', [natTcp, natTcp], {}),
    toClient('of UDP', [natUdp, natUdp], {}),
    toClient('eight bytes', [natTcp, natTcp], { keep: 28 }),
    toClient('eight bytes of UDP', [natUdp, natUdp], { keep: 28 }),
    toClient('options in the quoted header', [natUdp, natUdp], { ipOptions: IP_OPTIONS }),
  ]));

test('a quoted UDP checksum of 0 stays 0', () => {
  const scene = makeScene();
  openAll(scene);
  const seen = changed(packetOf(udpFrame(fromVip(NAT_VIP))), 26, 0, 0);
  const { frame, verdict } = scene.receive(errorToVip(NAT_VIP, natReply, { quote: seen }));
  expect(verdict).toBe('send 1');
  expect([...frame.slice(14 + 20 + 8 + 26, 14 + 20 + 8 + 28)]).toEqual([0, 0]);
});

const dropped = (
  reason: string,
  name: string,
  frame: Uint8Array,
  more: Partial<PacketCase> = {},
) => ({
  ...{ name: `${reason}: ${name}`, frame, before: openAll, verdict: `drop ${reason}` },
  ...{ checks: [unchanged], moved: droppedFor(reason), ...more },
});

const pingReply = icmpEchoFrame({
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, type: 0, identifier: 1 },
  ...{ source: DSR_VIP, destination: CLIENT, sequence: 1 },
});
const quote = packetOf(dsrReply);
const toRealPort = natTcp({ destination: REAL.address, destinationPort: 8080, sourcePort: 5 });
const withTtl = { timeToLive: 1 };

describe('dropped:', () =>
  testPackets([
    dropped('icmp-quote', 'nothing quoted', quoting(new Uint8Array(0))),
    dropped('icmp-quote', 'seven bytes quoted', quoting(quote.slice(0, 27))),
    dropped(
      'icmp-quote',
      'seven bytes behind options',
      quoting(changed(quote.slice(0, 31), 0, 0x46)),
    ),
    dropped('icmp-quote', 'a quoted header of 16 bytes', quoting(changed(quote, 0, 0x44))),
    dropped('icmp-quote', 'a quoted packet of IPv6', quoting(changed(quote, 0, 0x65))),
    dropped('icmp-quote', 'a quoted later fragment', quoting(changed(quote, 6, 0, 1))),
    dropped('icmp-quote', 'about another ICMP error', quoting(packetOf(quoting(quote)))),
    dropped('icmp-quote', 'about an answer to a ping', errorToVip(DSR_VIP, pingReply)),
    dropped('icmp-quote', 'about a packet of somebody else', errorToVip(NAT_VIP, dsrReply)),
    dropped('icmp-quote', 'about a request', errorToVip(DSR_VIP, dsrTcp())),
    dropped('icmp-no-flow', 'before there is a flow', errorToVip(DSR_VIP, dsrReply), {
      before: () => {},
    }),
    dropped('icmp-no-flow', 'after it', errorToVip(DSR_VIP, dsrReply), {
      before: (scene) => {
        openAll(scene);
        scene.director.nowMs += 1_000_000;
      },
    }),
    dropped(
      'icmp-no-flow',
      'of another port',
      errorToVip(DSR_VIP, tcpFrame({ ...fromVip(DSR_VIP), destinationPort: 1 })),
    ),
    dropped(
      'icmp-no-flow',
      'of no service',
      errorToVip(DSR_VIP, tcpFrame({ ...fromVip(DSR_VIP), sourcePort: 81 })),
    ),
    dropped('icmp-no-flow', 'about a packet to a real', errorToClient(toRealPort), {
      arm: INSIDE,
    }),
    dropped(
      'icmp-checksum',
      'by DSR',
      changed(errorToVip(DSR_VIP, dsrReply), 14 + 20 + 8 + 40, 0xff),
    ),
    dropped('icmp-checksum', 'by NAT', changed(errorToVip(NAT_VIP, natReply), 14 + 20 + 6, 9)),
    dropped('icmp-checksum', 'by NAT, to the client', changed(openedError(), 14 + 20 + 6, 9), {
      arm: INSIDE,
    }),
    dropped('ipv4-checksum', 'by DSR', changed(errorToVip(DSR_VIP, dsrReply), 24, 1, 2)),
    dropped('ttl-expired', 'by NAT', errorToVip(NAT_VIP, natReply, withTtl)),
    dropped('ttl-expired', 'by NAT, to the client', openedError(withTtl), { arm: INSIDE }),
  ]));

/** An error about a packet of the client's flow. */
function openedError(fields: object = {}): Uint8Array {
  return errorToClient(natTcp({ destination: REAL.address, destinationPort: 8080 }), fields);
}

const passed = (name: string, frame: Uint8Array): PacketCase => ({
  ...{ name, frame, before: openAll, arm: INSIDE, verdict: 'pass', checks: [unchanged], moved: {} },
});

describe('none of its business:', () =>
  testPackets([
    passed('about a packet to nobody', errorToClient(natTcp({ destination: '203.0.113.77' }))),
    passed(
      'about another port of a real',
      errorToClient(natTcp({ destination: REAL.address, destinationPort: 22 })),
    ),
    passed(
      "about a packet of the director's host",
      errorToClient(
        natTcp({ source: INSIDE_ARM.address, destination: REAL.address, destinationPort: 8080 }),
        { destination: INSIDE_ARM.address },
      ),
    ),
    passed('to somebody else than it speaks of', openedError({ destination: '203.0.113.77' })),
    passed('that quotes nothing', errorToClient(natTcp(), { quote: new Uint8Array(3) })),
    passed('cut short', icmpErrorCut()),
  ]));

function icmpErrorCut(): Uint8Array {
  const frame = errorToClient(natTcp(), { quote: new Uint8Array(0) }).slice(0, 14 + 27);
  return changed(frame, 16, 0, 27);
}

describe('without its flow, where the choice is the same everywhere', () => {
  const maglev = () => makeScene({ services: standardServices('maglev') });

  test.each(Array.from({ length: 20 }, (_, index) => 40_000 + index))(
    'an error goes where the connection from port %i would',
    (port) => {
      const to = (scene: Scene, frame: Uint8Array) => {
        const outcome = scene.receive(frame);
        return [outcome.verdict, outcome.frame.slice(0, 6).join()];
      };
      const about = (vip: string) =>
        errorToVip(vip, tcpFrame({ ...fromVip(vip), destinationPort: port }));
      const dsr = to(maglev(), dsrTcp({ ...SYN, sourcePort: port }));
      expect(to(maglev(), about(DSR_VIP))).toEqual(dsr);
      const nat = to(maglev(), natTcp({ ...SYN, sourcePort: port }));
      expect(to(maglev(), about(NAT_VIP))).toEqual(nat);
    },
  );

  test('opens no flow', () => {
    const scene = maglev();
    scene.receive(errorToVip(DSR_VIP, dsrReply));
    expect(scene.director.flows.active).toBe(0);
  });

  testPackets([
    dropped('real-unresolved', 'nobody has answered yet', errorToVip(DSR_VIP, dsrReply), {
      scene: () => makeScene({ services: standardServices('maglev'), resolved: [] }),
      before: () => {},
    }),
  ]);
});

describe('for any flow and any quote', () => {
  const address = fc
    .integer({ min: 0x0100_0000, max: 0x7eff_ffff })
    .map((value) => formatIpv4(value));
  const port = fc.integer({ min: 0, max: 0xffff });
  const flow = fc.record({
    ...{ vip: address, real: address, client: address, router: address },
    // A real's port of 0 would be the one that its client asked for.
    ...{ clientPort: port, vipPort: port, realPort: fc.integer({ min: 1, max: 0xffff }) },
    ...{
      protocol: fc.constantFrom(6 as const, 17 as const),
      keep: fc.integer({ min: 28, max: 90 }),
    },
    ...{ payload: fc.uint8Array({ maxLength: 50 }), type: fc.constantFrom(3, 11, 12) },
  });

  test('both sides hear of the packets that they sent', () => {
    fc.assert(
      fc.property(flow, (given) => {
        fc.pre(new Set([given.vip, given.real, given.client, given.router]).size === 4);
        // Half a checksum of TCP says nothing, and stays what it was.
        fc.pre(given.keep !== 37);
        lookBothWays(given);
      }),
      { numRuns: 1500 },
    );
  });
});

interface AnyFlow {
  readonly vip: string;
  readonly real: string;
  readonly client: string;
  readonly router: string;
  readonly clientPort: number;
  readonly vipPort: number;
  readonly realPort: number;
  readonly protocol: 6 | 17;
  readonly keep: number;
  readonly payload: Uint8Array;
  readonly type: number;
}

function lookBothWays(given: AnyFlow): void {
  const { vip, real, client, router, clientPort, vipPort, realPort, protocol, payload } = given;
  const reals = [{ id: 0, address: real, port: realPort, arm: INSIDE }];
  const service = { id: 0, vip, port: vipPort, protocol, scheduler: 'rr', reals } as const;
  const scene = makeScene({ services: [{ ...service, method: 'nat' }], resolved: [] });
  resolve(scene, real);
  const make = protocol === 6 ? tcpFrame : udpFrame;
  const between = (source: string, sourcePort: number, to: string, destinationPort: number) =>
    make({
      ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, ...SYN, payload },
      ...{ source, sourcePort, destination: to, destinationPort },
    });
  const request = between(client, clientPort, vip, vipPort);
  expect(scene.receive(request).verdict).toBe('send 1');
  const error = (to: string, about: Uint8Array, source = router) => ({
    ...{ source, destination: to, type: given.type, quote: packetOf(about).slice(0, given.keep) },
  });
  const outward = { sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac };
  const inward = { sourceMac: ROUTER.mac, destinationMac: INSIDE_ARM.mac };
  const asSeen = error(vip, between(vip, vipPort, client, clientPort));
  const there = scene.receive(icmpErrorFrame({ ...outward, ...asSeen }));
  const asSent = error(real, between(real, realPort, client, clientPort));
  expect(there.verdict).toBe('send 1');
  is(
    icmpErrorFrame({
      ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, timeToLive: 63, ...asSent },
    }),
  )(there.frame, there.frame);
  const atReal = error(client, between(client, clientPort, real, realPort));
  const back = scene.receive(icmpErrorFrame({ ...inward, ...atReal }), { arm: INSIDE });
  expect(back.verdict).toBe('send 0');
  is(
    icmpErrorFrame({
      ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, timeToLive: 63 },
      ...error(client, request, vip),
    }),
  )(back.frame, back.frame);
}

/** Lets the real have the MAC address of REAL, whatever its own. */
function resolve(scene: Scene, address: string): void {
  const { director } = scene;
  const index = director.neighbours.byAddress.get((parseIpv4(address)! >>> 0) * 256 + INSIDE)!;
  expect(index).toBe(0);
  director.ways.set([0x02000000, 0x0d010200, 0x00000a01, INSIDE]);
}

test('the addresses of this table are what they seem', () => {
  expect([FAR_ROUTER, NEAR_ROUTER].includes(REAL.address)).toBe(false);
});

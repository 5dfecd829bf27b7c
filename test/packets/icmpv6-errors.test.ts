// ICMPv6 errors of others: each reaches the real or the client whose packet it speaks of, as about
// the packet that that one sent.
import { describe, expect, test } from 'vitest';
import * as tcp from '../../src/wire/tcp.ts';
import { type Check, macs, onlyMacsChanged, unchanged } from './checks.ts';
import { cut6, icmp6, optionsBefore, type PortFields6, tcp6, udp6 } from './frames6.ts';
import { droppedFor } from './moved.ts';
import { type PacketCase, testPackets } from './packet-table.ts';
import { INSIDE, INSIDE_ARM, OUTSIDE_ARM, packetOf, ROUTER, type Scene } from './scene.ts';
import {
  CLIENT6,
  DSR_REALS6,
  DSR_VIP6,
  dsrTcp6,
  dsrUdp6,
  errorToClient6,
  errorToVip6,
  FAR_ROUTER6,
  INSIDE_ADDRESS,
  makeScene6,
  NAT_REALS6,
  NAT_VIP6,
  NEAR_ROUTER6,
  natTcp6,
  natUdp6,
  ping6,
  replyTcp6,
  replyUdp6,
} from './scene6.ts';

const REAL = NAT_REALS6[0]!;
const SYN = { flags: tcp.SYN };
const payload = Uint8Array.from({ length: 33 }, (_, index) => index);
const EXTENSIONS = { first: 60, bytes: optionsBefore(6) };
const scene = () => makeScene6();

function openAll(scene: Scene): void {
  for (const frame of [dsrTcp6(SYN), dsrUdp6(), natTcp6(SYN), natUdp6()]) scene.receive(frame);
}

/** What a router of the client's side saw: a packet as from the VIP. */
const fromVip = (vip: string, fields: Partial<PortFields6> = {}) => ({
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: vip, sourcePort: 80 },
  ...{ destination: CLIENT6, destinationPort: 40_000, hopLimit: 60, payload, ...fields },
});
const dsrReply = tcp6(fromVip(DSR_VIP6));
const is =
  (expected: Uint8Array): Check =>
  (_, after) =>
    expect(Buffer.from(after).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
const relayed = { scene, before: openAll, moved: { relayedErrors: 1 } };

describe('to a DSR real, by MAC address alone:', () => {
  const checks = [onlyMacsChanged, macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS6[0]!.mac })];
  const row = (name: string, frame: Uint8Array): PacketCase => ({
    ...{ name, frame, verdict: 'send 0', checks, ...relayed },
  });
  const about = (fields: Partial<PortFields6>) =>
    errorToVip6(DSR_VIP6, tcp6(fromVip(DSR_VIP6, fields)));
  testPackets([
    row('too big', errorToVip6(DSR_VIP6, dsrReply)),
    row('of UDP', errorToVip6(DSR_VIP6, udp6(fromVip(DSR_VIP6)))),
    row('unreachable', errorToVip6(DSR_VIP6, dsrReply, { type: 1, code: 4, word: 0 })),
    row('time exceeded', errorToVip6(DSR_VIP6, dsrReply, { type: 3, word: 0 })),
    row('parameter problem', errorToVip6(DSR_VIP6, dsrReply, { type: 4 })),
    row('a hop limit of 1: DSR is no hop', errorToVip6(DSR_VIP6, dsrReply, { hopLimit: 1 })),
    row('extension headers in the quoted packet', about({ extensions: EXTENSIONS })),
    row(
      'about a first fragment',
      errorToVip6(DSR_VIP6, cut6(about({}), 400)[0]!, {
        data: packetOf(cut6(tcp6(fromVip(DSR_VIP6, { payload: new Uint8Array(99) })), 64)[0]!),
      }),
    ),
  ]);
});

describe('to a NAT real, about the packet that it sent:', () => {
  const row = (
    name: string,
    [make, reply]: readonly [typeof tcp6, typeof replyTcp6],
    { keep, ...fields }: Partial<PortFields6> & { keep?: number } = {},
  ): PacketCase => {
    const asSeen = packetOf(make(fromVip(NAT_VIP6, fields))).slice(0, keep);
    const asSent = packetOf(reply(REAL, { hopLimit: 60, payload, ...fields })).slice(0, keep);
    const expected = icmp6({
      ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: FAR_ROUTER6 },
      ...{ destination: REAL.address, type: 2, word: 1400, data: asSent, hopLimit: 63 },
    });
    const frame = errorToVip6(NAT_VIP6, dsrReply, { data: asSeen });
    return { name, frame, verdict: 'send 1', checks: [is(expected)], ...relayed };
  };
  testPackets([
    row('TCP', [tcp6, replyTcp6]),
    row('UDP', [udp6, replyUdp6]),
    row('TCP, eight bytes', [tcp6, replyTcp6], { keep: 48 }),
    row('UDP, eight bytes', [udp6, replyUdp6], { keep: 48 }),
    row('an odd number of bytes', [tcp6, replyTcp6], { keep: 61 }),
    row('behind extension headers', [tcp6, replyTcp6], { extensions: EXTENSIONS }),
  ]);
});

describe('to the client, as from the VIP, about the packet that it sent:', () => {
  const row = (
    name: string,
    request: typeof natTcp6,
    { keep, source = NEAR_ROUTER6 }: { keep?: number; source?: string } = {},
  ): PacketCase => {
    const there = { destination: REAL.address, destinationPort: 8080, hopLimit: 62, payload };
    const asSeen = packetOf(request(there)).slice(0, keep);
    const asSent = packetOf(request({ hopLimit: 62, payload })).slice(0, keep);
    const expected = icmp6({
      ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: NAT_VIP6 },
      ...{ destination: CLIENT6, type: 2, word: 1400, data: asSent, hopLimit: 63 },
    });
    const frame = errorToClient6(dsrReply, { source, data: asSeen });
    return { name, frame, arm: INSIDE, verdict: 'send 0', checks: [is(expected)], ...relayed };
  };
  testPackets([
    row('of a router behind the director', natTcp6),
    row('of the real', natTcp6, { source: REAL.address }),
    row('of UDP', natUdp6),
    row('eight bytes', natTcp6, { keep: 48 }),
    row('eight bytes of UDP', natUdp6, { keep: 48 }),
  ]);
});

const changed = (frame: Uint8Array, at: number, ...bytes: number[]) => {
  const copy = frame.slice();
  copy.set(bytes, at);
  return copy;
};
const quoting = (data: Uint8Array) => errorToVip6(DSR_VIP6, dsrReply, { data });
const aboutRequest = (fields: Partial<PortFields6> = {}) =>
  natTcp6({ destination: REAL.address, destinationPort: 8080, ...fields });

describe('dropped:', () => {
  const row = (
    reason: string,
    name: string,
    frame: Uint8Array,
    more: Partial<PacketCase> = {},
  ): PacketCase => ({
    ...{ name: `${reason}: ${name}`, frame, scene, before: openAll, verdict: `drop ${reason}` },
    ...{ checks: [unchanged], moved: droppedFor(reason), ...more },
  });
  const quote = packetOf(dsrReply);
  const later = cut6(tcp6(fromVip(DSR_VIP6, { payload: new Uint8Array(99) })), 64)[1]!;
  testPackets([
    row('icmp-quote', 'nothing quoted', quoting(new Uint8Array(0))),
    row('icmp-quote', 'seven bytes quoted', quoting(quote.slice(0, 47))),
    row('icmp-quote', 'a quoted packet of IPv4', quoting(changed(quote, 0, 0x45))),
    row('icmp-quote', 'a quoted later fragment', quoting(packetOf(later))),
    row('icmp-quote', 'broken headers quoted', quoting(changed(quote, 6, 60, 60, 60, 255))),
    row('icmp-quote', 'about another error', quoting(packetOf(quoting(quote)))),
    row('icmp-quote', 'about a ping', quoting(packetOf(ping6({ source: DSR_VIP6 })))),
    row('icmp-quote', 'about a packet of somebody else', errorToVip6(NAT_VIP6, dsrReply)),
    row('icmp-no-flow', 'before there is a flow', errorToVip6(DSR_VIP6, dsrReply), {
      before: () => {},
    }),
    row(
      'icmp-no-flow',
      'about a packet to a real',
      errorToClient6(aboutRequest({ sourcePort: 5 })),
      {
        arm: INSIDE,
      },
    ),
    row('icmp-checksum', 'by DSR', changed(errorToVip6(DSR_VIP6, dsrReply), 14 + 48, 0x61)),
    row('icmp-checksum', 'to the client', changed(errorToClient6(aboutRequest()), 14 + 44, 1), {
      arm: INSIDE,
    }),
    row('ttl-expired', 'to the client', errorToClient6(aboutRequest(), { hopLimit: 1 }), {
      arm: INSIDE,
    }),
  ]);
});

describe('none of its business:', () => {
  const row = (name: string, frame: Uint8Array): PacketCase => ({
    ...{ name, frame, scene, before: openAll, arm: INSIDE, verdict: 'pass' },
    ...{ checks: [unchanged], moved: {} },
  });
  const own = { source: INSIDE_ADDRESS, sourcePort: 5 };
  testPackets([
    row('about a packet to nobody', errorToClient6(natTcp6({ destination: '2001:db8::77' }))),
    row('about another port of a real', errorToClient6(aboutRequest({ destinationPort: 22 }))),
    row('to somebody else', errorToClient6(aboutRequest(), { destination: '2001:db8::77' })),
    row(
      "about a packet of the director's host",
      errorToClient6(aboutRequest(own), { destination: INSIDE_ADDRESS }),
    ),
  ]);
});

test.each(Array.from({ length: 12 }, (_, index) => 40_000 + index))(
  'without its flow, where the choice is the same everywhere, it goes where port %i would',
  (port) => {
    const maglev = () => makeScene6({ scheduler: 'maglev' });
    const to = (frame: Uint8Array) => {
      const outcome = maglev().receive(frame);
      return [outcome.verdict, outcome.frame.slice(0, 6).join()];
    };
    const about = (vip: string) => errorToVip6(vip, tcp6(fromVip(vip, { destinationPort: port })));
    expect(to(about(DSR_VIP6))).toEqual(to(dsrTcp6({ ...SYN, sourcePort: port })));
    expect(to(about(NAT_VIP6))).toEqual(to(natTcp6({ ...SYN, sourcePort: port })));
  },
);

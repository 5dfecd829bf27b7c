// Every reason to drop a frame that the director gives, each with a frame that earns it; and the
// list of those that others give, so that no reason is forgotten.
import { describe, expect, test } from 'vitest';
import { icmpEchoFrame } from '../../lab/frame.ts';
import { parseSource } from '../../src/config/sources.ts';
import { buildSourceList } from '../../src/director/source-list.ts';
import { DROP_REASONS } from '../../src/wire/drop-reason.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { unchanged } from './checks.ts';
import { droppedFor } from './moved.ts';
import { type PacketCase, testPackets } from './packet-table.ts';
import {
  CLIENT,
  DSR_VIP,
  drained,
  dsrTcp,
  dsrUdp,
  INSIDE,
  makeScene,
  NAT_REALS,
  natTcp,
  natUdp,
  OUTSIDE_ARM,
  ROUTER,
  replyTcp,
  type Scene,
  type SceneService,
  standardServices,
} from './scene.ts';

const SYN = { flags: tcp.SYN };
const L3 = 14;
const L4 = 34;

/** What makes a frame a fragment, together with an offset or that more follow. */
const PIECE = { dontFragment: false, payload: new Uint8Array(0) };

const withBytes = (frame: Uint8Array, at: number, ...bytes: number[]) => {
  const copy = frame.slice();
  copy.set(bytes, at);
  return copy;
};

/** A frame whose IP packet says that it is as long as what is left of it. */
function cut(frame: Uint8Array, bytes: number): Uint8Array {
  const total = bytes - L3;
  return withBytes(frame.slice(0, bytes), L3 + 2, total >>> 8, total & 0xff);
}

const ping = icmpEchoFrame({
  ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, identifier: 1, sequence: 1 },
  ...{ source: CLIENT, destination: DSR_VIP },
});

const pingPiece = icmpEchoFrame({
  ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, identifier: 1, sequence: 1 },
  ...{ source: CLIENT, destination: DSR_VIP, moreFragments: true, dontFragment: false },
});

const REFUSED_BY: Record<string, (readonly [name: string, frame: Uint8Array])[]> = {
  'ethernet-truncated': [
    ['no byte', new Uint8Array(0)],
    ['a byte too few', dsrTcp().slice(0, 13)],
  ],
  'ipv4-truncated': [
    ['an Ethernet header alone', dsrTcp().slice(0, 14)],
    ['a byte too few', dsrTcp().slice(0, 33)],
  ],
  'ipv4-version': [
    ['version 5', withBytes(dsrTcp(), L3, 0x55)],
    ['version 6', withBytes(dsrTcp(), L3, 0x65)],
  ],
  'ipv4-header-length': [
    ['16 bytes', withBytes(dsrTcp(), L3, 0x44)],
    ['60 bytes, of which 40 are there', withBytes(dsrTcp(), L3, 0x4f)],
  ],
  'ipv4-total-length': [
    ['less than the header', withBytes(dsrTcp(), L3 + 2, 0, 19)],
    ['more than the frame', withBytes(dsrTcp(), L3 + 2, 0, 41)],
    ['0', withBytes(dsrTcp(), L3 + 2, 0, 0)],
  ],
  'ipv4-checksum': [
    ['a SYN with a wrong header', withBytes(dsrTcp(SYN), L3 + 10, 0, 0)],
    ['a datagram with a wrong header', withBytes(natUdp(), L3 + 10, 0, 0)],
  ],
  'fragment-malformed': [
    ['20 bytes, and more to come', dsrTcp({ ...SYN, ...PIECE, moreFragments: true })],
    ['no byte', cut(dsrUdp({ ...PIECE, fragmentOffsetBytes: 1480 }), L4)],
    ['an end beyond 65,535', dsrUdp({ ...PIECE, fragmentOffsetBytes: 65_528 })],
    ['TCP over its own header, at 8', dsrTcp({ ...PIECE, fragmentOffsetBytes: 8 })],
    ['TCP over its own header, at 16', dsrTcp({ ...PIECE, fragmentOffsetBytes: 16 })],
    ['TCP with a torn header', cut(dsrTcp({ ...SYN, ...PIECE, moreFragments: true }), L4 + 16)],
    ['UDP that is over already', dsrUdp({ ...PIECE, moreFragments: true })],
    ['an ICMP error in pieces', withBytes(pingPiece, L4, 3)],
  ],
  'tcp-truncated': [['19 bytes', cut(dsrTcp(), L4 + 19)]],
  'tcp-data-offset': [
    ['16 bytes', withBytes(dsrTcp(), L4 + 12, 0x40)],
    ['24 bytes, of which 20 are there', withBytes(dsrTcp(), L4 + 12, 0x60)],
  ],
  'udp-truncated': [['7 bytes', cut(dsrUdp(), L4 + 7)]],
  'udp-length': [
    ['7', withBytes(dsrUdp(), L4 + 4, 0, 7)],
    ['a byte too many', withBytes(dsrUdp(), L4 + 4, 0, 9)],
  ],
  'icmp-truncated': [['7 bytes', cut(ping, L4 + 7)]],
  'icmp-type': [
    ['an echo reply', withBytes(ping, L4, 0)],
    ['source quench', withBytes(ping, L4, 4)],
    ['a redirect', withBytes(ping, L4, 5)],
  ],
  'ip-protocol': [['GRE', withBytes(dsrTcp(), L3 + 9, 47)]],
  'no-service': [
    ['another port', dsrTcp({ ...SYN, destinationPort: 81 })],
    ['the port of the reals', natTcp({ ...SYN, destinationPort: 8080 })],
  ],
  'no-flow': [
    ['an ACK', dsrTcp()],
    ['a FIN', dsrTcp({ flags: tcp.FIN | tcp.ACK })],
    ['a RST', dsrTcp({ flags: tcp.RST })],
    ['a SYN and ACK', dsrTcp({ flags: tcp.SYN | tcp.ACK })],
    ['a SYN and FIN', dsrTcp({ flags: tcp.SYN | tcp.FIN })],
    ['a SYN and RST', dsrTcp({ flags: tcp.SYN | tcp.RST })],
    ['no flags at all', dsrTcp({ flags: 0 })],
  ],
};

const refused = Object.entries(REFUSED_BY).flatMap(([reason, frames]) =>
  frames.map(([name, frame]) => refuse(reason, name, frame)),
);

function refuse(
  reason: string,
  name: string,
  frame: Uint8Array,
  more: Partial<PacketCase> = {},
): PacketCase {
  const verdict = `drop ${reason}`;
  const moved = droppedFor(reason);
  return { name: `${reason}: ${name}`, frame, verdict, checks: [unchanged], moved, ...more };
}

/** Two VIPs that share their one real: a client port can be in use by one of them at a time. */
const twins = (): SceneService[] =>
  [80, 81].map((port, id) => ({
    ...{ id, vip: '192.0.2.81', port, protocol: 6, method: 'nat', scheduler: 'rr' },
    reals: [{ id, address: NAT_REALS[0]!.address, port: 8080, arm: INSIDE }],
  }));

const fullnatOfOnePort = (): Scene => {
  const services = twins().map((service) => ({ ...service, method: 'fullnat' }) as const);
  const pool = { addresses: ['10.0.0.200'], firstPort: 5000, portCount: 1 };
  return makeScene({ services, pool });
};

const onlyFor = (network: string) => {
  const [first, length] = parseSource(network)!;
  const sources = buildSourceList([{ first, length, allowed: true }]);
  return standardServices().map((service) => ({ ...service, sources }));
};

const withState: PacketCase[] = [
  refuse('arp-malformed', 'half of it', withBytes(dsrTcp(), 12, 0x08, 0x06).slice(0, 40)),
  refuse('no-real', 'all weights are 0', dsrTcp(SYN), {
    scene: () => makeScene({ services: drained() }),
    moved: { ...droppedFor('no-real'), ownErrors: 1 },
  }),
  refuse('real-unresolved', 'nobody has answered yet', dsrTcp(SYN), {
    scene: () => makeScene({ resolved: [] }),
  }),
  refuse('ttl-expired', 'NAT with a TTL of 1', natTcp({ timeToLive: 1 }), {
    before: (scene) => void scene.receive(natTcp(SYN)),
    moved: { ...droppedFor('ttl-expired'), ownErrors: 1 },
  }),
  refuse('source-denied', 'a client that the service does not know', dsrTcp(SYN), {
    scene: () => makeScene({ services: onlyFor('203.0.113.0/24') }),
  }),
  ...['0.1.2.3', '127.0.0.1', '224.0.0.1', '255.255.255.255', DSR_VIP].map((source) =>
    refuse('source-denied', `no client: ${source}`, dsrTcp({ ...SYN, source }), {}),
  ),
  refuse('flow-table-full', 'one place, which a UDP flow has', natTcp(SYN), {
    scene: () => makeScene({ maximumFlows: 1 }),
    before: (scene) => {
      for (const frame of [dsrUdp(), dsrUdp()]) scene.receive(frame);
    },
  }),
  refuse('flow-conflict', 'the port is in use by the other VIP', natTcp({ ...SYN }), {
    scene: () => makeScene({ services: twins() }),
    before: (scene) => void scene.receive(natTcp({ ...SYN, destinationPort: 81 })),
  }),
  refuse(
    'no-source-port',
    'the one port of the pool is in use',
    natTcp({ ...SYN, sourcePort: 4 }),
    {
      scene: fullnatOfOnePort,
      before: (scene) => {
        for (const frame of [natTcp(SYN), natTcp()]) scene.receive(frame);
      },
    },
  ),
  ...[
    ['no-flow', 'a reply that belongs to nothing', replyTcp(NAT_REALS[0]!)] as const,
    ['tcp-data-offset', 'a reply', withBytes(replyTcp(NAT_REALS[0]!), L4 + 12, 0x40)] as const,
    [
      'fragment-malformed',
      'the first piece of a reply',
      replyTcp(NAT_REALS[0]!, { ...PIECE, moreFragments: true }),
    ] as const,
  ].map(([reason, name, frame]) => refuse(reason, name, frame, { arm: INSIDE })),
];

describe('the director drops for', () => testPackets([...refused, ...withState]));

/**
 * Given elsewhere, and why: the loop knows the links, the datapath what the kernel refused. The
 * others have tables of their own.
 */
const GIVEN_BY_OTHERS = ['none', 'link-down', 'send-failed'];
const BY_FRAGMENTS = ['fragment-timeout', 'fragment-table-full'];
/** See life.test.ts. */
const BY_DRAINS = ['flow-reset'];
/** See limits.test.ts. */
const BY_LIMITS = ['source-limited'];
const BY_ERRORS = ['icmp-checksum', 'icmp-quote', 'icmp-no-flow'];
const BY_LENGTH = ['too-big'];
/** See sctp.test.ts. */
const BY_SCTP = ['sctp-truncated', 'sctp-chunk-length'];
/** See ipv6.test.ts and ndp.test.ts. */
const BY_IPV6 = [
  ...['ipv6-truncated', 'ipv6-version', 'ipv6-length', 'ipv6-extension'],
  ...['udp-no-checksum', 'ndp-malformed'],
];
const BY_TUNNELS = ['too-many-segments', 'tunnel-error'];

test('every reason is one of these', () => {
  const seen = new Set([...refused, ...withState].map(({ verdict }) => verdict.slice(5)));
  const all = DROP_REASONS.map(([name]) => name);
  const elsewhere = [
    ...GIVEN_BY_OTHERS,
    ...BY_FRAGMENTS,
    ...BY_ERRORS,
    ...BY_DRAINS,
    ...BY_LIMITS,
    ...BY_LENGTH,
    ...BY_SCTP,
    ...BY_TUNNELS,
    ...BY_IPV6,
  ];
  expect([...seen, ...elsewhere].sort()).toEqual([...all].sort());
});

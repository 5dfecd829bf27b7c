// Tunnels with IPv6 in them, around them, or both, packet by packet: what tunnel.test.ts says of
// IPv4 within IPv4. Outer sums are judged by the naive checksum.
import { describe, expect, test } from 'vitest';
import { icmpErrorFrame } from '../../lab/frame.ts';
import { formatIpv6, parseIpv4 } from '../../src/wire/address.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as ndp from '../../src/wire/ndp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { naiveSum } from '../wire/naive-checksum.ts';
import { addressOf, cut6, icmp6, optionsBefore, pseudoSum, tcp6, udp6 } from './frames6.ts';
import { droppedFor, opened, requested } from './moved.ts';
import {
  CLIENT,
  INSIDE,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  type Scene,
  type SceneOptions,
} from './scene.ts';
import {
  ARMS6,
  advertisement,
  CLIENT6,
  errorToVip6,
  INSIDE_ADDRESS,
  OUTSIDE_ADDRESS,
} from './scene6.ts';
import {
  aheadOf,
  ends,
  GATEWAY6,
  KINDS,
  type Kind,
  MACS,
  REALS,
  saying,
  sceneOf,
  tcpOf,
  udpOf,
  VIPS,
  viewOf,
} from './tunnel-scene6.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
/** A payload that makes a packet of TCP so long. */
const filling = ({ inner }: Kind, packet: number) => ({
  payload: new Uint8Array(packet - (inner === 6 ? 60 : 40)).fill(6),
});

interface Outer {
  readonly source: string;
  readonly label: number;
  readonly service: number;
  readonly sourcePort: number;
}

/** The packet within an outer frame, and the outer headers, which are judged on the way. */
function open(kind: Kind, frame: Uint8Array): { inner: Uint8Array; outer: Outer } {
  const { method, outer, inner } = kind;
  const view = viewOf(frame);
  const within = frame.slice(14 + aheadOf(kind));
  const carried = inner === 6 ? 41 : 4;
  const protocol = method === 'gue' ? 17 : carried;
  const header = outer === 6 ? 40 : 20;
  const behind = frame.length - 14 - header;
  expect(view.getUint16(12)).toBe(outer === 6 ? 0x86dd : 0x0800);
  if (method === 'gue') {
    const l4 = 14 + header;
    expect([view.getUint16(l4 + 2), view.getUint16(l4 + 4)]).toEqual([6080, behind]);
    expect(view.getUint32(l4 + 8)).toBe(carried << 16);
    if (outer === 6) {
      expect(view.getUint16(l4 + 6)).not.toBe(0);
      expect(naiveSum(frame.slice(l4), pseudoSum(frame, 17, behind))).toBe(0xffff);
    } else {
      expect(view.getUint16(l4 + 6)).toBe(0);
    }
  }
  const sourcePort = view.getUint16(14 + header);
  if (outer === 6) {
    const seen = ipv6.parse(view, 14);
    expect(seen).toMatchObject({ payloadBytes: behind, nextHeader: protocol, hopLimit: 64 });
    expect(formatIpv6(seen.destination)).toBe(REALS[6]);
    const { flowLabel: label, trafficClass: service } = seen;
    return {
      inner: within,
      outer: { source: formatIpv6(seen.source), label, service, sourcePort },
    };
  }
  const seen = ipv4.parse(view, 14);
  expect(naiveSum(frame.subarray(14, 34))).toBe(0xffff);
  expect(seen).toMatchObject({ payloadBytes: behind, protocol, timeToLive: 64 });
  expect([seen.destination, seen.dontFragment]).toEqual([parseIpv4(REALS[4]), true]);
  const source = `${seen.source}`;
  const rest = { label: 0, service: seen.typeOfService, sourcePort };
  return { inner: within, outer: { source, ...rest } };
}

describe('byte for byte', () => {
  const frame = udp6({ ...ends(6), payload: Uint8Array.of(1, 2, 3) });
  const macs = '02000000 0dfe 02000000 0a01';
  const addresses = '20010db8000b00000000000000000001 20010db8000700000000000000000011';
  test.each([
    ['ipip', `${macs} 86dd 600LABEL 0033 29 40 ${addresses} ${hex(packetOf(frame))}`],
    [
      'gue',
      `${macs} 86dd 600LABEL 003f 11 40 ${addresses} SPORT 17c0 003f SUM 00290000
       ${hex(packetOf(frame))}`,
    ],
  ] as const)('%s of IPv6 in IPv6', (method, expected) => {
    const outcome = sceneOf({ method, outer: 6, inner: 6 }).receive(frame);
    expect(outcome.verdict).toBe('send 1');
    expect(outcome.moved).toEqual(opened(1, frame.length));
    const text = hex(outcome.frame);
    const wanted = expected
      .replace('LABEL', text.slice(31, 36))
      .replace('SPORT', text.slice(108, 112))
      .replace('SUM', text.slice(120, 124));
    expect(text).toBe(wanted.replaceAll(/\s/g, ''));
  });
});

describe.each(KINDS)('IPv$inner in IPv$outer by $method', (kind) => {
  const { method, outer, inner } = kind;
  const room = 1500 - aheadOf(kind);
  const sent = (scene: Scene, frame: Uint8Array, options: object = {}) => {
    const outcome = scene.receive(frame, options);
    expect(outcome.verdict).toBe('send 1');
    return open(kind, outcome.frame);
  };
  const opening = (options?: SceneOptions): Scene => {
    const scene = sceneOf(kind, options);
    scene.receive(tcpOf(kind, { flags: tcp.SYN }));
    scene.receive(udpOf(kind));
    return scene;
  };

  test('each packet of a connection goes as it came', () => {
    const scene = sceneOf(kind);
    for (const flags of [tcp.SYN, tcp.ACK, tcp.ACK | tcp.PSH, tcp.FIN | tcp.ACK]) {
      const once = { timeToLive: 1, hopLimit: 1 };
      const frame = tcpOf(kind, { flags, payload: Uint8Array.of(flags), ...once });
      expect(hex(sent(scene, frame).inner)).toBe(hex(packetOf(frame)));
    }
    expect(scene.receive(tcpOf(kind)).moved).toEqual(requested(0, tcpOf(kind).length));
    if (inner === 4) return;
    const extensions = { first: 60, bytes: optionsBefore(6) };
    const frame = tcpOf(kind, { extensions });
    expect(hex(sent(scene, frame).inner)).toBe(hex(packetOf(frame)));
  });

  test('the outer header has its traffic class, with the mark of congestion', () => {
    const frame = udpOf(kind, { typeOfService: 0xb9 });
    // The frames of IPv6 have none of their own.
    if (inner === 6) viewOf(frame).setUint16(14, 0x6000 | (0xb9 << 4) | 1);
    expect(sent(sceneOf(kind), frame).outer.service).toBe(0xb9);
  });

  test('source, port and label are those of the flow, and spread', () => {
    const source6 = addressOf('2001:db8:f::');
    const own = { source: parseIpv4('172.16.5.6')!, prefixLength: 16, port: 6080 };
    const tunnel = { ...own, source6, prefixLength6: 64 };
    const scene = sceneOf(kind, { tunnel, maximumFlows: 256 });
    const seen = { sources: new Set(), ports: new Set(), labels: new Set() };
    for (let sourcePort = 1000; sourcePort < 1200; sourcePort++) {
      const [one, two] = [1, 2].map(() => sent(scene, udpOf(kind, { sourcePort })).outer);
      expect(one).toEqual(two);
      seen.sources.add(one!.source);
      if (outer === 6) expect(one!.source).toMatch(/^2001:db8:f::/);
      seen.ports.add(one!.sourcePort);
      seen.labels.add(one!.label);
    }
    expect(seen.sources.size).toBeGreaterThan(190);
    if (method === 'gue') expect(seen.ports.size).toBeGreaterThan(190);
    if (outer === 6) expect(seen.labels.size).toBeGreaterThan(190);
  });

  test('an unfinished checksum is finished: nobody behind the tunnel would do it', () => {
    for (const make of [tcpOf, udpOf]) {
      const fields = { flags: tcp.SYN, payload: new Uint8Array(33).fill(9) };
      const frame = make(kind, fields);
      const partial = make(kind, { ...fields, partialChecksum: true });
      const { inner: packet } = sent(sceneOf(kind), partial, { partial: true });
      expect(hex(packet)).toBe(hex(packetOf(frame)));
    }
  });

  test('what fills the room to the last byte goes, one byte more is told of', () => {
    const scene = opening();
    expect(sent(scene, tcpOf(kind, filling(kind, room))).inner).toHaveLength(room);
    const frame = tcpOf(kind, filling(kind, room + 1));
    const { verdict, own, moved } = scene.receive(frame);
    expect(verdict).toBe('drop too-big');
    expect(moved).toEqual({ ...droppedFor('too-big'), ownErrors: 1 });
    expect(own.map(({ arm, bytes }) => [arm, hex(bytes)])).toEqual([
      [0, hex(tooBig(kind, packetOf(frame), room))],
    ]);
  });

  test('a super-frame becomes segments', () => {
    const scene = opening();
    const payload = Uint8Array.from({ length: 30_001 }, (_, at) => (at * 7) & 0xff);
    const fields = { flags: tcp.ACK | tcp.PSH, payload, partialChecksum: true };
    const frame = tcpOf(kind, fields);
    const outcome = scene.receive(frame, { partial: true, segmentBytes: 1380 });
    expect([outcome.verdict, outcome.own.length]).toEqual(['taken', 0]);
    expect(outcome.moved).toEqual({ ...requested(0, frame.length), segmentedFrames: 1 });
    const count = Math.ceil(payload.length / 1380);
    expect(outcome.segments).toHaveLength(count);
    const header = inner === 6 ? 60 : 40;
    const parts = outcome.segments.map(({ bytes }, index) => {
      const packet = open(kind, bytes).inner;
      const isLast = index === count - 1;
      const part = payload.subarray(index * 1380, (index + 1) * 1380);
      const first = viewOf(frame).getUint32(14 + header - 16);
      const whole = tcpOf(kind, { flags: isLast ? fields.flags : tcp.ACK, payload: part });
      const view = viewOf(packet);
      expect(view.getUint32(header - 16)).toBe(first + index * 1380);
      expect(sumOf(kind, packet)).toBe(0xffff);
      // The same frame made anew, but for what tells segments apart.
      blank(kind, packet);
      const made = packetOf(whole);
      blank(kind, made);
      expect(hex(packet)).toBe(hex(made));
      return packet.subarray(header);
    });
    expect(hex(Buffer.concat(parts))).toBe(hex(payload));
    const by = (segmentBytes: number) =>
      opening().receive(tcpOf(kind, fields), { partial: true, segmentBytes });
    expect(by(room - header).verdict).toBe('taken');
    expect(by(room - header + 1).verdict).toBe('drop too-big');
    expect(by(200).verdict).toBe('drop too-many-segments');
  });

  test('a first super-frame opens a flow that is half open', () => {
    const scene = sceneOf(kind);
    const frame = udpOf(kind, { payload: new Uint8Array(4000), partialChecksum: true });
    const { verdict, segments } = scene.receive(frame, { partial: true, segmentBytes: 1300 });
    expect([verdict, segments.length]).toEqual(['taken', 4]);
    for (const { bytes } of segments) expect(sumOf(kind, open(kind, bytes).inner)).toBe(0xffff);
    expect(scene.director.flows.halfOpen).toBe(1);
    scene.receive(udpOf(kind));
    expect(scene.director.flows.halfOpen).toBe(0);
  });

  describe('what a router says of its packets', () => {
    const long = () => tcpOf(kind, filling(kind, 1440));
    const about = (scene: Scene) => scene.receive(long()).frame;

    test('a narrow path is told to the client, with the room in the tunnel', () => {
      const scene = opening();
      const error = saying(kind, about(scene), 1400);
      const { verdict, own, moved } = scene.receive(error, { arm: INSIDE });
      expect([verdict, own.length]).toEqual(['taken', 1]);
      expect(moved).toEqual({ sentFrames: 1, ownErrors: 1, relayedErrors: 1 });
      const quoted = packetOf(error).length - (outer === 6 ? 48 : 28) - aheadOf(kind);
      const told = tooBig(kind, packetOf(long()).slice(0, quoted), 1400 - aheadOf(kind));
      expect(own.map(({ arm, bytes }) => [arm, hex(bytes)])).toEqual([[0, hex(told)]]);
    });

    test.each([
      ['another error', (frame: Uint8Array) => saying(kind, frame, 0)],
      [
        'a quote that ends too soon',
        (frame: Uint8Array) => saying(kind, frame.slice(0, 14 + aheadOf(kind) + 19), 1400),
      ],
      [
        'less than every network must take',
        (frame: Uint8Array) => saying(kind, frame, outer === 6 ? 1279 : aheadOf(kind) + 1279),
      ],
      [
        'less than every inner packet must be let through',
        (frame: Uint8Array) => saying(kind, frame, inner === 6 ? aheadOf(kind) + 1279 : 120),
      ],
      ['more room than was needed', (frame: Uint8Array) => saying(kind, frame, 1600)],
    ])('%s is counted', (_, make) => {
      const scene = opening();
      const { verdict, own, moved } = scene.receive(make(about(scene)), { arm: INSIDE });
      expect([verdict, own.length]).toEqual(['drop tunnel-error', 0]);
      expect(moved).toEqual(droppedFor('tunnel-error'));
    });

    test('of a packet that no flow knows: counted; of none of ours: passed', () => {
      const scene = opening();
      const frame = about(scene);
      viewOf(frame).setUint16(14 + aheadOf(kind) + (inner === 6 ? 40 : 20), 5);
      const receive = () => scene.receive(saying(kind, frame, 1400), { arm: INSIDE }).verdict;
      expect(receive()).toBe('drop tunnel-error');
      // Another real, then none of ours.
      frame[14 + (outer === 6 ? 39 : 19)]! ^= 1;
      expect(receive()).toBe('pass');
    });

    test('is told no more often than other errors, and counted beyond that', () => {
      const scene = opening();
      const error = saying(kind, about(scene), 1400);
      const seen = Array.from({ length: 51 }, () => scene.receive(error, { arm: INSIDE }));
      expect(seen.slice(0, 50).every(({ verdict }) => verdict === 'taken')).toBe(true);
      const { verdict, own, moved } = seen[50]!;
      expect([verdict, own.length]).toEqual(['drop tunnel-error', 0]);
      expect(moved).toEqual({ ...droppedFor('tunnel-error'), withheldErrors: 1 });
    });

    test('with a wrong sum is dropped', () => {
      const scene = opening();
      const error = saying(kind, about(scene), 1400);
      error[error.length - 1]! ^= 1;
      expect(scene.receive(error, { arm: INSIDE }).verdict).toBe('drop icmp-checksum');
    });
  });
});

/** What the director says to the client of a packet that is too long. */
function tooBig({ inner }: Kind, packet: Uint8Array, mtu: number): Uint8Array {
  const back = { sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac };
  if (inner === 6) {
    return icmp6({
      ...{ ...back, source: OUTSIDE_ADDRESS, destination: CLIENT6, flowLabel: 0 },
      ...{ type: icmpv6.PACKET_TOO_BIG, word: mtu, data: packet.slice(0, 1232) },
    });
  }
  return icmpErrorFrame({
    ...{ ...back, typeOfService: 0xc0, source: OUTSIDE_ARM.address, destination: CLIENT },
    ...{ type: 3, code: 4, nextHopMtu: mtu, quote: packet.slice(0, 548) },
  });
}

/** The naive sum of a packet of TCP or UDP with its pseudo-header. */
function sumOf({ inner }: Kind, packet: Uint8Array): number {
  if (inner === 6) {
    const frame = Uint8Array.of(...new Uint8Array(14), ...packet);
    return naiveSum(packet.slice(40), pseudoSum(frame, packet[6]!, packet.length - 40));
  }
  expect(naiveSum(packet.subarray(0, 20))).toBe(0xffff);
  const length = packet.length - 20;
  const pseudo = [...packet.subarray(12, 20), 0, packet[9]!, length >> 8, length & 255];
  return naiveSum([...pseudo, ...packet.subarray(20)]);
}

/** Without identification, sums and sequence number. */
function blank({ inner }: Kind, packet: Uint8Array): void {
  const l4 = inner === 6 ? 40 : 20;
  packet.fill(0, l4 + 4, l4 + 8);
  packet.fill(0, l4 + 16, l4 + 18);
  if (inner === 4) packet.fill(0, 4, 6).fill(0, 10, 12);
}

describe.each(KINDS.filter(({ inner }) => inner === 6))('IPv6 in IPv$outer by $method', (kind) => {
  test('pieces follow their first one, in any order, each with outer headers', () => {
    const frame = udpOf(kind, { payload: new Uint8Array(4000).fill(5), sourcePort: 77 });
    const pieces = cut6(frame, 1392);
    const scene = sceneOf(kind);
    const waited = scene.receive(pieces[2]!);
    expect([waited.verdict, waited.own.length]).toEqual(['taken', 0]);
    const first = scene.receive(pieces[0]!);
    const second = scene.receive(pieces[1]!);
    const all = [first.frame, second.frame, ...first.own.map(({ bytes }) => bytes)];
    const seen = all.map((bytes) => open(kind, bytes));
    expect(seen.map(({ inner }) => hex(inner))).toEqual(pieces.map((each) => hex(packetOf(each))));
    // One way for all of them.
    const ways = seen.map(({ outer }) => [outer.source, outer.label, outer.sourcePort].join());
    expect(new Set(ways).size).toBe(1);
  });

  test('a piece that does not fit is told of if it is the first, and dropped', () => {
    const scene = sceneOf(kind);
    const pieces = cut6(udpOf(kind, { payload: new Uint8Array(3000) }), 1448);
    const [first, later] = pieces.map((piece) => scene.receive(piece));
    expect([first!.verdict, later!.verdict]).toEqual(['drop too-big', 'drop too-big']);
    expect(first!.own).toHaveLength(1);
  });

  test('an ICMPv6 error about an answer of the real goes through it too', () => {
    const scene = sceneOf(kind);
    scene.receive(tcpOf(kind, { flags: tcp.SYN }));
    const answer = tcp6({
      ...{ ...MACS, source: VIPS[6], destination: CLIENT6, sourcePort: 80 },
      destinationPort: 40_000,
    });
    const error = errorToVip6(VIPS[6], answer);
    const outcome = scene.receive(error);
    expect(outcome.verdict).toBe('send 1');
    expect(hex(open(kind, outcome.frame).inner)).toBe(hex(packetOf(error)));
  });

  test('a client is never told less than 1,280 bytes', () => {
    const arms = ARMS6.map((arm) => ({ ...arm, mtu: 1300 }));
    const long = { ...filling(kind, 1290), flags: tcp.SYN };
    const told = sceneOf(kind, { arms }).receive(tcpOf(kind, long));
    expect([told.verdict, viewOf(told.own[0]!.bytes).getUint32(58)]).toEqual([
      'drop too-big',
      1280,
    ]);
  });
});

test('the sources of tunnels are answered for by NDP, and no other address is', () => {
  const tunnel = { source: 0, prefixLength: 32, port: 6080 };
  const options = { tunnel: { ...tunnel, source6: addressOf('2001:db8:f::'), prefixLength6: 64 } };
  const scene = sceneOf({ method: 'gue', outer: 6, inner: 6 }, options);
  const ask = (text: string) => {
    const target = addressOf(text);
    const question = advertisement(GATEWAY6, {
      ...{ type: icmpv6.NEIGHBOUR_SOLICITATION, flags: 0, target },
      ...{ destination: ndp.groupOf(target), to: undefined },
    });
    return scene.receive(question, { arm: INSIDE }).verdict;
  };
  const asked = ['2001:db8:f::1', '2001:db8:f:0:ffff::', '2001:db8:f:1::', INSIDE_ADDRESS];
  expect(asked.map(ask)).toEqual(['taken', 'taken', 'pass', 'pass']);
});

// IPv6 packets in pieces: each follows its first one, in any order, by either method and back; and
// pieces that no sender makes are dropped.
import { describe, expect, test } from 'vitest';
import * as tcp from '../../src/wire/tcp.ts';
import { cut6, icmp6, optionsBefore, type PortFields6, tcp6, udp6 } from './frames6.ts';
import { INSIDE, INSIDE_ARM, OUTSIDE_ARM, ROUTER, type Scene } from './scene.ts';
import {
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
  ping6,
  replyUdp6,
} from './scene6.ts';

const REAL = NAT_REALS6[0]!;
const payload = Uint8Array.from({ length: 3000 }, (_, index) => index);
const hex = (frame: Uint8Array) => Buffer.from(frame).toString('hex');

const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [2, 1, 0],
  [1, 2, 0],
];

/** Lets the pieces arrive in this order; gives all that left, sorted. */
function play(scene: Scene, pieces: readonly Uint8Array[], order: readonly number[], arm = 0) {
  const left: string[] = [];
  for (const index of order) {
    const outcome = scene.receive(pieces[index]!, { arm });
    const isSent = /^(send|answer)/.test(outcome.verdict);
    if (isSent) left.push(hex(outcome.frame));
    else expect(outcome.verdict).toBe('taken');
    left.push(...outcome.own.map(({ bytes }) => hex(bytes)));
  }
  return left.sort();
}

const toReal = (mac: string, fields: Partial<PortFields6>) => ({
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: mac, source: CLIENT6, sourcePort: 40_000 },
  ...{ destination: DSR_VIP6, destinationPort: 80, ...fields },
});
const toNatReal = (fields: Partial<PortFields6>) => ({
  ...toReal(REAL.mac, { destination: REAL.address, destinationPort: 8080, hopLimit: 63 }),
  ...{ sourceMac: INSIDE_ARM.mac, ...fields },
});
const toClient = (fields: Partial<PortFields6>) => ({
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: NAT_VIP6, sourcePort: 80 },
  ...{ destination: CLIENT6, destinationPort: 40_000, hopLimit: 63, ...fields },
});

describe.each(ORDERS)('pieces %i, %i, %i', (...order) => {
  const cut = (frame: Uint8Array) => cut6(frame, 1232);
  const sorted = (frame: Uint8Array) => cut(frame).map(hex).sort();
  const extensions = { first: 60, bytes: optionsBefore(17) };

  test.each([
    ['UDP by DSR', dsrUdp6({ payload }), udp6(toReal(DSR_REALS6[0]!.mac, { payload }))],
    ['UDP by NAT', natUdp6({ payload }), udp6(toNatReal({ payload }))],
    [
      'UDP behind destination options, by NAT',
      natUdp6({ payload, extensions }),
      udp6(toNatReal({ payload, extensions })),
    ],
    [
      'TCP by NAT',
      natTcp6({ payload, flags: tcp.SYN }),
      tcp6(toNatReal({ payload, flags: tcp.SYN })),
    ],
  ])('of %s', (_, sent, expected) => {
    const scene = makeScene6();
    expect(play(scene, cut(sent), order)).toEqual(sorted(expected));
    expect(scene.director.fragments.holding).toBe(0);
  });

  test('of a reply', () => {
    const scene = makeScene6();
    scene.receive(natUdp6());
    const pieces = cut(replyUdp6(REAL, { payload }));
    expect(play(scene, pieces, order, INSIDE)).toEqual(sorted(udp6(toClient({ payload }))));
  });

  test('of a ping', () => {
    const ping = { word: 7, data: payload };
    const answer = icmp6({
      ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: DSR_VIP6 },
      ...{ destination: CLIENT6, type: 129, ...ping },
    });
    expect(play(makeScene6(), cut(ping6(ping)), order)).toEqual(sorted(answer));
  });
});

test('two packets of one identification from two clients are kept apart', () => {
  const scene = makeScene6();
  const mine = cut6(natUdp6({ payload }), 1232);
  const other = cut6(natUdp6({ payload, source: '2001:db8:c::8' }), 1232);
  expect(scene.receive(mine[0]!).verdict).toBe('send 1');
  expect(scene.receive(other[1]!).verdict).toBe('taken');
  expect(scene.receive(mine[1]!).verdict).toBe('send 1');
  expect(scene.director.fragments.holding).toBe(1);
});

test('a whole packet with a Fragment header goes like any other', () => {
  const scene = makeScene6();
  const [whole] = cut6(natUdp6({ payload: payload.slice(0, 90) }), 2000);
  expect(scene.receive(whole!).verdict).toBe('send 1');
});

describe('dropped:', () => {
  const scene = makeScene6();
  const [first, middle, last] = cut6(dsrUdp6({ payload }), 1232);
  const changed = (frame: Uint8Array | undefined, at: number, ...bytes: number[]) => {
    const copy = frame!.slice();
    copy.set(bytes, at);
    return copy;
  };
  const shortened = (frame: Uint8Array | undefined, bytes: number) => {
    const copy = frame!.slice(0, 14 + 40 + bytes);
    new DataView(copy.buffer).setUint16(18, bytes);
    return copy;
  };
  const [tcpFirst, tcpMiddle] = cut6(dsrTcp6({ payload }), 1232);
  test.each([
    ['an empty one', shortened(middle, 8), 'fragment-malformed'],
    ['one torn in the middle of eight bytes', shortened(middle, 100), 'fragment-malformed'],
    ['one beyond the longest packet', changed(last, 56, 0xff, 0xf8), 'fragment-malformed'],
    ['one over a TCP header', changed(tcpMiddle, 56, 0, 0x11), 'fragment-malformed'],
    ['a first one without the whole header', shortened(tcpFirst, 24), 'fragment-malformed'],
    ['a first one of all of UDP', changed(first, 14 + 48 + 4, 0, 9), 'fragment-malformed'],
    [
      'a first one with strange headers',
      changed(first, 54, 60, 0, 0, 1, 0, 0, 0, 9),
      'ip-protocol',
    ],
    ['UDP without a checksum', changed(first, 14 + 48 + 6, 0, 0), 'udp-no-checksum'],
    ['an unknown protocol', changed(first, 54, 50), 'ip-protocol'],
    [
      'a piece of no answer',
      changed(cut6(ping6({ data: payload }), 1232)[0], 62, 1),
      'fragment-malformed',
    ],
    [
      'a first one of no service',
      cut6(dsrUdp6({ payload, destinationPort: 1 }), 1232)[0]!,
      'no-service',
    ],
  ])('%s', (_, frame, reason) => {
    expect(scene.receive(frame).verdict).toBe(`drop ${reason}`);
  });

  test('and the others of a packet whose first one was', () => {
    const scene = makeScene6();
    const [head, next] = cut6(dsrUdp6({ payload, destinationPort: 1 }), 1232);
    scene.receive(head!);
    expect(scene.receive(next!).verdict).toBe('drop no-service');
  });

  test.each([
    ['to nobody', cut6(dsrUdp6({ payload, destination: '2001:db8::5' }), 1232)[1]!, 0],
    [
      "to the director's host",
      cut6(replyUdp6(REAL, { payload, destination: INSIDE_ADDRESS }), 1232)[1]!,
      1,
    ],
  ])('but not %s', (_, frame, arm) => {
    expect(makeScene6().receive(frame, { arm }).verdict).toBe('pass');
  });
});

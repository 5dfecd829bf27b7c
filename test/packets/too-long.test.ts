// Packets that are too long for the arm they go out on: their sender is told, or they are cut, and
// never is one lost in silence. And how the director speaks of that, and of a TTL that is over: to
// whom, about what, how often.
import { describe, expect, test } from 'vitest';
import { icmpErrorFrame } from '../../lab/frame.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { naiveSum } from '../wire/naive-checksum.ts';
import { checksumsGood, endpoints, macs, ttlOneLess, unchanged } from './checks.ts';
import { droppedFor, requested } from './moved.ts';
import { testPackets } from './packet-table.ts';
import { putTogether } from './pieces.ts';
import {
  ARMS,
  CLIENT,
  DSR_REALS,
  dsrTcp,
  dsrUdp,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  natTcp,
  natUdp,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  replyTcp,
  replyUdp,
  type Scene,
} from './scene.ts';

const REAL = NAT_REALS[0]!;
const [OUT, IN] = ARMS as [Arm, Arm];
const NARROW_IN: readonly Arm[] = [OUT, { ...IN, mtu: 1400 }];
const NARROW_OUT: readonly Arm[] = [{ ...OUT, mtu: 1400 }, IN];
const narrowIn = () => opened(makeScene({ arms: NARROW_IN }));
const narrowOut = () => opened(makeScene({ arms: NARROW_OUT }));

function opened(scene: Scene): Scene {
  for (const make of [dsrTcp, natTcp]) scene.receive(make({ flags: tcp.SYN }));
  for (const make of [dsrUdp, natUdp]) scene.receive(make());
  return scene;
}

/** Payload that makes a TCP packet of so many bytes. */
const bytes = (packet: number) => ({ payload: new Uint8Array(packet - 40).fill(6) });
const longTcp = natTcp(bytes(1500));
const MAY_CUT = { dontFragment: false };

/** What the director says of a frame, to the station that it came from. */
const told = (about: Uint8Array, fields: object) =>
  icmpErrorFrame({
    ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac },
    ...{ source: OUTSIDE_ARM.address, destination: CLIENT, typeOfService: 0xc0 },
    ...{ type: 3, code: 4, nextHopMtu: 1400, quote: packetOf(about).slice(0, 548), ...fields },
  });
const toReal = {
  ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac },
  ...{ source: INSIDE_ARM.address, destination: REAL.address },
};

describe('a packet that must not be cut is dropped, and its sender told:', () => {
  test.each([
    ['a request', narrowIn, longTcp, 0, {}],
    ['a request of UDP', narrowIn, natUdp(bytes(1480)), 0, {}],
    ['the first packet of a flow', narrowIn, natUdp({ ...bytes(1480), sourcePort: 5 }), 0, {}],
    ['a reply', narrowOut, replyTcp(REAL, bytes(1500)), INSIDE, toReal],
    ['by DSR', narrowOut, dsrTcp(bytes(1500)), 0, {}],
    ['one byte too much', narrowIn, natTcp(bytes(1401)), 0, {}],
    [
      'with options',
      narrowIn,
      natTcp({ ...MAY_CUT, ...bytes(1500), ipOptions: IP_OPTIONS }),
      0,
      {},
    ],
  ] as const)('%s', (_, scene, frame, arm, fields) => {
    const outcome = scene().receive(frame, { arm });
    expect(outcome.verdict).toBe('drop too-big');
    unchanged(frame, outcome.frame);
    const { 'drop too-big': drops, ownErrors } = outcome.moved;
    expect([drops, ownErrors]).toEqual([1, 1]);
    expect(outcome.own).toHaveLength(1);
    expect(outcome.own[0]!.arm).toBe(arm);
    expect(hex(outcome.own[0]!.bytes)).toBe(hex(told(frame, fields)));
  });

  test('a super-frame by its segments, which fit or do not', () => {
    const frame = natTcp({ payload: new Uint8Array(60_000), partialChecksum: true });
    const by = (segmentBytes: number) => narrowIn().receive(frame, { partial: true, segmentBytes });
    expect(by(1360).verdict).toBe('send 1');
    const { verdict, own } = by(1361);
    expect(verdict).toBe('drop too-big');
    expect(hex(own[0]!.bytes)).toBe(hex(told(frame, {})));
  });

  test('and where its sender lets them be cut, it is cut into shorter segments', () => {
    const may = natTcp({ ...MAY_CUT, payload: new Uint8Array(60_000), partialChecksum: true });
    const { verdict, segments } = narrowIn().receive(may, { partial: true, segmentBytes: 1448 });
    expect(verdict).toBe('taken');
    expect(segments).toHaveLength(Math.ceil(60_000 / 1360));
  });

  test('a super-frame of UDP as well', () => {
    const frame = natUdp({ payload: new Uint8Array(6000), partialChecksum: true });
    const by = (segmentBytes: number) => narrowIn().receive(frame, { partial: true, segmentBytes });
    expect(by(1372).verdict).toBe('send 1');
    expect(by(1373).verdict).toBe('drop too-big');
  });
});

const IP_OPTIONS = Uint8Array.of(1, 1, 1, 0);
const hex = (frame: Uint8Array) => Buffer.from(frame).toString('hex');

describe('what fits goes on:', () => {
  const whole = natTcp(bytes(1400));
  const padded = new Uint8Array(1530);
  padded.set(whole);
  testPackets([
    {
      ...{ name: 'to the last byte', scene: narrowIn, frame: whole, verdict: 'send 1' },
      checks: [checksumsGood, ttlOneLess],
      moved: requested(4, whole.length),
    },
    {
      ...{ name: 'with a trailer behind it', scene: narrowIn, frame: padded, verdict: 'send 1' },
      checks: [ttlOneLess],
      moved: requested(4, padded.length),
    },
    {
      ...{ name: 'by the other arm', scene: narrowIn, frame: dsrTcp(bytes(1500)) },
      verdict: 'send 0',
      checks: [],
      moved: requested(0, 1514),
    },
  ]);
});

describe('a packet that may be cut is', () => {
  test.each([
    ['a request', narrowIn, natTcp({ ...MAY_CUT, ...bytes(1500) }), 0, false, true],
    ['one of UDP', narrowIn, natUdp({ ...MAY_CUT, ...bytes(1480) }), 0, false, true],
    ['a reply', narrowOut, replyUdp(REAL, { ...MAY_CUT, ...bytes(1480) }), INSIDE, false, false],
    [
      'one with an unfinished checksum',
      narrowIn,
      natUdp({ ...MAY_CUT, ...bytes(1480), partialChecksum: true }),
      ...([0, true, true] as const),
    ],
    ['one of 9,000 bytes', narrowIn, natUdp({ ...MAY_CUT, ...bytes(8980) }), 0, false, true],
  ] as const)('%s', (_, scene, frame, arm, partial, isRequest) => {
    const outcome = scene().receive(frame, { arm, partial });
    expect(outcome.verdict).toBe('taken');
    expect(outcome.moved.cutFrames).toBe(1);
    for (const piece of outcome.own) {
      expect(piece.bytes.length).toBeLessThanOrEqual(1414);
      expect(naiveSum(piece.bytes.subarray(14, 34))).toBe(0xffff);
    }
    const together = putTogether(outcome.own.map((piece) => piece.bytes));
    checksumsGood(frame, together);
    ttlOneLess(frame, together);
    const check = isRequest
      ? [
          endpoints(`${CLIENT}:40000`, '10.0.0.11:8080'),
          macs({ from: INSIDE_ARM.mac, to: REAL.mac }),
        ]
      : [endpoints(`${NAT_VIP}:80`, `${CLIENT}:40000`)];
    for (const each of check) each(frame, together);
    // The frame that came in is counted once.
    expect(outcome.own.filter(({ countAs }) => countAs !== undefined)).toHaveLength(1);
  });

  test('by DSR too, with nothing but its MAC addresses changed', () => {
    const frame = dsrUdp({ ...MAY_CUT, ...bytes(1480), identification: 99 });
    const { own } = narrowOut().receive(frame);
    const together = putTogether(own.map((piece) => piece.bytes));
    expect(together.subarray(12)).toEqual(frame.subarray(12));
    macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS[0]!.mac })(frame, together);
  });
});

const overdue = natTcp({ timeToLive: 1, payload: new Uint8Array(20) });

describe('the director speaks', () => {
  const error = (scene: Scene, frame: Uint8Array, arm = 0) =>
    scene.receive(frame, { arm }).own.map((own) => own.bytes);
  const time = { type: 11, code: 0, nextHopMtu: 0 };

  test('of a TTL that is over, to either side', () => {
    const scene = opened(makeScene());
    expect(error(scene, overdue).map(hex)).toEqual([hex(told(overdue, time))]);
    const reply = replyTcp(REAL, { timeToLive: 1 });
    expect(error(scene, reply, INSIDE).map(hex)).toEqual([
      hex(told(reply, { ...time, ...toReal })),
    ]);
  });

  test('of that first, where a packet is too long as well', () => {
    const [said] = error(narrowIn(), natTcp({ ...bytes(1500), timeToLive: 1 }));
    expect(said![34]).toBe(11);
  });

  test('in 576 bytes at most', () => {
    expect(error(narrowIn(), longTcp)[0]).toHaveLength(14 + 576);
  });

  test.each([
    ['a later fragment', natUdp({ ...MAY_CUT, timeToLive: 1, fragmentOffsetBytes: 1480 })],
    ['a packet from nobody', natUdp({ source: '0.0.0.0', timeToLive: 1 })],
    ['one from a loopback address', natUdp({ source: '127.0.0.1', timeToLive: 1 })],
    ['one from a group', natUdp({ source: '224.0.0.1', timeToLive: 1 })],
    ['one from everybody', natUdp({ source: '255.255.255.255', timeToLive: 1 })],
    ['a station that is a group', natUdp({ sourceMac: '01:00:5e:00:00:01', timeToLive: 1 })],
    ['a header with a wrong sum', broken(overdue)],
  ])('never of %s', (_, frame) => {
    const scene = opened(makeScene());
    // The first piece, so that the later one has something to follow.
    scene.receive(natUdp({ ...MAY_CUT, moreFragments: true, payload: new Uint8Array(1472) }));
    expect(error(scene, frame)).toEqual([]);
  });

  test('fifty times at once and then once a millisecond, of either kind', () => {
    const scene = narrowIn();
    const say = (frame: Uint8Array, times: number) => {
      let said = 0;
      for (let time = 0; time < times; time++) said += error(scene, frame).length;
      return said;
    };
    expect(say(overdue, 80)).toBe(50);
    expect(say(longTcp, 80)).toBe(50);
    scene.director.nowMs += 7;
    expect([say(overdue, 30), say(longTcp, 30)]).toEqual([7, 7]);
    scene.director.nowMs += 20_000;
    expect(say(overdue, 80)).toBe(50);
    const { moved } = scene.receive(overdue);
    expect(moved).toEqual({ ...droppedFor('ttl-expired'), withheldErrors: 1 });
  });

  test('from the address of the arm; without one, of another arm; with none, of the VIP', () => {
    const sourceWith = (...addresses: number[]) => {
      const arms = ARMS.map((arm, index) => ({ ...arm, address: addresses[index]! }));
      return [...error(opened(makeScene({ arms })), overdue)[0]!.slice(26, 30)].join('.');
    };
    expect(sourceWith(0x01020304, 0x05060708)).toBe('1.2.3.4');
    expect(sourceWith(0, 0x05060708)).toBe('5.6.7.8');
    expect(sourceWith(0, 0)).toBe(NAT_VIP);
  });
});

function broken(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  copy[24]! ^= 1;
  return copy;
}

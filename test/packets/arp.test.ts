// ARP, packet by packet: the director answers for its VIPs, learns where its reals are, notices who
// else claims a VIP, and leaves everything else to the host.
import { describe, expect, test } from 'vitest';
import { type ArpFields, arpFrame } from '../../lab/frame.ts';
import * as arp from '../../src/wire/arp.ts';
import { type Check, unchanged } from './checks.ts';
import { droppedFor } from './moved.ts';
import { type PacketCase, testPackets } from './packet-table.ts';
import {
  ARMS,
  DSR_REALS,
  DSR_VIP,
  dsrTcp,
  INSIDE,
  INSIDE_ARM,
  introduce,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  OUTSIDE_ARM,
  ROUTER,
} from './scene.ts';

const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const STRANGER = { mac: '02:00:00:00:ee:01', address: '192.0.2.99' };
const REQUEST = { ...{ sourceMac: ROUTER.mac, destinationMac: BROADCAST }, operation: arp.REQUEST };

const ask = (fields: Partial<ArpFields>) =>
  arpFrame({ ...REQUEST, senderAddress: ROUTER.address, targetAddress: DSR_VIP, ...fields });

/** A host says that an address is its own, as after a change of its interface. */
const announce = (mac: string, address: string, operation: number = arp.REQUEST) =>
  ask({ operation, sourceMac: mac, senderAddress: address, targetAddress: address });

const answers =
  (arm: { mac: string }, vip: string): Check =>
  (_, after) => {
    const expected = arpFrame({
      ...{ sourceMac: arm.mac, destinationMac: ROUTER.mac, operation: arp.REPLY },
      ...{ senderAddress: vip, targetMac: ROUTER.mac, targetAddress: ROUTER.address },
    });
    expect(after.subarray(0, expected.length)).toEqual(expected);
  };

const passed = (name: string, frame: Uint8Array, more: Partial<PacketCase> = {}): PacketCase => ({
  ...{ name, frame, verdict: 'pass', checks: [unchanged], moved: {}, ...more },
});

const malformed = (name: string, frame: Uint8Array): PacketCase => ({
  ...{ name, frame, verdict: 'drop arp-malformed', checks: [unchanged] },
  moved: droppedFor('arp-malformed'),
});

/** A frame with one byte of its ARP packet changed. */
function broken(at: number, value: number): Uint8Array {
  const frame = ask({});
  frame[14 + at] = value;
  return frame;
}

testPackets([
  {
    ...{ name: 'a question for a VIP is answered', frame: ask({}), verdict: 'answer 0' },
    checks: [answers(OUTSIDE_ARM, DSR_VIP)],
    moved: { arpAnswers: 1 },
  },
  {
    ...{ name: 'for the other VIP as well', frame: ask({ targetAddress: NAT_VIP }) },
    verdict: 'answer 0',
    checks: [answers(OUTSIDE_ARM, NAT_VIP)],
    moved: { arpAnswers: 1 },
  },
  {
    ...{ name: 'on the other arm, with the address of that arm', frame: ask({}), arm: INSIDE },
    verdict: 'answer 1',
    checks: [answers(INSIDE_ARM, DSR_VIP)],
    moved: { arpAnswers: 1 },
  },
  {
    ...{ name: 'asked directly, and padded to 60 bytes', verdict: 'answer 0' },
    frame: Uint8Array.from({ length: 60 }, (_, at) =>
      at < 42 ? ask({ destinationMac: OUTSIDE_ARM.mac })[at]! : 0,
    ),
    checks: [answers(OUTSIDE_ARM, DSR_VIP)],
    moved: { arpAnswers: 1 },
  },
  {
    ...{ name: 'a probe, whose sender has no address yet', verdict: 'answer 0' },
    frame: ask({ senderAddress: '0.0.0.0' }),
    checks: [],
    moved: { arpAnswers: 1 },
  },
  passed('a question for another host', ask({ targetAddress: STRANGER.address })),
  passed('a question for the director itself', ask({ targetAddress: OUTSIDE_ARM.address })),
  passed('an answer about a VIP that somebody else gives', ask({ operation: arp.REPLY })),
  passed('an operation that is neither', ask({ operation: 3 })),
  passed('an announcement of another address', announce(STRANGER.mac, STRANGER.address)),
  passed('a VIP announced by another host is a conflict', announce(STRANGER.mac, DSR_VIP), {
    moved: { vipConflicts: 1 },
  }),
  passed('so is one that answers for a VIP', announce(STRANGER.mac, NAT_VIP, arp.REPLY), {
    moved: { vipConflicts: 1 },
  }),
  passed('our own announcement, heard on the other arm', announce(OUTSIDE_ARM.mac, DSR_VIP), {
    arm: INSIDE,
  }),
  passed('a question from a broadcast address', ask({ senderMac: BROADCAST })),
  passed('a question from no address', ask({ senderMac: '00:00:00:00:00:00' })),
  malformed('cut short by a byte', ask({}).slice(0, -1)),
  malformed('another kind of hardware', broken(1, 6)),
  malformed('another protocol', broken(3, 1)),
  malformed('another size of addresses', broken(4, 8)),
]);

describe('conflicts', () => {
  test('are told with the host that makes them, the first sixteen of them', () => {
    const scene = makeScene();
    const frame = announce(STRANGER.mac, DSR_VIP);
    for (let times = 0; times < 20; times++) scene.receive(frame);
    const { conflicts } = scene.director;
    expect(conflicts).toHaveLength(16);
    expect(conflicts[0]).toEqual({
      ...{ vip: 0xc0000250 | 0, arm: 0, macHigh: 0x02000000, macLow: 0xee01 },
    });
  });
});

describe('what a real says of itself', () => {
  const macOf = (frame: Uint8Array) => Buffer.from(frame.subarray(0, 6)).toString('hex');
  const [real] = DSR_REALS as [(typeof DSR_REALS)[number]];
  const request = () => dsrTcp({ flags: 2 });
  const moved = announce('02:00:00:00:ff:01', real.address);

  test('makes it reachable', () => {
    const scene = makeScene({ resolved: [] });
    expect(scene.receive(request()).verdict).toBe('drop real-unresolved');
    expect(scene.receive(request()).verdict).toBe('drop real-unresolved');
    introduce(scene, real);
    expect(macOf(scene.receive(request()).frame)).toBe('020000000c01');
  });

  test.each([
    ['an announcement', moved],
    [
      'a question for somebody else',
      ask({
        ...{ sourceMac: '02:00:00:00:ff:01', senderAddress: real.address },
        targetAddress: STRANGER.address,
      }),
    ],
  ])('is believed of %s', (_, frame) => {
    const scene = makeScene();
    expect(scene.receive(frame).verdict).toBe('pass');
    expect(macOf(scene.receive(request()).frame)).toBe('02000000ff01');
  });

  test.each([
    ['a multicast address', '03:00:00:00:ff:01'],
    ['all bits set', BROADCAST],
    ['all bits clear', '00:00:00:00:00:00'],
  ])('is not believed if it is %s (RFC 1812, 3.3.2)', (_, mac) => {
    const scene = makeScene();
    expect(scene.receive(announce(mac, real.address)).verdict).toBe('pass');
    expect(macOf(scene.receive(request()).frame)).toBe('020000000c01');
  });

  test('holds on its own arm only', () => {
    const scene = makeScene();
    scene.receive(moved, { arm: INSIDE });
    expect(macOf(scene.receive(request()).frame)).toBe('020000000c01');
  });
});

test('the scene knows its reals on the arms where they are', () => {
  expect(ARMS.map(({ name }) => name)).toEqual(['out', 'in']);
  const { director } = makeScene({ resolved: [DSR_REALS[0]!, NAT_REALS[1]!] });
  expect([...director.neighbours.state]).toEqual([1, 0, 0, 1]);
});

// Any bytes at all that look like IPv6 through the director: as frames.test.ts has it for IPv4.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sweepFragments } from '../../src/flow/fragment-table.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as ndp from '../../src/wire/ndp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { addressOf, cut6, optionsBefore, tcp6 } from '../packets/frames6.ts';
import { INSIDE, OUTSIDE, OUTSIDE_ARM, ROUTER, type Scene } from '../packets/scene.ts';
import {
  advertisement,
  CLIENT6,
  DSR_REALS6,
  DSR_VIP6,
  dsrTcp6,
  dsrUdp6,
  errorToClient6,
  errorToVip6,
  introduce6,
  makeScene6,
  NAT_REALS6,
  NAT_VIP6,
  natTcp6,
  natUdp6,
  ping6,
  replyTcp6,
  replyUdp6,
} from '../packets/scene6.ts';
import type { Arrival } from './arrivals.ts';
import { makePairOf } from './pair.ts';

const SYN = { flags: tcp.SYN };
const payload = new Uint8Array(33).fill(0xd5);
const REAL = NAT_REALS6[0]!;
const extensions = { first: 0, bytes: [...optionsBefore(60), ...optionsBefore(6)] };
const [ATOMIC] = cut6(natTcp6({ payload }), 2000);
const FROM_VIP = {
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, destination: CLIENT6 },
  ...{ sourcePort: 80, destinationPort: 40_000, payload },
};
const TO_REAL = { destination: REAL.address, destinationPort: 8080 };
const VIP = addressOf(DSR_VIP6);

/** A good frame of each kind; those of the reals' side come in on the inside. */
const GOOD: Record<string, { readonly frame: Uint8Array; readonly arm: number }> = {
  syn: { frame: dsrTcp6(SYN), arm: OUTSIDE },
  udp: { frame: dsrUdp6({ payload }), arm: OUTSIDE },
  natSyn: { frame: natTcp6({ ...SYN, extensions }), arm: OUTSIDE },
  natSynOfOther: { frame: natTcp6({ ...SYN, sourcePort: 7, source: '2001:db8::5' }), arm: OUTSIDE },
  natUdp: { frame: natUdp6({ payload }), arm: OUTSIDE },
  reply: { frame: replyTcp6(REAL, { payload }), arm: INSIDE },
  udpReply: { frame: replyUdp6(REAL, { payload }), arm: INSIDE },
  ping: { frame: ping6({ data: payload }), arm: OUTSIDE },
  atomic: { frame: ATOMIC!, arm: OUTSIDE },
  piece: { frame: cut6(natUdp6({ payload }), 24)[0]!, arm: OUTSIDE },
  nextPiece: { frame: cut6(natUdp6({ payload }), 24)[1]!, arm: OUTSIDE },
  replyPiece: { frame: cut6(replyUdp6(REAL, { payload }), 24)[0]!, arm: INSIDE },
  replyNextPiece: { frame: cut6(replyUdp6(REAL, { payload }), 24)[1]!, arm: INSIDE },
  pingPiece: { frame: cut6(ping6({ data: payload }), 24)[0]!, arm: OUTSIDE },
  dsrError: { frame: errorToVip6(DSR_VIP6, tcp6({ ...FROM_VIP, source: DSR_VIP6 })), arm: OUTSIDE },
  natError: { frame: errorToVip6(NAT_VIP6, tcp6({ ...FROM_VIP, source: NAT_VIP6 })), arm: OUTSIDE },
  errorToClient: { frame: errorToClient6(natTcp6(TO_REAL)), arm: INSIDE },
  question: {
    frame: ndp.message({
      ...{ type: icmpv6.NEIGHBOUR_SOLICITATION, source: addressOf('fe80::b'), target: VIP },
      ...{ destination: ndp.groupOf(VIP), macHigh: 0x02000000, macLow: 0x0b01 },
    }),
    arm: OUTSIDE,
  },
  answer: { frame: advertisement(DSR_REALS6[0]!), arm: OUTSIDE },
};

const makePair = () => makePairOf(makePrepared);
/** A pair takes longer to make than to look through; what one length leaves, few others meet. */
const LENGTHS_PER_PAIR = 8;

/** Few flows fit, and some are there. */
function makePrepared(): Scene {
  const scene = makeScene6({ maximumFlows: 8 });
  scene.director.outbox.length = 0;
  for (const name of ['syn', 'udp', 'natSyn', 'natUdp']) scene.receive(GOOD[name]!.frame);
  return scene;
}

/** With an ICMPv6 checksum that is right again, if it is one without extension headers. */
function repaired(frame: Uint8Array): Uint8Array {
  if (frame.length < 62 || frame[20] !== ipv6.PROTOCOL_ICMPV6) return frame;
  const copy = frame.slice();
  icmpv6.refreshChecksum(new DataView(copy.buffer), 14, 54, copy.length);
  return copy;
}

const meta = { partial: fc.boolean(), repair: fc.boolean() };
const anyGood = fc.constantFrom(...Object.values(GOOD));
const tailed: fc.Arbitrary<Arrival> = fc
  .record({ good: anyGood, cut: fc.integer({ min: 14, max: 110 }), tail: fc.uint8Array(), ...meta })
  .map(({ good, cut, tail, partial }) => ({
    frame: Uint8Array.from([...good.frame.subarray(0, cut), ...tail]),
    ...{ arm: good.arm, partial },
  }));
const mutated: fc.Arbitrary<Arrival> = fc
  .record({
    good: anyGood,
    changes: fc.array(fc.tuple(fc.nat(130), fc.nat(255)), { maxLength: 5 }),
    keep: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    ...meta,
  })
  .map(({ good, changes, keep, partial, repair }) => {
    const frame = good.frame.slice(0, Math.round(good.frame.length * keep));
    for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
    return { frame: repair ? repaired(frame) : frame, arm: good.arm, partial };
  });

describe('any bytes of IPv6', () => {
  test('leave the director able to work', () => {
    const frames = fc.array(fc.oneof(tailed, mutated), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(frames, (arrivals) => {
        const { look, scene } = makePair();
        for (const arrival of arrivals) look(arrival);
        for (const real of NAT_REALS6) introduce6(scene, real);
        scene.director.nowMs += 1_000_000;
        expect(scene.receive(natTcp6({ ...SYN, sourcePort: 77 })).verdict).toBe('send 1');
        const { flows, fragments, nowMs } = scene.director;
        expect(flows.active).toBeLessThanOrEqual(8);
        // Packets in pieces hold addresses by themselves, as long as they live.
        sweepFragments(fragments, nowMs, fragments.entries.length);
        const holds = flows.book.holds.reduce((sum, each) => sum + each, 0);
        expect(holds).toBeLessThanOrEqual(flows.active);
      }),
      { numRuns: 300 },
    );
  });
});

describe.each(Object.entries(GOOD))('a good frame (%s)', (_, { frame, arm }) => {
  test('cut short at any length', () => {
    let { look } = makePair();
    for (let length = 0; length <= frame.length; length++) {
      if (length % LENGTHS_PER_PAIR === 0) ({ look } = makePair());
      look({ frame: frame.slice(0, length), arm, partial: false });
    }
  });

  test('with any one byte of its headers set to anything', () => {
    const { look } = makePair();
    for (let at = 12; at < Math.min(frame.length, 82); at++) {
      for (let value = 0; value < 256; value += 5) {
        const changed = frame.slice();
        changed[at] = (changed[at]! + value) & 255;
        look({ frame: changed, arm, partial: (value & 1) === 1 });
        look({ frame: repaired(changed), arm, partial: (value & 1) === 0 });
      }
    }
  });
});

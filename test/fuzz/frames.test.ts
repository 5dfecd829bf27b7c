// Any bytes at all through the director: it never throws, never reads or writes outside the frame,
// always gives a verdict, and changes nothing of what it does not send. Frames that once were
// trouble, or could be, are kept in corpus/, one in each file: a comment, then the bytes in hex.
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { processFrame } from '../../src/director/process.ts';
import * as arp from '../../src/wire/arp.ts';
import { arpFrame, icmpEchoFrame } from '../../src/wire/frame.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  CLIENT,
  DSR_VIP,
  dsrTcp,
  dsrUdp,
  INSIDE,
  INSIDE_ARM,
  introduce,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  nameVerdict,
  natTcp,
  natUdp,
  OUTSIDE,
  OUTSIDE_ARM,
  ROUTER,
  replyTcp,
  replyUdp,
  type Scene,
} from '../packets/scene.ts';
import { naiveSum } from '../wire/naive-checksum.ts';

const IP_OPTIONS = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);
const DATA = new Uint8Array(33).fill(0xd5);

/** A good frame of each kind, and the arm that it comes in on. */
const GOOD: Record<string, { readonly frame: Uint8Array; readonly arm: number }> = {
  syn: { frame: dsrTcp({ flags: tcp.SYN, options: new Uint8Array(20).fill(1) }), arm: OUTSIDE },
  data: { frame: dsrTcp({ payload: DATA }), arm: OUTSIDE },
  udp: { frame: dsrUdp({ payload: DATA }), arm: OUTSIDE },
  natSyn: { frame: natTcp({ flags: tcp.SYN, ipOptions: IP_OPTIONS }), arm: OUTSIDE },
  natSynOfOther: { frame: natTcp({ flags: tcp.SYN, sourcePort: 7 }), arm: OUTSIDE },
  natUdpOfOther: { frame: natUdp({ sourcePort: 7 }), arm: OUTSIDE },
  natData: { frame: natTcp({ payload: DATA }), arm: OUTSIDE },
  natUdp: { frame: natUdp({ payload: DATA, ipOptions: IP_OPTIONS }), arm: OUTSIDE },
  reply: { frame: replyTcp(NAT_REALS[0]!, { payload: DATA }), arm: INSIDE },
  udpReply: { frame: replyUdp(NAT_REALS[0]!, { payload: DATA }), arm: INSIDE },
  ping: {
    frame: icmpEchoFrame({
      ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, payload: DATA },
      ...{ source: CLIENT, destination: DSR_VIP, identifier: 1, sequence: 1 },
    }),
    arm: OUTSIDE,
  },
  arpQuestion: {
    frame: arpFrame({
      ...{ sourceMac: ROUTER.mac, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: arp.REQUEST },
      ...{ senderAddress: ROUTER.address, targetAddress: NAT_VIP },
    }),
    arm: OUTSIDE,
  },
  arpAnswer: {
    frame: arpFrame({
      ...{ sourceMac: NAT_REALS[0]!.mac, destinationMac: INSIDE_ARM.mac, operation: arp.REPLY },
      ...{ senderAddress: NAT_REALS[0]!.address, targetAddress: INSIDE_ARM.address },
    }),
    arm: INSIDE,
  },
};

const VERDICT = /^(pass|send [01]|answer [01]|drop (?!none|undefined)[a-z0-9-]+)$/;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

interface Arrival {
  readonly frame: Uint8Array;
  readonly arm: number;
  readonly partial: boolean;
}

/**
 * The frame with a header checksum that is right again, for a director that opens flows for no
 * other; if there is no whole header, as it is.
 */
function repaired(frame: Uint8Array): Uint8Array {
  const end = 14 + ((frame[14] ?? 0) & 15) * 4;
  if (end < 34 || end > frame.length) return frame;
  const copy = frame.slice();
  copy.fill(0, 24, 26);
  new DataView(copy.buffer).setUint16(24, 0xffff - naiveSum(copy.subarray(14, end)));
  return copy;
}

/**
 * Two directors that see the same frames: one in the middle of memory, one in a view of its own.
 */
function makePair(): { look(arrival: Arrival): void; scene: Scene } {
  const [scene, exact] = [makePrepared(), makePrepared()];
  return {
    scene,
    look({ frame, arm, partial }) {
      const outcome = scene.receive(frame, { arm, partial });
      // Here a read beyond the frame's end, or before its start, is a RangeError.
      const copy = frame.slice();
      const view = new DataView(copy.buffer);
      const verdict = processFrame(exact.director, view, 0, copy.length, arm, partial ? 1 : 0);
      // Plain comparisons, for there are a hundred thousand of them.
      const fail = (why: string) => new Error(`${why}: ${outcome.verdict}, ${hex(frame)}`);
      if (nameVerdict(verdict) !== outcome.verdict) throw fail('the place in memory matters');
      if (hex(copy) !== hex(outcome.frame)) throw fail('the place in memory matters');
      if (!VERDICT.test(outcome.verdict)) throw fail('no such verdict');
      const isKept = /^(pass|drop)/.test(outcome.verdict);
      if (isKept && hex(outcome.frame) !== hex(frame)) throw fail('changed, but not sent');
    },
  };
}

/** Few flows fit, and some are there. */
function makePrepared(): Scene {
  const scene = makeScene({ maximumFlows: 8 });
  for (const name of ['syn', 'udp', 'natSyn', 'natUdp']) scene.receive(GOOD[name]!.frame);
  return scene;
}

const anyMeta = { arm: fc.constantFrom(OUTSIDE, INSIDE), partial: fc.boolean() };
const anyGood = fc.constantFrom(...Object.values(GOOD));

const anyBytes: fc.Arbitrary<Arrival> = fc.record({
  frame: fc.uint8Array({ maxLength: 120 }),
  ...anyMeta,
});

/** Random bytes behind headers that lead them further in. */
const anyIpv4: fc.Arbitrary<Arrival> = fc
  .record({ good: anyGood, cut: fc.nat(60), tail: fc.uint8Array({ maxLength: 80 }), ...anyMeta })
  .map(({ good, cut, tail, partial }) => ({
    frame: Uint8Array.from([...good.frame.subarray(0, cut), ...tail]),
    ...{ arm: good.arm, partial },
  }));

/** A good frame with some bytes changed, most of them in its headers, and perhaps cut short. */
const anyMutation: fc.Arbitrary<Arrival> = fc
  .record({
    good: anyGood,
    changes: fc.array(fc.tuple(fc.nat(70), fc.nat(255)), { maxLength: 5 }),
    keep: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    partial: fc.boolean(),
    repair: fc.boolean(),
  })
  .map(({ good, changes, keep, partial, repair }) => {
    const frame = good.frame.slice(0, Math.round(good.frame.length * keep));
    for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
    return { frame: repair ? repaired(frame) : frame, arm: good.arm, partial };
  });

describe('any bytes', () => {
  test.each([
    ['at random', anyBytes],
    ['at random behind a good start', anyIpv4],
    ['of good frames, changed and cut', anyMutation],
  ])('%s', (_, arrivals) => {
    fc.assert(
      fc.property(fc.array(arrivals, { minLength: 1, maxLength: 40 }), (frames) => {
        const { look } = makePair();
        for (const arrival of frames) look(arrival);
      }),
      { numRuns: 400 },
    );
  });

  test('in any order leave the director able to work', () => {
    const mixed = fc.oneof(anyBytes, anyIpv4, anyMutation);
    fc.assert(
      fc.property(fc.array(mixed, { minLength: 20, maxLength: 60 }), (frames) => {
        const { look, scene } = makePair();
        for (const arrival of frames) look(arrival);
        for (const real of NAT_REALS) introduce(scene, real);
        scene.director.nowMs += 1_000_000;
        const syn = natTcp({ flags: tcp.SYN, sourcePort: 77 });
        expect(scene.receive(syn).verdict).toBe('send 1');
        expect(scene.director.flows.active).toBeLessThanOrEqual(8);
      }),
      { numRuns: 200 },
    );
  });
});

describe.each(Object.entries(GOOD))('a good frame (%s)', (_, { frame, arm }) => {
  test('cut short at any length', () => {
    for (let length = 0; length <= frame.length; length++) {
      for (const partial of [false, true]) {
        makePair().look({ frame: frame.slice(0, length), arm, partial });
      }
    }
  });

  test('with any one byte of its headers set to anything', () => {
    const { look } = makePair();
    for (let at = 12; at < Math.min(frame.length, 64); at++) {
      for (let value = 0; value < 256; value++) {
        const changed = frame.slice();
        changed[at] = value;
        look({ frame: changed, arm, partial: (value & 1) === 1 });
        look({ frame: repaired(changed), arm, partial: (value & 1) === 0 });
      }
    }
  });
});

const CORPUS = new URL('./corpus/', import.meta.url);
const kept = readdirSync(CORPUS).map((name) => {
  const text = readFileSync(new URL(name, CORPUS), 'utf8').replaceAll(/^#.*$/gm, '');
  return { name, frame: Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex')) };
});

test.each(kept)('kept: $name', ({ frame }) => {
  for (const arm of [OUTSIDE, INSIDE]) {
    for (const partial of [false, true]) {
      const { look } = makePair();
      look({ frame, arm, partial });
      look({ frame, arm, partial });
    }
  }
});

test('the corpus is there', () => {
  expect(kept.length).toBeGreaterThan(10);
  expect(kept.filter(({ frame }) => frame.length === 0).map(({ name }) => name)).toEqual([
    'empty.hex',
  ]);
});

// Frames for the fuzz tests: a good one of each kind, random bytes, random bytes behind good
// headers, and good frames with some bytes changed or cut off.
import fc from 'fast-check';
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
  NAT_REALS,
  NAT_VIP,
  natTcp,
  natUdp,
  OUTSIDE,
  OUTSIDE_ARM,
  ROUTER,
  replyTcp,
  replyUdp,
} from '../packets/scene.ts';
import { naiveSum } from '../wire/naive-checksum.ts';

const IP_OPTIONS = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0);
const DATA = new Uint8Array(33).fill(0xd5);

/** A good frame of each kind, and the arm that it comes in on. */
export const GOOD: Record<string, { readonly frame: Uint8Array; readonly arm: number }> = {
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

export interface Arrival {
  readonly frame: Uint8Array;
  readonly arm: number;
  readonly partial: boolean;
}

/**
 * The frame with a header checksum that is right again, for a director that opens flows for no
 * other; if there is no whole header, as it is.
 */
export function repaired(frame: Uint8Array): Uint8Array {
  const end = 14 + ((frame[14] ?? 0) & 15) * 4;
  if (end < 34 || end > frame.length) return frame;
  const copy = frame.slice();
  copy.fill(0, 24, 26);
  new DataView(copy.buffer).setUint16(24, 0xffff - naiveSum(copy.subarray(14, end)));
  return copy;
}

const anyMeta = { arm: fc.constantFrom(OUTSIDE, INSIDE), partial: fc.boolean() };
const anyGood = fc.constantFrom(...Object.values(GOOD));

export const anyBytes: fc.Arbitrary<Arrival> = fc.record({
  frame: fc.uint8Array({ maxLength: 120 }),
  ...anyMeta,
});

/** Random bytes behind headers that lead them further in. */
export const anyIpv4: fc.Arbitrary<Arrival> = fc
  .record({ good: anyGood, cut: fc.nat(60), tail: fc.uint8Array({ maxLength: 80 }), ...anyMeta })
  .map(({ good, cut, tail, partial }) => ({
    frame: Uint8Array.from([...good.frame.subarray(0, cut), ...tail]),
    ...{ arm: good.arm, partial },
  }));

/** A good frame with some bytes changed, most of them in its headers, and perhaps cut short. */
export const anyMutation: fc.Arbitrary<Arrival> = fc
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

// Frames for the fuzz tests: a good one of each kind, random bytes, random bytes behind good
// headers, and good frames with some bytes changed or cut off.
import fc from 'fast-check';
import { arpFrame, icmpEchoFrame, tcpFrame, udpFrame } from '../../lab/frame.ts';
import * as arp from '../../src/wire/arp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  CLIENT,
  DSR_VIP,
  dsrTcp,
  dsrUdp,
  errorToClient,
  errorToVip,
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
/** The first of several pieces, and one that follows. */
const FIRST = { dontFragment: false, moreFragments: true, identification: 3 };
const LATER = { dontFragment: false, fragmentOffsetBytes: 32, identification: 3 };
const FROM_VIP = {
  ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, destination: CLIENT },
  ...{ sourcePort: 80, destinationPort: 40_000 },
};
const TO_REAL = { destination: NAT_REALS[0]!.address, destinationPort: 8080 };

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
  dsrPiece: { frame: udpPiece(dsrUdp), arm: OUTSIDE },
  dsrNextPiece: { frame: dsrUdp({ ...LATER, payload: DATA }), arm: OUTSIDE },
  natPiece: { frame: udpPiece(natUdp), arm: OUTSIDE },
  natNextPiece: { frame: natUdp({ ...LATER, payload: DATA }), arm: OUTSIDE },
  natPieceOfTcp: { frame: natTcp({ ...FIRST, payload: DATA.subarray(0, 12) }), arm: OUTSIDE },
  natNextPieceOfTcp: { frame: natTcp({ ...LATER, payload: DATA }), arm: OUTSIDE },
  replyPiece: { frame: udpPiece((fields) => replyUdp(NAT_REALS[0]!, fields)), arm: INSIDE },
  replyNextPiece: { frame: replyUdp(NAT_REALS[0]!, { ...LATER, payload: DATA }), arm: INSIDE },
  dsrError: {
    frame: errorToVip(DSR_VIP, tcpFrame({ ...FROM_VIP, source: DSR_VIP, payload: DATA })),
    arm: OUTSIDE,
  },
  natError: {
    frame: errorToVip(NAT_VIP, tcpFrame({ ...FROM_VIP, source: NAT_VIP, ipOptions: IP_OPTIONS })),
    arm: OUTSIDE,
  },
  natUdpError: {
    frame: errorToVip(NAT_VIP, udpFrame({ ...FROM_VIP, source: NAT_VIP }), { type: 11 }),
    arm: OUTSIDE,
  },
  errorOfNear: { frame: errorToClient(natTcp({ ...TO_REAL, payload: DATA })), arm: INSIDE },
  errorOfReal: {
    frame: errorToClient(natUdp(TO_REAL), { source: NAT_REALS[0]!.address, code: 3 }),
    arm: INSIDE,
  },
  pingPiece: { frame: pingPiece(FIRST), arm: OUTSIDE },
  pingNextPiece: { frame: pingPiece({ ...LATER, ipOptions: IP_OPTIONS }), arm: OUTSIDE },
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

/** The first piece of a datagram that is longer than what it shows. */
function udpPiece(make: typeof dsrUdp): Uint8Array {
  const frame = make({ ...FIRST, payload: DATA.subarray(0, 24) });
  new DataView(frame.buffer).setUint16(14 + 20 + 4, 73);
  return frame;
}

function pingPiece(fields: object): Uint8Array {
  return icmpEchoFrame({
    ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, payload: DATA.subarray(0, 24) },
    ...{ source: CLIENT, destination: DSR_VIP, identifier: 1, sequence: 1, ...fields },
  });
}

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
    changes: fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 5 }),
    keep: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    partial: fc.boolean(),
    repair: fc.boolean(),
  })
  .map(({ good, changes, keep, partial, repair }) => {
    const frame = good.frame.slice(0, Math.round(good.frame.length * keep));
    for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
    return { frame: repair ? repaired(frame) : frame, arm: good.arm, partial };
  });

// Packets that come in pieces, in whatever order: all pieces go where the first one goes, and what
// arrives there is the whole packet, as if it had never been cut.
import { describe, expect, test } from 'vitest';
import { icmpEchoFrame } from '../../lab/frame.ts';
import { tick } from '../../src/director/director.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { naiveSum } from '../wire/naive-checksum.ts';
import { checksumsGood, endpoints, macs } from './checks.ts';
import { droppedFor, opened, requested } from './moved.ts';
import { cutUp, permutations, putTogether } from './pieces.ts';
import {
  CLIENT,
  DSR_REALS,
  DSR_VIP,
  dsrTcp,
  dsrUdp,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  natTcp,
  natUdp,
  OUTSIDE,
  OUTSIDE_ARM,
  type Outcome,
  ROUTER,
  replyUdp,
  type Scene,
  standardServices,
} from './scene.ts';

const REAL = NAT_REALS[0]!;
const payload = new Uint8Array(4000).map((_, index) => index * 7);
const SIZES = [1480];

/** What leaves: the frame itself, if it is sent, and what is in the outbox. */
const leaving = ({ verdict, frame, own }: Outcome): Uint8Array[] => [
  ...(/^(send|answer)/.test(verdict) ? [frame] : []),
  ...own.map(({ bytes }) => bytes),
];

function receiveAll(scene: Scene, frames: readonly Uint8Array[], arm = OUTSIDE): Uint8Array[] {
  return frames.flatMap((frame) => leaving(scene.receive(frame, { arm })));
}

const dsr = cutUp(dsrUdp({ payload }), SIZES);
const nat = cutUp(natUdp({ payload }), SIZES);
const natOfTcp = cutUp(
  natTcp({ payload, flags: tcp.SYN, options: new Uint8Array(40) }),
  [64, 1480, 1480, 1480],
);
const replies = cutUp(replyUdp(REAL, { payload }), SIZES);
const ping = icmpEchoFrame({
  ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, identifier: 1, sequence: 1 },
  ...{ source: CLIENT, destination: DSR_VIP, payload },
});
const pings = cutUp(ping, SIZES);

describe('in any order', () => {
  const orders = permutations([0, 1, 2]);
  const ordered = <T>(list: readonly T[], order: readonly number[]) =>
    order.map((index) => list[index]!);

  test.each(orders)('by DSR: %i %i %i', (...order) => {
    const sent = receiveAll(makeScene(), ordered(dsr, order));
    const whole = putTogether(sent);
    expect(whole.subarray(34)).toEqual(putTogether(dsr).subarray(34));
    for (const frame of sent) macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS[0]!.mac })(frame, frame);
    // By DSR all but the MAC addresses stays, in every piece.
    const bodies = (frames: readonly Uint8Array[]) =>
      frames.map((frame) => Buffer.from(frame.subarray(12)).toString('hex')).sort();
    expect(bodies(sent)).toEqual(bodies(dsr));
  });

  test.each(orders)('by NAT: %i %i %i', (...order) => {
    const sent = receiveAll(makeScene(), ordered(nat, order));
    const whole = putTogether(sent);
    checksumsGood(whole, whole);
    endpoints(`${CLIENT}:40000`, '10.0.0.11:8080')(whole, whole);
    expect(whole.subarray(42)).toEqual(payload);
    for (const frame of sent) {
      macs({ from: INSIDE_ARM.mac, to: REAL.mac })(frame, frame);
      expect(naiveSum(frame.subarray(14, 34))).toBe(0xffff);
      expect(frame[22]).toBe(63);
    }
  });

  test.each(permutations([0, 1, 2, 3]))('TCP by NAT: %i %i %i %i', (...order) => {
    expect(natOfTcp).toHaveLength(4);
    const whole = putTogether(receiveAll(makeScene(), ordered(natOfTcp, order)));
    checksumsGood(whole, whole);
    endpoints(`${CLIENT}:40000`, '10.0.0.11:8080')(whole, whole);
  });

  test.each(orders)('a reply: %i %i %i', (...order) => {
    const scene = makeScene();
    scene.receive(natUdp());
    const sent = receiveAll(scene, ordered(replies, order), INSIDE);
    const whole = putTogether(sent);
    checksumsGood(whole, whole);
    endpoints(`${NAT_VIP}:80`, `${CLIENT}:40000`)(whole, whole);
    expect(whole.subarray(42)).toEqual(payload);
    for (const frame of sent) macs({ from: OUTSIDE_ARM.mac, to: ROUTER.mac })(frame, frame);
  });

  test.each(orders)('a ping is answered piece by piece: %i %i %i', (...order) => {
    const sent = receiveAll(makeScene(), ordered(pings, order));
    const whole = putTogether(sent);
    expect(naiveSum(whole.subarray(34))).toBe(0xffff);
    const answer = icmpEchoFrame({
      ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, identifier: 1, sequence: 1 },
      ...{ source: DSR_VIP, destination: CLIENT, payload, type: 0, identification: 7 },
      dontFragment: false,
    });
    expect(Buffer.from(whole).equals(answer)).toBe(true);
  });

  test('many packets at once, each to its own real', () => {
    const scene = makeScene();
    const packets = Array.from({ length: 40 }, (_, index) =>
      cutUp(natUdp({ payload, sourcePort: 1000 + index }), SIZES, index),
    );
    const frames = [2, 0, 1].flatMap((piece) => packets.map((pieces) => pieces[piece]!));
    const sent = receiveAll(scene, frames);
    for (const index of packets.keys()) {
      const own = sent.filter((frame) => frame[19] === index);
      const whole = putTogether(own);
      checksumsGood(whole, whole);
      const to = NAT_REALS[index % 2]!;
      endpoints(`${CLIENT}:${1000 + index}`, `${to.address}:8080`)(whole, whole);
    }
  });
});

describe('the counters', () => {
  test('show a flow and each piece', () => {
    const scene = makeScene();
    expect(scene.receive(nat[0]!).moved).toEqual(opened(6, nat[0]!.length));
    expect(scene.receive(nat[1]!).moved).toEqual(requested(6, nat[1]!.length));
  });

  test('show what is held, and then what was sent', () => {
    const scene = makeScene();
    const held = scene.receive(dsr[1]!);
    expect([held.verdict, held.moved]).toEqual(['taken', { heldFrames: 1 }]);
    expect(scene.receive(dsr[2]!).moved).toEqual({ heldFrames: 1 });
    const { moved, own } = scene.receive(dsr[0]!);
    expect(moved).toMatchObject({ heldFrames: -2, 'real 2 requestPackets': 3 });
    expect(own.map(({ countAs }) => countAs)).toEqual([1, 1]);
  });

  test('show what waited in vain', () => {
    const scene = makeScene();
    scene.receive(dsr[1]!);
    sweep(scene, 1990);
    expect(scene.director.fragments.holding).toBe(1);
    const before = scene.counters.values.slice();
    sweep(scene, 20);
    expect(scene.director.fragments.holding).toBe(0);
    expect(scene.counters.values[3]! - before[3]!).toBe(1);
    // The first one comes too late for it, but not for those that follow.
    expect(receiveAll(scene, [dsr[0]!, dsr[2]!])).toHaveLength(2);
  });
});

/** Lets time pass, with as many ticks as it takes to see all entries. */
function sweep({ director }: Scene, ms: number): void {
  for (let turn = 0; turn < 40; turn++) tick(director, director.nowMs + (turn === 0 ? ms : 0));
}

describe('they follow the first one', () => {
  const [first, second] = dsr as [Uint8Array, Uint8Array];
  const verdicts = (scene: Scene, frames: readonly Uint8Array[], arm = OUTSIDE) =>
    frames.map((frame) => scene.receive(frame, { arm }).verdict);

  test('when it is dropped, for the same reason', () => {
    const [nowhere, rest] = cutUp(dsrUdp({ payload, destinationPort: 9 }), SIZES);
    const reasons = ['drop no-service', 'drop no-service'];
    expect(verdicts(makeScene(), [nowhere!, rest!])).toEqual(reasons);
    const scene = makeScene();
    expect(verdicts(scene, [rest!, nowhere!])).toEqual(['taken', 'drop no-service']);
    expect(scene.counters.values[3]).toBe(2);
  });

  test("when it is the host's own affair", () => {
    const own = cutUp(replyUdp(REAL, { payload, sourcePort: 22 }), SIZES);
    expect(verdicts(makeScene(), own, INSIDE)).toEqual(['pass', 'pass', 'pass']);
    const scene = makeScene();
    expect(verdicts(scene, [own[1]!, own[0]!], INSIDE)).toEqual(['taken', 'pass']);
    expect([scene.counters.values[0], scene.director.outbox]).toEqual([1, []]);
  });

  test('when it is a reply that belongs to nothing', () => {
    const reasons = ['drop no-flow', 'drop no-flow', 'drop no-flow'];
    expect(verdicts(makeScene(), replies, INSIDE)).toEqual(reasons);
  });

  test('when its TTL is over, and say nothing themselves', () => {
    const dying = cutUp(natUdp({ payload, timeToLive: 1 }), SIZES);
    const scene = makeScene();
    expect(scene.receive(dying[0]!).moved).toMatchObject({ ownErrors: 1 });
    const later = scene.receive(dying[1]!);
    expect(later.moved).toEqual(droppedFor('ttl-expired'));
  });

  test('unless their own TTL is over', () => {
    const scene = makeScene();
    const dying = cutUp(natUdp({ payload, timeToLive: 1 }), SIZES);
    expect(verdicts(scene, [nat[0]!, dying[1]!])).toEqual(['send 1', 'drop ttl-expired']);
  });

  test('also when the flow is over before they come', () => {
    const scene = makeScene({ maximumFlows: 1 });
    scene.receive(first);
    scene.director.flows.records.fill(0);
    expect(scene.receive(second).verdict).toBe('send 0');
  });

  test('but not to a real that has left', () => {
    const scene = makeScene();
    scene.receive(first);
    scene.director.ways.fill(-2);
    expect(scene.receive(second).verdict).toBe('drop no-flow');
    scene.director.ways.fill(-1);
    expect(scene.receive(second).verdict).toBe('drop real-unresolved');
  });

  test('of the latest packet with that identification', () => {
    const scene = makeScene();
    const other = cutUp(dsrUdp({ payload, sourcePort: 40_001 }), SIZES);
    const to = (frame: Uint8Array) => scene.receive(frame).frame.slice(0, 6).join();
    const [mine, again] = [to(first), to(second)];
    expect(again).toBe(mine);
    const [theirs, rest] = [to(other[0]!), to(other[1]!)];
    expect([theirs === mine, rest]).toEqual([false, theirs]);
  });

  test('of their own protocol, source and destination', () => {
    const scene = makeScene();
    scene.receive(first);
    for (const fields of [{ source: '198.51.100.8' }, { destination: NAT_VIP }]) {
      const stranger = cutUp(dsrUdp({ payload, ...fields }), SIZES)[1]!;
      expect(scene.receive(stranger).verdict).toBe('taken');
    }
    const ofTcp = cutUp(dsrTcp({ payload }), SIZES)[1]!;
    expect(scene.receive(ofTcp).verdict).toBe('taken');
    const ofAnotherPacket = cutUp(dsrUdp({ payload }), SIZES, 8)[1]!;
    expect(scene.receive(ofAnotherPacket).verdict).toBe('taken');
  });

  test('twice, if they come twice', () => {
    expect(verdicts(makeScene(), [first, second, second, first])).toEqual(
      Array.from({ length: 4 }, () => 'send 0'),
    );
  });
});

describe('a flood', () => {
  const stray = (index: number) =>
    dsrUdp({
      ...{ source: `198.51.${index >> 8}.${index & 255}`, fragmentOffsetBytes: 1480 },
      ...{ dontFragment: false, moreFragments: true, payload: new Uint8Array(1472) },
    });

  test('of strays holds no more than there is room for, and drops the oldest by name', () => {
    const scene = makeScene();
    for (let index = 0; index < 2000; index++) scene.receive(stray(index));
    const { fragments } = scene.director;
    expect(fragments.holding).toBeGreaterThan(450);
    expect(fragments.holding).toBeLessThanOrEqual(512);
    expect(scene.counters.values[3]).toBe(2000 - fragments.holding);
    sweep(scene, 10_000);
    expect(fragments.holding).toBe(0);
    expect(scene.counters.values[3]).toBe(2000);
  });

  test('of strays leaves those alone that know their way', () => {
    const scene = makeScene();
    scene.receive(nat[0]!);
    for (let index = 0; index < 20_000; index++) scene.receive(stray(index));
    expect(scene.receive(nat[1]!).verdict).toBe('send 1');
  });

  test('of first pieces leaves room for the newest', () => {
    const scene = makeScene({ services: standardServices('maglev'), maximumFlows: 40_000 });
    for (let index = 0; index < 20_000; index++) {
      const source = `198.51.${index >> 8}.${index & 255}`;
      scene.receive(cutUp(dsrUdp({ payload, source }), SIZES)[0]!);
    }
    expect(receiveAll(scene, nat)).toHaveLength(3);
  });

  test('a stray that is too long to be held is dropped', () => {
    const frame = dsrUdp({
      ...{ fragmentOffsetBytes: 8, dontFragment: false, payload: new Uint8Array(9300) },
    });
    expect(makeScene().receive(frame).verdict).toBe('drop fragment-table-full');
  });
});

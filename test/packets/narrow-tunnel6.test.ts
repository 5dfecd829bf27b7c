// Tunnels over IPv6 where there is too little room: on the way, on the arm, or for a super-frame.
import { describe, expect, test } from 'vitest';
import { takeTable } from '../../src/director/director.ts';
import { processFrame } from '../../src/director/process.ts';
import { cutUp, putTogether } from './pieces.ts';
import { INSIDE, packetOf, tableOf } from './scene.ts';
import { ARMS6, introduce6 } from './scene6.ts';
import {
  aheadOf,
  GATEWAY6,
  GUE_BYTES,
  KINDS,
  type Kind,
  saying,
  sceneOf,
  servicesOf,
  udpOf,
  viewOf,
} from './tunnel-scene6.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe.each(KINDS.filter(({ inner }) => inner === 4))('IPv4 in IPv6 by $method', (kind) => {
  const loose = { dontFragment: false, payload: new Uint8Array(1372).fill(6) };
  const joined = (frames: readonly Uint8Array[]) =>
    hex(putTogether(frames.map((bytes) => packetOf(bytes).slice(aheadOf(kind))).map(framed)));
  const framed = (packet: Uint8Array) => Uint8Array.of(...new Uint8Array(14), ...packet);

  test('what may be cut is, before it goes in, by the room that a router told of', () => {
    const scene = sceneOf(kind);
    const frame = udpOf(kind, loose);
    const lost = scene.receive(frame);
    const error = saying(kind, lost.frame, 1300);
    const told = scene.receive(error, { arm: INSIDE });
    expect([lost.verdict, told.verdict, told.own.length]).toEqual([
      ...['send 1', 'drop tunnel-error', 0],
    ]);
    const { verdict, own, moved } = scene.receive(frame);
    expect([verdict, own.length, moved.cutFrames]).toEqual(['taken', 2, 1]);
    for (const { bytes } of own) expect(bytes.length).toBeLessThanOrEqual(1314);
    expect(joined(own.map(({ bytes }) => bytes))).toBe(hex(framed(packetOf(frame))));
    // Pieces that come as such are cut once more; what must not be cut goes as before.
    const sizes = cutUp(udpOf(kind, { ...loose, payload: new Uint8Array(2700) }), [1400]).flatMap(
      (piece) => scene.receive(piece).own.map(({ bytes }) => bytes.length),
    );
    expect(sizes.length).toBeGreaterThan(2);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1314);
    expect(scene.receive(udpOf(kind, { ...loose, dontFragment: true })).verdict).toBe('send 1');
    scene.director.nowMs += 599_999;
    expect(scene.receive(frame).verdict).toBe('taken');
    scene.director.nowMs += 1;
    expect(scene.receive(frame).verdict).toBe('send 1');
  });

  test('what a router told is remembered through a reload, for as long as the real is the same', () => {
    const scene = sceneOf(kind);
    const frame = udpOf(kind, loose);
    const tell = () =>
      scene.receive(saying(kind, scene.receive(frame).frame, 1300), { arm: INSIDE });
    const reload = (to: Kind, address?: string) => {
      takeTable(scene.director, tableOf(servicesOf(to, address)));
      introduce6(scene, GATEWAY6);
    };
    tell();
    reload(kind);
    expect(scene.receive(frame).verdict).toBe('taken');
    reload(kind, '2001:db8:7::12');
    expect(scene.receive(frame).verdict).toBe('send 1');
    tell();
    expect(scene.receive(frame).verdict).toBe('taken');
    reload({ ...kind, method: kind.method === 'ipip' ? 'gue' : 'ipip' }, '2001:db8:7::12');
    expect(scene.receive(frame).verdict).toBe('send 1');
  });

  test.each([60, 60 + 11, 60 + 12, 60 + 19, 60 + 20])('an arm with no room, MTU %i', (mtu) => {
    const scene = sceneOf(kind, { arms: ARMS6.map((arm) => ({ ...arm, mtu })) });
    const { verdict, own } = scene.receive(udpOf(kind, loose));
    const isRoom = mtu - aheadOf(kind) - 20 >= 8;
    expect(verdict).toBe(isRoom ? 'taken' : 'drop too-big');
    if (!isRoom) expect(own.map(({ bytes }) => viewOf(bytes).getUint16(40))).toEqual([68]);
  });
});

test('an outer sum that pieces will have is not made for the whole', () => {
  const kind: Kind = { method: 'gue', outer: 6, inner: 6 };
  const { director } = sceneOf(kind);
  const sumAfter = (payload: number, segment: number) => {
    const frame = udpOf(kind, { payload: new Uint8Array(payload), partialChecksum: true });
    const memory = Uint8Array.of(...new Uint8Array(64), ...frame);
    const offload = (segment << 1) | 1;
    processFrame(director, viewOf(memory), 64, memory.length, 0, offload);
    return viewOf(memory).getUint16(64 + 14 - GUE_BYTES + 6);
  };
  expect(sumAfter(1000, 0)).not.toBe(0);
  expect(sumAfter(4000, 1300)).toBe(0);
});

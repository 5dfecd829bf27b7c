// The life of IPv6 flows, where it takes a path of its own; life.test.ts has all the rest.
import { expect, test } from 'vitest';
import { takeTable, tick } from '../../src/director/director.ts';
import { RESET_OLD } from '../../src/director/life.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { INSIDE, OUTSIDE, standardServices, tableOf } from './scene.ts';
import { dsrTcp6, makeScene6, NAT_REALS6, natTcp6, replyTcp6, services6 } from './scene6.ts';

const NUMBERS = { sequence: 1000, acknowledgment: 77, payload: Uint8Array.of(1, 2, 3) };

test('a drained real that resets its old connections does so over IPv6, whoever speaks first', () => {
  const terms = { stopsNew: true, old: RESET_OLD, oldAfterMs: 5000, upper: 0, lower: 0 };
  const services = [...standardServices(), ...services6()].map((service) => ({
    ...service,
    reals: service.reals.map((real) => ({ ...real, terms })),
  }));
  const cases = [
    [dsrTcp6(NUMBERS), OUTSIDE],
    [natTcp6(NUMBERS), OUTSIDE],
    [replyTcp6(NAT_REALS6[0]!, NUMBERS), INSIDE],
  ] as const;
  for (const [frame, arm] of cases) {
    const scene = makeScene6();
    for (const make of [dsrTcp6, natTcp6]) scene.receive(make({ flags: tcp.SYN }));
    takeTable(scene.director, tableOf(services));
    tick(scene.director, scene.director.nowMs + 5000);
    const { verdict, own, moved } = scene.receive(frame, { arm });
    expect([verdict, moved.resetFlows, own.length]).toEqual(['drop flow-reset', 1, 2]);
  }
});

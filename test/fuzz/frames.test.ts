// Any bytes at all through the director: it never throws, never reads or writes outside the frame,
// always gives a verdict, and changes nothing of what it does not send. Frames that once were
// trouble, or could be, are kept in corpus/, one in each file: a comment, then the bytes in hex.
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as tcp from '../../src/wire/tcp.ts';
import {
  INSIDE,
  introduce,
  makeScene,
  NAT_REALS,
  natTcp,
  OUTSIDE,
  type Scene,
} from '../packets/scene.ts';
import { anyBytes, anyIpv4, anyMutation, GOOD, repaired } from './arrivals.ts';
import { makePairOf } from './pair.ts';

const makePair = () => makePairOf(makePrepared);
/** A pair takes longer to make than to look through; what one length leaves, few others meet. */
const LENGTHS_PER_PAIR = 8;

/** Few flows fit, and some are there. */
function makePrepared(): Scene {
  const scene = makeScene({ maximumFlows: 8 });
  scene.director.outbox.length = 0;
  for (const name of ['syn', 'udp', 'natSyn', 'natUdp']) scene.receive(GOOD[name]!.frame);
  return scene;
}

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
    for (const partial of [false, true]) {
      let { look } = makePair();
      for (let length = 0; length <= frame.length; length++) {
        if (length % LENGTHS_PER_PAIR === 0) ({ look } = makePair());
        look({ frame: frame.slice(0, length), arm, partial });
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

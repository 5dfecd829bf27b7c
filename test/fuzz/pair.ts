// Two directors that see the same frames, whatever they are: what both tests of any bytes at all
// look through.
import { processFrame } from '../../src/director/process.ts';
import { kindOf, restOf, SEND } from '../../src/director/verdict.ts';
import { nameVerdict, type Scene } from '../packets/scene.ts';
import type { Arrival } from './arrivals.ts';

const VERDICT = /^(pass|taken|send [01]|answer [01]|drop (?!none|undefined)[a-z0-9-]+)$/;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const isSame = (one: Uint8Array, other: Uint8Array) => Buffer.compare(one, other) === 0;
const areSame = (some: readonly Uint8Array[], others: readonly Uint8Array[]) =>
  some.length === others.length && some.every((one, index) => isSame(one, others[index]!));
const bytesOf = (list: readonly { readonly bytes: Uint8Array }[]) => list.map(({ bytes }) => bytes);

/**
 * Two directors that see the same frames: one in the middle of memory, one in a view of its own.
 * @param headroomBytes what there is before each frame, for the outer headers of tunnels
 */
export function makePairOf(
  makePrepared: () => Scene,
  headroomBytes = 0,
): {
  look(arrival: Arrival): void;
  scene: Scene;
} {
  const [scene, exact] = [makePrepared(), makePrepared()];
  return {
    scene,
    look({ frame, arm, partial }) {
      const outcome = scene.receive(frame, { arm, partial });
      // Here a read beyond the frame's end, or before its headroom, is a RangeError.
      const memory = new Uint8Array(headroomBytes + frame.length);
      memory.set(frame, headroomBytes);
      const view = new DataView(memory.buffer);
      const end = memory.length;
      const verdict = processFrame(exact.director, view, headroomBytes, end, arm, partial ? 1 : 0);
      const ahead = kindOf(verdict) === SEND ? restOf(verdict) : 0;
      const copy = memory.slice(headroomBytes - ahead);
      // Plain comparisons, for there are a hundred thousand of them.
      const fail = (why: string) => new Error(`${why}: ${outcome.verdict}, ${hex(frame)}`);
      if (nameVerdict(verdict) !== outcome.verdict) throw fail('the place in memory matters');
      if (!isSame(copy, outcome.frame)) throw fail('the place in memory matters');
      const parts = bytesOf(exact.director.segments.splice(0));
      const own = bytesOf(exact.director.outbox.splice(0));
      if (!areSame(parts, bytesOf(outcome.segments)) || !areSame(own, bytesOf(outcome.own))) {
        throw fail('the place in memory matters');
      }
      if (!VERDICT.test(outcome.verdict)) throw fail('no such verdict');
      // What a packet was cut into was rewritten in its place.
      const isCut = parts.length + own.length > 0 && outcome.verdict === 'taken';
      const isKept = /^(pass|drop|taken)/.test(outcome.verdict) && !isCut;
      if (isKept && !isSame(outcome.frame, frame)) throw fail('changed, but not sent');
    },
  };
}

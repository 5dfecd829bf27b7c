// Two directors that see the same frames, whatever they are: what both tests of any bytes at all
// look through.
import { processFrame } from '../../src/director/process.ts';
import { nameVerdict, type Scene } from '../packets/scene.ts';
import type { Arrival } from './arrivals.ts';

const VERDICT = /^(pass|taken|send [01]|answer [01]|drop (?!none|undefined)[a-z0-9-]+)$/;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/**
 * Two directors that see the same frames: one in the middle of memory, one in a view of its own.
 */
export function makePairOf(makePrepared: () => Scene): {
  look(arrival: Arrival): void;
  scene: Scene;
} {
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
      const own = exact.director.outbox.splice(0).map(({ bytes }) => hex(bytes));
      const others = outcome.own.map(({ bytes }) => hex(bytes));
      if (own.join() !== others.join()) throw fail('the place in memory matters');
      if (!VERDICT.test(outcome.verdict)) throw fail('no such verdict');
      const isKept = /^(pass|drop|taken)/.test(outcome.verdict);
      if (isKept && hex(outcome.frame) !== hex(frame)) throw fail('changed, but not sent');
    },
  };
}

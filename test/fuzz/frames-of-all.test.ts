// Any bytes at all through a director that has services of every method, protocol and family: good
// packets in any order, and the same with some bytes changed or cut off, to arms that are wide
// enough for them and to narrow ones.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HEADROOM_BYTES } from '../../src/wire/tunnel.ts';
import { type Arrival, repaired } from './arrivals.ts';
import { anyPacket, makeSceneOfAll } from './every-method.ts';
import { makePairOf } from './pair.ts';

const MAXIMUM_FLOWS = 8;

/** The headers are the first hundred bytes of a frame; most changes are to be in them. */
const anyChanged: fc.Arbitrary<Arrival> = fc
  .record({
    arrival: anyPacket,
    changes: fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 4 }),
    keep: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
    repair: fc.boolean(),
  })
  .map(({ arrival, changes, keep, repair }) => {
    const frame = arrival.frame.slice(0, Math.round(arrival.frame.length * keep));
    for (const [at, value] of changes) if (at < frame.length) frame[at] = value;
    return { ...arrival, frame: repair && frame[12] === 8 ? repaired(frame) : frame };
  });

test.each([1500, 100])('any bytes leave the director in order (MTU %i)', (mtu) => {
  const frames = fc.array(fc.oneof(anyPacket, anyChanged), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(frames, (arrivals) => {
      const make = () => makeSceneOfAll({ maximumFlows: MAXIMUM_FLOWS, mtu });
      const { look, scene } = makePairOf(make, HEADROOM_BYTES);
      for (const arrival of arrivals) look(arrival);
      const { flows } = scene.director;
      expect(flows.active).toBeLessThanOrEqual(MAXIMUM_FLOWS);
      const holds = flows.book.holds.reduce((sum, each) => sum + each, 0);
      expect(holds).toBeLessThanOrEqual(flows.active);
      const byReal = flows.flowsByReal.reduce((sum, each) => sum + each, 0);
      expect(byReal).toBe(flows.active);
    }),
    { numRuns: 300 },
  );
});

// A batch at a time against one frame after the other: two directors see the same frames, and every
// verdict, every byte, every counter and the whole flow table must be the same. The table is small
// and time jumps, so that flows are opened, found, replaced, given up and over in mid-batch.
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBatch } from '../../src/datapath/datapath.ts';
import { GLOBAL } from '../../src/director/counters.ts';
import type { Director } from '../../src/director/director.ts';
import { NO_WAY, WAY_ARM, WAY_WORDS } from '../../src/director/neighbours.ts';
import { processFrame } from '../../src/director/process.ts';
import { createBatchProcessor } from '../../src/director/process-batch.ts';
import { kindOf, restOf, SEND } from '../../src/director/verdict.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { HEADROOM_BYTES } from '../../src/wire/tunnel.ts';
import { dsrTcp, dsrUdp, INSIDE, nameVerdict, OUTSIDE, type Scene } from '../packets/scene.ts';
import { type Arrival, anyBytes, anyIpv4, anyMutation, GOOD } from './arrivals.ts';
import { anyPacket, established, makeSceneOfAll, VIPS } from './every-method.ts';

const SLOT_BYTES = 512;
const MOST_FRAMES = 64;
const FEW_FLOWS = 4;

interface TaggedArrival extends Arrival {
  /** As a batch has it, or 0. */
  readonly tag: number;
}

interface BatchOfFrames {
  readonly arm: number;
  readonly arrivals: readonly TaggedArrival[];
  /** What passes before the batch. */
  readonly pauseMs: number;
}

/** Pieces of packets and ICMP errors, of the flows above and of others. */
const anyGoodFrame = fc
  .constantFrom(...Object.values(GOOD))
  .map(({ frame, arm }): Arrival => ({ frame, arm, partial: false }));

const anyArrival = fc.oneof(
  { weight: 20, arbitrary: anyPacket },
  { weight: 1, arbitrary: anyBytes },
  { weight: 1, arbitrary: anyIpv4 },
  { weight: 3, arbitrary: anyMutation },
  { weight: 3, arbitrary: anyGoodFrame },
);
const anyTag = fc.constantFrom(0, 0, 0x8100_0007 | 0, 0x88a8_0fff | 0);
const anyTagged = fc
  .record({ arrival: anyArrival, tag: anyTag })
  .map(({ arrival, tag }): TaggedArrival => ({ ...arrival, tag }));

const anyBatch: fc.Arbitrary<BatchOfFrames> = fc.record({
  arm: fc.constantFrom(OUTSIDE, INSIDE),
  arrivals: fc.array(anyTagged, { minLength: 1, maxLength: MOST_FRAMES }),
  pauseMs: fc.oneof(fc.constant(0), fc.nat(400_000)),
});

const valuesOf = ({ counters }: Scene) => Buffer.from(counters.values.buffer);
const entriesOf = ({ fragments }: Director) => Buffer.from(fragments.entries.buffer);

/** Two directors, and `look` gives both the same frames; of one, verdicts and what it sent so. */
function makePair({ maximumFlows = FEW_FLOWS, mtu = 1500 } = {}) {
  const make = () => makeSceneOfAll({ maximumFlows, mtu });
  const [alone, together] = [make(), make()];
  const { director } = alone;
  const other = together.director;
  const memory = new Uint8Array(MOST_FRAMES * SLOT_BYTES);
  const batch = createBatch(new DataView(memory.buffer));
  const processor = createBatchProcessor(other, batch);
  const unused = memory.slice();
  const look = ({ arm, arrivals, pauseMs }: BatchOfFrames) => {
    // As a datapath fills it: frames of one arm, each in a slot of its own.
    memory.set(unused);
    batch.arm = arm;
    batch.count = arrivals.length;
    for (const [index, { frame, partial, tag }] of arrivals.entries()) {
      const at = index * SLOT_BYTES + HEADROOM_BYTES + 2;
      memory.set(frame, at);
      batch.at[index] = at;
      batch.end[index] = at + frame.length;
      batch.offload[index] = partial ? 1 : 0;
      batch.tag[index] = tag;
    }
    const expected = memory.slice();
    const view = new DataView(expected.buffer);
    director.nowMs = (director.nowMs + pauseMs) | 0;
    other.nowMs = director.nowMs;
    const verdicts = arrivals.map(({ partial, tag }, index) => {
      const [at, end] = [batch.at[index]!, batch.end[index]!];
      director.tag = tag;
      return processFrame(director, view, at, end, arm, partial ? 1 : 0);
    });
    processor.process();
    const found = [...processor.verdicts.subarray(0, arrivals.length)];
    expect(found.map(nameVerdict)).toEqual(verdicts.map(nameVerdict));
    expect(found).toEqual(verdicts);
    expect(Buffer.compare(memory, expected)).toBe(0);
    expect(valuesOf(together).equals(valuesOf(alone))).toBe(true);
    // `toEqual` is for the message alone: it takes a second for tables of this size.
    if (!isDeepStrictEqual(other.flows, director.flows))
      expect(other.flows).toEqual(director.flows);
    expect(entriesOf(other).equals(entriesOf(director))).toBe(true);
    const own = director.outbox.splice(0);
    expect(other.outbox.splice(0)).toEqual(own);
    expect(other.segments.splice(0)).toEqual(director.segments.splice(0));
    const seen = verdicts.map(nameVerdict);
    if (own.some(({ tag = 0 }) => tag !== 0)) seen.push('a tag of its own');
    if (verdicts.some((verdict) => kindOf(verdict) === SEND && restOf(verdict) > 0)) {
      seen.push('through a tunnel');
    }
    if (alone.counters.values[GLOBAL.statelessPackets]) seen.push('statelessly');
    return seen;
  };
  return { look, directors: [director, other] };
}

/** As many connections as the table holds, which it does not give up for others. */
const FULL = established(FEW_FLOWS).map((arrival) => ({ ...arrival, tag: 0 }));

describe('a batch', () => {
  test('comes out as its frames do one by one', () => {
    const seen = new Map<string, number>();
    const all = { full: fc.boolean(), mtu: fc.constantFrom(1500, 1500, 100) };
    const some = fc.array(anyBatch, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.record({ ...all, batches: some }), ({ full, mtu, batches }) => {
        const { look } = makePair({ mtu });
        const first = full ? [{ arm: OUTSIDE, arrivals: FULL, pauseMs: 0 }] : [];
        for (const batch of [...first, ...batches]) {
          for (const verdict of look(batch)) seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
        }
      }),
      { numRuns: 300 },
    );
    // It would be easy to agree on nothing but drops.
    const each = ['send 0', 'send 1', 'answer 0', 'pass', 'taken', 'statelessly'];
    each.push('a tag of its own', 'through a tunnel');
    const drops = ['flow-table-full', 'no-flow', 'ttl-expired', 'too-big'];
    for (const verdict of [...each, ...drops.map((name) => `drop ${name}`)]) {
      expect(seen.get(verdict) ?? 0, verdict).toBeGreaterThan(0);
    }
  });

  test('may be full of packets of one flow that opens, ends and opens again in it', () => {
    const { look } = makePair();
    const frames = [tcp.SYN, tcp.ACK, tcp.ACK | tcp.FIN, tcp.ACK, tcp.SYN, tcp.ACK, tcp.RST];
    const arrivals = Array.from({ length: MOST_FRAMES }, (_, index) => {
      const flags = frames[index % frames.length]!;
      return { frame: dsrTcp({ flags }), arm: OUTSIDE, partial: false, tag: 0 };
    });
    const verdicts = look({ arm: OUTSIDE, arrivals, pauseMs: 0 });
    expect(verdicts.filter((verdict) => verdict === 'send 0').length).toBeGreaterThan(40);
  });

  // A batch of its own for each packet: the index is read before a batch, so that only then it has
  // the flow.
  describe.each(Object.values(VIPS))('of one packet of a known flow to %s', (destination) => {
    const { look, directors } = makePair({ maximumFlows: 128 });
    const send = (frame: Uint8Array, pauseMs = 0) =>
      look({ arm: OUTSIDE, arrivals: [{ frame, arm: OUTSIDE, partial: false, tag: 0 }], pauseMs });
    const segment = (sourcePort: number, flags: number) =>
      dsrTcp({ destination, sourcePort, flags });
    const datagram = dsrUdp({ destination });
    const open = (sourcePort: number) => {
      for (const flags of [tcp.SYN, tcp.ACK, tcp.ACK]) send(segment(sourcePort, flags));
    };

    test.each([0, 1000, 100_000_000])('with any flags, after %i ms', (pauseMs) => {
      for (let flags = 0; flags < 64; flags++) {
        open(1000 + flags);
        send(segment(1000 + flags, flags), pauseMs);
        send(segment(1000 + flags, tcp.ACK));
      }
    });

    test.each([0, 1000, 100_000_000])('of UDP, after %i ms', (pauseMs) => {
      for (let time = 0; time < 4; time++) send(datagram, pauseMs);
    });

    test('whose real does not answer', () => {
      open(2000);
      send(datagram);
      for (const { ways } of directors) {
        for (let at = 0; at < ways.length; at += WAY_WORDS) ways[at + WAY_ARM] = NO_WAY;
      }
      send(segment(2000, tcp.ACK));
      send(datagram);
    });
  });
});

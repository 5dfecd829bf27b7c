// A batch at a time against one frame after the other: two directors see the same frames, and every
// verdict, every byte, every counter and the whole flow table must be the same. The table is small
// and time jumps, so that flows are opened, found, replaced, given up and over in mid-batch.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBatch } from '../../src/datapath/datapath.ts';
import type { Director } from '../../src/director/director.ts';
import { processFrame } from '../../src/director/process.ts';
import { createBatchProcessor } from '../../src/director/process-batch.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  dsrTcp,
  dsrUdp,
  INSIDE,
  makeScene,
  NAT_REALS,
  nameVerdict,
  natTcp,
  natUdp,
  OUTSIDE,
  replyTcp,
  replyUdp,
} from '../packets/scene.ts';
import { type Arrival, anyBytes, anyIpv4, anyMutation, GOOD } from './arrivals.ts';

const SLOT_BYTES = 256;
const MOST_FRAMES = 64;
const FEW_FLOWS = { maximumFlows: 3 };

interface BatchOfFrames {
  readonly arm: number;
  readonly arrivals: readonly Arrival[];
  /** What passes before the batch. */
  readonly pauseMs: number;
}

const REQUESTS = [dsrTcp, dsrUdp, natTcp, natUdp];
const REPLIES = [replyTcp, replyUdp];
const FLAGS = [tcp.SYN, tcp.ACK, tcp.ACK | tcp.FIN, tcp.RST, tcp.SYN | tcp.ACK, 0];

/** Packets of some twenty connections, more than the table holds. */
const anyPacket = fc
  .record({
    make: fc.nat(3),
    port: fc.nat(19),
    flags: fc.constantFrom(...FLAGS),
    real: fc.nat(1),
    timeToLive: fc.constantFrom(1, 64),
    partial: fc.boolean(),
    isReply: fc.boolean(),
  })
  .map(({ make, port, flags, real, timeToLive, partial, isReply }): Arrival => {
    const common = { flags, timeToLive, payload: new Uint8Array(5) };
    const frame = isReply
      ? REPLIES[make & 1]!(NAT_REALS[real]!, { ...common, destinationPort: 40_000 + port })
      : REQUESTS[make]!({ ...common, sourcePort: 40_000 + port });
    return { frame, arm: isReply ? INSIDE : OUTSIDE, partial };
  });

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

const anyBatch: fc.Arbitrary<BatchOfFrames> = fc.record({
  arm: fc.constantFrom(OUTSIDE, INSIDE),
  arrivals: fc.array(anyArrival, { minLength: 1, maxLength: MOST_FRAMES }),
  pauseMs: fc.oneof(fc.constant(0), fc.nat(400_000)),
});

const entriesOf = ({ fragments }: Director) => Buffer.from(fragments.entries.buffer);

function makePair() {
  const [alone, together] = [makeScene(FEW_FLOWS), makeScene(FEW_FLOWS)];
  const { director } = alone;
  const other = together.director;
  const memory = new Uint8Array(MOST_FRAMES * SLOT_BYTES);
  const batch = createBatch(new DataView(memory.buffer));
  const processor = createBatchProcessor(other, batch);
  const unused = memory.slice();
  return ({ arm, arrivals, pauseMs }: BatchOfFrames) => {
    // As a datapath fills it: frames of one arm, each in a slot of its own.
    memory.set(unused);
    batch.arm = arm;
    batch.count = arrivals.length;
    for (const [index, { frame, partial }] of arrivals.entries()) {
      const at = index * SLOT_BYTES + 2;
      memory.set(frame, at);
      batch.at[index] = at;
      batch.end[index] = at + frame.length;
      batch.offload[index] = partial ? 1 : 0;
    }
    const expected = memory.slice();
    const view = new DataView(expected.buffer);
    director.nowMs = (director.nowMs + pauseMs) | 0;
    other.nowMs = director.nowMs;
    const verdicts = arrivals.map(({ partial }, index) => {
      const [at, end] = [batch.at[index]!, batch.end[index]!];
      return nameVerdict(processFrame(director, view, at, end, arm, partial ? 1 : 0));
    });
    processor.process();
    const found = [...processor.verdicts.subarray(0, arrivals.length)].map(nameVerdict);
    expect(found).toEqual(verdicts);
    expect(Buffer.compare(memory, expected)).toBe(0);
    expect(together.counters.values).toEqual(alone.counters.values);
    expect(other.flows).toEqual(director.flows);
    expect(entriesOf(other).equals(entriesOf(director))).toBe(true);
    expect(other.outbox.splice(0)).toEqual(director.outbox.splice(0));
    return verdicts;
  };
}

describe('a batch', () => {
  test('comes out as its frames do one by one', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(anyBatch, { minLength: 1, maxLength: 6 }), (batches) => {
        const look = makePair();
        for (const batch of batches) {
          for (const verdict of look(batch)) seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
        }
      }),
      { numRuns: 300 },
    );
    // It would be easy to agree on nothing but drops.
    for (const verdict of ['send 0', 'send 1', 'pass', 'drop flow-table-full', 'drop no-flow']) {
      expect(seen.get(verdict) ?? 0, verdict).toBeGreaterThan(0);
    }
  });

  test('may be full of packets of one flow that opens, ends and opens again in it', () => {
    const look = makePair();
    const frames = [tcp.SYN, tcp.ACK, tcp.ACK | tcp.FIN, tcp.ACK, tcp.SYN, tcp.ACK, tcp.RST];
    const arrivals = Array.from({ length: MOST_FRAMES }, (_, index) => {
      const flags = frames[index % frames.length]!;
      return { frame: dsrTcp({ flags }), arm: OUTSIDE, partial: false };
    });
    const verdicts = look({ arm: OUTSIDE, arrivals, pauseMs: 0 });
    expect(verdicts.filter((verdict) => verdict === 'send 0').length).toBeGreaterThan(40);
  });
});

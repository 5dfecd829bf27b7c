// A flow cache and a director that see the same frames, one after the other: the kernel runs both
// programs on each frame alone (BPF_PROG_TEST_RUN), and the director decides it too.
import { expect } from 'vitest';
import { FlowCaching } from '../../src/control/cache-flows.ts';
import { type Arm, createBatch, type LinkState } from '../../src/datapath/datapath.ts';
import { assemble, type Line } from '../../src/datapath/ebpf.ts';
import {
  filterLines,
  forwarderLines,
  LEAST_FRAME_BYTES,
} from '../../src/datapath/flow-cache-programs.ts';
import { type FlowCache, openFlowCache } from '../../src/datapath/flow-cache-unsafe.ts';
import type { Instruction } from '../../src/datapath/socket-filter.ts';
import { tick } from '../../src/director/director.ts';
import { createBatchProcessor } from '../../src/director/process-batch.ts';
import { kindOf, restOf, SEND } from '../../src/director/verdict.ts';
import { type Bpf, loadProgram, SCHED_CLS } from '../../src/linux/bpf-unsafe.ts';
import { loadLibc } from '../../src/linux/libc-unsafe.ts';
import { type Releases, releaseAll } from '../../src/linux/packet-socket-unsafe.ts';
import type { Scene } from '../packets/scene.ts';
import type { Arrival } from './arrivals.ts';
import { makeSceneOfAll } from './every-method.ts';

const BPF_PROG_TEST_RUN = 10;
/** What the forwarder gives back: next program, or TC_ACT_REDIRECT. */
export const NEXT = 0xffff_ffff;
export const REDIRECT = 7;
/** struct __sk_buff, of which the test sets the interface and the size of segments. */
const CONTEXT_BYTES = 192;
const CONTEXT_INTERFACE = 40;
const CONTEXT_SEGMENTS = 164;
const CONTEXT_SEGMENT_BYTES = 176;
const MOST_BYTES = 4096;
/** A classic program that lets all frames in, after a look at their length as every one has it. */
const ALL: readonly Instruction[] = [
  [0x80, 0, 0, 0],
  [0x25, 0, 1, 0xffff],
  [0x06, 0, 0, 0],
  [0x06, 0, 0, 0xffff],
];
const SLOT = 128;

/** A scene with a cache before it; `look` gives a frame to the kernel, then to the director. */
export interface Bed {
  readonly scene: Scene;
  readonly cache: FlowCache;
  readonly caching: FlowCaching;
  /** True if the kernel would have sent the frame. @throws Error if the director does otherwise */
  look(arrival: Arrival & { readonly segmentBytes?: number }): boolean;
  readonly filter: Run;
  readonly forwarder: Run;
  /** What is due every few milliseconds. */
  tick(): void;
  readonly links: LinkState[];
  /** Lets the kernel have seen no row for so long. */
  restFor(idleMs: number): void;
  close(): void;
}

/** Gives one frame to a program of the kernel's. */
export type Run = (
  frame: Uint8Array,
  arm: number,
  segmentBytes: number,
) => { readonly verdict: number; readonly bytes: Uint8Array };

function runnerOf(bpf: Bpf, program: number, arms: readonly number[]): Run {
  const { libc } = bpf;
  return (frame: Uint8Array, arm: number, segmentBytes: number) => {
    const { view } = bpf.room;
    const [dataAt, outAt, contextAt] = [1024, 1024 + MOST_BYTES, 1024 + 2 * MOST_BYTES];
    bpf.bytes.fill(0, 0, contextAt + CONTEXT_BYTES);
    bpf.bytes.set(frame, dataAt);
    const pointer = (at: number) => bpf.room.address + BigInt(at);
    for (const [at, value] of [[0, program] as const, [8, frame.length], [12, MOST_BYTES]] as const)
      view.setUint32(at, value, true);
    view.setBigUint64(16, pointer(dataAt), true);
    view.setBigUint64(24, pointer(outAt), true);
    view.setUint32(40, CONTEXT_BYTES, true);
    view.setBigUint64(48, pointer(contextAt), true);
    view.setUint32(contextAt + CONTEXT_INTERFACE, arms[arm]!, true);
    view.setUint32(contextAt + CONTEXT_SEGMENTS, segmentBytes === 0 ? 0 : 2, true);
    view.setUint32(contextAt + CONTEXT_SEGMENT_BYTES, segmentBytes, true);
    const result = libc.syscall(bpf.number, BPF_PROG_TEST_RUN, bpf.room.address, 128);
    if (Number(result) !== 0) throw new Error(`BPF_PROG_TEST_RUN: ${libc.nameOf(libc.errno())}`);
    const length = view.getUint32(12, true);
    return { verdict: view.getUint32(4, true), bytes: bpf.bytes.slice(outAt, outAt + length) };
  };
}

function loadPrograms({ bpf, maps }: FlowCache, arms: readonly number[], releases: Releases) {
  // The kernel tries no socket filter on a whole frame; as a program of this kind it does.
  const load = (name: string, lines: readonly Line[]) =>
    runnerOf(bpf, loadProgram(bpf, SCHED_CLS, name, assemble(lines), releases), arms);
  return {
    filter: load('test_filter', filterLines(maps, ALL)),
    forwarder: load('test_forwarder', forwarderLines(maps)),
  };
}

export function makeBed(arms: readonly number[], mtu = 1500, maximumFlows = 64): Bed {
  const scene = makeSceneOfAll({ maximumFlows, mtu });
  const { director } = scene;
  const withIndex = director.arms.map((arm, index): Arm => {
    return { ...arm, interfaceIndex: arms[index]! };
  });
  const libc = loadLibc();
  const releases: Releases = [];
  const reals = scene.counters.room.reals;
  const cache = openFlowCache({ arms: withIndex, reals, capacity: 2 * maximumFlows }, libc);
  const { filter, forwarder } = loadPrograms(cache, arms, releases);
  const memory = new Uint8Array(MOST_BYTES);
  const batch = createBatch(new DataView(memory.buffer));
  const links = withIndex.map((): LinkState => 'up');
  const datapath = { arms: withIndex, batch, links } as const;
  let restedMs = 0;
  const idleMs = (row: number) => cache.idleMs(row) + restedMs;
  const caching = new FlowCaching(director, datapath, { ...cache, idleMs });
  const processor = createBatchProcessor(director, batch);
  return {
    scene,
    cache,
    caching,
    filter,
    forwarder,
    links,
    look({ frame, arm, segmentBytes = 0 }) {
      // The kernel takes no frame for such a run that has no room for headers; nor does the cache.
      const isWhole = frame.length >= LEAST_FRAME_BYTES;
      const isKeptOut = isWhole && filter(frame, arm, segmentBytes).verdict === 0;
      const kernel = isWhole ? forwarder(frame, arm, segmentBytes) : undefined;
      memory.set(frame, SLOT);
      batch.arm = arm;
      batch.count = 1;
      batch.at[0] = SLOT;
      batch.end[0] = SLOT + frame.length;
      batch.offload[0] = segmentBytes << 1;
      processor.process();
      const verdict = processor.verdicts[0]!;
      const isSent = kindOf(verdict) === SEND && restOf(verdict) === 0;
      const expected = memory.slice(SLOT, SLOT + frame.length);
      const isRepeated = kernel !== undefined && kernel.verdict !== NEXT;
      expect(isRepeated).toBe(isKeptOut);
      // In the ring it would not be.
      if (isSent && !isRepeated) caching.sent(0);
      caching.settle(true);
      director.outbox.length = 0;
      director.segments.length = 0;
      if (!isRepeated) return false;
      expect(kernel.verdict).toBe(REDIRECT);
      expect(isSent).toBe(true);
      expect([...kernel.bytes]).toEqual([...expected]);
      return true;
    },
    tick() {
      caching.tick(director.nowMs);
      tick(director, director.nowMs);
      director.outbox.length = 0;
    },
    restFor(timeMs) {
      restedMs = timeMs;
    },
    close() {
      releaseAll(releases);
      cache.close();
    },
  };
}

// What the conformance suite does with a datapath: it keeps a copy of every frame that comes in,
// gives it new MAC addresses in place and sends it out of the arm that is set for it. Runs in the
// test itself over memory, and in a child process over ring and cap.
import type { ArmCounters, Datapath, LinkState } from '../../src/datapath/datapath.ts';
import * as ethernet from '../../src/wire/ethernet.ts';

export interface SeenFrame {
  /** Number of the batch and its arm. */
  readonly batch: number;
  readonly arm: number;
  readonly bytes: Uint8Array;
  readonly partialChecksum: boolean;
}

export interface Report {
  readonly seenFrames: number;
  readonly largestBatch: number;
  readonly counters: readonly ArmCounters[];
  readonly links: readonly LinkState[];
}

export interface Forwarder {
  /** The arm that the frames of each arm leave by; -1 for none. */
  setWays(ways: readonly number[]): void;
  /**
   * From now on, an outer header of so many bytes goes before each frame, and a copy of each such
   * frame follows it; 0 for neither.
   */
  setAhead(bytes: number): void;
  /** Injects these bytes in the next batch, between its sends and its flush. */
  injectInBatch(bytes: Uint8Array, arm: number): void;
  /** Handles one batch; returns its frames. */
  turn(): number;
  seen(): readonly SeenFrame[];
  report(): Report;
}

const MARK_HIGH = 0x02000a0a;

/** The edit in place: both MAC addresses become those of the way out. */
export function stamp(frame: DataView, at: number, arm: number): void {
  ethernet.setDestination(frame, at, MARK_HIGH, 0x0100 + arm);
  ethernet.setSource(frame, at, MARK_HIGH, 0x0200 + arm);
}

/** What stands for an outer header: bytes that show where it lies. */
export function layAhead(frame: DataView, at: number, ahead: number): void {
  for (let each = 0; each < ahead; each++) frame.setUint8(at - ahead + each, 0xc0 + (each & 0x3f));
}

export function createForwarder(datapath: Datapath): Forwarder {
  const seen: SeenFrame[] = [];
  let ways: readonly number[] = datapath.arms.map(() => -1);
  let injection: { bytes: Uint8Array; arm: number } | undefined;
  let aheadBytes = 0;
  let batches = 0;
  let largestBatch = 0;

  function keep(index: number): void {
    const { frame, at, end, arm, offload } = datapath.batch;
    const bytes = new Uint8Array(frame.buffer, at[index], end[index]! - at[index]!).slice();
    seen.push({ batch: batches, arm, bytes, partialChecksum: (offload[index]! & 1) === 1 });
  }

  function sendOn(index: number, way: number): void {
    if (aheadBytes === 0) {
      datapath.send(index, way);
      return;
    }
    const { frame, at, end } = datapath.batch;
    layAhead(frame, at[index]!, aheadBytes);
    const from = at[index]! - aheadBytes;
    datapath.sendAhead(index, way, aheadBytes);
    datapath.sendCopy(new Uint8Array(frame.buffer, from, end[index]! - from).slice(), way);
  }

  function turn(): number {
    const count = datapath.receive();
    if (count === 0) return 0;
    batches++;
    largestBatch = Math.max(largestBatch, count);
    const { frame, at, arm } = datapath.batch;
    const way = ways[arm] ?? -1;
    for (let index = 0; index < count; index++) {
      keep(index);
      if (way < 0) continue;
      stamp(frame, at[index]!, way);
      sendOn(index, way);
    }
    if (injection !== undefined) datapath.inject(injection.bytes, injection.arm);
    injection = undefined;
    datapath.flush();
    return count;
  }

  return {
    setWays: (wanted) => {
      ways = wanted;
    },
    setAhead: (bytes) => {
      aheadBytes = bytes;
    },
    injectInBatch: (bytes, arm) => {
      injection = { bytes, arm };
    },
    turn,
    seen: () => seen,
    report: () => ({
      ...{ seenFrames: seen.length, largestBatch },
      ...{ counters: datapath.counters, links: datapath.links },
    }),
  };
}

// A whole batch in three passes: read the keys, look at the flow table, forward. The passes are
// short loops whose calls V8 inlines, so that the processor is busy with several packets at once,
// and the cache misses of one (its slot of the index, its record) pass while others are on their
// way. Frames that are not plain, or whose flow is not known, or that may be too long for an arm,
// go the long way one by one, in order, and every verdict is that of processFrame: a test holds the
// two against each other.
//
// It is written for V8 (measured: `npm run bench core`, half the time of one frame after the
// other). What a closure holds is compiled in as a constant, with its address if it is a typed
// array, where an import or a property is loaded and checked in every round.
import { findAt, findFlow, hashKey } from '../flow/flow-table.ts';
import type { Director } from './director.ts';
import { forwardFound, sendSteady } from './known-flow.ts';
import { plainProtocol } from './plain.ts';
import { processFrame } from './process.ts';

/** Offsets are below 1 GiB; V8 then knows that adding to one cannot overflow. */
const OFFSET_MASK = 0x3fffffff;

/** Frames of one arm, as a datapath's batch has them; arrays are as long as a batch can be. */
export interface Frames {
  readonly count: number;
  readonly arm: number;
  readonly frame: DataView;
  readonly at: Int32Array;
  readonly end: Int32Array;
  readonly offload: Int32Array;
  readonly tag: Int32Array;
}

export interface BatchProcessor {
  /** What became of each frame; valid until the next call of `process`. */
  readonly verdicts: Int32Array;
  /** Decides about all frames of the batch and rewrites them in place. */
  process(): void;
}

/** For a director and the one batch that its datapath fills: to be called once in a process. */
export function createBatchProcessor(director: Director, batch: Frames): BatchProcessor {
  const { flows, armMacHigh, armMacLow, safeFrameBytes } = director;
  const { records, slots, slotMask, seed } = flows;
  const { at: starts, end: ends, offload: offloads, tag: tags } = batch;
  if (batch.frame.byteLength > OFFSET_MASK) throw new RangeError('frames lie beyond 1 GiB');
  const maximumFrames = starts.length;
  const verdicts = new Int32Array(maximumFrames);
  /** Of each plain frame: the hash of its key and the word in its slot; of others the word is 0. */
  const hashes = new Int32Array(maximumFrames);
  const words = new Int32Array(maximumFrames);
  /** Takes what is read for the caches alone, so that V8 does not leave it out. */
  const unused = new Int32Array(maximumFrames);
  const [protocolOf, hashOf, look, find] = [plainProtocol, hashKey, findAt, findFlow];
  const [steady, forward] = [sendSteady, forwardFound];

  /** Hashes the keys of plain frames, and says in `words` which those are: -1, else 0. */
  function readKeys(): void {
    const { arm, frame } = batch;
    const count = batch.count | 0;
    const macHigh = armMacHigh[arm];
    const macLow = armMacLow[arm];
    for (let index = 0; index < count; index++) {
      words[index] = 0;
      const at = (starts[index] as number) & OFFSET_MASK;
      const end = ends[index] as number;
      const protocol = protocolOf(frame, at, end);
      if (protocol === 0 || ((end - at) | 0) > safeFrameBytes) continue;
      if (frame.getInt32(at) !== macHigh || frame.getUint16(at + 4) !== macLow) continue;
      const source = frame.getInt32(at + 26);
      const destination = frame.getInt32(at + 30);
      hashes[index] = hashOf(seed, source, destination, frame.getInt32(at + 34), protocol);
      words[index] = -1;
    }
  }

  /** Reads the slots, then the records that they lead to: nothing but misses to wait for. */
  function readTable(): void {
    const count = batch.count | 0;
    for (let index = 0; index < count; index++) {
      const word = slots[(hashes[index] as number) & slotMask] as number;
      words[index] = (words[index] as number) & word;
    }
    let sum = 0;
    for (let index = 0; index < count; index++) {
      const word = words[index] as number;
      const number = word & 0xffffff; // NUMBER_MASK
      if (number === 0) continue;
      // Its first word and its last: by NAT of 12 (WIDE_SHIFT), else of 8, mostly in one line.
      const record = Math.imul(number - 1, 12) & OFFSET_MASK;
      const last = record + 7 + ((word >>> 23) & 4);
      sum |= (records[record] as number) | (records[last] as number);
    }
    unused[0] = sum;
  }

  /** Forwards frames from `first` on; gives the number of the first that must go the long way. */
  function forwardRun(first: number): number {
    const { arm, frame } = batch;
    const count = batch.count | 0;
    for (let index = first | 0; index < count; index++) {
      const word = words[index] as number;
      if (word === 0) return index;
      const at = (starts[index] as number) & OFFSET_MASK;
      const source = frame.getInt32(at + 26);
      const destination = frame.getInt32(at + 30);
      const ports = frame.getInt32(at + 34);
      const timeProtocol = frame.getUint16(at + 22);
      const protocol = timeProtocol & 0xff;
      const end = ends[index] as number;
      let verdict =
        steady(director, frame, at, end, word, source, destination, ports, protocol) | 0;
      if (verdict < 0) {
        let found = look(records, word, source, destination, ports, protocol) | 0;
        if (found < 0) found = find(flows, source, destination, ports, protocol) | 0;
        if (found < 0) return index;
        const offload = offloads[index] as number;
        verdict = forward(director, frame, at, at + 34, end, arm, offload, timeProtocol, found) | 0;
        if (verdict < 0) return index;
      }
      verdicts[index] = verdict;
    }
    return count;
  }

  function processOne(index: number): void {
    const at = starts[index] as number;
    const end = ends[index] as number;
    const offload = offloads[index] as number;
    director.tag = tags[index] as number;
    verdicts[index] = processFrame(director, batch.frame, at, end, batch.arm, offload);
  }

  function process(): void {
    readKeys();
    readTable();
    for (let index = forwardRun(0); index < batch.count; index = forwardRun(index + 1)) {
      processOne(index);
    }
  }

  return { verdicts, process };
}

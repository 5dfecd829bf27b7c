// What the flow cache has sent, counted where the director counts what it sends itself.
import type { ArmCounters } from '../datapath/datapath.ts';
import type { FlowCache } from '../datapath/flow-cache-unsafe.ts';
import {
  type Counters,
  GLOBAL,
  REPLY_BYTES,
  REPLY_PACKETS,
  REQUEST_BYTES,
  REQUEST_PACKETS,
  realAt,
} from '../director/counters.ts';

const DIRECTIONS = [
  { reply: 0, packetsAt: REQUEST_PACKETS, bytesAt: REQUEST_BYTES },
  { reply: 1, packetsAt: REPLY_PACKETS, bytesAt: REPLY_BYTES },
] as const;

export class CachedCounts {
  readonly #cache: FlowCache;
  readonly #counters: Counters;
  readonly #arms: number;
  /** Frames and bytes of each direction of each real as last published. */
  readonly #published: Float64Array;

  constructor(cache: FlowCache, counters: Counters, arms: number) {
    this.#cache = cache;
    this.#counters = counters;
    this.#arms = arms;
    this.#published = new Float64Array(counters.room.reals * 4);
  }

  /** Adds what is new to the rows of the reals and to the totals; real ids are below `reals`. */
  publish(reals: number): void {
    const { values, room } = this.#counters;
    for (let real = 0; real < reals; real++) {
      const row = realAt(room, real);
      for (const { reply, packetsAt, bytesAt } of DIRECTIONS) {
        const at = real * 4 + reply * 2;
        const more = this.#take(at, this.#cache.framesOf(real, reply));
        const bytes = this.#take(at + 1, this.#cache.bytesOf(real, reply));
        // A frame may be counted between the two looks, so that its bytes come by themselves.
        if (more === 0 && bytes === 0) continue;
        values[row + packetsAt] = (values[row + packetsAt] as number) + more;
        values[row + bytesAt] = (values[row + bytesAt] as number) + bytes;
        for (const total of [GLOBAL.sentFrames, GLOBAL.cachedFrames]) {
          values[total] = (values[total] as number) + more;
        }
      }
    }
  }

  #take(at: number, now: number): number {
    const more = now - (this.#published[at] as number);
    this.#published[at] = now;
    return more;
  }

  /** What came in on an arm and went out on it past the director, since start. */
  ofArm(arm: number): Partial<ArmCounters> {
    const counts = { receivedFrames: 0, receivedBytes: 0, sentFrames: 0, sentBytes: 0 };
    for (let other = 0; other < this.#arms; other++) {
      counts.receivedFrames += this.#cache.framesBetween(arm, other);
      counts.receivedBytes += this.#cache.bytesBetween(arm, other);
      counts.sentFrames += this.#cache.framesBetween(other, arm);
      counts.sentBytes += this.#cache.bytesBetween(other, arm);
    }
    return counts;
  }
}

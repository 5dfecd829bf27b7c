// Which flows the kernel repeats, for the datapath tc: those of which frames keep coming that change
// nothing. The director still owns each of them. It learns from the cache when a flow was last seen,
// and what to count; and the cache loses a flow as soon as its state changes, it ends, or its way
// is another one.
import type { Datapath } from '../datapath/datapath.ts';
import type { FlowCache, FlowKey, Repetition } from '../datapath/flow-cache-unsafe.ts';
import {
  type ARM_FIELDS,
  GLOBAL,
  REPLY_BYTES,
  REPLY_PACKETS,
  REQUEST_BYTES,
  REQUEST_PACKETS,
  realAt,
} from '../director/counters.ts';
import type { Director } from '../director/director.ts';
import { plainProtocol } from '../director/plain.ts';
import {
  CLIENT,
  DELTAS,
  EXPIRES_MS,
  FULLNAT_BIT,
  findFlow,
  HOP_HIGH,
  HOP_LOW,
  IDS,
  LOCAL,
  META,
  NAT_BIT,
  PORTS,
  REAL,
  RECORD_WORDS,
  REPLY_PORTS,
  TUNNEL_BIT,
  VIP,
} from '../flow/flow-table.ts';
import { ESTABLISHED, UDP } from '../flow/tcp-states.ts';

/** So many frames of one direction that change nothing, and the flow is worth a row. */
const FRAMES_BEFORE = 8;
/** Of batches without an empty ring between them; frames that wait there would be overtaken. */
const BATCHES_BEFORE = 64;
/** All rows are looked at in this time; flows that could end within it are not cached. */
const SWEEP_MS = 5000;
const SHORTEST_TIMEOUT_MS = 3 * SWEEP_MS;
/** A flow of which nothing was seen for so long gives its rows back. */
const IDLE_MS = 60_000;

/** What a way of a real is compared by: the neighbour's three words and arm, and whether it lasts. */
const WAY_WORDS = 4;
const SEEN_WORDS = WAY_WORDS + 1;

const MOST_ROWS = 65_536;
/** Enough for both directions of all flows, up to a number that takes 10 MB of the kernel. */
export const rowsFor = (maximumFlows: number): number => Math.min(MOST_ROWS, 2 * maximumFlows);

export interface FlowCaching {
  /** Frame `index` of the batch goes out on `arm`, as the director has rewritten it. */
  sent(index: number, arm: number): void;
  /** A batch is done; or there was none, and the ring is empty. */
  settle(isEmpty: boolean): void;
  /** What is due every few milliseconds. */
  tick(nowMs: number): void;
  /** Adds what the cache received and sent to counts of an arm. */
  countArm(arm: number): Readonly<Partial<Record<(typeof ARM_FIELDS)[number], number>>>;
}

export function createFlowCaching(
  director: Director,
  datapath: Pick<Datapath, 'arms' | 'batch' | 'links'>,
  cache: FlowCache,
): FlowCaching {
  const { flows, counters } = director;
  const { records } = flows;
  const { batch } = datapath;
  /** One more flow than can be found: that of layPassing. */
  const sides = 2 * (flows.maximum + 1);
  /** By flow and direction (number << 1 | 1 for replies): its row + 1, and frames seen so far. */
  const rowOf = new Int32Array(sides);
  const seen = new Uint8Array(sides);
  /** By row: its flow and direction, or -1. */
  const ownerOf = new Int32Array(cache.capacity).fill(-1);
  /** Where the flow's latest request had come from when the row was laid. */
  const hopHigh = new Int32Array(cache.capacity);
  const hopLow = new Int32Array(cache.capacity);
  const free = Array.from({ length: cache.capacity }, (_, row) => cache.capacity - 1 - row);
  /** Rows that were lifted, and so are not laid again before two ticks are over. */
  let resting: number[] = [];
  let rested: number[] = [];
  /** What shall have rows as soon as the ring is empty, and what they shall say. */
  const waiting = new Map<number, Repetition>();
  let batches = 0;
  let cached = 0;
  let hand = 0;
  let sweptMs = director.nowMs;
  const ways = new Int32Array(counters.room.reals * SEEN_WORDS);
  let reals = 0;
  /** Frames and bytes of each direction of each real as last published. */
  const published = new Float64Array(counters.room.reals * 4);

  const word = (number: number, field: number) => records[number * RECORD_WORDS + field] as number;

  function lift(owner: number): void {
    const row = (rowOf[owner] as number) - 1;
    seen[owner] = 0;
    waiting.delete(owner);
    if (row < 0) return;
    cache.lift(row, keyOf(word, owner));
    rowOf[owner] = 0;
    ownerOf[row] = -1;
    resting.push(row);
    if (rowOf[owner ^ 1] === 0) cached--;
  }

  flows.onChange = (number) => {
    lift(number * 2);
    lift(number * 2 + 1);
  };

  /** The flow that a sent frame belongs to, and its direction; or -1 if it is none for the cache. */
  function ownerOfFrame(at: number, end: number): number {
    const { frame } = batch;
    const protocol = plainProtocol(frame, at, end);
    if (protocol === 0 || (protocol === 6 && (frame.getUint8(at + 47) & 0x17) !== 0x10)) return -1;
    const [source, destination] = [frame.getInt32(at + 26), frame.getInt32(at + 30)];
    const ports = frame.getInt32(at + 34);
    const found = findFlow(flows, source, destination, ports, protocol);
    if (found >= 0 && (word(found >> 1, META) & (NAT_BIT | TUNNEL_BIT)) === 0) return found;
    // By NAT the frame has new addresses: turned round, they are those of the other direction.
    const turned = (ports << 16) | (ports >>> 16);
    const other = findFlow(flows, destination, source, turned, protocol);
    return other >= 0 && (word(other >> 1, META) & NAT_BIT) !== 0 ? other ^ 1 : -1;
  }

  function sent(index: number, arm: number): void {
    const at = batch.at[index] as number;
    if (batch.tag[index] !== 0) return;
    const owner = ownerOfFrame(at, batch.end[index] as number);
    if (owner < 0) return;
    if ((owner & 1) === 0) checkHop(owner);
    const count = (seen[owner] as number) + 1;
    seen[owner] = Math.min(count, FRAMES_BEFORE);
    if (count < FRAMES_BEFORE && rowOf[owner] === 0) return;
    const number = owner >> 1;
    const state = word(number, META) & 0xff;
    if (state !== ESTABLISHED && state !== UDP) return;
    if ((flows.timeoutsMs[state] as number) < SHORTEST_TIMEOUT_MS) return;
    if (!isSteady(word(number, IDS) & 0xffff)) return;
    waiting.set(owner, repetition(owner, at, arm));
  }

  /** Replies follow the latest request: what says otherwise is lifted. */
  function checkHop(owner: number): void {
    const row = (rowOf[owner + 1] as number) - 1;
    const number = owner >> 1;
    if (row < 0) return;
    const isSame = hopHigh[row] === word(number, HOP_HIGH) && hopLow[row] === word(number, HOP_LOW);
    if (!isSame) lift(owner + 1);
  }

  const isSteady = (real: number) =>
    flows.goneReals[real] === 0 && (director.ways[real * WAY_WORDS + 3] as number) >= 0;

  function repetition(owner: number, at: number, toArm: number): Repetition {
    const { frame } = batch;
    const number = owner >> 1;
    const reply = owner & 1;
    const deltas = word(number, DELTAS);
    return {
      real: word(number, IDS) & 0xffff,
      reply,
      fromArm: batch.arm,
      toArm,
      limit: director.armFrameBytes[toArm] as number,
      toHigh: frame.getInt32(at),
      toLow: frame.getUint16(at + 4),
      asHigh: frame.getInt32(at + 6),
      asLow: frame.getUint16(at + 10),
      stationHigh: word(number, HOP_HIGH),
      stationLow: word(number, HOP_LOW) & 0xffff,
      rewrites: (word(number, META) & (NAT_BIT | FULLNAT_BIT)) !== 0,
      source: frame.getInt32(at + 26),
      destination: frame.getInt32(at + 30),
      ports: frame.getInt32(at + 34),
      deltas: reply === 0 ? deltas : ~deltas,
    };
  }

  function settle(isEmpty: boolean): void {
    batches++;
    if (waiting.size === 0 || (!isEmpty && batches < BATCHES_BEFORE)) return;
    batches = 0;
    for (const [owner, what] of waiting) layRow(owner, what);
    waiting.clear();
  }

  function layRow(owner: number, what: Repetition): void {
    const known = (rowOf[owner] as number) - 1;
    const row = known < 0 ? free.pop() : known;
    if (row === undefined) return;
    if (!cache.lay(row, keyOf(word, owner), what)) {
      if (known < 0) free.push(row);
      return;
    }
    if (known < 0 && rowOf[owner ^ 1] === 0) cached++;
    rowOf[owner] = row + 1;
    ownerOf[row] = owner;
    hopHigh[row] = word(owner >> 1, HOP_HIGH);
    hopLow[row] = word(owner >> 1, HOP_LOW);
  }

  /** A real whose way has changed: the director sees its flows again before the kernel may. */
  function followWays(): void {
    reals = Math.max(reals, director.table.realNeighbour.length);
    for (let real = 0; real < reals; real++) {
      let changed = 0;
      for (let at = 0; at < SEEN_WORDS; at++) {
        const now = wayWord(real, at);
        changed |= now ^ (ways[real * SEEN_WORDS + at] as number);
        ways[real * SEEN_WORDS + at] = now;
      }
      if (changed === 0) continue;
      cache.outdate(real);
      waiting.clear();
    }
  }

  function wayWord(real: number, at: number): number {
    const arm = director.ways[real * WAY_WORDS + 3] as number;
    if (at === WAY_WORDS) return flows.goneReals[real] as number;
    if (at < 3) return director.ways[real * WAY_WORDS + at] as number;
    return arm >= 0 && datapath.links[arm] !== 'up' ? -1 : arm;
  }

  /** Keeps flows alive that the kernel has seen, and takes rows back that nothing uses. */
  function sweep(nowMs: number): void {
    const elapsedMs = (nowMs - sweptMs) | 0;
    sweptMs = nowMs;
    const budget = Math.min(ownerOf.length, Math.ceil((ownerOf.length * elapsedMs) / SWEEP_MS));
    for (let look = 0; look < budget; look++) {
      hand = hand + 1 < ownerOf.length ? hand + 1 : 0;
      const owner = ownerOf[hand] as number;
      if (owner < 0) continue;
      const idleMs = cache.idleMs(hand);
      keepAlive(owner >> 1, (nowMs - idleMs) | 0);
      if (idleMs > IDLE_MS) lift(owner);
    }
  }

  function keepAlive(number: number, seenMs: number): void {
    const at = number * RECORD_WORDS;
    const timeoutMs = flows.timeoutsMs[word(number, META) & 0xff] as number;
    const expiresMs = (seenMs + timeoutMs) | 0;
    if (((expiresMs - (records[at + EXPIRES_MS] as number)) | 0) > 0) {
      records[at + EXPIRES_MS] = expiresMs;
    }
  }

  function publish(): void {
    const { values, room } = counters;
    const add = (at: number, more: number) => {
      values[at] = (values[at] as number) + more;
    };
    let frames = 0;
    for (let real = 0; real < reals; real++) {
      const row = realAt(room, real);
      for (const [reply, packetsAt, bytesAt] of DIRECTIONS) {
        const at = real * 4 + reply * 2;
        const [packets, bytes] = [cache.framesOf(real, reply), cache.bytesOf(real, reply)];
        add(row + packetsAt, packets - (published[at] as number));
        add(row + bytesAt, bytes - (published[at + 1] as number));
        frames += packets - (published[at] as number);
        published[at] = packets;
        published[at + 1] = bytes;
      }
    }
    add(GLOBAL.sentFrames, frames);
    add(GLOBAL.cachedFrames, frames);
    values[GLOBAL.cachedFlows] = cached;
  }

  return {
    sent,
    settle,
    tick(nowMs) {
      free.push(...rested);
      rested = resting;
      resting = [];
      followWays();
      sweep(nowMs);
      publish();
    },
    countArm(arm) {
      const others = datapath.arms.keys();
      const counts = { receivedFrames: 0, receivedBytes: 0, sentFrames: 0, sentBytes: 0 };
      for (const other of others) {
        counts.receivedFrames += cache.framesBetween(arm, other);
        counts.receivedBytes += cache.bytesBetween(arm, other);
        counts.sentFrames += cache.framesBetween(other, arm);
        counts.sentBytes += cache.bytesBetween(other, arm);
      }
      return counts;
    },
  };
}

const DIRECTIONS = [
  [0, REQUEST_PACKETS, REQUEST_BYTES],
  [1, REPLY_PACKETS, REPLY_BYTES],
] as const;

/** By what the kernel finds a frame of this direction, before it is rewritten. */
function keyOf(word: (number: number, field: number) => number, owner: number): FlowKey {
  const number = owner >> 1;
  const protocol = (word(number, META) >>> 8) & 0xff;
  return (owner & 1) === 0
    ? {
        source: word(number, CLIENT),
        destination: word(number, VIP),
        ports: word(number, PORTS),
        protocol,
      }
    : {
        source: word(number, REAL),
        destination: word(number, LOCAL),
        ports: word(number, REPLY_PORTS),
        protocol,
      };
}

// Which flows the kernel repeats, for the datapath tc: those of which frames keep coming that
// change nothing. The director still owns each of them. It learns from the cache when a flow was
// last seen, and what to count (count-cached.ts); and the cache loses a flow as soon as its state
// changes, it ends, or its way is another one.
import type { Datapath } from '../datapath/datapath.ts';
import { LEAST_FRAME_BYTES } from '../datapath/flow-cache-programs.ts';
import type { FlowCache, FlowKey, Repetition } from '../datapath/flow-cache-unsafe.ts';
import { GLOBAL } from '../director/counters.ts';
import type { Director } from '../director/director.ts';
import { WAY_ARM, WAY_WORDS } from '../director/neighbours.ts';
import { plainProtocol } from '../director/plain.ts';
import * as flow from '../flow/flow-table.ts';
import { ESTABLISHED, UDP } from '../flow/tcp-states.ts';
import { CachedCounts } from './count-cached.ts';

/**
 * So many frames of one direction that change nothing, and the flow is worth a row. One that has a
 * row and comes all the same needs as many for a new row: its way may be another one now.
 */
const FRAMES_BEFORE = 8;
/** Instead of a number of frames: it is among those that wait for a row. */
const WAITS = 255;
const MOST_WAITING = 1024;
/**
 * Rows are laid when the ring is empty, since frames that wait there would be overtaken; or after
 * so many batches without that.
 */
const BATCHES_BEFORE = 64;
/** All rows are looked at in this time; flows that could end within it are not cached. */
const SWEEP_MS = 5000;
const SHORTEST_TIMEOUT_MS = 3 * SWEEP_MS;
/** A flow of which nothing was seen for so long gives its rows back. */
const IDLE_MS = 60_000;
/** Of SYN, FIN, RST and ACK the last alone: such a segment changes no state. */
const STATE_FLAGS = 0x17;
const ACK = 0x10;

const MOST_ROWS = 65_536;
/** Enough for both directions of all flows, up to a number that takes 10 MB of the kernel. */
export const rowsFor = (maximumFlows: number): number => Math.min(MOST_ROWS, 2 * maximumFlows);

/** What of a datapath matters here. */
export type CachedDatapath = Pick<Datapath, 'arms' | 'batch' | 'links'>;

/** Flows with one of these have other addresses behind the director, or a header more. */
const METHOD_BITS = flow.NAT_BIT | flow.FULLNAT_BIT | flow.TUNNEL_BIT;

/** One direction of a flow: its number << 1, and 1 for replies. */
type Side = number;

/** Source port for destination port. */
const turned = (ports: number): number => (ports << 16) | (ports >>> 16);

export class FlowCaching {
  readonly counts: CachedCounts;
  readonly #director: Director;
  readonly #datapath: CachedDatapath;
  readonly #cache: FlowCache;
  /** By side: its row + 1, and how many frames of it were seen. */
  readonly #rowOf: Int32Array;
  readonly #seen: Uint8Array;
  /** By row: its side, or -1; and where its flow's latest request had come from. */
  readonly #sideOf: Int32Array;
  readonly #hopHigh: Int32Array;
  readonly #hopLow: Int32Array;
  readonly #free: number[];
  /** Sides that shall have rows as soon as the ring is empty, and the arms that they came in on. */
  readonly #waiting = new Int32Array(MOST_WAITING);
  readonly #waitingArms = new Uint8Array(MOST_WAITING);
  #waitingCount = 0;
  #batches = 0;
  #cached = 0;
  #hand = 0;
  #sweptMs: number;
  /** Of each real, what its rows rest on: its way, whether that is up, and whether it lasts. */
  readonly #ways: Int32Array;
  /** Of each arm, as last seen: replies leave by those that requests come in on. */
  readonly #linkIsUp: Uint8Array;
  /** No real id that was ever in use is at or beyond this. */
  #reals = 0;

  constructor(director: Director, datapath: CachedDatapath, cache: FlowCache) {
    const { flows, counters } = director;
    const { capacity } = cache;
    // One more flow than can be found: that of layPassing.
    const sides = 2 * (flows.maximum + 1);
    this.counts = new CachedCounts(cache, counters, datapath.arms.length);
    this.#director = director;
    this.#datapath = datapath;
    this.#cache = cache;
    this.#rowOf = new Int32Array(sides);
    this.#seen = new Uint8Array(sides);
    this.#sideOf = new Int32Array(capacity).fill(-1);
    this.#hopHigh = new Int32Array(capacity);
    this.#hopLow = new Int32Array(capacity);
    this.#free = Array.from({ length: capacity }, (_, row) => capacity - 1 - row);
    this.#linkIsUp = new Uint8Array(datapath.arms.length);
    this.#sweptMs = director.nowMs;
    this.#ways = new Int32Array(counters.room.reals * (WAY_WORDS + 1));
    flows.onChange = (number) => {
      this.#lift(number << 1);
      this.#lift((number << 1) | 1);
    };
  }

  /** Frame `index` of the batch goes out as the director has rewritten it. Allocates nothing. */
  sent(index: number): void {
    const { batch } = this.#datapath;
    const at = batch.at[index] as number;
    if (batch.tag[index] !== 0) return;
    const side = this.#sideOfFrame(at, batch.end[index] as number);
    if (side < 0) return;
    if ((side & 1) === 0) this.#checkHops(side >> 1);
    const count = this.#seen[side] as number;
    if (count === WAITS || this.#waitingCount === MOST_WAITING) return;
    if (count + 1 < FRAMES_BEFORE) {
      this.#seen[side] = count + 1;
    } else if (this.#lasts(side >> 1)) {
      this.#seen[side] = WAITS;
      this.#waiting[this.#waitingCount] = side;
      this.#waitingArms[this.#waitingCount] = batch.arm;
      this.#waitingCount++;
    }
  }

  /** A batch is done; or there was none, and the ring is empty. */
  settle(isEmpty: boolean): void {
    this.#batches++;
    if (this.#waitingCount === 0 || (!isEmpty && this.#batches < BATCHES_BEFORE)) return;
    this.#batches = 0;
    for (let index = 0; index < this.#waitingCount; index++) {
      const side = this.#waiting[index] as number;
      // Something may have changed meanwhile.
      if (this.#seen[side] !== WAITS) continue;
      this.#seen[side] = 0;
      if (this.#lasts(side >> 1)) this.#lay(side, this.#waitingArms[index] as number);
    }
    this.#waitingCount = 0;
  }

  /** What is due every few milliseconds, before the director's tick: that sums what is counted. */
  tick(nowMs: number): void {
    this.#followWays();
    this.#sweep(nowMs);
    this.counts.publish(this.#reals);
    this.#director.values[GLOBAL.cachedFlows] = this.#cached;
  }

  /** The side that a sent frame belongs to; or -1 if it is none for the cache. */
  #sideOfFrame(at: number, end: number): Side {
    const { flows } = this.#director;
    const { frame } = this.#datapath.batch;
    if (end - at < LEAST_FRAME_BYTES) return -1;
    const protocol = plainProtocol(frame, at, end);
    if (protocol === 0) return -1;
    if (protocol === 6 && (frame.getUint8(at + 47) & STATE_FLAGS) !== ACK) return -1;
    const source = frame.getInt32(at + 26);
    const destination = frame.getInt32(at + 30);
    const ports = frame.getInt32(at + 34);
    const found = flow.findFlow(flows, source, destination, ports, protocol);
    if (found >= 0 && (this.#word(found >> 1, flow.META) & METHOD_BITS) === 0) return found;
    // By NAT the frame has new addresses: turned round, they are those of the other direction.
    const other = flow.findFlow(flows, destination, source, turned(ports), protocol);
    return other >= 0 && this.#isNat(other >> 1) ? other ^ 1 : -1;
  }

  /**
   * Replies follow the latest request. When one has come by another way, both directions lose
   * their rows: the next one by the old way must come to the director too.
   */
  #checkHops(number: number): void {
    for (let side = number << 1; side <= ((number << 1) | 1); side++) {
      const row = (this.#rowOf[side] as number) - 1;
      if (row < 0) continue;
      const isSame =
        this.#hopHigh[row] === this.#word(number, flow.HOP_HIGH) &&
        this.#hopLow[row] === this.#word(number, flow.HOP_LOW);
      if (!isSame) this.#lift(side);
    }
  }

  /** Whether a flow stays as it is for some time, as far as can be known. */
  #lasts(number: number): boolean {
    const { flows, ways } = this.#director;
    const state = this.#word(number, flow.META) & 0xff;
    if (state !== ESTABLISHED && state !== UDP) return false;
    if ((flows.timeoutsMs[state] as number) < SHORTEST_TIMEOUT_MS) return false;
    const real = this.#word(number, flow.IDS) & 0xffff;
    return flows.goneReals[real] === 0 && (ways[real * WAY_WORDS + WAY_ARM] as number) >= 0;
  }

  #lay(side: Side, fromArm: number): void {
    const known = (this.#rowOf[side] as number) - 1;
    const row = known < 0 ? this.#free.pop() : known;
    if (row === undefined) return;
    const what =
      (side & 1) === 0 ? this.#request(side >> 1, fromArm) : this.#reply(side >> 1, fromArm);
    if (!this.#cache.lay(row, this.#keyOf(side), what)) {
      if (known < 0) this.#free.push(row);
      return;
    }
    if (known < 0 && this.#rowOf[side ^ 1] === 0) this.#cached++;
    this.#rowOf[side] = row + 1;
    this.#sideOf[row] = side;
    this.#hopHigh[row] = this.#word(side >> 1, flow.HOP_HIGH);
    this.#hopLow[row] = this.#word(side >> 1, flow.HOP_LOW);
  }

  /** What known-flow.ts does with a request; of NAT, if it comes whence the latest one came. */
  #request(number: number, fromArm: number): Repetition {
    const { ways, armFrameBytes } = this.#director;
    const word = (field: number) => this.#word(number, field);
    const real = word(flow.IDS) & 0xffff;
    const way = ways.subarray(real * WAY_WORDS, (real + 1) * WAY_WORDS);
    const toArm = way[WAY_ARM] as number;
    const rewrites = this.#isNat(number);
    const hopLow = word(flow.HOP_LOW);
    return {
      ...{ real, reply: 0, toArm, rewrites, limit: armFrameBytes[toArm] as number },
      fromArm: rewrites ? hopLow >>> 16 : fromArm,
      macs: way,
      ...{ stationHigh: word(flow.HOP_HIGH), stationLow: hopLow & 0xffff },
      ...{ source: word(flow.LOCAL), destination: word(flow.REAL) },
      ports: turned(word(flow.REPLY_PORTS)),
      deltas: word(flow.DELTAS),
    };
  }

  /** What it does with a reply. */
  #reply(number: number, fromArm: number): Repetition {
    const { armMacHigh, armMacLow, armFrameBytes } = this.#director;
    const word = (field: number) => this.#word(number, field);
    const hopLow = word(flow.HOP_LOW);
    const toArm = hopLow >>> 16;
    const [high, low] = [armMacHigh[toArm] as number, armMacLow[toArm] as number];
    return {
      ...{ real: word(flow.IDS) & 0xffff, reply: 1, fromArm, toArm, rewrites: true },
      limit: armFrameBytes[toArm] as number,
      macs: Int32Array.of(word(flow.HOP_HIGH), (hopLow << 16) | (high >>> 16), (high << 16) | low),
      ...{ stationHigh: 0, stationLow: 0 },
      ...{ source: word(flow.VIP), destination: word(flow.CLIENT) },
      ports: turned(word(flow.PORTS)),
      deltas: ~word(flow.DELTAS),
    };
  }

  #lift(side: Side): void {
    const row = (this.#rowOf[side] as number) - 1;
    this.#seen[side] = 0;
    if (row < 0) return;
    this.#cache.lift(this.#keyOf(side));
    this.#rowOf[side] = 0;
    this.#sideOf[row] = -1;
    this.#free.push(row);
    if (this.#rowOf[side ^ 1] === 0) this.#cached--;
  }

  /** A real whose way has changed: the director sees its flows again before the kernel may. */
  #followWays(): void {
    const { ways, flows, table } = this.#director;
    this.#reals = Math.max(this.#reals, table.realNeighbour.length);
    const otherLinks = this.#followLinks();
    for (let real = 0; real < this.#reals; real++) {
      const from = real * WAY_WORDS;
      const to = real * (WAY_WORDS + 1);
      const arm = ways[from + WAY_ARM] as number;
      let changed = otherLinks;
      for (let word = 0; word <= WAY_WORDS; word++) {
        let now =
          word < WAY_WORDS ? (ways[from + word] as number) : (flows.goneReals[real] as number);
        if (word === WAY_ARM && arm >= 0 && this.#datapath.links[arm] !== 'up') now = -1;
        changed |= now ^ (this.#ways[to + word] as number);
        this.#ways[to + word] = now;
      }
      if (changed !== 0) this.#cache.outdate(real);
    }
  }

  /** 1 if a link is up now that was not, or the other way round. */
  #followLinks(): number {
    const { links } = this.#datapath;
    let changed = 0;
    for (let arm = 0; arm < links.length; arm++) {
      const isUp = links[arm] === 'up' ? 1 : 0;
      changed |= isUp ^ (this.#linkIsUp[arm] as number);
      this.#linkIsUp[arm] = isUp;
    }
    return changed;
  }

  /** Keeps flows alive that the kernel has seen, and takes rows back that nothing uses. */
  #sweep(nowMs: number): void {
    const rows = this.#sideOf.length;
    const elapsedMs = (nowMs - this.#sweptMs) | 0;
    this.#sweptMs = nowMs;
    for (let look = Math.min(rows, Math.ceil((rows * elapsedMs) / SWEEP_MS)); look > 0; look--) {
      this.#hand = this.#hand + 1 < rows ? this.#hand + 1 : 0;
      const side = this.#sideOf[this.#hand] as number;
      if (side < 0) continue;
      const idleMs = this.#cache.idleMs(this.#hand);
      const lives = this.#keepAlive(side >> 1, nowMs, idleMs);
      if (!lives || idleMs > IDLE_MS || !this.#lasts(side >> 1)) this.#lift(side);
      // Of a request that was a fragment, say, `sent` knows no side.
      else this.#checkHops(side >> 1);
    }
  }

  /** Gives a flow the time that its latest frame deserves; false if it was over before. */
  #keepAlive(number: number, nowMs: number, idleMs: number): boolean {
    const { records, timeoutsMs } = this.#director.flows;
    const at = number * flow.RECORD_WORDS + flow.EXPIRES_MS;
    if ((((records[at] as number) - nowMs) | 0) <= 0) return false;
    const timeoutMs = timeoutsMs[this.#word(number, flow.META) & 0xff] as number;
    const expiresMs = (nowMs - idleMs + timeoutMs) | 0;
    if (((expiresMs - (records[at] as number)) | 0) > 0) records[at] = expiresMs;
    return true;
  }

  /** By what the kernel finds a frame of this side, before it is rewritten. */
  #keyOf(side: Side): FlowKey {
    const word = (field: number) => this.#word(side >> 1, field);
    const protocol = (word(flow.META) >>> 8) & 0xff;
    const [source, destination, ports] =
      (side & 1) === 0
        ? [flow.CLIENT, flow.VIP, flow.PORTS]
        : [flow.REAL, flow.LOCAL, flow.REPLY_PORTS];
    return {
      ...{ source: word(source), destination: word(destination), ports: word(ports), protocol },
    };
  }

  #isNat(number: number): boolean {
    return (this.#word(number, flow.META) & flow.NAT_BIT) !== 0;
  }

  #word(number: number, field: number): number {
    return this.#director.flows.records[number * flow.RECORD_WORDS + field] as number;
  }
}

// One turn of the data plane, the same for every datapath: receive a batch, let the director decide
// each frame in place, send, give the memory back. Beside it the tick, and what control asks for.
import { randomBytes } from 'node:crypto';
import type { Datapath } from '../datapath/datapath.ts';
import type { FlowCache } from '../datapath/flow-cache-unsafe.ts';
import {
  ARM_FIELDS,
  armAt,
  type Counters,
  dropAt,
  GLOBAL,
  ROW_STRIDE,
} from '../director/counters.ts';
import { createDirector, type Director, linkIsUp, takeTable, tick } from '../director/director.ts';
import { createBatchProcessor } from '../director/process-batch.ts';
import type { Table } from '../director/table.ts';
import { ANSWER, detailOf, kindOf, PASS, restOf, SEND, TAKEN } from '../director/verdict.ts';
import { formatIpv4, formatIpv6, formatMac } from '../wire/address.ts';
import { DROP } from '../wire/drop-reason.ts';
import { withTag } from '../wire/ethernet.ts';
import { FlowCaching } from './cache-flows.ts';
import { listFlows } from './list-flows.ts';
import type { FromDataPlane, ToDataPlane } from './messages.ts';
import { createRetiredWatch } from './retired-sources.ts';
import { wantedFrames } from './wanted-frames.ts';

const LINK_DOWN = DROP['link-down'];
/** How often the links are looked at. */
const LINK_CHECK_MS = 200;

export interface Loop {
  /** Handles at most one batch; returns how many frames it had. */
  turn(nowMs: number): number;
  /** What is due beside the packets; call it every few milliseconds. */
  tick(nowMs: number): void;
  /** Does what control asks for; false means: stop. */
  handle(message: ToDataPlane): boolean;
}

export interface LoopOptions {
  readonly datapath: Datapath;
  readonly table: Table;
  readonly maximumFlows: number;
  readonly maximumHalfOpen?: number;
  /** Is told of the arrays that every packet looks into, which may be large. */
  readonly onTables?: (arrays: readonly ArrayBufferView[]) => void;
  readonly counters: Counters;
  readonly nowMs: number;
  /** Lets the kernel repeat what was decided of a flow. */
  readonly cache?: FlowCache | undefined;
  /** Worker 0's counters, unless this is worker 0. */
  readonly leader?: Counters | undefined;
  readonly worker?: number | undefined;
  readonly workers?: number | undefined;
  readonly post: (message: FromDataPlane) => void;
}

export function createLoop(options: LoopOptions): Loop {
  const { datapath, counters, post, table, nowMs, leader, worker, workers } = options;
  const { maximumFlows, maximumHalfOpen, cache } = options;
  const director = createDirector({
    arms: datapath.arms,
    table,
    counters,
    maximumFlows,
    maximumHalfOpen,
    flowSeed: randomBytes(4).readInt32LE(),
    nowMs,
    leader,
    worker,
    workers,
  });
  const caching = cache && new FlowCaching(director, datapath, cache);
  options.onTables?.([director.flows.records, director.flows.slots]);
  const countRetired = createRetiredWatch(director);
  /** The arms' counts of the data planes before this one. */
  const armsBefore = counters.values.slice(armAt(0), armAt(datapath.arms.length));
  let linksCheckedMs = nowMs;
  return {
    turn: createTurn(director, datapath, caching),
    tick: (now) => {
      caching?.tick(now);
      tick(director, now);
      countRetired();
      if (((now - linksCheckedMs) | 0) >= LINK_CHECK_MS) {
        linksCheckedMs = now;
        watchLinks(director, datapath, post);
      }
      tellNews(director, datapath, post);
      countArms(counters, datapath, armsBefore, caching);
    },
    handle: (message) => {
      if (message.type === 'stop') return false;
      if (message.type === 'table') {
        takeTable(director, message.table);
        datapath.setAddresses?.(wantedFrames(message.table));
      } else {
        const flows = listFlows(director, message.limit);
        post({ type: 'flows', request: message.request, flows });
      }
      return true;
    },
  };
}

/** Makes the function that receives one batch, sees it through, and gives its number of frames. */
export function createTurn(
  director: Director,
  datapath: Datapath,
  caching?: FlowCaching,
): (nowMs: number) => number {
  const { verdicts, process } = createBatchProcessor(director, datapath.batch);
  return (nowMs) => {
    const count = datapath.receive();
    if (count === 0) {
      caching?.settle(true);
      return 0;
    }
    director.nowMs = nowMs;
    process();
    for (let index = 0; index < count; index++) {
      const verdict = verdicts[index] as number;
      const kind = kindOf(verdict);
      if (kind === SEND || kind === ANSWER) {
        if (caching !== undefined && kind === SEND) caching.sent(index);
        sendOn(director, datapath, index, verdict);
      } else if (kind === PASS) add(director.counters, GLOBAL.passedFrames);
      else if (kind === TAKEN) sendSegments(director, datapath, restOf(verdict));
    }
    datapath.flush();
    caching?.settle(false);
    if (director.outbox.length > 0) sendOwn(director, datapath);
    return count;
  };
}

function sendOn(director: Director, datapath: Datapath, index: number, verdict: number): void {
  const arm = detailOf(verdict);
  if (datapath.links[arm] === 'up') {
    const ahead = restOf(verdict);
    if (ahead === 0) datapath.send(index, arm);
    else datapath.sendAhead(index, arm, ahead);
    const sent = kindOf(verdict) === SEND ? GLOBAL.sentFrames : GLOBAL.answeredFrames;
    add(director.counters, sent);
    return;
  }
  countLinkDown(director);
}

/** Sends what a super-frame was cut into, in its place among the frames of the batch. */
function sendSegments(director: Director, datapath: Datapath, count: number): void {
  for (const { arm, bytes, tag = 0, countAs } of director.segments.splice(0, count)) {
    const isUp = datapath.links[arm] === 'up';
    if (isUp) datapath.sendCopy(tagged(bytes, tag), arm);
    if (countAs === undefined) continue;
    if (isUp) add(director.counters, countAs);
    else countLinkDown(director);
  }
}

const tagged = (bytes: Uint8Array, tag: number): Uint8Array =>
  tag === 0 ? bytes : withTag(bytes, tag);

function countLinkDown({ counters }: Director): void {
  add(counters, dropAt(LINK_DOWN));
  add(counters, GLOBAL.droppedFrames);
}

/** Sends what waits in the outbox: behind the frames of the batch that it came from. */
function sendOwn(director: Director, datapath: Datapath): void {
  for (const { arm, bytes, tag = 0, countAs } of director.outbox.splice(0)) {
    const isUp = datapath.links[arm] === 'up';
    if (isUp) datapath.inject(tagged(bytes, tag), arm);
    if (countAs === undefined) continue;
    if (isUp) add(director.counters, countAs);
    else countLinkDown(director);
  }
}

function add({ values }: Counters, at: number): void {
  values[at] = (values[at] as number) + 1;
}

function watchLinks(
  director: Director,
  datapath: Datapath,
  post: (message: FromDataPlane) => void,
): void {
  const before = [...datapath.links];
  if (!datapath.checkLinks()) return;
  for (const [arm, state] of datapath.links.entries()) {
    if (state === before[arm]) continue;
    if (state === 'up') linkIsUp(director, arm);
    post({ type: 'link', arm, state });
  }
}

/** Sends what the tick has put into the outbox, and tells of conflicts. */
function tellNews(
  director: Director,
  datapath: Datapath,
  post: (message: FromDataPlane) => void,
): void {
  sendOwn(director, datapath);
  for (const { vip, vip6, arm, macHigh, macLow } of director.conflicts.splice(0)) {
    const text = vip6 === undefined ? formatIpv4(vip) : formatIpv6(vip6);
    post({ type: 'conflict', vip: text, arm, mac: formatMac(macHigh, macLow) });
  }
}

/** Brings the arms' rows up to date: what was counted before, by the datapath, and by the cache. */
function countArms(
  { values }: Counters,
  datapath: Datapath,
  before: Float64Array,
  caching: FlowCaching | undefined,
): void {
  for (const [arm, row] of datapath.counters.entries()) {
    const cached = caching?.counts.ofArm(arm);
    for (const [index, field] of ARM_FIELDS.entries()) {
      const now = row[field] + (cached?.[field] ?? 0);
      values[armAt(arm) + index] = (before[arm * ROW_STRIDE + index] ?? 0) + now;
    }
  }
}

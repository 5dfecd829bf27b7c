// The datapath under test, ring or cap, in a process of its own inside the director's namespace.
import { readdirSync, readFileSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { openCap } from '../../src/datapath/cap.ts';
import type { Arm, EventDatapath, Wanted } from '../../src/datapath/datapath.ts';
import { openFlowCache } from '../../src/datapath/flow-cache-unsafe.ts';
import { openRing, type RingDatapath } from '../../src/datapath/ring-unsafe.ts';
import { answerParent } from './answer-parent.ts';
import { createForwarder, type Forwarder } from './forwarder.ts';

export interface StationStart {
  readonly kind: 'ring' | 'tc' | 'cap';
  readonly arms: readonly Arm[];
  readonly vips: Int32Array;
  readonly reals: Int32Array;
  readonly slots: number;
}

/** The parent can be heard between two sleeps of so long. */
const SLEEP_MS = 5;
/** Longer than any test may take. */
const FOR_EVER_MS = 600_000;
const FOR_EVER_US = 1000 * FOR_EVER_MS;

let datapath: RingDatapath | EventDatapath;
let forwarder: Forwarder;
let paused = false;
let closed = false;
let before = countHeld();

const ring = (): RingDatapath => datapath as RingDatapath;

function open({ kind, ...options }: StationStart): void {
  before = countHeld();
  if (kind === 'cap') openEvents(openCap(options));
  else if (kind === 'ring') openBlocking(openRing(options));
  else openCached(options);
}

/** A ring behind a flow cache that has no flows: what its filter lets in must be the same. */
function openCached(options: Omit<StationStart, 'kind'>): void {
  const cache = openFlowCache({ arms: options.arms, reals: 16, capacity: 64 });
  const ring = openRing({ ...options, cache });
  const close = () => {
    ring.close();
    cache.close();
  };
  openBlocking({ ...ring, close });
}

function openEvents(opened: EventDatapath): void {
  datapath = opened;
  forwarder = createForwarder(opened);
  opened.onReadable(() => {
    while (forwarder.turn() > 0);
  });
}

function openBlocking(opened: RingDatapath): void {
  datapath = opened;
  forwarder = createForwarder(opened);
  const turn = () => {
    if (closed) return;
    while (!paused && forwarder.turn() > 0);
    if (!paused) opened.wait(SLEEP_MS);
    setImmediate(turn);
  };
  turn();
}

/** Descriptors, and mappings of packet rings. */
function countHeld() {
  const descriptors = readdirSync('/proc/self/fd').length;
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return { descriptors, mappings: maps.filter((line) => line.includes('socket:[')).length };
}

function close() {
  closed = true;
  datapath.close();
  const after = countHeld();
  return {
    descriptors: after.descriptors - before.descriptors,
    mappings: after.mappings - before.mappings,
  };
}

/** Sleeps until a frame is there; returns how many times it woke for that. */
function sleepUntilFrame(): number {
  for (let wakes = 1; ; wakes++) {
    ring().wait(FOR_EVER_MS);
    if (forwarder.turn() > 0) return wakes;
  }
}

/** Sleeps until another thread writes to the eventfd; returns what `wait` said then and next. */
function sleepUntilWoken(): readonly boolean[] {
  wakeFromThread();
  return [ring().wait(FOR_EVER_MS), ring().wait(0)];
}

/** The same of `rest`, and before those whether the other thread had written when it ended. */
function restUntilWoken(): readonly boolean[] {
  const written = wakeFromThread();
  const woken = ring().rest(FOR_EVER_US);
  return [Atomics.load(written, 0) === 1, woken, ring().rest(1)];
}

/** How long a rest took, in milliseconds. */
function restFor(restUs: number): number {
  const begin = performance.now();
  ring().rest(restUs);
  return performance.now() - begin;
}

/** Writes to the eventfd from another thread; the word that it returns is 1 just before that. */
function wakeFromThread(): Int32Array {
  const workerData = new Int32Array(new SharedArrayBuffer(4));
  const code = `
    const { writeSync } = require('node:fs');
    Atomics.store(require('node:worker_threads').workerData, 0, 1);
    writeSync(${ring().wakeFd}, new Uint8Array(new BigUint64Array([1n]).buffer));
  `;
  new Worker(code, { eval: true, workerData });
  return workerData;
}

answerParent({
  open,
  close,
  sleepUntilFrame,
  sleepUntilWoken,
  restUntilWoken,
  restFor,
  setWays: (ways: readonly number[]) => forwarder.setWays(ways),
  setAhead: (bytes: number) => forwarder.setAhead(bytes),
  inject: (bytes: Uint8Array, arm: number) => datapath.inject(bytes, arm),
  injectInBatch: (bytes: Uint8Array, arm: number) => forwarder.injectInBatch(bytes, arm),
  setAddresses: (wanted: Wanted) => datapath.setAddresses?.(wanted),
  seen: (from: number) => forwarder.seen().slice(from),
  report: () => forwarder.report(),
  checkLinks: () => datapath.checkLinks(),
  pause: () => {
    paused = true;
  },
  resume: () => {
    paused = false;
  },
  /** Wakes twice before the first wait: one wait takes both. */
  wakeTwice: () => {
    const one = new Uint8Array(BigUint64Array.of(1n).buffer);
    writeSync(ring().wakeFd, one);
    writeSync(ring().wakeFd, one);
    return [ring().wait(FOR_EVER_MS), ring().wait(0)];
  },
});

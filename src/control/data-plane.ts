// The ring's data plane: a worker thread that never returns to its event loop while it runs. It
// spins a little, then sleeps in poll, or rests if coalesce.ts says so; control wakes it by an
// eventfd and its messages are fetched between batches.
import { performance } from 'node:perf_hooks';
import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import { type FlowCache, openFlowCache } from '../datapath/flow-cache-unsafe.ts';
import { openRing, type RingDatapath } from '../datapath/ring-unsafe.ts';
import { wrapCounters } from '../director/counters.ts';
import { pinThread } from '../linux/cpu-affinity-unsafe.ts';
import { adviseHugePages } from '../linux/huge-pages-unsafe.ts';
import { idleMs, processorCount } from '../linux/idle-time.ts';
import { sleepPunctually } from '../linux/timer-slack-unsafe.ts';
import { rowsFor } from './cache-flows.ts';
import { createCoalescing } from './coalesce.ts';
import type { DataPlaneStart, FromDataPlane, ToDataPlane } from './messages.ts';
import { createLoop, type Loop } from './run-batch.ts';
import { inlineGenerously, keepYoungSpacesSmall } from './v8-settings.ts';
import { wantedFrames } from './wanted-frames.ts';

/** The tick asks for MAC addresses, ends flows and looks at the links. */
const TICK_MS = 10;
/** The longest sleep; frames and control end it at once. */
const SLEEP_MS = 50;
/** So many batches in a row without a look at clock, messages and tick. */
const BATCHES_PER_LOOK = 16;

/**
 * Milliseconds on a clock that only grows, as int32. The global `performance` is a getter, which is
 * run at every use: 1 to 2 % of the loop's time at 25,000 packets a second (measured, perf(1)).
 */
const clockMs = () => Math.floor(performance.now()) | 0;

function main(start: DataPlaneStart): void {
  const { arms, ringSlots, table, share } = start;
  const capacity = rowsFor(start.maximumFlows);
  const cache =
    start.datapath === 'tc'
      ? openFlowCache({ arms, reals: start.room.reals, capacity })
      : undefined;
  let datapath: RingDatapath | undefined;
  try {
    datapath = openRing({ arms, slots: ringSlots, share, cache, ...wantedFrames(table) });
    if (share !== undefined) {
      post({ type: 'joined', groups: datapath.groups });
      // Any end of the start before that ends this thread in its wait.
      Atomics.wait(new Int32Array(share.gate), 0, 0);
      datapath.setAddresses?.(wantedFrames(table));
    }
    runUntilStopped(datapath, cache, start);
  } finally {
    // The process may outlive this thread, and with it all that the ring holds of the kernel.
    datapath?.close();
    cache?.close();
  }
  post({ type: 'stopped' });
}

function runUntilStopped(
  datapath: RingDatapath,
  cache: FlowCache | undefined,
  start: DataPlaneStart,
): void {
  if (start.counters === undefined) throw new Error('the ring needs counters in shared memory');
  const { maximumFlows, maximumHalfOpen, table, room, share } = start;
  const counters = wrapCounters(start.counters, start.room);
  let nowMs = clockMs();
  const leads = share === undefined || share.worker === 0;
  const leader = leads ? undefined : wrapCounters(share.leader, room);
  const loop = createLoop({
    ...{ datapath, cache, table, maximumFlows, maximumHalfOpen, counters, nowMs, post, leader },
    ...{ worker: share?.worker, workers: share?.workers },
    onTables: adviseHugePages,
  });
  loop.tick(nowMs);
  post({ type: 'ready', wakeFd: datapath.wakeFd });
  const receivedBytes = () => datapath.counters.reduce((sum, arm) => sum + arm.receivedBytes, 0);
  const signs = { idleMs, processors: processorCount(), receivedBytes };
  const coalesce = createCoalescing(signs, nowMs);
  let tickedMs = nowMs;
  for (let running = true; running; ) {
    let frames = 0;
    let isEmpty = false;
    for (let batches = 0; batches < BATCHES_PER_LOOK && !isEmpty; batches++) {
      const count = loop.turn(nowMs);
      frames += count;
      isEmpty = count === 0;
    }
    const restUs = coalesce(frames, nowMs);
    const woken = isEmpty && (restUs > 0 ? datapath.rest(restUs) : datapath.wait(SLEEP_MS));
    nowMs = clockMs();
    if (((nowMs - tickedMs) | 0) < TICK_MS && !woken) continue;
    tickedMs = nowMs;
    loop.tick(nowMs);
    running = handleMessages(loop);
  }
  // Fetches the kernel's last counts of missed frames, and the tick publishes them.
  datapath.checkLinks();
  loop.tick(nowMs);
}

/** Handles what control has sent; false means: stop. */
function handleMessages(loop: Loop): boolean {
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) return true;
    if (!loop.handle(received.message as ToDataPlane)) return false;
  }
}

function portOfWorker(): MessagePort {
  if (parentPort === null) throw new Error('data-plane.js runs as a worker of the director only');
  return parentPort;
}

function post(message: FromDataPlane): void {
  port.postMessage(message);
}

const port = portOfWorker();
inlineGenerously();
keepYoungSpacesSmall();
sleepPunctually();
pinThread((workerData as DataPlaneStart).share?.worker);
main(workerData as DataPlaneStart);

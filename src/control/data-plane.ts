// The ring's data plane: a worker thread that never returns to its event loop while it runs. It
// spins a little, then sleeps in poll; control wakes it by an eventfd and its messages are fetched
// between batches.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openRing } from '../datapath/ring-unsafe.ts';
import { wrapCounters } from '../director/counters.ts';
import { inlineGenerously } from './inlining.ts';
import type { DataPlaneStart, FromDataPlane, ToDataPlane } from './messages.ts';
import { createLoop, natRealAddresses } from './run-batch.ts';

/** The tick asks for MAC addresses, ends flows and looks at the links. */
const TICK_MS = 10;
/** The longest sleep; frames and control end it at once. */
const SLEEP_MS = 50;
/** So many batches in a row without a look at clock, messages and tick. */
const BATCHES_PER_LOOK = 16;

/** Milliseconds on a clock that only grows, as int32. */
const clockMs = () => Math.floor(performance.now()) | 0;

function main(start: DataPlaneStart): void {
  const port = parentPort;
  if (port === null) throw new Error('data-plane.js runs as a worker of the director only');
  const post = (message: FromDataPlane) => port.postMessage(message);
  if (start.counters === undefined) throw new Error('the ring needs counters in shared memory');
  const { arms, ringSlots, maximumFlows, table } = start;
  const reals = natRealAddresses(table);
  const datapath = openRing({ arms, slots: ringSlots, vips: table.vips, reals });
  const counters = wrapCounters(start.counters, start.room);
  let nowMs = clockMs();
  const loop = createLoop({ datapath, table, maximumFlows, counters, nowMs, post });
  loop.tick(nowMs);
  post({ type: 'ready', wakeFd: datapath.wakeFd });
  let tickedMs = nowMs;
  for (let running = true; running; ) {
    let batches = 0;
    while (batches < BATCHES_PER_LOOK && loop.turn(nowMs) > 0) batches++;
    const woken = batches < BATCHES_PER_LOOK && datapath.wait(SLEEP_MS);
    nowMs = clockMs();
    if (((nowMs - tickedMs) | 0) < TICK_MS && !woken) continue;
    tickedMs = nowMs;
    loop.tick(nowMs);
    running = handleMessages();
  }
  loop.tick(nowMs);
  datapath.close();
  post({ type: 'stopped' });

  function handleMessages(): boolean {
    for (;;) {
      const received = port === null ? undefined : receiveMessageOnPort(port);
      if (received === undefined) return true;
      if (!loop.handle(received.message as ToDataPlane)) return false;
    }
  }
}

inlineGenerously();
main(workerData as DataPlaneStart);

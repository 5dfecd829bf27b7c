// The data plane of cap: a child process, because that package aborts its process when an interface
// goes down. It gets its start over IPC, posts its counters, and ends with its parent. Under
// overload `cap` never returns to the event loop, so what is due by time is looked at after every
// batch as well as by timer; only messages must then wait, and a stop may take the parent's
// SIGKILL.
import { openCap } from '../datapath/cap.ts';
import { type Counters, counterBytes, wrapCounters } from '../director/counters.ts';
import type { DataPlaneStart, FromDataPlane, ToDataPlane } from './messages.ts';
import { createLoop, type Loop } from './run-batch.ts';
import { wantedFrames } from './wanted-frames.ts';

const TICK_MS = 10;
const COUNTERS_MS = 250;

const parent = process.ppid;

process.once('message', (start: DataPlaneStart) => {
  try {
    run(start);
  } catch (error) {
    postLast({ type: 'failed', message: (error as Error).message });
  }
});
process.on('disconnect', () => process.exit(0));

function run({ arms, table, maximumFlows, maximumHalfOpen, room }: DataPlaneStart): void {
  const counters = wrapCounters(new ArrayBuffer(counterBytes(room)), room);
  const datapath = openCap({
    arms,
    ...wantedFrames(table),
    notice: (text) => post({ type: 'notice', text }),
  });
  const loop = createLoop({
    ...{ datapath, table, maximumFlows, maximumHalfOpen, counters, nowMs: clockMs(), post },
  });
  const due = duties(loop, counters);
  datapath.onReadable(() => {
    while (loop.turn(clockMs()) > 0);
    due();
  });
  setInterval(due, TICK_MS);
  process.on('message', (message: ToDataPlane) => {
    if (loop.handle(message)) return;
    loop.tick(clockMs());
    datapath.close();
    postCounters(counters);
    postLast({ type: 'stopped' });
  });
  due();
  post({ type: 'ready' });
}

/** What is due by time: the tick, the counters, and the end if the parent is gone. */
function duties(loop: Loop, counters: Counters): () => void {
  let tickedMs = clockMs() - TICK_MS;
  let postedMs = clockMs() - COUNTERS_MS;
  return () => {
    const nowMs = clockMs();
    if (((nowMs - tickedMs) | 0) < TICK_MS) return;
    tickedMs = nowMs;
    loop.tick(nowMs);
    if (((nowMs - postedMs) | 0) < COUNTERS_MS) return;
    postedMs = nowMs;
    postCounters(counters);
    if (process.ppid !== parent) process.exit(0);
  };
}

/** Milliseconds on a clock that only grows, as int32. */
function clockMs(): number {
  return Math.floor(performance.now()) | 0;
}

/**
 * Posts the counters up to the last one that is not 0. The rest would only fill the channel, which
 * nobody empties while the event loop stands still.
 */
function postCounters({ values }: Counters): void {
  const used = values.findLastIndex((value) => value !== 0) + 1;
  post({ type: 'counters', values: values.slice(0, used) });
}

function post(message: FromDataPlane): void {
  if (process.connected) process.send?.(message);
}

function postLast(message: FromDataPlane): void {
  if (process.connected) process.send?.(message, () => process.exit(0));
  else process.exit(0);
}

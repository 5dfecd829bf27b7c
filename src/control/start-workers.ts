// A data plane of several workers, which control sees as one. They start one after the other,
// because a worker's number is the order in which it joined the fanout groups, and none gets frames
// before all are there, or a flow could begin at a worker that will not see the rest of it. When
// one ends, all end.
import { type DataPlane, type DataPlaneEvents, startDataPlane } from './data-plane-host.ts';
import type { DataPlaneStart, FromDataPlane } from './messages.ts';
import type { FlowStatus } from './status.ts';

/** @param memories the counters of each worker, or one `undefined` where they are posted */
export function startWorkers(
  start: Omit<DataPlaneStart, 'counters'>,
  memories: readonly (SharedArrayBuffer | undefined)[],
  events: DataPlaneEvents,
): DataPlane {
  const [leader] = memories;
  if (memories.length === 1 || leader === undefined) {
    return startDataPlane({ ...start, counters: leader }, events);
  }
  const workers = memories.length;
  const gate = new SharedArrayBuffer(4);
  const planes: DataPlane[] = [];
  /** The latest: a reload may come while not all have been started. */
  let { table } = start;
  const merged = mergeFlows(workers, events);
  let left = 0;
  let ready = 0;
  let stopping = false;
  let reason: string | undefined;

  function startNext(groups: readonly number[]): void {
    const worker = planes.length;
    left++;
    const maximumFlows = Math.ceil(start.maximumFlows / workers);
    const maximumHalfOpen = Math.ceil(start.maximumHalfOpen / workers);
    const share = { worker, workers, groups, leader: leader as SharedArrayBuffer, gate };
    planes.push(
      startDataPlane(
        { ...start, table, maximumFlows, maximumHalfOpen, share, counters: memories[worker] },
        {
          onMessage: (message) => hear(worker, message),
          onEnd: (why) => end(why),
        },
      ),
    );
  }

  function hear(worker: number, message: FromDataPlane): void {
    if (message.type === 'joined') {
      if (stopping) return;
      if (planes.length < workers) startNext(message.groups);
      else openGate();
    } else if (message.type === 'ready') {
      ready++;
      if (ready === workers) events.onMessage(message);
    } else if (message.type === 'flows') merged(message);
    // Each worker looks at the links, and each would tell the same.
    else if (message.type !== 'link' || worker === 0) events.onMessage(message);
  }

  function openGate(): void {
    Atomics.store(new Int32Array(gate), 0, 1);
    Atomics.notify(new Int32Array(gate), 0);
  }

  function end(why: string | undefined): void {
    reason ??= why;
    left--;
    void stop();
    if (left === 0) events.onEnd(reason);
  }

  async function stop(): Promise<void> {
    stopping = true;
    openGate();
    await Promise.all(planes.map((plane) => plane.stop()));
  }

  startNext([]);
  return {
    childPid: undefined,
    post: (message) => {
      if (message.type === 'table') table = message.table;
      for (const plane of planes) plane.post(message);
    },
    stop,
  };
}

/** Puts the answers of all workers to one question together. */
function mergeFlows(workers: number, events: DataPlaneEvents) {
  const answers = new Map<number, FlowStatus[][]>();
  return ({ request, flows }: Extract<FromDataPlane, { type: 'flows' }>): void => {
    const lists = [...(answers.get(request) ?? []), [...flows]];
    answers.set(request, lists);
    if (lists.length < workers) return;
    answers.delete(request);
    events.onMessage({ type: 'flows', request, flows: lists.flat() });
  };
}

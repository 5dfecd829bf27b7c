// Where a data plane runs, seen from control: a worker thread for the ring, because it blocks in
// poll; a child process for cap, because that package can abort its process. Either way: messages
// in, messages out, and exactly one end, with a reason unless it was asked for.
import { type ChildProcess, fork } from 'node:child_process';
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { REFUSAL } from '../linux/packet-socket-unsafe.ts';
import type { DataPlaneStart, FromDataPlane, ToDataPlane } from './messages.ts';
import { DATA_PLANE_LIMITS, keepHeapsAsTheyAre } from './v8-settings.ts';

/** A batch takes microseconds; a data plane that needs longer to stop than this hangs. */
const STOP_TIMEOUT_MS = 3000;
/** What is kept of a child's standard error, for the reason of its end. */
const KEPT_CHARACTERS = 2000;

const WORKER = './data-plane.js';
const CHILD = './data-plane-child.js';

export interface DataPlane {
  /** Process id of a data plane with a process of its own. */
  readonly childPid: number | undefined;
  post(message: ToDataPlane): void;
  /** Lets it finish its batch; resolves when it is gone, at the latest after the time-out. */
  stop(): Promise<void>;
}

export interface DataPlaneEvents {
  onMessage(message: FromDataPlane): void;
  /** Called once, when it is gone. `reason` is undefined if `stop` asked for it. */
  onEnd(reason: string | undefined): void;
}

/** A thread or a process that hosts a data plane. */
interface Vessel {
  readonly childPid?: number | undefined;
  post(message: ToDataPlane): void;
  kill(): void;
}

export function startDataPlane(start: DataPlaneStart, events: DataPlaneEvents): DataPlane {
  let stopping = false;
  let failure: string | undefined;
  let markGone = () => {};
  const gone = new Promise<void>((resolve) => {
    markGone = resolve;
  });
  const hear = (message: FromDataPlane) => {
    if (message.type === 'failed') failure = message.message;
    events.onMessage(message);
    // It has nothing more to do. Whether it ends by itself or not, it shall be gone.
    if (message.type === 'failed' || message.type === 'stopped') vessel.kill();
  };
  const end = (reason: string) => {
    markGone();
    events.onEnd(failure ?? (stopping ? undefined : reason));
  };
  const vessel =
    start.datapath === 'cap' ? startChild(start, hear, end) : startWorker(start, hear, end);
  return {
    childPid: vessel.childPid,
    post: (message) => {
      if (!stopping) vessel.post(message);
    },
    async stop() {
      if (!stopping) vessel.post({ type: 'stop' });
      stopping = true;
      const timer = setTimeout(() => vessel.kill(), STOP_TIMEOUT_MS);
      await gone;
      clearTimeout(timer);
    },
  };
}

type Hear = (message: FromDataPlane) => void;
type End = (reason: string) => void;

function startWorker(start: DataPlaneStart, hear: Hear, end: End): Vessel {
  keepHeapsAsTheyAre();
  const worker = new Worker(new URL(WORKER, import.meta.url), {
    workerData: start,
    resourceLimits: DATA_PLANE_LIMITS,
  });
  let reason: string | undefined;
  let wakeFd: number | undefined;
  worker.on('message', (message: FromDataPlane) => {
    // Once it has stopped, the number may already be that of another file.
    wakeFd = message.type === 'ready' ? message.wakeFd : wakeFd;
    if (message.type === 'stopped' || message.type === 'failed') wakeFd = undefined;
    hear(message);
  });
  worker.on('error', (error) => {
    reason = error.name === REFUSAL ? error.message : (error.stack ?? error.message);
  });
  worker.on('exit', (code) => {
    wakeFd = undefined;
    end(reason ?? `the data plane's thread ended with code ${code}`);
  });
  return {
    post(message) {
      worker.postMessage(message);
      if (wakeFd !== undefined) wake(wakeFd);
    },
    kill: () => void worker.terminate(),
  };
}

/** Adds 1 to an eventfd (eventfd(2)): eight bytes in the host's byte order, here little-endian. */
function wake(fd: number): void {
  const one = new Uint8Array(BigUint64Array.of(1n).buffer);
  try {
    writeSync(fd, one);
  } catch {
    // The worker closed it on its way out; its exit is reported by its own event.
  }
}

function startChild(start: DataPlaneStart, hear: Hear, end: End): Vessel {
  const child = fork(new URL(CHILD, import.meta.url), {
    serialization: 'advanced',
    // A session of its own: Ctrl-C at the terminal goes to the director alone, which stops it.
    detached: true,
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let kept = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    kept = (kept + text).slice(-KEPT_CHARACTERS);
  });
  child.on('message', (message) => hear(message as FromDataPlane));
  // A send to a child that has just died; its end is reported by its own event.
  child.on('error', () => {});
  child.on('close', (code, signal) => end(describeEnd({ code, signal, kept })));
  sendTo(child, start);
  return {
    childPid: child.pid,
    post: (message) => sendTo(child, message),
    kill: () => void child.kill('SIGKILL'),
  };
}

function sendTo(child: ChildProcess, message: ToDataPlane | DataPlaneStart): void {
  if (child.connected) child.send(message, () => {});
}

interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly kept: string;
}

function describeEnd({ code, signal, kept }: ChildEnd): string {
  const how = signal === null ? `with code ${code}` : `by ${signal}`;
  const said = kept.trim() === '' ? '' : `: ${kept.trim()}`;
  return `the data plane's process ended ${how}${said}`;
}

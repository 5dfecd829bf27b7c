// The parent's side of a recorder: starts it inside a network namespace, knows when it really
// captures, stops it, and turns its death into a named problem with a file that is still readable.
import { type ChildProcess, spawn } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LINK_LOST_TEXT } from '../../src/datapath/cap-handle-unsafe.ts';
import { environment } from '../net/command.ts';
import { readFrames } from '../pcap/read-pcap.ts';
import { PcapError, scanPcap } from '../pcap/scan-pcap.ts';
import type {
  FromRecorder,
  RecorderProblem,
  RecordReport,
  StartRecording,
  ToRecorder,
} from './recorder-messages.ts';

const DEFAULT_LIMIT_BYTES = 512 * 1024 * 1024;
const DEFAULT_BUFFER_BYTES = 32 * 1024 * 1024;
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 10_000;
const KEPT_LOG_BYTES = 4096;

export interface RecorderOptions {
  /** Name of the network namespace (`ip netns`); that of this process unless given. */
  readonly namespace?: string | undefined;
  readonly interface: string;
  /** The pcap file to write; an older one is replaced. */
  readonly file: string;
  /** As pcap-filter(7) has it; all frames unless given. */
  readonly filter?: string | undefined;
  /** Most frames; no limit unless given. */
  readonly limitFrames?: number | undefined;
  /** Most bytes of the file; 512 MiB unless given. */
  readonly limitBytes?: number | undefined;
  /** Bytes of the kernel's ring; 32 MiB unless given. */
  readonly bufferBytes?: number | undefined;
}

export interface Recorder {
  readonly interface: string;
  readonly file: string;
  readonly pid: number;
  /** Settles when the recording is over, also by a limit or a crash; never rejects. */
  readonly ended: Promise<RecordReport>;
  /** Waits until the capture is quiet, ends it, and tells what came of it; never rejects. */
  stop(): Promise<RecordReport>;
}

/** What is known of a child while it lives. */
interface Life {
  /** The end of its standard error. */
  log: string;
  /** Its last message, if it came so far. */
  last: FromRecorder | undefined;
  unresponsive: boolean;
}

/**
 * Starts to record. Settles once the capture has begun: every later frame is in the file.
 * @throws Error with a message for the operator if it cannot begin
 */
export async function startRecorder(options: RecorderOptions): Promise<Recorder> {
  const child = spawnChild(options.namespace);
  const life: Life = { log: '', last: undefined, unresponsive: false };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    life.log = (life.log + text).slice(-KEPT_LOG_BYTES);
  });
  const closed = new Promise<void>((close) => child.once('close', () => close()));
  const begun = new Promise<void>((begin) => {
    child.on('message', (message: FromRecorder) => {
      life.last = message;
      if (message.type === 'ready') begin();
    });
  });
  tell(child, orderOf(options));
  const tooLong = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  await Promise.race([begun, closed]);
  clearTimeout(tooLong);
  if (life.last?.type !== 'ready') throw new Error(whyNotBegun(options, life));
  const ended = closed.then(() => reportOf(options, life));
  return {
    interface: options.interface,
    file: options.file,
    pid: child.pid ?? 0,
    ended,
    stop: () => stop(child, life, ended),
  };
}

/** Without a core file, for the abort is expected; in a session of its own, out of Ctrl-C's way. */
function spawnChild(namespace: string | undefined): ChildProcess {
  const inNamespace = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];
  const argv = [...inNamespace, process.execPath, childPath()];
  return spawn('sh', ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...argv], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    detached: true,
    env: environment(),
  });
}

/** The built child, also when this file runs from its source, as under vitest. */
function childPath(): string {
  const built = import.meta.url.endsWith('.ts') ? '../../dist/lab/capture/' : './';
  return fileURLToPath(new URL(`${built}recorder-child.js`, import.meta.url));
}

const orderOf = (options: RecorderOptions): StartRecording => ({
  type: 'start',
  interface: options.interface,
  file: resolve(options.file),
  filter: options.filter ?? '',
  limitFrames: options.limitFrames ?? null,
  limitBytes: options.limitBytes ?? DEFAULT_LIMIT_BYTES,
  bufferBytes: options.bufferBytes ?? DEFAULT_BUFFER_BYTES,
});

/** A child that is gone hears nothing; that it is gone shows elsewhere. */
function tell(child: ChildProcess, message: ToRecorder): void {
  if (child.connected) child.send(message, () => {});
}

async function stop(
  child: ChildProcess,
  life: Life,
  ended: Promise<RecordReport>,
): Promise<RecordReport> {
  tell(child, { type: 'stop' });
  const tooLong = setTimeout(() => {
    life.unresponsive = true;
    child.kill('SIGKILL');
  }, STOP_TIMEOUT_MS);
  try {
    return await ended;
  } finally {
    clearTimeout(tooLong);
  }
}

function whyNotBegun(options: RecorderOptions, life: Life): string {
  const reason = life.last?.type === 'failed' ? life.last.message : lastWords(life);
  const where = options.namespace === undefined ? '' : ` in the namespace ${options.namespace}`;
  return `cannot record ${options.interface}${where}: ${reason}`;
}

/** What the child wrote, without libpcap's warning that an interface has no IPv4 address. */
function lastWords({ log }: Life): string {
  const lines = log.split('\n').filter((line) => !line.endsWith('This may not actually work'));
  return lines.join('\n').trim() || 'it said nothing';
}

async function reportOf(options: RecorderOptions, life: Life): Promise<RecordReport> {
  const told = life.last?.type === 'report' ? life.last.report : undefined;
  if (told?.crashed === null) return told;
  const counts = await countRecorded(options.file);
  const crashed = told?.crashed ?? problemOf(options, life);
  const { missedFrames = null } = told ?? {};
  return { ...counts, missedFrames, full: null, quiet: false, crashed };
}

function problemOf(options: RecorderOptions, life: Life): RecorderProblem {
  const what = `the recorder of ${options.interface}`;
  if (life.unresponsive) {
    const message = `${what} did not stop within ${STOP_TIMEOUT_MS} ms: frames never ceased to come`;
    return { name: 'unresponsive', message };
  }
  if (life.log.includes(LINK_LOST_TEXT)) {
    const message = `${what} ended because the interface went down or was removed`;
    return { name: 'link-lost', message };
  }
  return { name: 'killed', message: `${what} ended by itself: ${lastWords(life)}` };
}

/** Counts what a crashed recorder left: nothing, if even its file is gone. */
async function countRecorded(
  file: string,
): Promise<Pick<RecordReport, 'file' | 'frames' | 'bytes' | 'truncatedFrames'>> {
  const counts = { file: resolve(file), frames: 0, bytes: 0, truncatedFrames: 0 };
  try {
    cutUnfinished(file);
    for await (const frame of readFrames(file)) {
      counts.frames += 1;
      counts.bytes += frame.bytes.length;
      if (frame.originalBytes > frame.bytes.length) counts.truncatedFrames += 1;
    }
  } catch (error) {
    if (!(error instanceof PcapError)) throw error;
  }
  return counts;
}

/** Cuts off a record that the recorder could not finish. */
function cutUnfinished(file: string): void {
  try {
    scanPcap(file);
  } catch (error) {
    if (!(error instanceof PcapError && error.cutShort)) throw error;
    truncateSync(file, error.offset);
  }
}

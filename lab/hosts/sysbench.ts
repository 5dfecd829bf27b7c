// sysbench on the client: the load that databases are measured with everywhere, as its script
// oltp_read_only has it. Each thread keeps one connection. Its own warm-up is left out by a
// checkpoint: there sysbench reports what was so far and begins to count anew.
import { readFileSync } from 'node:fs';
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { SQL_PORT } from './mariadb.ts';

export const SQL_DATABASE = 'sbtest';
export const SQL_ROWS = 10_000;
/** At 800 connections one event takes about a second, and in the first all start at once. */
const LONGEST_WARM_UP_SECONDS = 2;

/** For connecting, and for events that are under way when the time is over. */
const SECONDS_BESIDE = 25;
/** sysbench gives up its last events after that. */
const SHUTDOWN_SECONDS = 10;

const TABLES = ['--db-driver=mysql', '--tables=1', `--table-size=${SQL_ROWS}`];
const SERVER = [`--mysql-port=${SQL_PORT}`, '--mysql-user=root', `--mysql-db=${SQL_DATABASE}`];

/** Fills the table of an empty database. */
export async function prepareSysbench(lab: Lab, host: string, server: string): Promise<void> {
  const argv = ['sysbench', 'oltp_read_only', ...TABLES, ...SERVER];
  await lab.exec(host, [...argv, `--mysql-host=${server}`, 'prepare']);
}

export interface SysbenchOptions {
  readonly host: string;
  /** Connections take them in turn. */
  readonly servers: readonly string[];
  readonly connections: number;
  /** How long it counts, a whole number; it warms up before. */
  readonly seconds: number;
  readonly signal?: AbortSignal | undefined;
}

export interface SysbenchResult {
  readonly queriesPerSecond: number;
  /** 95th percentile of an event: one turn of the script, 14 queries. */
  readonly p95Seconds: number;
  /** Errors that were passed over, and connections that had to be made again. */
  readonly errors: number;
}

/** How long a run of so many seconds warms up before them. */
export function warmUpSeconds(seconds: number): number {
  return Math.min(LONGEST_WARM_UP_SECONDS, seconds);
}

export function sysbenchArgv(options: Omit<SysbenchOptions, 'host' | 'signal'>): string[] {
  const { servers, connections, seconds } = options;
  const warmUp = warmUpSeconds(seconds);
  return [
    ...['sysbench', 'oltp_read_only', ...TABLES, ...SERVER],
    `--mysql-host=${servers.join(',')}`,
    // Each query stands alone, as those that a read slave is asked by many pages at once.
    '--skip-trx=on',
    `--threads=${connections}`,
    `--time=${warmUp + seconds}`,
    `--report-checkpoints=${warmUp}`,
    `--forced-shutdown=${SHUTDOWN_SECONDS}`,
    'run',
  ];
}

let runs = 0;

/**
 * The thread of sysbench that makes its checkpoints leaves one out if hundreds of others keep the
 * processors from it until that time is over (checkpoints_thread_proc of its sysbench.c).
 */
const ATTEMPTS = 3;

/**
 * Runs sysbench to its end; again if it has left its checkpoint out.
 * @returns what it counted and all that it said
 * @throws Error with sysbench's own words if it did not end well, or took too long, or was aborted
 */
export async function runSysbench(
  lab: Lab,
  options: SysbenchOptions,
): Promise<{ readonly result: SysbenchResult; readonly text: string }> {
  let text = await runOnce(lab, options);
  for (let attempt = 1; attempt < ATTEMPTS && reportsOf(text).length < 2; attempt++) {
    text = await runOnce(lab, options);
  }
  return { result: readSysbench(text), text };
}

async function runOnce(lab: Lab, options: SysbenchOptions): Promise<string> {
  options.signal?.throwIfAborted();
  const argv = sysbenchArgv(options);
  const daemon = lab.spawn(options.host, { name: `sysbench-${++runs}`, argv });
  const limitSeconds = warmUpSeconds(options.seconds) + options.seconds + SECONDS_BESIDE;
  const inTime = await endedWithin(daemon, limitSeconds, options.signal);
  options.signal?.throwIfAborted();
  const text = readFileSync(daemon.outputFile, 'utf8');
  if (!inTime) throw new Error(`sysbench had not ended after ${limitSeconds} s, and was stopped`);
  if (daemon.exit?.code !== 0) throw new Error(`sysbench: ${complaintOf(daemon, text)}`);
  return text;
}

/** True if it ended by itself; otherwise it is stopped. */
async function endedWithin(
  daemon: Daemon,
  seconds: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let stopped = false;
  const stop = () => {
    stopped = true;
    void daemon.stop();
  };
  const tooLong = setTimeout(stop, seconds * 1000);
  signal?.addEventListener('abort', stop);
  try {
    await daemon.ended();
    return !stopped;
  } finally {
    clearTimeout(tooLong);
    signal?.removeEventListener('abort', stop);
  }
}

/** The first complaint: the others are the same of other threads. */
function complaintOf(daemon: Daemon, text: string): string {
  const said = `${readFileSync(daemon.logFile, 'utf8')}\n${text}`;
  const fatal = said.split('\n').find((line) => /FATAL|error/i.test(line));
  return fatal?.trim() ?? daemon.whyNot()?.split('\n').at(-1) ?? 'it said nothing';
}

/** That of the checkpoint, and that of what followed. */
const reportsOf = (text: string): string[] => text.split(/^SQL statistics:$/m).slice(1);

/**
 * Reads the last of sysbench's reports: what it counted since the checkpoint.
 * @throws Error if there is no report after that of the checkpoint
 */
export function readSysbench(text: string): SysbenchResult {
  const [, measured] = reportsOf(text);
  if (measured === undefined) throw new Error('sysbench: no report after its warm-up');
  const number = (name: string, pattern: RegExp): number => {
    const found = pattern.exec(measured)?.[1];
    if (found === undefined) throw new Error(`sysbench: no ${name} in its report`);
    return Number(found);
  };
  return {
    queriesPerSecond: number('queries', /^ *queries: .*\(([\d.]+) per sec\.\)$/m),
    p95Seconds: number('95th percentile', /^ *95th percentile: +([\d.]+)$/m) / 1000,
    errors:
      number('ignored errors', /^ *ignored errors: +(\d+)/m) +
      number('reconnects', /^ *reconnects: +(\d+)/m),
  };
}

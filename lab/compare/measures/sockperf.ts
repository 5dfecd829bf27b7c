// sockperf on the client: messages of 14 bytes over one TCP connection, answered by the real. It
// reports half a round trip as "latency", which would be the way there only if both ways were
// alike, and in DSR they are not; so its log of single messages is read instead, which has the
// times of sending and receiving, and a round trip is their difference.
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Lab } from '../../net/lab.ts';
import { quantile } from '../../quantile.ts';
import type { Latency } from '../result.ts';
import { SOCKPERF_PORT } from '../servers.ts';

export interface SockperfOptions {
  readonly host: string;
  readonly address: string;
  /** Whole seconds; the first 0.4 and the last 0.05 are not in the log. */
  readonly seconds: number;
  /** `ping-pong`: one message at a time. `under-load`: at a pace that waits for no answer. */
  readonly mode: 'ping-pong' | 'under-load';
  /** Sending waits for its time in a loop, so a processor is busy at any pace. */
  readonly messagesPerSecond: number;
}

export interface SockperfResult {
  readonly sentMessages: number;
  readonly receivedMessages: number;
  /** How long it sent, seconds. */
  readonly seconds: number;
  readonly latency: Latency;
}

/** sockperf's own default, its smallest. */
export const MESSAGE_BYTES = 14;
/** It sleeps for two seconds before it begins. */
export const SOCKPERF_SECONDS = 2.2;
/** With `under-load`, one message in so many is answered, as not to load the way back too. */
const REPLY_EVERY = 10;
const TIMEOUT_BESIDE_MS = 15_000;

/** Shares at which a distribution is kept: even steps in its middle, finer ones in its tail. */
export const SHARES: readonly number[] = [
  0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999,
  0.9995, 0.9999, 1,
];

let runs = 0;

/** @throws Error with sockperf's own words; it ends with 0 even if it could not connect */
export async function runSockperf(lab: Lab, options: SockperfOptions): Promise<SockperfResult> {
  const { host, address, seconds, mode, messagesPerSecond } = options;
  const log = join(lab.directory, `sockperf-${++runs}.csv`);
  const argv = ['sockperf', mode, '--tcp', '-i', address, '-p', String(SOCKPERF_PORT)];
  argv.push('-t', String(seconds), '--mps', String(messagesPerSecond), '--full-log', log);
  if (mode === 'under-load') argv.push('--reply-every', String(REPLY_EVERY));
  const timeoutMs = seconds * 1000 + TIMEOUT_BESIDE_MS;
  try {
    const output = await lab.exec(host, argv, { timeoutMs, onFailure: 'return' });
    const text = await readFile(log, 'utf8').catch(() => '');
    return readSockperf(output.stdout + output.stderr, text);
  } finally {
    await rm(log, { force: true });
  }
}

/** Reads what sockperf printed, and its log. @throws Error if there is no single round trip */
export function readSockperf(printed: string, log: string): SockperfResult {
  const total =
    /\[Total Run\] RunTime=([\d.]+) sec;.*SentMessages=(\d+); ReceivedMessages=(\d+)/.exec(printed);
  const roundTrips = readRoundTrips(log);
  if (total === null || roundTrips.length === 0) throw new Error(`sockperf: ${complaint(printed)}`);
  const [seconds, sentMessages, receivedMessages] = total.slice(1).map(Number) as [
    number,
    number,
    number,
  ];
  const latency = latencyOf(roundTrips, sentMessages / seconds);
  return { sentMessages, receivedMessages, seconds, latency };
}

/** Round trips out of a full log, in seconds, growing: lines of `number, sent, received, half`. */
export function readRoundTrips(log: string): number[] {
  const roundTrips: number[] = [];
  for (const line of log.split('\n')) {
    const fields = /^\d+, ([\d.]+), ([\d.]+), /.exec(line);
    if (fields !== null) roundTrips.push(Number(fields[2]) - Number(fields[1]));
  }
  return roundTrips.sort((a, b) => a - b);
}

/** The figures of a distribution of at least one round trip. */
export function latencyOf(roundTrips: readonly number[], ratePerSecond: number): Latency {
  const at = (share: number) => quantile(roundTrips, share);
  return {
    p50Seconds: at(0.5),
    p99Seconds: at(0.99),
    p999Seconds: at(0.999),
    maximumSeconds: at(1),
    distribution: SHARES.map((share) => [share, at(share)] as const),
    count: roundTrips.length,
    ratePerSecond,
  };
}

/** The line that says what went wrong, without sockperf's colours. */
function complaint(printed: string): string {
  const plain = stripVTControlCharacters(printed);
  const line = /ERROR: .*|No valid observations.*/.exec(plain)?.[0];
  return (
    line ?? `no round trip in its log: ${plain.trim().split('\n').at(-1) || 'it said nothing'}`
  );
}

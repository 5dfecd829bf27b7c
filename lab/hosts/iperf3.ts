// iperf3 on reals and client: bulk TCP and UDP by a program that nobody here wrote. Its server must
// be bound to the address that the client talks to: its UDP answers would otherwise leave a real
// behind DSR with the real's own address, which the client did not ask.
import { readFileSync } from 'node:fs';
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { IPERF_PORT } from '../topologies/topology.ts';
import { until } from '../wait.ts';
import { isListening } from './listening.ts';

const SERVER = 'iperf3-server-';
/** The last that a server says before it waits for a client; it listens by then. */
const IDLE = /Server listening on .*\n-+\s*$/;
/** A test that a client left without a word may keep its server for longer. */
const IDLE_TIMEOUT_MS = 5_000;

/** Starts a server on `host`, bound to `address`, and waits until it listens. */
export async function startIperf3(lab: Lab, host: string, address: string): Promise<Daemon> {
  // Line by line, also into a file: --forceflush would show a client that came a second later.
  const argv = ['stdbuf', '-oL', 'iperf3', '-s', '-B', address, '-p', String(IPERF_PORT)];
  const daemon = lab.spawn(host, { name: `${SERVER}${address}`, argv });
  await until(
    `iperf3 on ${host} to listen on port ${IPERF_PORT} of ${address}`,
    () => isListening(lab, host, 'tcp', IPERF_PORT, address),
    { giveUp: daemon.whyNot },
  );
  return daemon;
}

/**
 * Waits until every server of the lab waits for a client. A server serves one test at a time, and
 * closes and opens its port between two, which may be after the client of the first has ended: a
 * client that comes too early is refused, or reset. After five seconds a server that is still busy
 * is left to answer the client for itself.
 */
export async function untilIperf3Idle(lab: Lab): Promise<void> {
  const servers = lab.daemons.filter(({ name }) => name.startsWith(SERVER));
  const isIdle = (server: Daemon) =>
    !server.running || IDLE.test(readFileSync(server.outputFile, 'utf8'));
  const options = { timeoutMs: IDLE_TIMEOUT_MS };
  await until('the servers of iperf3 to be idle', () => servers.every(isIdle), options).catch(
    () => undefined,
  );
}

export interface Iperf3Options {
  readonly host: string;
  /** Where to: the VIP. */
  readonly address: string;
  /** The client's own address; the host's choice unless given. */
  readonly from?: string;
  readonly protocol?: 'tcp' | 'udp';
  /** `download`: the real sends (iperf3 -R). `upload` unless given. */
  readonly direction?: 'upload' | 'download';
  /** How long it sends; with `bytes`, how long it may take. */
  readonly seconds: number;
  /** How much it sends, instead of for how long; the receiver may not count the last of it. */
  readonly bytes?: number;
  /** Parallel connections; 1 unless given. */
  readonly streams?: number;
  /** Linux's name of TCP's congestion control; the machine's unless given. */
  readonly congestionControl?: string;
  /** Bytes of payload of a datagram, or of a write; iperf3's own choice unless given. */
  readonly payloadBytes?: number;
  /** The pace; unless given, 1 Mbit/s for UDP, which has no congestion control, none for TCP. */
  readonly bitsPerSecond?: number;
}

export interface Iperf3Result {
  /** Received at the end that receives. */
  readonly bitsPerSecond: number;
  readonly receivedBytes: number;
  readonly seconds: number;
  /** UDP: share of datagrams that did not arrive, 0 to 1; TCP: 0. */
  readonly lost: number;
  /** TCP: segments sent again; UDP: 0. */
  readonly retransmits: number;
}

/** @throws Error with iperf3's own words if the test did not take place */
export async function runIperf3(lab: Lab, options: Iperf3Options): Promise<Iperf3Result> {
  const argv = ['iperf3', '-c', options.address, '-p', String(IPERF_PORT), '-J'];
  if (options.bytes === undefined) argv.push('-t', String(options.seconds));
  else argv.push('-n', String(options.bytes));
  argv.push('-P', String(options.streams ?? 1));
  argv.push('--connect-timeout', '3000');
  if (options.from !== undefined) argv.push('-B', options.from);
  if (options.direction === 'download') argv.push('-R');
  if (options.protocol === 'udp') argv.push('-u');
  if (options.congestionControl !== undefined) argv.push('-C', options.congestionControl);
  if (options.payloadBytes !== undefined) argv.push('-l', String(options.payloadBytes));
  if (options.bitsPerSecond !== undefined) argv.push('-b', String(options.bitsPerSecond));
  await untilIperf3Idle(lab);
  const timeoutMs = (options.seconds + 15) * 1000;
  const output = await lab.exec(options.host, argv, { timeoutMs, onFailure: 'return' });
  return readReport(output.stdout || output.stderr);
}

interface Report {
  readonly error?: string;
  readonly end?: {
    readonly sum?: { lost_percent?: number };
    readonly sum_sent?: { retransmits?: number };
    readonly sum_received?: {
      bytes: number;
      seconds: number;
      bits_per_second: number;
      lost_percent?: number;
    };
  };
}

/** Reads iperf3's JSON report; what the receiver counted, not what the sender hoped. */
function readReport(text: string): Iperf3Result {
  const report = parse(text);
  const received = report.end?.sum_received;
  if (report.error !== undefined || received === undefined) {
    throw new Error(`iperf3: ${report.error ?? `no result in its report: ${text.slice(0, 200)}`}`);
  }
  const lostPercent = received.lost_percent ?? report.end?.sum?.lost_percent ?? 0;
  return {
    bitsPerSecond: received.bits_per_second,
    receivedBytes: received.bytes,
    seconds: received.seconds,
    lost: lostPercent / 100,
    retransmits: report.end?.sum_sent?.retransmits ?? 0,
  };
}

function parse(text: string): Report {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return { error: `its report is not JSON: ${text.trim().slice(0, 200) || 'nothing'}` };
  }
}

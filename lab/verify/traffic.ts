// The traffic that is judged: ping, curl over new and kept connections, iperf3 both ways, all sent
// by programs that nobody here wrote, and bounded, so that the captures stay small. A request that
// fails is no error here: the captures show why it failed.
import type { Lab } from '../net/lab.ts';
import { clientOf, IPERF_PORT, type Topology } from '../topologies/topology.ts';

/** What was sent, and what came of it as the programs themselves saw it. */
export interface TrafficReport {
  readonly pings: number;
  readonly pingsAnswered: number;
  readonly requests: number;
  readonly requestsAnswered: number;
  readonly transfers: number;
  readonly transfersDone: number;
}

const PINGS = 3;
const NEW_CONNECTIONS = ['1KiB', '64KiB', '1KiB', '1KiB', '1KiB', '64KiB', '1KiB', '1KiB', '1KiB'];
const KEPT_CONNECTIONS = 3;
const KEPT_REQUESTS = ['1KiB', '64KiB', '1KiB', '1MiB', '1KiB', '64KiB'];
/** A pace that recorders keep up with on two cores. */
const BYTES_PER_SECOND = '25M';
const CONNECT_TIMEOUT_SECONDS = 2;
const REQUEST_TIMEOUT_SECONDS = 8;

const TRANSFERS = [
  ['-n', '4M', '-b', '200M'],
  ['-n', '4M', '-b', '200M', '-R'],
  ['-u', '-n', '240K', '-l', '1200', '-b', '20M'],
  ['-u', '-n', '240K', '-l', '1200', '-b', '20M', '-R'],
];

/**
 * Sends everything once. The client forgets its neighbours first, so that it asks who has the VIP.
 */
export async function sendTraffic(lab: Lab, topology: Topology): Promise<TrafficReport> {
  const client = clientOf(topology).name;
  await lab.ip(client, ['neigh flush all']);
  const pingsAnswered = await ping(lab, client, topology.vip);
  const urls = (names: readonly string[]) => names.map((name) => `http://${topology.vip}/${name}`);
  const kept = Array.from({ length: KEPT_CONNECTIONS }, () => urls(KEPT_REQUESTS));
  const fresh = urls(NEW_CONNECTIONS).map((url) => [url]);
  let requestsAnswered = 0;
  for (const lists of [fresh, kept]) {
    const counts = await Promise.all(lists.map((list) => get(lab, client, list)));
    requestsAnswered += counts.reduce((sum, count) => sum + count, 0);
  }
  const transfersDone = await transferAll(lab, topology);
  return {
    pings: PINGS,
    pingsAnswered,
    requests: NEW_CONNECTIONS.length + KEPT_CONNECTIONS * KEPT_REQUESTS.length,
    requestsAnswered,
    transfers: TRANSFERS.length,
    transfersDone,
  };
}

export function addReports(a: TrafficReport, b: TrafficReport): TrafficReport {
  return {
    pings: a.pings + b.pings,
    pingsAnswered: a.pingsAnswered + b.pingsAnswered,
    requests: a.requests + b.requests,
    requestsAnswered: a.requestsAnswered + b.requestsAnswered,
    transfers: a.transfers + b.transfers,
    transfersDone: a.transfersDone + b.transfersDone,
  };
}

async function ping(lab: Lab, client: string, vip: string): Promise<number> {
  const argv = ['ping', '-n', '-c', String(PINGS), '-i', '0.2', '-W', '1', vip];
  const { stdout } = await lab.exec(client, argv, { onFailure: 'return' });
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
}

/** Asks for all URLs on one connection; returns how many were answered with status 200. */
async function get(lab: Lab, client: string, urls: readonly string[]): Promise<number> {
  const argv = ['curl', '-sS', '--noproxy', '*', '--fail-early', '-w', '%{http_code}\\n'];
  argv.push('--connect-timeout', String(CONNECT_TIMEOUT_SECONDS));
  argv.push('-m', String(REQUEST_TIMEOUT_SECONDS));
  argv.push('--limit-rate', BYTES_PER_SECOND);
  for (const url of urls) argv.push('-o', '/dev/null', url);
  const { stdout } = await lab.exec(client, argv, { onFailure: 'return' });
  return stdout.split('\n').filter((line) => line === '200').length;
}

/** How many transfers took place; after one that did not, the others would only wait in vain. */
async function transferAll(lab: Lab, topology: Topology): Promise<number> {
  for (const [index, how] of TRANSFERS.entries()) {
    if (!(await transfer(lab, topology, how))) return index;
  }
  return TRANSFERS.length;
}

/** One iperf3 test of a stated number of bytes. With -J, an error is in the report alone. */
async function transfer(lab: Lab, topology: Topology, how: readonly string[]): Promise<boolean> {
  const argv = ['iperf3', '-c', topology.vip, '-p', String(IPERF_PORT), '-J', ...how];
  argv.push('--connect-timeout', String(CONNECT_TIMEOUT_SECONDS * 1000));
  const options = { onFailure: 'return', timeoutMs: 10_000 } as const;
  const { exitCode, stdout } = await lab.exec(clientOf(topology).name, argv, options);
  return exitCode === 0 && !stdout.includes('"error"');
}

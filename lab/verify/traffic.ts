// The traffic that is judged: ping, curl over new and kept connections, iperf3 both ways, all sent
// by programs that nobody here wrote, and bounded, so that the captures stay small. A request that
// fails is no error here: the report names it, and the captures show why it failed.
import { untilIperf3Idle } from '../hosts/iperf3.ts';
import type { Lab } from '../net/lab.ts';
import { clientOf, IPERF_PORT, inUrl, type Topology } from '../topologies/topology.ts';
import type { TrafficReport } from './captures.ts';

/** How much is sent. */
export interface TrafficPlan {
  readonly pings: number;
  /** Files that are asked for on a connection each, and on connections that are kept. */
  readonly fresh: readonly string[];
  readonly keptConnections: number;
  readonly kept: readonly string[];
  /** Arguments of iperf3 for each transfer. */
  readonly transfers: readonly (readonly string[])[];
}

export const FULL_TRAFFIC: TrafficPlan = {
  pings: 3,
  fresh: ['1KiB', '64KiB', '1KiB', '1KiB', '1KiB', '64KiB', '1KiB', '1KiB', '1KiB'],
  keptConnections: 3,
  kept: ['1KiB', '64KiB', '1KiB', '1MiB', '1KiB', '64KiB'],
  transfers: [
    ['-n', '4M', '-b', '200M'],
    ['-n', '4M', '-b', '200M', '-R'],
    ['-u', '-n', '240K', '-l', '1200', '-b', '20M'],
    ['-u', '-n', '240K', '-l', '1200', '-b', '20M', '-R'],
  ],
};

/** Every kind once: enough to see which way packets go. */
export const SMALL_TRAFFIC: TrafficPlan = {
  pings: 2,
  fresh: ['1KiB', '64KiB', '1KiB'],
  keptConnections: 1,
  kept: ['1KiB', '64KiB', '1KiB'],
  transfers: [
    ['-n', '1M', '-b', '200M'],
    ['-n', '1M', '-b', '200M', '-R'],
    ['-u', '-n', '60K', '-l', '1200', '-b', '20M'],
    ['-u', '-n', '60K', '-l', '1200', '-b', '20M', '-R'],
  ],
};

/** Enough connections besides that every real has its share, the broken one too. */
export const QUICK_TRAFFIC: TrafficPlan = {
  ...SMALL_TRAFFIC,
  pings: FULL_TRAFFIC.pings,
  fresh: FULL_TRAFFIC.fresh,
  keptConnections: FULL_TRAFFIC.keptConnections,
};

/** Without what a balancer that carries no datagrams would lose. */
export const withoutUdp = (plan: TrafficPlan): TrafficPlan => ({
  ...plan,
  transfers: plan.transfers.filter((how) => !how.includes('-u')),
});

/** A pace that recorders keep up with on two cores. */
const BYTES_PER_SECOND = '25M';
const CONNECT_TIMEOUT_SECONDS = 2;
const REQUEST_TIMEOUT_SECONDS = 8;

/**
 * Sends everything once. The client forgets its neighbours first, so that it asks who has the VIP.
 */
export async function sendTraffic(
  lab: Lab,
  topology: Topology,
  plan: TrafficPlan = FULL_TRAFFIC,
): Promise<TrafficReport> {
  const from: Sender = { lab, client: clientOf(topology).name, address: topology.vip };
  await lab.ip(from.client, ['neigh flush all']);
  const pingsAnswered = await ping(from, plan.pings);
  const urls = (names: readonly string[]) =>
    names.map((name) => `http://${inUrl(topology.vip)}/${name}`);
  const kept = Array.from({ length: plan.keptConnections }, () => urls(plan.kept));
  const fresh = urls(plan.fresh).map((url) => [url]);
  const got: Outcome[] = [];
  for (const lists of [fresh, kept]) {
    got.push(...(await Promise.all(lists.map((list) => get(from, list)))));
  }
  const transferred = await transferAll(from, plan.transfers);
  return {
    pings: plan.pings,
    pingsAnswered,
    requests: plan.fresh.length + plan.keptConnections * plan.kept.length,
    requestsAnswered: got.reduce((sum, { done }) => sum + done, 0),
    transfers: plan.transfers.length,
    transfersDone: transferred.done,
    failures: [...got, transferred].flatMap(({ failure }) => failure ?? []),
  };
}

/** What came of several, one after the other: how many succeeded, and the first that did not. */
interface Outcome {
  readonly done: number;
  readonly failure?: string | undefined;
}

/** Who sends, and where to. */
interface Sender {
  readonly lab: Lab;
  readonly client: string;
  readonly address: string;
}

export function addReports(a: TrafficReport, b: TrafficReport): TrafficReport {
  return {
    pings: a.pings + b.pings,
    pingsAnswered: a.pingsAnswered + b.pingsAnswered,
    requests: a.requests + b.requests,
    requestsAnswered: a.requestsAnswered + b.requestsAnswered,
    transfers: a.transfers + b.transfers,
    transfersDone: a.transfersDone + b.transfersDone,
    failures: [...a.failures, ...b.failures],
  };
}

async function ping({ lab, client, address }: Sender, pings: number): Promise<number> {
  const argv = ['ping', '-n', '-c', String(pings), '-i', '0.2', '-W', '1', address];
  const { stdout } = await lab.exec(client, argv, { onFailure: 'return' });
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
}

/** Asks for all URLs on one connection; those are done that were answered with status 200. */
async function get({ lab, client }: Sender, urls: readonly string[]): Promise<Outcome> {
  const argv = ['curl', '-sS', '--noproxy', '*', '--fail-early', '-w', '%{http_code}\\n'];
  argv.push('--connect-timeout', String(CONNECT_TIMEOUT_SECONDS));
  argv.push('-m', String(REQUEST_TIMEOUT_SECONDS));
  argv.push('--limit-rate', BYTES_PER_SECOND);
  for (const url of urls) argv.push('-o', '/dev/null', url);
  const { stdout } = await lab.exec(client, argv, { onFailure: 'return' });
  const codes = stdout.split('\n');
  const failed = urls.find((_, index) => codes[index] !== '200');
  const failure = failed === undefined ? undefined : `curl ${failed}`;
  return { done: codes.filter((line) => line === '200').length, failure };
}

/** After a transfer that did not take place the others would only wait in vain. */
async function transferAll(from: Sender, transfers: TrafficPlan['transfers']): Promise<Outcome> {
  for (const [index, how] of transfers.entries()) {
    if (await transfer(from, how)) continue;
    return { done: index, failure: `iperf3 ${how.join(' ')}` };
  }
  return { done: transfers.length };
}

/** One iperf3 test of a stated number of bytes. With -J, an error is in the report alone. */
async function transfer({ lab, client, address }: Sender, how: readonly string[]) {
  const argv = ['iperf3', '-c', address, '-p', String(IPERF_PORT), '-J', ...how];
  argv.push('--connect-timeout', String(CONNECT_TIMEOUT_SECONDS * 1000));
  await untilIperf3Idle(lab);
  const options = { onFailure: 'return', timeoutMs: 10_000 } as const;
  const { exitCode, stdout } = await lab.exec(client, argv, options);
  return exitCode === 0 && !stdout.includes('"error"');
}

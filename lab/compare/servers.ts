// What stands behind every path: the same servers on every real, the same services in front of
// them, and the same conditions on every host, so that paths differ by their balancer alone.
import { startIperf3 } from '../hosts/iperf3.ts';
import { isListening } from '../hosts/listening.ts';
import { startNginx } from '../hosts/nginx.ts';
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { makeRoomForLoad } from '../topologies/room-for-load.ts';
import {
  addressOf,
  directorOf,
  type Host,
  type LabService,
  realsOf,
  SERVICES,
  SWITCH,
  type Topology,
} from '../topologies/topology.ts';
import { until } from '../wait.ts';

/** TCP port of sockperf's server. */
export const SOCKPERF_PORT = 11_111;
/**
 * UDP port of the small packets: `discard` (RFC 863). No program listens; each real's kernel counts
 * a datagram and drops it, so no ICMP error goes back. See `arrivedPackets`.
 */
export const PACKETS_PORT = 9;

/** What programs of the comparison need of every path beside the programs of the lab. */
export const SERVER_PROGRAMS = ['sockperf'] as const;

/**
 * Those of the lab, and two more. `sh` for all but the web: sockperf opens several connections that
 * belong together, and the small packets go to one real, as they do where there is no balancer.
 */
export const COMPARE_SERVICES: readonly LabService[] = [
  ...SERVICES,
  { name: 'sockperf', port: SOCKPERF_PORT, protocol: 'tcp', scheduler: 'sh' },
  { name: 'packets', port: PACKETS_PORT, protocol: 'udp', scheduler: 'sh' },
];

/**
 * Dropped before any other work of the real's kernel; the interface has counted it by then. A frame
 * for another real's MAC address that a switch sent to all of its ports has not arrived. What comes
 * out of a tunnel by `furiwake decap` arrives on `lo`.
 */
const DISCARD_RULES = `table netdev discard {
  counter arrived { }
  chain ingress {
    type filter hook ingress devices = { eth0, lo } priority 0
    meta pkttype host udp dport ${PACKETS_PORT} counter name arrived drop
  }
}
`;

/** Longer than any comparison, in hundredths of a second. */
const SWITCH_REMEMBERS = 30 * 24 * 60 * 60 * 100;

/**
 * Sets the conditions of all hosts and starts the servers of all reals; waits until all listen.
 * @param webWorkers of the web server of each real
 */
export async function startCompareServers(
  lab: Lab,
  topology: Topology,
  webWorkers: number,
): Promise<void> {
  await makeRoomForLoad(lab, topology);
  await Promise.all(realsOf(topology).flatMap((real) => serversOn(lab, real, webWorkers)));
  await teachSwitch(lab, topology);
}

/** Datagrams to PACKETS_PORT that reached the reals since the lab was built. */
export async function arrivedPackets(lab: Lab, topology: Topology): Promise<number> {
  const counts = realsOf(topology).map(({ name }) => countedOn(lab, name));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/**
 * A switch sends frames for a real that it never heard of to all ports, and three reals would work
 * for one: a real behind DSR that only receives stays silent. So each speaks once.
 */
async function teachSwitch(lab: Lab, topology: Topology): Promise<void> {
  const lines = topology.segments.map(
    ({ name }) => `link set ${name} type bridge ageing_time ${SWITCH_REMEMBERS}`,
  );
  await lab.ip(SWITCH, lines);
  const arms = directorOf(topology).arms;
  const speaking = realsOf(topology).map((real) => {
    const near = arms.find(({ segment }) => segment === real.arms[0]!.segment) ?? arms[0]!;
    return lab.exec(real.name, ['ping', '-q', '-c', '1', '-W', '2', near.address]);
  });
  await Promise.all(speaking);
}

function serversOn(lab: Lab, real: Host, workers: number): Promise<unknown>[] {
  // The address that clients' packets arrive for: the VIP on lo, if the real has it.
  const served = real.loopback[0] ?? addressOf(real);
  return [
    // A log of every request would be the largest file of a comparison, and cost on every path.
    startNginx(lab, real.name, { accessLog: 'off', workers }),
    startIperf3(lab, real.name, served),
    startSockperf(lab, real.name),
    lab.exec(real.name, ['nft', '-f', '-'], { input: DISCARD_RULES }),
  ];
}

/**
 * Given one port, sockperf serves one connection at a time; given a list, any number, by epoll. So
 * the list has a second port, which nobody asks.
 */
const SOCKPERF_LIST = `T:0.0.0.0:${SOCKPERF_PORT}\nT:127.0.0.1:${SOCKPERF_PORT + 1}\n`;

/** Listens on every address: TCP answers from the address that was asked. */
async function startSockperf(lab: Lab, host: string): Promise<Daemon> {
  const list = lab.writeFile(`${host}-sockperf.list`, SOCKPERF_LIST);
  // With its own timeout it would wake up a hundred times a second while other paths are measured.
  const argv = ['sockperf', 'server', '-f', list, '-F', 'epoll', '--timeout=-1'];
  const daemon = lab.spawn(host, { name: 'sockperf', argv });
  await until(
    `sockperf on ${host} to listen on port ${SOCKPERF_PORT}`,
    () => isListening(lab, host, 'tcp', SOCKPERF_PORT),
    { giveUp: daemon.whyNot },
  );
  return daemon;
}

async function countedOn(lab: Lab, host: string): Promise<number> {
  const { stdout } = await lab.exec(host, ['nft', '-j', 'list', 'counters']);
  const report = JSON.parse(stdout) as {
    readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
  };
  return report.nftables.find(({ counter }) => counter !== undefined)?.counter?.packets ?? 0;
}

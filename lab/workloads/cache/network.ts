// Where the cache workload runs: four proxies as the reals of all ways (see three-ways.ts), and
// one memcached beside them. Every way reaches the same proxies and the same memcached.
import type { WorkloadPath } from '../../compare/result.ts';
import { MEMCACHED_PORT } from '../../hosts/memcached.ts';
import type { NftForwardOptions } from '../../hosts/nft-forward.ts';
import { NUTCRACKER_PORT } from '../../hosts/nutcracker.ts';
import type { Lab } from '../../net/lab.ts';
import {
  DSR_VIP,
  FORWARD_VIP,
  SPREAD_VIP,
  THREE_WAYS,
  threeWaysConfig,
} from '../../topologies/three-ways.ts';
import {
  addressOf,
  clientOf,
  directorOf,
  type Host,
  hostNamed,
  macFor,
  type Network,
  realsOf,
} from '../../topologies/topology.ts';
import { VIP_OF } from '../ways.ts';

export const MOST_PROXIES = 4;

/** Host of memcached. */
export const CACHE_HOST = 'cache';

/** A host like the reals of three ways, by another name and address. */
function realLike(name: string, address: string, loopback: readonly string[]): Host {
  const model = realsOf(THREE_WAYS)[0]!;
  const arms = [{ ...model.arms[0]!, address, mac: macFor(2, address) }];
  return { ...model, name, arms, loopback };
}

const PROXIES = Array.from({ length: MOST_PROXIES }, (_, index) =>
  realLike(`p${index + 1}`, `10.77.0.${11 + index}`, [DSR_VIP, FORWARD_VIP, SPREAD_VIP]),
);

export const CACHE_NETWORK: Network = {
  name: 'cache',
  segments: THREE_WAYS.segments,
  hosts: [
    clientOf(THREE_WAYS),
    directorOf(THREE_WAYS),
    ...PROXIES,
    realLike(CACHE_HOST, '10.77.0.21', []),
  ],
};

/** The first `count` hosts that run a proxy. */
export const proxyHosts = (count: number): readonly Host[] => PROXIES.slice(0, count);

/** Address and port of memcached. */
export const MEMCACHED = `${addressOf(hostNamed(CACHE_NETWORK, CACHE_HOST))}:${MEMCACHED_PORT}`;

/** What the client is told to talk to: a list of proxies, or the VIP in front of them. */
export function serversFor(path: WorkloadPath, proxies: number): string[] {
  if (proxies === 0) return [MEMCACHED];
  if (path !== 'direct') return [`${VIP_OF[path]}:${NUTCRACKER_PORT}`];
  return proxyHosts(proxies).map((host) => `${addressOf(host)}:${NUTCRACKER_PORT}`);
}

/** The director's configuration for the first `proxies` proxies. */
export function directorConfig(
  proxies: number,
  socket: string,
  datapath: 'ring' | 'tc' = 'ring',
): string {
  return threeWaysConfig({ port: NUTCRACKER_PORT, socket, datapath, reals: proxyHosts(proxies) });
}

/** The same for the kernel's own forwarding. */
export const forwardOptions = (proxies: number): NftForwardOptions => ({
  ...{ vip: VIP_OF.fwd, port: NUTCRACKER_PORT },
  reals: proxyHosts(proxies),
});

/**
 * Has the client's kernel spread connections to a VIP that the proxies have on `lo`, by a hash of
 * addresses and ports: as a balancer would, but without one (ip-route(8), `nexthop`).
 */
export async function spreadByClient(lab: Lab, proxies: number): Promise<void> {
  const { name, arms } = clientOf(CACHE_NETWORK);
  const hops = proxyHosts(proxies).map(addressOf);
  const route = hops.flatMap((hop) => ['nexthop', 'via', hop, 'dev', arms.at(-1)!.name]);
  await lab.exec(name, ['sysctl', '-q', '-w', 'net.ipv4.fib_multipath_hash_policy=1']);
  await lab.exec(name, ['ip', 'route', 'replace', `${VIP_OF.spread}/32`, ...route]);
}

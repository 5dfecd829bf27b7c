// IPVS, the kernel's own balancer, where the kernel has it: direct routing and masquerading.
import { existsSync } from 'node:fs';
import { release } from 'node:os';
import type { Lab } from '../../net/lab.ts';
import { TOPOLOGIES } from '../../topologies/build.ts';
import { addressOf, realsOf, type Topology } from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import { type Balancer, comparing, pathOf } from './open-path.ts';
import { addVipCommand, runScript } from './run-script.ts';

type Method = 'dsr' | 'nat';

/** IPVS shows itself in every network namespace, so in this one as well as in the lab's. */
const TABLE = '/proc/net/ip_vs';

/** ipvsadm(8): --gatewaying is direct routing, --masquerading is NAT. */
const forwardingOf = ({ method }: Topology): string => (method === 'nat' ? '-m' : '-g');

export function ipvsScript(topology: Topology): string {
  const services = topology.services.flatMap(({ port, protocol, scheduler }) => {
    const service = `-${protocol[0]} ${topology.vip}:${port}`;
    const servers = realsOf(topology).map(
      (real) => `ipvsadm -a ${service} -r ${addressOf(real)}:${port} ${forwardingOf(topology)}\n`,
    );
    return [`ipvsadm -A ${service} -s ${scheduler}\n`, ...servers];
  });
  const forward = topology.method === 'nat' ? 'sysctl -q -w net.ipv4.ip_forward=1\n' : '';
  return addVipCommand(topology) + forward + services.join('');
}

async function startIpvs(lab: Lab, topology: Topology): Promise<Balancer> {
  const source =
    'ipvsadm(8), Examples; LVS-HOWTO, LVS-DR and LVS-NAT: the VIP is an address of the director, ' +
    'and a director of LVS-NAT forwards';
  return { configs: [await runScript(lab, { text: ipvsScript(topology), source })] };
}

function lacksIpvs(): string | undefined {
  if (existsSync(TABLE)) return undefined;
  return (
    `the kernel ${release()} has no IPVS (${TABLE} is missing); ` +
    'run: modprobe ip_vs, or use a kernel with CONFIG_IP_VS'
  );
}

function ipvsPath(method: Method, facts: Pick<Path, 'name' | 'title' | 'summary'>): Path {
  return pathOf({
    ...facts,
    kind: method,
    topology: comparing(TOPOLOGIES[method]),
    carriesUdp: true,
    programs: ['ipvsadm', 'sysctl'],
    lacks: lacksIpvs,
    start: startIpvs,
  });
}

export const IPVS_DR: Path = ipvsPath('dsr', {
  name: 'ipvs-dr',
  title: 'IPVS DR',
  summary: 'the kernel’s balancer writes a real’s MAC address; the answer goes past the director',
});

export const IPVS_NAT: Path = ipvsPath('nat', {
  name: 'ipvs-nat',
  title: 'IPVS NAT',
  summary: 'the kernel’s balancer rewrites addresses; the answer comes back through the director',
});

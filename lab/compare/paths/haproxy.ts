// HAProxy in TCP mode: it ends the client's connection and opens one of its own to a real. It
// carries no UDP.
import type { Lab } from '../../net/lab.ts';
import { NAT } from '../../topologies/nat.ts';
import { addressOf, type LabService, realsOf, type Topology } from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import { type Balancer, comparing, type Plan, pathOf } from './open-path.ts';
import { addVipCommand, runScript } from './run-script.ts';

const SOURCE =
  'HAProxy 2.6 Configuration Manual, 4.2: mode tcp, balance, option splice-auto; nbthread (3.1) ' +
  'and maxconn (3.2) are left to their defaults, one thread a processor and what ulimit -n allows';

const BALANCE = { rr: 'roundrobin', sh: 'source' } as const;

export function haproxyConfig(topology: Topology): string {
  const services = topology.services.filter(({ protocol }) => protocol === 'tcp');
  return `defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 10m
  timeout server 10m
${services.map((service) => section(topology, service)).join('')}`;
}

function section(topology: Topology, { name, port, scheduler }: LabService): string {
  const servers = realsOf(topology).map(
    (real) => `  server ${real.name} ${addressOf(real)}:${port}\n`,
  );
  return `
listen ${name}
  bind ${topology.vip}:${port}
  balance ${scheduler === 'rr' ? BALANCE.rr : BALANCE.sh}
${servers.join('')}`;
}

export async function startHaproxy(lab: Lab, topology: Topology): Promise<Balancer> {
  const vip = await runScript(lab, {
    text: addVipCommand(topology),
    source: 'HAProxy 2.6 Configuration Manual, 4.2 bind: an address of the host itself',
  });
  const text = haproxyConfig(topology);
  const file = lab.writeFile('haproxy.cfg', text);
  // -W: a master and its worker; -db: in the foreground (Management Guide, section 3).
  const daemon = lab.spawn('director', {
    name: 'haproxy',
    argv: ['haproxy', '-W', '-db', '-f', file],
  });
  return { daemon, configs: [{ name: 'haproxy.cfg', text, source: SOURCE }, vip] };
}

export const HAPROXY_PLAN: Plan = {
  name: 'haproxy',
  title: 'HAProxy',
  kind: 'proxy',
  summary: 'a proxy in user space, TCP mode with splicing; both directions go through it; no UDP',
  topology: comparing(NAT),
  carriesUdp: false,
  programs: ['haproxy'],
  start: startHaproxy,
};

export const HAPROXY: Path = pathOf(HAPROXY_PLAN);

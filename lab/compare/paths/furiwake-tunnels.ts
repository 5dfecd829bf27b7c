// This project's tunnels to reals in another subnet, ipip and gue. The kernels of the reals need no
// tunnel device: `furiwake decap` takes the packets out, one by one, in Node. What it uses counts
// in the machine's processor time, not in the balancer's own.
import { stringify } from 'yaml';
import { rawSocketProblem } from '../../../src/linux/raw-socket-unsafe.ts';
import { startDecap } from '../../hosts/decap.ts';
import { startDirectorWith } from '../../hosts/director.ts';
import { addressOf, directorOf, realsOf, type Topology } from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import { balancerOf } from './furiwake.ts';
import { comparing, pathOf } from './open-path.ts';
import { OTHER_SUBNET, ROUTER_TO_REALS } from './other-subnet.ts';

type Method = 'ipip' | 'gue';

/** The text of furiwake.yaml, with the services of the comparison. */
function configFor(topology: Topology, method: Method, socket: string): string {
  const reals = realsOf(topology).map((real) => ({
    name: real.name,
    address: addressOf(real),
    gateway: ROUTER_TO_REALS,
  }));
  const services = topology.services.map(({ name, ...service }) => [
    name,
    { vip: topology.vip, ...service, method, reals },
  ]);
  const interfaces = directorOf(topology).arms.map(({ name }) => name);
  const config = { interfaces, datapath: 'ring', socket, services: Object.fromEntries(services) };
  return stringify(config, { aliasDuplicateObjects: false });
}

function tunnelPath(method: Method, about: string): Path {
  return pathOf({
    name: `furiwake-${method}`,
    title: `furiwake ${method}`,
    kind: 'tunnel',
    summary:
      `${about} to reals in another subnet, which answer past the director; slow, since each real ` +
      'takes every packet out by “furiwake decap”, in Node',
    topology: comparing(OTHER_SUBNET),
    carriesUdp: true,
    lacks: rawSocketProblem,
    start: async (lab, topology) => {
      const beside = await Promise.all(
        realsOf(topology).map(({ name }) => startDecap(lab, name, [topology.vip])),
      );
      const textFor = (socket: string) => configFor(topology, method, socket);
      const balancer = balancerOf(await startDirectorWith(lab, topology, textFor));
      const argv = `furiwake decap --vip ${topology.vip}\n`;
      const decap = { name: 'on each real', text: argv, source: 'furiwake decap --help' };
      return { ...balancer, beside, configs: [...balancer.configs, decap] };
    },
  });
}

export const FURIWAKE_IPIP: Path = tunnelPath('ipip', 'each packet goes within another IP packet');
export const FURIWAKE_GUE: Path = tunnelPath('gue', 'each packet goes within a UDP packet');

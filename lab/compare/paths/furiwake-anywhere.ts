// This project's methods for reals that stand anywhere: full NAT for reals without a way back, and
// tunnels for reals in other subnets. The kernels of the reals need no tunnel device: `furiwake
// decap` takes the packets out, one by one, in Node. Its time is the machine's, not the balancer's.
import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { rawSocketProblem } from '../../../src/linux/raw-socket-unsafe.ts';
import { startDecap } from '../../hosts/decap.ts';
import { startDirectorWith } from '../../hosts/director.ts';
import type { Lab } from '../../net/lab.ts';
import { NAT } from '../../topologies/nat.ts';
import { addressOf, directorOf, realsOf, type Topology } from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import { type Balancer, comparing, pathOf } from './open-path.ts';
import { OTHER_SUBNET, ROUTER_TO_REALS } from './other-subnet.ts';

/** Two addresses: room for the connections of a whole sample, beside those that have just ended. */
const SOURCE_POOL: readonly string[] = ['10.77.0.200', '10.77.0.201'];

/** The reals have no route to the client, neither through the director nor past it. */
const NO_WAY_BACK: Topology = {
  ...comparing(NAT),
  hosts: NAT.hosts.map((host) => ({ ...host, gateway: null })),
};

interface Config {
  readonly method: 'fullnat' | 'ipip' | 'gue';
  /** Beside the services. */
  readonly more?: object;
  /** Of every real. */
  readonly gateway?: string;
}

/** The text of furiwake.yaml, with the services of the comparison. */
export function configFor(topology: Topology, socket: string, config: Config): string {
  const { method, more = {}, gateway } = config;
  const reals = realsOf(topology).map((real) => ({
    ...{ name: real.name, address: addressOf(real) },
    ...(gateway === undefined ? {} : { gateway }),
  }));
  const services = topology.services.map(({ name, ...service }) => [
    name,
    { vip: topology.vip, ...service, method, reals },
  ]);
  const whole = {
    ...{ interfaces: directorOf(topology).arms.map(({ name }) => name), datapath: 'ring', socket },
    ...{ ...more, services: Object.fromEntries(services) },
  };
  return stringify(whole, { aliasDuplicateObjects: false });
}

async function start(lab: Lab, topology: Topology, config: Config): Promise<Balancer> {
  const textFor = (socket: string) => configFor(topology, socket, config);
  const { daemon, configFile } = await startDirectorWith(lab, topology, textFor);
  const text = readFileSync(configFile, 'utf8');
  const source = 'furiwake, src/config/schema.ts';
  return { daemon, configs: [{ name: 'furiwake.yaml', text, source }] };
}

export const FURIWAKE_FULLNAT: Path = pathOf({
  name: 'furiwake-fullnat',
  title: 'furiwake fullnat',
  kind: 'fullnat',
  summary:
    'the director rewrites both addresses; the answer comes back to its source pool, whatever routes the reals have',
  topology: NO_WAY_BACK,
  sourcePool: SOURCE_POOL,
  carriesUdp: true,
  start: (lab, topology) => {
    const sourcePool = { addresses: SOURCE_POOL, ports: '1024-65535' };
    return start(lab, topology, { method: 'fullnat', more: { sourcePool } });
  },
});

function tunnelPath(method: 'ipip' | 'gue', about: string): Path {
  return pathOf({
    name: `furiwake-${method}`,
    title: `furiwake ${method}`,
    kind: 'tunnel',
    summary:
      `${about} to reals in another subnet, which answer past the director; slow, since each real ` +
      'takes every packet out by “furiwake decap”, in Node, and not by its kernel',
    topology: comparing(OTHER_SUBNET),
    carriesUdp: true,
    lacks: rawSocketProblem,
    start: async (lab, topology) => {
      const beside = await Promise.all(
        realsOf(topology).map(({ name }) => startDecap(lab, name, [topology.vip])),
      );
      const balancer = await start(lab, topology, { method, gateway: ROUTER_TO_REALS });
      const argv = `furiwake decap --vip ${topology.vip}\n`;
      const decap = { name: 'on each real', text: argv, source: 'furiwake decap --help' };
      return { ...balancer, beside, configs: [...balancer.configs, decap] };
    },
  });
}

export const FURIWAKE_IPIP: Path = tunnelPath('ipip', 'each packet goes within another IP packet');
export const FURIWAKE_GUE: Path = tunnelPath('gue', 'each packet goes within a UDP packet');

// This project, started as a user would start it: DSR and NAT on each datapath, full NAT and
// tunnels on the ring. The kernels of reals behind tunnels need no tunnel device: `furiwake decap`
// takes the packets out, one by one, in Node; that counts in the machine's processor time, not in
// the balancer's own.
import { readFileSync } from 'node:fs';
import type { DatapathName } from '../../../src/config/config.ts';
import { rawSocketProblem } from '../../../src/linux/raw-socket-unsafe.ts';
import { startDecap } from '../../hosts/decap.ts';
import { type Director, startDirector } from '../../hosts/director.ts';
import { TOPOLOGIES } from '../../topologies/build.ts';
import { realsOf } from '../../topologies/topology.ts';
import type { Path } from '../path.ts';
import { type Balancer, comparing, pathOf } from './open-path.ts';

const METHODS = {
  dsr: {
    title: 'furiwake DSR',
    summary: 'the director writes a real’s MAC address; the answer goes past it',
  },
  nat: {
    title: 'furiwake NAT',
    summary: 'the director rewrites addresses and ports; the answer comes back through it',
  },
} as const;

const DATAPATHS = {
  ring: { title: '', summary: '; frames come and go by the kernel’s rings' },
  tc: {
    title: ' (tc)',
    summary: '; what it has decided of a flow, the kernel repeats for most of its frames',
  },
  cap: {
    title: ' (cap)',
    summary: '; frames come and go by libpcap, which knows no offloads: off on all hosts here',
  },
} as const;

/** libpcap says nothing of unfinished checksums and of super-frames: there must be none. */
const OFFLOADS = { ring: 'on', tc: 'on', cap: 'off' } as const;

export function furiwakePath(method: 'dsr' | 'nat', datapath: DatapathName): Path {
  return pathOf({
    name: `furiwake-${method}-${datapath}`,
    title: METHODS[method].title + DATAPATHS[datapath].title,
    kind: method,
    summary: METHODS[method].summary + DATAPATHS[datapath].summary,
    topology: comparing(TOPOLOGIES[method]),
    offloads: OFFLOADS[datapath],
    carriesUdp: true,
    start: async (lab, topology) => balancerOf(await startDirector(lab, topology, { datapath })),
  });
}

/** With the text that it was started with. */
function balancerOf({ daemon, configFile }: Director): Balancer {
  const text = readFileSync(configFile, 'utf8');
  const source = 'furiwake, src/config/schema.ts';
  return { daemon, configs: [{ name: 'furiwake.yaml', text, source }] };
}

/** The reals have no route to the client, neither through the director nor past it. */
export const FURIWAKE_FULLNAT: Path = pathOf({
  name: 'furiwake-fullnat',
  title: 'furiwake fullnat',
  kind: 'nat',
  summary:
    'the director rewrites both addresses; the answer comes back to its source pool, whatever ' +
    'routes the reals have',
  topology: comparing(TOPOLOGIES.fullnat),
  carriesUdp: true,
  start: async (lab, topology) =>
    balancerOf(await startDirector(lab, topology, { datapath: 'ring' })),
});

function tunnelPath(method: 'ipip' | 'gue', about: string): Path {
  return pathOf({
    name: `furiwake-${method}`,
    title: `furiwake ${method}`,
    kind: 'tunnel',
    summary:
      `${about} to reals in another subnet, which answer past the director; slow, since each real ` +
      'takes every packet out by “furiwake decap”, in Node',
    topology: comparing(TOPOLOGIES[method]),
    carriesUdp: true,
    lacks: rawSocketProblem,
    start: async (lab, topology) => {
      const beside = await Promise.all(
        realsOf(topology).map(({ name }) => startDecap(lab, name, [topology.vip])),
      );
      const balancer = balancerOf(await startDirector(lab, topology, { datapath: 'ring' }));
      const command = `furiwake decap --vip ${topology.vip}\n`;
      const decap = { name: 'on each real', text: command, source: 'furiwake decap --help' };
      return { ...balancer, beside, configs: [...balancer.configs, decap] };
    },
  });
}

export const FURIWAKE_IPIP: Path = tunnelPath('ipip', 'each packet goes within another IP packet');
export const FURIWAKE_GUE: Path = tunnelPath('gue', 'each packet goes within a UDP packet');

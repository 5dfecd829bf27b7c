// Where verify captures in a topology, and how the topology becomes the facts that it judges by.
// Clients and reals are captured on their own interfaces; the director at the switch's end of its
// cables, because its own frames pass no tap on the interface they leave by.
import {
  addressOf,
  type Host,
  realsOf,
  type SourcePool,
  SWITCH,
  switchPort,
  type Topology,
} from '../topologies/topology.ts';
import type { HostFacts, Manifest, PointFacts } from './captures.ts';

/** A point, and the host and interface of the lab on which its recorder listens. */
export interface Tap {
  readonly point: PointFacts;
  readonly host: string;
  readonly interface: string;
}

export interface TapOptions {
  readonly offloads: 'on' | 'off';
  /** Goes into the file names, to tell several recordings of one point apart. */
  readonly suffix?: string;
}

/** One tap for every arm of every host that is no mere router. */
export function tapsOf(topology: Topology, { offloads, suffix = '' }: TapOptions): Tap[] {
  const hosts = topology.hosts.filter((host) => host.role !== 'router');
  return hosts.flatMap((host) =>
    host.arms.map((arm) => {
      const file = `${stemFor(host, arm.name)}${suffix}.pcap`;
      const whole = { lostFrames: 0, problem: null };
      const point = { file, host: host.name, interface: arm.name, offloads, ...whole };
      return host.role === 'director'
        ? { point, host: SWITCH, interface: switchPort(host.name, arm.name) }
        : { point, host: host.name, interface: arm.name };
    }),
  );
}

/** The director's arms are always told apart; `client` has no need to. */
function stemFor(host: Host, arm: string): string {
  const plain = host.role !== 'director' && host.arms.length === 1;
  return plain ? host.name : `${host.name}-${arm}`;
}

type RunFacts = Pick<Manifest, 'breakName' | 'datapath' | 'createdAt' | 'traffic'> & {
  readonly points: readonly PointFacts[];
};

export function manifestOf(topology: Topology, run: RunFacts): Manifest {
  const reals = realsOf(topology).map((real) => ({ host: real.name, address: addressOf(real) }));
  return {
    format: 1,
    topology: topology.name,
    ...run,
    ...(topology.sourcePool === undefined ? {} : { sourcePool: copyOf(topology.sourcePool) }),
    points: [...run.points],
    hosts: topology.hosts.map(hostFacts),
    services: topology.services.map(({ name, port, protocol }) => ({
      name,
      vip: topology.vip,
      port,
      protocol,
      reals: reals.map((real) => ({ ...real, port })),
    })),
  };
}

const copyOf = ({ addresses, ports }: SourcePool) => ({ addresses: [...addresses], ports });

function hostFacts(host: Host): HostFacts {
  const interfaces = host.arms.map(({ name, mac, address, prefixLength }) => ({
    name,
    mac,
    address,
    prefixLength,
  }));
  return { name: host.name, role: host.role, interfaces };
}

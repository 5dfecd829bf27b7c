// A whole lab at work: a topology that is built, its servers, a mistake if one is asked for, and
// the director. What verify, the demo, the benchmarks and `lab up` all start from.
import type { DatapathName } from '../src/config/config.ts';
import { startDecap } from './hosts/decap.ts';
import { type Director, startDirector } from './hosts/director.ts';
import { startIperf3 } from './hosts/iperf3.ts';
import { startNginx } from './hosts/nginx.ts';
import type { Lab } from './net/lab.ts';
import { requireLab, UsageError } from './requirements.ts';
import { type Break, breaksOf, findBreak } from './topologies/breaks.ts';
import { buildTopology, TOPOLOGIES } from './topologies/build.ts';
import { makeRoomForLoad } from './topologies/room-for-load.ts';
import {
  addressOf,
  type Host,
  isTunnel,
  realsOf,
  type Topology,
  type TopologyName,
} from './topologies/topology.ts';

export interface StartOptions {
  readonly topology: TopologyName;
  /** `ring` unless given. */
  readonly datapath?: DatapathName;
  /** Name of a break of the topology. */
  readonly breakName?: string | undefined;
  /** `on` unless given; always `off` for the datapath `cap`, which gets no offload metadata. */
  readonly offloads?: 'on' | 'off';
  /** For long load of many connections: see `makeRoomForLoad`; and no log of every request. */
  readonly longLoad?: true;
}

export interface RunningLab {
  readonly lab: Lab;
  /** As built, with what a break changed. */
  readonly topology: Topology;
  readonly broken: Break | undefined;
  readonly director: Director;
  /** Stops the director, then everything else. Any number of times. */
  close(): Promise<void>;
}

export type ServingLab = Omit<RunningLab, 'director'>;

/** Builds a topology and starts its servers, but no director. On failure nothing is left. */
export async function startServers(options: StartOptions): Promise<ServingLab> {
  requireLab();
  const broken = chooseBreak(options);
  const original = TOPOLOGIES[options.topology];
  const topology = broken?.change?.(original) ?? original;
  const offloads = options.datapath === 'cap' ? 'off' : (options.offloads ?? 'on');
  const lab = await buildTopology(topology, { offloads });
  try {
    if (options.longLoad) await makeRoomForLoad(lab, topology);
    const accessLog = options.longLoad ? 'off' : 'on';
    const reals = realsOf(topology);
    await Promise.all(reals.flatMap((real) => serversOn(lab, topology, real, accessLog)));
    await broken?.apply?.(lab, topology);
    return { lab, topology, broken, close: () => lab.close() };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** The same with a director that is ready to forward. */
export async function startLab(options: StartOptions): Promise<RunningLab> {
  const serving = await startServers(options);
  const { lab, topology } = serving;
  try {
    const director = await startDirector(lab, topology, { datapath: options.datapath ?? 'ring' });
    return { ...serving, director };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

function serversOn(
  lab: Lab,
  { method }: Topology,
  real: Host,
  accessLog: 'on' | 'off',
): Promise<unknown>[] {
  // The address that clients' packets arrive for: the VIP on lo, if the real has it.
  const served = real.loopback[0] ?? addressOf(real);
  const servers = [startNginx(lab, real.name, { accessLog }), startIperf3(lab, real.name, served)];
  return isTunnel(method) ? [...servers, startDecap(lab, real.name, real.loopback)] : servers;
}

function chooseBreak(options: StartOptions): Break | undefined {
  const { topology, breakName } = options;
  if (breakName === undefined) return undefined;
  const found = findBreak(topology, breakName);
  if (found !== undefined) return found;
  const allowed = breaksOf(topology).map((each) => each.name);
  throw new UsageError(
    `--break: found ${breakName}; topology ${topology} allows ${allowed.join(', ')}`,
  );
}

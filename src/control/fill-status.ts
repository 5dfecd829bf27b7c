// Fills a Status from what control knows and from the counters of the data plane.
import { readFileSync } from 'node:fs';
import type { Config, SourcePoolConfig } from '../config/config.ts';
import { isIpv6Text } from '../config/endpoint.ts';
import { formatPorts } from '../config/listening.ts';
import type { Arm, LinkState } from '../datapath/datapath.ts';
import { DOWN, DRAINED, FULL } from '../director/availability.ts';
import {
  ACTIVE_FLOWS,
  ARM_FIELDS,
  armAt,
  CLOSED_BITS,
  type Counters,
  DRAIN_LEFT_MS,
  dropAt,
  GLOBAL,
  GLOBAL_FIELDS,
  NEIGHBOUR_MAC,
  NEIGHBOUR_RESOLVED,
  NEIGHBOUR_STATE,
  NEIGHBOUR_UNREACHABLE,
  readDrops,
  readRow,
  realAt,
  START_LEFT_MS,
  serviceAt,
  TRAFFIC_FIELDS,
} from '../director/counters.ts';
import { formatIpv4, formatIpv6, formatMac, type Ipv6 } from '../wire/address.ts';
import { DROP } from '../wire/drop-reason.ts';
import { allTimeouts } from './build-life.ts';
import { type BuiltTable, builtReals } from './build-table.ts';
import type {
  ArmStatus,
  RealStatus,
  ServiceStatus,
  SourcePoolStatus,
  Status,
  WorkerStatus,
} from './status.ts';
import { packageVersion } from './version.ts';

const NO_SOURCE_PORT = DROP['no-source-port'];

export interface DirectorState {
  readonly config: Config;
  readonly arms: readonly Arm[];
  readonly links: readonly LinkState[];
  readonly built: BuiltTable;
  readonly counters: Counters;
  /** Each worker's own counters. */
  readonly workers: readonly Counters[];
  readonly guard: 'nft' | 'none';
  readonly startedAtMs: number;
  /** The data plane's process, where it has one of its own. */
  readonly childPid: number | undefined;
}

type BuiltService = BuiltTable['services'][number];
type BuiltReal = BuiltService['reals'][number];

export function fillStatus(state: DirectorState): Status {
  const { config, counters } = state;
  return {
    version: packageVersion(),
    pid: process.pid,
    config: config.file,
    startedAtMs: state.startedAtMs,
    uptimeMs: Date.now() - state.startedAtMs,
    datapath: config.datapath,
    workers: state.workers.map((worker) => workerStatus(worker)),
    guard: state.guard,
    residentBytes: process.memoryUsage.rss() + residentBytesOf(state.childPid),
    maximumFlows: config.maximumFlows,
    maximumHalfOpen: config.maximumHalfOpen,
    timeouts: allTimeouts(config),
    totals: readRow(counters, 0, GLOBAL_FIELDS),
    drops: readDrops(counters),
    arms: state.arms.map((arm, index) => armStatus(state, arm, index)),
    services: state.built.services.map((service) => serviceStatus(state, service)),
    ...(config.sourcePool && { sourcePool: poolStatus(state, config.sourcePool) }),
    ...(config.retiredSources?.length && {
      retiredSources: config.retiredSources.map(({ address }) => address),
    }),
  };
}

/** How many addresses of a pool can stand for the clients of a real. */
const sourcesFor = (addresses: readonly string[], real: string): number =>
  addresses.filter((address) => isIpv6Text(address) === isIpv6Text(real)).length;

function poolStatus(
  { built, counters }: DirectorState,
  { addresses, ports }: SourcePoolConfig,
): SourcePoolStatus {
  const reals = built.services.flatMap(builtReals);
  const users = reals
    .filter((real) => real.config.method === 'fullnat')
    .map(({ id, config: { address } }) => ({
      flows: counters.values[realAt(counters.room, id) + ACTIVE_FLOWS] ?? 0,
      ports: sourcesFor(addresses, address) * (ports.to - ports.from + 1),
    }))
    .toSorted((one, other) => other.flows / other.ports - one.flows / one.ports);
  const [busiest] = users;
  return {
    addresses,
    total: busiest?.ports ?? addresses.length * (ports.to - ports.from + 1),
    used: users.reduce((sum, { flows }) => sum + flows, 0),
    mostUsed: busiest?.flows ?? 0,
    missed: counters.values[dropAt(NO_SOURCE_PORT)] ?? 0,
  };
}

/** Memory of another process; 0 if there is none, or none any more. See proc_pid_status(5). */
function residentBytesOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kibibytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function workerStatus({ values }: Counters): WorkerStatus {
  const [sent, opened, active] = [GLOBAL.sentFrames, GLOBAL.openedFlows, GLOBAL.activeFlows];
  return {
    sentFrames: values[sent] ?? 0,
    openedFlows: values[opened] ?? 0,
    activeFlows: values[active] ?? 0,
  };
}

function armStatus(state: DirectorState, arm: Arm, index: number): ArmStatus {
  return {
    name: arm.name,
    mac: formatMac(arm.macHigh, arm.macLow),
    address: arm.prefixLength === 0 ? null : `${formatIpv4(arm.address)}/${arm.prefixLength}`,
    address6: isHostAddress6(arm) ? `${formatIpv6(arm.address6)}/${arm.prefixLength6}` : null,
    mtu: arm.mtu,
    link: state.links[index] ?? 'gone',
    ...readRow(state.counters, armAt(index), ARM_FIELDS),
  };
}

/** Not an address that the director made up of the MAC address. */
const isHostAddress6 = (arm: Arm): arm is Arm & { readonly address6: Ipv6 } =>
  arm.address6 !== undefined && (arm.prefixLength6 ?? 0) > 0;

function serviceStatus(state: DirectorState, service: BuiltService): ServiceStatus {
  const { id, config, reals, sorry } = service;
  const { persistence, onePacket, slowStart, whenAllDown, sources, limits } = config;
  const { name, protocols, vips, method, scheduler, hash } = config;
  const ports = config.ports.map(formatPorts);
  const traffic = readRow(state.counters, serviceAt(state.counters.room, id), TRAFFIC_FIELDS);
  const rows = reals.map((real) => realStatus(state, real));
  return {
    ...{ name, protocols, vips, ports, method, scheduler, hash },
    ...{ persistence, onePacket, slowStart, whenAllDown, sources, limits },
    sorry: sorry && realStatus(state, sorry),
    reals: rows,
    ...traffic,
  };
}

function realStatus({ arms, counters }: DirectorState, real: BuiltReal): RealStatus {
  const { name, address, port, weight, method, drain, thresholds } = real.config;
  return {
    name,
    address,
    port,
    weight,
    method,
    arm: arms[real.arm]?.name ?? '',
    ...(real.gateway === undefined ? {} : { gateway: real.gateway }),
    ...neighbourOf(counters, real.id),
    ...{ ...stateOf(counters, real.id), drain, thresholds },
    ...readRow(counters, realAt(counters.room, real.id), TRAFFIC_FIELDS),
  };
}

/** What the data plane last said of whether a real takes new flows; the weightiest reason. */
function stateOf({ room, values }: Counters, realId: number): Pick<RealStatus, 'state' | 'leftMs'> {
  const at = realAt(room, realId);
  const bits = values[at + CLOSED_BITS] ?? 0;
  const startLeftMs = values[at + START_LEFT_MS] ?? 0;
  if (bits & DRAINED) return { state: 'drained', leftMs: values[at + DRAIN_LEFT_MS] ?? 0 };
  if (bits & DOWN) return { state: 'down', leftMs: 0 };
  if (bits & FULL) return { state: 'overloaded', leftMs: 0 };
  return { state: startLeftMs > 0 ? 'starting' : 'open', leftMs: startLeftMs };
}

/** What the data plane last said of a real's MAC address. */
export function neighbourOf(
  { room, values }: Counters,
  realId: number,
): Pick<RealStatus, 'neighbour' | 'mac'> {
  const at = realAt(room, realId);
  const state = values[at + NEIGHBOUR_STATE];
  if (state === NEIGHBOUR_UNREACHABLE) return { neighbour: 'unreachable', mac: null };
  if (state !== NEIGHBOUR_RESOLVED) return { neighbour: 'resolving', mac: null };
  const mac = values[at + NEIGHBOUR_MAC] ?? 0;
  return { neighbour: 'resolved', mac: formatMac(mac / 0x10000, mac & 0xffff) };
}

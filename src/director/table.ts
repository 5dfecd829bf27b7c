// The forwarding table: what the control plane knows of services and reals, as typed arrays that
// the data path reads and never writes. Built afresh for every change and swapped whole between
// two batches. Plain data, so that it crosses to the worker by structured clone.
import type { Schedule } from '../schedule/scheduler.ts';
import type { Ipv6 } from '../wire/address.ts';
import { GUE_PORT } from '../wire/tunnel.ts';
import { PLAIN_LIFE, type RealTerms, type ServiceLife, type TableLife } from './life.ts';
import {
  ALL_PORTS,
  buildPortMap,
  findOwner,
  type PortEntry,
  type PortMap,
  type PortRange,
  type Prefix,
  type Prefix6,
} from './port-map.ts';
import { buildPrefixMap6, findOwner6, type PrefixEntry6, type PrefixMap6 } from './prefix-map6.ts';
import type { SourceList } from './source-list.ts';

export const METHOD_DSR = 0;
export const METHOD_NAT = 1;
export const METHOD_FULLNAT = 2;
export const METHOD_IPIP = 3;
export const METHOD_GUE = 4;

/** In the order of their numbers. */
export const METHOD_NAMES = ['dsr', 'nat', 'fullnat', 'ipip', 'gue'] as const;
export type MethodName = (typeof METHOD_NAMES)[number];

/**
 * IPv6 has protocol numbers of its own wherever one is part of a key (70 for TCP, 81 for UDP): its
 * addresses are handles there, which may look like addresses of IPv4.
 */
export const IPV6_BIT = 0x40;

/** The number by which services and flows know a protocol of this family. */
export const protocolKey = (protocol: number, family: 4 | 6): number =>
  family === 6 ? protocol ^ IPV6_BIT : protocol;

/** What `buildTable` is given for a real. Ids stay the same over the life of a director. */
export interface RealInput {
  /** That of its service unless given; another one is for tunnels alone. */
  readonly family?: 4 | 6;
  /** 0 to 65534; the same (service, address, port) keeps its id from table to table. */
  readonly id: number;
  /** IPv4 address, int32; of IPv6, a handle. */
  readonly address: number;
  /** Port at the real; 0 for the one that the client asked for, as it always is by DSR. */
  readonly port: number;
  readonly method: MethodName;
  /** Arm that leads to the real. */
  readonly arm: number;
  /** The router on that arm that frames to the real go to; none for a real on the segment. */
  readonly hop?: number | undefined;
  /** What it takes, if not everything. */
  readonly terms?: RealTerms;
}

/** What the outer packets of tunnels are like. */
export interface TunnelInput {
  /** Their source address (int32), any address of this prefix; 0 for the arm's own. */
  readonly source: number;
  readonly prefixLength: number;
  /** The same of IPv6. */
  readonly source6?: Ipv6;
  readonly prefixLength6?: number;
  /** UDP port at the reals, for GUE. */
  readonly port: number;
}

export interface ServiceInput {
  /** 0 to 65534, stable like a real's id. */
  readonly id: number;
  /** 4 unless given. Of 6, all addresses are handles: numbers of entries in `addresses6`. */
  readonly family?: 4 | 6;
  readonly vips: readonly Prefix[];
  /** Prefixes of IPv6 that it listens on beside these. */
  readonly prefixes6?: readonly Prefix6[];
  readonly ports: readonly PortRange[];
  /** 6 (TCP), 17 (UDP), 132 (SCTP). */
  readonly protocols: readonly number[];
  readonly schedule: Schedule;
  /** By which flows are spread that there is no room for, if `schedule` is not consistent. */
  readonly fallback?: Schedule | undefined;
  /** Clients that it takes new flows from; undefined: from all. */
  readonly sources?: SourceList | undefined;
  /** In the order that the schedule was built for. */
  readonly reals: readonly RealInput[];
  /** What it wants beside its scheduler; its sorry server is `sorry`. */
  readonly life?: ServiceLife;
  readonly sorry?: RealInput;
}

/** The addresses and ports that stand for clients by fullnat; empty where nobody needs them. */
export interface SourcePool {
  readonly addresses: Int32Array;
  /** Those of IPv6, as handles. */
  readonly addresses6: Int32Array;
  readonly firstPort: number;
  readonly portCount: number;
  /** What it had before, as long as flows go by it: answered for, and given to no new one. */
  readonly retired?: readonly RetiredPrefix[];
}

/** An address that left the pool, and the worker that it was of; undefined: each had its ports. */
interface RetiredPrefix extends FamilyPrefix {
  readonly worker: number | undefined;
}

const NO_ADDRESSES = new Int32Array(0);
const NO_POOL: SourcePool = {
  ...{ addresses: NO_ADDRESSES, addresses6: NO_ADDRESSES, firstPort: 0, portCount: 0 },
};

/**
 * The table itself. All arrays named `real...` are indexed by real id, `service...` by service id.
 */
export interface Table {
  /** Another one for each table of a director, so that its workers know which one they speak of. */
  readonly generation: number;
  /** Service ids by VIP, port and protocol. */
  readonly services: PortMap;
  /** The same of prefixes of IPv6. */
  readonly prefixes6: PrefixMap6;
  /** Schedule of each service id; undefined for an id that this table does not hold. */
  readonly schedules: readonly (Schedule | undefined)[];
  readonly life: TableLife;
  /** Of each service whose schedule is not consistent: one that is. */
  readonly fallbacks: readonly (Schedule | undefined)[];
  /** Of each service that does not take new flows from all clients. */
  readonly sources: readonly (SourceList | undefined)[];
  /** Where a service's reals start in `serviceReals`. */
  readonly serviceFirstReal: Int32Array;
  readonly serviceRealCount: Int32Array;
  /** Real ids, service by service, in schedule order; behind them its sorry server, not counted. */
  readonly serviceReals: Int32Array;
  readonly realAddress: Int32Array;
  /** 0 where a real takes each packet at the port that its client asked for. */
  readonly realPort: Uint16Array;
  /** METHOD_DSR and so on: a service may have reals of several methods. */
  readonly realMethod: Uint8Array;
  /** Index into the neighbours, or -1 for a real that this table does not hold. */
  readonly realNeighbour: Int32Array;
  readonly neighbourAddress: Int32Array;
  readonly neighbourArm: Uint8Array;
  /** 4 or 6. */
  readonly neighbourFamily: Uint8Array;
  /** Ids of the reals that `comesBack` is true of, by where they answer from. */
  readonly replies: PortMap;
  /** Every VIP or prefix of VIPs once, beside it its prefix length; and the handles of IPv6. */
  readonly vips: Int32Array;
  readonly vipPrefixLengths: Uint8Array;
  readonly vips6: Int32Array;
  /** Every address that replies come back from, once. */
  readonly natAddresses: Int32Array;
  readonly natAddresses6: Int32Array;
  /** Its addresses are among the VIPs too: the director answers for them in the same way. */
  readonly pool: SourcePool;
  /**
   * Four words for each handle: every IPv6 address that any configuration of this director ever
   * had. An address keeps its handle from table to table.
   */
  readonly addresses6: Int32Array;
  /** False if it has nothing to do with IPv6. A service of prefixes alone has no address above. */
  readonly hasIpv6: boolean;
  readonly tunnel: TunnelInput;
  /** Every address that packets go to through a tunnel, once; beside them the handles of IPv6. */
  readonly tunnelAddresses: Int32Array;
  readonly tunnelAddresses6: Int32Array;
}

const OWN_ADDRESS: TunnelInput = { source: 0, prefixLength: 32, port: GUE_PORT };

/** Stands for the address as such, in a map by protocol. */
const ADDRESS_ALONE = 0;

/** An address or prefix with its family, which the number alone does not show. */
interface FamilyPrefix extends Prefix {
  readonly family: 4 | 6;
}

type FamilyReal = RealInput & FamilyPrefix;

const withSorry = ({ reals, sorry }: ServiceInput): readonly RealInput[] =>
  sorry === undefined ? reals : [...reals, sorry];

const realsOf = (service: ServiceInput): FamilyReal[] =>
  withSorry(service).map((real) => {
    return { ...real, family: real.family ?? service.family ?? 4, prefixLength: 32 };
  });

const vipsOf = ({ family = 4, vips }: ServiceInput): FamilyPrefix[] =>
  vips.map((vip) => ({ ...vip, family }));

const sourcesOf = ({ addresses, addresses6, retired = [] }: SourcePool): FamilyPrefix[] => [
  ...Array.from(addresses, (address) => ({ address, prefixLength: 32, family: 4 }) as const),
  ...Array.from(addresses6, (address) => ({ address, prefixLength: 32, family: 6 }) as const),
  ...retired,
];

// Keys are numbers, 41 bits and the arm: texts took half the time of a table of many services.
const prefixKey = ({ family, address, prefixLength }: FamilyPrefix) =>
  (family * 64 + prefixLength) * 2 ** 32 + (address >>> 0);
/** The address that is resolved for a real: its own, or its router's. */
const hopOf = ({ hop, address }: RealInput) => hop ?? address;
const neighbourKey = (real: FamilyReal) =>
  real.arm * 2 ** 41 +
  prefixKey({ family: real.family, address: hopOf(real), prefixLength: real.prefixLength });

/** The addresses of one family. */
const addressesOf = (list: readonly FamilyPrefix[], family: 4 | 6): Int32Array =>
  Int32Array.from(list.flatMap((each) => (each.family === family ? each.address : [])));

/** The last of those with the same key, in the order of the first. */
const eachOnce = <T>(list: readonly T[], key: (each: T) => number): T[] => [
  ...new Map(list.map((each) => [key(each), each])).values(),
];

/**
 * Builds the table from the services of one configuration. Arrays are as long as the largest id;
 * an id that no service of this configuration has stays empty.
 * @param addresses6 what the handles of this configuration, and of those before it, stand for
 * @param timeoutsMs how long a flow lives without a packet, by state
 */
export function buildTable(
  services: readonly ServiceInput[],
  addresses6: readonly Ipv6[] = [],
  tunnel: TunnelInput = OWN_ADDRESS,
  timeoutsMs: Int32Array = PLAIN_LIFE.timeoutsMs,
  pool: SourcePool = NO_POOL,
): Table {
  const serviceIds = services.reduce((most, service) => Math.max(most, service.id + 1), 0);
  const allReals = services.flatMap(realsOf);
  const realIds = allReals.reduce((most, real) => Math.max(most, real.id + 1), 0);
  const neighbours = eachOnce(allReals, neighbourKey);
  const neighbourIndex = new Map(neighbours.map((real, index) => [neighbourKey(real), index]));
  const schedules: (Schedule | undefined)[] = new Array(serviceIds).fill(undefined);
  const fallbacks = schedules.slice();
  const sources: (SourceList | undefined)[] = new Array(serviceIds).fill(undefined);
  const answering = allReals.filter((real) => comesBack(real.method));
  const natAddresses = eachOnce(answering, prefixKey);
  const vips = eachOnce([...services.flatMap(vipsOf), ...sourcesOf(pool)], prefixKey);
  const tunnelled = eachOnce(allReals.filter(isTunnelled), prefixKey);
  const vips4 = vips.filter(({ family }) => family === 4);
  const table: Table = {
    generation: 0,
    services: buildPortMap([...vips.map(aloneEntry), ...services.flatMap(serviceEntries)]),
    prefixes6: buildPrefixMap6(services.flatMap(prefixEntries6), IPV6_BIT),
    schedules,
    life: { ...lifeOf(services, allReals), timeoutsMs },
    fallbacks,
    sources,
    serviceFirstReal: new Int32Array(serviceIds),
    serviceRealCount: new Int32Array(serviceIds),
    serviceReals: Int32Array.from(allReals, (real) => real.id),
    realAddress: new Int32Array(realIds),
    realPort: new Uint16Array(realIds),
    realMethod: new Uint8Array(realIds),
    realNeighbour: new Int32Array(realIds).fill(-1),
    neighbourAddress: Int32Array.from(neighbours, hopOf),
    neighbourArm: Uint8Array.from(neighbours, (real) => real.arm),
    neighbourFamily: Uint8Array.from(neighbours, (real) => real.family),
    replies: buildPortMap([...natAddresses.map(aloneEntry), ...services.flatMap(replyEntries)]),
    vips: addressesOf(vips, 4),
    vipPrefixLengths: Uint8Array.from(vips4, (vip) => vip.prefixLength),
    vips6: addressesOf(vips, 6),
    natAddresses: addressesOf(natAddresses, 4),
    natAddresses6: addressesOf(natAddresses, 6),
    pool,
    addresses6: Int32Array.from(addresses6.flat()),
    hasIpv6: addresses6.length > 0 || services.some(({ family }) => family === 6),
    tunnel,
    tunnelAddresses: addressesOf(tunnelled, 4),
    tunnelAddresses6: addressesOf(tunnelled, 6),
  };
  let firstReal = 0;
  for (const service of services) {
    const { id, reals } = service;
    schedules[id] = service.schedule;
    fallbacks[id] = service.fallback;
    sources[id] = service.sources;
    table.serviceFirstReal[id] = firstReal;
    table.serviceRealCount[id] = reals.length;
    firstReal += withSorry(service).length;
  }
  for (const real of allReals) {
    table.realAddress[real.id] = real.address;
    table.realPort[real.id] = real.port;
    table.realMethod[real.id] = METHOD_NAMES.indexOf(real.method);
    table.realNeighbour[real.id] = neighbourIndex.get(neighbourKey(real)) ?? -1;
  }
  return table;
}

const isTunnelled = ({ method }: RealInput): boolean => method === 'ipip' || method === 'gue';

/** True if the real's replies come back through the director, which rewrites their addresses. */
export const comesBack = (method: MethodName): boolean => method === 'nat' || method === 'fullnat';

/** By id; empty where nobody wants anything. */
function lifeOf(services: readonly ServiceInput[], reals: readonly RealInput[]) {
  const life: { services: ServiceLife[]; reals: RealTerms[] } = { services: [], reals: [] };
  for (const each of services) if (each.life !== undefined) life.services[each.id] = each.life;
  for (const { id, terms } of reals) if (terms !== undefined) life.reals[id] = terms;
  return life;
}

const aloneEntry = ({ address, prefixLength, family }: FamilyPrefix): PortEntry => {
  const protocol = protocolKey(ADDRESS_ALONE, family);
  return { address, prefixLength, ...ALL_PORTS, protocol, owner: 0 };
};

const serviceEntries = (service: ServiceInput): PortEntry[] =>
  service.vips.flatMap((vip) => portEntries(vip, service.ports, service, service.id));

const prefixEntries6 = (service: ServiceInput): PrefixEntry6[] =>
  (service.prefixes6 ?? []).flatMap((prefix) =>
    portEntries(prefix, service.ports, service, service.id),
  );

const replyEntries = (service: ServiceInput): PortEntry[] =>
  withSorry(service).flatMap(({ id, address, port, method }) => {
    if (!comesBack(method)) return [];
    const answering = port === 0 ? service.ports : [{ from: port, to: port }];
    return portEntries({ address, prefixLength: 32 }, answering, service, id);
  });

const portEntries = <P>(
  prefix: P,
  ports: readonly PortRange[],
  { protocols, family = 4 }: ServiceInput,
  owner: number,
) =>
  protocols.flatMap((each) => {
    const protocol = protocolKey(each, family);
    return ports.map(({ from, to }) => ({ ...prefix, from, to, protocol, owner }));
  });

/** @returns the id of the service on this VIP, port and protocol, or -1 */
export function findService(table: Table, vip: number, port: number, protocol: number): number {
  return findOwner(table.services, vip, port, protocol);
}

/**
 * The same of IPv6: a single VIP before a prefix.
 * @param address handle of the address that lies at `at`, or UNKNOWN
 */
export function findService6(
  { services, prefixes6 }: Table,
  address: number,
  frame: DataView,
  at: number,
  port: number,
  protocol: number,
): number {
  const service = findOwner(services, address, port, protocol);
  return service >= 0 ? service : findOwner6(prefixes6, frame, at, port, protocol);
}

/** Real ids of a service, in schedule order. */
export function realsOfService(table: Table, service: number): Int32Array {
  const first = table.serviceFirstReal[service] ?? 0;
  return table.serviceReals.subarray(first, first + (table.serviceRealCount[service] ?? 0));
}

/** True if a real whose replies come back answers from this address and port. */
export function isNatReal(table: Table, address: number, port: number, protocol: number): boolean {
  return findOwner(table.replies, address, port, protocol) >= 0;
}

/** True if a real of a NAT service has the IPv4 address. */
export function isNatAddress(table: Table, address: number): boolean {
  return findOwner(table.replies, address, 0, ADDRESS_ALONE) >= 0;
}

/** The same for a handle of IPv6. */
export function isNatAddress6(table: Table, handle: number): boolean {
  return findOwner(table.replies, handle, 0, IPV6_BIT) >= 0;
}

/** True if the IPv4 address is a VIP of any service. */
export function isVip(table: Table, address: number): boolean {
  return findOwner(table.services, address, 0, ADDRESS_ALONE) >= 0;
}

/** True if the IPv6 address that lies at `at`, and has this handle if any, is a VIP. */
export function isVip6(table: Table, handle: number, frame: DataView, at: number): boolean {
  return findService6(table, handle, frame, at, 0, IPV6_BIT) >= 0;
}

/** The address that a handle of the table stands for. */
export function address6Of({ addresses6 }: Pick<Table, 'addresses6'>, handle: number): Ipv6 {
  const word = (index: number) => addresses6[handle * 4 + index] ?? 0;
  return [word(0), word(1), word(2), word(3)];
}

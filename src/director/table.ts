// The forwarding table: what the control plane knows of services and reals, as typed arrays that
// the data path reads and never writes. Built afresh for every change and swapped whole between
// two batches. Plain data, so that it crosses to the worker by structured clone.
import type { Schedule } from '../schedule/scheduler.ts';
import type { Ipv6 } from '../wire/address.ts';

export const METHOD_DSR = 0;
export const METHOD_NAT = 1;

export const METHOD_NAMES = ['dsr', 'nat'] as const;
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
  /** 0 to 65534; the same (service, address, port) keeps its id from table to table. */
  readonly id: number;
  /** IPv4 address, int32; of an IPv6 service, a handle. */
  readonly address: number;
  /** Port at the real; for DSR the service's own. */
  readonly port: number;
  /** Arm that leads to the real. */
  readonly arm: number;
}

export interface ServiceInput {
  /** 0 to 65534, stable like a real's id. */
  readonly id: number;
  /** 4 unless given. Of 6, all addresses are handles: numbers of entries in `addresses6`. */
  readonly family?: 4 | 6;
  readonly vip: number;
  readonly port: number;
  /** 6 (TCP) or 17 (UDP). */
  readonly protocol: number;
  readonly method: MethodName;
  readonly schedule: Schedule;
  /** In the order that the schedule was built for. */
  readonly reals: readonly RealInput[];
}

/**
 * The table itself. All arrays named `real...` are indexed by real id, `service...` by service id.
 */
export interface Table {
  /** Open-addressing index of (VIP, port, protocol) to service id + 1; a power of two long. */
  readonly serviceSlots: Int32Array;
  readonly serviceVip: Int32Array;
  readonly servicePort: Uint16Array;
  /** As from protocolKey; 0 for an id that this table does not hold. */
  readonly serviceProtocol: Uint8Array;
  readonly serviceMethod: Uint8Array;
  /** Schedule of each service id; undefined for an id that this table does not hold. */
  readonly schedules: readonly (Schedule | undefined)[];
  /** Where a service's reals start in `serviceReals`. */
  readonly serviceFirstReal: Int32Array;
  readonly serviceRealCount: Int32Array;
  /** Real ids, service by service, in schedule order. */
  readonly serviceReals: Int32Array;
  readonly realAddress: Int32Array;
  readonly realPort: Uint16Array;
  /** Protocol key of the real's service. */
  readonly realProtocol: Uint8Array;
  /** Index into the neighbours, or -1 for a real that this table does not hold. */
  readonly realNeighbour: Int32Array;
  readonly neighbourAddress: Int32Array;
  readonly neighbourArm: Uint8Array;
  /** 4 or 6. */
  readonly neighbourFamily: Uint8Array;
  /** Open-addressing index of (real, port, protocol) of NAT services to real id + 1. */
  readonly replySlots: Int32Array;
  /** Every VIP once, and the handles of every VIP of IPv6. */
  readonly vips: Int32Array;
  readonly vips6: Int32Array;
  /** Every address that replies of NAT services come from, once. */
  readonly natAddresses: Int32Array;
  readonly natAddresses6: Int32Array;
  /**
   * Four words for each handle: every IPv6 address that any configuration of this director ever
   * had. An address keeps its handle from table to table.
   */
  readonly addresses6: Int32Array;
}

/** Rounds up to a power of two with room to spare, so that probe chains stay short. */
const slotCount = (entries: number) => 1 << Math.max(3, Math.ceil(Math.log2(entries * 2 + 1)));

function hashEndpoint(address: number, port: number, protocol: number): number {
  let hash = Math.imul(address ^ (protocol << 24), 0x85ebca6b);
  hash = Math.imul((hash ^ (hash >>> 15)) + port, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** A real with the family of its service, which an address alone does not show. */
interface FamilyReal extends RealInput {
  readonly family: 4 | 6;
}

const realsOf = ({ family = 4, reals }: ServiceInput): FamilyReal[] =>
  reals.map((real) => ({ ...real, family }));

/** Each of these addresses once. */
function addressesOf(
  list: readonly { family?: 4 | 6; address: number }[],
  family: 4 | 6,
): Int32Array {
  const own = list.filter((each) => (each.family ?? 4) === family);
  return Int32Array.from(new Set(own.map(({ address }) => address)));
}

/**
 * Builds the table from the services of one configuration. Arrays are as long as the largest id;
 * an id that no service of this configuration has stays empty.
 * @param addresses6 what the handles of this configuration, and of those before it, stand for
 */
export function buildTable(
  services: readonly ServiceInput[],
  addresses6: readonly Ipv6[] = [],
): Table {
  const serviceIds = Math.max(0, ...services.map((service) => service.id + 1));
  const allReals = services.flatMap(realsOf);
  const realIds = allReals.reduce((most, real) => Math.max(most, real.id + 1), 0);
  const neighbours = [...new Map(allReals.map((real) => [neighbourKey(real), real])).values()];
  const neighbourIndex = new Map(neighbours.map((real, index) => [neighbourKey(real), index]));
  const schedules: (Schedule | undefined)[] = new Array(serviceIds).fill(undefined);
  const natReals = services.filter((service) => service.method === 'nat').flatMap(realsOf);
  const vips = services.map(({ vip, family = 4 }) => ({ address: vip, family }));
  const table: Table = {
    serviceSlots: new Int32Array(slotCount(services.length * 2)),
    serviceVip: new Int32Array(serviceIds),
    servicePort: new Uint16Array(serviceIds),
    serviceProtocol: new Uint8Array(serviceIds),
    serviceMethod: new Uint8Array(serviceIds),
    schedules,
    serviceFirstReal: new Int32Array(serviceIds),
    serviceRealCount: new Int32Array(serviceIds),
    serviceReals: Int32Array.from(allReals, (real) => real.id),
    realAddress: new Int32Array(realIds),
    realPort: new Uint16Array(realIds),
    realProtocol: new Uint8Array(realIds),
    realNeighbour: new Int32Array(realIds).fill(-1),
    neighbourAddress: Int32Array.from(neighbours, (real) => real.address),
    neighbourArm: Uint8Array.from(neighbours, (real) => real.arm),
    neighbourFamily: Uint8Array.from(neighbours, (real) => real.family),
    replySlots: new Int32Array(slotCount(natReals.length)),
    vips: addressesOf(vips, 4),
    vips6: addressesOf(vips, 6),
    natAddresses: addressesOf(natReals, 4),
    natAddresses6: addressesOf(natReals, 6),
    addresses6: Int32Array.from(addresses6.flat()),
  };
  let firstReal = 0;
  for (const service of services) {
    schedules[service.id] = service.schedule;
    addService(table, service, firstReal);
    firstReal += service.reals.length;
    for (const real of realsOf(service)) {
      table.realAddress[real.id] = real.address;
      table.realPort[real.id] = real.port;
      table.realProtocol[real.id] = protocolKey(service.protocol, real.family);
      table.realNeighbour[real.id] = neighbourIndex.get(neighbourKey(real)) ?? -1;
    }
  }
  return table;
}

const neighbourKey = (real: FamilyReal) => `${real.family} ${real.arm} ${real.address}`;

function addService(table: Table, service: ServiceInput, firstReal: number): void {
  const { id, vip, port } = service;
  const protocol = protocolKey(service.protocol, service.family ?? 4);
  table.serviceVip[id] = vip;
  table.servicePort[id] = port;
  table.serviceProtocol[id] = protocol;
  table.serviceMethod[id] = METHOD_NAMES.indexOf(service.method);
  table.serviceFirstReal[id] = firstReal;
  table.serviceRealCount[id] = service.reals.length;
  addSlot(table.serviceSlots, hashEndpoint(vip, port, protocol), id);
  if (service.method !== 'nat') return;
  for (const real of service.reals) {
    addSlot(table.replySlots, hashEndpoint(real.address, real.port, protocol), real.id);
  }
}

function addSlot(slots: Int32Array, hash: number, id: number): void {
  const mask = slots.length - 1;
  let slot = hash & mask;
  while (slots[slot] !== 0) slot = (slot + 1) & mask;
  slots[slot] = id + 1;
}

/** @returns the id of the service on this VIP, port and protocol, or -1 */
export function findService(table: Table, vip: number, port: number, protocol: number): number {
  const { serviceSlots, serviceVip, servicePort, serviceProtocol } = table;
  const mask = serviceSlots.length - 1;
  for (let slot = hashEndpoint(vip, port, protocol) & mask; ; slot = (slot + 1) & mask) {
    const id = (serviceSlots[slot] as number) - 1;
    if (id < 0) return -1;
    if (serviceVip[id] === vip && servicePort[id] === port && serviceProtocol[id] === protocol) {
      return id;
    }
  }
}

/** Real ids of a service, in schedule order. */
export function realsOfService(table: Table, service: number): Int32Array {
  const first = table.serviceFirstReal[service] ?? 0;
  return table.serviceReals.subarray(first, first + (table.serviceRealCount[service] ?? 0));
}

/** True if a real of a NAT service answers from this address and port. */
export function isNatReal(table: Table, address: number, port: number, protocol: number): boolean {
  const { replySlots, realAddress, realPort, realProtocol } = table;
  const mask = replySlots.length - 1;
  for (let slot = hashEndpoint(address, port, protocol) & mask; ; slot = (slot + 1) & mask) {
    const id = (replySlots[slot] as number) - 1;
    if (id < 0) return false;
    if (realAddress[id] !== address || realPort[id] !== port) continue;
    if (realProtocol[id] === protocol) return true;
  }
}

/** True if the IPv4 address is a VIP of any service. There are few; the list is short. */
export function isVip(table: Table, address: number): boolean {
  return table.vips.includes(address);
}

/** True if the handle is that of an IPv6 VIP. */
export function isVip6(table: Table, handle: number): boolean {
  return table.vips6.includes(handle);
}

/** The address that a handle of the table stands for. */
export function address6Of({ addresses6 }: Table, handle: number): Ipv6 {
  const word = (index: number) => addresses6[handle * 4 + index] ?? 0;
  return [word(0), word(1), word(2), word(3)];
}

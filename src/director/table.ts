// The forwarding table: what the control plane knows of services and reals, as typed arrays that
// the data path reads and never writes. Built afresh for every change and swapped whole between
// two batches. Plain data, so that it crosses to the worker by structured clone.
import type { Schedule } from '../schedule/scheduler.ts';

export const METHOD_DSR = 0;
export const METHOD_NAT = 1;

export const METHOD_NAMES = ['dsr', 'nat'] as const;
export type MethodName = (typeof METHOD_NAMES)[number];

/** What `buildTable` is given for a real. Ids stay the same over the life of a director. */
export interface RealInput {
  /** 0 to 65534; the same (service, address, port) keeps its id from table to table. */
  readonly id: number;
  /** IPv4 address, int32. */
  readonly address: number;
  /** Port at the real; for DSR the service's own. */
  readonly port: number;
  /** Arm that leads to the real. */
  readonly arm: number;
}

export interface ServiceInput {
  /** 0 to 65534, stable like a real's id. */
  readonly id: number;
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
  /** 0 for an id that this table does not hold. */
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
  /** Protocol of the real's service. */
  readonly realProtocol: Uint8Array;
  /** Index into the neighbours, or -1 for a real that this table does not hold. */
  readonly realNeighbour: Int32Array;
  readonly neighbourAddress: Int32Array;
  readonly neighbourArm: Uint8Array;
  /** Open-addressing index of (real, port, protocol) of NAT services to real id + 1. */
  readonly replySlots: Int32Array;
  /** Every VIP once. */
  readonly vips: Int32Array;
  /** Every address that replies of NAT services come from, once. */
  readonly natAddresses: Int32Array;
}

/** Rounds up to a power of two with room to spare, so that probe chains stay short. */
const slotCount = (entries: number) => 1 << Math.max(3, Math.ceil(Math.log2(entries * 2 + 1)));

function hashEndpoint(address: number, port: number, protocol: number): number {
  let hash = Math.imul(address ^ (protocol << 24), 0x85ebca6b);
  hash = Math.imul((hash ^ (hash >>> 15)) + port, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/**
 * Builds the table from the services of one configuration. Arrays are as long as the largest id;
 * an id that no service of this configuration has stays empty.
 */
export function buildTable(services: readonly ServiceInput[]): Table {
  const serviceIds = Math.max(0, ...services.map((service) => service.id + 1));
  const allReals = services.flatMap((service) => service.reals);
  const realIds = allReals.reduce((most, real) => Math.max(most, real.id + 1), 0);
  const neighbours = [...new Map(allReals.map((real) => [neighbourKey(real), real])).values()];
  const neighbourIndex = new Map(neighbours.map((real, index) => [neighbourKey(real), index]));
  const schedules: (Schedule | undefined)[] = new Array(serviceIds).fill(undefined);
  const natReals = services.filter((service) => service.method === 'nat').flatMap((s) => s.reals);
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
    replySlots: new Int32Array(slotCount(natReals.length)),
    vips: Int32Array.from(new Set(services.map((service) => service.vip))),
    natAddresses: Int32Array.from(new Set(natReals.map((real) => real.address))),
  };
  let firstReal = 0;
  for (const service of services) {
    schedules[service.id] = service.schedule;
    addService(table, service, firstReal);
    firstReal += service.reals.length;
    for (const real of service.reals) {
      table.realAddress[real.id] = real.address;
      table.realPort[real.id] = real.port;
      table.realProtocol[real.id] = service.protocol;
      table.realNeighbour[real.id] = neighbourIndex.get(neighbourKey(real)) ?? -1;
    }
  }
  return table;
}

const neighbourKey = (real: RealInput) => `${real.arm} ${real.address}`;

function addService(table: Table, service: ServiceInput, firstReal: number): void {
  const { id, vip, port, protocol } = service;
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

/** True if the address is a VIP of any service. There are few; the list is short. */
export function isVip(table: Table, address: number): boolean {
  return table.vips.includes(address);
}

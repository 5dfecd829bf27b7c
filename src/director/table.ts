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

/** The table itself. All arrays named `real...` are indexed by real id, `service...` by service id. */
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
  /** Real ids, service by service, in schedule order. */
  readonly serviceReals: Int32Array;
  readonly realAddress: Int32Array;
  readonly realPort: Uint16Array;
  /** Index into the neighbours, or -1 for a real that this table does not hold. */
  readonly realNeighbour: Int32Array;
  readonly neighbourAddress: Int32Array;
  readonly neighbourArm: Uint8Array;
  /** Every VIP once. */
  readonly vips: Int32Array;
}

// The configuration after loading: checked, with every default filled in. What a file may say is
// in schema.ts; how it is read is in load.ts.
import type { z } from 'zod';
import type { PortRange } from '../director/port-map.ts';
import type { MethodName } from '../director/table.ts';
import type { HashFlags, SchedulerName } from '../schedule/scheduler.ts';
import type { timeoutsSchema } from './life-schema.ts';

/** A state of flows, as the file calls it. */
export type TimeoutName = keyof z.output<typeof timeoutsSchema>;

import type { Protocol } from './listening.ts';

export interface RealConfig {
  /** Shown in status and logs; `address:port` unless given. */
  readonly name: string;
  /** IPv4 or IPv6, as the VIP of its service; the latter in the short form of RFC 5952. */
  readonly address: string;
  /** 0: the port that the client asked for, because the service has several. */
  readonly port: number;
  readonly weight: number;
  readonly method: MethodName;
  /** The interface that leads to the real; undefined: the one whose subnet holds the address. */
  readonly interface: string | undefined;
  /** The router that leads to it; undefined: the host's route, or none. */
  readonly gateway?: string | undefined;
  /** Takes no new flows; the old ones are kept, cut or reset after so many milliseconds. */
  readonly drain?: DrainConfig | undefined;
  readonly thresholds?: ThresholdsConfig | undefined;
}

export interface DrainConfig {
  readonly old: 'keep' | 'cut' | 'reset';
  readonly timeout: number;
}

export interface ThresholdsConfig {
  readonly upper: number;
  readonly lower?: number | undefined;
}

export interface PersistenceConfig {
  /** Milliseconds. */
  readonly timeout: number;
  readonly prefix: number;
  readonly prefix6: number;
}

export interface TunnelConfig {
  /** UDP port of GUE at the reals. */
  readonly port: number;
  /** Prefixes of outer source addresses, one of a family at most; without: those of the arm. */
  readonly sources: readonly string[];
}

/** What each client may have; undefined: as much as it wants. */
export interface LimitsConfig {
  readonly flowsPerClient?: number | undefined;
  readonly newFlowsPerSecond?: number | undefined;
  readonly burst?: number | undefined;
  readonly prefix: number;
  readonly prefix6: number;
}

export interface SourcesConfig {
  readonly allow?: readonly string[] | undefined;
  readonly deny?: readonly string[] | undefined;
}

export interface ServiceConfig {
  readonly name: string;
  /** Addresses, or prefixes such as 192.0.2.0/28. */
  readonly vips: readonly string[];
  readonly ports: readonly PortRange[];
  readonly protocols: readonly Protocol[];
  /** The method of reals that name none. */
  readonly method: MethodName;
  readonly scheduler: SchedulerName;
  /** The flags that the scheduler knows, each of them; none for a scheduler that hashes nothing. */
  readonly hash: HashFlags;
  readonly persistence?: PersistenceConfig | undefined;
  readonly onePacket?: boolean | undefined;
  /** Milliseconds. */
  readonly slowStart?: number | undefined;
  readonly sorry?: RealConfig | undefined;
  /** Prefixes or addresses of clients; undefined: all clients may open flows. */
  readonly sources?: SourcesConfig | undefined;
  readonly limits?: LimitsConfig | undefined;
  readonly whenAllDown?: 'refuse' | 'sorry' | 'failOpen' | undefined;
  readonly reals: readonly RealConfig[];
}

/** The reals of a service, its sorry server among them. */
export const allReals = ({ reals, sorry }: ServiceConfig): readonly RealConfig[] =>
  sorry === undefined ? reals : [...reals, sorry];

/** Who stands for the clients by fullnat. */
export interface SourcePoolConfig {
  /** IPv4 addresses. */
  readonly addresses: readonly string[];
  readonly ports: PortRange;
}

/** An address that left the source pool. */
export interface RetiredSource {
  readonly address: string;
  /** Whose it was of several workers as it left; undefined: each had some of its ports. */
  readonly worker: number | undefined;
}

export type DatapathName = 'ring' | 'tc' | 'cap';

export interface Config {
  /** Path of the file, as given. */
  readonly file: string;
  readonly interfaces: readonly string[];
  readonly datapath: DatapathName;
  /** Threads that the flows are shared out among, by client. */
  readonly workers: number;
  /** `auto`: a guard if the process may, else the start-up check. `off`: the start-up check. */
  readonly guard: 'auto' | 'off';
  /** Unix socket of the API. */
  readonly socket: string;
  /** Slots of each arm's ring for frames of up to 1,800 bytes. */
  readonly ringSlots: number;
  /** Most flows that are remembered. */
  readonly maximumFlows: number;
  /** Most of them that are half open. */
  readonly maximumHalfOpen: number;
  /** Milliseconds that a flow lives without a packet, by state, where the file says so. */
  readonly timeouts?: Readonly<Partial<Record<TimeoutName, number | undefined>>> | undefined;
  /** Key of every scheduler's hash, 0 to 2^32-1; directors that shall agree share it. */
  readonly hashSeed: number;
  readonly tunnel?: TunnelConfig | undefined;
  readonly sourcePool?: SourcePoolConfig;
  /** In no file: addresses that a reload took from the pool while flows still go by them. */
  readonly retiredSources?: readonly RetiredSource[];
  readonly services: readonly ServiceConfig[];
}

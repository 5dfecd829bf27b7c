// What the API answers: the state of a running director, in plain JSON.
import type {
  DatapathName,
  DrainConfig,
  ServiceConfig,
  ThresholdsConfig,
  TimeoutName,
} from '../config/config.ts';
import type { Protocol } from '../config/listening.ts';
import type { LinkState } from '../datapath/datapath.ts';
import type { GlobalField, Traffic } from '../director/counters.ts';
import type { MethodName } from '../director/table.ts';
import type { HashFlags, SchedulerName } from '../schedule/scheduler.ts';

export interface ArmStatus {
  readonly name: string;
  readonly mac: string;
  /** IPv4 and IPv6 address with prefix length, or null where the arm has none. */
  readonly address: string | null;
  readonly address6: string | null;
  readonly mtu: number;
  readonly link: LinkState;
  readonly receivedFrames: number;
  readonly receivedBytes: number;
  readonly sentFrames: number;
  readonly sentBytes: number;
  readonly missedFrames: number;
  readonly failedFrames: number;
}

export interface RealStatus extends Traffic {
  readonly name: string;
  readonly address: string;
  /** 0: the one that the client asked for. */
  readonly port: number;
  readonly weight: number;
  readonly method: MethodName;
  readonly arm: string;
  /** The router that frames to it go to, if it is on no subnet of the arm. */
  readonly gateway?: string;
  readonly neighbour: 'resolving' | 'resolved' | 'unreachable';
  /** MAC address, or null while it is not known. */
  readonly mac: string | null;
  /** Whether it takes new flows. `starting`: not its whole share yet. */
  readonly state: 'open' | 'down' | 'drained' | 'overloaded' | 'starting';
  /** Of a slow start, or until old flows of a drained real are cut or reset; else 0. */
  readonly leftMs: number;
  readonly drain?: DrainConfig | undefined;
  readonly thresholds?: ThresholdsConfig | undefined;
}

export interface ServiceStatus extends Traffic {
  readonly name: string;
  readonly protocols: readonly Protocol[];
  /** Addresses, or prefixes such as 192.0.2.0/28. */
  readonly vips: readonly string[];
  /** `80`, `8000-8100` or `any`. */
  readonly ports: readonly string[];
  readonly method: MethodName;
  readonly scheduler: SchedulerName;
  /** The scheduler's flags; empty if it knows none. */
  readonly hash: HashFlags;
  readonly persistence?: ServiceConfig['persistence'];
  readonly onePacket?: boolean | undefined;
  readonly slowStart?: number | undefined;
  readonly whenAllDown?: ServiceConfig['whenAllDown'];
  readonly sources?: ServiceConfig['sources'];
  readonly limits?: ServiceConfig['limits'];
  readonly sorry?: RealStatus | undefined;
  readonly reals: readonly RealStatus[];
}

export type WorkerStatus = Pick<
  Record<GlobalField, number>,
  'sentFrames' | 'openedFlows' | 'activeFlows'
>;

export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly config: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly uptimeMs: number;
  readonly datapath: DatapathName;
  /** One for each worker, so that an uneven share of the load is seen. */
  readonly workers: readonly WorkerStatus[];
  readonly guard: 'nft' | 'none';
  readonly residentBytes: number;
  readonly maximumFlows: number;
  readonly maximumHalfOpen: number;
  /** Milliseconds that a flow lives without a packet, by state. */
  readonly timeouts: Readonly<Record<TimeoutName, number>>;
  readonly totals: Record<GlobalField, number>;
  /** Drop reason to count; reasons that never happened are left out. */
  readonly drops: Record<string, number>;
  readonly arms: readonly ArmStatus[];
  readonly services: readonly ServiceStatus[];
  /** Only where there is one. */
  readonly sourcePool?: SourcePoolStatus;
  /** Addresses that left the pool and have flows; `totals.retiredFlows` of them. */
  readonly retiredSources?: readonly string[];
}

/** How much of the source pool is in use. */
export interface SourcePoolStatus {
  readonly addresses: readonly string[];
  /** Ports of all addresses of the busiest real's family: so many flows can it have at a port. */
  readonly total: number;
  /** Flows that have a port now, of all reals, and of the one that has the most. */
  readonly used: number;
  readonly mostUsed: number;
  /** Flows that found none. */
  readonly missed: number;
}

export interface FlowStatus {
  readonly protocol: Protocol;
  readonly client: string;
  readonly clientPort: number;
  readonly vip: string;
  readonly vipPort: number;
  readonly real: string;
  readonly realPort: number;
  readonly method: MethodName;
  /** By fullnat: whom the real sees instead of the client. */
  readonly source?: string;
  readonly sourcePort?: number;
  readonly state: string;
  readonly expiresInMs: number;
}

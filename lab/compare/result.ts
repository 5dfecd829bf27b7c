// What a comparison found, as plain JSON: `compare.json`. Everything that people see (the table in
// the terminal, the page) is drawn from this alone, so a page can be drawn again from a kept file.
// Units are last in names; shares are 0 to 1; medians are made by whoever draws, from the samples.

/**
 * How the answer comes back: past the balancer (`dsr`, `tunnel`), through it (`nat`, `routing`,
 * `proxy`), or there is none.
 */
export type PathKind = 'none' | 'dsr' | 'nat' | 'tunnel' | 'routing' | 'proxy';

export type PathName =
  | 'none'
  | 'furiwake-dsr-ring'
  | 'furiwake-nat-ring'
  | 'furiwake-fullnat'
  | 'furiwake-ipip'
  | 'furiwake-gue'
  | 'furiwake-dsr-tc'
  | 'furiwake-nat-tc'
  | 'furiwake-dsr-cap'
  | 'furiwake-nat-cap'
  | 'routing'
  | 'nft-dnat'
  | 'nft-fwd'
  | 'haproxy'
  | 'nginx-stream'
  | 'ipvs-dr'
  | 'ipvs-nat';

export type MeasureName =
  | 'upload'
  | 'download'
  | 'packets'
  | 'connections'
  | 'requests'
  | 'latency-idle'
  | 'latency-half';

/** Which unit the value of each measure has, and whether more is better. */
export const MEASURES: Readonly<
  Record<
    MeasureName,
    { readonly title: string; readonly unit: string; readonly better: 'more' | 'less' }
  >
> = {
  upload: { title: 'Bulk upload', unit: 'bit/s', better: 'more' },
  download: { title: 'Bulk download', unit: 'bit/s', better: 'more' },
  packets: { title: 'Small packets', unit: 'packet/s', better: 'more' },
  connections: { title: 'New connections', unit: 'connection/s', better: 'more' },
  requests: { title: 'Requests', unit: 'request/s', better: 'more' },
  'latency-idle': { title: 'Latency, idle (median)', unit: 's', better: 'less' },
  'latency-half': { title: 'Latency at half the request rate (median)', unit: 's', better: 'less' },
};

/** What the balancer's host received and sent during a sample, by the kernel's count. */
export interface Crossed {
  readonly inFrames: number;
  readonly inBytes: number;
  readonly outFrames: number;
  readonly outBytes: number;
}

/** Processor time during a sample. */
export interface CpuUse {
  readonly wallSeconds: number;
  /** Of the whole machine, all cores: user, system and interrupts. */
  readonly machineSeconds: number;
  /** Of the balancer's own processes; 0 where the kernel forwards. */
  readonly balancerSeconds: number;
}

export interface Latency {
  readonly p50Seconds: number;
  readonly p99Seconds: number;
  readonly p999Seconds: number;
  readonly maximumSeconds: number;
  /** Points of the distribution, shares growing: [share, seconds]. */
  readonly distribution: readonly (readonly [share: number, seconds: number])[];
  /** How many were measured. */
  readonly count: number;
  /** Messages a second that were sent meanwhile. */
  readonly ratePerSecond: number;
}

export interface Sample {
  readonly round: number;
  /** In the measure's unit. */
  readonly value: number;
  readonly crossed: Crossed;
  readonly cpu: CpuUse;
  /** Bytes that the programs at the ends exchanged, both directions; null where nobody counts. */
  readonly deliveredBytes: number | null;
  /** Packets (small packets) or requests that arrived or were answered. */
  readonly deliveredCount: number | null;
  /** Small packets: share that was sent and did not arrive. */
  readonly lossShare?: number;
  readonly retransmits?: number;
  readonly latency?: Latency;
}

export interface MeasureResult {
  readonly status: 'measured' | 'failed' | 'not-applicable';
  /** Why it failed, or does not apply. */
  readonly reason?: string;
  readonly samples: readonly Sample[];
  /** Why the first attempt at a sample failed, of each that was taken by the second. */
  readonly retried?: readonly string[];
}

/** A file that configures a path, shown in the report. */
export interface ConfigFile {
  readonly name: string;
  readonly text: string;
  /** Where its advice comes from: a manual's section. */
  readonly source: string;
}

/** One claim about a path's return route, with the frames that show it. */
export interface EvidenceClaim {
  /** A whole sentence. */
  readonly text: string;
  readonly verdict: 'holds' | 'fails' | 'not-tested';
  /** `file#frame`, files relative to the comparison's directory; at most a few of them. */
  readonly frames: readonly { readonly file: string; readonly frame: number }[];
  /** How many frames or flows were looked at. */
  readonly looked: number;
}

export interface Evidence {
  readonly holds: boolean;
  readonly claims: readonly EvidenceClaim[];
  /** Capture files, relative to the comparison's directory. */
  readonly captures: readonly string[];
  /** Empty if tshark read every capture without complaint. */
  readonly tsharkComplaints: readonly string[];
}

export interface PathResult {
  readonly name: PathName;
  readonly title: string;
  readonly kind: PathKind;
  readonly summary: string;
  /** `missing`: not on this machine. `failed`: it did not come up, or ended. */
  readonly status: 'measured' | 'missing' | 'failed' | 'not-run';
  readonly reason?: string;
  readonly configs: readonly ConfigFile[];
  readonly measures: Partial<Record<MeasureName, MeasureResult>>;
  /** Resident memory of the balancer's processes after the measures; null where there are none. */
  readonly residentBytes: number | null;
  readonly evidence?: Evidence;
}

/**
 * Ways that the two decks' workloads go, in the order in which they are told: without a balancer,
 * by the client's list of servers or spread by its own kernel; through furiwake by DSR and by NAT,
 * on the ring and with its flow cache; through the kernel of the director's host (`fwd` of nft).
 */
export const WORKLOAD_PATHS = [
  'direct',
  'spread',
  'dsr',
  'nat',
  'dsr-tc',
  'nat-tc',
  'fwd',
] as const;
export type WorkloadPath = (typeof WORKLOAD_PATHS)[number];

/** Those that were measured, in their order. */
export const waysOf = (points: readonly { readonly path: WorkloadPath }[]): WorkloadPath[] =>
  WORKLOAD_PATHS.filter((way) => points.some(({ path }) => path === way));

export interface SqlPoint {
  readonly path: WorkloadPath;
  readonly connections: number;
  /** One value for each round that did not fail. */
  readonly queriesPerSecond: readonly number[];
  /** 95th percentile of each round, seconds. */
  readonly p95Seconds: readonly number[];
  /** Which round each value is of; in results without it, all of them in their order. */
  readonly rounds?: readonly number[];
  readonly errors: number;
}

export interface SqlResult {
  readonly status: 'measured' | 'missing' | 'failed' | 'partly';
  readonly reason?: string;
  readonly secondsPerPoint: number;
  /** How it was set up, one sentence each. */
  readonly conditions: readonly string[];
  readonly configs: readonly ConfigFile[];
  readonly points: readonly SqlPoint[];
}

export interface CachePoint {
  readonly path: WorkloadPath;
  /** twemproxy processes; 0: the client talks to memcached itself. */
  readonly proxies: number;
  readonly commandsPerSecond: readonly number[];
  /** As of `SqlPoint`. */
  readonly rounds?: readonly number[];
  /** The first second of the first round alone: is a warm-up needed? */
  readonly firstSecondCommands: number | null;
  readonly errors: number;
}

export interface CacheResult {
  readonly status: 'measured' | 'missing' | 'failed' | 'partly';
  readonly reason?: string;
  readonly secondsPerPoint: number;
  readonly conditions: readonly string[];
  readonly configs: readonly ConfigFile[];
  readonly points: readonly CachePoint[];
}

export interface SoakPoint {
  /** Since the soak began. */
  readonly atSeconds: number;
  readonly bitsPerSecond: number;
  /** Null, as p99Seconds, if the load of requests failed meanwhile. */
  readonly requestsPerSecond: number | null;
  readonly p99Seconds: number | null;
  readonly residentBytes: number;
  readonly activeFlows: number;
  /** Frames dropped, missed or failed since the point before. */
  readonly droppedFrames: number;
}

export interface SoakResult {
  readonly method: 'dsr' | 'nat';
  readonly status: 'measured' | 'failed' | 'partly';
  readonly reason?: string;
  readonly points: readonly SoakPoint[];
  /** Drop reasons and their counts over the whole soak. */
  readonly drops: Readonly<Record<string, number>>;
}

export interface Conditions {
  readonly kernel: string;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly memoryBytes: number;
  readonly node: string;
  readonly congestionControl: string;
  /** Load average of the last minute before the first sample. */
  readonly loadBefore: number;
  /** Program to its version. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface CompareResult {
  readonly format: 'furiwake-compare-1';
  readonly startedAt: string;
  readonly endedAt: string;
  readonly interrupted: boolean;
  /** Measures and workloads for which no time was left, by title. */
  readonly leftOut?: readonly string[];
  readonly quick: boolean;
  readonly rounds: number;
  readonly secondsPerSample: number;
  readonly conditions: Conditions;
  readonly paths: readonly PathResult[];
  readonly sql?: SqlResult;
  readonly cache?: CacheResult;
  readonly soaks: readonly SoakResult[];
}

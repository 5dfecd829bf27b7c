// What a scheduler is: a pure way to choose a real for a new flow. The control plane builds a
// `Schedule` (plain data, so that it can be handed to the worker as it is); the data path calls
// `choose` on it, for new flows only. No clock, no I/O; randomness comes from the schedule's state.

export const SCHEDULER_NAMES = [
  ...['rr', 'wrr', 'lc', 'wlc', 'sh', 'dh', 'maglev', 'rendezvous'],
  ...['sed', 'nq', 'fo', 'ovf', 'lblc', 'lblcr', 'random', 'twos'],
] as const satisfies readonly string[];
export type SchedulerName = (typeof SCHEDULER_NAMES)[number];

/** What a service may ask of a scheduler that hashes. */
export interface HashFlags {
  /** The client's port is part of the hash, so that the flows of one client spread. */
  readonly port?: boolean | undefined;
  /** A new flow that hashes to a drained or closed real goes to another; it is refused else. */
  readonly fallback?: boolean | undefined;
  /** How many slots the reals are laid out on: a prime. */
  readonly slots?: number | undefined;
}

/** The flags that a scheduler knows, each with what it is unless given. The others know none. */
export const FLAG_DEFAULTS: Readonly<Partial<Record<SchedulerName, HashFlags>>> = {
  sh: { port: false, fallback: true },
  dh: { fallback: true },
  maglev: { port: true, fallback: true, slots: 65_537 },
  rendezvous: { port: true },
};

/** A real as a scheduler sees it. */
export interface ScheduledReal {
  /** What identifies the real on every director, for example `192.0.2.11:80`. */
  readonly key: string;
  /** A share of new flows, 0 to 65535; 0 takes none. */
  readonly weight: number;
  /** Of a drained real, its weight before: by it the hashes still lay out its slots. */
  readonly lastWeight?: number;
}

export interface BuildOptions {
  /** Key of the hash, or of the random numbers. */
  readonly seed: number;
  readonly flags?: HashFlags;
}

/** Slots of reals by hash are of 16 bits, for there may be thousands of such tables. */
export type Slots = Int32Array | Uint16Array;
/** In a slot of those: its flows are refused. */
export const NOBODY = 0xffff;

/** Plain data (structured-cloneable) that a scheduler built from its reals. */
export interface Schedule {
  readonly scheduler: SchedulerName;
  /**
   * What the entries mean is the scheduler's own affair. Real indices refer to `reals` of build.
   */
  readonly slots: Slots;
  /** What changes from choice to choice, such as a position in a round. Length 0 if nothing. */
  readonly state: Int32Array;
  /** Key of the hash. Two directors that shall agree need the same one. */
  readonly seed: number;
  /** Whether the client's port is part of the hash. */
  readonly hashesPort: boolean;
  /** Of a hash: whether another real takes the flows of one that is closed. */
  readonly fallback?: boolean;
}

/** A new flow, as far as a choice looks at it. Addresses are int32. */
export interface Arrival {
  client: number;
  clientPort: number;
  /** The address that the client talks to. */
  vip: number;
  /** Int32 milliseconds on a clock that only grows. */
  nowMs: number;
}

/** How many flows the reals have: a view of the flow table's own counts, by real id. */
export interface Load {
  /** All flows, and those of them that are active. */
  readonly flows: Int32Array;
  readonly active: Int32Array;
  /** Not 0 for a real id that takes no new flows just now: unreachable, or full. */
  closed: Uint8Array;
  /** Real ids; from `first` on, those of the schedule's reals in the order of `build`. */
  ids: Int32Array;
  first: number;
}

/** One scheduler: a file of its own, with these things. */
export interface Scheduler {
  readonly name: SchedulerName;
  /** One line for help texts. */
  readonly summary: string;
  /** True if the choice depends on the packet and the reals alone, never on history. */
  readonly consistent: boolean;
  /** Builds the data for these reals (weights 0 included). */
  build(reals: readonly ScheduledReal[], options: BuildOptions): Schedule;
  /**
   * Chooses among the reals that are not closed.
   * @returns an index into the reals given to `build`, or -1 if the new flow is refused
   */
  choose(schedule: Schedule, arrival: Arrival, load: Load): number;
  /**
   * Goes on where the previous schedule of the same service stood, when a table is swapped.
   * @param moved for each index of the previous reals its index now, or -1
   */
  takeOver?(schedule: Schedule, previous: Schedule, moved: Int32Array): void;
}

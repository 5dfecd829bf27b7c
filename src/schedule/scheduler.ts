// What a scheduler is: a pure way to choose a real for a new flow. The control plane builds a
// `Schedule` (plain data, so that it can be handed to the worker as it is); the data path calls
// `choose` on it, for new flows only. No clock, no randomness, no I/O.

export const SCHEDULER_NAMES = ['rr', 'wrr', 'sh', 'maglev'] as const;
export type SchedulerName = (typeof SCHEDULER_NAMES)[number];

/** A real as a scheduler sees it. */
export interface ScheduledReal {
  /** What identifies the real on every director, for example `192.0.2.11:80`. */
  readonly key: string;
  /** A share of new flows, 0 to 65535; 0 takes none. */
  readonly weight: number;
}

/** Plain data (structured-cloneable) that a scheduler built from its reals. */
export interface Schedule {
  readonly scheduler: SchedulerName;
  /**
   * What the entries mean is the scheduler's own affair. Real indices refer to `reals` of build.
   */
  readonly slots: Int32Array;
  /** What changes from choice to choice, such as a position in a round. Length 0 if nothing. */
  readonly state: Int32Array;
  /** Key of the hash. Two directors that shall agree need the same one. */
  readonly seed: number;
}

/** One scheduler: a file of its own, with these four things. */
export interface Scheduler {
  readonly name: SchedulerName;
  /** One line for help texts. */
  readonly summary: string;
  /** True if the choice depends on the packet and the reals alone, never on history. */
  readonly consistent: boolean;
  /** Builds the data for these reals (weights 0 included). */
  build(reals: readonly ScheduledReal[], options: { readonly seed: number }): Schedule;
  /**
   * Chooses for a new flow from this client address (int32) and port.
   * @returns an index into the reals given to `build`, or -1 if none takes new flows
   */
  choose(schedule: Schedule, clientAddress: number, clientPort: number): number;
}

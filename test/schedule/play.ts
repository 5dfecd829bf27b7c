// A scheduler at work: clients arrive, their flows are counted as the flow table counts them, and
// end again. What tests see is which real each arrival got.
import type {
  Arrival,
  BuildOptions,
  Load,
  Schedule,
  ScheduledReal,
  Scheduler,
} from '../../src/schedule/scheduler.ts';

export const SEED = 0x66757269;

export const realsOf = (...weights: readonly number[]): ScheduledReal[] =>
  weights.map((weight, n) => ({ key: `192.0.2.${n + 1}:80`, weight }));

/** An arrival at time 0, from anywhere to one VIP. */
export const arrival = (fields: Partial<Arrival> = {}): Arrival => ({
  ...{ client: 0x0a000001, clientPort: 40_000, vip: 0x0a0000fe, nowMs: 0, ...fields },
});

/** Arrivals as they come: many clients with a few ports each, to many destinations. */
export const arrivals = (count: number): Arrival[] =>
  Array.from({ length: count }, (_, n) => ({
    client: (0x0a000000 + Math.floor(n / 3) * 7) | 0,
    clientPort: 32_768 + ((n * 2_654_435_761) % 28_000),
    vip: (0xc6336400 + ((n * 40_503) % 30_011)) | 0,
    nowMs: 0,
  }));

export const emptyLoad = (count: number): Load => ({
  ...{ flows: new Int32Array(count + 2), active: new Int32Array(count + 2) },
  closed: new Uint8Array(count + 2),
  // Ids that are no indices, so that nobody can take the one for the other.
  ...{ ids: Int32Array.from({ length: count + 2 }, (_, n) => count + 1 - n), first: 2 },
});

export interface Play {
  readonly schedule: Schedule;
  readonly load: Load;
  /** Chooses, and counts an active flow. */
  arrive(fields?: Partial<Arrival>): number;
  /** Sets the counts of a real. */
  setLoad(index: number, counts: { active: number; inactive?: number }): void;
  /** An active flow of a real ends. */
  end(index: number): void;
  /** These reals take no new flows until told otherwise. */
  close(...indices: readonly number[]): void;
}

export function play(
  scheduler: Scheduler,
  reals: readonly ScheduledReal[],
  options: Partial<BuildOptions> = {},
): Play {
  const schedule = scheduler.build(reals, { seed: SEED, ...options });
  const load = emptyLoad(reals.length);
  const idOf = (index: number) => load.ids[load.first + index]!;
  const add = (index: number, by: number) => {
    load.flows[idOf(index)]! += by;
    load.active[idOf(index)]! += by;
  };
  return {
    ...{ schedule, load },
    arrive(fields) {
      const chosen = scheduler.choose(schedule, arrival(fields), load);
      if (chosen >= 0) add(chosen, 1);
      return chosen;
    },
    setLoad(index, { active, inactive = 0 }) {
      load.active[idOf(index)] = active;
      load.flows[idOf(index)] = active + inactive;
    },
    end: (index) => add(index, -1),
    close(...indices) {
      load.closed.fill(0);
      for (const index of indices) load.closed[idOf(index)] = 1;
    },
  };
}

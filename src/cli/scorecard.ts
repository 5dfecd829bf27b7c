// Every scheduler by the same measures: how evenly it shares flows, how many go elsewhere when the
// reals change, whether two directors agree, and what a choice costs. The first three follow from
// made-up arrivals and come out the same everywhere; the cost is measured here and now.
import {
  type Arrival,
  type Load,
  SCHEDULER_NAMES,
  type ScheduledReal,
  type Scheduler,
  type SchedulerName,
} from '../schedule/scheduler.ts';
import { schedulerNamed } from '../schedule/schedulers.ts';

/** Destinations of the arrivals, for the schedulers that look at them. */
export const DESTINATIONS = 1000;
const EQUAL_WEIGHTS = [100];
const MIXED_WEIGHTS = [100, 200, 300, 400];
const SEED = 0;
/** A round of the measurement lasts so long; the clock is read after so many choices. */
const MEASURED_MS = 15;
const CHOICES = 1000;
const ROUNDS = 5;

/** Directors with the same reals choose alike: always, if they list them alike, or not. */
export type Agreement = 'yes' | 'same list' | 'no';

export interface Moved {
  /** Of all flows, 0 to 1: a real joins, one leaves, one gets twice its weight. */
  readonly add: number;
  readonly remove: number;
  readonly reweight: number;
}

export interface Score {
  readonly name: SchedulerName;
  readonly summary: string;
  /** The largest share of a real over its fair one, which its weight says; 1 is even. */
  readonly balance: { readonly equalWeights: number; readonly mixedWeights: number };
  /** Flows that go elsewhere when all of them arrive anew after a change. */
  readonly moved: Moved;
  readonly agree: Agreement;
  /** Measured. */
  readonly nanosecondsPerChoice: number;
}

export interface Scorecard {
  readonly reals: number;
  readonly flows: number;
  readonly destinations: number;
  /** The fewest flows that can move if the shares are to be fair before and after. */
  readonly leastMoved: Moved;
  readonly schedulers: readonly Score[];
}

export function makeScorecard({ reals, flows }: { reals: number; flows: number }): Scorecard {
  const list = arrivals(flows);
  return {
    ...{ reals, flows, destinations: DESTINATIONS, leastMoved: leastMoved(reals) },
    schedulers: SCHEDULER_NAMES.map((name) => score(schedulerNamed(name), reals, list)),
  };
}

const leastMoved = (reals: number): Moved => ({
  add: 1 / (reals + 1),
  remove: 1 / reals,
  reweight: 2 / (reals + 1) - 1 / reals,
});

/** Scatters whole numbers over 32 bits. */
const scatter = (number: number) => Math.imul(number, 0x9e3779b1);

const arrivals = (count: number): Arrival[] =>
  Array.from({ length: count }, (_, n) => ({
    client: scatter(n + 1),
    clientPort: 1024 + ((scatter(n + 7) >>> 4) % 64_000),
    vip: (0xc6336400 + (n % DESTINATIONS)) | 0,
    nowMs: n,
  }));

function makeReals(count: number, weights: readonly number[]): ScheduledReal[] {
  return Array.from({ length: count }, (_, n) => ({
    key: `192.0.2.${n + 1}:80`,
    weight: weights[n % weights.length] ?? 1,
  }));
}

function emptyLoad(reals: number): Load {
  const counts = () => new Int32Array(reals);
  const closed = new Uint8Array(reals);
  return { flows: counts(), active: counts(), closed, ids: counts().map((_, n) => n), first: 0 };
}

/**
 * Which real each arrival gets, by index, or -1. A flow is active as long as there are half as many
 * flows as the sum of the weights: then ovf has room, and the others have something to look at.
 */
function serve(
  scheduler: Scheduler,
  reals: readonly ScheduledReal[],
  list: readonly Arrival[],
): Int32Array {
  const schedule = scheduler.build(reals, { seed: SEED });
  const load = emptyLoad(reals.length);
  const lasting = Math.ceil(reals.reduce((sum, { weight }) => sum + weight, 0) / 2);
  const chosen = new Int32Array(list.length);
  const count = (index: number, by: number) => {
    if (index < 0) return;
    load.flows[index] = (load.flows[index] ?? 0) + by;
    load.active[index] = (load.active[index] ?? 0) + by;
  };
  for (const [turn, arrival] of list.entries()) {
    if (turn >= lasting) count(chosen[turn - lasting] ?? -1, -1);
    const index = scheduler.choose(schedule, arrival, load);
    chosen[turn] = index;
    count(index, 1);
  }
  return chosen;
}

function score(scheduler: Scheduler, reals: number, list: readonly Arrival[]): Score {
  const equal = makeReals(reals, EQUAL_WEIGHTS);
  const mixed = makeReals(reals, MIXED_WEIGHTS);
  const served = serve(scheduler, equal, list);
  return {
    name: scheduler.name,
    summary: scheduler.summary,
    balance: {
      equalWeights: balanceOf(equal, served),
      mixedWeights: balanceOf(mixed, serve(scheduler, mixed, list)),
    },
    moved: movedFlows(scheduler, equal, served, list),
    agree: agreement(scheduler, equal, served, list),
    nanosecondsPerChoice: measureChoice(scheduler, equal, list),
  };
}

function balanceOf(reals: readonly ScheduledReal[], served: Int32Array): number {
  const counts = reals.map(() => 0);
  for (const index of served) if (index >= 0) counts[index] = (counts[index] ?? 0) + 1;
  const weights = reals.reduce((sum, { weight }) => sum + weight, 0);
  const shares = reals.map(({ weight }, index) => {
    return (counts[index] ?? 0) / served.length / (weight / weights);
  });
  return Math.max(...shares);
}

function movedFlows(
  scheduler: Scheduler,
  before: readonly ScheduledReal[],
  served: Int32Array,
  list: readonly Arrival[],
): Moved {
  const middle = before.length >> 1;
  const isKept = (_: unknown, index: number) => index !== middle;
  const moved = (reals: readonly ScheduledReal[]) => {
    const after = serve(scheduler, reals, list);
    const isMoved = (index: number, n: number) => reals[after[n] ?? -1]?.key !== before[index]?.key;
    return served.filter(isMoved).length / list.length;
  };
  return {
    add: moved(makeReals(before.length + 1, EQUAL_WEIGHTS)),
    remove: moved(before.filter(isKept)),
    reweight: moved(
      before.map((real, index) => (index === middle ? { ...real, weight: real.weight * 2 } : real)),
    ),
  };
}

/** The second director sees the flows in the opposite order, and lists its reals so too. */
function agreement(
  scheduler: Scheduler,
  reals: readonly ScheduledReal[],
  served: Int32Array,
  list: readonly Arrival[],
): Agreement {
  const isAlike = (others: readonly ScheduledReal[]) => {
    const second = serve(scheduler, others, list.toReversed()).reverse();
    return served.every((index, n) => reals[index]?.key === others[second[n] ?? -1]?.key);
  };
  if (!isAlike(reals)) return 'no';
  return isAlike(reals.toReversed()) ? 'yes' : 'same list';
}

/** The median of a few rounds; every real has some flows meanwhile. */
function measureChoice(
  scheduler: Scheduler,
  reals: readonly ScheduledReal[],
  list: readonly Arrival[],
): number {
  const schedule = scheduler.build(reals, { seed: SEED });
  const load = emptyLoad(reals.length);
  const some = list.slice(0, CHOICES);
  load.active.fill(20);
  load.flows.fill(30);
  const rounds = Array.from({ length: ROUNDS + 1 }, () => {
    const startedMs = performance.now();
    let choices = 0;
    let spentMs = 0;
    for (; spentMs < MEASURED_MS; spentMs = performance.now() - startedMs) {
      for (const arrival of some) scheduler.choose(schedule, arrival, load);
      choices += some.length;
    }
    return (spentMs * 1e6) / choices;
  });
  // The first round is for the compiler.
  return rounds.slice(1).sort((a, b) => a - b)[ROUNDS >> 1] ?? 0;
}

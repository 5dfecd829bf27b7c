// What a comparison is going to do, and in which order: rounds of measures, in each of which all
// paths take turns. Pure, so that the time can be foretold and the order be tested.
import { UsageError } from '../requirements.ts';
import type { Measure } from './measure.ts';
import type { Path } from './path.ts';
import type { MeasureName, PathName } from './result.ts';

export interface CompareOptions {
  readonly quick: boolean;
  readonly rounds?: number | undefined;
  readonly seconds?: number | undefined;
  readonly paths?: readonly string[] | undefined;
  readonly measures?: readonly string[] | undefined;
  readonly sql: boolean;
  readonly cache: boolean;
  readonly soakMinutes: number;
}

export interface Plan {
  readonly quick: boolean;
  readonly rounds: number;
  readonly secondsPerSample: number;
  readonly paths: readonly Path[];
  readonly measures: readonly Measure[];
  readonly sql: boolean;
  readonly cache: boolean;
  readonly soakMinutes: number;
  /** Samples that would make it end later than this are left out; null without a limit. */
  readonly endAfterSeconds: number | null;
}

const ROUNDS = 5;
const SECONDS = 3;
const QUICK_ROUNDS = 1;
const QUICK_SECONDS = 1;
/** Two minutes: what is foretold of workloads is ample, and leaves time to begin and to close. */
const QUICK_SECONDS_IN_ALL = 120;
/** What fits into two minutes: one path of each kind, and what is asked for most. */
const QUICK_PATHS: readonly PathName[] = [
  'none',
  'furiwake-dsr-ring',
  'furiwake-nat-ring',
  'nft-dnat',
  'haproxy',
];
const QUICK_MEASURES: readonly MeasureName[] = [
  'upload',
  'download',
  'packets',
  'requests',
  'latency-idle',
];

/** @throws UsageError for a name that is none */
export function planFor(
  options: CompareOptions,
  all: { readonly paths: readonly Path[]; readonly measures: readonly Measure[] },
): Plan {
  const { quick, sql, cache, soakMinutes } = options;
  return {
    quick,
    rounds: options.rounds ?? (quick ? QUICK_ROUNDS : ROUNDS),
    secondsPerSample: options.seconds ?? (quick ? QUICK_SECONDS : SECONDS),
    paths: choose('--paths', options.paths, all.paths, quick ? QUICK_PATHS : undefined),
    measures: choose(
      '--measures',
      options.measures,
      all.measures,
      quick ? QUICK_MEASURES : undefined,
    ),
    ...{ sql, cache, soakMinutes },
    endAfterSeconds: quick ? QUICK_SECONDS_IN_ALL : null,
  };
}

/** Those that are named, in the order of the list; else the usual ones, else all. */
function choose<T extends { readonly name: string }>(
  option: string,
  names: readonly string[] | undefined,
  list: readonly T[],
  usual: readonly string[] | undefined,
): readonly T[] {
  if (names === undefined) return usual ? list.filter(({ name }) => usual.includes(name)) : list;
  const known = list.map(({ name }) => name);
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) {
    throw new UsageError(`${option}: found ${wrong || 'nothing'}; allowed: ${known.join(', ')}`);
  }
  return list.filter(({ name }) => names.includes(name));
}

/** One sample that is to be taken. */
export interface Turn<P> {
  readonly round: number;
  readonly measure: Measure;
  readonly path: P;
}

/**
 * All samples in their order: in each round every measure once, in each measure all paths in turn.
 * Every round begins with another path, so that none always comes after the same other one.
 */
export function turnsOf<P>(
  rounds: number,
  measures: readonly Measure[],
  paths: readonly P[],
): Turn<P>[] {
  return Array.from({ length: rounds }, (_, round) => {
    const first = round % Math.max(1, paths.length);
    const rotated = [...paths.slice(first), ...paths.slice(0, first)];
    return measures.flatMap((measure) => rotated.map((path) => ({ round, measure, path })));
  }).flat();
}

// Ratios of the workloads: a balanced way against the direct one, at the same number of connections
// or proxies, round by round where both have that round.
import { type Spread, spreadOf } from './derive.ts';
import {
  type CachePoint,
  type CacheResult,
  type SqlPoint,
  type SqlResult,
  type WorkloadPath,
  waysOf,
} from './result.ts';

export type BalancedWay = Exclude<WorkloadPath, 'direct'>;

/** Those that are told against the direct one, of the ways that were measured. */
export const balancedOf = (points: readonly { readonly path: WorkloadPath }[]): BalancedWay[] =>
  waysOf(points).filter((way) => way !== 'direct');

export interface WayRatio {
  /** Connections, or proxies. */
  readonly at: number;
  readonly spread: Spread;
}

export function sqlRatios({ points }: SqlResult, way: BalancedWay): WayRatio[] {
  const rows = points.map((point: SqlPoint) => ({
    ...{ path: point.path, at: point.connections, values: point.queriesPerSecond },
    rounds: point.rounds,
  }));
  return ratiosOf(rows, way);
}

export function cacheRatios({ points }: CacheResult, way: BalancedWay): WayRatio[] {
  const rows = points.map((point: CachePoint) => ({
    ...{ path: point.path, at: point.proxies, values: point.commandsPerSecond },
    rounds: point.rounds,
  }));
  return ratiosOf(rows, way);
}

/** What a way reached at one number of connections or proxies. */
export interface WayPoint {
  readonly path: WorkloadPath;
  readonly at: number;
  readonly values: readonly number[];
  /** Which round each value is of; without it, all of them in their order. */
  readonly rounds?: readonly number[] | undefined;
}

export function ratiosOf(rows: readonly WayPoint[], way: BalancedWay): WayRatio[] {
  const own = rows.filter(({ path }) => path === way).sort((a, b) => a.at - b.at);
  return own.flatMap(({ at, values, rounds }) => {
    const direct = byRound(rows.find((row) => row.path === 'direct' && row.at === at));
    const ratios = values.flatMap((value, index) => {
      const other = direct.get(rounds?.[index] ?? index) ?? 0;
      return other === 0 ? [] : [value / other];
    });
    const spread = spreadOf(ratios);
    return spread === null ? [] : [{ at, spread }];
  });
}

function byRound(row: WayPoint | undefined): Map<number, number> {
  const rounds = row?.rounds;
  return new Map(row?.values.map((value, index) => [rounds?.[index] ?? index, value]));
}

/** The point with the smallest median. */
export function worstOf(ratios: readonly WayRatio[]): WayRatio | undefined {
  return [...ratios].sort((a, b) => a.spread.median - b.spread.median)[0];
}

/**
 * The least share of the rounds' median that the first second alone reached, over all points of a
 * way; undefined without any.
 */
export function leastFirstSecond({ points }: CacheResult, way: BalancedWay): number | undefined {
  const shares = points.flatMap(({ path, commandsPerSecond, firstSecondCommands }) => {
    const median = spreadOf(commandsPerSecond)?.median ?? 0;
    if (path !== way || firstSecondCommands === null || median === 0) return [];
    return [firstSecondCommands / median];
  });
  return shares.length === 0 ? undefined : Math.min(...shares);
}

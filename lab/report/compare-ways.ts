// Ratios of the workloads: a balanced way against the direct one, at the same number of connections
// or proxies, round by round where both have that round.
import { type Spread, spreadOf } from '../compare/derive.ts';
import type { CachePoint, CacheResult, SqlPoint, SqlResult } from '../compare/result.ts';

export type BalancedWay = 'dsr' | 'nat';

export interface WayRatio {
  /** Connections, or proxies. */
  readonly at: number;
  readonly spread: Spread;
}

export function sqlRatios({ points }: SqlResult, way: BalancedWay): WayRatio[] {
  const rows = points.map((point: SqlPoint) => ({
    ...{ way: point.path, at: point.connections, values: point.queriesPerSecond },
  }));
  return ratiosOf(rows, way);
}

export function cacheRatios({ points }: CacheResult, way: BalancedWay): WayRatio[] {
  const rows = points.map((point: CachePoint) => ({
    ...{ way: point.path, at: point.proxies, values: point.commandsPerSecond },
  }));
  return ratiosOf(rows, way);
}

interface Row {
  readonly way: string;
  readonly at: number;
  readonly values: readonly number[];
}

function ratiosOf(rows: readonly Row[], way: BalancedWay): WayRatio[] {
  const own = rows.filter((row) => row.way === way).sort((a, b) => a.at - b.at);
  return own.flatMap(({ at, values }) => {
    const direct = rows.find((row) => row.way === 'direct' && row.at === at)?.values ?? [];
    const ratios = values.flatMap((value, round) => {
      const other = direct[round] ?? 0;
      return other === 0 ? [] : [value / other];
    });
    const spread = spreadOf(ratios);
    return spread === null ? [] : [{ at, spread }];
  });
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

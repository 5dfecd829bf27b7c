// The workloads of the two decks and the soak in the terminal: point by point the direct rate, and
// the share of it that each way kept, which the decks are about.
import { bytes, type Colours, count, left, right, table, wrap } from '../../src/cli/output.ts';
import { quantile } from '../quantile.ts';
import { type CompareResult, type SoakResult, waysOf } from './result.ts';
import { ratiosOf, type WayPoint } from './way-ratios.ts';

export function renderWorkloads(result: CompareResult, colours: Colours): string {
  const { sql, cache, soaks } = result;
  const sqlPoints = (sql?.points ?? []).map(({ path, connections, queriesPerSecond, rounds }) => ({
    ...{ path, at: connections, values: queriesPerSecond, rounds },
  }));
  const cachePoints = (cache?.points ?? []).map(({ path, proxies, commandsPerSecond, rounds }) => ({
    ...{ path, at: proxies, values: commandsPerSecond, rounds },
  }));
  return [
    ...(sql === undefined
      ? []
      : [section('SQL: queries/s by connections, and shares', sql, sqlPoints, colours)]),
    ...(cache === undefined
      ? []
      : [section('cache: commands/s by proxies, and shares', cache, cachePoints, colours)]),
    renderSoaks(soaks, colours),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function section(
  title: string,
  { status, reason }: { readonly status: string; readonly reason?: string },
  points: readonly WayPoint[],
  colours: Colours,
): string {
  const because = reason ? `: ${reason}` : '';
  const state =
    status === 'measured' ? [] : [colours.yellow(wrap(`${title} ${status}${because}`, '  '))];
  if (points.length === 0) return state.join('\n');
  const ways = waysOf(points);
  const columns = [left(title), ...ways.map((way) => right(way))];
  const places = [...new Set(points.map(({ at }) => at))].sort((a, b) => a - b);
  const rows = places.map((at) => {
    const direct = points.find((point) => point.at === at && point.path === 'direct')?.values;
    const middle = quantile(direct ?? [], 0.5);
    return [
      String(at),
      ...ways.map((way) => {
        if (way === 'direct') return Number.isNaN(middle) ? '–' : count(middle);
        const ratio = ratiosOf(points, way).find((each) => each.at === at)?.spread.median;
        return ratio?.toFixed(2) ?? '–';
      }),
    ];
  });
  return [table(columns, rows, colours), ...state].join('\n');
}

function renderSoaks(soaks: readonly SoakResult[], colours: Colours): string {
  if (soaks.length === 0) return '';
  const columns = [
    ...[left('soak'), left('status'), right('seconds'), right('Gbit/s'), right('requests/s')],
    ...[right('memory at first'), right('at last'), right('dropped frames')],
  ];
  const rows = soaks.map(({ method, status, points }) => {
    const first = points[0];
    const last = points.at(-1);
    const middle = (values: readonly number[]) => quantile(values, 0.5);
    const rates = points.flatMap(({ requestsPerSecond }) => requestsPerSecond ?? []);
    if (first === undefined || last === undefined) {
      return [method, status, ...new Array<string>(6).fill('–')];
    }
    return [
      method,
      status,
      String(Math.round(last.atSeconds)),
      (middle(points.map(({ bitsPerSecond }) => bitsPerSecond)) / 1e9).toPrecision(3),
      rates.length === 0 ? '–' : count(middle(rates)),
      bytes(first.residentBytes),
      bytes(last.residentBytes),
      count(points.reduce((sum, { droppedFrames }) => sum + droppedFrames, 0)),
    ];
  });
  const reasons = soaks.flatMap(({ method, reason }) =>
    reason === undefined ? [] : [colours.yellow(wrap(`soak, ${method}: ${reason}`, '  '))],
  );
  return [table(columns, rows, colours), ...reasons].join('\n');
}

// The SQL workload of the talk, measured again, beside the talk's own curves. The two were taken on
// different machines with different data, so each has axes of its own; only ratios share a picture.
import { spreadOf } from '../../compare/derive.ts';
import { type SqlPoint, type SqlResult, type WorkloadPath, waysOf } from '../../compare/result.ts';
import { type BalancedWay, balancedOf, sqlRatios } from '../../compare/way-ratios.ts';
import { DIM, type Figure, figures } from '../chart.ts';
import { type Curve, lineChart } from '../charts/lines.ts';
import { DECK_SOURCE, DECK_SQL } from '../deck.ts';
import { range, ratio, seconds, tick, withPrefix } from '../figures.ts';
import { type Content, type Html, html } from '../html.ts';
import { WAYS } from '../path-style.ts';
import { Footnotes, type Section, type TableRow, table } from '../table.ts';
import { quartileLine } from './throughput.ts';
import { pointColumns, preamble, verdict } from './workload.ts';

const CONNECTIONS = { name: 'connections', format: String };
/** What shall be kept of the direct rate at every point; the kernel is held to what DSR is. */
const WANTED: Readonly<Record<BalancedWay, number>> = {
  ...{ dsr: 0.95, nat: 0.9, 'dsr-tc': 0.95, 'nat-tc': 0.9, fwd: 0.95, spread: 0.95 },
};

export function sqlSection(sql: SqlResult): Section {
  return {
    id: 'sql',
    title: 'The SQL workload of the talk',
    body: html`${preamble(sql)}
${sql.points.length === 0 ? '' : measuredBody(sql)}`,
  };
}

function measuredBody(sql: SqlResult): Html {
  const verdicts = balancedOf(sql.points).map((way) =>
    verdict(way, WANTED[way], sqlRatios(sql, way)),
  );
  return html`<p>${verdicts.join(' ')}</p>
${figures([rateFigure(sql), deckFigure(), ratioFigure(sql), waitFigure(sql)])}
${pointsTable(sql)}`;
}

const ownOf = ({ points }: SqlResult, way: WorkloadPath): SqlPoint[] =>
  points.filter(({ path }) => path === way).sort((a, b) => a.connections - b.connections);

function curveOf(
  sql: SqlResult,
  way: WorkloadPath,
  values: (point: SqlPoint) => readonly number[],
): Curve {
  return {
    ...WAYS[way],
    points: ownOf(sql, way).flatMap((point) => {
      const spread = spreadOf(values(point));
      if (spread === null) return [];
      const quartiles = [spread.lowerQuartile, spread.upperQuartile] as const;
      return [{ x: point.connections, y: spread.median, spread: quartiles }];
    }),
  };
}

function rateFigure(sql: SqlResult): Figure {
  return {
    title: html`Measured here <span class="unit">queries/s</span>`,
    note: 'Medians of the rounds, quartiles as whiskers.',
    chart: lineChart({
      description: 'SQL: queries a second by connections, measured here',
      curves: waysOf(sql.points).map((way) => curveOf(sql, way, (point) => point.queriesPerSecond)),
      x: CONNECTIONS,
      y: { name: 'queries/s', format: (value) => tick(value, ''), min: 0 },
    }),
  };
}

function deckFigure(): Figure {
  const curve = (of: 'direct' | 'balanced'): Curve => ({
    ...{ title: of, colour: of === 'direct' ? WAYS.direct.colour : DIM },
    dash: of === 'direct' ? 'solid' : 'dashed',
    points: DECK_SQL.map((row) => ({ x: row.connections, y: row[of] })),
  });
  return {
    title: html`The talk’s own curves <span class="unit">queries/s</span>`,
    note: `${DECK_SOURCE}. Another machine and another decade: an axis of its own.`,
    chart: lineChart({
      description: 'SQL: queries a second by connections, in the talk',
      curves: [curve('direct'), curve('balanced')],
      x: CONNECTIONS,
      y: { name: 'queries/s', format: (value) => tick(value, ''), min: 0 },
    }),
  };
}

function ratioFigure(sql: SqlResult): Figure {
  const curves = balancedOf(sql.points).map(
    (way): Curve => ({
      ...WAYS[way],
      points: sqlRatios(sql, way).map(({ at, spread }) => ({
        ...{ x: at, y: spread.median, spread: [spread.lowerQuartile, spread.upperQuartile] },
      })),
    }),
  );
  const deck: Curve = {
    ...{ title: 'the talk', colour: DIM, dash: 'dashed' },
    points: DECK_SQL.map(({ connections, direct, balanced }) => ({
      ...{ x: connections, y: balanced / direct },
    })),
  };
  return {
    title: html`Balanced to direct <span class="unit">ratio</span>`,
    note: 'Of the same round. Dotted is what is wanted: 0.95 by DSR, 0.90 by NAT. The axis does not begin at 0.',
    chart: lineChart({
      description: 'SQL: ratio of balanced to direct by connections',
      curves: [...curves, deck],
      x: CONNECTIONS,
      y: { name: 'of direct', format: ratio, min: lowestOf([...curves, deck]), interval: 0.1 },
      marks: (['dsr', 'nat'] as const).map((way) => ({
        y: WANTED[way],
        colour: WAYS[way].colour,
      })),
    }),
  };
}

/** The tenth below all points, but not above 0.6. */
function lowestOf(curves: readonly Curve[]): number {
  const lowest = curves.flatMap(({ points }) =>
    points.flatMap(({ y, spread }) => [y ?? 1, spread?.[0] ?? 1]),
  );
  return Math.max(0, Math.min(0.6, Math.floor(Math.min(...lowest) * 10) / 10));
}

function waitFigure(sql: SqlResult): Figure {
  return {
    title: html`An event of 14 queries <span class="unit">95th percentile</span>`,
    note: 'Medians of the rounds, quartiles as whiskers.',
    chart: lineChart({
      description: 'SQL: 95th percentile of the time of an event of 14 queries, by connections',
      curves: waysOf(sql.points).map((way) => curveOf(sql, way, (point) => point.p95Seconds)),
      x: CONNECTIONS,
      y: { name: 'p95', format: (value) => tick(value, 's'), min: 0 },
    }),
  };
}

function pointsTable(sql: SqlResult): Html {
  const footnotes = new Footnotes();
  const counts = [...new Set(sql.points.map(({ connections }) => connections))];
  const rows = counts
    .sort((a, b) => a - b)
    .map((connections): TableRow => {
      const at = (way: WorkloadPath) =>
        sql.points.find((point) => point.path === way && point.connections === connections);
      const ratioAt = (way: BalancedWay): Content => {
        const found = sqlRatios(sql, way).find((each) => each.at === connections);
        return found === undefined ? footnotes.dash('Not measured.') : ratio(found.spread.median);
      };
      const errors = waysOf(sql.points)
        .map((way) => at(way)?.errors ?? 0)
        .reduce((sum, each) => sum + each, 0);
      return {
        name: String(connections),
        cells: [
          ...waysOf(sql.points).map((way) => rateCell(at(way), footnotes)),
          ...balancedOf(sql.points).map(ratioAt),
          errors,
        ],
      };
    });
  return html`<h3>All points</h3>
${table([{ title: 'Connections' }, ...pointColumns(sql.points)], rows)}
<p class="small">Queries a second: median, quartiles, number of rounds; below them the 95th
percentile of the time of an event, which is 14 queries.</p>
${footnotes.list()}`;
}

function rateCell(point: SqlPoint | undefined, footnotes: Footnotes): Content {
  const spread = spreadOf(point?.queriesPerSecond ?? []);
  if (point === undefined || spread === null) return footnotes.dash('Not measured.');
  const [from, to] = [spread.lowerQuartile, spread.upperQuartile].map((v) => withPrefix(v, ''));
  const wait = spreadOf(point.p95Seconds);
  return html`<b>${withPrefix(spread.median, '')}</b>
${quartileLine(spread, range(from!, to!))}<span class="spread">n ${spread.count}${
    wait === null ? '' : `, p95 ${seconds(wait.median)}`
  }</span>`;
}

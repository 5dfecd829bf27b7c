// The cache workload of the talk, measured again: memcached behind 0 to 4 proxies.
import { spreadOf } from '../../compare/derive.ts';
import {
  type CachePoint,
  type CacheResult,
  type WorkloadPath,
  waysOf,
} from '../../compare/result.ts';
import {
  type BalancedWay,
  balancedOf,
  cacheRatios,
  leastFirstSecond,
} from '../../compare/way-ratios.ts';
import { type Figure, figures } from '../chart.ts';
import { cacheChart } from '../charts/cache.ts';
import { type Curve, lineChart } from '../charts/lines.ts';
import { DECK_CACHE } from '../deck.ts';
import { range, ratio, withPrefix } from '../figures.ts';
import { type Content, type Html, html } from '../html.ts';
import { WAYS } from '../path-style.ts';
import { Footnotes, type Section, type TableRow, table } from '../table.ts';
import { quartileLine } from './throughput.ts';
import { pointColumns, preamble, verdict } from './workload.ts';

/** What shall be kept of the direct rate by DSR; the others are held to it too. */
const WANTED = 0.9;

export function cacheSection(cache: CacheResult): Section {
  const { points } = cache;
  const verdicts = balancedOf(cache.points).map((way) =>
    verdict(way, WANTED, cacheRatios(cache, way)),
  );
  return {
    id: 'cache',
    title: 'The cache workload of the talk',
    body: html`${preamble(cache)}
<p>${verdicts.join(' ')} ${DECK_CACHE} ${firstSeconds(cache)}</p>
${points.length === 0 ? '' : figures([rateFigure(points), ratioFigure(cache)])}
${points.length === 0 ? '' : pointsTable(cache)}`,
  };
}

function firstSeconds(cache: CacheResult): string {
  const parts = (['dsr', 'nat', 'dsr-tc', 'nat-tc'] as const).flatMap((way) => {
    const least = leastFirstSecond(cache, way);
    return least === undefined ? [] : [`${ratio(least)} by ${WAYS[way].title}`];
  });
  if (parts.length === 0) return '';
  return `Here the first second alone reached, of the median of all rounds, at least ${parts.join(' and ')}.`;
}

function rateFigure(points: readonly CachePoint[]): Figure {
  return {
    title: html`Measured here <span class="unit">commands/s</span>`,
    note: 'Bars are medians, whiskers quartiles; a diamond is the first second alone. With 0 proxies the client talks to memcached itself.',
    chart: cacheChart(points),
  };
}

function ratioFigure(cache: CacheResult): Figure {
  const curves = balancedOf(cache.points).map(
    (way): Curve => ({
      ...WAYS[way],
      points: cacheRatios(cache, way).map(({ at, spread }) => ({
        ...{ x: at, y: spread.median, spread: [spread.lowerQuartile, spread.upperQuartile] },
      })),
    }),
  );
  return {
    title: html`Balanced to direct <span class="unit">ratio</span>`,
    note: 'Of the same round, with as many proxies. Dotted is what is wanted by DSR: 0.90.',
    chart: lineChart({
      description: 'Cache: ratio of balanced to direct by proxies',
      curves,
      x: { name: 'proxies', format: String, min: 1, max: mostOf(curves), interval: 1 },
      y: { name: 'of direct', format: ratio, min: 0, interval: 0.2 },
      marks: [{ y: WANTED, colour: WAYS.dsr.colour }],
      height: 290,
    }),
  };
}

/** Two at least, since an axis from 1 to 1 is none. */
const mostOf = (curves: readonly Curve[]): number =>
  Math.max(2, ...curves.flatMap(({ points }) => points.map(({ x }) => x)));

function pointsTable(cache: CacheResult): Html {
  const footnotes = new Footnotes();
  const counts = [...new Set(cache.points.map(({ proxies }) => proxies))].sort((a, b) => a - b);
  const rows = counts.map((proxies): TableRow => {
    const at = (way: WorkloadPath) =>
      cache.points.find((point) => point.path === way && point.proxies === proxies);
    const missing = () =>
      footnotes.dash(
        proxies === 0 ? 'Without a proxy there is nothing to balance.' : 'Not measured.',
      );
    const ratioAt = (way: BalancedWay): Content => {
      const found = cacheRatios(cache, way).find((each) => each.at === proxies);
      return found === undefined ? missing() : ratio(found.spread.median);
    };
    const errors = waysOf(cache.points)
      .map((way) => at(way)?.errors ?? 0)
      .reduce((sum, each) => sum + each, 0);
    return {
      name: String(proxies),
      cells: [
        ...waysOf(cache.points).map((way) => rateCell(at(way)) ?? missing()),
        ...balancedOf(cache.points).map(ratioAt),
        errors,
      ],
    };
  });
  return html`<h3>All points</h3>
${table([{ title: 'Proxies' }, ...pointColumns(cache.points)], rows)}
<p class="small">Commands a second: median, quartiles, number of rounds; below them the first second
alone.</p>
${footnotes.list()}`;
}

function rateCell(point: CachePoint | undefined): Content {
  const spread = spreadOf(point?.commandsPerSecond ?? []);
  if (point === undefined || spread === null) return undefined;
  const [from, to] = [spread.lowerQuartile, spread.upperQuartile].map((v) => withPrefix(v, ''));
  const first = point.firstSecondCommands;
  return html`<b>${withPrefix(spread.median, '')}</b>
${quartileLine(spread, range(from!, to!))}<span class="spread">n ${spread.count}${
    first === null ? '' : `, first ${withPrefix(first, '')}`
  }</span>`;
}

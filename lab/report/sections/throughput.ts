// Rates of all paths: a picture for each measure, and one table with every median, its quartiles
// and how many samples it rests on.
import { ratioToNone, type Spread, spreadOf, spreadOfValues } from '../../compare/derive.ts';
import {
  type CompareResult,
  MEASURES,
  type MeasureName,
  type PathResult,
} from '../../compare/result.ts';
import { type Figure, figures } from '../chart.ts';
import { type BarRow, barChart, nothingIn } from '../charts/bars.ts';
import { measured, range, ratio, share, tick } from '../figures.ts';
import { type Content, html } from '../html.ts';
import { measuredPaths, noneSamples, samplesOf, whyAbsent } from '../look-up.ts';
import { colourOf } from '../path-style.ts';
import { Footnotes, type Section, type TableRow, table } from '../table.ts';

const RATES: readonly MeasureName[] = ['upload', 'download', 'packets', 'connections', 'requests'];

const NOTES: Partial<Record<MeasureName, string>> = {
  upload: 'One TCP connection, client to real, payload as the receiver counted it.',
  download: 'One TCP connection, real to client, payload as the receiver counted it.',
  packets: 'Small UDP packets that arrived at the real; the loss of each path is in the table.',
  connections: 'One request on each new connection.',
  requests: 'Many requests on connections that stay open.',
};

export function throughputSection(result: CompareResult): Section {
  return {
    id: 'throughput',
    title: 'How much each path carries',
    body: html`<p>Bars are medians, whiskers the quartiles of ${result.rounds}
${result.rounds === 1 ? 'round' : 'rounds'}; “to none” is the median of the ratios to the path
without a balancer in the same round.</p>
${figures([...RATES.map((measure) => rateFigure(result, measure)), lossFigure(result)])}
${allRates(result)}`,
  };
}

function rateFigure(result: CompareResult, measure: MeasureName): Figure | undefined {
  const { title, unit } = MEASURES[measure];
  const none = noneSamples(result, measure);
  const rows = result.paths.map((path): BarRow => {
    const samples = samplesOf(path, measure);
    const spread = spreadOfValues(samples);
    const kept = ratioToNone(samples, none)?.median;
    return {
      title: path.title,
      colour: colourOf(path.name),
      value: spread?.median ?? null,
      absent: whyAbsent(path, measure),
      ...(spread === null ? {} : { spread: quartiles(spread) }),
      cells: [
        spread === null ? '' : measured(spread.median, measure),
        kept === undefined ? '' : ratio(kept),
      ],
    };
  });
  if (nothingIn(rows)) return undefined;
  const columns = [
    { title: 'median', width: 74 },
    { title: 'to none', width: 42 },
  ];
  const format = (value: number) => tick(value, '');
  const description = `${title}, ${unit}, by path`;
  return {
    title: html`${title} <span class="unit">${unit}</span>`,
    note: NOTES[measure],
    chart: barChart({ description, rows, columns, format }),
  };
}

/** What was sent as small packets and did not arrive, beside the rate of what did. */
function lossFigure(result: CompareResult): Figure | undefined {
  const rows = result.paths.map((path): BarRow => {
    const losses = samplesOf(path, 'packets').flatMap(({ lossShare }) => lossShare ?? []);
    const spread = spreadOf(losses);
    return {
      title: path.title,
      colour: colourOf(path.name),
      value: spread?.median ?? null,
      absent: whyAbsent(path, 'packets'),
      ...(spread === null ? {} : { spread: quartiles(spread) }),
      cells: [spread === null ? '' : share(spread.median)],
    };
  });
  if (nothingIn(rows)) return undefined;
  return {
    title: html`Small packets lost <span class="unit">share of those sent</span>`,
    note: 'In a flood as fast as the sender can. A kernel that forwards in the sender’s own softirq slows the sender down and so loses little; any other path loses what it cannot carry.',
    chart: barChart({
      description: 'Share of small packets lost, by path',
      ...{ rows, columns: [{ title: 'median', width: 60 }] },
      format: (value) => `${Number((value * 100).toPrecision(3))} %`,
    }),
  };
}

const quartiles = ({ lowerQuartile, upperQuartile }: Spread) =>
  [lowerQuartile, upperQuartile] as const;

function allRates(result: CompareResult): Content {
  const footnotes = new Footnotes();
  const withFigures = measuredPaths(result);
  const rows = result.paths.map((path): TableRow => {
    const name = path.title;
    if (!withFigures.includes(path)) return { name, reason: absenceOf(path) };
    return { name, cells: RATES.map((measure) => rateCell(path, measure, footnotes)) };
  });
  const columns = RATES.map((measure) => ({
    title: MEASURES[measure].title,
    align: 'right' as const,
  }));
  return html`<h3>All rates</h3>
${table([{ title: 'Path' }, ...columns], rows)}
<p class="small">Median; below it the quartiles and the number of samples.</p>
${footnotes.list()}`;
}

/** A whole row's reason. */
export function absenceOf({ status, reason }: PathResult): string {
  const words = { missing: 'Missing here', failed: 'Failed', 'not-run': 'Not run', measured: '' };
  const word = words[status] || 'Not measured';
  return reason === undefined ? `${word}.` : `${word}: ${reason}`;
}

/** A median with its spread; or a dash, with the reason below the table. */
export function rateCell(path: PathResult, measure: MeasureName, footnotes: Footnotes): Content {
  const found = path.measures[measure];
  const spread = spreadOfValues(found?.samples ?? []);
  if (found === undefined || spread === null) {
    return footnotes.dash(found?.reason ?? `${MEASURES[measure].title}: not measured.`);
  }
  const mark = marksOf(path, measure, footnotes);
  const [from, to] = quartiles(spread).map((value) => measured(value, measure));
  const loss = lossOf(path, measure);
  return html`<b>${measured(spread.median, measure)}</b>${mark}
${quartileLine(spread, range(from!, to!))}<span class="spread">n ${spread.count}${loss}</span>`;
}

/** The marks of a figure that rests on fewer samples than it should, or on second attempts. */
export function marksOf(path: PathResult, measure: MeasureName, footnotes: Footnotes): Content {
  const { status, reason, retried = [] } = path.measures[measure] ?? {};
  const failed = `${path.title} failed before all rounds were done: ${reason}`;
  const again = `${path.title}, ${MEASURES[measure].title.toLowerCase()}: a sample was taken again after the first attempt failed (${[...new Set(retried)].join('; ')}); such samples: ${retried.length}`;
  return [
    status === 'failed' ? footnotes.mark(failed) : '',
    retried.length > 0 ? footnotes.mark(again) : '',
  ];
}

/** One sample has no quartiles. */
export const quartileLine = ({ count }: Spread, text: string): Content =>
  count > 1 ? html`<span class="spread">${text}</span>` : '';

function lossOf(path: PathResult, measure: MeasureName): string {
  const losses = samplesOf(path, measure).flatMap(({ lossShare }) => lossShare ?? []);
  if (losses.length === 0) return '';
  return `, lost ${share(spreadOf(losses)!.median)}`;
}

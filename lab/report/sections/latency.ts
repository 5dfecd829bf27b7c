// Latency of all paths, idle and at a pace: the whole distribution as curves, and its usual
// points as a table.
import { hasP999, medianLatency, spreadOf } from '../../compare/derive.ts';
import type { CompareResult, Latency, MeasureName, PathResult } from '../../compare/result.ts';
import { type Figure, figures } from '../chart.ts';
import { latencyChart } from '../charts/latency.ts';
import { range, seconds, withPrefix } from '../figures.ts';
import { type Content, html } from '../html.ts';
import { measuredPaths, samplesOf } from '../look-up.ts';
import { colourOf, DASHES } from '../path-style.ts';
import { Footnotes, type Section, type TableRow, table } from '../table.ts';
import { absenceOf, marksOf, quartileLine } from './throughput.ts';

type LatencyMeasure = 'latency-idle' | 'latency-half';

const TITLES: Readonly<Record<LatencyMeasure, string>> = {
  'latency-idle': 'Idle',
  'latency-half': 'At half the request rate',
};

const NOTES: Readonly<Record<LatencyMeasure, string>> = {
  'latency-idle': 'One message at a time. The median of the rounds, share by share.',
  'latency-half':
    'Messages on one connection, at half the rate at which the path itself answered HTTP requests: each path has a pace of its own, which is in the table.',
};

export function latencySection(result: CompareResult): Section {
  const taken = (['latency-idle', 'latency-half'] as const).filter((measure) =>
    result.paths.some((path) => medianLatency(samplesOf(path, measure)) !== null),
  );
  return {
    id: 'latency',
    title: 'How long an answer takes',
    body: html`<p>Round trips of small TCP messages. Both scales are logarithmic: each step to the
right leaves a tenth of the messages, so that the slow ones, which users notice, have as much room
as the many fast ones.</p>
${figures(taken.map((measure) => latencyFigure(result, measure)))}
${taken.map((measure) => latencyTable(result, measure))}
${taken.length === 0 ? html`<p class="small">Not measured in this run.</p>` : ''}`,
  };
}

function latencyFigure(result: CompareResult, measure: LatencyMeasure): Figure {
  const curves = result.paths.flatMap((path) => {
    const latency = medianLatency(samplesOf(path, measure));
    if (latency === null) return [];
    const { title, name, kind } = path;
    return [{ title, colour: colourOf(name), dash: DASHES[kind], latency }];
  });
  const chart = latencyChart(`Latency, ${TITLES[measure].toLowerCase()}`, curves);
  return { title: TITLES[measure], note: NOTES[measure], chart };
}

function latencyTable(result: CompareResult, measure: LatencyMeasure): Content {
  const footnotes = new Footnotes();
  const withFigures = measuredPaths(result);
  const rows = result.paths.map((path): TableRow => {
    if (!withFigures.includes(path)) return { name: path.title, reason: absenceOf(path) };
    return { name: path.title, cells: latencyCells(path, measure, footnotes) };
  });
  const titles = ['p50', 'p99', 'p99.9', 'slowest', 'messages/s', 'messages', 'n'];
  const columns = titles.map((title) => ({ title, align: 'right' as const }));
  return html`<h3>${TITLES[measure]}</h3>
${table([{ title: 'Path' }, ...columns], rows)}
${footnotes.list()}`;
}

function latencyCells(path: PathResult, measure: MeasureName, footnotes: Footnotes): Content[] {
  const found = path.measures[measure];
  const samples = samplesOf(path, measure);
  const latency = medianLatency(samples);
  if (latency === null) {
    const reason = found?.reason ?? 'Not measured.';
    return Array.from({ length: 7 }, () => footnotes.dash(reason));
  }
  const mark = marksOf(path, measure, footnotes);
  const all = samples.flatMap((sample) => sample.latency ?? []);
  const point = (figure: (each: Latency) => number) => {
    const spread = spreadOf(all.map(figure))!;
    const [from, to] = [spread.lowerQuartile, spread.upperQuartile].map(seconds);
    return html`<b>${seconds(spread.median)}</b>${quartileLine(spread, range(from!, to!))}`;
  };
  return [
    html`${point((each) => each.p50Seconds)}${mark}`,
    point((each) => each.p99Seconds),
    hasP999(latency)
      ? point((each) => each.p999Seconds)
      : footnotes.dash('A p99.9 needs 1,000 messages in every round.'),
    point((each) => each.maximumSeconds),
    withPrefix(latency.ratePerSecond, ''),
    withPrefix(latency.count, ''),
    all.length,
  ];
}

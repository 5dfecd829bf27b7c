// The tables that a comparison ends with in the terminal: what each path did in each measure, with
// the spread of its rounds and its ratio to no balancer, what that cost, and what the captures say.
// A path or measure that has no figures has a row that says why.
import {
  bytes,
  type Colours,
  type Column,
  count,
  left,
  number,
  type Row,
  right,
  shorten,
  table,
  WIDTH,
  wrap,
} from '../../src/cli/output.ts';
import {
  busyBefore,
  type CpuCost,
  cpuPerCount,
  cpuPerGigabyte,
  hasP999,
  medianLatency,
  ratioToNone,
  type Spread,
  spreadOf,
  spreadOfValues,
  type Through,
  throughBalancer,
} from './derive.ts';
import { renderWorkloads } from './render-workloads.ts';
import {
  type CompareResult,
  MEASURES,
  type MeasureName,
  type PathResult,
  type Sample,
} from './result.ts';

export interface RenderedFiles {
  readonly directory: string;
  /** Names within the directory. */
  readonly files: readonly string[];
}

/** Measures that stand side by side in one table. */
const GROUPS: readonly (readonly MeasureName[])[] = [
  ['upload', 'download', 'packets'],
  ['connections', 'requests'],
];
const LATENCIES: readonly MeasureName[] = ['latency-idle', 'latency-half'];
const NO_FIGURE = '–';

export function renderCompare(result: CompareResult, files: RenderedFiles, colours: Colours) {
  return [
    ...GROUPS.map((group) => renderMeasures(result, group, colours)),
    ...LATENCIES.map((measure) => renderLatency(result, measure, colours)),
    renderCosts(result, colours),
    renderWorkloads(result, colours),
    renderProblems(result, colours),
    renderEvidence(result, colours),
    renderEnd(result, files, colours),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

const samplesOf = (path: PathResult, measure: MeasureName): readonly Sample[] =>
  path.measures[measure]?.samples ?? [];

/** Samples of the path without a balancer; empty if it was not measured. */
function noneOf({ paths }: CompareResult, measure: MeasureName): readonly Sample[] {
  const none = paths.find(({ name }) => name === 'none');
  return none === undefined ? [] : samplesOf(none, measure);
}

const isTaken = (result: CompareResult, measure: MeasureName) =>
  result.paths.some((path) => path.measures[measure] !== undefined);

/** How each measure's values are shown. */
const SHOWN: Readonly<
  Record<MeasureName, { readonly title: string; show(value: number): string }>
> = {
  upload: { title: 'up Gbit/s', show: (value) => (value / 1e9).toPrecision(3) },
  download: { title: 'down Gbit/s', show: (value) => (value / 1e9).toPrecision(3) },
  packets: { title: 'packets/s', show: count },
  connections: { title: 'connections/s', show: count },
  requests: { title: 'requests/s', show: count },
  'latency-idle': { title: 'idle', show: microseconds },
  'latency-half': { title: 'half rate', show: microseconds },
};

function microseconds(seconds: number): string {
  const value = seconds * 1e6;
  return value < 100 ? value.toFixed(1) : number(value);
}

function renderMeasures(
  result: CompareResult,
  group: readonly MeasureName[],
  colours: Colours,
): string {
  const taken = group.filter((measure) => isTaken(result, measure));
  if (taken.length === 0) return '';
  const columns: Column[] = [left('path')];
  for (const measure of taken) {
    columns.push(right(SHOWN[measure].title), ...spreadColumn(result), right('ratio'));
    if (measure === 'packets') columns.push(right('loss'));
  }
  return table(
    columns,
    rowsOf(result, (path) => taken.flatMap((measure) => cellsOf(result, path, measure))),
    colours,
  );
}

/** One round has no spread, and its table more room. */
const spreadColumn = ({ rounds }: CompareResult): Column[] => (rounds > 1 ? [right('spread')] : []);

/** Median, spread and ratio; also the loss where packets are counted. */
function cellsOf(result: CompareResult, path: PathResult, measure: MeasureName): string[] {
  const samples = samplesOf(path, measure);
  const spread = spreadOfValues(samples);
  const lossCell = measure === 'packets' ? [lossOf(samples)] : [];
  if (spread === null) {
    const status = path.measures[measure]?.status;
    const word = status === 'failed' ? 'failed' : status === undefined ? NO_FIGURE : 'n/a';
    return [word, ...spreadColumn(result).map(() => ''), '', ...lossCell.map(() => '')];
  }
  const ratio = ratioToNone(samples, noneOf(result, measure));
  const width = spreadColumn(result).map(() => widthOf(spread));
  const median = SHOWN[measure].show(spread.median);
  return [median, ...width, fixed(ratio?.median, 2), ...lossCell];
}

/** Half of what lies between lowest and highest, as a share of the median: `±3 %`. */
function widthOf({ median, lowest, highest, count: values }: Spread): string {
  return values < 2 ? '' : `±${Math.round(((highest - lowest) / 2 / median) * 100)} %`;
}

function lossOf(samples: readonly Sample[]): string {
  const losses = samples.flatMap(({ lossShare }) => (lossShare === undefined ? [] : [lossShare]));
  const spread = spreadOf(losses);
  return spread === null ? '' : `${(spread.median * 100).toFixed(2)} %`;
}

/** A row a path: its figures, or why it has none. */
function rowsOf(result: CompareResult, figures: (path: PathResult) => string[]): Row[] {
  return result.paths.map((path) => {
    const cells = figures(path);
    const silent = cells.every((cell) => cell === '' || cell === NO_FIGURE);
    if (path.status === 'measured' || !silent) return [path.title, ...cells];
    return [path.title, path.status, ...cells.slice(1).map(() => '')];
  });
}

function renderLatency(result: CompareResult, measure: MeasureName, colours: Colours): string {
  if (!isTaken(result, measure)) return '';
  const columns = [
    ...[left('path'), right(`${SHOWN[measure].title}: p50 µs`), ...spreadColumn(result)],
    ...[right('ratio'), right('p99'), right('p99.9'), right('messages/s')],
  ];
  const rows = rowsOf(result, (path) => {
    const latency = medianLatency(samplesOf(path, measure));
    const cells = cellsOf(result, path, measure);
    if (latency === null) return [...cells, '', '', ''];
    const p999 = hasP999(latency) ? microseconds(latency.p999Seconds) : NO_FIGURE;
    return [...cells, microseconds(latency.p99Seconds), p999, count(latency.ratePerSecond)];
  });
  return table(columns, rows, colours);
}

/** What the balancer's host had to do: processor time, bytes, memory. */
function renderCosts(result: CompareResult, colours: Colours): string {
  const measured: readonly MeasureName[] = ['download', 'upload', 'packets'];
  if (!measured.some((measure) => isTaken(result, measure))) return '';
  const columns = [
    ...[left('cost'), right('µs/packet'), right('more'), right('s/GB down'), right('more')],
    ...[right('in/byte up'), right('out'), right('in/byte down'), right('out'), right('memory')],
  ];
  const rows = rowsOf(result, (path) => {
    const packets = samplesOf(path, 'packets');
    const down = samplesOf(path, 'download');
    return [
      ...costCells(path, cpuPerCount(packets, noneOf(result, 'packets')), 1e6),
      ...costCells(path, cpuPerGigabyte(down, noneOf(result, 'download')), 1),
      ...throughCells(throughBalancer(samplesOf(path, 'upload'))),
      ...throughCells(throughBalancer(down)),
      path.residentBytes === null ? NO_FIGURE : bytes(path.residentBytes),
    ];
  });
  return `${table(columns, rows, colours)}\n${colours.dim(wrap(COST_NOTE, ''))}`;
}

const COST_NOTE =
  "µs/packet, s/GB: processor time of the balancer's own processes; more: of the whole machine, " +
  'more than without a balancer; µs/packet is at saturation, at which each path lost its own share; ' +
  'in, out: bytes at the balancer for each byte delivered';

/** Where the kernel forwards there are no processes, only what the machine spends more. */
function costCells(path: PathResult, cost: CpuCost | null, scale: number): string[] {
  if (cost === null) return [NO_FIGURE, NO_FIGURE];
  const { balancerSeconds, aboveNoneSeconds } = cost;
  const own = path.residentBytes === null ? undefined : balancerSeconds * scale;
  const more = path.name === 'none' ? null : aboveNoneSeconds;
  return [own, more === null ? undefined : more * scale].map((value) => fixed(value, 2));
}

function throughCells(through: Through | null): string[] {
  if (through === null) return [NO_FIGURE, NO_FIGURE];
  // Acknowledgments alone must not look like nothing.
  return [through.in, through.out].map((value) => fixed(value, value < 0.1 ? 4 : 2));
}

const fixed = (value: number | undefined, digits: number): string =>
  value === undefined ? NO_FIGURE : value.toFixed(digits);

/** Every path and measure that has no figures, or not all or not at once, with the reason. */
function renderProblems(result: CompareResult, colours: Colours): string {
  const lines = result.paths.flatMap((path) => {
    const own = path.reason === undefined ? [] : [`${path.title}, ${path.status}: ${path.reason}`];
    const measures = Object.entries(path.measures).flatMap(([name, measure]) => {
      const { status, reason, retried = [] } = measure;
      const what = `${path.title}, ${MEASURES[name as MeasureName].title}`;
      const again = retried.map((why) => `${what}, tried again: ${why}`);
      return status === 'measured' ? again : [...again, `${what}, ${status}: ${reason}`];
    });
    return [...own, ...measures];
  });
  return lines.map((line) => colours.yellow(wrap(line, '  '))).join('\n');
}

function renderEvidence(result: CompareResult, colours: Colours): string {
  const looked = result.paths.flatMap((path) => {
    const { evidence } = path;
    return evidence === undefined ? [] : [{ path, evidence }];
  });
  if (looked.length === 0) return '';
  const rows = looked.map(({ path, evidence }) => {
    const { claims, captures, tsharkComplaints: complaints } = evidence;
    const holding = claims.filter(({ verdict }) => verdict === 'holds').length;
    const text = `${holding} of ${claims.length}`;
    return [
      path.title,
      evidence.holds ? colours.green(text) : colours.red(text),
      String(captures.length),
      complaints.length === 0 ? 'none' : colours.red(String(complaints.length)),
      ...firstFrame(path),
    ];
  });
  const columns = [
    ...[left('evidence'), right('claims that hold'), right('captures')],
    ...[right('complaints of tshark'), left('a frame that shows the way back')],
  ];
  const wrong = looked.flatMap(({ path, evidence }) => [
    ...evidence.claims
      .filter(({ verdict }) => verdict !== 'holds')
      .map(({ text, verdict }) => `${path.title}, ${verdict}: ${text}`),
    ...evidence.tsharkComplaints.slice(0, 3),
  ]);
  const lines = wrong.map((line) => colours.red(wrap(line, '  ')));
  return [table(columns, rows, colours), ...lines].join('\n');
}

const WAY_BACK = /\breply (reaches|goes|passes)/i;

/** The last frame of the claim about replies: where the answer arrives. */
function firstFrame({ evidence }: PathResult): string[] {
  const claim = evidence?.claims.find(({ text }) => WAY_BACK.test(text));
  const frame = claim?.frames.at(-1);
  return [frame === undefined ? '' : shorten(`${frame.file}#${frame.frame}`, 50)];
}

function renderEnd(result: CompareResult, { directory, files }: RenderedFiles, colours: Colours) {
  const { conditions, rounds, secondsPerSample, leftOut = [] } = result;
  const busy = busyBefore(conditions);
  const lines = [
    wrap(
      `${rounds > 1 ? `${rounds} rounds` : 'One round'} of ${secondsPerSample} s on ${conditions.cpus} processors ` +
        `(${conditions.cpuModel}), Linux ${conditions.kernel}, Node ${conditions.node}, ` +
        `${conditions.congestionControl}; load before: ${conditions.loadBefore.toFixed(2)}`,
      '  ',
    ),
    ...(busy === undefined ? [] : [colours.yellow(wrap(`The machine was busy: ${busy}`, '  '))]),
    ...(leftOut.length === 0
      ? []
      : [colours.yellow(wrap(`No time was left for: ${leftOut.join(', ')}`, '  '))]),
    ...(result.interrupted
      ? [colours.yellow('Interrupted: this is what was measured until then.')]
      : []),
    `${colours.bold('Page, figures and captures')}: ${directory}/`,
    ...files.map((file) => `  ${file}`),
  ];
  return lines.map((line) => (line.length > 2 * WIDTH ? wrap(line, '  ') : line)).join('\n');
}

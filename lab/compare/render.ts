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
import { quantile } from '../quantile.ts';
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

const valuesOf = (path: PathResult, measure: MeasureName): number[] =>
  samplesOf(path, measure).map(({ value }) => value);

export const median = (values: readonly number[]): number => quantile(values, 0.5);

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
  'latency-half': { title: 'half load', show: microseconds },
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
    columns.push(right(SHOWN[measure].title), right('spread'), right('ratio'));
    if (measure === 'packets') columns.push(right('loss'));
  }
  return table(
    columns,
    rowsOf(result, (path) => taken.flatMap((measure) => cellsOf(result, path, measure))),
    colours,
  );
}

/** Median, spread and ratio; also the loss where packets are counted. */
function cellsOf(result: CompareResult, path: PathResult, measure: MeasureName): string[] {
  const values = valuesOf(path, measure);
  const lossCell = measure === 'packets' ? [lossOf(samplesOf(path, measure))] : [];
  if (values.length === 0) {
    const status = path.measures[measure]?.status;
    const word = status === 'failed' ? 'failed' : status === undefined ? NO_FIGURE : 'n/a';
    return [word, '', '', ...lossCell.map(() => '')];
  }
  const shown = SHOWN[measure].show(median(values));
  return [shown, spreadOf(values), ratioOf(result, measure, values), ...lossCell];
}

/** Half of what lies between lowest and highest, as a share of the median: `±3 %`. */
export function spreadOf(values: readonly number[]): string {
  if (values.length < 2) return '';
  const half = (Math.max(...values) - Math.min(...values)) / 2;
  return `±${Math.round((half / median(values)) * 100)} %`;
}

function ratioOf(result: CompareResult, measure: MeasureName, values: readonly number[]): string {
  const none = result.paths.find(({ name }) => name === 'none');
  const yardstick = none === undefined ? [] : valuesOf(none, measure);
  if (yardstick.length === 0) return '';
  return (median(values) / median(yardstick)).toFixed(2);
}

function lossOf(samples: readonly Sample[]): string {
  const losses = samples.flatMap(({ lossShare }) => (lossShare === undefined ? [] : [lossShare]));
  return losses.length === 0 ? '' : `${(median(losses) * 100).toFixed(2)} %`;
}

/** A row a path: its figures, or why it has none. */
function rowsOf(result: CompareResult, figures: (path: PathResult) => string[]): Row[] {
  return result.paths.map((path) => {
    const cells = figures(path);
    const silent = cells.every((cell) => cell === '' || cell === NO_FIGURE);
    const word = path.status === 'measured' || !silent ? undefined : path.status;
    if (word === undefined) return [path.title, ...cells];
    return [path.title, word, ...cells.slice(1).map(() => '')];
  });
}

function renderLatency(result: CompareResult, measure: MeasureName, colours: Colours): string {
  if (!isTaken(result, measure)) return '';
  const columns = [
    ...[left('path'), right(`${SHOWN[measure].title}: p50 µs`), right('spread'), right('ratio')],
    ...[right('p99'), right('p99.9'), right('messages/s')],
  ];
  const rows = rowsOf(result, (path) => {
    const latencies = samplesOf(path, measure).flatMap(({ latency }) => latency ?? []);
    const middle = (pick: (of: (typeof latencies)[number]) => number) =>
      latencies.length === 0 ? Number.NaN : median(latencies.map(pick));
    const cells = cellsOf(result, path, measure);
    if (latencies.length === 0) return [...cells, '', '', ''];
    return [
      ...cells,
      microseconds(middle((of) => of.p99Seconds)),
      microseconds(middle((of) => of.p999Seconds)),
      count(middle((of) => of.ratePerSecond)),
    ];
  });
  return table(columns, rows, colours);
}

/** What the balancer's host had to do: processor time, bytes, memory. */
function renderCosts(result: CompareResult, colours: Colours): string {
  const measured: readonly MeasureName[] = ['download', 'upload', 'packets'];
  if (!measured.some((measure) => isTaken(result, measure))) return '';
  const columns = [
    ...[left('path'), right('CPU µs/packet'), right('CPU s/GB'), right('machine s/GB')],
    ...[right('in/byte up'), right('out'), right('in/byte down'), right('out'), right('memory')],
  ];
  const rows = rowsOf(result, (path) => {
    const packets = samplesOf(path, 'packets');
    const up = samplesOf(path, 'upload');
    const down = samplesOf(path, 'download');
    const bulk = [...up, ...down];
    const perFrame = share(packets, ({ cpu, crossed }) => [
      cpu.balancerSeconds * 1e6,
      crossed.inFrames,
    ]);
    const perByte = (samples: readonly Sample[], pick: (sample: Sample) => number) =>
      share(samples, (sample) => [pick(sample), sample.deliveredBytes ?? 0]);
    return [
      fixed(path.residentBytes === null ? undefined : perFrame, 2),
      fixed(path.residentBytes === null ? undefined : scaled(perByte(bulk, ownCpu)), 2),
      fixed(scaled(perByte(bulk, ({ cpu }) => cpu.machineSeconds)), 2),
      fixed(
        perByte(up, ({ crossed }) => crossed.inBytes),
        3,
      ),
      fixed(
        perByte(up, ({ crossed }) => crossed.outBytes),
        3,
      ),
      fixed(
        perByte(down, ({ crossed }) => crossed.inBytes),
        3,
      ),
      fixed(
        perByte(down, ({ crossed }) => crossed.outBytes),
        3,
      ),
      path.residentBytes === null ? NO_FIGURE : bytes(path.residentBytes),
    ];
  });
  const note = colours.dim(
    'CPU: of the balancer’s own processes; machine: of all cores, ends included; in, out: bytes at the\nbalancer’s host for each byte delivered',
  );
  return `${table(columns, rows, colours)}\n${note}`;
}

const ownCpu = ({ cpu }: Sample): number => cpu.balancerSeconds;

const scaled = (perByte: number | undefined) => (perByte === undefined ? perByte : perByte * 1e9);

/** Sum over sum, of all samples together; undefined if there is nothing to divide by. */
function share(
  samples: readonly Sample[],
  parts: (sample: Sample) => readonly [number, number],
): number | undefined {
  let above = 0;
  let below = 0;
  for (const sample of samples) {
    const [a, b] = parts(sample);
    above += a;
    below += b;
  }
  return below === 0 ? undefined : above / below;
}

const fixed = (value: number | undefined, digits: number): string =>
  value === undefined ? NO_FIGURE : value.toFixed(digits);

/** Every path and measure that has no figures, or not all, with the reason. */
function renderProblems(result: CompareResult, colours: Colours): string {
  const lines = result.paths.flatMap((path) => {
    const own = path.reason === undefined ? [] : [`${path.title}, ${path.status}: ${path.reason}`];
    const measures = Object.entries(path.measures).flatMap(([name, measure]) => {
      if (measure.status === 'measured') return [];
      const { title } = MEASURES[name as MeasureName];
      return [`${path.title}, ${title}, ${measure.status}: ${measure.reason}`];
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
  const { conditions, rounds, secondsPerSample } = result;
  const lines = [
    wrap(
      `${rounds > 1 ? `${rounds} rounds` : 'One round'} of ${secondsPerSample} s on ${conditions.cpus} processors ` +
        `(${conditions.cpuModel}), Linux ${conditions.kernel}, Node ${conditions.node}, ` +
        `${conditions.congestionControl}; load before: ${conditions.loadBefore.toFixed(2)}`,
      '  ',
    ),
    ...(result.interrupted
      ? [colours.yellow('Interrupted: this is what was measured until then.')]
      : []),
    `${colours.bold('Page, figures and captures')}: ${directory}/`,
    ...files.map((file) => `  ${file}`),
  ];
  return lines.map((line) => (line.length > 2 * WIDTH ? wrap(line, '  ') : line)).join('\n');
}

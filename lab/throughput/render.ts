// How throughput is shown: the speed, what crossed the director for it, a drawing of the same that
// shows the difference at a glance, and whether captures confirm the counters.
import {
  bytes,
  type Colours,
  count,
  left,
  number,
  right,
  table,
  wrap,
} from '../../src/cli/output.ts';
import type { Confirmation } from './confirm.ts';
import { sameCrossing, subtractCrossing } from './crossing.ts';
import type { ThroughputResult } from './run-throughput.ts';
import { perDeliveredByte, type Spread, type Summary, type SummaryRow } from './summary.ts';
import { RECORDED_BYTES } from './transfers.ts';

const BAR_CELLS = 24;
/** Less than this for each byte delivered is control and acknowledgments, no data. */
const ACKS_ALONE = 0.1;

export function renderThroughput(result: ThroughputResult, colours: Colours): string {
  return [
    renderSpeeds(result, colours),
    renderShares(result, colours),
    renderConfirmations(result.confirmations, colours),
    renderEnd(result, colours),
  ].join('\n\n');
}

/** `9.81`, `0.952`: three digits that count. */
export const gigabits = (bitsPerSecond: number): string => (bitsPerSecond / 1e9).toPrecision(3);

const spread = ({ lowest, highest }: Spread): string => `${gigabits(lowest)}-${gigabits(highest)}`;

/** Bytes for each byte delivered. */
export const share = (value: number): string => value.toFixed(4);

export function renderSpeeds(result: ThroughputResult, colours: Colours): string {
  const { summary, seconds, rounds } = result;
  const columns = [
    ...[left('method'), left('direction'), right('Gbit/s'), right('spread'), right('delivered')],
    ...[right('bytes in'), right('frames'), right('bytes out'), right('frames')],
  ];
  const rows = summary.rows.map((row) => [
    ...[row.method, row.direction, colours.bold(gigabits(row.bitsPerSecond.median))],
    ...[spread(row.bitsPerSecond), bytes(row.deliveredBytes)],
    ...[bytes(row.director.inBytes), count(row.director.inFrames)],
    ...[bytes(row.director.outBytes), count(row.director.outFrames)],
  ]);
  const runs = `${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${seconds} s`;
  return [
    colours.bold('Throughput, and what crossed the director for it'),
    `${runs}, interleaved; median and spread of the speed, sums of the director's counters`,
    colours.dim(wrap(conditions(result), '')),
    '',
    table(columns, rows, colours),
    ...witnessNotes(summary.rows).map((note) => colours.yellow(wrap(note, '  '))),
    renderRatios(summary, rounds),
  ].join('\n');
}

function conditions({ conditions: facts, datapath, offloads }: ThroughputResult): string {
  const { kernel, cpus, node } = facts;
  const machine = `Linux ${kernel}, ${cpus} CPUs, Node ${node}`;
  const text = `${machine}; one TCP connection; datapath ${datapath}, offloads ${offloads}`;
  if (datapath !== 'cap') return text;
  return `${text}, since libpcap tells nothing of offloads: 1,514 bytes a frame instead of 64 KiB`;
}

function renderRatios({ ratios }: Summary, rounds: number): string {
  const text = (['upload', 'download'] as const).map((direction) => {
    const { median, lowest, highest } = ratios[direction];
    const range = rounds === 1 ? '' : ` (${lowest.toFixed(2)}-${highest.toFixed(2)})`;
    return `${direction} ${median.toFixed(2)}${range}`;
  });
  return `DSR to NAT: ${text.join(', ')}`;
}

/** Where the director and the kernel do not agree; what the ring had no room for is such a case. */
function witnessNotes(rows: readonly SummaryRow[]): string[] {
  return rows.flatMap(({ method, direction, director, kernel, lostFrames }) => {
    if (sameCrossing(director, kernel)) return [];
    const { inFrames, outFrames } = subtractCrossing(kernel, director);
    const text =
      inFrames === lostFrames && outFrames === 0
        ? `lost ${number(lostFrames)} of ${count(kernel.inFrames)} frames: its ring was full`
        : `says it lost ${number(lostFrames)} frames, but the kernel counted ` +
          `${number(inFrames)} more in and ${number(outFrames)} more out`;
    return [`${method} ${direction}: the director ${text}`];
  });
}

/** Bars, as long as the bytes that crossed for each byte delivered. */
export function renderShares({ summary }: ThroughputResult, colours: Colours): string {
  const lines = summary.rows.map((row) => {
    const crossed = perDeliveredByte(row);
    const few = crossed.in < ACKS_ALONE;
    const paint = few ? colours.green : colours.cyan;
    const bars = (['in', 'out'] as const).map(
      (way) => `${way} ${paint(bar(crossed[way]))} ${share(crossed[way])}`,
    );
    const name = `${row.method} ${row.direction}`.padEnd(13);
    return `${name}  ${bars.join('   ')}${few ? colours.green('  ACKs alone') : ''}`;
  });
  const title = 'Bytes through the director for each byte delivered';
  return [colours.bold(title), ...lines].join('\n');
}

/** Full at 1; more is headers, and does not show. */
function bar(value: number): string {
  const cells = Math.min(BAR_CELLS, Math.round(value * BAR_CELLS));
  return (cells === 0 ? '▏' : '█'.repeat(cells)).padEnd(BAR_CELLS, ' ');
}

/** From here on the percentage shows it. */
const VISIBLY_MORE = 1.0005;

const VERDICTS = { confirmed: 'confirmed', differs: 'differs', 'not-whole': 'not whole' } as const;

export function renderConfirmations(all: readonly Confirmation[], colours: Colours): string {
  const columns = [
    ...[left('method'), left('direction'), left('capture'), right('bytes in'), right('frames')],
    ...[right('bytes out'), right('frames'), right('payload in')],
    ...[left('counters'), left('kernel')],
  ];
  const rows = all.map((each) => [
    ...[each.method, each.direction, paintVerdict(each.verdict, colours)],
    ...[number(each.capture.inBytes), number(each.capture.inFrames)],
    ...[number(each.capture.outBytes), number(each.capture.outFrames)],
    percent(each.payloadInBytes, each),
    ...[agreement(each, each.director), agreement(each, each.kernel)],
  ]);
  const [titles = '', ...lines] = table(columns, rows, colours).split('\n');
  const detailed = lines.flatMap((line, index) => [line, ...detailsOf(all[index]!, colours)]);
  const size = bytes(RECORDED_BYTES);
  const more = all.some((each) => each.payloadInBytes > each.deliveredBytes * VISIBLY_MORE);
  const why = 'more than 100 %: still on its way when the receiving iperf3 stopped to count';
  return [
    colours.bold("What captures at the director's switch ports say of these counters"),
    `one more transfer of ${size} each; payload in: without headers, of what was delivered`,
    '',
    ...[titles, ...detailed],
    ...(more ? [colours.dim(why)] : []),
  ].join('\n');
}

function paintVerdict(verdict: Confirmation['verdict'], colours: Colours): string {
  const paint = verdict === 'confirmed' ? colours.green : colours.red;
  return paint(VERDICTS[verdict]);
}

const percent = (payload: number, { deliveredBytes }: Confirmation): string =>
  payload === 0 ? 'none' : `${((payload / deliveredBytes) * 100).toFixed(1)} %`;

const agreement = ({ capture }: Confirmation, counted: Confirmation['director']): string =>
  sameCrossing(capture, counted) ? 'same' : 'differ';

function detailsOf({ files, notes, verdict }: Confirmation, colours: Colours): string[] {
  const paint = verdict === 'confirmed' ? colours.dim : colours.yellow;
  return [
    colours.dim(`        ${files.join(', ')}`),
    ...notes.map((note) => paint(`        ${wrap(note, '          ')}`)),
  ];
}

function renderEnd(result: ThroughputResult, colours: Colours): string {
  const { confirmations, confirmed, directory } = result;
  const good = confirmations.filter(({ verdict }) => verdict === 'confirmed').length;
  const paint = confirmed ? colours.green : colours.red;
  return [
    paint(`captures confirm the counters in ${good} of ${confirmations.length} transfers`),
    `captures and all figures: ${directory}/`,
  ].join('\n');
}

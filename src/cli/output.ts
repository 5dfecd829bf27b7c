// How the CLI writes: colours on a terminal only, tables without borders, figures that people can
// read. Everything here makes text; only the commands print it.
import CliTable from 'cli-table3';
import picocolors from 'picocolors';
import type { ServiceConfig } from '../config/config.ts';
import { formatService } from '../config/listening.ts';
import type { ServiceStatus } from '../control/status.ts';
import { FLAG_DEFAULTS } from '../schedule/scheduler.ts';

export type Colours = ReturnType<typeof picocolors.createColors>;

/** Columns that every output fits into, if names and addresses are of usual length. */
export const WIDTH = 100;

export const PLAIN: Colours = picocolors.createColors(false);

/** Colours for a terminal, unless NO_COLOR (no-color.org) is set and not empty. */
export function coloursFor(stream: { readonly isTTY?: boolean }): Colours {
  const wanted = (process.env.NO_COLOR ?? '') === '' && process.env.TERM !== 'dumb';
  return picocolors.createColors(wanted && stream.isTTY === true);
}

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

export const left = (title: string): Column => ({ title, align: 'left' });
export const right = (title: string): Column => ({ title, align: 'right' });

/** A row of cells, or one heading over the whole width of the table. */
export type Row = readonly string[] | { readonly heading: string };

const NO_BORDERS = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  ...{ left: '', right: '', middle: '  ' },
};

/** Lines of an aligned table under dim titles. */
export function table(columns: readonly Column[], rows: readonly Row[], colours: Colours): string {
  const drawn = new CliTable({
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    head: columns.map(({ title }) => colours.dim(title)),
    colAligns: columns.map(({ align }) => align),
  });
  for (const row of rows)
    drawn.push('heading' in row ? [{ content: row.heading, colSpan: columns.length }] : [...row]);
  const lines = drawn.toString().split('\n');
  return lines.map((line) => line.trimEnd()).join('\n');
}

type TitledKey =
  | 'name'
  | 'protocols'
  | 'vips'
  | 'ports'
  | 'method'
  | 'scheduler'
  | 'hash'
  | LifeKey;

/** `web  tcp 192.0.2.10:80  dsr  maglev`: the line above a service's reals, here and in status. */
export function serviceTitle(service: Pick<ServiceStatus, TitledKey>, colours: Colours): string {
  const { name, method } = service;
  const chooser = [schedulerTitle(service), ...lifeTitles(service)].join(', ');
  return `${colours.bold(name)}  ${formatService(service)}  ${method}  ${chooser}`;
}

type LifeKey = 'persistence' | 'onePacket' | 'slowStart' | 'whenAllDown' | 'limits';

/** What a service wants beside its scheduler, in a few words each. */
function lifeTitles(service: Pick<ServiceConfig, LifeKey>): string[] {
  const { persistence, onePacket, slowStart, whenAllDown, limits } = service;
  return [
    ...(persistence ? [`persistence ${duration(persistence.timeout)}`] : []),
    ...(onePacket ? ['one packet'] : []),
    ...(slowStart === undefined ? [] : [`slow start ${duration(slowStart)}`]),
    ...(whenAllDown === 'failOpen' ? ['fails open'] : []),
    ...(limits?.flowsPerClient ? [`${limits.flowsPerClient} flows a client`] : []),
    ...(limits?.newFlowsPerSecond ? [`${limits.newFlowsPerSecond} new ones a second`] : []),
  ];
}

/** `sh`, or `sh (port: true)` with the flags that are not as they are by default. */
export function schedulerTitle({
  scheduler,
  hash,
}: Pick<ServiceConfig, 'scheduler' | 'hash'>): string {
  const defaults: Record<string, unknown> = { ...FLAG_DEFAULTS[scheduler] };
  const flags = Object.entries(hash).filter(([flag, value]) => value !== defaults[flag]);
  if (flags.length === 0) return scheduler;
  return `${scheduler} (${flags.map(([flag, value]) => `${flag}: ${value}`).join(', ')})`;
}

/** Text in lines of at most WIDTH, all but the first indented. */
export function wrap(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const room = WIDTH - (lines.length > 0 ? indent.length : 0);
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${indent}`);
}

/** At most `width` characters; what is cut ends in an ellipsis. */
export const shorten = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, width - 1)}…`;

const THOUSANDS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const LARGEST_IN_FULL = 99_999;

/** A whole number with its thousands marked: `1,234,567`. */
export const number = (value: number): string => THOUSANDS.format(value);

/** A whole number in at most six characters: `12,345`, `1.23M`. */
export function count(value: number): string {
  if (value <= LARGEST_IN_FULL) return number(value);
  const { scaled, unit } = scale(value, 1000, ['', 'k', 'M', 'G', 'T', 'P']);
  return `${scaled}${unit}`;
}

/** Bytes in powers of 1024: `512 B`, `1.23 MiB`. */
export function bytes(value: number): string {
  const { scaled, unit } = scale(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']);
  return `${scaled} ${unit}`;
}

/** Three digits that count, and the unit they are in. */
function scale(value: number, step: number, units: readonly string[]) {
  let index = 0;
  let scaled = value;
  // 999.5 would round up to a fourth digit.
  while (scaled >= 999.5 && index < units.length - 1 && value >= step) {
    scaled /= step;
    index += 1;
  }
  const digits = index === 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  return { scaled: scaled.toFixed(digits), unit: units[index] };
}

/** A time span in its two largest units: `2 h 13 min`. */
export function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const parts: [amount: number, unit: string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return '0 s';
  const shown = parts.slice(first, first + 2).filter(([amount]) => amount > 0);
  return shown.map(([amount, unit]) => `${amount} ${unit}`).join(' ');
}

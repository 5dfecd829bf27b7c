// How the page writes figures: three digits that count, a prefix, a unit. Absent ones are a dash.
import { bytes } from '../../src/cli/output.ts';
import { MEASURES, type MeasureName } from '../compare/result.ts';

export const ABSENT = '–';

const PREFIXES: readonly (readonly [size: number, prefix: string])[] = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
  [1e-3, 'm'],
  [1e-6, 'µ'],
  [1e-9, 'n'],
];

/** Three digits that count, never as a power of ten: `9.81`, `12.3`, `456`. */
export function threeDigits(value: number): string {
  if (value === 0) return '0';
  const rounded = Number(value.toPrecision(3));
  const size = Math.floor(Math.log10(Math.abs(rounded)));
  return rounded.toFixed(Math.max(0, 2 - size));
}

/** `9.81 Gbit/s`, `19.2 µs`, `404 k` without a unit. */
export function withPrefix(value: number, unit: string): string {
  if (value === 0) return `0 ${unit}`.trimEnd();
  const rounded = Math.abs(Number(value.toPrecision(3)));
  const [size, prefix] = PREFIXES.find(([each]) => rounded >= each) ?? PREFIXES.at(-1)!;
  return `${threeDigits(value / size)} ${prefix}${unit}`.trimEnd();
}

/** For ticks of axes: without digits that say nothing, `10 Gbit/s`, `2.5 k`. */
export function tick(value: number, unit: string): string {
  return withPrefix(value, unit).replace(
    /\.(\d*?)0+(?=\D|$)/,
    (_, digits) => digits && `.${digits}`,
  );
}

/** `24.9 to 26.0 Gbit/s`: the unit once, if it is the same. */
export function range(from: string, to: string): string {
  const unit = to.replace(/^[-\d.]+/, '');
  return from.endsWith(unit)
    ? `${from.slice(0, from.length - unit.length)} to ${to}`
    : `${from} to ${to}`;
}

/** Figures and their units stay on one line. */
export const tied = (text: string): string => text.replace(/(\d) (?=[a-zµ%]+)/gi, '$1\u00a0');

/** Rates are written per second in full where their unit is a word. */
export function measured(value: number, measure: MeasureName): string {
  const { unit } = MEASURES[measure];
  if (unit === 'bit/s' || unit === 's') return withPrefix(value, unit);
  return `${withPrefix(value, '')}/s`;
}

export const seconds = (value: number): string => withPrefix(value, 's');

export const share = (value: number): string => `${threeDigits(value * 100)} %`;

/** A ratio, by two digits after the point: `0.94`. */
export const ratio = (value: number): string => value.toFixed(2);

/** Bytes for each byte delivered: a share of ACKs must not look like nothing. */
export const perByte = (value: number): string =>
  value !== 0 && value < 0.01 ? value.toFixed(4) : value.toFixed(2);

export const memory = (value: number): string => bytes(value);

/** `2026-11-22 13:04 UTC` of an ISO time; what is no such time is shown as it is. */
export function moment(iso: string): string {
  const found = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)/.exec(iso);
  return found === null ? iso : `${found[1]} ${found[2]} UTC`;
}

/** `one`, `one and two`, `one, two and three`. */
export function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

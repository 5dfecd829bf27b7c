// How numbers, tables and colours look on a terminal and elsewhere.
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  bytes,
  coloursFor,
  count,
  duration,
  left,
  number,
  PLAIN,
  right,
  shorten,
  table,
  wrap,
} from '../../src/cli/output.ts';

describe('figures', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [12_345, '12,345'],
    [99_999, '99,999'],
    [100_000, '100k'],
    [999_499, '999k'],
    [999_500, '1.00M'],
    [1_234_567, '1.23M'],
    [9_995_000, '10.0M'],
    [123_456_789, '123M'],
    [2 ** 53, '9.01P'],
  ])('count %i: %s', (value, text) => {
    expect(count(value)).toBe(text);
    expect(text.length).toBeLessThanOrEqual(6);
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.00 KiB'],
    [1_048_575, '1.00 MiB'],
    [96_600_000, '92.1 MiB'],
    [2 ** 40, '1.00 TiB'],
    [2 ** 53, '8.00 PiB'],
  ])('bytes %i: %s', (value, text) => {
    expect(bytes(value)).toBe(text);
    expect(text.length).toBeLessThanOrEqual(8);
  });

  it.each([
    [0, '0 s'],
    [999, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [785_000, '13 min 5 s'],
    [3_605_000, '1 h'],
    [8_005_000, '2 h 13 min'],
    [90_061_000, '1 d 1 h'],
  ])('duration %i: %s', (value, text) => {
    expect(duration(value)).toBe(text);
  });

  it('marks thousands', () => {
    expect(number(1_234_567)).toBe('1,234,567');
  });
});

describe('table', () => {
  it('aligns columns, ignores colours, and lets a heading go over all of them', () => {
    const rows = [{ heading: 'all of it' }, ['\x1b[31ma\x1b[39m', '1'], ['long name', '100']];
    expect(table([left('N'), right('COUNT')], rows, PLAIN)).toBe(
      [
        'N          COUNT',
        'all of it',
        '\x1b[31ma\x1b[39m              1',
        'long name    100',
      ].join('\n'),
    );
  });
});

it('wraps text and indents what follows', () => {
  const words = new Array(30).fill('word').join(' ');
  const lines = wrap(words, '  ').split('\n');
  expect(lines.map((line) => line.length)).toEqual([99, 51]);
  expect(lines[1]).toMatch(/^ {2}word/);
});

it('shortens what is too long', () => {
  expect(shorten('12345', 5)).toBe('12345');
  expect(shorten('123456', 5)).toBe('1234…');
});

describe('colours', () => {
  afterEach(() => vi.unstubAllEnvs());
  const red = '\x1b[31mx\x1b[39m';

  it.each([
    ['a terminal', true, {}, red],
    ['no terminal', false, {}, 'x'],
    ['no terminal, in CI', false, { CI: 'true' }, 'x'],
    ['a terminal with NO_COLOR', true, { NO_COLOR: '1' }, 'x'],
    ['a terminal with an empty NO_COLOR', true, { NO_COLOR: '' }, red],
    ['a dumb terminal', true, { TERM: 'dumb' }, 'x'],
  ])('on %s', (_, isTTY, env, text) => {
    for (const [name, value] of Object.entries({ TERM: 'xterm', NO_COLOR: undefined, ...env }))
      vi.stubEnv(name, value);
    expect(coloursFor({ isTTY }).red('x')).toBe(text);
  });
});

// How a problem in a configuration is told: the place, what was found, what was probably meant.
import { describe, expect, it } from 'vitest';
import {
  didYouMean,
  formatPath,
  formatProblem,
  describe as say,
} from '../../src/config/problem.ts';

describe('didYouMean', () => {
  const keys = ['address', 'port', 'weight', 'name', 'interface'];
  it.each([
    ['wieght', 'weight'],
    ['Address', 'address'],
    ['addr', undefined],
    ['prot', 'port'],
    ['interfaces', 'interface'],
    ['x', undefined],
    ['colour', undefined],
  ])('%s: %s', (written, meant) => {
    expect(didYouMean(written, keys)).toEqual(
      meant === undefined ? {} : { advice: `did you mean ${meant}?` },
    );
  });
});

describe('formatPath', () => {
  it('writes keys with dots and positions in brackets', () => {
    expect(formatPath(['services', 'web', 'reals', 1, 'weight'])).toBe(
      'services.web.reals[1].weight',
    );
    expect(formatPath([])).toBe('');
  });
});

describe('formatProblem', () => {
  const problem = { file: 'f', line: 3, column: 7, path: 'a.b', found: '1', allowed: '2' };
  it('says where, what was found, what is allowed, and what to do', () => {
    expect(formatProblem(problem)).toBe('f:3:7 a.b: found 1, allowed 2');
    expect(formatProblem({ ...problem, advice: 'do 2' })).toBe(
      'f:3:7 a.b: found 1, allowed 2 (do 2)',
    );
    expect(formatProblem({ ...problem, line: 0, column: 0, path: '' })).toBe(
      'f: found 1, allowed 2',
    );
  });
});

describe('what was found', () => {
  it.each([
    [null, 'nothing'],
    [undefined, 'nothing'],
    [false, 'false'],
    ['', '""'],
    ['80', '"80"'],
    [80, '80'],
    [[], 'an empty list'],
    [[1], 'a list'],
    [{}, 'an empty mapping'],
    [{ a: 1 }, 'a mapping'],
  ])('%j is %s', (value, text) => {
    expect(say(value)).toBe(text);
  });
});

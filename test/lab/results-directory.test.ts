// Where results go: directories that can and cannot be made, and files that are whole or not there.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, test } from 'vitest';
import { UsageError } from '../../lab/requirements.ts';
import { makeDirectory, makeResultsDirectory, tryToKeep } from '../../lab/results-directory.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'furiwake-test-results-'));
});
afterEach(() => rmSync(root, { recursive: true }));

it('is made with those above it, once', () => {
  const directory = join(root, 'a', 'b', 'c');
  expect(makeDirectory(directory)).toBe(true);
  expect(existsSync(directory)).toBe(true);
  expect(makeDirectory(directory)).toBe(false);
});

it('is refused below a file, as a file, and where the kernel makes none', () => {
  const file = join(root, 'file');
  writeFileSync(file, '');
  // The recursive mkdir of Node 20 spins for ever at the last one.
  for (const wrong of [join(file, 'x'), file, '/proc/furiwake-none', '/proc/furiwake/none']) {
    expect(() => makeResultsDirectory('x', wrong), wrong).toThrow(UsageError);
    expect(() => makeResultsDirectory('x', wrong)).toThrow(wrong);
  }
});

test('a file that cannot be written is told by its name, and leaves no half', () => {
  const file = join(root, 'result.json');
  expect(tryToKeep(file, 'good')).toBeUndefined();
  rmSync(file);
  mkdirSync(file);
  expect(tryToKeep(file, 'bad')).toMatch(`cannot write ${file}: E`);
  expect(readdirSync(root)).toEqual(['result.json']);
});

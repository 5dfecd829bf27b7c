// The run delay is the second figure of the thread's schedstat, in milliseconds.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRunDelay } from '../../src/linux/run-delay.ts';

test('is read anew each time, in milliseconds', () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-run-delay-'));
  const file = join(directory, 'schedstat');
  writeFileSync(file, '123456789 2500000 42\n');
  const delay = openRunDelay(file);
  expect(delay.read()).toBe(2.5);
  writeFileSync(file, '123456999 12345000000 43\n');
  expect(delay.read()).toBe(12_345);
  writeFileSync(file, '');
  expect(delay.read()).toBe(0);
  delay.close();
  rmSync(directory, { recursive: true });
});

test('is nothing where the kernel does not tell', () => {
  expect(openRunDelay('/proc/no-such-file').read()).toBe(0);
});

test('of this thread only grows', () => {
  const delay = openRunDelay();
  const before = delay.read();
  for (let turn = 0; turn < 1e6; turn++) Math.sqrt(turn);
  expect(delay.read()).toBeGreaterThanOrEqual(before);
  expect(Number.isFinite(before)).toBe(true);
  delay.close();
});

// How long the host's processors have had nothing to do (proc_uptime(5), the second number).
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** How many processors `idleMs` is the sum of. */
export const processorCount = (): number => cpus().length;

/** Milliseconds of all processors together since the host's start; NaN where it is not told. */
export function idleMs(path = '/proc/uptime'): number {
  try {
    return Number(readFileSync(path, 'latin1').split(' ')[1]) * 1000;
  } catch {
    return Number.NaN;
  }
}

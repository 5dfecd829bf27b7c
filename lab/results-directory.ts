// Where a run leaves its captures and figures: a directory that tells when it was, and what.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from './requirements.ts';

/**
 * Makes `keep`, or `lab-results/TIME-NAME` here unless that is given.
 * @returns its path
 * @throws UsageError if it cannot be made
 */
export function makeResultsDirectory(name: string, keep: string | undefined): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  const directory = keep ?? join('lab-results', `${time}-${name}`);
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(`cannot make the directory for captures, ${directory}: ${message}`);
  }
  return directory;
}

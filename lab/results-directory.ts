// Where a run leaves its captures and figures: a directory that tells when it was, and what. A disk
// that is full is no bug: whoever writes there says which file could not be.
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { OperatorError } from '../src/cli/errors.ts';
import { UsageError } from './requirements.ts';

/**
 * Makes `keep`, or `lab-results/TIME-NAME` here unless that is given.
 * @returns its path
 * @throws UsageError if it cannot be made
 */
export function makeResultsDirectory(name: string, keep: string | undefined): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  const directory = keep ?? join('lab-results', `${time}-${name}`);
  makeDirectory(directory);
  return directory;
}

/**
 * Makes a directory, and those above it that are missing.
 * @returns false if it was there
 * @throws UsageError if it cannot be made
 */
export function makeDirectory(directory: string): boolean {
  try {
    return makeWithParents(resolve(directory));
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError(`cannot make the directory for captures, ${directory}: ${message}`);
  }
}

/** One by one: the recursive mkdir of Node 20 never ends below /proc, which answers ENOENT. */
function makeWithParents(directory: string): boolean {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return false;
  if (!existsSync(dirname(directory))) makeWithParents(dirname(directory));
  mkdirSync(directory);
  return true;
}

/**
 * Writes a file of results. Whoever reads it meanwhile sees the old text or the new one whole.
 * @returns why it could not be written, naming the file; undefined if it was
 */
export function tryToKeep(file: string, text: string): string | undefined {
  const fresh = `${file}.new`;
  try {
    writeFileSync(fresh, text);
    renameSync(fresh, file);
    return undefined;
  } catch (error) {
    rmSync(fresh, { force: true });
    return `cannot write ${file}: ${(error as Error).message}`;
  }
}

/** The same for a command that cannot go on without. @throws OperatorError with the reason */
export function keepFile(file: string, text: string): void {
  const problem = tryToKeep(file, text);
  if (problem !== undefined) throw new OperatorError(problem, 1);
}

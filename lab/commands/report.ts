// `furiwake lab report`: the page of a comparison, drawn again from the file that it kept.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { CompareResult } from '../compare/result.ts';
import { renderReport } from '../report/render-report.ts';
import { UsageError } from '../requirements.ts';
import { tryToKeep } from '../results-directory.ts';

const FORMAT = 'furiwake-compare-1';

export interface ReportOptions {
  readonly file: string;
  /** `report.html` beside the file unless given, where its links to the captures lead. */
  readonly out: string | undefined;
}

export function runReport({ file, out }: ReportOptions): void {
  const target = out ?? join(dirname(file), 'report.html');
  if (resolve(target) === resolve(file)) {
    throw new UsageError(`--out: found ${target}, the file itself; allowed: another file`);
  }
  const problem = tryToKeep(target, renderReport(readResult(file)));
  if (problem !== undefined) throw new UsageError(problem);
  console.log(target);
}

/** @throws UsageError if it is no file of a comparison */
export function readResult(file: string): CompareResult {
  const mend = 'give the compare.json of a comparison';
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}; ${mend}`);
  }
  const format = (found as Partial<CompareResult> | null)?.format;
  if (format !== FORMAT) {
    throw new UsageError(`${file}: found format ${format ?? 'none'}, allowed: ${FORMAT}; ${mend}`);
  }
  const { paths, soaks, conditions } = found as Partial<CompareResult>;
  if (!Array.isArray(paths) || !Array.isArray(soaks) || conditions === undefined) {
    throw new UsageError(`${file}: found no paths, soaks or conditions in it; ${mend}`);
  }
  return found as CompareResult;
}

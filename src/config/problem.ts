// What can be wrong with a configuration, told so that the operator can mend it: where it is, what
// was found there, what is allowed. Checks make findings (a path in the data); a finding becomes a
// problem when its path has a line and a column.

/** Keys and list positions from the top of the file, such as `['services', 'web', 'reals', 1]`. */
export type DataPath = readonly (string | number)[];

export interface Finding {
  readonly path: DataPath;
  /** Whether the key itself is wrong (unknown, written twice) or its value. */
  readonly at: 'key' | 'value';
  readonly found: string;
  readonly allowed: string;
  readonly advice?: string;
}

export interface Problem {
  /** The file, as it was given. */
  readonly file: string;
  /** From 1; 0 where the file could not be read at all. */
  readonly line: number;
  readonly column: number;
  /** Path in the file, such as `services.web.reals[1].weight`; empty for the file as a whole. */
  readonly path: string;
  readonly found: string;
  readonly allowed: string;
  /** What to do, where there is more to say than what is allowed. */
  readonly advice?: string;
}

/** One clear message: `file:line:column path: found ..., allowed ...`. */
export function formatProblem(problem: Problem): string {
  const place = problem.line > 0 ? `:${problem.line}:${problem.column}` : '';
  const path = problem.path === '' ? '' : ` ${problem.path}`;
  const advice = problem.advice === undefined ? '' : ` (${problem.advice})`;
  const what = `found ${problem.found}, allowed ${problem.allowed}`;
  return `${problem.file}${place}${path}: ${what}${advice}`;
}

/** The path as people write it. */
export function formatPath(path: DataPath): string {
  const written = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`));
  return written.join('').replace(/^\./, '');
}

const LONGEST_SHOWN = 60;

/** A value from the file in a few words, quoted where it is text. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object')
    return Object.keys(value).length === 0 ? 'an empty mapping' : 'a mapping';
  const text = JSON.stringify(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

/** Advice that names the candidate nearest to what was written, if one is near. */
export function didYouMean(
  written: string,
  candidates: readonly string[],
): { readonly advice?: string } {
  const limit = Math.max(1, Math.floor(written.length / 2));
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: editDistance(written.toLowerCase(), candidate) }))
    .filter(({ edits }) => edits <= limit)
    .sort((one, other) => one.edits - other.edits);
  const nearest = ranked[0];
  return nearest === undefined ? {} : { advice: `did you mean ${nearest.candidate}?` };
}

/** Insertions, deletions and replacements from one word to the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  const target = to.toLowerCase();
  let row = Array.from({ length: target.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...target].entries()) {
      const replaced = row[column]! + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, row[column + 1]! + 1, next[column]! + 1));
    }
    row = next;
  }
  return row[target.length]!;
}

// A YAML 1.2 file as data that knows its lines. What YAML itself refuses, and what it would let
// pass but nobody means (a key twice, a key that is a list), becomes a problem here; after that
// the data is plain, and every path in it has a place in the file.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLError,
} from 'yaml';
import { type DataPath, type Finding, formatPath, type Problem } from './problem.ts';

/** A file that YAML could read. */
export interface ConfigDocument {
  readonly data: unknown;
  /** Keys written twice; the data holds the last of them. */
  readonly repeatedKeys: readonly Finding[];
  /** Gives a finding in this file its line and column. */
  locate(finding: Finding): Problem;
}

export type DocumentResult =
  | { readonly ok: true; readonly document: ConfigDocument }
  | { readonly ok: false; readonly problems: Problem[] };

/** @param file the name for messages */
export function parseConfigDocument(text: string, file: string): DocumentResult {
  const lines = new LineCounter();
  // Repeated keys are looked for below, where their path is known.
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: false,
    prettyErrors: false,
  });
  const errors = tellingErrors([...document.errors, ...document.warnings], lines);
  if (errors.length > 0)
    return { ok: false, problems: errors.map((error) => syntaxProblem(error, file, lines)) };

  const locate = (finding: Finding): Problem => {
    const { path, at: _, ...what } = finding;
    const { line, col } = lines.linePos(offsetOf(document, finding));
    return { file, line, column: col, path: formatPath(path), ...what };
  };
  const found: KeyFindings = { repeated: [], unreadable: [] };
  lookThroughKeys(document, document.contents, [], found);
  if (found.unreadable.length > 0)
    return { ok: false, problems: [...found.unreadable, ...found.repeated].map(locate) };
  const repeatedKeys = found.repeated;
  return { ok: true, document: { data: document.toJS(), repeatedKeys, locate } };
}

/** A tab throws the parser off course, so what it says after one would only mislead. */
function tellingErrors(errors: readonly YAMLError[], lines: LineCounter): readonly YAMLError[] {
  const tabs = errors.filter(({ code }) => code === 'TAB_AS_INDENT');
  if (tabs.length > 0) return tabs;
  const lineOf = (error: YAMLError) => lines.linePos(error.pos[0]).line;
  const first = new Map(errors.toReversed().map((error) => [lineOf(error), error]));
  return [...first.values()].reverse();
}

function syntaxProblem(error: YAMLError, file: string, lines: LineCounter): Problem {
  const { line, col } = lines.linePos(error.pos[0]);
  const place = { file, line, column: col, path: '' };
  if (error.code === 'TAB_AS_INDENT')
    return { ...place, found: 'a tab in the indentation', allowed: 'spaces only' };
  if (error.code === 'MULTIPLE_DOCS')
    return { ...place, found: 'a second document (---)', allowed: 'one document in a file' };
  return { ...place, found: `a syntax error: ${error.message}`, allowed: 'YAML 1.2' };
}

interface KeyFindings {
  readonly repeated: Finding[];
  /** What plain data cannot hold. */
  readonly unreadable: Finding[];
}

/** Looks through all mappings for repeated keys, keys that are no text, and unknown aliases. */
function lookThroughKeys(
  document: Document,
  node: unknown,
  path: DataPath,
  into: KeyFindings,
): void {
  if (isAlias(node) && node.resolve(document) === undefined) {
    const found = `*${node.source}, which is defined nowhere above`;
    const allowed = `an alias of an anchor, &${node.source}`;
    into.unreadable.push({ path, at: 'value', found, allowed });
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries())
      lookThroughKeys(document, item, [...path, index], into);
  } else if (isMap(node)) {
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      if (!isScalar(key)) {
        const found = 'a key that is no text';
        into.unreadable.push({ path, at: 'value', found, allowed: 'keys of text' });
        continue;
      }
      const name = String(key.value);
      const keyPath = [...path, name];
      if (seen.has(name)) into.repeated.push(repeatedKey(keyPath));
      seen.add(name);
      lookThroughKeys(document, value, keyPath, into);
    }
  }
}

function repeatedKey(path: DataPath): Finding {
  const isService = path.length === 2 && path[0] === 'services';
  const [what, each] = isService ? ['service', 'service name'] : ['key', 'key'];
  return {
    path,
    at: 'key',
    found: `the ${what} ${path.at(-1)} a second time`,
    allowed: `each ${each} once`,
  };
}

/** Where the key or the value at a path starts; a missing value is where its mapping is. */
function offsetOf(document: Document, { path, at }: Finding): number {
  let node: unknown = document.contents;
  let key: Node | undefined;
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document);
    // The last of two equal keys is the one that counts, and the one to point at.
    const pair = isMap(node)
      ? node.items.findLast((item) => isScalar(item.key) && String(item.key.value) === String(part))
      : undefined;
    const next = isSeq(node) ? node.items[Number(part)] : pair?.value;
    if (pair === undefined && next === undefined) return startOf(key ?? node);
    key = pair?.key as Node | undefined;
    node = next;
  }
  return startOf(at === 'key' || node === null ? (key ?? node) : node);
}

const startOf = (node: unknown): number => (node as Node | null)?.range?.[0] ?? 0;

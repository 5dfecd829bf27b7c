// The habits of this repository that a machine can look after: which room may import which, how
// long functions, files and lines may be, words that are not ours, and where native calls may live.
// It also prints how large the pure core is.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MOST_FUNCTION_LINES = 70;
const MOST_FILE_LINES = 500;
const MOST_COLUMNS = 100;
/** A text this long may make its line too long. */
const LONG_TEXT = 40;
const MOST_CORE_LINES = 11_000;

/** What a room of src may import of other rooms: a whole room, or one file of it. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  wire: [],
  schedule: ['wire'],
  flow: ['wire'],
  director: ['wire', 'schedule', 'flow'],
  linux: [],
  datapath: ['wire', 'linux'],
  health: [],
  // The names of schedulers and methods, and what an address is.
  config: [
    ...['schedule/scheduler.ts', 'director/table.ts', 'director/port-map.ts', 'wire/address.ts'],
  ],
  control: ['wire', 'schedule', 'flow', 'director', 'linux', 'datapath', 'health', 'config'],
  // The meanings of drop reasons, for people; the schedulers, which it compares; and the lab, which
  // is loaded when it is asked for.
  cli: ['config', 'control', 'schedule', 'wire/drop-reason.ts', 'lab'],
  types: [],
};
/** Types alone may come from here as well: an arm is what the datapath calls an arm. */
const MAY_IMPORT_TYPES: Record<string, readonly string[]> = { director: ['datapath/datapath.ts'] };

/** No I/O, no clock, no randomness, no packages: the core that also runs in a simulation. */
const CORE = ['wire', 'schedule', 'flow', 'director'];
const IMPURE =
  /\b(Date\.now|performance\.|Math\.random|process\.|console\.|setTimeout|setInterval)/;

/** Put together from pieces, so that this file passes too. */
const BANNED = new RegExp(
  `\\b(${['back' + 'end', 'TO' + 'DO', 'FIX' + 'ME'].join('|')})s?\\b`,
  'i',
);
const BANNED_NAMES = /(^|[/-])(utils?|helpers?|common)([.-]|$|\/)/;
const NATIVE =
  /(?:require\(|\.url\)\(|(?<!typeof )import\(|^import (?!type).*from )'(?:koffi|cap|raw-socket)'/m;

interface Source {
  /** From the top of the repository. */
  readonly path: string;
  readonly text: string;
}

function listFiles(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    return entry.isDirectory() ? listFiles(path) : [path];
  });
}

const read = (path: string): Source => ({ path, text: readFileSync(join(ROOT, path), 'utf8') });
const TOP = ['src', 'lab', 'test', 'native-notes'].filter((path) => existsSync(join(ROOT, path)));
const files = TOP.flatMap(listFiles);
const sources = files.filter((path) => path.endsWith('.ts')).map(read);
const texts = [...sources, ...files.filter((path) => path.endsWith('.md')).map(read)];
const inSource = sources.filter(({ path }) => path.startsWith('src/'));
/** `wire` of `src/wire/ipv4.ts`. */
const roomOf = (path: string): string => path.split('/')[path.startsWith('src/') ? 1 : 0] ?? '';

const parse = ({ path, text }: Source): ts.SourceFile =>
  ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);

interface Import {
  /** As it is written. */
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      found.push({ specifier: node.moduleSpecifier.text, typeOnly: isTypeOnly(node) });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [specifier] = node.arguments;
      if (specifier && ts.isStringLiteral(specifier)) {
        found.push({ specifier: specifier.text, typeOnly: false });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(parse(source));
  return found;
}

function isTypeOnly({ importClause }: ts.ImportDeclaration): boolean {
  if (importClause === undefined) return false;
  if (importClause.isTypeOnly) return true;
  const { name, namedBindings } = importClause;
  if (name !== undefined || namedBindings === undefined) return false;
  return (
    ts.isNamedImports(namedBindings) && namedBindings.elements.every((each) => each.isTypeOnly)
  );
}

/** `wire/ipv4.ts` for a file of src; `lab` for anything of the lab. */
function targetOf(path: string, specifier: string): string {
  const target = relative(ROOT, join(ROOT, dirname(path), specifier));
  return target.startsWith('src/') ? target.slice(4) : (target.split('/')[0] ?? '');
}

const allows = (list: readonly string[], target: string) =>
  list.includes(target) || list.includes(target.split('/')[0] ?? '');

function badEdges(source: Source): string[] {
  const room = roomOf(source.path);
  return importsOf(source)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .filter(({ specifier, typeOnly }) => {
      const target = targetOf(source.path, specifier);
      if (target.split('/')[0] === room) return false;
      if (allows(MAY_IMPORT[room] ?? [], target)) return false;
      return !(typeOnly && allows(MAY_IMPORT_TYPES[room] ?? [], target));
    })
    .map(({ specifier }) => `${source.path}: ${specifier}`);
}

/** Functions that are too long, each without the functions that are declared inside it. */
function longFunctions(source: Source): string[] {
  const file = parse(source);
  const found: string[] = [];
  const lineOf = (position: number) => file.getLineAndCharacterOfPosition(position).line;
  const linesOf = (node: ts.Node) => lineOf(node.end) - lineOf(node.getStart(file)) + 1;
  const inner = (node: ts.Node): number => {
    let lines = 0;
    ts.forEachChild(node, (child) => {
      const counts = ts.isFunctionDeclaration(child) || isTestBlock(child);
      lines += counts ? linesOf(child) : inner(child);
    });
    return lines;
  };
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && !isTestBlock(node)) {
      const lines = linesOf(node) - inner(node);
      const place = `${source.path}:${lineOf(node.getStart(file)) + 1}`;
      if (lines > MOST_FUNCTION_LINES) found.push(`${place}: ${lines} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** What is given to `describe` and the like holds tests, which are functions of their own. */
function isTestBlock(node: ts.Node): boolean {
  if (!ts.isArrowFunction(node) || !ts.isCallExpression(node.parent)) return false;
  return /^(describe|test|it)\b/.test(node.parent.expression.getText());
}

/** Numbers of the lines, from 1, on which there is a text that the formatter does not break. */
function linesWithTexts(source: Source): Set<number> {
  const file = parse(source);
  const lines = new Set<number>();
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) {
      const first = file.getLineAndCharacterOfPosition(node.getStart(file)).line;
      const last = file.getLineAndCharacterOfPosition(node.end).line;
      if (node.end - node.getStart(file) >= LONG_TEXT) {
        for (let line = first; line <= last; line++) lines.add(line + 1);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return lines;
}

function longLines(source: Source): string[] {
  const texts = linesWithTexts(source);
  return source.text
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line, number }) => [...line].length > MOST_COLUMNS && !texts.has(number))
    .filter(({ line }) => !line.includes('biome-ignore'))
    .map(({ line, number }) => `${source.path}:${number}: ${line.trim()}`);
}

/** Lines of all sources for which `isBad` holds, as `path:line: text`. */
const badLines = (list: readonly Source[], isBad: (line: string) => boolean): string[] =>
  list.flatMap(({ path, text }) =>
    text
      .split('\n')
      .map((line, index) => ({ line, place: `${path}:${index + 1}` }))
      .filter(({ line }) => isBad(line))
      .map(({ line, place }) => `${place}: ${line.trim()}`),
  );

const pathsWhere = (list: readonly Source[], isBad: (source: Source) => boolean) =>
  list.filter(isBad).map(({ path }) => path);

describe('rooms', () => {
  test('are all known here', () => {
    const rooms = new Set(inSource.map(({ path }) => roomOf(path)));
    expect([...rooms].filter((room) => MAY_IMPORT[room] === undefined)).toEqual([]);
  });

  test('import what the design lets them import', () => {
    expect(inSource.flatMap(badEdges)).toEqual([]);
  });

  test('import nothing of the lab but its commands', () => {
    const toLab = inSource.filter((source) =>
      importsOf(source).some(({ specifier }) => /^(\.\.\/)+lab\//.test(specifier)),
    );
    expect(toLab.map(({ path }) => path)).toEqual(['src/cli/lab.ts']);
  });

  test('of the pure core have no packages, no clock, no chance and no I/O', () => {
    const core = inSource.filter(({ path }) => CORE.includes(roomOf(path)));
    const packages = core.flatMap((source) =>
      importsOf(source).filter(({ specifier }) => !specifier.startsWith('.')),
    );
    expect(packages).toEqual([]);
    const isComment = (line: string) => /^(\s*(\/\/|\/?\*)|import )/.test(line);
    expect(badLines(core, (line) => IMPURE.test(line) && !isComment(line))).toEqual([]);
  });

  test('make native calls in linux/ and datapath/ alone, in files that say so', () => {
    const isUnsafe = (path: string) => /^src\/(linux|datapath)\/[^/]*-unsafe\.ts$/.test(path);
    const native = pathsWhere(sources, ({ text }) => NATIVE.test(text));
    expect(native.filter((path) => !isUnsafe(path))).toEqual([]);
    const callers = pathsWhere(inSource, (source) =>
      importsOf(source).some(({ specifier }) => specifier.endsWith('/libc-unsafe.ts')),
    );
    expect(callers.filter((path) => !isUnsafe(path))).toEqual([]);
    expect(native).toHaveLength(3);
  });
});

describe('files', () => {
  test('open with a comment that says what they are', () => {
    expect(pathsWhere(sources, ({ text }) => !/^(#!.*\n)?(\/\/|\/\*)/.test(text))).toEqual([]);
  });

  test('have names in lower case with hyphens, none of them for leftovers', () => {
    const isBad = (path: string) =>
      BANNED_NAMES.test(path) || !/^([a-z0-9-]+\/)+[a-z0-9-]+(\.[a-z]+)+$/.test(path);
    expect(pathsWhere(sources, ({ path }) => isBad(path))).toEqual([]);
  });

  test(`have ${MOST_FILE_LINES} lines at most, of ${MOST_COLUMNS} columns at most`, () => {
    const lines = (text: string) => text.trimEnd().split('\n').length;
    expect(pathsWhere(sources, ({ text }) => lines(text) > MOST_FILE_LINES)).toEqual([]);
    expect(sources.flatMap(longLines)).toEqual([]);
  });

  test(`have functions of ${MOST_FUNCTION_LINES} lines at most`, () => {
    expect(sources.flatMap(longFunctions)).toEqual([]);
  });

  test('export by name, and only what is their own', () => {
    const isBad = (line: string) =>
      /^export default\b/.test(line) || /^export (\*|(type )?\{[^}]*\}) from\b/.test(line);
    // Vitest wants its configuration as a default export.
    const own = sources.filter(({ path }) => path !== 'test/vitest.config.ts');
    expect(badLines(own, isBad)).toEqual([]);
  });

  test('use our words, and leave nothing for later', () => {
    expect(badLines(texts, (line) => BANNED.test(line))).toEqual([]);
  });
});

test(`the pure core has ${MOST_CORE_LINES} lines at most`, () => {
  const sizes = CORE.map((room) => {
    const own = inSource.filter(({ path }) => roomOf(path) === room);
    return { room, lines: own.reduce((sum, { text }) => sum + text.split('\n').length - 1, 0) };
  });
  const total = sizes.reduce((sum, { lines }) => sum + lines, 0);
  const parts = sizes.map(({ room, lines }) => `${room} ${lines}`).join(', ');
  process.stdout.write(`Lines of the pure core: ${total} (${parts})\n`);
  expect(total).toBeLessThanOrEqual(MOST_CORE_LINES);
});

// Child processes of tests are written in TypeScript, which Node 20 does not run: their types are
// taken off into a folder for the occasion, and what they import of the package is its build.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const BUILD = new URL('../../dist/src/', import.meta.url);

/** The reason that children cannot run, or undefined. */
export const whyNoBuild = (): string | undefined =>
  existsSync(BUILD) ? undefined : 'skipped: not built, run "npm run build"';

export interface CompiledFolder {
  /** The path of a compiled file, such as `station-child.js`. */
  path(name: string): string;
  remove(): void;
}

/** Compiles files of this directory. */
export function compileChildren(names: readonly string[]): CompiledFolder {
  const folder = mkdtempSync(join(tmpdir(), 'furiwake-children-'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const name of names) {
    const source = readFileSync(new URL(name, import.meta.url), 'utf8');
    const compilerOptions = { module: ModuleKind.ESNext, target: ScriptTarget.ES2023 };
    const { outputText } = transpileModule(source, { compilerOptions });
    const linked = outputText
      .replace(/(from ')\.\.\/\.\.\/src\/(.*)\.ts'/g, `$1${BUILD.href}$2.js'`)
      .replace(/(from '\.\/.*)\.ts'/g, "$1.js'");
    writeFileSync(join(folder, name.replace(/\.ts$/, '.js')), linked);
  }
  return {
    path: (name) => join(folder, name),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

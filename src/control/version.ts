// The version in package.json, which lies above this file in the sources and in the build alike.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The version of this package, such as `0.1.0`. */
export function packageVersion(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  const content = readFileSync(join(directory, 'package.json'), 'utf8');
  return (JSON.parse(content) as { version: string }).version;
}

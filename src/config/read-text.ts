// Reads the text of a configuration from a file, or from a pipe as people give it: /dev/stdin, and
// /dev/fd/63 of the shell's <(...).
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';

/** No configuration is larger; a device may never end. */
const MOST_BYTES = 16 * 2 ** 20;

/**
 * The text of a file; a pipe is read to its end, however long its writer takes.
 * @throws Error of the system, or one that says what the path is instead of a configuration
 */
export function readText(path: string): string {
  const stat = statSync(path);
  // A terminal may be the standard input.
  if (stat.isCharacterDevice() && stat.rdev !== fstatSync(0).rdev) throw new Error('a device');
  const file = openSync(path, 'r');
  try {
    const parts: Buffer[] = [];
    for (let left = MOST_BYTES; left >= 0; ) {
      const part = Buffer.alloc(65_536);
      const length = readSync(file, part);
      if (length === 0) return Buffer.concat(parts).toString('utf8');
      parts.push(part.subarray(0, length));
      left -= length;
    }
  } finally {
    closeSync(file);
  }
  throw new Error(`more than ${MOST_BYTES / 2 ** 20} MiB`);
}

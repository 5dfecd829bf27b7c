// How long a thread stood in line for a processor that others had: the second figure of its
// schedstat (Documentation/scheduler/sched-stats.rst). It tells a loop that shares its processor
// from one that has it to itself. Reading it allocates nothing.
import { closeSync, openSync, readSync } from 'node:fs';

export interface RunDelay {
  /** Milliseconds since the thread began; 0 for ever where the kernel keeps no such figure. */
  read(): number;
  close(): void;
}

const SPACE = 0x20;
const ZERO = 0x30;

/** For the calling thread. */
export function openRunDelay(path = '/proc/thread-self/schedstat'): RunDelay {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return { read: () => 0, close: () => {} };
  }
  const text = Buffer.alloc(64);
  return {
    read: () => secondNumber(text, readSync(fd, text, 0, text.length, 0)) / 1e6,
    close: () => closeSync(fd),
  };
}

function secondNumber(text: Buffer, end: number): number {
  let at = 0;
  while (at < end && text[at] !== SPACE) at++;
  let number = 0;
  for (at++; at < end && text[at] !== SPACE; at++) number = number * 10 + (text[at]! - ZERO);
  return number;
}

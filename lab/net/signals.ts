// Labs end in order on Ctrl-C, SIGTERM and a closed terminal: the signal closes every open lab of
// the process and then ends it with the code a shell expects. A command that has something to keep
// may take the first signal for itself. Handlers are there only while a lab or such a command is.
import { constants } from 'node:os';
import process from 'node:process';

interface Closable {
  close(): Promise<void>;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const open = new Set<Closable>();
let exitCode: number | undefined;
let takeFirst: (() => void) | undefined;
let listening = false;

/** Closes `lab` when a signal comes, until it is forgotten. */
export function closeOnSignal(lab: Closable): void {
  open.add(lab);
  listen();
}

export function forget(lab: Closable): void {
  open.delete(lab);
  listen();
}

/**
 * Gives the first signal to `take` alone, for a command that keeps what it has and then ends by
 * itself; the next one closes the labs and ends the process as ever.
 * @returns what gives up that right
 */
export function takeFirstSignal(take: () => void): () => void {
  takeFirst = take;
  listen();
  return () => {
    takeFirst = undefined;
    listen();
  };
}

/** Closes every open lab of this process, also those that are still being built. */
export async function closeAllLabs(): Promise<void> {
  await Promise.allSettled([...open].map((lab) => lab.close()));
}

/** For a command whose ordinary end is a signal: the exit code then, instead of 128 + signal. */
export function exitOnSignalWith(code: number): void {
  exitCode = code;
}

function listen(): void {
  const wanted = open.size > 0 || takeFirst !== undefined;
  if (wanted === listening) return;
  listening = wanted;
  for (const signal of SIGNALS) process[wanted ? 'on' : 'off'](signal, onSignal);
}

function onSignal(signal: NodeJS.Signals): void {
  if (takeFirst !== undefined) {
    const take = takeFirst;
    // Still listening: a second signal must not end the process before the labs are gone.
    takeFirst = undefined;
    take();
    return;
  }
  void closeAllLabs().then(() => {
    process.exit(exitCode ?? 128 + constants.signals[signal]);
  });
}

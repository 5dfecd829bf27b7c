// Labs end in order on Ctrl-C, SIGTERM and a closed terminal: the signal closes every open lab of
// the process and then ends it with the code a shell expects. Handlers are there only while a lab
// is.
import { constants } from 'node:os';
import process from 'node:process';

interface Closable {
  close(): Promise<void>;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const open = new Set<Closable>();
let exitCode: number | undefined;

/** Closes `lab` when a signal comes, until it is forgotten. */
export function closeOnSignal(lab: Closable): void {
  if (open.size === 0) for (const signal of SIGNALS) process.on(signal, onSignal);
  open.add(lab);
}

export function forget(lab: Closable): void {
  open.delete(lab);
  if (open.size === 0) for (const signal of SIGNALS) process.off(signal, onSignal);
}

/** For a command whose ordinary end is a signal: the exit code then, instead of 128 + signal. */
export function exitOnSignalWith(code: number): void {
  exitCode = code;
}

function onSignal(signal: NodeJS.Signals): void {
  const closing = [...open].map((lab) => lab.close());
  void Promise.allSettled(closing).then(() => {
    process.exit(exitCode ?? 128 + constants.signals[signal]);
  });
}

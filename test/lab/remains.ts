// What is left of a lab: a list that must be empty after its end.
import { existsSync } from 'node:fs';
import { run } from '../../lab/net/command.ts';
import { labNamespaces, startTicksOf, stateFile } from '../../lab/net/state.ts';

/** Processes that run in a lab's namespaces now. */
export async function processesOf(id: string): Promise<number[]> {
  const pids = await Promise.all(
    labNamespaces(id).map(async (namespace) => {
      const { stdout } = await run(['ip', 'netns', 'pids', namespace]);
      return stdout.split('\n').filter(Boolean).map(Number);
    }),
  );
  return pids.flat();
}

export interface Known {
  readonly id: string;
  readonly directory: string;
  /** Processes that ran in it. */
  readonly pids: readonly number[];
}

/** Namespaces, files and processes of a lab that are still there. */
export function remainsOf({ id, directory, pids }: Known): string[] {
  return [
    ...labNamespaces(id).map((name) => `namespace ${name}`),
    ...[stateFile(id), directory].filter((path) => existsSync(path)),
    ...pids.filter((pid) => startTicksOf(pid) !== undefined).map((pid) => `process ${pid}`),
  ];
}

// What a reload may change. Services and reals go into a new table; everything that sockets, memory
// or threads were made for stays until the next start, and a file that changes it is refused whole.
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { Table } from '../director/table.ts';
import { wantedFrames } from './wanted-frames.ts';

/** Fields fixed at start, with the name that the file has for them. */
const FIXED = [
  ['interfaces', 'interfaces'],
  ['datapath', 'datapath'],
  ['workers', 'workers'],
  ['guard', 'guard'],
  ['socket', 'socket'],
  ['ringSlots', 'ring.slots'],
  ['maximumFlows', 'flows.maximum'],
  ['maximumHalfOpen', 'flows.halfOpenMaximum'],
] as const satisfies readonly (readonly [keyof Config, string])[];

export type ReloadResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Reads the file of the running configuration again. */
export function reloadConfig(running: Config): ReloadResult {
  const loaded = loadConfig(running.file);
  if (!loaded.ok) return { ok: false, problems: loaded.problems.map(formatProblem) };
  const problems = fixedChanges(running, loaded.config);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: loaded.config };
}

/** What a reload costs that its file does not show. */
export function reloadWarnings(workers: number, before: Table, after: Table): string[] {
  const [old, next] = [wantedFrames(before), wantedFrames(after)];
  const isSame =
    old.clientPrefixLength === next.clientPrefixLength &&
    old.clientPrefixLength6 === next.clientPrefixLength6;
  if (workers === 1 || isSame) return [];
  return [
    'the shortest prefix of persistence is another one, and by it clients are dealt out to the ' +
      'workers: the flows of those who come to another worker are not known there',
  ];
}

/** What the new configuration changes although a running director cannot. */
export function fixedChanges(running: Config, next: Config): string[] {
  return FIXED.filter(([key]) => JSON.stringify(running[key]) !== JSON.stringify(next[key])).map(
    ([key, name]) =>
      `${name} is ${JSON.stringify(running[key])} and becomes ${JSON.stringify(next[key])} ` +
      'only with a restart',
  );
}

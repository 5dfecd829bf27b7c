// What is known of a lab outside its owner: one JSON file each under /run/furiwake-lab, there from
// before the first namespace until after the last. Another terminal finds a lab through it, and a
// lab whose owner died can be told from a living one.
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const STATE_DIRECTORY = '/run/furiwake-lab';

/** Where the kernel's named namespaces are; iproute2 mounts them there. */
export const NAMESPACE_DIRECTORY = '/run/netns';

/** A lab's id is `fw<pid of the owner>-<number>`; its namespaces are `<id>-<host>`. */
export const NAMESPACE_NAME = /^(fw(\d+)-\d+)-/;

export interface LabState {
  readonly id: string;
  /** Name of the topology, or what else the lab is for. */
  readonly title: string;
  readonly ownerPid: number;
  /** Start time of the owner in clock ticks since boot; a later process may get the same pid. */
  readonly ownerStartTicks: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Directory of the lab's files: configuration, logs, the director's socket. */
  readonly directory: string;
  readonly hosts: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  /** What a visitor may want to find: name to path. */
  readonly files: Readonly<Record<string, string>>;
}

export function stateFile(id: string): string {
  return join(STATE_DIRECTORY, `${id}.json`);
}

/** Written beside and renamed, so that a reader never sees half of it. */
export function writeState(state: LabState): void {
  mkdirSync(STATE_DIRECTORY, { recursive: true });
  const fresh = `${stateFile(state.id)}.new`;
  writeFileSync(fresh, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(fresh, stateFile(state.id));
}

/** Every lab with a state file, in the order of their start. */
export function readStates(): LabState[] {
  return namesIn(STATE_DIRECTORY)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => readState(name.slice(0, -'.json'.length)) ?? [])
    .sort((a, b) => a.startedAtMs - b.startedAtMs);
}

export function readState(id: string): LabState | undefined {
  try {
    return JSON.parse(readFileSync(stateFile(id), 'utf8')) as LabState;
  } catch {
    // Swept between the listing and the reading.
    return undefined;
  }
}

export function isOwnerAlive(state: LabState): boolean {
  return startTicksOf(state.ownerPid) === state.ownerStartTicks;
}

/** Start time of a process in clock ticks since boot (proc(5), stat, field 22), if it runs. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold blanks and brackets, so count from behind its last bracket.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : fields[18];
  } catch {
    return undefined;
  }
}

/** Names of the namespaces of all labs, or of one. */
export function labNamespaces(id?: string): string[] {
  return namesIn(NAMESPACE_DIRECTORY).filter((name) => {
    const found = NAMESPACE_NAME.exec(name);
    return found !== null && (id === undefined || found[1] === id);
  });
}

/** Ids of labs whose owner is dead: those with a state file, and those with namespaces alone. */
export function orphans(): string[] {
  const states = readStates();
  const known = new Set(states.map((state) => state.id));
  const dead = states.filter((state) => !isOwnerAlive(state)).map((state) => state.id);
  const nameless = labNamespaces()
    .map((name) => NAMESPACE_NAME.exec(name)!)
    .filter(([, id, pid]) => !known.has(id!) && startTicksOf(Number(pid)) === undefined)
    .map(([, id]) => id!);
  return [...new Set([...dead, ...nameless])];
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

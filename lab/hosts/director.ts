// The director as a user would run it: a process of its own on the host `director`, started from
// the built package with a configuration file, asked over its API, ended with SIGTERM.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fetchStatus } from '../../src/control/api.ts';
import type { Status } from '../../src/control/status.ts';
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { type ConfigOptions, configText } from '../topologies/config-text.ts';
import { directorOf, type Network, type Topology } from '../topologies/topology.ts';
import { until } from '../wait.ts';

export type DirectorOptions = Omit<ConfigOptions, 'socket'>;

export interface Director {
  readonly daemon: Daemon;
  readonly configFile: string;
  /** Path of its API's Unix socket. */
  readonly socket: string;
  status(): Promise<Status>;
  /** Ends it with SIGTERM and returns the summary that it prints, as parsed JSON. */
  stop(): Promise<unknown>;
}

/** The node process needs a moment to start, more on a busy machine. */
const START_TIMEOUT_MS = 30_000;
const RESOLVE_TIMEOUT_MS = 10_000;

/**
 * Starts the director and waits until it answers and has looked for the MAC address of each real.
 */
export async function startDirector(
  lab: Lab,
  topology: Topology,
  options: DirectorOptions,
): Promise<Director> {
  return startDirectorWith(lab, topology, (socket) => configText(topology, { ...options, socket }));
}

/**
 * The same with a configuration of the caller's own.
 * @param textFor gives the text of furiwake.yaml for the path of the API's socket
 */
export async function startDirectorWith(
  lab: Lab,
  network: Network,
  textFor: (socket: string) => string,
): Promise<Director> {
  const { name } = directorOf(network);
  const socket = join(lab.directory, 'director.sock');
  const configFile = lab.writeFile('furiwake.yaml', textFor(socket));
  const argv = [process.execPath, mainProgram(), 'run', '--config', configFile, '--json'];
  const daemon = lab.spawn(name, { name: 'furiwake', argv });
  const director: Director = {
    daemon,
    configFile,
    socket,
    status: () => fetchStatus(socket),
    stop: () => stop(daemon),
  };
  await waitUntilReady(director);
  lab.noteFile('config', configFile);
  lab.noteFile('socket', socket);
  return director;
}

async function waitUntilReady(director: Director): Promise<void> {
  const giveUp = director.daemon.whyNot;
  await until('the director to answer on its socket', () => director.status(), {
    timeoutMs: START_TIMEOUT_MS,
    giveUp,
  });
  await until('the director to look for the MAC address of each real', () => resolved(director), {
    timeoutMs: RESOLVE_TIMEOUT_MS,
    giveUp,
  });
}

/** A real that does not answer is found `unreachable`, and that is a result too. */
async function resolved(director: Director): Promise<boolean> {
  const { services } = await director.status();
  const reals = services.flatMap((service) => service.reals);
  return reals.every((real) => real.neighbour !== 'resolving');
}

async function stop(daemon: Daemon): Promise<unknown> {
  await daemon.stop('SIGTERM');
  const lines = readFileSync(daemon.outputFile, 'utf8').trim();
  try {
    return JSON.parse(lines) as unknown;
  } catch {
    // Lines of JSON: the summary is the last.
    return parseLine(lines.split('\n').at(-1) ?? '');
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}

/** The built CLI; this file may itself run from the sources, in tests. */
export function mainProgram(): string {
  const main = join(packageRoot(import.meta.dirname), 'dist', 'src', 'cli', 'main.js');
  if (!existsSync(main)) throw new Error(`${main} is missing; build it with: npm run build`);
  return main;
}

function packageRoot(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  return packageRoot(dirname(directory));
}

// MariaDB on the reals: a database that nobody here wrote, one process a real, each with its own
// copy of the same data. It is set up in the lab's directory alone, reads no configuration of the
// machine, and asks nobody who they are: there is nothing to protect.
import { existsSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { until } from '../wait.ts';
import { isListening } from './listening.ts';

export const SQL_PORT = 3306;

const INSTALL_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 30_000;

/**
 * Each option with why it is so; the rest is as MariaDB comes. A thread for each connection
 * (thread_handling) is its default, and what servers of the talks' time did.
 */
export const MARIADB_OPTIONS: readonly (readonly [option: string, why: string])[] = [
  ['skip-grant-tables', 'anybody may read'],
  ['skip-name-resolve', 'there is no DNS, and a lookup for each connection would be measured'],
  ['skip-log-bin', 'a read slave without slaves of its own'],
  ['bind-address=0.0.0.0', 'a real behind DSR is asked by the VIP'],
  [`port=${SQL_PORT}`, 'as the talk had it'],
  ['max-connections=2000', 'all connections must fit onto one real if the others die'],
  ['back-log=2000', 'all of them may come at once'],
  ['open-files-limit=8192', 'a file for each connection and table'],
  ['thread-cache-size=800', 'threads of an earlier run are used again'],
  ['performance-schema=OFF', 'it costs memory and time'],
  ['innodb-buffer-pool-size=32M', 'holds all rows'],
  ['innodb-log-file-size=4M', 'hardly anything is written'],
  ['key-buffer-size=1M', 'no table of that kind'],
  ['aria-pagecache-buffer-size=1M', 'no table of that kind'],
  ['innodb-flush-log-at-trx-commit=0', 'nothing here must outlive a crash'],
];

/** The text of the options as a file that MariaDB reads. */
export function mariadbConfig(): string {
  const lines = MARIADB_OPTIONS.map(([option, why]) => `# ${why}\n${option}`);
  return `[mariadbd]\n${lines.join('\n')}\n`;
}

/** Sets MariaDB up in the lab's directory `name`, with an empty database; returns its path. */
export async function installMariadb(
  lab: Lab,
  host: string,
  { name, database }: { readonly name: string; readonly database: string },
): Promise<string> {
  const directory = join(lab.directory, name);
  const config = configFile(lab);
  const argv = ['mariadb-install-db', `--defaults-file=${config}`, '--user=root'];
  argv.push(`--datadir=${directory}`, '--auth-root-authentication-method=normal');
  argv.push('--skip-test-db', '--skip-name-resolve');
  await lab.exec(host, argv, { timeoutMs: INSTALL_TIMEOUT_MS });
  // A database is a directory with a file of options (MariaDB, CREATE DATABASE).
  await mkdir(join(directory, database));
  return directory;
}

/** Copies the directory of a database that is not running. */
export async function copyMariadb(lab: Lab, from: string, name: string): Promise<string> {
  const directory = join(lab.directory, name);
  await mkdir(directory, { recursive: true });
  await cp(from, directory, { recursive: true });
  return directory;
}

export interface MariadbOptions {
  readonly directory: string;
  /** `read-only` refuses whatever would write, as a read slave does. */
  readonly access: 'read-write' | 'read-only';
}

/** Starts a database on `host` and waits until it listens. */
export async function startMariadb(
  lab: Lab,
  host: string,
  { directory, access }: MariadbOptions,
): Promise<Daemon> {
  const argv = ['mariadbd', `--defaults-file=${configFile(lab)}`, '--user=root'];
  argv.push(`--datadir=${directory}`, `--tmpdir=${directory}`);
  argv.push(`--socket=${join(directory, 'sock')}`, `--pid-file=${join(directory, 'pid')}`);
  if (access === 'read-only') argv.push('--read-only');
  const daemon = lab.spawn(host, { name: `mariadbd-${access}`, argv });
  await until(
    `mariadbd on ${host} to listen on port ${SQL_PORT}`,
    () => isListening(lab, host, 'tcp', SQL_PORT),
    { timeoutMs: START_TIMEOUT_MS, giveUp: daemon.whyNot },
  );
  return daemon;
}

function configFile(lab: Lab): string {
  const path = join(lab.directory, 'mariadb.cnf');
  return existsSync(path) ? path : lab.writeFile('mariadb.cnf', mariadbConfig());
}

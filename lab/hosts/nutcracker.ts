// nutcracker (twemproxy): a proxy in front of memcached, a program that nobody here wrote. It
// listens on every address of its host, because behind DSR it is asked by the VIP.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { until } from '../wait.ts';
import { isListening } from './listening.ts';

export const NUTCRACKER_PORT = 22121;

export interface NutcrackerOptions {
  readonly host: string;
  /** Address and port of the memcached behind it. */
  readonly server: string;
}

/** Starts it on `host` and waits until it listens. */
export async function startNutcracker(
  lab: Lab,
  { host, server }: NutcrackerOptions,
): Promise<Daemon> {
  const config = join(lab.directory, 'nutcracker.yml');
  if (!existsSync(config)) lab.writeFile('nutcracker.yml', nutcrackerConfig(server));
  const pidFile = join(lab.directory, `${host}-nutcracker.pid`);
  // Its log would otherwise go where the machine's own nutcracker has it.
  const log = join(lab.directory, `${host}-nutcracker.log`);
  const argv = ['nutcracker', '-c', config, '-p', pidFile, '-o', log, '-a', '127.0.0.1'];
  const daemon = lab.spawn(host, { name: 'nutcracker', argv });
  await until(
    `nutcracker on ${host} to listen on port ${NUTCRACKER_PORT}`,
    () => isListening(lab, host, 'tcp', NUTCRACKER_PORT),
    { giveUp: daemon.whyNot },
  );
  return daemon;
}

/** The text of nutcracker.yml. */
export function nutcrackerConfig(server: string): string {
  return `# twemproxy in front of memcached
cache:
  listen: 0.0.0.0:${NUTCRACKER_PORT}
  hash: fnv1a_64
  distribution: ketama
  # there is one memcached, and nowhere else to send its keys
  auto_eject_hosts: false
  timeout: 400
  # connected before the first client asks
  preconnect: true
  servers:
   - ${server}:1 memcached
`;
}

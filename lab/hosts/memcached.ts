// memcached: the cache itself, a program that nobody here wrote.
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { until } from '../wait.ts';
import { isListening } from './listening.ts';

export const MEMCACHED_PORT = 11211;

/** Its command line; options that are not there are as memcached comes. */
export const MEMCACHED_ARGV: readonly string[] = [
  ...['memcached', '-u', 'root', '-p', String(MEMCACHED_PORT), '-l', '0.0.0.0'],
  // Megabytes: room for every key that a load asks for, so that none is missed.
  ...['-m', '256'],
];

/** Starts it on `host` and waits until it listens. */
export async function startMemcached(lab: Lab, host: string): Promise<Daemon> {
  const daemon = lab.spawn(host, { name: 'memcached', argv: MEMCACHED_ARGV });
  await until(
    `memcached on ${host} to listen on port ${MEMCACHED_PORT}`,
    () => isListening(lab, host, 'tcp', MEMCACHED_PORT),
    { giveUp: daemon.whyNot },
  );
  return daemon;
}

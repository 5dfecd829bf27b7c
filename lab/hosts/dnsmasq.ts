// dnsmasq on the reals: a name server that nobody here wrote, for short exchanges by UDP.
import type { Lab } from '../net/lab.ts';
import type { Daemon } from '../net/processes.ts';
import { until } from '../wait.ts';
import { isListening } from './listening.ts';

export const DNS_PORT = 53;

/**
 * Starts it on `host` and waits until it listens.
 * @param names what it knows: name to IPv4 address, and nothing else
 */
export async function startDnsmasq(
  lab: Lab,
  host: string,
  names: Readonly<Record<string, string>>,
): Promise<Daemon> {
  const records = Object.entries(names).map(([name, address]) => `--address=/${name}/${address}`);
  const own = ['--keep-in-foreground', '--user=root', '--pid-file', '--conf-file=/dev/null'];
  const argv = ['dnsmasq', ...own, '--no-resolv', '--no-hosts', ...records];
  const daemon = lab.spawn(host, { name: 'dnsmasq', argv });
  await until(
    `dnsmasq on ${host} to listen on port ${DNS_PORT}`,
    () => isListening(lab, host, 'udp', DNS_PORT),
    { giveUp: daemon.whyNot },
  );
  return daemon;
}

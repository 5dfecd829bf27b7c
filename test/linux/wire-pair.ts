// Two throw-away network namespaces joined by a veth pair, for tests that need a wire: `near` and
// `far`, each with an interface eth0 (10.7.0.1/24 and 10.7.0.2/24). IPv6 is off, so that the wire
// carries nothing but what a test sends, and ARP.
import { execFileSync } from 'node:child_process';

export interface WirePair {
  /** Names of the namespaces. */
  readonly near: string;
  readonly far: string;
  readonly nearMac: string;
  readonly farMac: string;
  /** Runs a command in a namespace and returns its standard output. */
  run(namespace: string, ...command: string[]): string;
  remove(): void;
}

const NEAR_MAC = '02:00:00:00:07:01';
const FAR_MAC = '02:00:00:00:07:02';

let made = 0;

export function makeWirePair(): WirePair {
  made += 1;
  const near = `fwt-near-${process.pid}-${made}`;
  const far = `fwt-far-${process.pid}-${made}`;
  const ip = (...command: string[]) => execFileSync('ip', command, { encoding: 'utf8' });
  const run = (namespace: string, ...command: string[]) =>
    ip('netns', 'exec', namespace, ...command);
  ip('netns', 'add', near);
  ip('netns', 'add', far);
  const end = ['type', 'veth', 'peer', 'name', 'eth0', 'address', FAR_MAC, 'netns', far];
  ip('-n', near, 'link', 'add', 'eth0', 'address', NEAR_MAC, ...end);
  for (const [namespace, address] of [
    [near, '10.7.0.1/24'],
    [far, '10.7.0.2/24'],
  ] as const) {
    run(namespace, 'sysctl', '-q', '-w', 'net.ipv6.conf.all.disable_ipv6=1');
    ip('-n', namespace, 'address', 'add', address, 'dev', 'eth0');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  }
  const remove = () => {
    for (const name of [near, far]) ip('netns', 'del', name);
  };
  return { near, far, nearMac: NEAR_MAC, farMac: FAR_MAC, run, remove };
}

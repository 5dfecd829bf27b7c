// Two throw-away network namespaces joined by two veth pairs without any address: `director` with
// eth0 and eth1, and `hosts` with their far ends of the same names. IPv6 is off, so that the wires
// carry nothing but what a test sends.
import { execFileSync } from 'node:child_process';
import { ARM_MACS, ARM_MTUS, FAR_MACS } from './station.ts';

export interface Wires {
  /** Names of the namespaces. */
  readonly director: string;
  readonly hosts: string;
  /** Runs a command in a namespace and returns its standard output. */
  run(namespace: string, ...command: string[]): string;
  /** Kernel index of one of the director's interfaces. */
  indexOf(name: string): number;
  remove(): void;
}

let made = 0;

export function makeWires(): Wires {
  made += 1;
  const director = `fwt-dp-d-${process.pid}-${made}`;
  const hosts = `fwt-dp-h-${process.pid}-${made}`;
  const ip = (...command: string[]) => execFileSync('ip', command, { encoding: 'utf8' });
  const run = (namespace: string, ...command: string[]) =>
    ip('netns', 'exec', namespace, ...command);
  for (const name of [director, hosts]) {
    ip('netns', 'add', name);
    run(name, 'sysctl', '-q', '-w', 'net.ipv6.conf.all.disable_ipv6=1');
    run(name, 'sysctl', '-q', '-w', 'net.ipv6.conf.default.disable_ipv6=1');
  }
  for (const [index, mac] of ARM_MACS.entries()) {
    const name = `eth${index}`;
    const far = ['peer', 'name', name, 'address', FAR_MACS[index]!, 'netns', hosts];
    ip('-n', director, 'link', 'add', name, 'address', mac, 'type', 'veth', ...far);
    for (const end of [director, hosts]) {
      ip('-n', end, 'link', 'set', name, 'mtu', String(ARM_MTUS[index]), 'up');
    }
  }
  return {
    director,
    hosts,
    run,
    indexOf: (name) => Number(run(director, 'cat', `/sys/class/net/${name}/ifindex`)),
    remove: () => {
      for (const name of [director, hosts]) ip('netns', 'del', name);
    },
  };
}

// What the lab needs before it may begin: root, and programs that nobody here wrote. A lack gives
// one message with the command that mends it, before anything is built.
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../src/cli/errors.ts';
import { environment } from './net/command.ts';

/** The caller asked for something that cannot be: a clear message, exit code 2. */
export class UsageError extends OperatorError {
  constructor(message: string) {
    super(message, 2);
  }
}

/** What every lab needs: program to the Debian package that brings it. */
const BASE_PACKAGES = {
  ip: 'iproute2',
  ss: 'iproute2',
  ethtool: 'ethtool',
  nft: 'nftables',
  nginx: 'nginx-light',
  iperf3: 'iperf3',
  curl: 'curl',
  ping: 'iputils-ping',
} as const;

/** What single measures and peers need beside that. */
const MORE_PACKAGES = {
  mariadbd: 'mariadb-server',
  'mariadb-install-db': 'mariadb-server',
  sysbench: 'sysbench',
  tshark: 'tshark',
  taskset: 'util-linux',
  sockperf: 'sockperf',
  wrk: 'wrk',
  haproxy: 'haproxy',
  ipvsadm: 'ipvsadm',
  sysctl: 'procps',
  memcached: 'memcached',
  nutcracker: 'nutcracker',
  memcaslap: 'libmemcached-tools',
  traceroute: 'traceroute',
  dig: 'bind9-dnsutils',
  dnsmasq: 'dnsmasq-base',
  hping3: 'hping3',
  nmap: 'nmap',
  scapy: 'python3-scapy',
  python3: 'python3',
} as const;

const PACKAGES = { ...BASE_PACKAGES, ...MORE_PACKAGES };

export type Program = keyof typeof PACKAGES;

export const ALL_PROGRAMS = Object.keys(BASE_PACKAGES) as Program[];

/** Why a lab cannot be built here, or undefined if it can. */
export function whyNoLab(programs: readonly Program[] = ALL_PROGRAMS): string | undefined {
  if (process.getuid?.() !== 0) {
    return 'the lab needs root, because it makes network namespaces; run the command with sudo';
  }
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) return undefined;
  const packages = [...new Set(missing.map((program) => PACKAGES[program]))].sort();
  return (
    `the lab needs ${missing.join(', ')}, not installed here; ` +
    `run: apt-get install --no-install-recommends ${packages.join(' ')}`
  );
}

/** @throws UsageError if a lab cannot be built here */
export function requireLab(programs: readonly Program[] = ALL_PROGRAMS): void {
  const reason = whyNoLab(programs);
  if (reason !== undefined) throw new UsageError(reason);
}

function isInstalled(program: string): boolean {
  return (environment().PATH ?? '').split(':').some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return directory !== '';
    } catch {
      return false;
    }
  });
}

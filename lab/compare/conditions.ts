// Under which conditions a comparison ran: the machine, its load before, and the versions of all
// programs that took part. Figures of two machines cannot be compared without them.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { run } from '../net/command.ts';
import type { Conditions } from './result.ts';

/** What each program is asked for its version with; all of them answer at once and end. */
const ASKED: readonly (readonly [program: string, option: string])[] = [
  ['curl', '--version'],
  ['haproxy', '-v'],
  ['ipvsadm', '--version'],
  ['iperf3', '--version'],
  ['mariadbd', '--version'],
  ['memaslap', '--version'],
  ['memcached', '-V'],
  ['nft', '--version'],
  ['nginx', '-v'],
  ['nutcracker', '-V'],
  ['sockperf', '--version'],
  ['sysbench', '--version'],
  ['tshark', '--version'],
  ['wrk', '-v'],
];
const VERSION_TIMEOUT_MS = 5_000;

export async function readConditions(): Promise<Conditions> {
  const processors = cpus();
  const asked = await Promise.all(ASKED.map(versionOf));
  const found = asked.filter((entry) => entry !== undefined);
  return {
    kernel: release(),
    cpus: processors.length,
    cpuModel: processors[0]?.model.trim() ?? 'unknown',
    memoryBytes: totalmem(),
    node: process.version,
    congestionControl: congestionControl(),
    loadBefore: loadavg()[0] ?? 0,
    versions: Object.fromEntries([['furiwake', ownVersion()], ...found]),
  };
}

function congestionControl(): string {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

async function versionOf([program, option]: readonly [string, string]) {
  const options = { onFailure: 'return', timeoutMs: VERSION_TIMEOUT_MS } as const;
  const { stdout, stderr } = await run([program, option], options);
  const version = versionIn(`${stdout}\n${stderr}`);
  return version === undefined ? undefined : ([program, version] as const);
}

/** The first thing that looks like a version: `2.6.12-1+deb12u4` of HAProxy's long line. */
export function versionIn(text: string): string | undefined {
  return /(?<![\w.])v?(\d+\.\d+[\w.+~-]*)/.exec(text.replaceAll(/nutcracker-|nginx\//g, ''))?.[1];
}

function ownVersion(): string {
  // From lab/compare or from dist/lab/compare.
  for (const up of ['../..', '../../..']) {
    try {
      const text = readFileSync(new URL(`${up}/package.json`, import.meta.url), 'utf8');
      return String((JSON.parse(text) as { version?: unknown }).version ?? 'unknown');
    } catch {
      // The next one up.
    }
  }
  return 'unknown';
}

// A throw-away network namespace for tests: a veth pair `eth0` (up, 10.1.0.1/24) and `peer0`. Where
// namespaces cannot be made, `whyNoNamespace` says why, for the name of the skipped suite.
import { execFileSync, spawnSync } from 'node:child_process';

export interface Namespace {
  readonly name: string;
  /** Runs a command in the namespace and returns its standard output. */
  run(...command: string[]): string;
  remove(): void;
}

let made = 0;

/** The reason that no namespace can be made here, or undefined. */
export function whyNoNamespace(): string | undefined {
  const name = `fwt-probe-${process.pid}`;
  const add = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (add.error !== undefined) return 'skipped: iproute2 is not installed';
  if (add.status !== 0) return `skipped: no namespaces here, run as root (${add.stderr.trim()})`;
  execFileSync('ip', ['netns', 'del', name]);
  return undefined;
}

export function makeNamespace(): Namespace {
  made += 1;
  const name = `fwt-linux-${process.pid}-${made}`;
  const run = (...command: string[]) =>
    execFileSync('ip', ['netns', 'exec', name, ...command], { encoding: 'utf8' });
  execFileSync('ip', ['netns', 'add', name]);
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'peer0');
  run('ip', 'address', 'add', '10.1.0.1/24', 'dev', 'eth0');
  run('ip', 'link', 'set', 'eth0', 'up');
  run('ip', 'link', 'set', 'peer0', 'up');
  return { name, run, remove: () => void execFileSync('ip', ['netns', 'del', name]) };
}

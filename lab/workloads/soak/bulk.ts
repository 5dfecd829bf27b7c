// One long download at a fixed pace, by iperf3: a single flow that lives as long as the soak. Its
// client says every second what it received; a soak reads that as it comes.
import { readFileSync } from 'node:fs';
import type { Lab } from '../../net/lab.ts';
import type { Daemon } from '../../net/processes.ts';
import { IPERF_PORT } from '../../topologies/topology.ts';

export interface BulkOptions {
  readonly host: string;
  readonly address: string;
  readonly bitsPerSecond: number;
}

export interface Bulk {
  /** Received since the last asking, over the whole seconds that are told; 0 if none are. */
  takeBitsPerSecond(): number;
  /** Why it does not go on, or undefined. */
  readonly whyNot: () => string | undefined;
  stop(): Promise<void>;
}

export function startBulk(lab: Lab, { host, address, bitsPerSecond }: BulkOptions): Bulk {
  const argv = ['iperf3', '-c', address, '-p', String(IPERF_PORT), '-R', '--forceflush'];
  // No end of its own; a line a second, in thousands of bits.
  argv.push('-t', '0', '-b', String(bitsPerSecond), '-i', '1', '-f', 'k');
  argv.push('--connect-timeout', '3000');
  const daemon: Daemon = lab.spawn(host, { name: 'iperf3-bulk', argv });
  let seen = 0;
  return {
    takeBitsPerSecond() {
      const text = readFileSync(daemon.outputFile, 'utf8');
      const end = text.lastIndexOf('\n') + 1;
      const fresh = readIntervals(text.slice(seen, end));
      seen = end;
      const seconds = fresh.reduce((sum, each) => sum + each.seconds, 0);
      const bits = fresh.reduce((sum, each) => sum + each.bits, 0);
      return seconds === 0 ? 0 : bits / seconds;
    },
    whyNot: daemon.whyNot,
    stop: async () => void (await daemon.stop('SIGINT')),
  };
}

export interface Interval {
  readonly seconds: number;
  readonly bits: number;
}

/** Reads the lines of single intervals; the sums at the end name a sender or a receiver. */
export function readIntervals(text: string): Interval[] {
  const line = /^\[ *\d+\] +([\d.]+)-([\d.]+) +sec .* ([\d.]+) Kbits\/sec *(.*)$/gm;
  return [...text.matchAll(line)]
    .filter((match) => match[4] === '')
    .map((match) => {
      const seconds = Number(match[2]) - Number(match[1]);
      return { seconds, bits: Number(match[3]) * 1000 * seconds };
    });
}

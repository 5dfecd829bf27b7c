// memcaslap (memaslap of libmemcached) on the client: load on caches by a program that nobody here
// wrote. It holds many connections open and asks on each again as soon as the answer is there.
import type { Lab } from '../net/lab.ts';

export interface MemcaslapOptions {
  readonly host: string;
  /** Address and port of each server; every one gets as many connections. */
  readonly servers: readonly string[];
  /** Over all servers; a multiple of `threads`. */
  readonly connections: number;
  /** A multiple of the number of servers; each is held on one processor, in turn. */
  readonly threads: number;
  readonly seconds: number;
}

export interface MemcaslapResult {
  readonly commandsPerSecond: number;
  /** Commands that were answered as they should be in the first second, or null if not told. */
  readonly firstSecondCommands: number | null;
  /** Answers that were an error, and keys that should have been there. */
  readonly errors: number;
  /** What it wrote, without a line for each error. */
  readonly report: string;
}

/** Keys, values and the mix of commands: memcaslap's own defaults, written down. */
export const MEMCASLAP_CONFIG = `# keys of 64 bytes, values of 1 KiB
key
64 64 1
value
1024 1024 1
# of ten commands one is a set (0) and nine are a get (1)
cmd
0 0.1
1 0.9
`;

/** It makes up keys and values before, and sums up after. */
export const MEMCASLAP_SECONDS_BESIDE = 1.2;
const PATIENCE_SECONDS = 20;
/** Per connection: how many keys it asks for; it takes whole thousands only. */
const WINDOW = '1k';

/** @throws Error with its own words if the load did not take place */
export async function runMemcaslap(lab: Lab, options: MemcaslapOptions): Promise<MemcaslapResult> {
  const { host, servers, connections, threads, seconds } = options;
  const config = lab.writeFile('memcaslap.cnf', MEMCASLAP_CONFIG);
  const argv = ['memcaslap', '-s', servers.join(','), '-F', config, '-w', WINDOW];
  argv.push('-c', String(connections), '-T', String(threads), '-t', `${seconds}s`, '-S', '1s');
  const timeoutMs = (seconds + PATIENCE_SECONDS) * 1000;
  const output = await lab.exec(host, argv, { timeoutMs, onFailure: 'return' });
  if (output.exitCode !== 0) {
    throw new Error(`memcaslap: ${failure(output.stderr, output.exitCode)}`);
  }
  return readMemcaslap(output.stdout);
}

function failure(words: string, exitCode: number): string {
  const said = words.trim().split('\n').at(-1) || 'it said nothing';
  return `exit code ${exitCode}: ${said}`;
}

/**
 * Reads its output. It counts errors as operations too; they are taken out here.
 * @throws Error if it does not end in a result
 */
export function readMemcaslap(text: string): MemcaslapResult {
  const total = /^Run time: [\d.]+s Ops: (\d+) TPS: (\d+)/m.exec(text);
  const operations = Number(total?.[1] ?? 0);
  if (operations === 0) {
    throw new Error(`memcaslap: no commands in its output: ${text.trim().slice(-200)}`);
  }
  // `<7 SERVER_ERROR Connection refused`: what came on socket 7 instead of an answer.
  const refused = text.match(ERROR_LINE)?.length ?? 0;
  const missed = Number(/^get_misses: (\d+)/m.exec(text)?.[1] ?? 0);
  const answered = Math.max(0, operations - refused) / operations;
  return {
    commandsPerSecond: Number(total![2]) * answered,
    firstSecondCommands: firstSecond(text),
    errors: refused + missed,
    report: text.replace(ERROR_LINE, '').replaceAll(CLEAR_SCREEN, ''),
  };
}

const ERROR_LINE = /^<\d+ .*\n?/gm;
/** It wipes a terminal before each dump of statistics. */
const CLEAR_SCREEN = '\u001b[1;1H\u001b[2J\n';

/** Its first dump of statistics is after a second; gets, sets and then both together. */
function firstSecond(text: string): number | null {
  const dump = /^Total Statistics\nType.*\nPeriod +1 +(\d+)/m.exec(text);
  if (dump === null) return null;
  const before = text.slice(0, dump.index).match(ERROR_LINE)?.length ?? 0;
  return Math.max(0, Number(dump[1]) - before);
}

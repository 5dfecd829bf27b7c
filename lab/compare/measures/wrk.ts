// wrk on the client: HTTP by a program that nobody here wrote. It prints text for people, so a
// script of a few lines makes it add one line of JSON with what it counted.
import type { Lab } from '../../net/lab.ts';

export interface WrkOptions {
  readonly host: string;
  readonly url: string;
  readonly connections: number;
  /** Whole seconds. */
  readonly seconds: number;
  /** Sent with every request: `Connection: close`. */
  readonly header?: string;
}

export interface WrkResult {
  readonly requests: number;
  readonly seconds: number;
  /** Of the answers, with their headers. */
  readonly receivedBytes: number;
  /** From a request's sending to its whole answer; without the opening of its connection. */
  readonly p99Seconds: number;
}

/** Also how the line is found among the others. */
const MARK = 'furiwake-wrk ';

const SCRIPT = `-- Adds what wrk counted as one line of JSON.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '${MARK}{"requests":%d,"microseconds":%d,"bytes":%d,"p99":%d,' ..
    '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
`;

const ERRORS = {
  connect: 'connections not opened',
  read: 'read errors',
  write: 'write errors',
  timeout: 'answers later than two seconds',
  status: 'answers without a 2xx or 3xx status',
} as const;

type Report = Readonly<
  Record<'requests' | 'microseconds' | 'bytes' | 'p99' | keyof typeof ERRORS, number>
>;

const TIMEOUT_BESIDE_MS = 10_000;

/** One thread: the machine has other work. @throws Error if there was a single error */
export async function runWrk(lab: Lab, options: WrkOptions): Promise<WrkResult> {
  const { host, url, connections, seconds, header } = options;
  const script = lab.writeFile('wrk-report.lua', SCRIPT);
  const argv = ['wrk', '-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-s', script];
  if (header !== undefined) argv.push('-H', header);
  const timeoutMs = seconds * 1000 + TIMEOUT_BESIDE_MS;
  const output = await lab.exec(host, [...argv, url], { timeoutMs, onFailure: 'return' });
  return readWrk(output.stdout || output.stderr);
}

/** Reads what wrk printed. @throws Error with the errors and their counts, or wrk's own words */
export function readWrk(text: string): WrkResult {
  const line = text.split('\n').find((each) => each.startsWith(MARK));
  if (line === undefined) {
    throw new Error(`wrk: ${text.trim().split('\n')[0]?.slice(0, 200) || 'it said nothing'}`);
  }
  const report = JSON.parse(line.slice(MARK.length)) as Report;
  const errors = Object.entries(ERRORS)
    .filter(([kind]) => report[kind as keyof typeof ERRORS] > 0)
    .map(([kind, words]) => `${report[kind as keyof typeof ERRORS]} ${words}`);
  if (errors.length > 0) {
    throw new Error(`wrk: ${errors.join(', ')} beside ${report.requests} answered requests`);
  }
  if (report.requests === 0) throw new Error('wrk: not one request was answered');
  const { requests, microseconds, bytes, p99 } = report;
  const p99Seconds = p99 / 1e6;
  return { requests, seconds: microseconds / 1e6, receivedBytes: bytes, p99Seconds };
}

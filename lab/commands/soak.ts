// `furiwake lab soak`: long traffic through a director, one line a point as it comes, and all of it
// in soak.json, which is written anew at every point so that no end of the command loses one.
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { bytes, type Colours, coloursFor, duration, number } from '../../src/cli/output.ts';
import type { SoakPoint, SoakResult } from '../compare/result.ts';
import { takeFirstSignal } from '../net/signals.ts';
import { ALL_PROGRAMS, requireLab } from '../requirements.ts';
import { makeResultsDirectory, tryToKeep } from '../results-directory.ts';
import { BULK_BITS_PER_SECOND, REQUEST_CONNECTIONS, soak } from '../workloads/soak/soak.ts';

type Method = SoakResult['method'];

export interface SoakCommandOptions {
  /** Both, one after the other, unless given. */
  readonly method: Method | undefined;
  readonly seconds: number;
  readonly intervalSeconds: number;
  readonly keep?: string | undefined;
  readonly json: boolean;
}

/** What soak.json holds. */
interface SoakFile {
  readonly format: 'furiwake-soak-1';
  readonly startedAt: string;
  readonly seconds: number;
  readonly intervalSeconds: number;
  readonly conditions: Readonly<Record<string, string | number>>;
  readonly soaks: readonly SoakResult[];
}

/** Runs the command. Resolves with its exit code: 0 if all was soaked to the end, else 1. */
export async function runSoak(options: SoakCommandOptions): Promise<number> {
  requireLab([...ALL_PROGRAMS, 'wrk']);
  const directory = makeResultsDirectory('soak', options.keep);
  const colours = coloursFor(process.stdout);
  const say = options.json ? () => {} : (text: string) => console.log(text);
  const head = headOf(options);
  let unkept: string | undefined;
  const write = (soaks: readonly SoakResult[]): boolean => {
    const text = JSON.stringify({ ...head, soaks }, null, 2);
    const problem = tryToKeep(join(directory, 'soak.json'), `${text}\n`);
    if (problem !== undefined && problem !== unkept) console.error(`furiwake: ${problem}`);
    unkept = problem;
    return problem === undefined;
  };
  const done: SoakResult[] = [];
  if (!write(done)) return 2;
  const interruption = new AbortController();
  const giveUpSignal = takeFirstSignal(() => interruption.abort());
  try {
    for (const method of options.method === undefined ? METHODS : [options.method]) {
      if (interruption.signal.aborted) break;
      say(heading(method, options, colours));
      const points: SoakPoint[] = [];
      const result = await soak({
        method,
        seconds: options.seconds,
        intervalSeconds: options.intervalSeconds,
        signal: interruption.signal,
        onPoint: (point, drops) => {
          points.push(point);
          say(pointLine(point));
          write([...done, { method, status: 'partly', reason: 'not ended', points, drops }]);
        },
      });
      done.push(result);
      write(done);
      say(`\n${closing(result, colours)}\n`);
    }
  } finally {
    giveUpSignal();
  }
  if (options.json) console.log(JSON.stringify({ ...head, soaks: done, directory }));
  if (!write(done)) return 1;
  say(`All points: ${join(directory, 'soak.json')}`);
  return done.every(({ status }) => status === 'measured') ? 0 : 1;
}

const METHODS: readonly Method[] = ['dsr', 'nat'];

const headOf = ({ seconds, intervalSeconds }: SoakCommandOptions): Omit<SoakFile, 'soaks'> => ({
  format: 'furiwake-soak-1',
  startedAt: new Date().toISOString(),
  seconds,
  intervalSeconds,
  conditions: { kernel: release(), cpus: availableParallelism(), node: process.version },
});

const COLUMNS = [
  ...(['time', 'bulk Gbit/s', 'requests/s', 'p99 ms', 'memory', 'flows', 'dropped'] as const),
];
const WIDTHS = [14, 12, 11, 8, 12, 9, 9] as const;

const inColumns = (cells: readonly string[]): string =>
  cells.map((cell, index) => cell.padStart(WIDTHS[index] ?? 0)).join(' ');

function heading(method: Method, options: SoakCommandOptions, colours: Colours): string {
  const gigabits = BULK_BITS_PER_SECOND / 1e9;
  const title = ` Soaking ${method.toUpperCase()} for ${duration(options.seconds * 1000)} `;
  return [
    colours.inverse(title),
    `One download at ${gigabits} Gbit/s, and ${REQUEST_CONNECTIONS} requests at a time, ` +
      'each on a connection of its own',
    '',
    colours.dim(inColumns(COLUMNS)),
  ].join('\n');
}

function pointLine(point: SoakPoint): string {
  const { atSeconds, bitsPerSecond, requestsPerSecond, p99Seconds } = point;
  return inColumns([
    duration(atSeconds * 1000),
    (bitsPerSecond / 1e9).toFixed(2),
    requestsPerSecond === null ? '-' : number(requestsPerSecond),
    p99Seconds === null ? '-' : (p99Seconds * 1000).toFixed(2),
    bytes(point.residentBytes),
    number(point.activeFlows),
    number(point.droppedFrames),
  ]);
}

/** What the points show of memory and drops, and of nothing beyond their time. */
function closing({ status, reason, points, drops }: SoakResult, colours: Colours): string {
  const words =
    status === 'measured'
      ? colours.green('Soaked to the end.')
      : colours.red(`${status}: ${reason}`);
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined) return words;
  const half = points[Math.floor(points.length / 2)]!;
  const memory = [first, half, last].map((point) => bytes(point.residentBytes)).join(', ');
  const dropped = Object.entries(drops).map(([name, count]) => `${name} ${number(count)}`);
  return [
    words,
    `Memory at the first point, half way and at the last: ${memory}`,
    `Dropped: ${dropped.join(', ') || 'nothing'}`,
  ].join('\n');
}

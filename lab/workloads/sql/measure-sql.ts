// The first of the two decks' workloads: read-only SQL at growing numbers of connections, direct
// against balanced. The ways take turns at each number of connections, in a balanced order: no way
// always runs first, or after the same one.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  type ConfigFile,
  type SqlPoint,
  type SqlResult,
  WORKLOAD_PATHS,
  type WorkloadPath,
} from '../../compare/result.ts';
import { mariadbConfig, SQL_PORT } from '../../hosts/mariadb.ts';
import { FORWARD_SOURCE, nftForwardRules } from '../../hosts/nft-forward.ts';
import { runSysbench, SQL_ROWS, sysbenchArgv, warmUpSeconds } from '../../hosts/sysbench.ts';
import { type Program, whyNoLab } from '../../requirements.ts';
import { THREE_WAYS, threeWaysConfig } from '../../topologies/three-ways.ts';
import { datapathOf, waysInTurn } from '../ways.ts';
import { FORWARD, openSqlBed, type SqlBed, serversFor } from './bed.ts';

export interface SqlOptions {
  readonly ways: readonly WorkloadPath[];
  readonly connections: readonly number[];
  readonly rounds: number;
  /** How long each point counts in each round, after a warm-up. */
  readonly seconds: number;
  onStep(text: string): void;
  readonly signal?: AbortSignal | undefined;
  /** Logs are kept in its directory `sql`. */
  readonly directory: string;
}

/** Its databases are told by a list alone: sysbench deals its connections out evenly. */
export const SQL_WAYS: readonly WorkloadPath[] = WORKLOAD_PATHS.filter((way) => way !== 'spread');

const TITLES: Readonly<Record<WorkloadPath, string>> = {
  ...{ direct: 'direct', spread: 'spread', dsr: 'DSR', nat: 'NAT', fwd: 'nft fwd' },
  ...{ 'dsr-tc': 'DSR (tc)', 'nat-tc': 'NAT (tc)' },
};

const PROGRAMS: readonly Program[] = [
  ...(['ip', 'ss', 'ethtool', 'nft'] as const),
  ...(['mariadbd', 'mariadb-install-db', 'sysbench'] as const),
];

const SETUP_SECONDS = 8;
const DIRECTOR_SECONDS = 1.5;
/** About how long a run takes beside what it is told to: connecting, last events, closing. */
const SECONDS_BESIDE = 0.7;
/** Before anything is measured, each way is warmed up: the director's code is then compiled. */
const FIRST_SECONDS = 1;
/** A way that failed so often in a row is left alone, because each failure may take its time. */
const MOST_FAILURES = 2;

/** Why the workload cannot be measured here, or undefined. */
export function whyNoSql(): string | undefined {
  return whyNoLab(PROGRAMS);
}

/** About how long `measureSql` takes. */
export function sqlSeconds(
  options: Pick<SqlOptions, 'ways' | 'connections' | 'rounds' | 'seconds'>,
): number {
  const { ways, connections, rounds, seconds } = options;
  const runSeconds = (counted: number) => warmUpSeconds(counted) + counted + SECONDS_BESIDE;
  const runs = rounds * connections.length;
  const eachWay = runSeconds(FIRST_SECONDS) + runs * runSeconds(seconds);
  const starts = ways.some((way) => datapathOf(way) === 'tc') ? 2 * runs : 0;
  return SETUP_SECONDS + ways.length * eachWay + starts * DIRECTOR_SECONDS;
}

const INTERRUPTED = 'it was interrupted';

/** Measures. What fails is part of the result; an abort ends it early, and the result says so. */
export async function measureSql(options: SqlOptions): Promise<SqlResult> {
  const missing = whyNoSql();
  if (missing !== undefined) return noResult(options, 'missing', missing);
  let bed: SqlBed;
  try {
    bed = await openSqlBed(options.onStep);
  } catch (error) {
    return noResult(options, 'failed', options.signal?.aborted ? INTERRUPTED : firstLine(error));
  }
  try {
    return await measureOn(bed, options);
  } finally {
    await bed.close();
  }
}

/** The same on a bed that the caller opens and closes. */
export async function measureOn(bed: SqlBed, options: SqlOptions): Promise<SqlResult> {
  const logs = join(options.directory, 'sql');
  mkdirSync(logs, { recursive: true });
  const { points, reasons } = await measureAll(bed, options, logs);
  keepLogs(bed, logs);
  const result = noResult(options, statusOf(points, reasons), reasons.join('; '));
  const conditions = [...result.conditions, ...(await spreadOf(bed))];
  return { ...result, conditions, points };
}

interface Measured {
  readonly points: readonly SqlPoint[];
  /** Why something is missing, a sentence each. */
  readonly reasons: readonly string[];
}

async function measureAll(bed: SqlBed, options: SqlOptions, logs: string): Promise<Measured> {
  const runs = new Map<string, RoundRun[]>();
  const reasons: string[] = [];
  const failures = new Map<WorkloadPath, number>();
  const aborted = () => options.signal?.aborted === true;
  for (const step of stepsOf(options)) {
    if (aborted()) break;
    const failed = failures.get(step.path) ?? 0;
    if (failed === MOST_FAILURES) continue;
    options.onStep(titleOf(step, options.rounds));
    try {
      const run = await measureOne(bed, step, options, logs);
      failures.delete(step.path);
      const key = keyOf(step);
      const { round } = step;
      if (round > 0) runs.set(key, [...(runs.get(key) ?? []), { ...run, round: round - 1 }]);
    } catch (error) {
      if (aborted()) break;
      failures.set(step.path, failed + 1);
      const reason = bed.whyDead(step.path)?.split('\n')[0] ?? firstLine(error);
      reasons.push(`${TITLES[step.path]}, ${step.connections} connections: ${reason}`);
    }
  }
  if (aborted()) reasons.push(INTERRUPTED);
  return { points: pointsOf(options, runs), reasons };
}

export interface SqlStep {
  /** From 1; 0 is the warm-up, which does not count. */
  readonly round: number;
  readonly path: WorkloadPath;
  readonly connections: number;
}

/** Everything that is run, in order. */
export function stepsOf({
  ways,
  connections,
  rounds,
}: Pick<SqlOptions, 'ways' | 'connections' | 'rounds'>): SqlStep[] {
  const steps: SqlStep[] = [];
  for (const count of connections.slice(0, 1)) {
    for (const path of ways) steps.push({ round: 0, path, connections: count });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const [index, count] of connections.entries()) {
      for (const path of waysInTurn(round + index, ways)) {
        steps.push({ round, path, connections: count });
      }
    }
  }
  return steps;
}

function titleOf({ round, path, connections }: SqlStep, rounds: number): string {
  const when = round === 0 ? 'warm-up' : `round ${round} of ${rounds}`;
  return `SQL, ${when}: ${connections} connections, ${TITLES[path]}`;
}

interface Run {
  readonly queriesPerSecond: number;
  readonly p95Seconds: number;
  readonly errors: number;
}

interface RoundRun extends Run {
  /** From 0. */
  readonly round: number;
}

async function measureOne(
  bed: SqlBed,
  { round, path, connections }: SqlStep,
  options: SqlOptions,
  logs: string,
): Promise<Run> {
  if (path === 'fwd') await bed.forward();
  await bed.direct(path);
  const { result, text } = await runSysbench(bed.lab, {
    host: bed.client,
    servers: serversFor(path),
    connections,
    seconds: round === 0 ? FIRST_SECONDS : options.seconds,
    signal: options.signal,
  });
  writeFileSync(join(logs, `round-${round}-${connections}-${path}.txt`), text);
  return result;
}

const keyOf = ({ path, connections }: Omit<SqlStep, 'round'>) => `${path} ${connections}`;

/** A point for each way and number of connections that has been measured at least once. */
function pointsOf(options: SqlOptions, runs: ReadonlyMap<string, readonly RoundRun[]>): SqlPoint[] {
  return WORKLOAD_PATHS.flatMap((path) =>
    options.connections.flatMap((connections) => {
      const own = runs.get(keyOf({ path, connections }));
      if (own === undefined) return [];
      return {
        path,
        connections,
        queriesPerSecond: own.map((run) => run.queriesPerSecond),
        p95Seconds: own.map((run) => run.p95Seconds),
        rounds: own.map(({ round }) => round),
        errors: own.reduce((sum, run) => sum + run.errors, 0),
      };
    }),
  );
}

function statusOf(points: readonly SqlPoint[], reasons: readonly string[]): SqlResult['status'] {
  if (points.length === 0) return 'failed';
  return reasons.length === 0 ? 'measured' : 'partly';
}

function noResult(options: SqlOptions, status: SqlResult['status'], reason: string): SqlResult {
  return {
    status,
    ...(reason === '' ? {} : { reason }),
    secondsPerPoint: options.seconds,
    conditions: conditionsOf(options),
    configs: configsOf(options),
    points: [],
  };
}

const conditionsOf = ({ seconds }: SqlOptions): string[] => [
  'One set of three MariaDB reals, read-only, serves all ways; client, reals and director ' +
    'share the processors of one machine, which the load fills.',
  'Direct: sysbench has the list of the three reals and gives each connection the next one; ' +
    'DSR and NAT: it has one VIP, and the director takes the reals in turn (rr).',
  'nft fwd: one rule in the kernel of the director’s host writes the MAC addresses, as DSR does; it ' +
    'remembers nothing and takes a real by a hash of the client’s port, evenly only on average.',
  'tc: the same director with “datapath: tc”, whose kernel repeats what was decided of a flow; it ' +
    'takes turns with the one of the ring, and each is started anew for its turn.',
  'Direct, DSR and nft fwd use the segment of the reals; NAT comes from a segment of its own.',
  `sysbench oltp_read_only without transactions: an event is 10 selects by key and 4 of ranges of ` +
    `100 rows, on one table of ${SQL_ROWS} rows that is wholly in memory.`,
  `Each run opens its connections, warms up for ${warmUpSeconds(seconds)} s, and then counts; p95 is that ` +
    'of an event, which is 14 queries.',
  'A run is repeated if sysbench did not tell its warm-up from the rest: its own threads keep the ' +
    'processors from it at times.',
  'MariaDB gives each connection a thread, as it does by default and as MySQL did when the talk ' +
    'was given.',
];

function configsOf({ ways, connections, seconds }: SqlOptions): ConfigFile[] {
  const command = (path: WorkloadPath) =>
    sysbenchArgv({ servers: serversFor(path), connections: connections[0] ?? 0, seconds }).join(
      ' ',
    );
  return [
    {
      name: 'furiwake.yaml',
      text: threeWaysConfig({ port: SQL_PORT, socket: '/run/furiwake.sock' }),
      source: 'furiwake check --example',
    },
    {
      name: 'nftables.conf',
      text: nftForwardRules(THREE_WAYS, FORWARD),
      source: FORWARD_SOURCE,
    },
    {
      name: 'mariadb.cnf',
      text: mariadbConfig(),
      source: 'MariaDB Server documentation, "mariadbd Options"',
    },
    {
      name: 'sysbench, command lines',
      text: ways.map((path) => `# ${TITLES[path]}\n${command(path)}\n`).join(''),
      source: 'sysbench --help, sysbench oltp_read_only help',
    },
  ];
}

/** How evenly the directors spread the connections, as they count them themselves. */
async function spreadOf(bed: SqlBed): Promise<string[]> {
  const shares = await bed.shares();
  return [...new Set(shares.map(({ way }) => way))].map((way) => {
    const own = shares.filter((share) => share.way === way);
    const each = own.map(({ real, connections }) => `${connections} to ${real}`).join(', ');
    return `The director gave the connections of ${TITLES[way]} to the reals: ${each}.`;
  });
}

function keepLogs({ lab }: SqlBed, logs: string): void {
  for (const { host, name, logFile } of lab.daemons) {
    if (name.startsWith('sysbench') || !existsSync(logFile)) continue;
    copyFileSync(logFile, join(logs, basename(`${host}-${name}.log`)));
  }
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n')[0]!;
}

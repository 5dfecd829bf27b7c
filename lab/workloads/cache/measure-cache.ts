// The cache workload of the talk, measured again: memcached behind one to four proxies, which the
// client knows by a list (direct) or as one VIP (DSR, NAT, and the kernel's own forwarding). The
// ways take turns, so that all of them meet the same machine. Before its first load DSR, and NAT
// too, gets a director that was started just then and has carried nothing: the first second tells
// whether a balancer needs a warm-up.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CachePoint, CacheResult, ConfigFile, WorkloadPath } from '../../compare/result.ts';
import { type Director, startDirectorWith } from '../../hosts/director.ts';
import { MEMCACHED_ARGV, startMemcached } from '../../hosts/memcached.ts';
import {
  MEMCASLAP_CONFIG,
  MEMCASLAP_SECONDS_BESIDE,
  type MemcaslapResult,
  runMemcaslap,
} from '../../hosts/memcaslap.ts';
import { FORWARD_SOURCE, nftForwardRules, startNftForward } from '../../hosts/nft-forward.ts';
import { nutcrackerConfig, startNutcracker } from '../../hosts/nutcracker.ts';
import type { Lab } from '../../net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../requirements.ts';
import { buildTopology } from '../../topologies/build.ts';
import { clientOf } from '../../topologies/topology.ts';
import { datapathOf, waysInTurn } from '../ways.ts';
import {
  CACHE_HOST,
  CACHE_NETWORK,
  directorConfig,
  forwardOptions,
  MEMCACHED,
  MOST_PROXIES,
  proxyHosts,
  serversFor,
  spreadByClient,
} from './network.ts';

export interface CacheOptions {
  readonly ways: readonly WorkloadPath[];
  /** Numbers of proxies, 0 to 4; 0: the client talks to memcached itself. */
  readonly proxies: readonly number[];
  readonly rounds: number;
  /** How long each load lasts. */
  readonly seconds: number;
  /** Says what begins. */
  onStep(text: string): void;
  readonly signal?: AbortSignal | undefined;
  /** Takes what the load generator wrote, in `cache/`. */
  readonly directory: string;
}

/** A multiple of every number of threads below. */
const CONNECTIONS = 96;
const WARM_SECONDS = 1;
const BUILD_SECONDS = 4;
const DIRECTOR_SECONDS = 1.5;

/**
 * The generator holds its threads on the processors in turn: an even number of them never loads one
 * processor more than the other.
 */
const threadsFor = (proxies: number): number => 2 * Math.max(1, proxies);

/** With one proxy there is nothing to spread. */
function pathsFor(proxies: number, ways: readonly WorkloadPath[]): readonly WorkloadPath[] {
  if (proxies === 0) return ways.filter((way) => way === 'direct');
  return proxies === 1 ? ways.filter((way) => way !== 'spread') : ways;
}

/** About how long `measureCache` takes. */
export function cacheSeconds(
  options: Pick<CacheOptions, 'ways' | 'proxies' | 'rounds' | 'seconds'>,
): number {
  const { proxies, rounds, seconds } = options;
  const each = proxies.map((count) => {
    const ways = pathsFor(count, options.ways);
    const warm = WARM_SECONDS + MEMCASLAP_SECONDS_BESIDE;
    const loads = rounds * ways.length * (seconds + MEMCASLAP_SECONDS_BESIDE);
    const directed = ways.filter((way) => datapathOf(way) !== undefined).length;
    // For the first round each way has its own; later two share one, where there are two kinds.
    const later = ways.includes('dsr-tc') ? (rounds - 1) * 2 : 0;
    return warm + loads + directed * DIRECTOR_SECONDS + later * (DIRECTOR_SECONDS + warm);
  });
  return Math.ceil(each.reduce((sum, value) => sum + value, BUILD_SECONDS));
}

/** Takes every point in turns. What fails is told in the result; what was measured is kept. */
export async function measureCache(options: CacheOptions): Promise<CacheResult> {
  const points = options.proxies.flatMap((proxies) =>
    pathsFor(proxies, options.ways).map((path) => new Point(path, proxies)),
  );
  const missing = whyNoLab([...ALL_PROGRAMS, 'memcached', 'nutcracker', 'memcaslap']);
  // Being ended breaks what is under way; that says nothing of its own.
  const whyNot = (error: unknown) => [options.signal?.aborted ? INTERRUPTED : oneLine(error)];
  const reasons =
    missing === undefined ? await measureAll(points, options).catch(whyNot) : [missing];
  const measured = points.filter((point) => point.rates.length > 0);
  const complete = points.every((point) => point.rates.length === options.rounds);
  const status = complete ? 'measured' : measured.length > 0 ? 'partly' : 'failed';
  return {
    status: missing === undefined ? status : 'missing',
    ...(reasons.length > 0 ? { reason: [...new Set(reasons)].join('; ') } : {}),
    secondsPerPoint: options.seconds,
    conditions: CONDITIONS,
    configs: configFiles(Math.max(0, ...options.proxies)),
    points: measured.map((point) => point.result()),
  };
}

const INTERRUPTED = 'interrupted';

const oneLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).trim().split('\n').join(' ');

/** What grows while a point is measured. */
class Point {
  readonly path: WorkloadPath;
  readonly proxies: number;
  readonly rates: number[] = [];
  readonly rounds: number[] = [];
  firstSecond: number | null = null;
  errors = 0;

  constructor(path: WorkloadPath, proxies: number) {
    this.path = path;
    this.proxies = proxies;
  }

  get title(): string {
    return this.proxies === 0 ? 'memcached' : `${this.path}, proxies: ${this.proxies}`;
  }

  add(round: number, result: MemcaslapResult): void {
    this.rates.push(result.commandsPerSecond);
    this.rounds.push(round);
    this.errors += result.errors;
    if (round === 0) this.firstSecond = result.firstSecondCommands;
  }

  result(): CachePoint {
    const { path, proxies, rates, rounds, firstSecond, errors } = this;
    return {
      ...{ path, proxies, errors },
      ...{ commandsPerSecond: rates, rounds },
      firstSecondCommands: firstSecond,
    };
  }
}

/** Returns why points are missing, one line each. */
async function measureAll(points: readonly Point[], options: CacheOptions): Promise<string[]> {
  const { signal } = options;
  if (signal?.aborted) return [INTERRUPTED];
  options.onStep('cache: building the lab');
  const scene = await CacheScene.open(Math.max(0, ...options.proxies), options);
  const interrupt = () => void scene.close();
  signal?.addEventListener('abort', interrupt);
  const reasons: string[] = [];
  try {
    for (const [turn, proxies] of options.proxies.entries()) {
      const own = points.filter((point) => point.proxies === proxies);
      reasons.push(...(await measureCount(scene, own, turn, options)));
      if (signal?.aborted) return [INTERRUPTED];
    }
    return reasons;
  } finally {
    signal?.removeEventListener('abort', interrupt);
    await scene.close();
  }
}

/** All rounds of one number of proxies; its ways are in balanced order over each four rounds. */
async function measureCount(
  scene: CacheScene,
  points: readonly Point[],
  turn: number,
  { ways, rounds, signal, onStep }: CacheOptions,
): Promise<string[]> {
  const reasons: string[] = [];
  await attempt(`warming up ${points[0]!.title}`, () => scene.warm(points[0]!));
  for (let round = 0; round < rounds; round++) {
    const own = (way: WorkloadPath) => points.filter(({ path }) => path === way);
    for (const point of waysInTurn(turn + round, ways).flatMap(own)) {
      if (signal?.aborted) return reasons;
      onStep(`cache: ${point.title}, round ${round + 1} of ${rounds}`);
      await attempt(point.title, async () => point.add(round, await scene.load(point, round)));
    }
  }
  return reasons;

  async function attempt(what: string, action: () => Promise<void>): Promise<void> {
    await action().catch((error: unknown) => {
      reasons.push(`${what}: ${oneLine(error)}`);
    });
  }
}

/** The lab with memcached and proxies, and the director that is running now. */
class CacheScene {
  readonly #lab: Lab;
  readonly #seconds: number;
  readonly #directory: string;
  #director: Director | undefined;
  #datapath: 'ring' | 'tc' | undefined;
  /** The number of proxies that the kernel's rules are for, and the client's route. */
  #forwardsTo = 0;
  #spreadsTo = 0;

  constructor(lab: Lab, { seconds, directory }: CacheOptions) {
    this.#lab = lab;
    this.#seconds = seconds;
    this.#directory = join(directory, 'cache');
    mkdirSync(this.#directory, { recursive: true });
  }

  static async open(proxies: number, options: CacheOptions): Promise<CacheScene> {
    const lab = await buildTopology(CACHE_NETWORK);
    try {
      await startMemcached(lab, CACHE_HOST);
      await Promise.all(
        proxyHosts(proxies).map(({ name }) =>
          startNutcracker(lab, { host: name, server: MEMCACHED }),
        ),
      );
      return new CacheScene(lab, options);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Lets proxies and memcached work once past the director, which stays as it is. */
  async warm({ proxies }: Point): Promise<void> {
    await this.#run('direct', proxies, WARM_SECONDS);
  }

  async load({ path, proxies }: Point, round: number): Promise<MemcaslapResult> {
    if (path === 'fwd' && this.#forwardsTo !== proxies) {
      await startNftForward(this.#lab, CACHE_NETWORK, forwardOptions(proxies));
      this.#forwardsTo = proxies;
    }
    if (path === 'spread' && this.#spreadsTo !== proxies) {
      await spreadByClient(this.#lab, proxies);
      this.#spreadsTo = proxies;
    }
    const datapath = datapathOf(path);
    if (datapath !== undefined) await this.#direct(datapath, { path, proxies, round });
    const result = await this.#run(path, proxies, this.#seconds);
    // A load during which the director died measured something else.
    const died = datapath === undefined ? undefined : this.#director?.daemon.whyNot();
    if (died !== undefined) throw new Error(died);
    const name = `proxies-${proxies}-${path}-round-${round + 1}.txt`;
    writeFileSync(join(this.#directory, name), result.report);
    return result;
  }

  /** A new director for the first round, whose first second counts; later a warm one. */
  async #direct(
    datapath: 'ring' | 'tc',
    { path, proxies, round }: Pick<Point, 'path' | 'proxies'> & { readonly round: number },
  ): Promise<void> {
    const isOther = this.#datapath !== datapath || !this.#director?.daemon.running;
    if (round > 0 && !isOther) return;
    await this.#director?.stop();
    this.#director = await startDirectorWith(this.#lab, CACHE_NETWORK, (socket) =>
      directorConfig(proxies, socket, datapath),
    );
    this.#datapath = datapath;
    if (round > 0) await this.#run(path, proxies, WARM_SECONDS);
  }

  close(): Promise<void> {
    return this.#lab.close();
  }

  #run(path: WorkloadPath, proxies: number, seconds: number): Promise<MemcaslapResult> {
    return runMemcaslap(this.#lab, {
      host: clientOf(CACHE_NETWORK).name,
      servers: serversFor(path, proxies),
      connections: CONNECTIONS,
      threads: threadsFor(proxies),
      seconds,
    });
  }
}

const CONDITIONS: readonly string[] = [
  'Client, director, proxies and memcached are hosts of one lab; every way reaches the same ones.',
  'Each proxy is a nutcracker (twemproxy) on a host of its own; one memcached is behind them all.',
  'Direct, the client has the list of proxies; on the other ways one VIP stands for all of them.',
  'By the list each thread of the generator has one proxy, whose answers then come many at a time. ' +
    '“Spread” is what that is worth: nobody balances there either, but a route with several next ' +
    'hops in the client’s kernel spreads the connections of each thread over all proxies, by a hash.',
  'tc: the same director with “datapath: tc”, whose kernel repeats what was decided of a flow; it ' +
    'takes turns with the one of the ring.',
  'nft fwd: one rule in the kernel of the director’s host writes the MAC addresses, as DSR does; it ' +
    'remembers nothing and takes a proxy by a hash of the client’s port, evenly only on average.',
  `The load is memcaslap: ${CONNECTIONS} connections, each with one command under way at a time; ` +
    'keys of 64 bytes, values of 1 KiB, nine gets for each set, hits only.',
  'It has two threads for each proxy, direct and balanced alike.',
  'Proxies and memcached have carried direct load for a second before the first round.',
  'For the first round of each way the director is started anew: its first second is its first. ' +
    'One that is started for a later round carries a second of load before.',
  'Errors are answers that were one, and keys that were not found.',
];

function configFiles(proxies: number): ConfigFile[] {
  const most = Math.min(MOST_PROXIES, Math.max(1, proxies));
  const memcached = MEMCACHED_ARGV.join(' ');
  return [
    {
      name: 'memcached',
      text: `${memcached}\n`,
      source: 'memcached(1); memory for all keys, else its defaults',
    },
    {
      name: 'nutcracker.yml',
      text: nutcrackerConfig(MEMCACHED),
      source: 'twemproxy, README.md and notes/recommendation.md',
    },
    {
      name: 'memcaslap.cnf',
      text: MEMCASLAP_CONFIG,
      source: 'memcaslap(1), "Configuration file"; its defaults',
    },
    {
      name: 'furiwake.yaml',
      text: directorConfig(most, '/run/furiwake.sock'),
      source: 'furiwake example',
    },
    {
      name: 'nftables.conf',
      text: nftForwardRules(CACHE_NETWORK, forwardOptions(most)),
      source: FORWARD_SOURCE,
    },
  ];
}

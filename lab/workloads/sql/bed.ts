// What the SQL workload runs on: one lab with three databases of the same rows, a director before
// them, and a client that reaches them in several ways. The rows are made once and copied.
import { WORKLOAD_PATHS, type WorkloadPath } from '../../compare/result.ts';
import type { Director } from '../../hosts/director.ts';
import { startDirectorWith } from '../../hosts/director.ts';
import { copyMariadb, installMariadb, SQL_PORT, startMariadb } from '../../hosts/mariadb.ts';
import { type NftForwardOptions, startNftForward } from '../../hosts/nft-forward.ts';
import { prepareSysbench, SQL_DATABASE } from '../../hosts/sysbench.ts';
import type { Lab } from '../../net/lab.ts';
import type { Daemon } from '../../net/processes.ts';
import { buildTopology } from '../../topologies/build.ts';
import { THREE_WAYS, threeWaysConfig } from '../../topologies/three-ways.ts';
import { addressOf, clientOf, realsOf } from '../../topologies/topology.ts';
import { datapathOf, VIP_OF } from '../ways.ts';

const REALS = realsOf(THREE_WAYS);

/** What the client is told on each way: without a balancer, a list of all reals. */
export const serversFor = (path: WorkloadPath): readonly string[] =>
  path === 'direct' ? REALS.map(addressOf) : [VIP_OF[path]];

/** The kernel's own forwarding. */
export const FORWARD: NftForwardOptions = { vip: VIP_OF.fwd, port: SQL_PORT, reals: REALS };

export interface Share {
  readonly way: WorkloadPath;
  readonly real: string;
  readonly connections: number;
}

export interface SqlBed {
  readonly lab: Lab;
  readonly client: string;
  /** The one that runs now. */
  director(): Director;
  /** Sees to it that the director of a way runs, if it needs one. */
  direct(path: WorkloadPath): Promise<void>;
  /** How many connections each real got on each way that leads through a director, up to now. */
  shares(): Promise<readonly Share[]>;
  /** Why a program that a way needs is not alive any more, or undefined. */
  whyDead(path: WorkloadPath): string | undefined;
  /** Has the kernel forward too, once. @throws Error, each time, if it cannot */
  forward(): Promise<void>;
  close(): Promise<void>;
}

/** Builds and starts everything. On failure nothing is left. */
export async function openSqlBed(onStep: (text: string) => void): Promise<SqlBed> {
  const lab = await buildTopology(THREE_WAYS);
  try {
    onStep('making a database');
    const rows = await makeRows(lab);
    onStep('starting three databases and the director');
    const databases = await Promise.all(REALS.map(({ name }) => startReal(lab, name, rows)));
    const start = (datapath: 'ring' | 'tc') =>
      startDirectorWith(lab, THREE_WAYS, (socket) =>
        threeWaysConfig({ port: SQL_PORT, socket, datapath }),
      );
    let datapath: 'ring' | 'tc' = 'ring';
    let director = await start(datapath);
    /** Of directors that have ended. */
    const ended: Share[] = [];
    const direct = async (path: WorkloadPath) => {
      const wanted = datapathOf(path) ?? datapath;
      if (wanted === datapath) return;
      ended.push(...(await sharesOf(director, datapath)));
      await director.stop();
      datapath = wanted;
      director = await start(datapath);
    };
    let forwarding: Promise<void> | undefined;
    const forward = () => (forwarding ??= startNftForward(lab, THREE_WAYS, FORWARD));
    const whyDead = (path: WorkloadPath) =>
      [...(datapathOf(path) === undefined ? [] : [director.daemon]), ...databases]
        .map((daemon) => daemon.whyNot())
        .find((reason) => reason !== undefined);
    const client = clientOf(THREE_WAYS).name;
    const shares = async () => sumUp([...ended, ...(await sharesOf(director, datapath))]);
    const close = () => lab.close();
    return { lab, client, director: () => director, direct, shares, whyDead, forward, close };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** As a director counts them itself; of one that is dead, nothing. */
async function sharesOf(director: Director, datapath: 'ring' | 'tc'): Promise<Share[]> {
  const { services } = await director.status().catch(() => ({ services: [] }));
  return services.flatMap(({ name, reals }) => {
    const way = WORKLOAD_PATHS.find((path) => {
      return datapathOf(path) === datapath && path.startsWith(name);
    });
    if (way === undefined) return [];
    return reals.map((real) => ({ way, real: real.name, connections: real.openedFlows }));
  });
}

function sumUp(shares: readonly Share[]): Share[] {
  const sums = new Map<string, Share>();
  for (const share of shares) {
    const key = `${share.way} ${share.real}`;
    const before = sums.get(key)?.connections ?? 0;
    sums.set(key, { ...share, connections: before + share.connections });
  }
  return [...sums.values()];
}

/** Fills one database, ends it, and returns its directory. */
async function makeRows(lab: Lab): Promise<string> {
  const [first] = REALS;
  const { name } = first!;
  const directory = await installMariadb(lab, name, {
    name: 'mariadb-rows',
    database: SQL_DATABASE,
  });
  const daemon = await startMariadb(lab, name, { directory, access: 'read-write' });
  await prepareSysbench(lab, clientOf(THREE_WAYS).name, addressOf(first!));
  const exit = await daemon.stop();
  if (exit.code !== 0) throw new Error(`mariadbd on ${name} did not end well: ${daemon.whyNot()}`);
  return directory;
}

async function startReal(lab: Lab, name: string, rows: string): Promise<Daemon> {
  const directory = await copyMariadb(lab, rows, `mariadb-${name}`);
  return startMariadb(lab, name, { directory, access: 'read-only' });
}

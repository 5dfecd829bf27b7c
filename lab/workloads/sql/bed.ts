// What the SQL workload runs on: one lab with three databases of the same rows, a director before
// them, and a client that reaches them in four ways. The rows are made once and copied.

import type { WorkloadPath } from '../../compare/result.ts';
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
import { needsDirector, VIP_OF } from '../ways.ts';

const REALS = realsOf(THREE_WAYS);

/** What the client is told on each way: without a balancer, a list of all reals. */
export const SERVERS: Readonly<Record<WorkloadPath, readonly string[]>> = {
  direct: REALS.map(addressOf),
  dsr: [VIP_OF.dsr],
  nat: [VIP_OF.nat],
  fwd: [VIP_OF.fwd],
};

/** The kernel's own forwarding: the fourth way. */
export const FORWARD: NftForwardOptions = { vip: VIP_OF.fwd, port: SQL_PORT, reals: REALS };

export interface SqlBed {
  readonly lab: Lab;
  readonly client: string;
  readonly director: Director;
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
    const director = await startDirectorWith(lab, THREE_WAYS, (socket) =>
      threeWaysConfig({ port: SQL_PORT, socket }),
    );
    let forwarding: Promise<void> | undefined;
    const forward = () => (forwarding ??= startNftForward(lab, THREE_WAYS, FORWARD));
    const whyDead = (path: WorkloadPath) =>
      [...(needsDirector(path) ? [director.daemon] : []), ...databases]
        .map((daemon) => daemon.whyNot())
        .find((reason) => reason !== undefined);
    const client = clientOf(THREE_WAYS).name;
    return { lab, client, director, whyDead, forward, close: () => lab.close() };
  } catch (error) {
    await lab.close();
    throw error;
  }
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

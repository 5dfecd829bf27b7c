// What all paths have in common: a lab is built, servers and balancer are started, and a request is
// answered before anybody measures. What fails on the way is one line that says where and why.
import { readdirSync, readFileSync } from 'node:fs';
import { curl } from '../../hosts/curl.ts';
import type { Lab } from '../../net/lab.ts';
import type { Daemon } from '../../net/processes.ts';
import { ALL_PROGRAMS, type Program, whyNoLab } from '../../requirements.ts';
import { buildTopology } from '../../topologies/build.ts';
import { clientOf, realsOf, type Topology } from '../../topologies/topology.ts';
import { until } from '../../wait.ts';
import type { OpenPath, Path } from '../path.ts';
import type { ConfigFile } from '../result.ts';
import { COMPARE_SERVICES, SERVER_PROGRAMS, startCompareServers } from '../servers.ts';

/** What stands between client and reals, once it is started. */
export interface Balancer {
  /** Its first process; none where the kernel forwards. */
  readonly daemon?: Daemon;
  /** What else must live for the path to work, on other hosts. */
  readonly beside?: readonly Daemon[];
  /** The very text that it was configured with. */
  readonly configs: readonly ConfigFile[];
}

/** What tells one path from the others. */
export interface Plan extends Omit<Path, 'whyNot' | 'open'> {
  readonly topology: Topology;
  /** Of all hosts; `on` unless given. */
  readonly offloads?: 'on' | 'off';
  /** Where the client sends to; the VIP unless given. */
  readonly target?: string;
  readonly carriesUdp: boolean;
  /** What the balancer needs beside what every lab needs. */
  readonly programs?: readonly Program[];
  /** What else is missing on this machine, with the mend. */
  readonly lacks?: () => string | undefined;
  start(lab: Lab, topology: Topology): Promise<Balancer>;
}

const ANSWER_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_SECONDS = 1;
const LAST_LINES = 3;

export function pathOf(plan: Plan): Path {
  const { name, title, kind, summary } = plan;
  const path: Path = {
    ...{ name, title, kind, summary },
    whyNot: async () => {
      const programs = [...ALL_PROGRAMS, ...SERVER_PROGRAMS, ...(plan.programs ?? [])];
      const reasons = [whyNoLab(programs), plan.lacks?.()];
      return reasons.filter((reason) => reason !== undefined).join('; ') || undefined;
    },
    open: () => open(path, plan),
  };
  return path;
}

/** The same topology with the services of the comparison. */
export const comparing = (topology: Topology): Topology => ({
  ...topology,
  services: COMPARE_SERVICES,
});

async function open(path: Path, plan: Plan): Promise<OpenPath> {
  const { topology, target = topology.vip, offloads = 'on', carriesUdp } = plan;
  const lab = await buildTopology(topology, { offloads });
  try {
    await startCompareServers(lab, topology, webWorkersFor(topology, target));
    const { daemon, configs, beside = [] } = await plan.start(lab, topology);
    const daemons = daemon === undefined ? beside : [daemon, ...beside];
    const opened: OpenPath = {
      ...{ path, lab, topology, target, carriesUdp, configs },
      processes: () => (daemon?.running ? withDescendants(daemon.pid) : []),
      whyDead: () => {
        const dead = daemons.find(({ running }) => !running);
        return dead === undefined ? undefined : oneLine(dead.whyNot() ?? '');
      },
      close: () => lab.close(),
    };
    await waitForAnswer(opened, daemon);
    return opened;
  } catch (error) {
    await lab.close();
    throw new Error(
      `${path.title}: ${oneLine(error instanceof Error ? error.message : `${error}`)}`,
    );
  }
}

/** Where one real alone is asked, its web server has as many workers as that of three together. */
const webWorkersFor = (topology: Topology, target: string): number =>
  target === topology.vip ? 1 : realsOf(topology).length;

async function waitForAnswer(opened: OpenPath, daemon: Daemon | undefined): Promise<void> {
  const { lab, topology, target } = opened;
  const url = `http://${target}/`;
  const host = clientOf(topology).name;
  try {
    await until(`an answer from ${url}`, () => ask(lab, host, url), {
      timeoutMs: ANSWER_TIMEOUT_MS,
      giveUp: opened.whyDead,
    });
  } catch (error) {
    if (daemon === undefined || !daemon.running) throw error;
    const said = lastLines(daemon.lastWords()) || 'nothing';
    throw new Error(`${(error as Error).message}; ${daemon.name} said last: ${said}`);
  }
}

async function ask(lab: Lab, host: string, url: string): Promise<boolean> {
  const answer = await curl(lab, { host, url, timeoutSeconds: REQUEST_TIMEOUT_SECONDS });
  if (!answer.ok) throw new Error(answer.error || `HTTP status ${answer.status}`);
  return true;
}

const lastLines = (text: string): string => text.trim().split('\n').slice(-LAST_LINES).join('\n');

/** A message of several lines, such as one with a program's last words, on one. */
function oneLine(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const [first = '', ...rest] = lines.filter((line) => line !== '');
  return [first, ...rest.slice(-LAST_LINES)].join(' / ');
}

/** A process and all that came of it, as the kernel knows them now; threads are not among them. */
function withDescendants(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(withDescendants)];
}

/** Each thread of a process has children of its own. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
        .split(' ')
        .filter((child) => child.trim() !== '')
        .map(Number),
    );
  } catch {
    // It ended while it was looked at.
    return [];
  }
}

// `furiwake lab verify`: builds a topology, records at every point, sends real traffic, first with
// the hosts' offloads on, then off, and judges what was recorded. Recorders start before the
// director, so that its first ARP request is in the captures too.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../src/cli/errors.ts';
import { coloursFor } from '../../src/cli/output.ts';
import type { DatapathName } from '../../src/config/config.ts';
import { type Director, startDirector } from '../hosts/director.ts';
import { UsageError } from '../requirements.ts';
import { keepFile, makeDirectory } from '../results-directory.ts';
import { startServers } from '../running.ts';
import { draw } from '../topologies/draw.ts';
import type { TopologyName } from '../topologies/topology.ts';
import {
  type CaptureSet,
  damageOf,
  loadCaptures,
  MANIFEST_FILE,
  type PointFacts,
  type TrafficReport,
} from './captures.ts';
import type { Claim } from './claim.ts';
import { judge } from './claims.ts';
import { type Diagnosis, diagnose } from './diagnose.ts';
import { manifestOf } from './points.ts';
import { type PhaseLab, type Recorded, recordPhase, type Say } from './record-phase.ts';
import { renderVerification } from './render.ts';
import { addReports, FULL_TRAFFIC, QUICK_TRAFFIC, sendTraffic } from './traffic.ts';

export interface VerifyOptions {
  readonly topology: TopologyName;
  readonly breakName?: string | undefined;
  readonly datapath: DatapathName;
  /** Where the captures go; `lab-results/TIME-verify-TOPOLOGY` unless given. */
  readonly keep?: string | undefined;
  /** One phase instead of two, and less traffic in it. */
  readonly quick?: boolean | undefined;
}

export interface Verification {
  readonly topology: TopologyName;
  readonly breakName: string | null;
  readonly datapath: DatapathName;
  /** True if every claim holds; a claim that was not tested does not. */
  readonly holds: boolean;
  readonly claims: readonly Claim[];
  readonly diagnosis: readonly Diagnosis[];
  /** Why captures are not whole; null if all are. */
  readonly damage: string | null;
  /** Holds the captures and their manifest. */
  readonly directory: string;
  readonly points: readonly (PointFacts & { readonly frames: number })[];
  /** What the programs themselves say of their traffic; null for captures kept without it. */
  readonly traffic: TrafficReport | null;
}

/** Runs the command. Resolves with its exit code: 0 if every claim holds, else 1. */
export async function runVerify(
  options: VerifyOptions & { readonly json: boolean },
): Promise<number> {
  const say: Say = options.json ? () => {} : (line) => console.log(line);
  return show(await verifyTopology(options, say), options);
}

/** Judges a directory that an earlier run kept. Resolves with the exit code, as `runVerify`. */
export async function runVerifyFrom(
  directory: string,
  options: { readonly json: boolean },
): Promise<number> {
  const set = await loadCaptures(directory).catch((error: Error) => {
    throw new UsageError(error.message);
  });
  return show(verificationOf(set, directory), options);
}

function show(result: Verification, options: { readonly json: boolean }): number {
  const text = options.json
    ? JSON.stringify(result)
    : `\n${renderVerification(result, coloursFor(process.stdout))}`;
  console.log(text);
  return result.holds ? 0 : 1;
}

function verificationOf(set: CaptureSet, directory: string): Verification {
  const claims = judge(set);
  const damage = set.captures.map(damageOf).filter((text) => text !== undefined);
  const { topology, breakName, datapath, traffic = null } = set.manifest;
  return {
    topology,
    breakName,
    datapath,
    holds: claims.every((claim) => claim.verdict === 'holds'),
    claims,
    diagnosis: diagnose(claims),
    damage: damage.length > 0 ? damage.join('; ') : null,
    directory,
    points: set.captures.map(({ point, frames }) => ({ ...point, frames: frames.length })),
    traffic,
  };
}

/** Builds, sends, records and judges. The lab is gone at the end, however it ends. */
export async function verifyTopology(options: VerifyOptions, say: Say): Promise<Verification> {
  const createdAt = new Date().toISOString();
  const time = createdAt.slice(0, 19).replaceAll(':', '-');
  const directory = options.keep ?? join('lab-results', `${time}-verify-${options.topology}`);
  const serving = await startServers(options);
  try {
    const { topology, broken } = serving;
    const colour = coloursFor(process.stdout).isColorSupported;
    const { columns } = process.stdout;
    say(`${draw(topology, { colour, broken, columns })}\n`);
    const kept = makeForThisRun(directory);
    const { datapath, quick = false } = options;
    const run: Run = { lab: serving.lab, topology, datapath, quick, directory, say };
    const { traffic, points } = await recordTraffic(run);
    const breakName = options.breakName ?? null;
    const facts = { breakName, datapath, createdAt, points, traffic };
    const manifest = JSON.stringify(manifestOf(topology, facts), null, 2);
    keepFile(join(directory, MANIFEST_FILE), `${manifest}\n`);
    kept();
    say('Judging the captures');
    return verificationOf(await loadCaptures(directory), directory);
  } finally {
    await serving.close();
  }
}

/**
 * Makes the directory. If this run made it, it is gone again at the end of the process, however
 * that comes, unless the function returned is called: captures without a manifest are of no use.
 */
function makeForThisRun(directory: string): () => void {
  const made = makeDirectory(directory);
  const remove = () => rmSync(directory, { recursive: true, force: true });
  if (made) process.once('exit', remove);
  return () => process.off('exit', remove);
}

/** What stays the same through all phases of a run. */
interface Run extends PhaseLab {
  readonly datapath: DatapathName;
  readonly quick: boolean;
}

/**
 * Two phases, each with recorders of its own: with offloads on, libpcap takes 64 KiB of its ring
 * for a frame of any size, and with them off many times more frames have room. The datapath `cap`
 * gets no offload metadata; its lab has the offloads off from the start. A quick run has the first
 * phase alone.
 */
async function recordTraffic(run: Run): Promise<Recorded> {
  const { lab, topology, datapath, quick } = run;
  let director: Director | undefined;
  const send = () => sendTraffic(lab, topology, quick ? QUICK_TRAFFIC : FULL_TRAFFIC);
  const begin = async () => {
    run.say(`Starting the director, datapath ${datapath}`);
    director = await startDirector(lab, topology, { datapath });
  };
  const phases = [];
  if (datapath !== 'cap') {
    phases.push(await recordPhase(run, { offloads: 'on' }, { begin, send }));
    const plain = { offloads: 'off', suffix: '-plain' } as const;
    if (!quick) phases.push(await recordPhase(run, plain, { send }));
  } else phases.push(await recordPhase(run, { offloads: 'off' }, { begin, send }));
  const ended = director?.daemon.whyNot();
  if (ended !== undefined) throw new OperatorError(`${ended}; nothing was judged`, 1);
  return {
    traffic: phases.map(({ traffic }) => traffic).reduce(addReports),
    points: phases.flatMap(({ points }) => points),
  };
}

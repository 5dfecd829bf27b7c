// `furiwake lab verify`: builds a topology, records at every point, sends real traffic, first with
// the hosts' offloads on, then off, and judges what was recorded. Recorders start before the
// director, so that its first ARP request is in the captures too.
import { mkdirSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../../src/cli/errors.ts';
import { coloursFor } from '../../src/cli/output.ts';
import { type Recorder, startRecorder } from '../capture/record.ts';
import type { RecordReport } from '../capture/recorder-messages.ts';
import { type Director, startDirector } from '../hosts/director.ts';
import type { Lab } from '../net/lab.ts';
import { setOffloads } from '../net/links.ts';
import { UsageError } from '../requirements.ts';
import { startServers } from '../running.ts';
import { draw } from '../topologies/draw.ts';
import type { Topology, TopologyName } from '../topologies/topology.ts';
import {
  type CaptureSet,
  damageOf,
  loadCaptures,
  MANIFEST_FILE,
  type PointFacts,
} from './captures.ts';
import type { Claim } from './claim.ts';
import { judge } from './claims.ts';
import { type Diagnosis, diagnose } from './diagnose.ts';
import { manifestOf, type Tap, type TapOptions, tapsOf } from './points.ts';
import { renderVerification } from './render.ts';
import { addReports, sendTraffic, type TrafficReport } from './traffic.ts';

export interface VerifyOptions {
  readonly topology: TopologyName;
  readonly breakName?: string | undefined;
  readonly datapath: 'ring' | 'cap';
  /** Where the captures go; `lab-results/TIME-verify-TOPOLOGY` unless given. */
  readonly keep?: string | undefined;
}

export interface Verification {
  readonly topology: TopologyName;
  readonly breakName: string | null;
  readonly datapath: 'ring' | 'cap';
  /** True if every claim holds; a claim that was not tested does not. */
  readonly holds: boolean;
  readonly claims: readonly Claim[];
  readonly diagnosis: readonly Diagnosis[];
  /** Why captures are not whole; null if all are. */
  readonly damage: string | null;
  /** Holds the captures and their manifest. */
  readonly directory: string;
  readonly points: readonly (PointFacts & { readonly frames: number })[];
  /** What the programs themselves say of their traffic; null when kept captures are judged. */
  readonly traffic: TrafficReport | null;
}

/** 1,000 frames with offloads on, 40,000 with them off. */
const RING_BYTES = 64 * 1024 * 1024;

/** Told of each step; lines for a person who waits. */
export type Say = (line: string) => void;

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
  return show(verificationOf(set, directory, null), options);
}

function show(result: Verification, options: { readonly json: boolean }): number {
  const text = options.json
    ? JSON.stringify(result)
    : `\n${renderVerification(result, coloursFor(process.stdout))}`;
  console.log(text);
  return result.holds ? 0 : 1;
}

function verificationOf(
  set: CaptureSet,
  directory: string,
  traffic: TrafficReport | null,
): Verification {
  const claims = judge(set);
  const damage = set.captures.map(damageOf).filter((text) => text !== undefined);
  const { topology, breakName, datapath } = set.manifest;
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
    say(`${draw(topology, { colour, broken })}\n`);
    const kept = makeDirectory(directory);
    const { datapath } = options;
    const { lab } = serving;
    const { traffic, points } = await recordTraffic({ lab, topology, datapath, directory, say });
    const breakName = options.breakName ?? null;
    const run = { breakName, datapath, createdAt, points };
    const manifest = JSON.stringify(manifestOf(topology, run), null, 2);
    await writeFile(join(directory, MANIFEST_FILE), `${manifest}\n`);
    kept();
    say('Judging the captures');
    return verificationOf(await loadCaptures(directory), directory, traffic);
  } finally {
    await serving.close();
  }
}

/**
 * Makes the directory. If this run made it, it is gone again at the end of the process, however
 * that comes, unless the function returned is called: captures without a manifest are of no use.
 */
function makeDirectory(directory: string): () => void {
  const made = mkdirSync(directory, { recursive: true }) !== undefined;
  const remove = () => rmSync(directory, { recursive: true, force: true });
  if (made) process.once('exit', remove);
  return () => process.off('exit', remove);
}

interface Recorded {
  readonly traffic: TrafficReport;
  readonly points: readonly PointFacts[];
}

/** What stays the same through all phases of a run. */
interface Run {
  readonly lab: Lab;
  readonly topology: Topology;
  readonly datapath: 'ring' | 'cap';
  readonly directory: string;
  readonly say: Say;
}

/**
 * Two phases, each with recorders of its own: with offloads on, libpcap takes 64 KiB of its ring
 * for a frame of any size, and with them off many times more frames have room. The datapath `cap`
 * gets no offload metadata; its lab has the offloads off from the start.
 */
async function recordTraffic(run: Run): Promise<Recorded> {
  const { lab, topology, datapath } = run;
  let director: Director | undefined;
  const start = async () => {
    run.say(`Starting the director, datapath ${datapath}`);
    director = await startDirector(lab, topology, { datapath });
  };
  const phases = [];
  if (datapath === 'ring') {
    phases.push(await recordPhase(run, { offloads: 'on' }, start));
    phases.push(await recordPhase(run, { offloads: 'off', suffix: '-plain' }, async () => {}));
  } else phases.push(await recordPhase(run, { offloads: 'off' }, start));
  const ended = director?.daemon.whyNot();
  if (ended !== undefined) throw new OperatorError(`${ended}; nothing was judged`, 1);
  return {
    traffic: phases.map(({ traffic }) => traffic).reduce(addReports),
    points: phases.flatMap(({ points }) => points),
  };
}

/** @param begin what shall be done once the recorders run, before the traffic */
async function recordPhase(
  run: Run,
  options: TapOptions,
  begin: () => Promise<void>,
): Promise<Recorded> {
  const { lab, topology, directory, say } = run;
  const taps = tapsOf(topology, options);
  if (options.offloads === 'off') await switchOffloadsOff(lab, topology, taps);
  say(`Recording at ${taps.length} points, the hosts' offloads ${options.offloads}`);
  const recorders = await startRecorders(lab, taps, directory);
  const stop = () => Promise.all(recorders.map((recorder) => recorder.stop()));
  try {
    await begin();
    say('Sending ping, curl and iperf3');
    const traffic = await sendTraffic(lab, topology);
    say(`  ${answersOf(traffic)}`);
    const reports = await stop();
    return { traffic, points: taps.map(({ point }, index) => pointAfter(point, reports[index]!)) };
  } finally {
    // Before the lab goes, for a recorder whose interface vanishes dies of it.
    await stop();
  }
}

/** On the hosts, and at the switch's ends where recorders listen, so that libpcap sees it too. */
async function switchOffloadsOff(
  lab: Lab,
  topology: Topology,
  taps: readonly Tap[],
): Promise<void> {
  for (const host of topology.hosts) {
    for (const arm of host.arms) await setOffloads(lab, host.name, arm.name, 'off');
  }
  for (const tap of taps) await setOffloads(lab, tap.host, tap.interface, 'off');
}

/** All or none. @throws UsageError that says why one cannot record */
async function startRecorders(
  lab: Lab,
  taps: readonly Tap[],
  directory: string,
): Promise<Recorder[]> {
  const starts = taps.map((tap) =>
    startRecorder({
      namespace: lab.namespaceOf(tap.host),
      interface: tap.interface,
      file: join(directory, tap.point.file),
      bufferBytes: RING_BYTES,
    }),
  );
  const settled = await Promise.allSettled(starts);
  const failed = settled.find((result) => result.status === 'rejected');
  const running = settled.flatMap((result) =>
    result.status === 'fulfilled' ? [result.value] : [],
  );
  if (failed === undefined) return running;
  await Promise.all(running.map((recorder) => recorder.stop()));
  throw new UsageError((failed.reason as Error).message);
}

function answersOf(report: TrafficReport): string {
  const { pings, pingsAnswered, requests, requestsAnswered, transfers, transfersDone } = report;
  return (
    `answered: ${pingsAnswered} of ${pings} pings, ${requestsAnswered} of ${requests} requests, ` +
    `${transfersDone} of ${transfers} transfers`
  );
}

function pointAfter(point: PointFacts, report: RecordReport): PointFacts {
  const full = report.full === null ? null : `the recorder reached its limit of ${report.full}`;
  const busy = report.quiet ? null : 'frames still came when the recorder stopped';
  const problem = report.crashed?.message ?? full ?? busy;
  return { ...point, lostFrames: report.missedFrames, problem };
}

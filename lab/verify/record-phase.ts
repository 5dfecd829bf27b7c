// One phase of a recorded run: recorders at every point of a topology, traffic between their begin
// and their end, and what came of both. It works on any lab that is up, and says nothing of what
// the captures mean.
import { join } from 'node:path';
import { type Recorder, startRecorder } from '../capture/record.ts';
import type { RecordReport } from '../capture/recorder-messages.ts';
import type { Lab } from '../net/lab.ts';
import { setOffloads } from '../net/links.ts';
import { UsageError } from '../requirements.ts';
import type { Topology } from '../topologies/topology.ts';
import type { PointFacts, TrafficReport } from './captures.ts';
import { type Tap, type TapOptions, tapsOf } from './points.ts';

/** 1,000 frames with offloads on, 40,000 with them off. */
const RING_BYTES = 64 * 1024 * 1024;

/** Told of each step; lines for a person who waits. */
export type Say = (line: string) => void;

export interface Recorded {
  readonly traffic: TrafficReport;
  readonly points: readonly PointFacts[];
}

/** What stays the same through all phases of a run. */
export interface PhaseLab {
  readonly lab: Lab;
  readonly topology: Topology;
  /** Where the captures go. */
  readonly directory: string;
  readonly say: Say;
}

export interface PhaseSteps {
  /** What shall be done once the recorders run, before the traffic. */
  readonly begin?: () => Promise<void>;
  readonly send: () => Promise<TrafficReport>;
}

export async function recordPhase(
  run: PhaseLab,
  options: TapOptions,
  { begin, send }: PhaseSteps,
): Promise<Recorded> {
  const { lab, topology, directory, say } = run;
  const taps = tapsOf(topology, options);
  if (options.offloads === 'off') await switchOffloadsOff(lab, topology, taps);
  say(`Recording at ${taps.length} points, the hosts' offloads ${options.offloads}`);
  const recorders = await startRecorders(lab, taps, directory);
  const stop = () => Promise.all(recorders.map((recorder) => recorder.stop()));
  try {
    await begin?.();
    say('Sending ping, curl and iperf3');
    const traffic = await send();
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

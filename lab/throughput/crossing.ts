// What crossed the director: frames and bytes in and out, summed over its arms. Two witnesses that
// know nothing of each other count them: the director itself, asked over its API, and the kernel's
// interfaces. Bytes are those of whole Ethernet frames, without the frame check sequence.
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Status } from '../../src/control/status.ts';
import type { RunningLab } from '../running.ts';
import { directorOf } from '../topologies/topology.ts';
import { until } from '../wait.ts';

export interface Crossing {
  readonly inFrames: number;
  readonly inBytes: number;
  readonly outFrames: number;
  readonly outBytes: number;
}

/** What both witnesses say at one time, or between two. */
export interface Reading {
  readonly director: Crossing;
  readonly kernel: Crossing;
  /** Frames that the director says it missed, or could not send. */
  readonly lostFrames: number;
}

/** A reading between whose beginning and end nothing crossed. */
export interface StillReading extends Reading {
  /** In the middle of the stillness; microseconds since 1970. */
  readonly timestampUs: number;
}

/**
 * Longer than the director takes to publish what it counted: it does so every 10 to 50 ms by ring
 * and tc, which a busy machine makes more, and every 250 ms by cap, whose data plane is a process
 * of its own.
 */
const STILL_MS: Readonly<Record<Status['datapath'], number>> = { ring: 150, tc: 150, cap: 500 };
const STILL_TIMEOUT_MS = 10_000;

export const NOTHING: Crossing = { inFrames: 0, inBytes: 0, outFrames: 0, outBytes: 0 };

export function addCrossing(a: Crossing, b: Crossing): Crossing {
  return {
    inFrames: a.inFrames + b.inFrames,
    inBytes: a.inBytes + b.inBytes,
    outFrames: a.outFrames + b.outFrames,
    outBytes: a.outBytes + b.outBytes,
  };
}

export function subtractCrossing(a: Crossing, b: Crossing): Crossing {
  return {
    inFrames: a.inFrames - b.inFrames,
    inBytes: a.inBytes - b.inBytes,
    outFrames: a.outFrames - b.outFrames,
    outBytes: a.outBytes - b.outBytes,
  };
}

export const sameCrossing = (a: Crossing, b: Crossing): boolean =>
  a.inFrames === b.inFrames &&
  a.inBytes === b.inBytes &&
  a.outFrames === b.outFrames &&
  a.outBytes === b.outBytes;

export const sumCrossings = (all: readonly Crossing[]): Crossing =>
  all.reduce(addCrossing, NOTHING);

/** What crossed between two readings. */
export function between(before: Reading, after: Reading): Reading {
  return {
    director: subtractCrossing(after.director, before.director),
    kernel: subtractCrossing(after.kernel, before.kernel),
    lostFrames: after.lostFrames - before.lostFrames,
  };
}

/** Waits until nothing crosses the director, and reads. */
export function stillReading(running: RunningLab): Promise<StillReading> {
  const options = { timeoutMs: STILL_TIMEOUT_MS, giveUp: running.director.daemon.whyNot };
  return until('a moment in which no frame crosses the director', () => tryStill(running), options);
}

async function tryStill(running: RunningLab): Promise<StillReading | undefined> {
  const first = await read(running);
  const halfMs = STILL_MS[first.datapath] / 2;
  await pause(halfMs);
  const timestampUs = Math.floor((performance.timeOrigin + performance.now()) * 1000);
  await pause(halfMs);
  const second = await read(running);
  const still =
    sameCrossing(first.director, second.director) && sameCrossing(first.kernel, second.kernel);
  if (!still) return undefined;
  const { director, kernel, lostFrames } = second;
  return { director, kernel, lostFrames, timestampUs };
}

async function read({ director, topology }: RunningLab) {
  const { arms, datapath } = await director.status();
  // The director runs in its host's namespace, so this file is about that host's interfaces.
  const text = readFileSync(`/proc/${director.daemon.pid}/net/dev`, 'utf8');
  const names = directorOf(topology).arms.map((arm) => arm.name);
  return {
    datapath,
    director: sumCrossings(arms.map(crossingOfArm)),
    kernel: sumCrossings(names.map((name) => kernelCrossing(text, name))),
    lostFrames: arms.reduce((sum, arm) => sum + arm.missedFrames + arm.failedFrames, 0),
  };
}

const crossingOfArm = (arm: Status['arms'][number]): Crossing => ({
  inFrames: arm.receivedFrames,
  inBytes: arm.receivedBytes,
  outFrames: arm.sentFrames,
  outBytes: arm.sentBytes,
});

/**
 * What an interface received and sent, out of the text of /proc/net/dev (proc_pid_net(5)): bytes
 * and packets received are its fields 1 and 2, those sent 9 and 10.
 */
export function kernelCrossing(text: string, name: string): Crossing {
  const line = text.split('\n').find((each) => each.trimStart().startsWith(`${name}:`));
  if (line === undefined) throw new Error(`/proc/net/dev has no interface ${name}`);
  const fields = line
    .slice(line.indexOf(':') + 1)
    .trim()
    .split(/\s+/)
    .map(Number);
  const [inBytes = 0, inFrames = 0] = fields;
  return { inFrames, inBytes, outFrames: fields[9] ?? 0, outBytes: fields[8] ?? 0 };
}

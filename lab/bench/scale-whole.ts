// The whole cost of a packet by the number of flows: a running director on the ring, between a
// generator and a real on veth. What is measured is the director's processor time by the kernel's
// own books (all its threads, its system calls included), for each frame that arrives at the real.
// What the kernel does before, up to the frame's place in the ring, is in the sender's time on veth
// and no part of it; it does not know of flows, so that what grows is in here.
//
// All flows are opened first. Then the traffic is that of the first thousand of them, the first ten
// thousand and so on, in random order, round after round, so that a slow minute of the machine hits
// each alike.
import { cpuBetween, readCpu } from '../compare/measures/cpu-time.ts';
import { type Director, startDirectorWith } from '../hosts/director.ts';
import type { Lab } from '../net/lab.ts';
import { quantile } from '../quantile.ts';
import { configText } from '../topologies/config-text.ts';
import { type Bed, DIRECTOR_CORE, OUTSIDE, topologyFor, VIP } from './bed.ts';
import { GENERATOR_CORE, receivedFrames, sinkFrames } from './udp.ts';

export type WholeMethod = 'dsr' | 'nat';

export interface WholePoint {
  readonly flows: number;
  /** Nanoseconds of the director's processor time a packet, one for each round. */
  readonly runs: readonly number[];
  /** Frames a second at the real, the median of the rounds. */
  readonly rate: number;
}

export interface Whole {
  readonly points: readonly WholePoint[];
  /** How many flows the director held when measuring began. */
  readonly opened: number;
}

const FIRST_SOURCE = '100.0.0.0';
const SECONDS = 1;
const ROUNDS = 3;
/** The share of the flows with which they count as open. */
export const ENOUGH = 0.95;
/** What `measureWhole` takes at most, or a round more; half of it to open the flows. */
export const WHOLE_SECONDS = 150;

/** @throws Error if nothing arrives at the real, or the director cannot be started */
export async function measureWhole(
  bed: Bed,
  method: WholeMethod,
  counts: readonly number[],
  tell: (text: string) => void,
): Promise<Whole> {
  const { lab } = bed;
  const most = Math.max(...counts);
  const started = performance.now();
  const left = () => WHOLE_SECONDS - (performance.now() - started) / 1000;
  await sinkFrames(lab);
  const director = await startDirectorWith(lab, topologyFor(method), (socket) =>
    configFor(method, socket, most),
  );
  try {
    const pid = String(director.daemon.pid);
    await lab.exec('director', ['taskset', '-a', '-p', '-c', DIRECTOR_CORE, pid]);
    tell(`opening ${most} flows`);
    const opened = await openFlows(lab, director, { flows: most, seconds: left() / 2 });
    // Not counted: the first one after the opening is dearer, whatever its flows.
    await sample(lab, director, most);
    const points = counts.map((flows) => ({ flows, runs: [] as number[], rates: [] as number[] }));
    for (let round = 1; round <= ROUNDS && (round === 1 || left() > 0); round++) {
      for (const { flows, runs, rates } of points) {
        tell(`round ${round} of ${ROUNDS}: ${flows} flows`);
        const { nsPerPacket, rate } = await sample(lab, director, flows);
        runs.push(nsPerPacket);
        rates.push(rate);
      }
    }
    const measured = points.map(({ rates, ...rest }) => ({ ...rest, rate: quantile(rates, 0.5) }));
    return { points: measured, opened };
  } finally {
    await director.stop();
  }
}

/** Time enough that no flow ends meanwhile, and room for all of them to be half open. */
const configFor = (method: WholeMethod, socket: string, most: number): string =>
  [
    configText(topologyFor(method), { datapath: 'ring', socket }).trimEnd(),
    'timeouts: { udp: 60m }',
    `flows: { maximum: ${Math.max(1024, most)}, halfOpenMaximum: ${Math.max(1024, most)} }`,
    '',
  ].join('\n');

/** Sends a packet of each flow, and again if too many got lost where the ring was full. */
async function openFlows(
  lab: Lab,
  director: Director,
  { flows, seconds }: Omit<Traffic, 'order'>,
): Promise<number> {
  const before = performance.now();
  for (;;) {
    const left = seconds - (performance.now() - before) / 1000;
    if (left > 0) await generate(lab, { flows, order: 'turn', seconds: left });
    const { activeFlows } = (await director.status()).totals;
    if (activeFlows >= ENOUGH * flows || left <= 0) return activeFlows;
  }
}

async function sample(lab: Lab, { daemon }: Director, flows: number) {
  const [framesBefore, cpuBefore] = [await receivedFrames(lab), readCpu([daemon.pid])];
  const { seconds } = await generate(lab, { flows, order: 'random', seconds: SECONDS });
  const cpu = cpuBetween(cpuBefore, readCpu([daemon.pid]));
  const frames = (await receivedFrames(lab)) - framesBefore;
  if (frames === 0) throw new Error('no frame arrived at the real');
  return { nsPerPacket: (cpu.balancerSeconds * 1e9) / frames, rate: frames / seconds };
}

interface Traffic {
  readonly flows: number;
  readonly order: 'turn' | 'random';
  readonly seconds: number;
}

async function generate(lab: Lab, { flows, order, seconds }: Traffic) {
  const generator = new URL('./generator.js', import.meta.url).pathname;
  const argv = [
    ...['taskset', '-c', GENERATOR_CORE, process.execPath, generator],
    ...['--destination-mac', OUTSIDE.mac, '--first-source', FIRST_SOURCE, '--destination', VIP],
    ...['--flows', String(flows), '--order', order, '--seconds', String(seconds)],
  ];
  const output = await lab.exec('client', argv, { timeoutMs: Math.ceil(seconds + 30) * 1000 });
  return JSON.parse(output.stdout) as { readonly seconds: number };
}

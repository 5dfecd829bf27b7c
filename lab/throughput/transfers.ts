// The transfers: iperf3 from the client to the VIP and back, in interleaved rounds for the speed,
// and a small one of each kind under recorders. Before and after each, both witnesses are read.
import { join } from 'node:path';
import { type RecorderOptions, startRecorder } from '../capture/record.ts';
import { runIperf3 } from '../hosts/iperf3.ts';
import { readPcap } from '../pcap/read-pcap.ts';
import type { Progress } from '../progress.ts';
import type { RunningLab } from '../running.ts';
import { clientOf, directorOf, IPERF_PORT, SWITCH, switchPort } from '../topologies/topology.ts';
import { type Confirmation, confirm, type PortCapture } from './confirm.ts';
import { between, type StillReading, stillReading } from './crossing.ts';
import { DIRECTIONS, type Direction, METHODS, type Method, type Sample } from './summary.ts';

export type Labs = Readonly<Record<Method, RunningLab>>;

interface Kind {
  readonly method: Method;
  readonly direction: Direction;
}

export const KINDS: readonly Kind[] = DIRECTIONS.flatMap((direction) =>
  METHODS.map((method) => ({ method, direction })),
);

/** Size and pace of a recorded transfer: small and slow enough for a recorder to see all of it. */
export const RECORDED_BYTES = 8 * 1024 * 1024;
const RECORDED_BITS_PER_SECOND = 200_000_000;
const RECORDED_SECONDS = 10;
/** With offloads on, libpcap takes 64 KiB for a frame of any size: room for 1,000 frames. */
const RING_BYTES = 64 * 1024 * 1024;
/** A capture that is not whole is taken again, so often in all. */
const ATTEMPTS = 3;

/** About how long a transfer takes beyond the time that iperf3 sends. */
export const SECONDS_BESIDE = 0.7;
export const SECONDS_PER_RECORDED = 2.5;

export interface MeasureOptions {
  readonly seconds: number;
  readonly rounds: number;
}

/** Every other round goes backwards, so that no kind always runs after the same other one. */
export async function measure(
  labs: Labs,
  { seconds, rounds }: MeasureOptions,
  progress: Progress,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? KINDS : KINDS.toReversed()) {
      progress.begin(`round ${round + 1}, ${kind.method} ${kind.direction}`);
      samples.push(await measureOne(labs[kind.method], kind, { seconds, round }));
    }
  }
  return samples;
}

async function measureOne(
  running: RunningLab,
  { method, direction }: Kind,
  { seconds, round }: { readonly seconds: number; readonly round: number },
): Promise<Sample> {
  const before = await stillReading(running);
  const host = clientOf(running.topology).name;
  const options = { host, address: running.topology.vip, direction, seconds };
  const result = await runIperf3(running.lab, options);
  const crossed = between(before, await stillReading(running));
  const { bitsPerSecond, receivedBytes: deliveredBytes, retransmits } = result;
  return { method, direction, round, bitsPerSecond, deliveredBytes, retransmits, ...crossed };
}

/** One recorded transfer of each kind; the captures go to `directory`. */
export async function confirmAll(
  labs: Labs,
  directory: string,
  progress: Progress,
): Promise<Confirmation[]> {
  const confirmations: Confirmation[] = [];
  for (const kind of KINDS) {
    progress.begin(`${kind.method} ${kind.direction}`);
    confirmations.push(await confirmOne(labs[kind.method], kind, directory));
  }
  return confirmations;
}

async function confirmOne(
  running: RunningLab,
  kind: Kind,
  directory: string,
): Promise<Confirmation> {
  let attempt = 1;
  for (;;) {
    const confirmation = await recordTransfer(running, kind, directory);
    if (confirmation.verdict !== 'not-whole' || attempt === ATTEMPTS) return confirmation;
    attempt += 1;
  }
}

async function recordTransfer(
  running: RunningLab,
  { method, direction }: Kind,
  directory: string,
): Promise<Confirmation> {
  const { lab, topology } = running;
  const host = clientOf(topology).name;
  const size = { bytes: RECORDED_BYTES, bitsPerSecond: RECORDED_BITS_PER_SECOND };
  const options = { host, address: topology.vip, direction, seconds: RECORDED_SECONDS, ...size };
  const ports = portsOf(running, `${method}-${direction}`);
  const { before, after, captures, result } = await recorded(running, ports, directory, () =>
    runIperf3(lab, options),
  );
  const { director, kernel } = between(before, after);
  const deliveredBytes = result.receivedBytes;
  const facts = { method, direction, port: IPERF_PORT, deliveredBytes };
  return confirm({ ...facts, director, kernel, captures });
}

interface Port {
  readonly file: string;
  readonly mac: string;
  readonly namespace: string;
  readonly interface: string;
}

/** Where frames to and from the director can be seen: the switch's end of its cables. */
function portsOf({ lab, topology }: RunningLab, stem: string): Port[] {
  const director = directorOf(topology);
  return director.arms.map((arm) => ({
    file: `${stem}-${switchPort(director.name, arm.name)}.pcap`,
    mac: arm.mac,
    namespace: lab.namespaceOf(SWITCH),
    interface: switchPort(director.name, arm.name),
  }));
}

/** Runs `action` under recorders, between two still moments; frames beyond these are left out. */
async function recorded<T>(
  running: RunningLab,
  ports: readonly Port[],
  directory: string,
  action: () => Promise<T>,
) {
  const starts = ports.map((port) => startRecorder(recorderOptions(port, directory)));
  const settled = await Promise.allSettled(starts);
  const recorders = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  try {
    // The first that could not start, if one could not.
    await Promise.all(starts);
    const before = await stillReading(running);
    const result = await action();
    const after = await stillReading(running);
    const reports = await Promise.all(recorders.map((recorder) => recorder.stop()));
    const captures: PortCapture[] = [];
    for (const [index, { file, mac }] of ports.entries()) {
      const frames = await framesBetween(join(directory, file), before, after);
      captures.push({ file, mac, frames, report: reports[index]! });
    }
    return { before, after, captures, result };
  } finally {
    await Promise.all(recorders.map((recorder) => recorder.stop()));
  }
}

const recorderOptions = (port: Port, directory: string): RecorderOptions => ({
  namespace: port.namespace,
  interface: port.interface,
  file: join(directory, port.file),
  bufferBytes: RING_BYTES,
});

async function framesBetween(file: string, before: StillReading, after: StillReading) {
  const { frames } = await readPcap(file);
  return frames.filter(
    ({ timestampUs }) => timestampUs > before.timestampUs && timestampUs < after.timestampUs,
  );
}

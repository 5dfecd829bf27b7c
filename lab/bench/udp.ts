// Small UDP packets, as many as the client can send: what arrives at the real counts. The client
// sends on core 0; a kernel path does its work there too, in the sender's softirq, as it does on
// veth; the director has core 1.
import type { Lab } from '../net/lab.ts';
import { type Bed, CLIENT, OUTSIDE, type Path, REAL, VIP } from './bed.ts';
import type { Variant } from './measure.ts';

export const UDP_PATHS: readonly Path[] = [
  'furiwake dsr',
  'furiwake dsr tc',
  'nft fwd',
  'furiwake nat',
  'furiwake nat tc',
  'nft dnat',
  'routing',
];

export const GENERATOR_CORE = '0';
/** Before each measurement, on every path alike: flows are opened, V8 compiles, caches fill. */
const WARM_UP_SECONDS = 2;

/** The real counts and drops what arrives before its own stack would answer. */
const SINK_RULES = `table netdev sink {
  chain ingress {
    type filter hook ingress device "eth0" priority -300
    ip protocol udp drop
  }
}
`;

export async function sinkFrames(lab: Lab): Promise<void> {
  await lab.exec('r1', ['nft', '-f', '-'], { input: SINK_RULES });
}

/** Frames a second that arrive at the real, path by path. */
export async function udpVariants(bed: Bed, seconds: number): Promise<Variant[]> {
  await sinkFrames(bed.lab);
  return UDP_PATHS.map((path) => ({
    name: path,
    measure: async () => {
      const close = await bed.open(path);
      try {
        await floodOnce(bed.lab, path, WARM_UP_SECONDS);
        return await floodOnce(bed.lab, path, seconds);
      } finally {
        await close();
      }
    },
  }));
}

async function floodOnce(lab: Lab, path: Path, seconds: number): Promise<number> {
  const before = await receivedFrames(lab);
  const generator = new URL('./generator.js', import.meta.url).pathname;
  const output = await lab.exec('client', [
    ...['taskset', '-c', GENERATOR_CORE, process.execPath, generator],
    ...['--destination-mac', OUTSIDE.mac, '--source', CLIENT.address],
    ...['--destination', path === 'routing' ? REAL.address : VIP],
    ...['--seconds', String(seconds)],
  ]);
  const sent = JSON.parse(output.stdout) as { seconds: number };
  return ((await receivedFrames(lab)) - before) / sent.seconds;
}

export async function receivedFrames(lab: Lab): Promise<number> {
  const output = await lab.exec('r1', ['ip', '-s', '-j', 'link', 'show', 'eth0']);
  const [link] = JSON.parse(output.stdout) as { stats64: { rx: { packets: number } } }[];
  return link?.stats64.rx.packets ?? 0;
}

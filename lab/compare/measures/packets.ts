// Small packets: UDP frames of 60 bytes in 1,000 flows, flat out, from the bench's generator on the
// client; what the reals' kernels received counts. A short flood before each opens the flows and
// lets the director's code be compiled, on every path alike. The client sends on core 0, where a
// kernel path does its work too, in the sender's softirq.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ALL_PROGRAMS, whyNoLab } from '../../requirements.ts';
import { addressOf, clientOf } from '../../topologies/topology.ts';
import { until } from '../../wait.ts';
import type { Measure } from '../measure.ts';
import type { OpenPath } from '../path.ts';
import { arrivedPackets, PACKETS_PORT } from '../servers.ts';
import { SETTLE_SECONDS, stillCrossing, witnessed } from './witness.ts';

const FRAME_BYTES = 60;
/** What is left of a frame after Ethernet, IPv4 and UDP. */
const PAYLOAD_BYTES = FRAME_BYTES - 14 - 20 - 8;
const FLOWS = 1000;
const CORE = '0';
const WARM_UP_SECONDS = 0.5;
/** Twice the start of a Node process. */
const STARTS_SECONDS = 0.5;
const NEIGHBOUR_TIMEOUT_MS = 5_000;

interface Flood {
  readonly sentFrames: number;
  readonly seconds: number;
}

export const PACKETS: Measure = {
  name: 'packets',
  secondsBeside: WARM_UP_SECONDS + STARTS_SECONDS + 1.5 * SETTLE_SECONDS,
  notApplicable: (open) =>
    open.carriesUdp
      ? whyNoLab([...ALL_PROGRAMS, 'taskset'])
      : `${open.path.title} does not carry UDP`,
  take: async (open, { round, seconds }) => {
    const mac = await nextHopMac(open);
    await flood(open, mac, WARM_UP_SECONDS);
    await stillCrossing(open);
    const before = await arrivedPackets(open.lab, open.topology);
    const { result, crossed, cpu } = await witnessed(open, () => flood(open, mac, seconds));
    const arrived = (await arrivedPackets(open.lab, open.topology)) - before;
    if (arrived === 0) throw new Error(`none of ${result.sentFrames} small packets arrived`);
    return {
      ...{ round, crossed, cpu },
      value: arrived / result.seconds,
      deliveredBytes: arrived * PAYLOAD_BYTES,
      deliveredCount: arrived,
      lossShare: Math.max(0, 1 - arrived / result.sentFrames),
    };
  },
};

async function flood({ lab, topology, target }: OpenPath, mac: string, seconds: number) {
  const client = clientOf(topology);
  const output = await lab.exec(client.name, [
    ...['taskset', '-c', CORE, process.execPath, generatorProgram()],
    ...['--destination-mac', mac, '--source', addressOf(client), '--destination', target],
    ...['--port', String(PACKETS_PORT), '--flows', String(FLOWS)],
    ...['--bytes', String(FRAME_BYTES), '--seconds', String(seconds)],
  ]);
  return JSON.parse(output.stdout) as Flood;
}

/** The built generator; this file may itself run from the sources, in tests. */
function generatorProgram(): string {
  const program = join(packageRoot(import.meta.dirname), 'dist', 'lab', 'bench', 'generator.js');
  if (!existsSync(program)) throw new Error(`${program} is missing; build it with: npm run build`);
  return program;
}

function packageRoot(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  return packageRoot(dirname(directory));
}

/**
 * The generator writes whole frames, so it must know who takes them: whom the client's own kernel
 * would send them to, the target or the gateway on the way to it.
 */
async function nextHopMac({ lab, topology, target }: OpenPath): Promise<string> {
  const { name } = clientOf(topology);
  const route = await lab.exec(name, ['ip', '-j', 'route', 'get', target]);
  const hop = (JSON.parse(route.stdout) as { gateway?: string }[])[0]?.gateway ?? target;
  return until(`the client to learn the MAC address of ${hop}`, () => learn(), {
    timeoutMs: NEIGHBOUR_TIMEOUT_MS,
  });

  async function learn(): Promise<string | undefined> {
    const { stdout } = await lab.exec(name, ['ip', '-j', 'neighbour', 'show', 'to', hop]);
    const known = (JSON.parse(stdout || '[]') as { lladdr?: string }[])[0]?.lladdr;
    // Whether the ping is answered does not matter: ARP must ask for the next hop before.
    if (known === undefined) await lab.exec(name, pingOnce(target), { onFailure: 'return' });
    return known;
  }
}

const pingOnce = (address: string) => ['ping', '-c', '1', '-W', '1', address];

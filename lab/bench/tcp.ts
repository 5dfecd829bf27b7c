// Bulk TCP by iperf3, one connection, both directions. NAT is compared with nft DNAT on the bed of
// two cables; DSR with no balancer at all on one switch, where replies take the direct way.
import { readFileSync } from 'node:fs';
import { startDirector } from '../hosts/director.ts';
import { runIperf3, startIperf3 } from '../hosts/iperf3.ts';
import type { Lab } from '../net/lab.ts';
import { buildTopology } from '../topologies/build.ts';
import { DSR } from '../topologies/dsr.ts';
import { addressOf, realsOf, type Topology } from '../topologies/topology.ts';
import { type Bed, type Path, REAL, VIP } from './bed.ts';
import type { Variant } from './measure.ts';

const DIRECTIONS = ['upload', 'download'] as const;
/**
 * Without a balancer `cubic` is twice as fast as `bbr` on these cables, which paces itself; so the
 * ratios differ, and one alone would say little.
 */
export const CONGESTION_CONTROLS = availableOf(['cubic', 'bbr']);

/** Bits a second of NAT and of nft DNAT. */
export async function natVariants(bed: Bed, seconds: number): Promise<Variant[]> {
  await startIperf3(bed.lab, 'r1', REAL.address);
  const paths: readonly Path[] = ['furiwake nat', 'furiwake nat tc', 'nft dnat'];
  return DIRECTIONS.flatMap((direction) =>
    paths.map((path) => ({
      name: `${path} ${direction}`,
      measure: async () => {
        const close = await bed.open(path);
        try {
          const options = { host: 'client', address: VIP, direction, seconds };
          return (await runIperf3(bed.lab, options)).bitsPerSecond;
        } finally {
          await close();
        }
      },
    })),
  );
}

/** One real is enough here, and each of the two paths has a server of its own on it. */
const ONE_REAL: Topology = { ...DSR, hosts: DSR.hosts.filter(({ name }) => !/^r[23]$/.test(name)) };

export interface DsrBed {
  readonly labs: readonly Lab[];
  readonly variants: Variant[];
}

/** Bits a second of DSR and of the same real without a balancer; each datapath has a lab. */
export async function buildDsrBed(seconds: number): Promise<DsrBed> {
  const real = realsOf(ONE_REAL)[0]!;
  const labs: Lab[] = [];
  const build = async (datapath: 'ring' | 'tc') => {
    const lab = await buildTopology(ONE_REAL);
    labs.push(lab);
    await startIperf3(lab, real.name, ONE_REAL.vip);
    await startIperf3(lab, real.name, addressOf(real));
    await startDirector(lab, ONE_REAL, { datapath });
    return lab;
  };
  try {
    const [ring, tc] = [await build('ring'), await build('tc')];
    return { labs, variants: dsrVariants(ring, tc, addressOf(real), seconds) };
  } catch (error) {
    for (const lab of labs) await lab.close();
    throw error;
  }
}

function dsrVariants(ring: Lab, tc: Lab, real: string, seconds: number): Variant[] {
  const targets = [
    { name: 'furiwake dsr', lab: ring, address: ONE_REAL.vip },
    { name: 'furiwake dsr tc', lab: tc, address: ONE_REAL.vip },
    { name: 'no balancer', lab: ring, address: real },
  ];
  const kinds = CONGESTION_CONTROLS.flatMap((congestionControl) =>
    DIRECTIONS.map((direction) => ({ congestionControl, direction })),
  );
  return kinds.flatMap(({ congestionControl, direction }) =>
    targets.map(({ name, lab, address }) => ({
      name: `${name} ${direction}, ${congestionControl}`,
      measure: async () => {
        const options = { host: 'client', address, direction, congestionControl, seconds };
        return (await runIperf3(lab, options)).bitsPerSecond;
      },
    })),
  );
}

function availableOf(names: readonly string[]): readonly string[] {
  const file = '/proc/sys/net/ipv4/tcp_available_congestion_control';
  const available = readFileSync(file, 'utf8').trim().split(' ');
  return names.filter((name) => available.includes(name));
}

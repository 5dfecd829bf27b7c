// A comparison as it comes out of a machine with two cores, made up: every path is there, IPVS is
// missing, nginx came up and ended, HAProxy carries no UDP, and one measure failed midway.
import {
  type CachePoint,
  type CompareResult,
  type ConfigFile,
  type CpuUse,
  type Evidence,
  type Latency,
  type MeasureResult,
  type PathName,
  type PathResult,
  type Sample,
  type SoakResult,
  type SqlPoint,
  WORKLOAD_PATHS,
} from '../../../lab/compare/result.ts';
import { SQL_WAYS } from '../../../lab/workloads/sql/measure-sql.ts';

const ROUNDS = 5;
const SECONDS = 3;

/** Figures of one path, from which its samples are made. */
interface Sketch {
  readonly name: PathName;
  readonly title: string;
  readonly kind: PathResult['kind'];
  readonly summary: string;
  readonly config: readonly [name: string, text: string];
  /** Gbit/s, Gbit/s, thousands a second three times, microseconds. */
  readonly upload: number;
  readonly download: number;
  readonly packets: number;
  readonly connections: number;
  readonly requests: number;
  readonly latency: number;
  /** Bytes at the balancer's host for each byte delivered: upload, download. */
  readonly crossing: readonly [upload: number, download: number];
  /** Share of the machine's time that is the balancer's own. */
  readonly own: number;
  readonly residentBytes: number | null;
}

const DATA = 1.0006;
const ACKS = 0.0021;
const PACKET_BYTES = 18;

const SKETCHES: readonly Sketch[] = [
  {
    ...{ name: 'none', title: 'no balancer', kind: 'none' },
    summary: 'the client talks to one real on the same Ethernet; nothing is between them',
    config: ['r1/nginx.conf', 'worker_processes auto;\nevents {}\n'],
    ...{ upload: 25.4, download: 26.7, packets: 412, connections: 14.2, requests: 61.3 },
    ...{ latency: 16, crossing: [0, 0], own: 0, residentBytes: null },
  },
  {
    ...{ name: 'furiwake-dsr-ring', title: 'furiwake DSR', kind: 'dsr' },
    summary:
      'the director writes a real’s MAC address; the answer goes past it; frames by the ring',
    config: [
      'furiwake.yaml',
      'interfaces: [eth0]\nservices:\n  web:\n    vip: 192.0.2.100\n    method: dsr\n',
    ],
    ...{ upload: 20.3, download: 24.9, packets: 404, connections: 11.9, requests: 52.4 },
    ...{ latency: 29, crossing: [DATA, ACKS], own: 0.3, residentBytes: 138 * 2 ** 20 },
  },
  {
    ...{ name: 'furiwake-nat-ring', title: 'furiwake NAT', kind: 'nat' },
    summary: 'the director rewrites addresses and ports; the answer comes back through it',
    config: ['furiwake.yaml', 'interfaces: [eth0, eth1]\nservices:\n  web:\n    method: nat\n'],
    ...{ upload: 19.5, download: 19.2, packets: 398, connections: 9.8, requests: 43.7 },
    ...{ latency: 41, crossing: [DATA + ACKS, DATA + ACKS], own: 0.32 },
    residentBytes: 141 * 2 ** 20,
  },
  {
    ...{ name: 'furiwake-fullnat', title: 'furiwake fullnat', kind: 'nat' },
    summary: 'the director rewrites both addresses; the answer comes back to its source pool',
    config: ['furiwake.yaml', 'sourcePool: { addresses: [10.77.0.200], ports: 20000-29999 }\n'],
    ...{ upload: 19.1, download: 18.8, packets: 371, connections: 9.5, requests: 42.9 },
    ...{ latency: 42, crossing: [DATA + ACKS, DATA + ACKS], own: 0.33 },
    residentBytes: 143 * 2 ** 20,
  },
  {
    ...{ name: 'furiwake-ipip', title: 'furiwake ipip', kind: 'tunnel' },
    summary: 'each packet goes within another IP packet to reals in another subnet',
    config: ['furiwake.yaml', 'services:\n  web:\n    method: ipip\n'],
    ...{ upload: 0.24, download: 14.1, packets: 36, connections: 5.1, requests: 15.9 },
    ...{ latency: 130, crossing: [1.08, ACKS], own: 0.1, residentBytes: 119 * 2 ** 20 },
  },
  {
    ...{ name: 'furiwake-gue', title: 'furiwake gue', kind: 'tunnel' },
    summary: 'each packet goes within a UDP packet to reals in another subnet',
    config: ['furiwake.yaml', 'services:\n  web:\n    method: gue\n'],
    ...{ upload: 0.23, download: 13.8, packets: 21, connections: 4.8, requests: 14.7 },
    ...{ latency: 140, crossing: [1.09, ACKS], own: 0.1, residentBytes: 120 * 2 ** 20 },
  },
  {
    ...{ name: 'furiwake-dsr-tc', title: 'furiwake DSR (tc)', kind: 'dsr' },
    summary: 'the same, and the kernel repeats what was decided of a flow',
    config: ['furiwake.yaml', 'datapath: tc\ninterfaces: [eth0]\n'],
    ...{ upload: 22.1, download: 23.6, packets: 350, connections: 9.4, requests: 51.1 },
    ...{ latency: 22, crossing: [1.045, ACKS], own: 0.05, residentBytes: 126 * 2 ** 20 },
  },
  {
    ...{ name: 'furiwake-nat-tc', title: 'furiwake NAT (tc)', kind: 'nat' },
    summary: 'the same, and the kernel repeats what was decided of a flow',
    config: ['furiwake.yaml', 'datapath: tc\ninterfaces: [eth0, eth1]\n'],
    ...{ upload: 21.4, download: 21.9, packets: 320, connections: 7.9, requests: 46.2 },
    ...{ latency: 25, crossing: [1.069, 1.069], own: 0.06, residentBytes: 131 * 2 ** 20 },
  },
  {
    ...{ name: 'furiwake-dsr-cap', title: 'furiwake DSR (cap)', kind: 'dsr' },
    summary: 'the same by libpcap, which knows no offloads: off on all hosts here',
    config: ['furiwake.yaml', 'datapath: cap\ninterfaces: [eth0]\n'],
    ...{ upload: 0.93, download: 3.1, packets: 88, connections: 6.1, requests: 22.3 },
    ...{ latency: 64, crossing: [1.045, 0.024], own: 0.4, residentBytes: 121 * 2 ** 20 },
  },
  {
    ...{ name: 'furiwake-nat-cap', title: 'furiwake NAT (cap)', kind: 'nat' },
    summary: 'the same by libpcap, which knows no offloads: off on all hosts here',
    config: ['furiwake.yaml', 'datapath: cap\ninterfaces: [eth0, eth1]\n'],
    ...{ upload: 0.88, download: 0.86, packets: 81, connections: 5.2, requests: 17.9 },
    ...{ latency: 88, crossing: [1.069, 1.069], own: 0.42, residentBytes: 124 * 2 ** 20 },
  },
  {
    ...{ name: 'routing', title: 'routing', kind: 'routing' },
    summary: 'the kernel of the host between routes to one real and back, and balances nothing',
    config: ['director.sh', 'sysctl -q -w net.ipv4.ip_forward=1\n'],
    ...{ upload: 25.1, download: 23.9, packets: 331, connections: 13.4, requests: 57.2 },
    ...{ latency: 19, crossing: [DATA + ACKS, DATA + ACKS], own: 0, residentBytes: null },
  },
  {
    ...{ name: 'nft-dnat', title: 'nft DNAT', kind: 'nat' },
    summary: 'nftables rewrites the address of a new connection, conntrack the rest',
    config: ['nftables.conf', 'table ip compare {\n  chain prerouting { … }\n}\n'],
    ...{ upload: 25.0, download: 22.2, packets: 283, connections: 11.3, requests: 51.9 },
    ...{ latency: 21, crossing: [DATA + ACKS, DATA + ACKS], own: 0, residentBytes: null },
  },
  {
    ...{ name: 'nft-fwd', title: 'nft fwd', kind: 'dsr' },
    summary: 'nftables writes a real’s MAC address at netdev ingress; the answer goes past it',
    config: ['nftables.conf', 'table netdev compare {\n  chain ingress { … }\n}\n'],
    ...{ upload: 24.8, download: 25.9, packets: 383, connections: 13.1, requests: 58.8 },
    ...{ latency: 18, crossing: [DATA, ACKS], own: 0, residentBytes: null },
  },
  {
    ...{ name: 'haproxy', title: 'HAProxy', kind: 'proxy' },
    summary: 'a proxy in user space, TCP mode; both directions go through it; no UDP',
    config: ['haproxy.cfg', 'defaults\n  mode tcp\n  option splice-auto\n'],
    ...{ upload: 15.8, download: 16.4, packets: 0, connections: 5.6, requests: 28.1 },
    ...{ latency: 52, crossing: [1.001, 1.001], own: 0.38, residentBytes: 19 * 2 ** 20 },
  },
];

/** A generator of its own, so that the sample is always the same. */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}

const jitter = (random: () => number, value: number, share = 0.04): number =>
  value * (1 + (random() - 0.5) * 2 * share);

const SHARES = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1];
const SHAPE = [0.7, 0.8, 0.9, 1, 1.1, 1.3, 1.6, 3.1, 5, 14, 22, 60, 140];

function latencyOf(median: number, tail: number, ratePerSecond: number): Latency {
  const at = (index: number) => median * SHAPE[index]! ** (index > 3 ? tail : 1);
  return {
    p50Seconds: at(3),
    p99Seconds: at(7),
    p999Seconds: at(9),
    maximumSeconds: at(12),
    distribution: SHARES.map((share, index) => [share, at(index)] as const),
    count: Math.round(ratePerSecond * SECONDS),
    ratePerSecond,
  };
}

type Figures = Pick<Sample, 'value' | 'deliveredBytes' | 'deliveredCount'> & Partial<Sample>;

function sampleOf(sketch: Sketch, crossing: number, busy: number, figures: Figures) {
  const bytes = Math.round((figures.deliveredBytes ?? 0) * crossing);
  const frames = Math.ceil(bytes / 9000);
  const cpu: CpuUse = {
    wallSeconds: SECONDS,
    machineSeconds: SECONDS * 2 * busy,
    balancerSeconds: SECONDS * 2 * busy * sketch.own,
  };
  const crossed = { inFrames: frames, inBytes: bytes, outFrames: frames, outBytes: bytes };
  return { crossed, cpu, ...figures };
}

function measuresOf(sketch: Sketch, random: () => number): PathResult['measures'] {
  const [up, down] = sketch.crossing;
  const bulk = (gigabits: number, crossing: number) => () => {
    const value = jitter(random, gigabits * 1e9, 0.06);
    const deliveredBytes = (value * SECONDS) / 8;
    return sampleOf(sketch, crossing, 0.96, { value, deliveredBytes, deliveredCount: null });
  };
  const counted = (thousands: number, bytesEach: number) => () => {
    const value = jitter(random, thousands * 1000);
    const deliveredCount = Math.round(value * SECONDS);
    const deliveredBytes = deliveredCount * bytesEach;
    const loss = bytesEach === PACKET_BYTES ? { lossShare: random() * 0.02 } : {};
    const all = { value, deliveredBytes, deliveredCount, ...loss };
    return sampleOf(sketch, up, 0.98, all);
  };
  const latency = (factor: number, tail: number, ratePerSecond: number) => () => {
    const latency = latencyOf(jitter(random, sketch.latency * factor * 1e-6), tail, ratePerSecond);
    const deliveredCount = latency.count;
    const figures = { value: latency.p50Seconds, deliveredBytes: deliveredCount * 28 };
    return sampleOf(sketch, up, 0.3, { ...figures, deliveredCount, latency });
  };
  const take = (make: () => Omit<Sample, 'round'>): MeasureResult => ({
    status: 'measured',
    samples: Array.from({ length: ROUNDS }, (_, round) => ({ round, ...make() })),
  });
  return {
    upload: take(bulk(sketch.upload, up)),
    download: take(bulk(sketch.download, down)),
    packets: take(counted(sketch.packets, PACKET_BYTES)),
    connections: take(counted(sketch.connections, 240)),
    requests: take(counted(sketch.requests, 240)),
    'latency-idle': take(latency(1, 0.8, 1000)),
    'latency-half': take(latency(1.3, 1, sketch.requests * 500)),
  };
}

function evidenceOf({ name, kind }: Sketch): Evidence {
  const captures = ['client-eth0', 'director-eth0', 'r1-eth0'].map(
    (point) => `captures/${name}/${point}.pcap`,
  );
  const frames = captures.map((file, index) => ({ file, frame: 4 + index }));
  const way = kind === 'dsr' ? 'goes past the balancer' : 'comes back through the balancer';
  return {
    holds: true,
    claims: [
      { text: 'Every request reaches one real.', verdict: 'holds', frames, looked: 48 },
      {
        text: kind === 'none' ? 'Every answer comes straight.' : `Every answer ${way}.`,
        ...{ verdict: 'holds', frames: frames.slice(1), looked: 51 },
      },
    ],
    captures,
    tsharkComplaints: [],
  };
}

function pathOf(sketch: Sketch, index: number): PathResult {
  const { name, title, kind, summary, config, residentBytes } = sketch;
  const configs: ConfigFile[] = [
    { name: config[0], text: config[1], source: `${title}, its manual, section 4.2` },
  ];
  return {
    ...{ name, title, kind, summary, configs, residentBytes },
    status: 'measured',
    measures: { ...measuresOf(sketch, noise(index + 7)), ...exceptionsOf(sketch, index) },
    evidence: evidenceOf(sketch),
  };
}

function exceptionsOf(sketch: Sketch, index: number): PathResult['measures'] {
  if (sketch.name === 'haproxy') {
    const reason = 'HAProxy carries no UDP';
    return { packets: { status: 'not-applicable', reason, samples: [] } };
  }
  if (sketch.name === 'furiwake-nat-cap') {
    const samples = measuresOf(sketch, noise(index)).connections!.samples.slice(0, 2);
    const reason = 'wrk: connection reset by peer after 2 of 5 rounds';
    return { connections: { status: 'failed', reason, samples } };
  }
  return {};
}

const WITHOUT_FIGURES = { configs: [], measures: {}, residentBytes: null } as const;
const NO_IPVS = 'the kernel 6.18.5 has no IPVS (/proc/net/ip_vs is missing); run: modprobe ip_vs';

const ABSENT: readonly PathResult[] = [
  {
    ...{ name: 'nginx-stream', title: 'nginx stream', kind: 'proxy', status: 'failed' },
    summary: 'a proxy in user space for TCP and UDP; both directions go through it',
    reason: 'did not come up: nginx: [emerg] bind() to 198.51.100.100:80 failed <98>',
    ...WITHOUT_FIGURES,
  },
  {
    ...{ name: 'ipvs-dr', title: 'IPVS DR', kind: 'dsr', status: 'missing', reason: NO_IPVS },
    summary: 'the kernel’s balancer writes a real’s MAC address; the answer goes past it',
    ...WITHOUT_FIGURES,
  },
  {
    ...{ name: 'ipvs-nat', title: 'IPVS NAT', kind: 'nat', status: 'missing', reason: NO_IPVS },
    summary: 'the kernel’s balancer rewrites addresses; the answer comes back through it',
    ...WITHOUT_FIGURES,
  },
];

const SQL_SHARE = {
  ...{ direct: 1, spread: 0.99, dsr: 0.972, nat: 0.921, 'dsr-tc': 0.979, 'nat-tc': 0.949 },
  fwd: 0.981,
};
const CACHE_SHARE = {
  ...{ direct: 1, spread: 0.97, dsr: 0.955, nat: 0.873, 'dsr-tc': 0.961, 'nat-tc': 0.911 },
  fwd: 0.968,
};

function sqlPoints(): SqlPoint[] {
  const random = noise(31);
  return [100, 200, 300, 400, 500, 600, 700, 800].flatMap((connections) =>
    SQL_WAYS.map((path): SqlPoint => {
      const rate = (9100 - connections * 2.4) * SQL_SHARE[path];
      const rounds = Array.from({ length: 3 }, () => jitter(random, rate, 0.012));
      const p95Seconds = rounds.map((value) => (connections / value) * 1.7);
      return { path, connections, queriesPerSecond: rounds, p95Seconds, errors: 0 };
    }),
  );
}

function cachePoints(): CachePoint[] {
  const random = noise(77);
  return [0, 1, 2, 3, 4].flatMap((proxies) =>
    (proxies === 0 ? (['direct'] as const) : WORKLOAD_PATHS).map((path): CachePoint => {
      const rate = (proxies === 0 ? 148_000 : 61_000 + proxies * 6000) * CACHE_SHARE[path];
      const commandsPerSecond = Array.from({ length: 3 }, () => jitter(random, rate, 0.03));
      const firstSecondCommands = Math.round(rate * 0.97);
      return { path, proxies, commandsPerSecond, firstSecondCommands, errors: 0 };
    }),
  );
}

function soakOf(method: SoakResult['method']): SoakResult {
  const random = noise(method === 'dsr' ? 5 : 6);
  const points = Array.from({ length: 60 }, (_, index) => ({
    atSeconds: (index + 1) * 10,
    bitsPerSecond: jitter(random, method === 'dsr' ? 2e9 : 1.98e9, 0.01),
    requestsPerSecond: jitter(random, method === 'dsr' ? 5200 : 4300, 0.05),
    p99Seconds: index === 17 ? null : jitter(random, method === 'dsr' ? 0.0021 : 0.0029, 0.2),
    residentBytes: 138 * 2 ** 20 + Math.min(index, 12) * 200_000,
    activeFlows: Math.round(jitter(random, 5600, 0.05)),
    droppedFrames: index === 30 && method === 'nat' ? 12 : 0,
  }));
  const drops: Record<string, number> = method === 'nat' ? { 'ring-full': 12 } : {};
  return { method, status: 'measured', points, drops };
}

export const SAMPLE: CompareResult = {
  format: 'furiwake-compare-1',
  startedAt: '2026-11-22T13:04:11.000Z',
  endedAt: '2026-11-22T13:57:40.000Z',
  interrupted: false,
  quick: false,
  rounds: ROUNDS,
  secondsPerSample: SECONDS,
  conditions: {
    kernel: '6.18.5',
    cpus: 2,
    cpuModel: 'AMD EPYC',
    memoryBytes: 16 * 2 ** 30,
    node: 'v20.20.2',
    congestionControl: 'cubic',
    loadBefore: 0.31,
    versions: { nginx: '1.22.1', haproxy: '2.6.12', iperf3: '3.12', nft: '1.0.6', wrk: '4.1.0' },
  },
  paths: [...SKETCHES.map(pathOf), ...ABSENT],
  sql: {
    status: 'measured',
    secondsPerPoint: 5,
    conditions: [
      'MariaDB on three reals, one table of 10,000 rows each.',
      'sysbench, reads alone.',
    ],
    configs: [{ name: 'my.cnf', text: '[mysqld]\nmax_connections = 1000\n', source: 'MariaDB' }],
    points: sqlPoints(),
  },
  cache: {
    status: 'measured',
    secondsPerPoint: 3,
    conditions: ['memcached behind twemproxy; values of 100 bytes.'],
    configs: [{ name: 'nutcracker.yml', text: 'pool:\n  hash: fnv1a_64\n', source: 'twemproxy' }],
    points: cachePoints(),
  },
  soaks: [soakOf('dsr'), soakOf('nat')],
};

/** A comparison in which nothing came up. */
export const NOTHING: CompareResult = {
  format: 'furiwake-compare-1',
  startedAt: '2026-11-22T13:04:11.000Z',
  endedAt: '2026-11-22T13:04:12.000Z',
  interrupted: true,
  quick: true,
  rounds: ROUNDS,
  secondsPerSample: SECONDS,
  conditions: SAMPLE.conditions,
  paths: SAMPLE.paths.map(({ name, title, kind, summary }) => ({
    ...{ name, title, kind, summary, ...WITHOUT_FIGURES },
    status: 'not-run',
  })),
  soaks: [],
};

// `npm run bench -- scale`: what becomes of the cost when there is much of everything: packets of
// up to ten million flows in random order, a Maglev table of a thousand reals, ten thousand
// services.
import { execFileSync } from 'node:child_process';
import { buildTable, findService, type ServiceInput } from '../../src/director/table.ts';
import { schedulerNamed } from '../../src/schedule/schedulers.ts';
import type { Target } from './main.ts';
import { type Sample, sampleOf } from './measure.ts';

const FLOWS = [1000, 10_000, 100_000, 1_000_000, 10_000_000];
const REALS = 1000;
const SERVICES = 10_000;
const RUNS = 5;
const LOOK_UPS = 1_000_000;

interface FlowRun {
  readonly runs: readonly number[];
  readonly bytesPerFlow: number;
}

export function measureScale(
  samples: Record<string, Sample[]>,
  tell: (text: string) => void,
): Target[] {
  const child = new URL('./scale-child.js', import.meta.url).pathname;
  const points = FLOWS.map((flows) => {
    tell(`scale: ${flows} flows`);
    const output = execFileSync(process.execPath, [child, String(flows)], { encoding: 'utf8' });
    const { runs, bytesPerFlow } = JSON.parse(output) as FlowRun;
    return { sample: sampleOf(`${flows} flows, ns/packet`, runs), bytesPerFlow };
  });
  tell('scale: reals and services');
  const maglevMs = sampleOf(`maglev of ${REALS} reals, ms`, repeat(buildMaglev));
  const services = makeServices();
  const tableMs = sampleOf(
    `table of ${SERVICES} services, ms`,
    repeat(() => buildTable(services)),
  );
  const lookUp = sampleOf(`look-up of ${SERVICES} services, ns`, lookUpNs(services));
  samples.scale = [...points.map(({ sample }) => sample), maglevMs, tableMs, lookUp];
  const [few, many] = [points[0], points.at(-1)];
  const growth = (many?.sample.median ?? Number.NaN) / (few?.sample.median ?? Number.NaN);
  return [
    target('core, 10 million flows / 1,000 flows', growth, 2.5, 'x'),
    target('memory of each of 10 million flows', many?.bytesPerFlow ?? Number.NaN, 64, 'bytes'),
    target(`maglev of ${REALS} reals`, maglevMs.median, 10, 'ms'),
    target(`look-up of a service among ${SERVICES}`, lookUp.median, 200, 'ns'),
  ];
}

const target = (name: string, value: number, wanted: number, unit: string): Target => ({
  ...{ name, value, wanted, rule: 'at most', unit },
});

/** Milliseconds of user time of each run, after one that is not counted. */
function repeat(work: () => void): number[] {
  work();
  return Array.from({ length: RUNS }, () => {
    const started = process.cpuUsage();
    work();
    return process.cpuUsage(started).user / 1000;
  });
}

function buildMaglev(): void {
  const reals = Array.from({ length: REALS }, (_, index) => ({
    key: `10.0.${index >> 8}.${index & 255}:80`,
    weight: 1,
  }));
  schedulerNamed('maglev').build(reals, { seed: 0 });
}

const FIRST_VIP = 0x0a000000;

function makeServices(): ServiceInput[] {
  const schedule = schedulerNamed('rr').build([{ key: '192.0.2.1:80', weight: 1 }], { seed: 0 });
  return Array.from({ length: SERVICES }, (_, id) => ({
    ...{ id, vips: [{ address: FIRST_VIP + id, prefixLength: 32 }], protocols: [6], schedule },
    ports: [{ from: 80, to: 80 }],
    reals: [{ id, address: 0x0b000000 + id, port: 80, method: 'dsr', arm: 0 }],
  }));
}

/** Nanoseconds of finding a service, any of them in turn, scattered. */
function lookUpNs(services: readonly ServiceInput[]): number[] {
  const built = buildTable(services);
  const runs = repeat(() => {
    let missed = 0;
    for (let turn = 0; turn < LOOK_UPS; turn++) {
      const id = (turn * 7919) % SERVICES;
      if (findService(built, FIRST_VIP + id, 80, 6) !== id) missed++;
    }
    if (missed > 0) throw new Error(`${missed} services were not found`);
  });
  return runs.map((ms) => (ms * 1e6) / LOOK_UPS);
}

// What many reals and services cost: a Maglev table of a thousand reals, and for ten to ten
// thousand services their forwarding table and a look-up in it. A process of its own, so that V8
// and its collector have nothing else to do. Prints one line of JSON.
import { inlineGenerously } from '../../src/control/v8-settings.ts';
import { buildTable, findService, type ServiceInput } from '../../src/director/table.ts';
import { schedulerNamed } from '../../src/schedule/schedulers.ts';

const REALS = 1000;
const SERVICES = [10, 100, 1000, 10_000];
const RUNS = 5;
const LOOK_UPS = 1 << 20;
const FIRST_VIP = 0x0a000000;

export interface ServicesPoint {
  readonly services: number;
  readonly tableMs: readonly number[];
  readonly lookUpNs: readonly number[];
}

export interface Tables {
  readonly reals: number;
  readonly maglevMs: readonly number[];
  readonly points: readonly ServicesPoint[];
}

inlineGenerously();

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

function makeServices(count: number): ServiceInput[] {
  const schedule = schedulerNamed('rr').build([{ key: '192.0.2.1:80', weight: 1 }], { seed: 0 });
  return Array.from({ length: count }, (_, id) => ({
    ...{ id, vips: [{ address: FIRST_VIP + id, prefixLength: 32 }], protocols: [6], schedule },
    ports: [{ from: 80, to: 80 }],
    reals: [{ id, address: 0x0b000000 + id, port: 80, method: 'dsr', arm: 0 }],
  }));
}

/** Any of the services, scattered; the same number of times whatever their number. */
function lookUpNs(services: readonly ServiceInput[]): number[] {
  const built = buildTable(services);
  const order = Int32Array.from({ length: LOOK_UPS }, (_, turn) => {
    return (turn * 7919) % services.length;
  });
  const runs = repeat(() => {
    let missed = 0;
    for (let turn = 0; turn < LOOK_UPS; turn++) {
      const id = order[turn] as number;
      if (findService(built, FIRST_VIP + id, 80, 6) !== id) missed++;
    }
    if (missed > 0) throw new Error(`${missed} services were not found`);
  });
  return runs.map((ms) => (ms * 1e6) / LOOK_UPS);
}

const maglevMs = repeat(buildMaglev);
const points = SERVICES.map((count): ServicesPoint => {
  const services = makeServices(count);
  const tableMs = repeat(() => buildTable(services));
  return { services: count, tableMs, lookUpNs: lookUpNs(services) };
});
const tables: Tables = { reals: REALS, maglevMs, points };
process.stdout.write(`${JSON.stringify(tables)}\n`);

// The SQL workload: what is read from sysbench's reports, the order of the runs, and one small
// measurement for real, of which the figures do not matter.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WorkloadPath } from '../../../lab/compare/result.ts';
import { readSysbench, sysbenchArgv } from '../../../lab/hosts/sysbench.ts';
import { openSqlBed } from '../../../lab/workloads/sql/bed.ts';
import {
  measureOn,
  measureSql,
  SQL_WAYS,
  sqlSeconds,
  stepsOf,
  whyNoSql,
} from '../../../lab/workloads/sql/measure-sql.ts';
import { datapathOf } from '../../../lab/workloads/ways.ts';

/** What sysbench 1.0.20 said with a checkpoint; the errors are put in. */
const CAPTURED = `sysbench 1.0.20 (using system LuaJIT 2.1.0-beta3)

Running the test with following options:
Number of threads: 100
Report checkpoint(s) at 1 seconds
Initializing random number generator from current time


Initializing worker threads...

Threads started!

[ 1s ] Checkpoint report:
SQL statistics:
    queries performed:
        read:                            19382
        write:                           0
        other:                           0
        total:                           19382
    transactions:                        1333   (1224.78 per sec.)
    queries:                             19382  (17808.49 per sec.)
    ignored errors:                      7      (6.43 per sec.)
    reconnects:                          7      (6.43 per sec.)

General statistics:
    total time:                          1.0877s
    total number of events:              1333

Latency (ms):
         min:                                    7.39
         avg:                                   69.49
         max:                                  997.75
         95th percentile:                      235.74
         sum:                                92636.59

Threads fairness:
    events (avg/stddev):           13.3300/8.31
    execution time (avg/stddev):   0.9264/0.15

SQL statistics:
    queries performed:
        read:                            48980
        write:                           0
        other:                           0
        total:                           48980
    transactions:                        3550   (1193.11 per sec.)
    queries:                             48980  (16461.57 per sec.)
    ignored errors:                      2      (0.67 per sec.)
    reconnects:                          1      (0.34 per sec.)

General statistics:
    total time:                          4.0634s
    total number of events:              3550

Latency (ms):
         min:                                    1.33
         avg:                                   86.89
         max:                                 1157.02
         95th percentile:                      267.41
         sum:                               308469.13

Threads fairness:
    events (avg/stddev):           35.5000/15.75
    execution time (avg/stddev):   3.0847/0.15
`;

describe('readSysbench', () => {
  it('reads what was counted after the warm-up', () => {
    expect(readSysbench(CAPTURED)).toEqual({
      queriesPerSecond: 16461.57,
      p95Seconds: expect.closeTo(0.26741, 9),
      errors: 3,
    });
  });

  it('refuses a report that holds the warm-up alone', () => {
    const end = CAPTURED.lastIndexOf('SQL statistics:');
    expect(() => readSysbench(CAPTURED.slice(0, end))).toThrow('no report after its warm-up');
    expect(() => readSysbench('')).toThrow('no report after its warm-up');
  });

  it('says what is missing in a report', () => {
    const cut = CAPTURED.replace(/95th percentile/g, '99th percentile');
    expect(() => readSysbench(cut)).toThrow('no 95th percentile in its report');
  });
});

it('sysbench counts as long as it is told to, after its warm-up', () => {
  const argv = sysbenchArgv({ servers: ['192.0.2.1', '192.0.2.2'], connections: 800, seconds: 5 });
  expect(argv).toContain('--mysql-host=192.0.2.1,192.0.2.2');
  expect(argv).toContain('--threads=800');
  expect(argv).toContain('--report-checkpoints=2');
  expect(argv).toContain('--time=7');
});

describe('the order of the runs', () => {
  const connections = [100, 200, 300];
  const rounds = 4;
  const steps = stepsOf({ ways: SQL_WAYS, connections, rounds });
  const order = (round: number, count: number) =>
    steps
      .filter((step) => step.round === round && step.connections === count)
      .map((step) => step.path);

  it('warms each way up, then has each way once in each round and number of connections', () => {
    expect(order(0, 100)).toEqual(SQL_WAYS);
    for (let round = 1; round <= rounds; round++) {
      for (const count of connections) {
        expect(order(round, count).toSorted()).toEqual(SQL_WAYS.toSorted());
      }
    }
    expect(steps).toHaveLength(6 + rounds * connections.length * 6);
  });

  const groupOf = (way: WorkloadPath) => datapathOf(way) ?? way;
  /** Each group once, in their order. */
  const groups = (round: number, count: number) => [...new Set(order(round, count).map(groupOf))];

  it('needs one director of each datapath in a turn', () => {
    for (let round = 1; round <= rounds; round++) {
      const ways = order(round, 100).map(groupOf);
      const changes = ways.filter((group, at) => at > 0 && group !== ways[at - 1]);
      expect(changes).toHaveLength(3);
    }
  });

  it('lets each group run first, and after each other one', () => {
    for (const count of connections) {
      const orders = Array.from({ length: rounds }, (_, index) => groups(index + 1, count));
      expect(new Set(orders.map(([first]) => first)).size).toBe(4);
      const after = orders.flatMap((ways) =>
        ways.slice(1).map((way, at) => `${way} after ${ways[at]}`),
      );
      expect(after.toSorted()).toEqual([...new Set(after)].toSorted());
      expect(after).toHaveLength(4 * 3);
    }
  });

  it('takes longer with each run', () => {
    const one = sqlSeconds({ ways: SQL_WAYS, connections: [100], rounds: 1, seconds: 5 });
    const two = sqlSeconds({ ways: SQL_WAYS, connections: [100], rounds: 2, seconds: 5 });
    expect(two - one).toBeGreaterThan(4 * 5);
  });
});

const reason = whyNoSql();
const FEW_WAYS = ['direct', 'dsr', 'nat', 'fwd'] as const;
const ONCE = { connections: [4], rounds: 1, seconds: 1 } as const;

describe.skipIf(reason !== undefined)(`SQL for real${reason ? `: ${reason}` : ''}`, () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'sql-test-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('measures all ways, and keeps what sysbench said', async () => {
    const texts: string[] = [];
    const onStep = (text: string) => texts.push(text);
    const options = { ways: SQL_WAYS, connections: [8], rounds: 1, seconds: 1, onStep, directory };
    const result = await measureSql(options);
    expect(result).toMatchObject({ status: 'measured', secondsPerPoint: 1 });
    expect(result.reason).toBeUndefined();
    expect(result.points.map((point) => point.path)).toEqual(SQL_WAYS);
    for (const { connections, queriesPerSecond, p95Seconds, errors } of result.points) {
      expect({ connections, errors }).toEqual({ connections: 8, errors: 0 });
      expect(queriesPerSecond).toHaveLength(1);
      expect(queriesPerSecond[0]).toBeGreaterThan(10);
      expect(p95Seconds[0]).toBeGreaterThan(0);
    }
    // Eight connections twice each, warm-up and round, each time in turn to three reals.
    for (const way of ['DSR', 'NAT', 'DSR (tc)', 'NAT (tc)']) {
      const spread = 'to the reals: 6 to r1, 6 to r2, 4 to r3.';
      expect(result.conditions).toContain(`The director gave the connections of ${way} ${spread}`);
    }
    expect(texts.at(-1)).toMatch(/^SQL, round 1 of 1: 8 connections, /);
    expect(readdirSync(join(directory, 'sql'))).toContain('round-1-8-nat.txt');
  });

  it('says that it was interrupted if that broke the lab that it builds', async () => {
    const interruption = new AbortController();
    const onStep = () => {
      interruption.abort();
      // What the end of a lab breaks may be anything.
      throw new Error('ip: exit code 128');
    };
    const { signal } = interruption;
    const options = { ways: FEW_WAYS, ...ONCE, onStep, signal, directory };
    const result = await measureSql(options);
    expect(result).toMatchObject({ status: 'failed', reason: 'it was interrupted' });
  });

  it('goes on without a way that fails, and keeps what it has when it is aborted', async () => {
    const bed = await openSqlBed(() => {});
    try {
      await bed.director().stop();
      const abort = new AbortController();
      const onStep = (text: string) => {
        if (text.includes('round 2')) abort.abort();
      };
      const { signal } = abort;
      const options = { ways: FEW_WAYS, ...ONCE, rounds: 2, onStep, signal, directory };
      const forward = () => Promise.reject(new Error('nft: no such rule here'));
      const result = await measureOn({ ...bed, forward }, options);
      expect(result.status).toBe('partly');
      expect(result.points).toMatchObject([
        { path: 'direct', queriesPerSecond: [expect.any(Number)] },
      ]);
      expect(result.reason).toMatch(/^DSR, 4 connections: furiwake on director ended/);
      expect(result.reason).toContain('NAT, 4 connections: furiwake on director ended');
      expect(result.reason).toContain('nft fwd, 4 connections: nft: no such rule here');
      expect(result.reason).toMatch(/it was interrupted$/);
    } finally {
      await bed.close();
    }
  });
});

// The cache workload: reading what memcaslap prints, the configurations, and one short run for real
// over every way. How fast it was is looked at nowhere.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import { WORKLOAD_PATHS } from '../../../lab/compare/result.ts';
import { readMemcaslap } from '../../../lab/hosts/memcaslap.ts';
import { nftForwardRules } from '../../../lab/hosts/nft-forward.ts';
import { nutcrackerConfig } from '../../../lab/hosts/nutcracker.ts';
import { labNamespaces } from '../../../lab/net/state.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../../lab/requirements.ts';
import { cacheSeconds, measureCache } from '../../../lab/workloads/cache/measure-cache.ts';
import {
  CACHE_NETWORK,
  directorConfig,
  forwardOptions,
  serversFor,
} from '../../../lab/workloads/cache/network.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'memcached', 'nutcracker', 'memcaslap']);

const HEAD = 'Type     Time(s)  Ops          TPS(ops/s)   Net(M/s)   Get_miss   Min(us)  Max(us)';
const WIPE = '\u001b[1;1H\u001b[2J';

/** As memcaslap 1.0 prints it; `dumps` for each second, and `errors` among them. */
const MEMCASLAP = (errors = '') => `servers: 10.77.0.100:22121
threads count: 2
concurrency: 96
run time: 2s
windows size: 1k
set proportion: set_prop=0.10
get proportion: get_prop=0.90
${errors}${WIPE}
Get Statistics
${HEAD}
Period   1        33156        33156        34.4       0          785      8379
Global   1        33156        33156        34.4       0          785      8379

Set Statistics
${HEAD}
Period   1        3733         3733         3.9        0          660      7253
Global   1        3733         3733         3.9        0          660      7253

Total Statistics
${HEAD}
Period   1        36889        36889        38.3       0          660      8379
Global   1        36889        36889        38.3       0          660      8379

${errors}${WIPE}
Total Statistics
${HEAD}
Period   1        38110        38110        39.6       0          640      5347
Global   2        74999        37499        38.9       0          640      8379

Total Statistics (75095 events)
   Min:       640
   Max:      8379

cmd_get: 67675
cmd_set: 7516
get_misses: 3
written_bytes: 13609790
read_bytes: 70561735
object_bytes: 8192440

Run time: 2.0s Ops: 75191 TPS: 37595 Net_rate: 40.1M/s
`;

describe("memcaslap's output", () => {
  it('gives the rate, the first second and the keys that were missed', () => {
    const { report, ...figures } = readMemcaslap(MEMCASLAP());
    expect(figures).toEqual({
      commandsPerSecond: 37595,
      firstSecondCommands: 36889,
      errors: 3,
    });
    expect(report).toContain('Run time: 2.0s');
    expect(report).not.toContain(WIPE);
  });

  it('gives no credit for answers that were errors, though memcaslap does', () => {
    const errors = '<7 SERVER_ERROR Connection refused\n<12 SERVER_ERROR Connection timed out\n';
    const { report, ...figures } = readMemcaslap(MEMCASLAP(errors));
    expect(figures.commandsPerSecond).toBeCloseTo((37595 * 75187) / 75191, 6);
    expect(figures.firstSecondCommands).toBe(36887);
    expect(figures.errors).toBe(4 + 3);
    expect(report).not.toContain('SERVER_ERROR');
  });

  it('tells no first second if it has none', () => {
    const text = 'get_misses: 0\n\nRun time: 0.9s Ops: 900 TPS: 1000 Net_rate: 1.0M/s\n';
    expect(readMemcaslap(text)).toMatchObject({
      commandsPerSecond: 1000,
      firstSecondCommands: null,
    });
  });

  test.each([
    ['', 'memcaslap: no commands in its output'],
    ['Run time: 2.0s Ops: 0 TPS: 0 Net_rate: 0.0M/s\n', 'Ops: 0'],
  ])('that has no commands is an error: %j', (text, message) => {
    expect(() => readMemcaslap(text)).toThrow(message);
  });
});

describe('the set-up', () => {
  it('tells the client a list of proxies, one VIP, or memcached itself', () => {
    expect(serversFor('direct', 2)).toEqual(['10.77.0.11:22121', '10.77.0.12:22121']);
    expect(serversFor('dsr', 4)).toEqual(['10.77.0.100:22121']);
    expect(serversFor('nat', 4)).toEqual(['198.51.100.100:22121']);
    expect(serversFor('fwd', 4)).toEqual(['10.77.0.101:22121']);
    expect(serversFor('direct', 0)).toEqual(['10.77.0.21:11211']);
  });

  it('has the director send both methods to the first proxies', () => {
    const { services } = parse(directorConfig(2, '/run/furiwake.sock')) as {
      services: Record<string, { port: number; method: string; reals: { address: string }[] }>;
    };
    expect(Object.values(services).map(({ method }) => method)).toEqual(['dsr', 'nat']);
    for (const { port, reals } of Object.values(services)) {
      expect(port).toBe(22121);
      expect(reals.map(({ address }) => address)).toEqual(['10.77.0.11', '10.77.0.12']);
    }
  });

  it('has the kernel send each connection to one of the first proxies', () => {
    const rules = (proxies: number) => nftForwardRules(CACHE_NETWORK, forwardOptions(proxies));
    expect(rules(1)).toContain('ether daddr set 02:00:00:00:02:11 fwd to "eth1"');
    expect(rules(2)).toContain(
      'ip daddr 10.77.0.101 tcp dport 22121 ether saddr set 02:00:00:00:02:01 ether daddr set ' +
        'jhash ip saddr . tcp sport mod 2 map { 0 : 02:00:00:00:02:11, 1 : 02:00:00:00:02:12 } ' +
        'fwd to "eth1"',
    );
  });

  it('has the proxies send everything to one memcached', () => {
    const { cache } = parse(nutcrackerConfig('10.77.0.21:11211')) as {
      cache: { listen: string; servers: string[] };
    };
    expect(cache.listen).toBe('0.0.0.0:22121');
    expect(cache.servers).toEqual(['10.77.0.21:11211:1 memcached']);
  });

  it('takes longer with more to measure', () => {
    const one = cacheSeconds({ ways: WORKLOAD_PATHS, proxies: [1], rounds: 1, seconds: 1 });
    expect(
      cacheSeconds({ ways: WORKLOAD_PATHS, proxies: [0, 1, 2], rounds: 1, seconds: 1 }),
    ).toBeGreaterThan(one);
    expect(
      cacheSeconds({ ways: WORKLOAD_PATHS, proxies: [1], rounds: 3, seconds: 1 }),
    ).toBeGreaterThan(one);
  });
});

describe.skipIf(reason !== undefined)(`the cache workload${reason ? `: ${reason}` : ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-test-cache-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it('measures every way to two proxies, and its first second', async () => {
    const steps: string[] = [];
    const onStep = (text: string) => void steps.push(text);
    const options = {
      ways: WORKLOAD_PATHS,
      proxies: [0, 2],
      rounds: 1,
      seconds: 1,
      onStep,
      directory,
    };
    const result = await measureCache(options);
    expect(result.reason).toBeUndefined();
    expect(result.status).toBe('measured');
    expect(result.points.map(({ path, proxies }) => `${path} ${proxies}`)).toEqual([
      ...['direct 0', 'direct 2', 'spread 2', 'dsr 2', 'nat 2', 'dsr-tc 2', 'nat-tc 2', 'fwd 2'],
    ]);
    for (const point of result.points) {
      expect(point.commandsPerSecond).toHaveLength(1);
      expect(point.commandsPerSecond[0]).toBeGreaterThan(0);
      expect(point.firstSecondCommands).toBeGreaterThan(0);
      expect(point.errors).toBe(0);
    }
    expect(steps).toHaveLength(9);
    expect(readdirSync(join(directory, 'cache'))).toHaveLength(8);
    expect(result.configs.every(({ text, source }) => text !== '' && source !== '')).toBe(true);
  });

  it('says that it was interrupted if that broke the lab that it builds', async () => {
    const interruption = new AbortController();
    const onStep = () => {
      interruption.abort();
      // What the end of a lab breaks may be anything.
      throw new Error('ip: exit code 128');
    };
    const { signal } = interruption;
    const options = {
      ways: WORKLOAD_PATHS,
      proxies: [1],
      rounds: 1,
      seconds: 1,
      onStep,
      signal,
      directory,
    };
    const result = await measureCache(options);
    expect(result).toMatchObject({ status: 'failed', reason: 'interrupted' });
  });

  it('keeps what it has when it is interrupted, and leaves nothing', async () => {
    const interruption = new AbortController();
    const { signal } = interruption;
    const onStep = (text: string) => {
      if (text.includes('dsr')) setTimeout(() => interruption.abort(), 500);
    };
    const options = {
      ways: WORKLOAD_PATHS,
      proxies: [1, 2, 3, 4],
      rounds: 9,
      seconds: 1,
      onStep,
      signal,
      directory,
    };
    const result = await measureCache(options);
    expect(result).toMatchObject({ status: 'partly', reason: 'interrupted' });
    expect(result.points.map(({ path }) => path)).toEqual(['direct']);
    expect(labNamespaces().filter((name) => name.startsWith(`fw${process.pid}-`))).toEqual([]);
    expect(existsSync(directory)).toBe(true);
  });
});

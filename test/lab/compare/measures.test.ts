// The measures: what is read from real outputs of their programs, and one sample of each for real
// on a DSR lab, of which is asked what must hold at any speed.
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { MEASURE_LIST } from '../../../lab/compare/measures/all.ts';
import {
  cpuBetween,
  machineSeconds,
  processSeconds,
  readCpu,
} from '../../../lab/compare/measures/cpu-time.ts';
import { requestBytes } from '../../../lab/compare/measures/http.ts';
import { halfLoad } from '../../../lab/compare/measures/latency.ts';
import {
  latencyOf,
  readRoundTrips,
  readSockperf,
  SHARES,
} from '../../../lab/compare/measures/sockperf.ts';
import { witnessed } from '../../../lab/compare/measures/witness.ts';
import { readWrk } from '../../../lab/compare/measures/wrk.ts';
import type { OpenPath } from '../../../lab/compare/path.ts';
import { furiwakePath } from '../../../lab/compare/paths/furiwake.ts';
import { MEASURES, type MeasureName, type Sample } from '../../../lab/compare/result.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../../lab/requirements.ts';

// Printed by sockperf 3.7 ping-pong, its colours among it; the log is shortened to five messages.
const PRINTED = `sockperf: \u001b[2;35m== version #3.7-no.git == \u001b[0m
sockperf[CLIENT] send on:sockperf: using recvfrom() to block on socket(s)

[ 0] IP = 192.0.2.2       PORT = 11111 # TCP
sockperf: Warmup stage (sending a few dummy messages)...
sockperf: Starting test...
sockperf: Test end (interrupted by timer)
sockperf: Test ended
sockperf: [Total Run] RunTime=1.000 sec; Warm up time=400 msec; SentMessages=1001; ReceivedMessages=1000
sockperf: ========= Printing statistics for Server No: 0
sockperf: [Valid Duration] RunTime=0.548 sec; SentMessages=549; ReceivedMessages=549
sockperf: \u001b[2;35m====> avg-latency=20.771 (std-dev=7.572)\u001b[0m
`;
const LOG = `sockperf: ---> <MIN> observation =   15.824
------------------------------
packet, txTime(sec), rxTime(sec), latency(usec)
0, 2.403125360, 2.403177838, 26.239
1, 2.404125362, 2.404161861, 18.249
2, 2.405125365, 2.405178905, 26.770
3, 2.406125358, 2.406163779, 19.210
4, 2.407125360, 2.407160886, 17.763
------------------------------
`;
const REFUSED = `sockperf: \u001b[2;35m== version #3.7-no.git == \u001b[0m
sockperf: ERROR: Can\`t connect socket (errno=111 Connection refused)
`;

describe('sockperf', () => {
  it('is read by its log: whole round trips in seconds, not its halves in microseconds', () => {
    const { sentMessages, receivedMessages, seconds, latency } = readSockperf(PRINTED, LOG);
    expect({ sentMessages, receivedMessages, seconds }).toEqual({
      sentMessages: 1001,
      receivedMessages: 1000,
      seconds: 1,
    });
    expect(latency.count).toBe(5);
    expect(latency.ratePerSecond).toBe(1001);
    // Twice what the log calls latency.
    expect(latency.p50Seconds).toBeCloseTo(2 * 19.21e-6, 8);
    expect(latency.maximumSeconds).toBeCloseTo(2 * 26.77e-6, 8);
  });

  it('gives its round trips in growing order', () => {
    const microseconds = readRoundTrips(LOG).map((each) => Math.round(each * 1e7) / 10);
    expect(microseconds).toEqual([35.5, 36.5, 38.4, 52.5, 53.5]);
  });

  test.each([
    [REFUSED, '', /Can.t connect socket \(errno=111/],
    [PRINTED, 'packet, txTime(sec), rxTime(sec), latency(usec)\n', /no round trip in its log/],
    [`${PRINTED}sockperf: No valid observations found. Try tune parameters`, '', /No valid/],
    ['', '', /it said nothing/],
  ])('says in one line what went wrong', (printed, log, expected) => {
    expect(() => readSockperf(printed, log)).toThrow(expected);
  });

  it('sums up a known distribution', () => {
    const latency = latencyOf(
      Array.from({ length: 1001 }, (_, index) => index),
      7,
    );
    expect(latency).toMatchObject({
      ...{ p50Seconds: 500, p99Seconds: 990, p999Seconds: 999, maximumSeconds: 1000 },
      ...{ count: 1001, ratePerSecond: 7 },
    });
    expect(latency.distribution.map(([share]) => share)).toEqual(SHARES);
    expect(latency.distribution[1]).toEqual([0.01, 10]);
  });
});

// Printed by wrk 4.1.0 with the script.
const WRK = (errors: string) => `Running 2s test @ http://192.0.2.2/
  1 threads and 32 connections
  33147 requests in 2.00s, 4.58MB read
Requests/sec:  16554.07
furiwake-wrk {"requests":33147,"microseconds":2002347,"bytes":4806315,"p99":7130,${errors}}
`;

describe('wrk', () => {
  it('is read by the line that its script adds', () => {
    const errors = '"connect":0,"read":0,"write":0,"timeout":0,"status":0';
    expect(readWrk(WRK(errors))).toEqual({
      requests: 33147,
      seconds: 2.002347,
      receivedBytes: 4806315,
      p99Seconds: 0.00713,
    });
  });

  it('fails with the kinds and counts of its errors', () => {
    const errors = '"connect":0,"read":12,"write":0,"timeout":0,"status":9289';
    expect(() => readWrk(WRK(errors))).toThrow(
      'wrk: 12 read errors, 9289 answers without a 2xx or 3xx status beside 33147 answered',
    );
  });

  test.each([
    ['unable to connect to 192.0.2.2:81 Connection refused\n', /unable to connect to 192.0.2.2/],
    ['', /it said nothing/],
  ])('fails with its own words if it did not run', (text, expected) => {
    expect(() => readWrk(text)).toThrow(expected);
  });

  it('sends requests of a known size', () => {
    const text = 'GET / HTTP/1.1\r\nHost: 192.0.2.2\r\nConnection: close\r\n\r\n';
    expect(requestBytes('192.0.2.2', 'Connection: close')).toBe(text.length);
    expect(requestBytes('192.0.2.2', undefined)).toBe(text.length - 'Connection: close\r\n'.length);
  });
});

describe('half load', () => {
  const nobody = {} as OpenPath;
  const sampled = (value: number, ratePerSecond: number): Sample => ({
    ...{ round: 0, value, deliveredBytes: null, deliveredCount: null },
    crossed: { inFrames: 0, inBytes: 0, outFrames: 0, outBytes: 0 },
    cpu: { wallSeconds: 1, machineSeconds: 1, balancerSeconds: 0 },
    latency: latencyOf([1], ratePerSecond),
  });
  const requests = [9000, 1000, 4000].map((value) => sampled(value, 1));

  it('is half of the requests that were answered so far, by their median', async () => {
    expect(await halfLoad(nobody, { round: 0, seconds: 1, soFar: { requests } })).toBe(2000);
  });

  it('stays what it was for the first sample of a path', async () => {
    const earlier = [sampled(1e-5, 700), sampled(1e-5, 800)];
    const soFar = { requests, 'latency-half': earlier };
    expect(await halfLoad(nobody, { round: 2, seconds: 1, soFar })).toBe(700);
  });
});

describe('processor time', () => {
  it('of the machine is what was worked, without idling, waiting and stolen time', () => {
    const text = 'cpu  1000 20 300 99999 888 4 56 777 500 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n';
    expect(machineSeconds(text)).toBe(13.8);
  });

  it('of a process is found behind any name', () => {
    const text = '42 (a) b (c 7) S 1 42 42 0 -1 4194560 9 8 7 6 250 125 3 4 20 0 1 0 99 0 0';
    expect(processSeconds(text)).toBe(3.75);
  });

  it('between two readings counts who began meanwhile and forgets who ended', () => {
    const reading = (wall: number, machine: number, processes: [number, number][]) => ({
      ...{ wallSeconds: wall, machineSeconds: machine, processSeconds: new Map(processes) },
    });
    const before = reading(10, 100, [
      [1, 5],
      [2, 7],
    ]);
    const after = reading(12, 103, [
      [1, 6],
      [3, 0.5],
    ]);
    const expected = { wallSeconds: 2, machineSeconds: 3, balancerSeconds: 1.5 };
    expect(cpuBetween(before, after)).toEqual(expected);
  });

  it('is read from this very process, and not from one that is gone', () => {
    const before = readCpu([process.pid, 2 ** 30]);
    expect([...before.processSeconds.keys()]).toEqual([process.pid]);
    const busyUntil = performance.now() + 200;
    while (performance.now() < busyUntil);
    const { machineSeconds: machine, balancerSeconds } = cpuBetween(before, readCpu([process.pid]));
    expect(balancerSeconds).toBeGreaterThan(0);
    expect(machine).toBeGreaterThan(0);
  });
});

const reason = whyNoLab([...ALL_PROGRAMS, 'wrk', 'sockperf', 'taskset']);

describe.skipIf(reason !== undefined)(`samples by DSR${reason ? `: ${reason}` : ''}`, () => {
  let open: OpenPath;
  const samples: Partial<Record<MeasureName, Sample>> = {};

  beforeAll(async () => {
    open = await furiwakePath('dsr', 'ring').open();
  });
  afterAll(() => open?.close());

  const sampleOf = (name: MeasureName): Sample => samples[name]!;

  test.each(MEASURE_LIST.map((measure) => [measure.name, measure] as const))(
    '%s',
    async (name, measure) => {
      expect(measure.notApplicable(open)).toBeUndefined();
      const sample = await measure.take(open, { round: 3, seconds: 1, soFar: {} });
      samples[name] = sample;
      expect(sample.round).toBe(3);
      expect(sample.value).toBeGreaterThan(0);
      expect(sample.deliveredBytes).toBeGreaterThan(0);
      expect(sample.cpu.wallSeconds).toBeGreaterThanOrEqual(1);
      expect(sample.cpu.machineSeconds).toBeGreaterThan(sample.cpu.balancerSeconds);
      expect(sample.cpu.balancerSeconds).toBeGreaterThan(0);
      // What the director sends came in before; it says a little of its own, such as ARP.
      expect(sample.crossed.outFrames).toBeLessThanOrEqual(sample.crossed.inFrames + 20);
    },
  );

  it('covers all measures that a result has', () => {
    expect(MEASURE_LIST.map(({ name }) => name)).toEqual(Object.keys(MEASURES));
  });

  it('uploads cross the director whole, both in and out', () => {
    const { crossed, deliveredBytes } = sampleOf('upload');
    expect(crossed.inBytes).toBeGreaterThanOrEqual(deliveredBytes!);
    expect(crossed.outBytes).toBeGreaterThanOrEqual(deliveredBytes!);
  });

  it('answers do not cross it: of a download, only acknowledgements', () => {
    const { crossed, deliveredBytes } = sampleOf('download');
    expect(crossed.inBytes).toBeGreaterThan(0);
    expect(crossed.inBytes).toBeLessThan(deliveredBytes! / 5);
  });

  it('every small packet that arrived crossed it, and none from nowhere', () => {
    const { crossed, deliveredCount, deliveredBytes, lossShare } = sampleOf('packets');
    expect(crossed.inFrames).toBeGreaterThanOrEqual(deliveredCount!);
    expect(crossed.outFrames).toBeGreaterThanOrEqual(deliveredCount!);
    expect(deliveredBytes).toBe(deliveredCount! * 18);
    expect(lossShare).toBeGreaterThanOrEqual(0);
    expect(lossShare).toBeLessThan(1);
  });

  it('a connection for each request takes more frames than requests on open ones', () => {
    const framesEach = (name: MeasureName) =>
      sampleOf(name).crossed.inFrames / sampleOf(name).deliveredCount!;
    expect(framesEach('connections')).toBeGreaterThanOrEqual(3);
    expect(framesEach('requests')).toBeLessThan(framesEach('connections'));
  });

  test.each(['latency-idle', 'latency-half'] as const)('%s is in order', (name) => {
    const { value, latency } = sampleOf(name);
    const { p50Seconds, p99Seconds, p999Seconds, maximumSeconds, distribution } = latency!;
    expect(value).toBe(p50Seconds);
    const points = [p50Seconds, p99Seconds, p999Seconds, maximumSeconds];
    expect(points).toEqual(points.toSorted((a, b) => a - b));
    const seconds = distribution.map(([, each]) => each);
    expect(seconds).toEqual(seconds.toSorted((a, b) => a - b));
    expect(seconds.at(-1)).toBe(maximumSeconds);
    expect(latency!.ratePerSecond).toBeGreaterThan(0);
  });

  it('half load keeps the pace of the first sample', async () => {
    const measure = MEASURE_LIST.find(({ name }) => name === 'latency-half')!;
    const first = sampleOf('latency-half');
    const slow = { ...first, latency: { ...first.latency!, ratePerSecond: 2000 } };
    const options = { round: 4, seconds: 1, soFar: { 'latency-half': [slow, first] } };
    const { latency } = await measure.take(open, options);
    expect(latency!.ratePerSecond).toBeGreaterThan(0);
    expect(latency!.ratePerSecond).toBeLessThanOrEqual(2100);
  });

  it('a path that does not carry UDP has no small packets', () => {
    const packets = MEASURE_LIST.find(({ name }) => name === 'packets')!;
    expect(packets.notApplicable({ ...open, carriesUdp: false })).toMatch(/does not carry UDP/);
  });

  it('a load that fails because the balancer died says that it died', async () => {
    let reasonOfDeath: string | undefined;
    const dying: OpenPath = { ...open, whyDead: () => reasonOfDeath };
    const failing = witnessed(dying, async () => {
      reasonOfDeath = 'it ended with exit code 1';
      throw new Error('connection refused');
    });
    await expect(failing).rejects.toThrow('furiwake DSR: it ended with exit code 1');
  });
});

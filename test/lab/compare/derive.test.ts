// Figures that are made from samples, on made-up ones.
import { describe, expect, it } from 'vitest';
import {
  cpuPerCount,
  cpuPerGigabyte,
  hasP999,
  medianLatency,
  ratioToNone,
  spreadOf,
  spreadOfValues,
  throughBalancer,
} from '../../../lab/compare/derive.ts';
import { latencyOf } from '../../../lab/compare/measures/sockperf.ts';
import type { Sample } from '../../../lab/compare/result.ts';

const sample = (fields: Partial<Sample>): Sample => ({
  round: 0,
  value: 1,
  crossed: { inFrames: 0, inBytes: 0, outFrames: 0, outBytes: 0 },
  cpu: { wallSeconds: 1, machineSeconds: 0, balancerSeconds: 0 },
  deliveredBytes: null,
  deliveredCount: null,
  ...fields,
});

const cpu = (machineSeconds: number, balancerSeconds = 0) => ({
  ...{ wallSeconds: 1, machineSeconds, balancerSeconds },
});

describe('spreads', () => {
  it('have median and quartiles of any order', () => {
    expect(spreadOfValues([5, 1, 4, 2, 3].map((value) => sample({ value })))).toEqual({
      ...{ median: 3, lowerQuartile: 2, upperQuartile: 4, lowest: 1, highest: 5, count: 5 },
    });
  });

  it('of nothing there is none', () => {
    expect(spreadOf([])).toBeNull();
  });
});

describe('the processor', () => {
  it('costs a packet what the machine worked above no balancer, whoever worked', () => {
    const samples = [
      sample({ deliveredCount: 1000, cpu: cpu(5, 2) }),
      sample({ deliveredCount: 2000, cpu: cpu(12, 2) }),
      sample({ deliveredCount: 1000, cpu: cpu(90, 4) }),
    ];
    const none = [sample({ deliveredCount: 500, cpu: cpu(1) })];
    const cost = cpuPerCount(samples, none)!;
    expect(cost.machineSeconds).toBeCloseTo(0.006);
    expect(cost.aboveNoneSeconds).toBeCloseTo(0.004);
    expect(cost.balancerSeconds).toBeCloseTo(0.002);
  });

  it('costs a gigabyte of a kernel path something, though it has no processes', () => {
    const samples = [sample({ deliveredBytes: 2e9, cpu: cpu(3) })];
    const none = [sample({ deliveredBytes: 4e9, cpu: cpu(2) })];
    expect(cpuPerGigabyte(samples, none)).toEqual({
      ...{ machineSeconds: 1.5, aboveNoneSeconds: 1, balancerSeconds: 0 },
    });
  });

  it('cannot be compared without a yardstick, and is not known if nothing was delivered', () => {
    const samples = [sample({ deliveredBytes: 1e9, cpu: cpu(3, 1) })];
    expect(cpuPerGigabyte(samples, [])?.aboveNoneSeconds).toBeNull();
    expect(cpuPerCount(samples, samples)).toBeNull();
    expect(cpuPerCount([sample({ deliveredCount: 0 })], samples)).toBeNull();
  });
});

describe('the balancer', () => {
  it('sees so many bytes for each that was delivered', () => {
    const crossed = { inFrames: 1, inBytes: 1100, outFrames: 1, outBytes: 50 };
    const samples = [sample({ deliveredBytes: 1000, crossed })];
    expect(throughBalancer(samples)).toEqual({ in: 1.1, out: 0.05 });
    expect(throughBalancer([sample({ crossed })])).toBeNull();
  });
});

describe('ratios to no balancer', () => {
  it('compare samples of the same round', () => {
    const values = (list: readonly [round: number, value: number][]) =>
      list.map(([round, value]) => sample({ round, value }));
    const none = values([
      [2, 100],
      [0, 10],
    ]);
    const samples = values([
      [0, 5],
      [1, 7],
      [2, 90],
    ]);
    expect(ratioToNone(samples, none)).toMatchObject({ lowest: 0.5, highest: 0.9, count: 2 });
    expect(ratioToNone(samples, values([[9, 1]]))).toBeNull();
  });
});

describe('the latency of several samples', () => {
  it('has the median of each figure and all counts', () => {
    const samples = [1, 5, 2].map((factor) =>
      sample({ latency: latencyOf([0, factor, 2 * factor], 100 * factor) }),
    );
    const latency = medianLatency(samples)!;
    expect(latency).toMatchObject({ p50Seconds: 2, maximumSeconds: 4, count: 9, fewest: 3 });
    expect(hasP999(latency)).toBe(false);
    expect(latency.ratePerSecond).toBe(200);
    expect(latency.distribution.at(-1)).toEqual([1, 4]);
    expect(latency.distribution[0]).toEqual([0, 0]);
  });

  it('is none for measures without one', () => {
    expect(medianLatency([sample({})])).toBeNull();
  });
});

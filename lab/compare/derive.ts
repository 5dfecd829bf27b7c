// Figures that are made from samples: medians with quartiles, what a path costs the processor, how
// much of the traffic goes through the balancer, and ratios to the path without one. Pure functions
// of what `compare.json` holds, so that the terminal and the page say the same.
import { quantile } from '../quantile.ts';
import type { Conditions, Latency, Sample } from './result.ts';

/** Several values of one figure. */
export interface Spread {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly lowest: number;
  readonly highest: number;
  readonly count: number;
}

/** Processor seconds for each unit that was delivered. */
export interface CpuCost {
  /** Of the whole machine: both ends, the balancer, and the kernel on the way. */
  readonly machineSeconds: number;
  /**
   * The same less that of the path without a balancer: what the balancer costs, wherever the time
   * was spent. A kernel forwards in the softirq of whoever sent the frame, so its work is in no
   * process. Null without samples of that path; a little below 0 is noise.
   */
  readonly aboveNoneSeconds: number | null;
  /** Of the balancer's own processes; 0 where the kernel forwards. */
  readonly balancerSeconds: number;
}

/** Bytes at the balancer's host for each byte that the programs at the ends exchanged. */
export interface Through {
  readonly in: number;
  readonly out: number;
}

type Samples = readonly Sample[];

const GIGABYTE = 1e9;

/** Null without values. */
export function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  return {
    median: quantile(values, 0.5),
    lowerQuartile: quantile(values, 0.25),
    upperQuartile: quantile(values, 0.75),
    lowest: quantile(values, 0),
    highest: quantile(values, 1),
    count: values.length,
  };
}

/** The samples' values, in the unit of their measure. */
export const spreadOfValues = (samples: Samples): Spread | null =>
  spreadOf(samples.map(({ value }) => value));

/**
 * Cost of a packet, a connection or a request. In a flood, what is spent on frames that are lost
 * on the way counts too, at the sender and at the balancer: look at `lossShare` beside it.
 * @param none samples of the same measure on the path without a balancer
 */
export function cpuPerCount(samples: Samples, none: Samples): CpuCost | null {
  return cpuPer(samples, none, ({ deliveredCount }) => deliveredCount);
}

/** Cost of a gigabyte (10^9 bytes) of payload. */
export function cpuPerGigabyte(samples: Samples, none: Samples): CpuCost | null {
  return cpuPer(samples, none, ({ deliveredBytes }) =>
    deliveredBytes === null ? null : deliveredBytes / GIGABYTE,
  );
}

/** Medians over the samples; a sample in which nothing was delivered or counted is left out. */
function cpuPer(
  samples: Samples,
  none: Samples,
  unitsOf: (sample: Sample) => number | null,
): CpuCost | null {
  const machineSeconds = medianPer(samples, unitsOf, ({ cpu }) => cpu.machineSeconds);
  const balancerSeconds = medianPer(samples, unitsOf, ({ cpu }) => cpu.balancerSeconds);
  if (machineSeconds === null || balancerSeconds === null) return null;
  const without = medianPer(none, unitsOf, ({ cpu }) => cpu.machineSeconds);
  const aboveNoneSeconds = without === null ? null : machineSeconds - without;
  return { machineSeconds, aboveNoneSeconds, balancerSeconds };
}

/** Null if no byte was delivered or counted. */
export function throughBalancer(samples: Samples): Through | null {
  const bytesOf = ({ deliveredBytes }: Sample) => deliveredBytes;
  const bytesIn = medianPer(samples, bytesOf, ({ crossed }) => crossed.inBytes);
  const bytesOut = medianPer(samples, bytesOf, ({ crossed }) => crossed.outBytes);
  return bytesIn === null || bytesOut === null ? null : { in: bytesIn, out: bytesOut };
}

function medianPer(
  samples: Samples,
  unitsOf: (sample: Sample) => number | null,
  amountOf: (sample: Sample) => number,
): number | null {
  const each = samples.flatMap((sample) => {
    const units = unitsOf(sample);
    return units === null || units === 0 ? [] : [amountOf(sample) / units];
  });
  return spreadOf(each)?.median ?? null;
}

/**
 * Ratios to the path without a balancer. Samples of the same round are compared, since they ran
 * close together, under the same conditions; null if no round has both.
 */
export function ratioToNone(samples: Samples, none: Samples): Spread | null {
  const ratios = samples.flatMap(({ round, value }) => {
    const other = none.find((sample) => sample.round === round);
    return other === undefined || other.value === 0 ? [] : [value / other.value];
  });
  return spreadOf(ratios);
}

/** Of all samples of a path. */
export interface MedianLatency extends Latency {
  /** How many messages the sample with the fewest has: a tail beyond them was never seen. */
  readonly fewest: number;
}

/** A share of 99.9 % needs so many messages for one to be beyond it. */
const P999_MESSAGES = 1000;

/** Whether each sample had messages enough for a p99.9. */
export const hasP999 = ({ fewest }: MedianLatency): boolean => fewest >= P999_MESSAGES;

/** One latency of all samples: the median of each figure; counts are sums. Null without any. */
export function medianLatency(samples: Samples): MedianLatency | null {
  const all = samples.flatMap(({ latency }) => latency ?? []);
  const [first] = all;
  if (first === undefined) return null;
  const median = (figure: (latency: Latency) => number) => quantile(all.map(figure), 0.5);
  return {
    p50Seconds: median(({ p50Seconds }) => p50Seconds),
    p99Seconds: median(({ p99Seconds }) => p99Seconds),
    p999Seconds: median(({ p999Seconds }) => p999Seconds),
    maximumSeconds: median(({ maximumSeconds }) => maximumSeconds),
    // Every sample has the same shares.
    distribution: first.distribution.map(
      ([share], index) => [share, median(({ distribution }) => distribution[index]![1])] as const,
    ),
    count: all.reduce((sum, { count }) => sum + count, 0),
    fewest: Math.min(...all.map(({ count }) => count)),
    ratePerSecond: median(({ ratePerSecond }) => ratePerSecond),
  };
}

/** A build that has just ended still shows in the average of a minute, and is no other work. */
const BUSY_SHARE = 0.75;

/**
 * What to tell of a machine that had other work already, of which the paths got uneven shares; or
 * undefined.
 */
export function busyBefore({ loadBefore, cpus }: Conditions): string | undefined {
  if (loadBefore <= BUSY_SHARE * cpus) return undefined;
  return (
    `before it began, the load was ${loadBefore.toFixed(1)} on ${cpus} processors: ` +
    'repeat it on an idle machine before you rely on a figure.'
  );
}

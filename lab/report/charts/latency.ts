// Distributions of latency: the share of messages on a scale of nines (90, 99, 99.9 %, each as far
// from the one before), against time on a logarithmic scale. Both scales make room for the tail.
import type { MedianLatency } from '../../compare/derive.ts';
import type { Chart } from '../chart.ts';
import { tick } from '../figures.ts';
import { type Curve, lineChart } from './lines.ts';

export interface LatencyCurve extends Omit<Curve, 'points'> {
  readonly latency: MedianLatency;
}

/** 0 for 0 %, 1 for 90 %, 2 for 99 %: how many nines a share has. */
export const ninesOf = (share: number): number => Math.log10(1 / (1 - share));

/** `99.9 %` for 3. */
export const shareOfNines = (nines: number): string =>
  `${((1 - 10 ** -nines) * 100).toFixed(Math.max(0, nines - 2))} %`;

const MOST_NINES = 5;

export function latencyChart(description: string, all: readonly LatencyCurve[]): Chart {
  const curves = all.map(({ latency, ...curve }) => ({ ...curve, points: pointsOf(latency) }));
  const times = curves.flatMap(({ points }) => points.map(({ y }) => y));
  return lineChart({
    description,
    curves,
    x: {
      name: 'share of messages at or below',
      format: shareOfNines,
      min: 0,
      max: mostOf(curves),
      interval: 1,
    },
    y: {
      ...{ name: 'round trip', log: true, format: (value) => tick(value, 's') },
      ...(times.length > 0 ? { min: decadeBelow(times), max: Math.max(...times) * 1.1 } : {}),
    },
    height: 360,
    symbols: false,
    namesWidth: 122,
  });
}

/** The share of 1, the slowest message of all, has no place on the scale: it has endless nines. */
function pointsOf({ distribution, fewest }: MedianLatency) {
  // A share that less than one message of a round is beyond says nothing.
  const most = Math.min(MOST_NINES, Math.log10(Math.max(1, fewest)));
  return distribution
    .filter(([share, time]) => share < 1 && time > 0 && ninesOf(share) <= most)
    .map(([share, time]) => ({ x: ninesOf(share), y: time }));
}

/** Whole nines, since the scale has no name for anything between. */
const mostOf = (curves: readonly Curve[]): number =>
  Math.max(1, ...curves.flatMap(({ points }) => points.map(({ x }) => Math.ceil(x - 1e-9))));

const decadeBelow = (times: readonly number[]): number =>
  10 ** Math.floor(Math.log10(Math.min(...times)));

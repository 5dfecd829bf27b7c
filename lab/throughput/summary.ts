// From single measurements to the figures that are shown: medians, spreads, and the ratio of DSR to
// NAT. A ratio compares transfers of the same round, which ran under the same conditions.
import { quantile } from '../quantile.ts';
import { type Crossing, sumCrossings } from './crossing.ts';

export type Method = 'dsr' | 'nat';
export type Direction = 'upload' | 'download';

export const METHODS: readonly Method[] = ['dsr', 'nat'];
export const DIRECTIONS: readonly Direction[] = ['upload', 'download'];

/** One transfer, and what crossed the director meanwhile. */
export interface Sample {
  readonly method: Method;
  readonly direction: Direction;
  /** Counted from 0. */
  readonly round: number;
  /** Payload, as the receiving end counted it. */
  readonly bitsPerSecond: number;
  readonly deliveredBytes: number;
  readonly retransmits: number;
  /** As the director counted. */
  readonly director: Crossing;
  /** As the kernel counted on the director's interfaces. */
  readonly kernel: Crossing;
  /** Frames that the director missed or could not send. */
  readonly lostFrames: number;
}

export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** All rounds of one method and direction; counts are sums. */
export interface SummaryRow {
  readonly method: Method;
  readonly direction: Direction;
  readonly bitsPerSecond: Spread;
  readonly deliveredBytes: number;
  readonly retransmits: number;
  readonly director: Crossing;
  readonly kernel: Crossing;
  readonly lostFrames: number;
}

export interface Summary {
  readonly rows: readonly SummaryRow[];
  /** DSR to NAT, of each round. */
  readonly ratios: Readonly<Record<Direction, Spread>>;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  lowest: Math.min(...values),
  highest: Math.max(...values),
});

/** Bytes that entered and left the director for each byte that was delivered. */
export function perDeliveredByte(row: Pick<SummaryRow, 'director' | 'deliveredBytes'>) {
  return {
    in: row.director.inBytes / row.deliveredBytes,
    out: row.director.outBytes / row.deliveredBytes,
  };
}

export function summarize(samples: readonly Sample[]): Summary {
  const of = (method: Method, direction: Direction) =>
    samples.filter((sample) => sample.method === method && sample.direction === direction);
  const rows = METHODS.flatMap((method) =>
    DIRECTIONS.map((direction) => rowOf(of(method, direction), { method, direction })),
  );
  const ratio = (direction: Direction) => ratioOf(of('dsr', direction), of('nat', direction));
  return { rows, ratios: { upload: ratio('upload'), download: ratio('download') } };
}

function rowOf(
  samples: readonly Sample[],
  which: { readonly method: Method; readonly direction: Direction },
): SummaryRow {
  const sum = (value: (sample: Sample) => number) =>
    samples.reduce((total, sample) => total + value(sample), 0);
  return {
    ...which,
    bitsPerSecond: spreadOf(samples.map((sample) => sample.bitsPerSecond)),
    deliveredBytes: sum((sample) => sample.deliveredBytes),
    retransmits: sum((sample) => sample.retransmits),
    director: sumCrossings(samples.map((sample) => sample.director)),
    kernel: sumCrossings(samples.map((sample) => sample.kernel)),
    lostFrames: sum((sample) => sample.lostFrames),
  };
}

function ratioOf(dsr: readonly Sample[], nat: readonly Sample[]): Spread {
  const ratios = dsr.flatMap((sample) => {
    const other = nat.find(({ round }) => round === sample.round);
    return other === undefined ? [] : [sample.bitsPerSecond / other.bitsPerSecond];
  });
  return spreadOf(ratios);
}

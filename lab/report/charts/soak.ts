// One soak as a stack of narrow curves over the same time: what changes slowly shows as a slope.
import type { EChartsOption, LineSeriesOption } from 'echarts';
import type { SoakPoint, SoakResult } from '../../compare/result.ts';
import { type Chart, DIM } from '../chart.ts';
import { tick } from '../figures.ts';
import { WAYS } from '../path-style.ts';
import { heading, roundAbove, valueAxis } from './axes.ts';

interface Panel {
  readonly title: string;
  readonly value: (point: SoakPoint) => number | null;
  readonly format: (value: number) => string;
  readonly step?: true;
}

const plain = (unit: string) => (value: number) => tick(value, unit);

const PANELS: readonly Panel[] = [
  { title: 'bulk', value: (point) => point.bitsPerSecond, format: plain('bit/s') },
  { title: 'requests/s', value: (point) => point.requestsPerSecond, format: plain('') },
  { title: 'latency p99', value: (point) => point.p99Seconds, format: plain('s') },
  {
    title: 'resident memory, MiB',
    ...{ value: (point) => point.residentBytes / 2 ** 20, format: plain('') },
  },
  { title: 'active flows', value: (point) => point.activeFlows, format: plain('') },
  {
    title: 'frames dropped since the point before',
    ...{ value: (point) => point.droppedFrames, format: plain(''), step: true },
  },
];

const PANEL_HEIGHT = 62;
const GAP = 34;
const TOP = 22;
const BOTTOM = 42;
const LEFT = 66;

export function soakChart({ method, points }: SoakResult): Chart {
  const topOf = (index: number) => TOP + index * (PANEL_HEIGHT + GAP);
  const minutes = (points.at(-1)?.atSeconds ?? 0) >= 180;
  const option: EChartsOption = {
    grid: PANELS.map((_, index) => ({
      ...{ left: LEFT, right: 14, top: topOf(index), height: PANEL_HEIGHT },
    })),
    graphic: PANELS.map(({ title }, index) => heading(title, { x: LEFT, y: topOf(index) - 18 })),
    xAxis: PANELS.map((_, index) =>
      timeAxis(index, { minutes, last: points.at(-1)?.atSeconds ?? 1 }),
    ),
    yAxis: PANELS.map((panel, index) => ({
      ...valueAxis({
        ...{ format: panel.format, min: 0 },
        ...{ max: roomFor(panel, points), interval: roomFor(panel, points) / 2 },
      }),
      gridIndex: index,
    })),
    series: PANELS.map((panel, index) => seriesOf(panel, { points, method, index, minutes })),
  };
  const height = topOf(PANELS.length - 1) + PANEL_HEIGHT + BOTTOM;
  return { description: `Soak of ${method.toUpperCase()} over time`, height, option };
}

/** A round figure above all values, so that half of it is round too. */
function roomFor({ value }: Panel, points: readonly SoakPoint[]): number {
  const most = Math.max(0, ...points.map((point) => value(point) ?? 0));
  return most === 0 ? 2 : roundAbove(most * 1.02);
}

function timeAxis(index: number, time: { readonly minutes: boolean; readonly last: number }) {
  const { minutes } = time;
  const last = index === PANELS.length - 1;
  const max = minutes ? time.last / 60 : time.last;
  const axis = valueAxis({ format: (value) => tick(value, ''), min: 0, max });
  return {
    ...axis,
    gridIndex: index,
    ...(last ? { name: minutes ? 'minutes' : 'seconds' } : {}),
    nameLocation: 'middle' as const,
    nameGap: 26,
    axisLabel: { ...axis.axisLabel, show: last },
    axisLine: { show: true, lineStyle: { color: DIM } },
    splitLine: { show: false },
  };
}

interface Whose extends Pick<SoakResult, 'points' | 'method'> {
  readonly index: number;
  readonly minutes: boolean;
}

function seriesOf(panel: Panel, { points, method, index, minutes }: Whose): LineSeriesOption {
  const { colour } = WAYS[method];
  return {
    type: 'line',
    silent: true,
    xAxisIndex: index,
    yAxisIndex: index,
    showSymbol: points.length < 3,
    ...(panel.step ? { step: 'middle' as const } : {}),
    itemStyle: { color: colour },
    lineStyle: { color: colour, width: 1.5 },
    data: points.map((point) => [
      minutes ? point.atSeconds / 60 : point.atSeconds,
      panel.value(point) ?? '-',
    ]),
  };
}

// Curves with their names at their ends and, where there are any, quartiles as whiskers; lines that
// a figure should reach are drawn thin across.
import type { CustomSeriesRenderItem, EChartsOption, LineSeriesOption } from 'echarts';
import { type Chart, DIM } from '../chart.ts';
import type { Dash } from '../path-style.ts';
import { valueAxis } from './axes.ts';

export interface Curve {
  readonly title: string;
  readonly colour: string;
  readonly dash: Dash;
  /** Rising by x; a y of null leaves a gap. */
  readonly points: readonly CurvePoint[];
}

export interface CurvePoint {
  readonly x: number;
  readonly y: number | null;
  /** Quartiles of y. */
  readonly spread?: readonly [lower: number, upper: number];
}

interface Axis {
  readonly name: string;
  readonly format: (value: number) => string;
  readonly min?: number;
  readonly max?: number;
  readonly log?: true;
  /** Where the end of a logarithmic scale is a whole decade and shall have its label. */
  readonly labelsLast?: true;
  /** Distance of the ticks, where they shall not be chosen. */
  readonly interval?: number;
}

/** A line across the whole picture. */
interface Mark {
  readonly y: number;
  readonly colour: string;
}

export interface Lines {
  readonly description: string;
  readonly curves: readonly Curve[];
  readonly x: Axis;
  readonly y: Axis;
  readonly marks?: readonly Mark[];
  readonly height?: number;
  readonly symbols?: boolean;
  /** Room for the names at the right. */
  readonly namesWidth?: number;
}

const TOP = 28;
const BOTTOM = 44;
const LEFT = 52;

export function lineChart(lines: Lines): Chart {
  const { description, curves, x, y, marks = [], height = 270, namesWidth = 66 } = lines;
  const option: EChartsOption = {
    grid: { left: LEFT, right: namesWidth, top: TOP, bottom: BOTTOM },
    xAxis: {
      ...axisOf(x),
      nameLocation: 'middle',
      nameGap: 28,
      nameTextStyle: { color: DIM, fontSize: 11 },
      splitLine: { show: false },
      axisLine: { show: true, lineStyle: { color: DIM }, onZero: false },
    },
    yAxis: axisOf(y),
    series: [
      ...curves.map((curve) => curveSeries(curve, lines.symbols ?? true)),
      ...curves.map(whiskers),
      ...curves.flatMap((curve) => nameSeries(curve, x.max ?? lastOf(curves))),
      markSeries(marks),
    ],
  };
  return { description, height, option };
}

function axisOf(axis: Axis) {
  const { log, labelsLast = false } = axis;
  const plain = valueAxis(axis);
  return {
    ...plain,
    ...(log === true ? { type: 'log' as const, logBase: 10 } : {}),
    ...(log === true ? { axisLabel: { ...plain.axisLabel, showMaxLabel: labelsLast } } : {}),
    nameTextStyle: {
      color: DIM,
      fontSize: 11,
      align: 'left' as const,
      padding: [0, 0, 0, 4 - LEFT],
    },
  } as ReturnType<typeof valueAxis>;
}

function curveSeries({ title, colour, dash, points }: Curve, symbols: boolean): LineSeriesOption {
  return {
    type: 'line',
    name: title,
    silent: true,
    z: 3,
    showSymbol: symbols,
    symbol: 'circle',
    symbolSize: 5,
    itemStyle: { color: colour },
    lineStyle: { color: colour, width: 1.8, type: typeof dash === 'string' ? dash : [...dash] },
    data: points.map(({ x, y }) => [x, y ?? '-']),
  };
}

/**
 * The name of a curve, at the last x of all curves, so that it lies on none that goes on; names
 * that would overlap are moved apart.
 */
function nameSeries({ title, colour, points }: Curve, last: number): LineSeriesOption[] {
  const end = points.findLast(({ y }) => y !== null);
  if (end === undefined) return [];
  const label = { show: true, color: colour, fontSize: 11.5, lineHeight: 15, distance: 6 };
  return [
    {
      ...{ type: 'line', silent: true, showSymbol: false, itemStyle: { color: colour } },
      endLabel: { ...label, formatter: () => title },
      // Of all kinds of labels, only those at the ends of lines are moved apart.
      labelLayout: { moveOverlap: 'shiftY' },
      data: [[last, end.y!]],
    },
  ];
}

const lastOf = (curves: readonly Curve[]): number =>
  Math.max(...curves.flatMap(({ points }) => points.map(({ x }) => x)));

function whiskers({ colour, points }: Curve) {
  const renderItem: CustomSeriesRenderItem = (_, api) => {
    const [x1 = 0, y1 = 0] = api.coord([api.value(0), api.value(1)]);
    const [x2 = 0, y2 = 0] = api.coord([api.value(0), api.value(2)]);
    const style = { fill: 'none', stroke: colour, lineWidth: 1.2 };
    return { type: 'line', shape: { x1, y1, x2, y2 }, style };
  };
  const data = points.flatMap(({ x, spread }) =>
    spread === undefined ? [] : [[x, spread[0], spread[1]]],
  );
  return {
    type: 'custom' as const,
    silent: true,
    encode: { x: 0, y: [1, 2] },
    z: 2,
    renderItem,
    data,
  };
}

/** A series without points of its own. */
function markSeries(marks: readonly Mark[]) {
  return {
    type: 'line' as const,
    silent: true,
    data: [],
    lineStyle: { color: DIM },
    markLine: {
      silent: true,
      symbol: 'none',
      label: { show: false },
      data: marks.map(({ y, colour }) => ({
        yAxis: y,
        lineStyle: { color: colour, width: 1, type: [1, 4] },
      })),
    },
  };
}

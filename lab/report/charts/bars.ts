// Bars that lie, one a path, with the quartiles as whiskers, and the figures in columns at their
// right, so that the picture is a table too. A path without a figure keeps its row and says why.
import type { CustomSeriesRenderItem, EChartsOption } from 'echarts';
import { CHART_WIDTH, type Chart, DIM, INK } from '../chart.ts';
import { heading, nameAxis, valueAxis } from './axes.ts';

export interface BarRow {
  readonly title: string;
  readonly colour: string;
  /** Null: `absent` stands in its place. */
  readonly value: number | null;
  readonly absent: string;
  /** Quartiles. */
  readonly spread?: readonly [lower: number, upper: number];
  /** What of the value is shown in full colour; the rest is pale. All of it unless given. */
  readonly strong?: number;
  /** One for each column. */
  readonly cells: readonly string[];
}

export interface BarColumn {
  readonly title: string;
  readonly width: number;
}

interface Bars {
  readonly description: string;
  readonly rows: readonly BarRow[];
  readonly columns: readonly BarColumn[];
  readonly format: (value: number) => string;
  /** Bars that are longer end here, and say so; their figures stand beside. */
  readonly limit?: number | undefined;
}

const ROW_HEIGHT = 25;
const TOP = 24;
const BOTTOM = 26;
const NAMES_WIDTH = 130;
const COLUMN_GAP = 10;
const BAR_WIDTH = 13;
const PALE = 0.38;

export function barChart({ description, rows, columns, format, limit }: Bars): Chart {
  const columnsWidth = columns.reduce((sum, { width }) => sum + width + COLUMN_GAP, 0);
  const option: EChartsOption = {
    grid: { left: NAMES_WIDTH, right: columnsWidth + 4, top: TOP, bottom: BOTTOM },
    graphic: columnTitles(columns),
    xAxis: valueAxis({ format, min: 0, splitNumber: 3, ...edgeOf(limit) }),
    yAxis: [
      { ...nameAxis(rows.map(({ title }) => title)), inverse: true },
      { ...nameAxis(rows.map(cellsText)), ...cellsAxis(columns) },
    ],
    series: [
      barSeries(rows, ({ value, strong }) => strong ?? value, 1),
      barSeries(rows, ({ value, strong }) => restOf(value, strong), PALE),
      whiskers(rows),
      absences(rows),
      ...(limit === undefined ? [] : [longer(rows, limit)]),
    ],
  };
  return { description, height: TOP + BOTTOM + ROW_HEIGHT * rows.length, option };
}

const restOf = (value: number | null, strong: number | undefined): number | null =>
  value === null || strong === undefined ? null : Math.max(0, value - strong);

function columnTitles(columns: readonly BarColumn[]) {
  let right = 4;
  return [...columns].reverse().map(({ title, width }) => {
    const text = heading(title, { x: CHART_WIDTH - right, y: 4, align: 'right' });
    right += width + COLUMN_GAP;
    return text;
  });
}

/** Cells are rich text with a style for each column, which alone can align them. */
const cellsText = ({ value, cells }: BarRow): string =>
  value === null ? '' : cells.map((cell, index) => `{c${index}|${cell}}`).join('');

function cellsAxis(columns: readonly BarColumn[]) {
  const rich = columns.map(({ width }, index) => [
    `c${index}`,
    {
      width,
      align: 'right' as const,
      color: index === 0 ? INK : DIM,
      fontSize: 12,
      padding: [0, 0, 0, COLUMN_GAP],
    },
  ]);
  return {
    inverse: true,
    position: 'right' as const,
    axisLine: { show: false },
    axisLabel: { interval: 0, margin: 0, rich: Object.fromEntries(rich) },
  };
}

function barSeries(rows: readonly BarRow[], pick: (row: BarRow) => number | null, opacity: number) {
  return {
    type: 'bar' as const,
    stack: 'value',
    barWidth: BAR_WIDTH,
    silent: true,
    data: rows.map((row) => ({
      value: pick(row) ?? '-',
      itemStyle: { color: row.colour, opacity },
    })),
  };
}

const CAP = 3.5;

function whiskers(rows: readonly BarRow[]) {
  const renderItem: CustomSeriesRenderItem = (_, api) => {
    const [left = 0, y = 0] = api.coord([api.value(0), api.value(2)]);
    const [right = 0] = api.coord([api.value(1), api.value(2)]);
    const line = (x1: number, y1: number, x2: number, y2: number) => ({
      type: 'line' as const,
      shape: { x1, y1, x2, y2 },
      style: { fill: 'none', stroke: INK, lineWidth: 1.2 },
    });
    return {
      type: 'group',
      children: [
        line(left, y, right, y),
        line(left, y - CAP, left, y + CAP),
        line(right, y - CAP, right, y + CAP),
      ],
    };
  };
  const data = rows.flatMap(({ spread }, index) =>
    spread === undefined ? [] : [[spread[0], spread[1], index]],
  );
  return {
    type: 'custom' as const,
    silent: true,
    encode: { x: [0, 1], y: 2 },
    clip: true,
    z: 5,
    renderItem,
    data,
  };
}

export const nothingIn = (rows: readonly BarRow[]): boolean =>
  rows.every(({ value }) => value === null);

const edgeOf = (limit: number | undefined) =>
  limit === undefined ? {} : { max: limit, interval: limit / 2 };

/** What tells that a bar goes on behind the edge. */
function longer(rows: readonly BarRow[], limit: number) {
  return {
    ...absences([]),
    data: rows.flatMap(({ value }, index) =>
      value !== null && value > limit ? [{ value: [limit, index] }] : [],
    ),
    label: { ...absences([]).label, formatter: '»', color: INK, distance: 1 },
  };
}

function absences(rows: readonly BarRow[]) {
  return {
    type: 'scatter' as const,
    symbolSize: 0.01,
    itemStyle: { color: 'transparent' },
    silent: true,
    data: rows.flatMap(({ value, absent }, index) =>
      value === null ? [{ value: [0, index], label: { formatter: absent } }] : [],
    ),
    label: { show: true, position: 'right' as const, color: DIM, fontSize: 11 },
  };
}

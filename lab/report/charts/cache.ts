// Commands a second through 0 to 4 proxies, one bar a way, with the quartiles of its rounds as a
// whisker, and the first second alone as a diamond: a balancer that needs warming up would show it
// far below its bar.
import type { CustomSeriesRenderItem, EChartsOption } from 'echarts';
import { spreadOf } from '../../compare/derive.ts';
import { type CachePoint, WORKLOAD_PATHS, type WorkloadPath } from '../../compare/result.ts';
import { type Chart, INK, PAPER } from '../chart.ts';
import { tick } from '../figures.ts';
import { WAYS } from '../path-style.ts';
import { nameAxis, valueAxis } from './axes.ts';

const LAYOUT = { barGap: '15%', barCategoryGap: '30%' } as const;

export function cacheChart(points: readonly CachePoint[]): Chart {
  const counts = [...new Set(points.map(({ proxies }) => proxies))].sort((a, b) => a - b);
  const ways = WORKLOAD_PATHS.filter((way) => points.some(({ path }) => path === way));
  const option: EChartsOption = {
    grid: { left: 46, right: 8, top: 48, bottom: 44 },
    legend: {
      ...{ top: 0, right: 0, itemWidth: 12, itemHeight: 12, icon: 'rect', silent: true },
      ...{ backgroundColor: 'transparent', borderColor: 'transparent' },
      textStyle: { color: INK, fontSize: 11.5 },
      data: ways.map((way) => WAYS[way].title),
    },
    xAxis: {
      ...nameAxis(counts.map(String)),
      ...{ name: 'proxies', nameLocation: 'middle', nameGap: 26 },
      nameTextStyle: { color: 'var(--dim)', fontSize: 11 },
    },
    yAxis: valueAxis({ name: 'commands/s', min: 0, format: (value) => tick(value, '') }),
    series: ways.flatMap((way, index) => {
      const own = counts.map((count) =>
        points.find(({ path, proxies }) => path === way && proxies === count),
      );
      return [barsOf(way, own), marksOf(own, { index, count: ways.length })];
    }),
  };
  return { description: 'Cache: commands a second by proxies', height: 290, option };
}

function barsOf(way: WorkloadPath, own: readonly (CachePoint | undefined)[]) {
  const { title, colour } = WAYS[way];
  return {
    ...{ type: 'bar' as const, name: title, silent: true, ...LAYOUT },
    itemStyle: { color: colour },
    data: own.map((point) => spreadOf(point?.commandsPerSecond ?? [])?.median ?? '-'),
  };
}

/** Whisker and diamond of each bar, placed where the library places the bar itself. */
function marksOf(
  own: readonly (CachePoint | undefined)[],
  place: { readonly index: number; readonly count: number },
) {
  const renderItem: CustomSeriesRenderItem = ({ dataIndex }, api) => {
    const layout = api.barLayout!({ ...LAYOUT, count: place.count })![place.index]!;
    const spread = spreadOf(own[dataIndex]?.commandsPerSecond ?? []);
    const first = own[dataIndex]?.firstSecondCommands ?? null;
    const at = (value: number) => api.coord([dataIndex, value]) as [number, number];
    const x = at(0)[0] + layout.offsetCenter;
    return {
      type: 'group',
      children: [
        ...(spread === null
          ? []
          : [whisker(x, at(spread.lowerQuartile)[1], at(spread.upperQuartile)[1])]),
        ...(first === null ? [] : [diamond(x, at(first)[1])]),
      ],
    };
  };
  const data = own.map((_, index) => [index, 0]);
  return { type: 'custom' as const, silent: true, z: 5, renderItem, data };
}

const whisker = (x: number, y1: number, y2: number) => ({
  type: 'line' as const,
  shape: { x1: x, y1, x2: x, y2 },
  style: { fill: 'none', stroke: INK, lineWidth: 1.4 },
});

const diamond = (x: number, y: number) => ({
  type: 'polygon' as const,
  shape: {
    points: [
      [x, y - 5],
      [x + 5, y],
      [x, y + 5],
      [x - 5, y],
    ],
  },
  style: { fill: PAPER, stroke: INK, lineWidth: 1.2 },
});

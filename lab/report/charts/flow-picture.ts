// The topology of one path with its bytes drawn on it, once for the download and once for the
// upload: an arrow is as wide as the bytes that took this way for each byte that was delivered. So
// the return arrow that DSR keeps away from the balancer is seen to be missing there.
import type { CustomSeriesRenderItem, EChartsOption } from 'echarts';
import type { Through } from '../../compare/derive.ts';
import type { PathKind } from '../../compare/result.ts';
import { CHART_WIDTH, type Chart, DIM, FONT, INK, PAPER } from '../chart.ts';
import { perByte } from '../figures.ts';
import { heading } from './axes.ts';

export type Direction = 'download' | 'upload';

/** Null: that direction was not measured. `none` has no balancer that anything could cross. */
export interface FlowPicture {
  readonly title: string;
  readonly kind: PathKind;
  readonly colour: string;
  readonly through: Readonly<Record<Direction, Through | null>>;
}

export interface Arrow {
  readonly from: Place;
  readonly to: Place;
  /** Bytes for each byte delivered; null: it is there, but nobody counted it. */
  readonly bytes: number | null;
  /** Within packets of the balancer's own; drawn in a pipe. */
  readonly inTunnel?: true;
}

type Place = 'client' | 'balancer' | 'reals';

/** From here on it is the data that crosses, and not ACKs alone. */
const DATA_CROSSES = 0.5;

/** Which ways the bytes of one direction went. Pure, so that it can be tested without a picture. */
export function arrowsOf(kind: PathKind, direction: Direction, through: Through): Arrow[] {
  const [from, to] = direction === 'upload' ? ENDS : [...ENDS].reverse();
  const data = { from: from!, to: to! };
  const tunnel = kind === 'tunnel' ? ({ inTunnel: true } as const) : {};
  if (kind === 'none') return [{ ...data, bytes: 1 }];
  if (through.out >= DATA_CROSSES) {
    const wrapped = direction === 'upload' ? tunnel : {};
    const crossing: Arrow[] = [
      { from: data.from, to: 'balancer', bytes: through.in },
      { from: 'balancer', to: data.to, bytes: through.out, ...wrapped },
    ];
    // The ACKs of an upload go past a balancer that answers past it; nothing there counts them.
    const isPast = kind === 'dsr' || kind === 'tunnel';
    return isPast ? [...crossing, { from: data.to, to: data.from, bytes: null }] : crossing;
  }
  return [
    { from: 'client', to: 'balancer', bytes: through.in },
    { from: 'balancer', to: 'reals', bytes: through.out, ...tunnel },
    { ...data, bytes: Math.max(0, 1 - through.out) },
  ];
}

const ENDS: readonly ('client' | 'reals')[] = ['client', 'reals'];

const HEIGHT = 170;
const PANEL = CHART_WIDTH / 2;
const PLACES: Readonly<Record<Place, readonly [x: number, y: number]>> = {
  client: [42, 134],
  balancer: [PANEL / 2, 50],
  reals: [PANEL - 42, 134],
};
const NODE = [66, 24] as const;
const WIDTH_OF_ONE = 15;
const THINNEST = 1.2;
const WIDEST = 30;

export function flowPicture(picture: FlowPicture): Chart {
  const directions = ['download', 'upload'] as const;
  const panels = directions.map((direction, index) => panelOf(picture, direction, index * PANEL));
  const option: EChartsOption = {
    grid: { left: 0, right: 0, top: 0, bottom: 0 },
    xAxis: { show: false, min: 0, max: CHART_WIDTH, type: 'value' },
    yAxis: { show: false, min: 0, max: HEIGHT, type: 'value', inverse: true },
    graphic: panels.map(({ heading }) => heading),
    series: panels.flatMap(({ series }) => series),
  };
  return { description: `${picture.title}: the way of the bytes`, height: HEIGHT, option };
}

function panelOf(picture: FlowPicture, direction: Direction, left: number) {
  const through = picture.through[direction];
  const title = through === null ? `${direction}: not measured` : direction;
  const arrows = through === null ? [] : arrowsOf(picture.kind, direction, through);
  const places = (Object.keys(PLACES) as Place[]).filter(
    (place) => place !== 'balancer' || picture.kind !== 'none',
  );
  return {
    heading: heading(title, { x: left + 9, y: 6 }),
    series: [arrowSeries(arrows, picture.colour, left), nodeSeries(places, left)],
  };
}

function nodeSeries(places: readonly Place[], left: number) {
  const [width, height] = NODE;
  const renderItem: CustomSeriesRenderItem = ({ dataIndex }) => {
    const place = places[dataIndex]!;
    const [x, y] = PLACES[place];
    return {
      type: 'rect',
      shape: { x: left + x - width / 2, y: y - height / 2, width, height, r: 4 },
      style: { fill: PAPER, stroke: INK, lineWidth: 1 },
      textConfig: { position: 'inside' },
      textContent: {
        type: 'text',
        style: { text: place, fill: INK, fontSize: 11.5, fontFamily: FONT },
      },
    };
  };
  const data = places.map((_, index) => [0, 0, index]);
  return { type: 'custom' as const, silent: true, z: 4, renderItem, data };
}

function arrowSeries(arrows: readonly Arrow[], colour: string, left: number) {
  const renderItem: CustomSeriesRenderItem = ({ dataIndex }) => {
    const arrow = arrows[dataIndex]!;
    const points = outline(arrow).map(([x, y]) => [left + x, y]);
    const style =
      arrow.bytes === null
        ? { fill: 'none', stroke: colour, lineWidth: 1.2, lineDash: [2, 4] }
        : { fill: colour };
    const shape = { points };
    const body =
      arrow.bytes === null
        ? { type: 'polyline' as const, shape, style }
        : { type: 'polygon' as const, shape, style };
    return {
      type: 'group',
      children: [...pipeOf(arrow, colour, left), body, labelOf(arrow, left)],
    };
  };
  const data = arrows.map((_, index) => [0, 0, index]);
  return { type: 'custom' as const, silent: true, z: 2, renderItem, data };
}

type Point = readonly [x: number, y: number];

/** Where an arrow begins and ends: at the edges of the boxes, not in their middle. */
function endsOf({ from, to }: Arrow): readonly [Point, Point] {
  const [start, end] = [PLACES[from], PLACES[to]];
  const flat = start[1] === end[1];
  const clip = ([x, y]: Point, [otherX, otherY]: Point): Point => {
    const [dx, dy] = [otherX - x, otherY - y];
    const reach = flat ? (NODE[0] / 2 + 3) / Math.abs(dx) : (NODE[1] / 2 + 3) / Math.abs(dy);
    return [x + dx * reach, y + dy * reach];
  };
  return [clip(start, end), clip(end, start)];
}

export const widthOf = (bytes: number): number =>
  Math.min(WIDEST, Math.max(THINNEST, bytes * WIDTH_OF_ONE));

const PIPE_GAP = 4;

/** A pipe around the band: what is in it is a packet within a packet. */
function pipeOf(arrow: Arrow, colour: string, left: number) {
  if (arrow.inTunnel === undefined || arrow.bytes === null) return [];
  const [[x1, y1], [x2, y2]] = endsOf(arrow);
  const length = Math.hypot(x2 - x1, y2 - y1);
  const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
  const half = widthOf(arrow.bytes) / 2 + PIPE_GAP;
  const at = (along: number, aside: number): [number, number] => [
    left + x1 + ux * along - uy * aside,
    y1 + uy * along + ux * aside,
  ];
  const [from, to] = [length * 0.12, length * 0.55];
  const points = [at(from, half), at(to, half), at(to, -half), at(from, -half)];
  const style = { fill: PAPER, stroke: colour, lineWidth: 1.2 };
  return [{ type: 'polygon' as const, shape: { points }, style }];
}

/** A band with a head; only a line where nobody counted. */
function outline(arrow: Arrow): Point[] {
  const [[x1, y1], [x2, y2]] = endsOf(arrow);
  if (arrow.bytes === null) return [...headOf([x1, y1], [x2, y2])];
  const length = Math.hypot(x2 - x1, y2 - y1);
  const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
  const half = widthOf(arrow.bytes) / 2;
  const head = Math.min(length * 0.45, Math.max(6, half * 1.5));
  const wing = Math.max(3.5, half + 4);
  const at = (along: number, aside: number): Point => [
    x1 + ux * along - uy * aside,
    y1 + uy * along + ux * aside,
  ];
  const neck = length - head;
  return [
    at(0, half),
    at(neck, half),
    at(neck, wing),
    at(length, 0),
    at(neck, -wing),
    at(neck, -half),
    at(0, -half),
  ];
}

/** The line itself and the two strokes of its head, in one go. */
function headOf(from: Point, to: Point): Point[] {
  const along = Math.sign(to[0] - from[0]);
  return [from, to, [to[0] - 6 * along, to[1] - 4], to, [to[0] - 6 * along, to[1] + 4]];
}

function labelOf(arrow: Arrow, left: number) {
  const [[x1, y1], [x2, y2]] = endsOf(arrow);
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const half = arrow.bytes === null ? 2 : widthOf(arrow.bytes) / 2;
  const straight = y1 === y2;
  const onLeft = x < PANEL / 2;
  const text = arrow.bytes === null ? 'answers, past it' : perByte(arrow.bytes);
  const tunnel = arrow.inTunnel === undefined ? 0 : PIPE_GAP;
  const aside = half + 8 + tunnel;
  return {
    type: 'text' as const,
    x: left + (straight ? x : onLeft ? x - aside : x + aside),
    y: straight ? y + Math.max(half, NODE[1] / 2) + 4 : y - 5,
    style: {
      text: `${text}${straight && arrow.bytes !== null ? ' straight' : ''}${tunnel > 0 ? '\ntunnel' : ''}`,
      fill: arrow.bytes === null ? DIM : INK,
      fontSize: 11.5,
      fontFamily: FONT,
      textAlign: straight ? ('center' as const) : onLeft ? ('right' as const) : ('left' as const),
      textVerticalAlign: straight ? ('top' as const) : ('middle' as const),
    },
  };
}

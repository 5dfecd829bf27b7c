// The quiet parts that all charts share: axes, split lines, and the letters beside them.
import { DIM, FONT, INK, RULE } from '../chart.ts';

const SMALL = 11;

interface ValueAxis {
  readonly format: (value: number) => string;
  readonly name?: string | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly splitNumber?: number | undefined;
  /** Distance of the ticks, where they shall not be chosen. */
  readonly interval?: number | undefined;
}

/** Only what is given, since a key without a value is not the same to the chart library. */
const given = (options: Record<string, number | undefined>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(options).filter((entry): entry is [string, number] => entry[1] !== undefined),
  );

export function valueAxis({ format, name = '', min, max, interval, splitNumber = 4 }: ValueAxis) {
  return {
    type: 'value' as const,
    name,
    nameLocation: 'end' as const,
    nameTextStyle: { color: DIM, fontSize: SMALL, align: 'left' as const },
    ...given({ min, max, interval }),
    splitNumber,
    axisLabel: { color: DIM, fontSize: SMALL, formatter: format, hideOverlap: true },
    axisLine: { show: false },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: RULE } },
  };
}

const ROUND = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** A figure not below `value`, so round that half of it is round too; for values above 0. */
export function roundAbove(value: number): number {
  const decade = 10 ** Math.floor(Math.log10(value));
  return (ROUND.find((each) => each * decade >= value) ?? 10) * decade;
}

export function nameAxis(names: readonly string[]) {
  return {
    type: 'category' as const,
    data: [...names],
    axisLabel: { color: INK, fontSize: 12, interval: 0 },
    axisLine: { lineStyle: { color: DIM } },
    axisTick: { show: false },
    splitLine: { show: false },
  };
}

/** A heading inside the picture, which begins or ends at `x`. */
export function heading(
  text: string,
  place: { readonly x: number; readonly y: number; readonly align?: 'left' | 'right' },
) {
  const { x, y, align = 'left' } = place;
  const style = { text, fill: DIM, fontSize: SMALL, fontFamily: FONT, textAlign: align };
  return { type: 'text' as const, x, y, style };
}

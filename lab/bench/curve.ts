// A curve in a terminal: one bar for each point, as long as its value.
import type { Sample } from './measure.ts';

const WIDTH = 50;

export function curve(points: readonly Sample[]): string[] {
  const most = Math.max(...points.map(({ median }) => median));
  return points.map(({ name, median, spread }) => {
    const bar = '#'.repeat(Math.max(1, Math.round((median / most) * WIDTH)));
    return `  ${name.padEnd(30)}${bar} ${median.toFixed(1)} ±${(spread * 100).toFixed(1)} %`;
  });
}

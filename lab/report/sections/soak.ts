// Long traffic: one stack of curves for each soak, and what it ended with.
import { duration } from '../../../src/cli/output.ts';
import type { SoakResult } from '../../compare/result.ts';
import { figures } from '../chart.ts';
import { soakChart } from '../charts/soak.ts';
import { memory } from '../figures.ts';
import { type Html, html } from '../html.ts';
import type { Section } from '../table.ts';
import { statement } from './workload.ts';

export function soakSection(soaks: readonly SoakResult[]): Section {
  const drawn = soaks.filter(({ points }) => points.length > 0);
  return {
    id: 'soak',
    title: 'Long traffic',
    body: html`<p>One download at a fixed rate, and requests beside it, each on a connection of its
own. The curves show the time they show, and no more.</p>
${soaks.filter(({ status }) => status !== 'measured').map(whatHappened)}
${figures(
  drawn.map((soak) => ({
    title: `furiwake ${soak.method.toUpperCase()}`,
    note: endOf(soak),
    chart: soakChart(soak),
  })),
)}`,
  };
}

function whatHappened({ method, status, reason }: SoakResult): Html {
  // One that ran to its end may have had points without figures.
  const word = status === 'failed' ? 'failed' : 'in part';
  return statement(`${method.toUpperCase()} ${word}`, reason);
}

function endOf({ points, drops }: SoakResult): string {
  const [first, last] = [points[0]!, points.at(-1)!];
  const named = Object.entries(drops).filter(([, count]) => count > 0);
  const dropped =
    named.length === 0
      ? 'No frame was dropped'
      : `Dropped: ${named.map(([reason, count]) => `${reason} ${count}`).join(', ')}`;
  const time = duration(last.atSeconds * 1000);
  return `${time}. Memory from ${memory(first.residentBytes)} to ${memory(last.residentBytes)}. ${dropped}.`;
}

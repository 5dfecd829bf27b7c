// The page that a team reads when it chooses: one HTML text, drawn from a comparison's result
// alone. It asks for nothing else: no script, no font, no file, only links to the captures beside
// it. The same result always gives the same page.
import { busyBefore } from '../compare/derive.ts';
import type { CompareResult } from '../compare/result.ts';
import { listed, moment, tied } from './figures.ts';
import { type Html, html } from './html.ts';
import { renderPage } from './page.ts';
import { cacheSection } from './sections/cache.ts';
import { conditionsSection, configsSection } from './sections/conditions.ts';
import { costSection } from './sections/cost.ts';
import { evidenceSection } from './sections/evidence.ts';
import { guidanceSection } from './sections/guidance.ts';
import { latencySection } from './sections/latency.ts';
import { soakSection } from './sections/soak.ts';
import { sqlSection } from './sections/sql.ts';
import { throughputSection } from './sections/throughput.ts';
import { waySection } from './sections/way.ts';
import { statement } from './sections/workload.ts';
import { summaryOf } from './summary.ts';
import type { Section } from './table.ts';

export function renderReport(result: CompareResult): string {
  return renderPage({
    title: `furiwake: DSR, NAT and their peers, ${moment(result.startedAt)}`,
    header: html`<h1>DSR, NAT and their peers, side by side</h1>
${headLine(result)}
${notices(result)}
<p class="summary">${tied(summaryOf(result).join(' '))}</p>`,
    sections: sectionsOf(result),
  });
}

function sectionsOf(result: CompareResult): Section[] {
  const { sql, cache, soaks } = result;
  return [
    guidanceSection(result),
    waySection(result),
    throughputSection(result),
    latencySection(result),
    costSection(result),
    ...(sql === undefined ? [] : [sqlSection(sql)]),
    ...(cache === undefined ? [] : [cacheSection(cache)]),
    ...(soaks.length === 0 ? [] : [soakSection(soaks)]),
    evidenceSection(result),
    conditionsSection(result),
    configsSection(result),
  ];
}

function headLine({ startedAt, conditions, rounds, secondsPerSample }: CompareResult): Html {
  const { kernel, cpus, cpuModel } = conditions;
  const runs = `${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${secondsPerSample} s`;
  return html`<p class="meta">furiwake, ${moment(startedAt)}; Linux ${kernel} on ${cpus} ×
${cpuModel}; ${tied(runs)}</p>`;
}

function notices({ interrupted, quick, conditions, leftOut = [] }: CompareResult): Html[] {
  const busy = busyBefore(conditions);
  return [
    ...(busy === undefined ? [] : [statement('The machine was busy', busy)]),
    ...(leftOut.length === 0 ? [] : [statement('No time was left', `for ${listed(leftOut)}.`)]),
    ...(interrupted ? [statement('Interrupted', 'what was measured until then is here.')] : []),
    ...(quick
      ? [statement('A quick run', 'few and short samples; look for the large differences.')]
      : []),
  ];
}

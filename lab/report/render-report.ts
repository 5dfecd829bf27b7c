// The page that a team reads when it chooses: one HTML text, drawn from a comparison's result
// alone. It asks for nothing else: no script, no font, no file, only links to the captures beside
// it. The same result always gives the same page.
import { busyBefore } from '../compare/derive.ts';
import type { CompareResult } from '../compare/result.ts';
import { moment, tied } from './figures.ts';
import { Html, html } from './html.ts';
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
import { STYLE } from './style.ts';
import { summaryOf } from './summary.ts';
import type { Section } from './table.ts';

export function renderReport(result: CompareResult): string {
  const sections = sectionsOf(result);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>furiwake: DSR, NAT and their peers, ${moment(result.startedAt)}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<div class="page">
<header>
<h1>DSR, NAT and their peers, side by side</h1>
${headLine(result)}
${notices(result)}
<p class="summary">${tied(summaryOf(result).join(' '))}</p>
</header>
<nav aria-label="Contents"><ol>${sections.map(entryOf)}</ol></nav>
<main>
${sections.map(renderSection)}
</main>
</div>
</body>
</html>
`.text;
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

function notices({ interrupted, quick, conditions }: CompareResult): Html[] {
  const busy = busyBefore(conditions);
  return [
    ...(busy === undefined ? [] : [statement('The machine was busy', busy)]),
    ...(interrupted ? [statement('Interrupted', 'what was measured until then is here.')] : []),
    ...(quick
      ? [statement('A quick run', 'few and short samples; look for the large differences.')]
      : []),
  ];
}

const entryOf = ({ id, title }: Section): Html => html`<li><a href="#${id}">${title}</a></li>`;

const renderSection = ({ id, title, body }: Section): Html => html`<section>
<h2 id="${id}">${title}</h2>
${body}
</section>
`;

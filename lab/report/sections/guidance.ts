// The guidance as a section: what the numbers advise, then what no number changes.
import type { CompareResult } from '../../compare/result.ts';
import { tied } from '../figures.ts';
import { adviseFrom, LIMITS } from '../guidance.ts';
import { html } from '../html.ts';
import { type Section, table } from '../table.ts';

export function guidanceSection(result: CompareResult): Section {
  const advice = adviseFrom(result).map(
    ({ title, sentences }) => html`<section><h3>${title}</h3>
${
  sentences.length === 0
    ? html`<p class="small">Nothing was measured that would speak for or against it.</p>`
    : html`<ul>${sentences.map((sentence) => html`<li>${tied(sentence)}</li>`)}</ul>`
}</section>`,
  );
  const limits = LIMITS.map(({ limit, today }) => ({ name: limit, cells: [today] }));
  return {
    id: 'guidance',
    title: 'When DSR, when NAT, when a proxy',
    body: html`<p>Every sentence rests on figures of this run, on this machine; they are medians and
their origin is in the sections below.</p>
<div class="advice">${advice}</div>
<h3>Limits that the talks name, and where furiwake stands today</h3>
<div class="prose-table">${table([{ title: 'Limit' }, { title: 'Today' }], limits)}</div>`,
  };
}

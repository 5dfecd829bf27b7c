// What stands before the figures of a workload: whether it ran, how, and with which files.
import type { CacheResult, ConfigFile, SqlResult } from '../../compare/result.ts';
import { type Content, type Html, html } from '../html.ts';

export function preamble(workload: SqlResult | CacheResult): Html {
  const { status, reason, conditions, secondsPerPoint, configs } = workload;
  const words = { measured: '', missing: 'Missing here', failed: 'Failed', partly: 'In part' };
  const state = words[status] === '' ? '' : statement(words[status], reason);
  return html`${state}
<p>${conditions.join(' ')} Each point of a round lasts ${secondsPerPoint} s.</p>
${configs.map(configDetails)}`;
}

export const statement = (word: string, reason: string | undefined): Html =>
  html`<p class="notice"><b>${word}</b>${reason === undefined ? '.' : `: ${reason}`}</p>`;

/** A file, closed until somebody asks for it. */
export function configDetails({ name, text, source }: ConfigFile): Content {
  return html`<details><summary><code>${name}</code></summary>
<p class="small">After: ${source}</p>
<pre>${text}</pre></details>`;
}

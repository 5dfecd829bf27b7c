// What the sections of the two workloads have in common: what stands before the figures (whether it
// ran, how, and with which files), how many points are as good as wanted, and the columns of all.
import {
  type CacheResult,
  type ConfigFile,
  type SqlResult,
  type WorkloadPath,
  waysOf,
} from '../../compare/result.ts';
import { type BalancedWay, balancedOf, type WayRatio } from '../../compare/way-ratios.ts';
import { ratio } from '../figures.ts';
import { type Content, type Html, html } from '../html.ts';
import { WAYS } from '../path-style.ts';
import type { TableColumn } from '../table.ts';

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

export function verdict(way: BalancedWay, wanted: number, ratios: readonly WayRatio[]): string {
  if (ratios.length === 0) return `${WAYS[way].title} has no figures.`;
  const good = ratios.filter(({ spread }) => spread.median >= wanted).length;
  return `${WAYS[way].title} kept ${ratio(wanted)} of the direct rate or better at ${good} of ${ratios.length} points.`;
}

/** The rate of each way, then its ratio to the direct one, then the errors. */
export const pointColumns = (points: readonly { readonly path: WorkloadPath }[]): TableColumn[] =>
  [
    ...waysOf(points).map((way) => WAYS[way].title),
    ...balancedOf(points).map((way) => `${WAYS[way].title} to direct`),
    'errors',
  ].map((title) => ({ title, align: 'right' }));

// Under which conditions all this was measured, and how every path was configured.
import { duration } from '../../../src/cli/output.ts';
import type { CompareResult, PathResult } from '../../compare/result.ts';
import { memory, moment } from '../figures.ts';
import { type Content, type Html, html } from '../html.ts';
import type { Section } from '../table.ts';
import { absenceOf } from './throughput.ts';
import { configDetails } from './workload.ts';

export function conditionsSection(result: CompareResult): Section {
  const { conditions, rounds, secondsPerSample, startedAt, endedAt } = result;
  const time = duration(Date.parse(endedAt) - Date.parse(startedAt));
  const facts: readonly (readonly [string, Content])[] = [
    ['When', `${moment(startedAt)} to ${moment(endedAt)} (${time})`],
    ['Machine', `${conditions.cpus} × ${conditions.cpuModel}, ${memory(conditions.memoryBytes)}`],
    ['Load before', `${conditions.loadBefore.toFixed(2)} (average of the last minute)`],
    ['Kernel', `Linux ${conditions.kernel}`],
    ['Node', conditions.node],
    ['Congestion control', conditions.congestionControl],
    ['Rounds', `${rounds}, all paths in turn in each, every round beginning with another path`],
    ['Each sample', `${secondsPerSample} s`],
    ['Versions', versionsOf(conditions.versions)],
  ];
  return {
    id: 'conditions',
    title: 'Conditions',
    body: html`<p>Client, balancer and reals are namespaces of one machine, joined by virtual
Ethernet: they share its processors. Compare paths with each other rather than with other machines.
The spread is that of the rounds of this run; another run may differ by more.</p>
<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`,
  };
}

function versionsOf(versions: CompareResult['conditions']['versions']): Content {
  const all = Object.entries(versions);
  return all.length === 0 ? 'not known' : all.map(([name, each]) => `${name} ${each}`).join(', ');
}

export function configsSection({ paths }: CompareResult): Section {
  return {
    id: 'paths',
    title: 'Paths and their configuration',
    body: html`<p>Every peer is configured as its own manual advises, but for the flowtables of nft,
which are not used; the files are here as they were used.</p>
${paths.map(pathConfigs)}`,
  };
}

function pathConfigs(path: PathResult): Html {
  const { title, name, summary, status, configs } = path;
  const gone = status === 'measured' ? '' : html`<p class="notice">${absenceOf(path)}</p>`;
  return html`<h3>${title} <span class="unit">${name}</span></h3>
<p>${summary}</p>${gone}
${configs.map(configDetails)}`;
}

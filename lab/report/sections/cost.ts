// What a path costs: processor time for a packet and for a gigabyte, and memory.
import { type CpuCost, cpuPerCount, cpuPerGigabyte } from '../../compare/derive.ts';
import type { CompareResult, MeasureName, PathResult } from '../../compare/result.ts';
import { quantile } from '../../quantile.ts';
import { type Figure, figures } from '../chart.ts';
import { roundAbove } from '../charts/axes.ts';
import { type BarRow, barChart, nothingIn } from '../charts/bars.ts';
import { memory, seconds, share, tick } from '../figures.ts';
import { html } from '../html.ts';
import { noneSamples, samplesOf, whyAbsent } from '../look-up.ts';
import { colourOf } from '../path-style.ts';
import type { Section } from '../table.ts';

export function costSection(result: CompareResult): Section {
  const cpu = [
    cpuFigure(result, { title: 'A small packet', measure: 'packets', cost: cpuPerCount }),
    cpuFigure(result, { title: 'A gigabyte up', measure: 'upload', cost: cpuPerGigabyte }),
    cpuFigure(result, { title: 'A gigabyte down', measure: 'download', cost: cpuPerGigabyte }),
    memoryFigure(result),
  ];
  return {
    id: 'cost',
    title: 'What it costs',
    body: html`<p>Processor time of the whole machine, both ends included, for each packet or
gigabyte (10<sup>9</sup> bytes) that arrived; medians. The strong part of a bar is the balancer’s
own processes. A kernel that forwards works in nobody’s process, so “above none”, the difference to
the path without a balancer, is what compares a kernel with a program. Small packets are a flood: their
figure is that of a machine at saturation, where each path lost a share of its own and what was spent
on lost packets counts too. A kernel that forwards in the sender’s softirq slows the sender down instead.</p>
${figures(cpu)}`,
  };
}

interface CpuFigure {
  readonly title: string;
  readonly measure: MeasureName;
  readonly cost: typeof cpuPerCount;
}

function cpuFigure(result: CompareResult, { title, measure, cost }: CpuFigure): Figure | undefined {
  const none = noneSamples(result, measure);
  const flooded = measure === 'packets';
  const rows = result.paths.map((path) => {
    const found = cost(samplesOf(path, measure), none);
    const row = costRow(path, found, whyAbsent(path, measure));
    return flooded ? { ...row, cells: [...row.cells, lossOf(path)] } : row;
  });
  if (nothingIn(rows)) return undefined;
  const limit = limitFor(rows.flatMap(({ value }) => value ?? []));
  const columns = [
    { title: 'machine', width: 54 },
    { title: 'above none', width: 62 },
    ...(flooded ? [{ title: 'lost', width: 46 }] : []),
  ];
  const format = (value: number) => tick(value, 's');
  const description = `${title}: processor time by path`;
  return {
    title: html`${title} <span class="unit">processor time</span>`,
    ...(limit === undefined ? {} : { note: 'Bars with » are longer; their figures stand beside.' }),
    chart: barChart({ description, rows, columns, format, limit }),
  };
}

/** Of the small packets that were sent. */
function lossOf(path: PathResult): string {
  const losses = samplesOf(path, 'packets').flatMap(({ lossShare }) => lossShare ?? []);
  return losses.length === 0 ? '' : share(quantile(losses, 0.5));
}

/** One path that costs ten times as much as the others would make all of theirs look the same. */
const OUTLIER = 4;

/** Where to cut bars so that the usual ones can be told apart; undefined if none is much longer. */
export function limitFor(values: readonly number[]): number | undefined {
  const usual = values.filter((value) => value <= OUTLIER * quantile(values, 0.5));
  const most = Math.max(...usual);
  return usual.length === values.length ? undefined : roundAbove(most);
}

function costRow(path: PathResult, cost: CpuCost | null, absent: string): BarRow {
  const above = cost?.aboveNoneSeconds ?? null;
  return {
    title: path.title,
    colour: colourOf(path.name),
    value: cost?.machineSeconds ?? null,
    absent,
    strong: cost?.balancerSeconds ?? 0,
    cells: [
      cost === null ? '' : seconds(cost.machineSeconds),
      above === null || path.kind === 'none' ? '' : seconds(above),
    ],
  };
}

function memoryFigure(result: CompareResult): Figure | undefined {
  const rows = result.paths.map((path): BarRow => {
    const { residentBytes } = path;
    return {
      title: path.title,
      colour: colourOf(path.name),
      value: residentBytes === null ? null : residentBytes / 2 ** 20,
      absent: absenceOfMemory(path),
      cells: [residentBytes === null ? '' : memory(residentBytes)],
    };
  });
  if (nothingIn(rows)) return undefined;
  return {
    title: html`Memory <span class="unit">MiB resident</span>`,
    note: 'Of the balancer’s processes, after all measures; a page that several share counts once.',
    chart: barChart({
      description: 'Resident memory by path',
      ...{ rows, columns: [{ title: 'resident', width: 66 }] },
      format: (value) => tick(value, ''),
    }),
  };
}

function absenceOfMemory(path: PathResult): string {
  if (path.status !== 'measured') return whyAbsent(path, 'download');
  return path.kind === 'none' ? 'no balancer' : 'no process of its own';
}

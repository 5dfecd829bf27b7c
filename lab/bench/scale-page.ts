// The page of `npm run bench -- scale`: the curves, the targets, and under which conditions.
import { quantile } from '../quantile.ts';
import { type Figure, figures } from '../report/chart.ts';
import { type Curve, lineChart } from '../report/charts/lines.ts';
import { moment, threeDigits, tick } from '../report/figures.ts';
import { type Content, type Html, html } from '../report/html.ts';
import { renderPage } from '../report/page.ts';
import { WAYS } from '../report/path-style.ts';
import { statement } from '../report/sections/workload.ts';
import { type Section, table } from '../report/table.ts';
import type { Target } from './main.ts';
import { growth, type Scale, scaleTargets } from './scale.ts';

export type Conditions = Readonly<Record<string, string | number>>;

export function renderScale(scale: Scale, conditions: Conditions): string {
  const sections = [costSection(scale), sizeSection(scale), targetsSection(scale)];
  const when = moment(String(conditions.date));
  return renderPage({
    title: `furiwake: many flows, reals and services, ${when}`,
    header: html`<h1>Many flows, many reals, many services</h1>
<p class="meta">furiwake, ${when}; Linux ${conditions.kernel} on ${conditions.processor}</p>
${scale.failures.map(({ part, reason }) => statement(`Not measured: ${part}`, reason))}
<p class="summary">${summaryOf(scale)}</p>`,
    sections: [...sections, conditionsSection(scale, conditions)],
  });
}

function summaryOf({ dsr, nat, core }: Scale): string {
  const parts = [...growthText('DSR', dsr), ...growthText('NAT', nat)];
  const whole =
    parts.length === 0
      ? 'How the whole cost of a packet grows was not measured.'
      : `The director’s processor time for a packet is ${parts.join(', and ')}.`;
  const alone = growth(core);
  if (Number.isNaN(alone)) return whole;
  return (
    `${whole} The core’s own part of it, without the kernel, with ten million flows: ` +
    `${alone.toFixed(2)} times.`
  );
}

/** From the fewest flows to the most that were open and measured. */
function growthText(name: string, whole: Scale['dsr']): string[] {
  const [first, last] = [whole?.points[0], whole?.points.at(-1)];
  if (first === undefined || last === undefined || first === last) return [];
  const times = quantile(last.runs, 0.5) / quantile(first.runs, 0.5);
  const counts = [last, first].map(({ flows }) => flows.toLocaleString('en'));
  return [`by ${name} ${times.toFixed(2)} times with ${counts.join(' flows what it is with ')}`];
}

interface Counted {
  readonly count: number;
  readonly runs: readonly number[];
}

const curveOf = (
  { title, colour, dash }: { title: string; colour: string; dash: Curve['dash'] },
  points: readonly Counted[],
): Curve => ({
  ...{ title, colour, dash },
  points: points.map(({ count, runs }) => ({
    x: count,
    y: quantile(runs, 0.5),
    spread: [quantile(runs, 0.25), quantile(runs, 0.75)],
  })),
});

const byFlows = (points: readonly { flows: number; runs: readonly number[] }[]): Counted[] =>
  points.map(({ flows, runs }) => ({ count: flows, runs }));

/** Undefined without points. The scale of `y` begins at nought, so that growth is seen as it is. */
function figureOf(
  what: { readonly title: string; readonly note: string; readonly count: string },
  unit: 's',
  curves: readonly Curve[],
): Figure | undefined {
  const drawn = curves.filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return undefined;
  const counts = drawn.flatMap(({ points }) => points.map(({ x }) => x));
  const chart = lineChart({
    description: what.title,
    curves: drawn,
    x: {
      ...{ name: what.count, log: true, labelsLast: true, format: (value) => tick(value, '') },
      ...{ min: Math.min(...counts), max: Math.max(...counts) },
    },
    y: { name: 'time', min: 0, format: (value) => tick(value, unit) },
  });
  return { title: what.title, note: what.note, chart };
}

const seconds = (points: readonly Counted[], unit: number): Counted[] =>
  points.map(({ count, runs }) => ({ count, runs: runs.map((value) => value * unit) }));

function costSection({ core, dsr, nat }: Scale): Section {
  const nanoseconds = (points: readonly Counted[]) => seconds(points, 1e-9);
  return {
    id: 'cost',
    title: 'A packet, by the number of flows',
    body: html`${figures([
      figureOf(
        {
          title: 'The whole packet, through a running director',
          note:
            'Processor time of the director, its system calls included, for each frame that ' +
            'arrives at the real: UDP of 60 bytes, flows in random order.',
          count: 'flows',
        },
        's',
        [
          curveOf(WAYS.dsr, nanoseconds(byFlows(dsr?.points ?? []))),
          curveOf(WAYS.nat, nanoseconds(byFlows(nat?.points ?? []))),
        ],
      ),
      figureOf(
        {
          title: 'The core alone, by DSR',
          note:
            'The director’s own work without a kernel: find the flow, rewrite. It grows by ' +
            'cache misses: the index and the record of a flow.',
          count: 'flows',
        },
        's',
        [curveOf({ ...WAYS.dsr, title: 'core' }, nanoseconds(byFlows(core)))],
      ),
    ])}
${pointsTable({ core, dsr, nat })}`,
  };
}

function pointsTable({ core, dsr, nat }: Pick<Scale, 'core' | 'dsr' | 'nat'>): Html {
  const counts = [core, dsr?.points ?? [], nat?.points ?? []].flatMap((points) =>
    points.map(({ flows }) => flows),
  );
  const cell = (points: readonly { flows: number; runs: readonly number[] }[], flows: number) => {
    const runs = points.find((point) => point.flows === flows)?.runs;
    return runs === undefined ? '–' : `${threeDigits(quantile(runs, 0.5))} ns`;
  };
  const rate = (whole: Scale['dsr'], flows: number) => {
    const found = whole?.points.find((point) => point.flows === flows);
    return found === undefined ? '–' : `${tick(found.rate, '')}/s`;
  };
  const rows = [...new Set(counts)]
    .sort((one, other) => one - other)
    .map((flows) => ({
      name: flows.toLocaleString('en'),
      cells: [
        ...[cell(dsr?.points ?? [], flows), rate(dsr, flows)],
        ...[cell(nat?.points ?? [], flows), rate(nat, flows), cell(core, flows)],
      ],
    }));
  const columns = ['DSR', 'DSR frames', 'NAT', 'NAT frames', 'core alone'];
  return table([{ title: 'flows' }, ...columns.map(rightColumn)], rows);
}

const rightColumn = (title: string) => ({ title, align: 'right' as const });

function sizeSection({ tables }: Scale): Section {
  const points = tables?.points ?? [];
  const curve = (runsOf: (point: (typeof points)[number]) => readonly number[], unit: number) => {
    const counted = points.map((point) => ({ count: point.services, runs: runsOf(point) }));
    return [curveOf({ ...WAYS.direct, title: '' }, seconds(counted, unit))];
  };
  const maglev = tables && quantile(tables.maglevMs, 0.5);
  return {
    id: 'size',
    title: 'Services and reals',
    body: html`${figures([
      figureOf(
        {
          title: 'Finding the service of a new flow',
          note: 'Once for each flow, never for a packet of a known one.',
          count: 'services',
        },
        's',
        curve(({ lookUpNs }) => lookUpNs, 1e-9),
      ),
      figureOf(
        {
          title: 'Building the forwarding table',
          note: 'At start and at a reload, beside the data path.',
          count: 'services',
        },
        's',
        curve(({ tableMs }) => tableMs, 1e-3),
      ),
    ])}
${maglev === undefined ? '' : html`<p>${maglevText(maglev)}</p>`}`,
  };
}

const maglevText = (ms: number): string =>
  `A Maglev table of 1,000 reals takes ${threeDigits(ms)} ms to build, beside the data path.`;

function targetsSection(scale: Scale): Section {
  const rows = scaleTargets(scale).map(({ name, value, wanted, rule, unit }: Target) => ({
    name,
    cells: [
      `${threeDigits(value)} ${unit}`,
      rule === 'none' ? 'told beside' : `${rule} ${wanted} ${unit}`,
      rule === 'none' ? '' : verdictOf(value <= wanted),
    ],
  }));
  const columns = [rightColumn('measured'), rightColumn('target'), { title: '' }];
  return { id: 'targets', title: 'Targets', body: table([{ title: 'what' }, ...columns], rows) };
}

const verdictOf = (met: boolean): Html =>
  met ? html`<span class="badge holds">met</span>` : html`<span class="badge fails">missed</span>`;

const methodText = (
  open: string,
) => `Client, director and real are namespaces of one machine, joined
by virtual Ethernet. The generator has one processor, the director the other. What the kernel does to
bring a frame into the director's ring is in the generator's time there; it knows nothing of flows.
${open}The traffic is that of as many of them as the curve says, in random order. Medians, with
quartiles as whiskers: of up to three rounds, as far as time allowed; for the core of runs in a
process of their own for each number of flows.`;

function conditionsSection({ dsr, nat }: Scale, conditions: Conditions): Section {
  const counts = [['DSR', dsr] as const, ['NAT', nat] as const].flatMap(([name, whole]) =>
    whole ? [[name, whole.opened.toLocaleString('en')] as const] : [],
  );
  const open = counts.map(([name, count]) => `By ${name} ${count} flows are open throughout. `);
  const facts: readonly (readonly [string, Content])[] = [
    ...Object.entries(conditions),
    ...counts.map(([name, count]) => [`Flows open by ${name}`, count] as const),
  ];
  return {
    id: 'conditions',
    title: 'Conditions',
    body: html`<p>${methodText(open.join(''))}</p>
<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`,
  };
}

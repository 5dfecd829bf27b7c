// The state of a director as text for a terminal: warnings first, then services and reals, arms,
// totals, drops. A pure function of the status, so that a test can hold it word for word.
import { formatEndpoint } from '../config/endpoint.ts';
import type {
  ArmStatus,
  FlowStatus,
  RealStatus,
  ServiceStatus,
  Status,
} from '../control/status.ts';
import { DROP_REASONS } from '../wire/drop-reason.ts';
import {
  bytes,
  type Colours,
  count,
  duration,
  left,
  number,
  type Row,
  right,
  serviceTitle,
  shorten,
  table,
  WIDTH,
  wrap,
} from './output.ts';
import { findWarnings } from './warnings.ts';

/** @param flows shown at the end, if they were asked for */
export function renderStatus(
  status: Status,
  flows: readonly FlowStatus[] | undefined,
  colours: Colours,
): string {
  const sections = [
    renderHead(status, colours),
    ...renderWarnings(status, colours),
    renderServices(status.services, colours),
    renderArms(status, colours),
    renderTotals(status, colours),
    renderDrops(status.drops, colours),
    ...(flows === undefined ? [] : [renderFlows(flows, status.totals.activeFlows, colours)]),
  ];
  return sections.join('\n\n');
}

function renderHead(status: Status, colours: Colours): string {
  const facts = [
    `up ${duration(status.uptimeMs)}`,
    `pid ${status.pid}`,
    `datapath ${status.datapath}`,
    `guard ${status.guard}`,
    `memory ${bytes(status.residentBytes)}`,
  ];
  return (
    `${colours.bold(`furiwake ${status.version}`)}  ${facts.join('  ')}\n` +
    colours.dim(`configuration ${status.config}`)
  );
}

function renderWarnings(status: Status, colours: Colours): string[] {
  const lines = findWarnings(status).map((text) =>
    wrap(`! ${text}`, '  ')
      .split('\n')
      .map((line) => colours.yellow(line))
      .join('\n'),
  );
  return lines.length === 0 ? [] : [lines.join('\n')];
}

const NEIGHBOUR_WORDS = { resolved: 'ok', resolving: 'resolving', unreachable: 'no answer' };
const NEIGHBOUR_COLOURS = { resolved: 'green', resolving: 'yellow', unreachable: 'red' } as const;

/** Width of a real's row without its name and address, where every figure is at its longest. */
const FIGURES_WIDTH = 75;
const SHORTEST_NAME = 8;

function renderServices(services: readonly ServiceStatus[], colours: Colours): string {
  const columns = [
    ...[left('REAL'), left('ADDRESS'), right('WEIGHT'), left('NEIGHBOUR')],
    ...[right('ACTIVE'), right('OPENED'), right('IN'), right('BYTES')],
    ...[right('OUT'), right('BYTES')],
  ];
  const reals = services.flatMap((service) => service.reals);
  const longest = Math.max(0, ...reals.map((real) => addressOf(real).length));
  const nameWidth = Math.max(SHORTEST_NAME, WIDTH - FIGURES_WIDTH - longest);
  const rows = services.flatMap((service): Row[] => [
    { heading: serviceTitle(service, colours) },
    ...[...service.reals, ...(service.sorry ? [service.sorry] : [])].flatMap((real) => [
      realRow(real, service, { nameWidth, colours }),
      ...realNote(real, service).map((note) => ({ heading: colours.yellow(`    ${note}`) })),
    ]),
  ]);
  return `${colours.bold('SERVICES')}\n${table(columns, rows, colours)}`;
}

const addressOf = ({ address, port }: RealStatus): string => formatEndpoint(address, port);

function realRow(
  real: RealStatus,
  { method }: ServiceStatus,
  { nameWidth, colours }: { readonly nameWidth: number; readonly colours: Colours },
): Row {
  const address = addressOf(real);
  const known = real.name === address ? colours.dim('-') : shorten(real.name, nameWidth);
  const name = real.method === method ? known : `${known} ${colours.dim(`(${real.method})`)}`;
  const paint = colours[NEIGHBOUR_COLOURS[real.neighbour]];
  // With DSR the replies never pass the director, so there is no figure to show.
  const replies =
    real.method === 'dsr'
      ? [colours.dim('direct'), colours.dim('-')]
      : [count(real.replyPackets), bytes(real.replyBytes)];
  return [
    `  ${name}`,
    address,
    String(real.weight),
    paint(NEIGHBOUR_WORDS[real.neighbour]),
    count(real.activeFlows),
    count(real.openedFlows),
    count(real.requestPackets),
    bytes(real.requestBytes),
    ...replies,
  ];
}

/** What a real's row does not show: why it takes not all that it is asked to take. */
function realNote(real: RealStatus, { sorry }: ServiceStatus): string[] {
  const { state, drain, thresholds, leftMs, activeFlows } = real;
  if (real === sorry) return ['the sorry server: new flows only while no real takes any'];
  if (state === 'starting') return [`starting: all of its share in ${duration(leftMs)}`];
  if (state === 'overloaded')
    return [`overloaded: ${number(thresholds?.upper ?? 0)} flows at most`];
  if (state !== 'drained') return [];
  const left = `${number(activeFlows)} ${activeFlows === 1 ? 'flow' : 'flows'} left`;
  const old = drain?.old ?? 'keep';
  if (old === 'keep') return [`drained: no new flows, ${left}`];
  const when = leftMs > 0 ? `in ${duration(leftMs)}` : 'now';
  return [`drained: no new flows, ${left}, ${old} ${when}`];
}

const LINK_COLOURS = { up: 'green', down: 'red', gone: 'red' } as const;

function renderArms({ arms }: Status, colours: Colours): string {
  const columns = [
    ...[left('INTERFACE'), left('LINK'), left('ADDRESS')],
    ...[right('RECEIVED'), right('BYTES'), right('SENT'), right('BYTES')],
    ...[right('MISSED'), right('FAILED')],
  ];
  const alarming = (value: number) => (value > 0 ? colours.red(count(value)) : '0');
  const rows = arms.map((arm) => [
    arm.name,
    colours[LINK_COLOURS[arm.link]](arm.link),
    armAddress(arm) ?? colours.dim('none'),
    count(arm.receivedFrames),
    bytes(arm.receivedBytes),
    count(arm.sentFrames),
    bytes(arm.sentBytes),
    alarming(arm.missedFrames),
    alarming(arm.failedFrames),
  ]);
  return `${colours.bold('ARMS')}\n${table(columns, rows, colours)}`;
}

/** The IPv6 address where there is no other: `furiwake status --json` has both. */
const armAddress = ({ address, address6 }: ArmStatus): string | null => address ?? address6;

function renderTotals(status: Status, colours: Colours): string {
  const { totals, maximumFlows, maximumHalfOpen } = status;
  const flows = [
    `${number(totals.activeFlows)} active of at most ${number(maximumFlows)}`,
    `${count(totals.openedFlows)} opened`,
    `${count(totals.endedFlows)} ended`,
    `${count(totals.evictedFlows)} evicted`,
  ];
  const floods = [
    `${number(totals.halfOpenFlows)} half open of at most ${number(maximumHalfOpen)}`,
    `${count(totals.statelessPackets)} packets sent on statelessly`,
  ];
  const frames = [
    `${count(totals.sentFrames)} sent on`,
    `${count(totals.answeredFrames)} answered ` +
      `(${count(totals.arpAnswers)} ARP, ${count(totals.ndpAnswers)} NDP, ` +
      `${count(totals.echoAnswers)} ping)`,
    `${count(totals.passedFrames)} not ours`,
    `${count(totals.droppedFrames)} dropped`,
  ];
  const errors = [
    `${count(totals.relayedErrors)} ICMP errors sent on`,
    `${count(totals.ownErrors)} of our own`,
    `${count(totals.withheldErrors)} withheld`,
    `${count(totals.cutFrames)} packets cut`,
    ...(totals.segmentedFrames > 0 ? [`${count(totals.segmentedFrames)} super-frames cut`] : []),
    `${count(totals.heldFrames)} fragments held`,
  ];
  const clients = [
    `${number(totals.templates)} clients stay with their real`,
    `${count(totals.refusedTemplates)} for whom there was no room`,
    `${count(totals.resetFlows)} flows reset`,
  ];
  const isQuiet = totals.templates + totals.refusedTemplates + totals.resetFlows === 0;
  const lines = [
    `${colours.dim('flows ')}  ${flows.join(', ')}`,
    `${colours.dim('floods')}  ${floods.join(', ')}`,
    ...limitLines(status, colours),
    ...(isQuiet ? [] : [`${colours.dim('       ')} ${clients.join(', ')}`]),
    `${colours.dim('frames')}  ${frames.join(', ')}`,
    ...cacheLines(status, colours),
    `${colours.dim('errors')}  ${errors.join(', ')}`,
    ...workerLines(status.workers, colours),
    ...poolLines(status.sourcePool, colours),
    ...retiredLines(status, colours),
  ];
  return `${colours.bold('TOTALS')}\n${lines.join('\n')}`;
}

/** What the kernel does by itself, where it may. */
function cacheLines({ datapath, totals }: Status, colours: Colours): string[] {
  if (datapath !== 'tc') return [];
  const flows = totals.cachedFlows === 1 ? 'flow' : 'flows';
  const parts = [
    `${number(totals.cachedFlows)} ${flows} repeated by the kernel`,
    `${count(totals.cachedFrames)} of the frames sent on`,
  ];
  return [`${colours.dim('cache ')}  ${parts.join(', ')}`];
}

/** Whose flows are counted, where a service limits those of each client. */
function limitLines({ services, totals, drops }: Status, colours: Colours): string[] {
  if (services.every(({ limits }) => limits === undefined)) return [];
  const parts = [
    `${number(totals.countedClients)} clients counted`,
    `${count(drops['source-limited'] ?? 0)} new flows refused`,
    `${count(totals.uncountedFlows)} let in without room to count them`,
  ];
  return [`${colours.dim('limits')}  ${parts.join(', ')}`];
}

/** A port serves one flow for each real, so the busiest real says how near the end is. */
function poolLines(pool: Status['sourcePool'], colours: Colours): string[] {
  if (pool === undefined) return [];
  const parts = [
    `${number(pool.used)} source ports in use`,
    `${number(pool.mostUsed)} of ${number(pool.total)} by the busiest real`,
    `${count(pool.missed)} flows found none`,
  ];
  return [`${colours.dim('pool  ')}  ${parts.join(', ')}`];
}

/** What a reload took from the pool while flows went by it. */
function retiredLines({ retiredSources = [], totals }: Status, colours: Colours): string[] {
  if (retiredSources.length === 0) return [];
  const flows = `${number(totals.retiredFlows)} flows still go by what left the pool`;
  return [`${colours.dim('pool  ')}  ${flows}: ${retiredSources.join(', ')}`];
}

/** How the load is shared out; nothing for one worker, which has it all. */
function workerLines(workers: Status['workers'], colours: Colours): string[] {
  if (workers.length < 2) return [];
  return workers.map(
    ({ sentFrames, openedFlows, activeFlows }, index) =>
      `${colours.dim(`worker ${index}`)}  ${count(sentFrames)} frames sent on, ` +
      `${count(openedFlows)} flows opened, ${number(activeFlows)} active`,
  );
}

const MEANINGS = new Map<string, string>(DROP_REASONS);

function renderDrops(drops: Status['drops'], colours: Colours): string {
  const rows = Object.entries(drops)
    .sort(([, one], [, other]) => other - one)
    .map(([name, times]) => [name, count(times), MEANINGS.get(name) ?? '']);
  if (rows.length === 0) return `${colours.bold('DROPS')}\nnone`;
  const columns = [left('REASON'), right('FRAMES'), left('MEANING')];
  return `${colours.bold('DROPS')}\n${table(columns, rows, colours)}`;
}

const sourceOf = ({ source, sourcePort }: FlowStatus): string =>
  source === undefined || sourcePort === undefined ? '' : formatEndpoint(source, sourcePort);

function renderFlows(flows: readonly FlowStatus[], active: number, colours: Colours): string {
  const title = `${colours.bold('FLOWS')} ${flows.length} of ${number(active)}`;
  if (flows.length === 0) return title;
  // By fullnat the real takes another for its client: its own log names that one.
  const hasSources = flows.some(({ source }) => source !== undefined);
  const columns = [
    ...[left(''), left('CLIENT'), left('VIP'), ...(hasSources ? [left('SEEN AS')] : [])],
    ...[left('REAL'), left('METHOD')],
    ...[left('STATE'), right('EXPIRES IN')],
  ];
  const rows = flows.map((flow) => [
    flow.protocol,
    formatEndpoint(flow.client, flow.clientPort),
    formatEndpoint(flow.vip, flow.vipPort),
    ...(hasSources ? [sourceOf(flow)] : []),
    formatEndpoint(flow.real, flow.realPort),
    flow.method,
    flow.state,
    duration(flow.expiresInMs),
  ]);
  return `${title}\n${table(columns, rows, colours)}`;
}

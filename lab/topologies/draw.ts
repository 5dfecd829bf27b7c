// Draws a topology in the terminal: who is there, and which way requests and replies go. Requests
// are single lines and replies double ones. In DSR the double line goes from the reals straight to
// the client; in NAT it goes through the director. At most 100 columns.
import picocolors from 'picocolors';
import { WIDTH, wrap } from '../../src/cli/output.ts';
import type { Break } from './breaks.ts';
import { Canvas, type Paint } from './canvas.ts';
import {
  addressOf,
  answersDirectly,
  clientOf,
  directorOf,
  type Host,
  isTunnel,
  questionFor,
  realsOf,
  type Topology,
} from './topology.ts';

export interface DrawOptions {
  /** `false` unless given: pass true for a terminal. */
  readonly colour?: boolean;
  /** Of the terminal, where it is one. In fewer than the drawing takes, it would be in pieces. */
  readonly columns?: number | undefined;
  /** The mistake in it, whose hosts are marked. */
  readonly broken?: Break | undefined;
}

const BOX_WIDTH = 30;
/** From the left edge of one real to that of the next. */
const STEP = 32;
/** Columns within a real's box where replies leave and requests arrive. */
const REPLY_AT = 6;
const REQUEST_AT = 21;

interface Pens {
  readonly request: Paint;
  readonly reply: Paint;
  readonly title: Paint;
  readonly fault: Paint;
}

/** The drawing, without a final newline; the hosts alone where there is no room for it. */
export function draw(topology: Topology, options: DrawOptions = {}): string {
  const colours = picocolors.createColors(options.colour ?? false);
  const pens = {
    request: colours.green,
    reply: colours.cyan,
    title: colours.bold,
    fault: (text: string) => colours.bold(colours.red(text)),
  };
  const canvas = new Canvas();
  const sheet = { canvas, pens, topology, faulty: options.broken?.hosts ?? [] };
  drawHosts(sheet);
  const fits = (options.columns ?? WIDTH) >= WIDTH;
  const picture = fits ? canvas.render() : listHosts(sheet, options.columns);
  const lines = [`${pens.title(topology.name)}: ${topology.summary}`, '', picture, ''];
  lines.push(...legend(topology, pens));
  if (options.broken !== undefined) {
    const head = `Broken on purpose (${options.broken.name}):`;
    const text = wrap(`${head} ${options.broken.summary}`, '  ');
    lines.push(text.replace(head, pens.fault(head)));
  }
  return lines.join('\n');
}

interface Sheet {
  readonly canvas: Canvas;
  readonly pens: Pens;
  readonly topology: Topology;
  readonly faulty: readonly string[];
}

/** What the boxes say, a line for each host. */
function listHosts({ pens, topology, faulty }: Sheet, columns: number | undefined): string {
  const lines = topology.hosts.map((host) => {
    const arms = host.arms.map((arm) => `${arm.name} ${arm.address}`);
    const owned = host.loopback.map((address) => `lo ${address}`);
    const paint = faulty.includes(host.name) ? pens.fault : pens.title;
    return `${paint(host.name.padEnd(8))}  ${[...arms, ...owned].join(', ')}`;
  });
  return [`(The picture takes ${WIDTH} columns; here are ${columns}.)`, ...lines].join('\n');
}

function drawHosts(sheet: Sheet): void {
  const { topology } = sheet;
  const reals = realsOf(topology);
  const lastX = (reals.length - 1) * STEP;
  const owned = [topology.vip, ...(topology.sourcePool?.addresses ?? [])];
  const director = [
    ...linesOf(directorOf(topology)),
    ...owned.map((address) => `answers ${questionFor(address)} ${address}`),
  ];
  const client = linesOf(clientOf(topology));
  drawBox(sheet, { x: 0, y: 0, host: clientOf(topology), lines: client });
  drawBox(sheet, { x: lastX, y: 0, host: directorOf(topology), lines: director });
  drawAcross(sheet, lastX);
  const top = director.length + 2;
  drawPaths(sheet, { top, clientBottom: client.length + 2, count: reals.length });
  const height = Math.max(...reals.map((real) => linesOf(real).length));
  for (const [index, real] of reals.entries()) {
    const lines = linesOf(real);
    while (lines.length < height) lines.push('');
    drawBox(sheet, { x: index * STEP, y: top + 4, host: real, lines });
  }
}

/** What a box says of its host: arms with address and MAC address, then what is on `lo`. */
function linesOf(host: Host): string[] {
  const lines = host.arms.flatMap((arm) => [`${arm.name} ${arm.address}`, `     ${arm.mac}`]);
  for (const address of host.loopback) lines.push(`lo   ${address} (the VIP)`);
  if (host.gateway !== null) lines.push(`default route ${host.gateway}`);
  return lines;
}

type Placed = { x: number; y: number; host: Host; lines: readonly string[] };

function drawBox({ canvas, pens, faulty }: Sheet, { x, y, host, lines }: Placed): void {
  const titlePaint = faulty.includes(host.name) ? pens.fault : pens.title;
  canvas.box(x, y, { width: BOX_WIDTH, title: host.name, titlePaint, lines });
}

/** Between client and director: the request, and by NAT the reply too. */
function drawAcross({ canvas, pens, topology }: Sheet, lastX: number): void {
  const length = lastX - BOX_WIDTH;
  canvas.text(BOX_WIDTH + 1, 0, `1 request to ${topology.vip}`, pens.request);
  canvas.text(BOX_WIDTH, 1, `${'─'.repeat(length - 1)}▶`, pens.request);
  if (answersDirectly(topology.method)) return;
  canvas.text(BOX_WIDTH, 2, `◀${'═'.repeat(length - 1)}`, pens.reply);
  canvas.text(BOX_WIDTH + 1, 3, `4 reply from ${topology.vip}`, pens.reply);
}

type Room = { top: number; clientBottom: number; count: number };

/**
 * The four rows between director and reals: requests fan out on the right and below, replies are
 * gathered on the left and above, and go up to whom they are sent to.
 */
function drawPaths(sheet: Sheet, { top, clientBottom, count }: Room): void {
  const { canvas, pens, topology } = sheet;
  const direct = answersDirectly(topology.method);
  const lastX = (count - 1) * STEP;
  const exitX = (direct ? 0 : lastX) + REPLY_AT;
  const exitTop = direct ? clientBottom : top;
  const requestX = lastX + REQUEST_AT;
  for (let y = exitTop; y < top + 1; y++) canvas.text(exitX, y, '║', pens.reply);
  canvas.text(exitX, exitTop, '▲', pens.reply);
  for (let y = top; y < top + 2; y++) canvas.text(requestX, y, '│', pens.request);
  if (direct) {
    const label = isTunnel(topology.method) ? '2 in a tunnel' : '2 new MAC addresses';
    canvas.text(requestX - 1 - label.length, top, label, pens.request);
    canvas.text(exitX + 2, top - 1, `3 reply from ${topology.vip}`, pens.reply);
  } else {
    const pooled = topology.method === 'fullnat';
    const label = pooled ? '3 reply to the pool' : '3 reply to the client';
    canvas.text(requestX + 2, top, pooled ? '2 as the pool' : '2 to the real', pens.request);
    canvas.text(exitX - 2 - label.length, top, label, pens.reply);
  }
  drawBuses(sheet, { top: top + 1, count, direct });
}

function drawBuses(
  { canvas, pens }: Sheet,
  { top, count, direct }: { top: number; count: number; direct: boolean },
): void {
  const lastX = (count - 1) * STEP;
  canvas.text(REPLY_AT, top, '═'.repeat(lastX + 1), pens.reply);
  const width = lastX + 1;
  canvas.text(REQUEST_AT, top + 1, '─'.repeat(width), pens.request);
  for (let index = 0; index < count; index++) {
    const first = index === 0;
    const last = index === count - 1;
    const replyX = index * STEP + REPLY_AT;
    const requestX = index * STEP + REQUEST_AT;
    canvas.text(replyX, top, replyKnot({ first, last, direct }), pens.reply);
    canvas.text(replyX, top + 1, first ? '║' : '╫', pens.reply);
    canvas.text(replyX, top + 2, '║', pens.reply);
    canvas.text(requestX, top + 1, first ? '┌' : last ? '┤' : '┬', pens.request);
    canvas.text(requestX, top + 2, '▼', pens.request);
  }
}

type Place = { first: boolean; last: boolean; direct: boolean };

/** The bus goes on upwards at the first real by DSR, and at the last by NAT. */
function replyKnot({ first, last, direct }: Place): string {
  if (first) return direct ? '╠' : '╔';
  if (last) return direct ? '╗' : '╣';
  return '╦';
}

function legend(topology: Topology, pens: Pens): string[] {
  const subnets = topology.segments.map((segment) => `${segment.name} ${segment.subnet}`);
  const services = topology.services.map(
    ({ name, protocol, port, scheduler }) => `${name} ${protocol}/${port} (${scheduler})`,
  );
  const routers = topology.hosts.filter((host) => host.role === 'router');
  const ways = routers.map(
    ({ name, arms }) => `${name} ${arms.map((arm) => arm.address).join(', ')}`,
  );
  return [
    `${pens.request('─▶ requests')}   ${pens.reply('═▶ replies')}   ${changeOf(topology)}`,
    `networks: ${subnets.join(', ')}`,
    ...(ways.length > 0 ? [`between them the router ${ways.join('; ')}`] : []),
    `services: ${services.join(', ')}`,
  ];
}

/** What the director changes, in words. */
function changeOf(topology: Topology): string {
  const { method, vip, sourcePool } = topology;
  if (method === 'dsr') return 'the director changes MAC addresses only';
  if (isTunnel(method)) return `each request goes whole into a packet to its real (${method})`;
  const reals = realsOf(topology).map(addressOf);
  const becomes = `${vip} becomes ${reals[0]} to ${reals.at(-1)}`;
  if (sourcePool === undefined) return `${becomes}, and back in replies`;
  return `${becomes},\n  the client one of ${sourcePool.addresses.join(', ')}, and back in replies`;
}

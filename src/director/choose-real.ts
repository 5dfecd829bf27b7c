// Who gets a new flow: the real that its client had before, where clients stay with theirs; else
// the one that the scheduler chooses among those that are open; else, when no real can take any,
// the sorry server, or all of them as if they were up. What the real was chosen by is left in
// `director.choice`, so that the flow, once it is there, can be noted as its client's.
import { NONE_OVER } from '../flow/flow-table.ts';
import {
  createTemplateTable,
  findTemplate,
  holdTemplate,
  putTemplate,
  type TemplateTable,
} from '../flow/template-table.ts';
import { hashWord } from '../schedule/hash.ts';
import { rendezvous } from '../schedule/rendezvous.ts';
import type { Schedule, Scheduler } from '../schedule/scheduler.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { areAllDown, DOWN, DRAINED, isAnyOpen, judgeFull, STARTING } from './availability.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import type { Persistence, ServiceLife } from './life.ts';

/** Most templates that there can be, with 40 bytes each; fewer where fewer flows are remembered. */
const MOST_TEMPLATES = 262_144;

/** What a choice was made by; filled again and again. */
export interface Choice {
  /** The client's address as four words: of IPv4 as ::ffff:a.b.c.d; of IPv6 the caller fills it. */
  readonly client: Int32Array;
  /** Key of its template: the service and the client, masked. */
  readonly key: Int32Array;
  /** Whether its client shall stay with the real that was chosen. */
  persists: boolean;
  /**
   * Set by the caller: the packet is of a connection that may be without a flow, so its client's
   * template must not count, which may end before that connection does.
   */
  isFlowless: boolean;
  /** Where flows of the packet's client are counted, or -1; see limit-clients.ts. */
  counted: number;
  /** How many lots were drawn for slow starts. */
  lots: number;
}

export const createChoice = (): Choice => ({
  client: new Int32Array(4),
  key: new Int32Array(5),
  persists: false,
  isFlowless: false,
  counted: -1,
  lots: 0,
});

/** As many templates as flows, within bounds; made when a table first asks for them. */
export function makeTemplates({ flows, table }: Director): void {
  const isAsked = table.life.services.some((life) => life?.persistence !== undefined);
  if (!isAsked || flows.templates !== undefined) return;
  flows.templates = createTemplateTable(Math.min(flows.maximum, MOST_TEMPLATES), flows.seed);
  flows.templateOf = new Int32Array(flows.maximum);
}

/** Chooses a real for a new flow. @returns a real id, or -1 */
export function chooseReal(
  director: Director,
  service: number,
  client: number,
  clientPort: number,
  vip: number,
): number {
  const { table, arrival, load, choice, nowMs } = director;
  arrival.client = client;
  arrival.clientPort = clientPort;
  arrival.vip = vip;
  arrival.nowMs = nowMs;
  load.first = table.serviceFirstReal[service] as number;
  choice.persists = false;
  judgeLimits(director, service);
  const life = table.life.services[service];
  if (life === undefined) return askScheduler(director, service);
  const { persistence } = life;
  const before = persistence === undefined ? -1 : realBefore(director, service, persistence);
  if (before >= 0) return before;
  const realId =
    life.slowStartMs > 0 ? askSlowly(director, service, life) : askScheduler(director, service);
  if (realId >= 0 || isAnyOpen(director, service)) return realId;
  // It serves but for a while: the client shall have a real again as soon as there is one.
  choice.persists = false;
  if (life.failOpen) return askAsIfUp(director, service);
  if (life.sorry < 0 || director.states.closed[life.sorry] !== 0) return -1;
  // Its datagrams stay until a real is open, even where all are full since just now.
  director.flows.goneReals[life.sorry] = NONE_OVER;
  return life.sorry;
}

/** Asks the service's scheduler, or what stands in for it: see pass-statelessly.ts. */
function askScheduler(director: Director, service: number): number {
  const { table, schedulers, strain, arrival, load } = director;
  const fallback = strain.services[service] === 0 ? undefined : table.fallbacks[service];
  const scheduler = fallback === undefined ? (schedulers[service] as Scheduler) : rendezvous;
  const chosen = scheduler.choose(
    fallback ?? (table.schedules[service] as Schedule),
    arrival,
    load,
  );
  return chosen < 0 ? -1 : (load.ids[load.first + chosen] as number);
}

/** What has become full, or free again, since the last new flow of the service. */
function judgeLimits(director: Director, service: number): void {
  const { table, load } = director;
  if (table.life.reals.length === 0) return;
  const end = load.first + (table.serviceRealCount[service] as number);
  for (let at = load.first; at < end; at++) judgeFull(director, load.ids[at] as number);
}

/** All reals that are down count as up, though not those that are full or drained. */
function askAsIfUp(director: Director, service: number): number {
  if (!areAllDown(director, service)) return -1;
  const { load, states } = director;
  load.closed = states.full;
  const realId = askScheduler(director, service);
  load.closed = states.closed;
  return realId;
}

/**
 * A real that is starting is closed to all but a growing part of the new flows, drawn by lot: in
 * the middle of its start to half of them. Any scheduler then shares those flows among the others.
 */
function askSlowly(director: Director, service: number, { slowStartMs }: ServiceLife): number {
  const { states, table, load, choice, nowMs } = director;
  const { closed, starting, startedMs } = states;
  const end = load.first + (table.serviceRealCount[service] as number);
  let passedOver = 0;
  for (let at = load.first; at < end; at++) {
    const id = load.ids[at] as number;
    if (starting[id] === 0) continue;
    const part = ((nowMs - (startedMs[id] as number)) | 0) / slowStartMs;
    if (part >= 1) starting[id] = 0;
    choice.lots = (choice.lots + 1) | 0;
    if ((hashWord(choice.lots, 0) >>> 0) / 0x1_0000_0000 < part) continue;
    closed[id] = (closed[id] as number) | STARTING;
    passedOver++;
  }
  const realId = askScheduler(director, service);
  if (passedOver === 0) return realId;
  for (let at = load.first; at < end; at++) {
    const id = load.ids[at] as number;
    closed[id] = (closed[id] as number) & ~STARTING;
  }
  return realId >= 0 ? realId : askScheduler(director, service);
}

/**
 * The real of the client's template, if that real is up and not drained: as in IPVS with
 * `expire_quiescent_template`. A full one still takes its own clients, as in IPVS.
 */
function realBefore(director: Director, service: number, persistence: Persistence): number {
  const { flows, choice, states, table, arrival, nowMs } = director;
  const templates = flows.templates as TemplateTable;
  if (persistence.family === 4) fillMapped(choice.client, arrival.client);
  fillKey(choice, service, persistence.prefixLength);
  choice.persists = true;
  const found = findTemplate(templates, choice.key, nowMs);
  if (found < 0) return -1;
  // Where it leads stays as it is.
  choice.persists = !choice.isFlowless;
  if (choice.isFlowless) return -1;
  const realId = templates.realIds[found] as number;
  const isGone = (table.realNeighbour[realId] ?? -1) < 0;
  return isGone || ((states.closed[realId] as number) & (DOWN | DRAINED)) !== 0 ? -1 : realId;
}

/** To be called before the real of an IPv6 client is chosen. @param at where its address lies */
export function noteClient6({ client }: Choice, frame: DataView, at: number): void {
  for (let index = 0; index < 4; index++) client[index] = ipv6.word(frame, at, index);
}

/** An IPv4 address as IPv6 has it (RFC 4291, 2.5.5.2), so that neither is taken for the other. */
export function fillMapped(words: Int32Array, address: number): void {
  words[0] = 0;
  words[1] = 0;
  words[2] = 0xffff;
  words[3] = address;
}

/** Lays down a key of one service's client, of which so many leading bits count. */
export function fillKey({ key, client }: Choice, service: number, prefix: number): void {
  key[0] = service + 1;
  for (let word = 0; word < 4; word++) {
    const bits = Math.max(0, Math.min(32, prefix - word * 32));
    key[word + 1] = bits === 0 ? 0 : (client[word] as number) & (-1 << (32 - bits));
  }
}

/** Notes that a new flow is its client's, who stays with its real for as long as that lives. */
export function noteChoice(
  director: Director,
  service: number,
  flow: number,
  realId: number,
): void {
  const { flows, choice, table, counters, nowMs } = director;
  const persistence = table.life.services[service]?.persistence;
  if (!choice.persists || persistence === undefined || flows.templates === undefined) return;
  const { templates } = flows;
  const number = putTemplate(templates, choice.key, realId, persistence.timeoutMs, nowMs);
  if (number >= 0) {
    holdTemplate(templates, number);
    flows.templateOf[flow] = number + 1;
    return;
  }
  const { values } = counters;
  values[GLOBAL.refusedTemplates] = (values[GLOBAL.refusedTemplates] as number) + 1;
}

// The books of a director, gone through slowly and from the beginning: what is counted must be what
// is there. "The index leads to every flow, by both of its keys; flows, active ones and half open
// ones are counted as the records have them, for each real and in all; an address of IPv6, a
// template and a client are held once for each flow that needs them, the address for each packet in
// pieces too, and by nothing else; what was opened and has not ended is there; what came in was
// judged once."
import {
  type Counters,
  GLOBAL_FIELDS,
  readDrops,
  readRow,
  realAt,
  serviceAt,
  TRAFFIC_FIELDS,
} from '../../src/director/counters.ts';
import type { Director } from '../../src/director/director.ts';
import {
  CLIENT,
  findFlow,
  IDS,
  LOCAL,
  META,
  NAT_BIT,
  PORTS,
  REAL,
  RECORD_WORDS,
  REPLY_PORTS,
  VIP,
} from '../../src/flow/flow-table.ts';
import { ADDRESS, PEER } from '../../src/flow/fragment-table.ts';
import { ACTIVE_STATES, HALF_OPEN_STATES } from '../../src/flow/tcp-states.ts';

const FAMILY_BIT = 0x40;
/** As fragment-table.ts has them: how long an entry is, and whether it holds its addresses. */
const ENTRY_WORDS = 14;
const HOLDS = 13;

/** What a flow's record says. */
export interface FlowSeen {
  readonly number: number;
  readonly state: number;
  readonly protocol: number;
  readonly realId: number;
  readonly serviceId: number;
  readonly client: number;
  readonly vip: number;
  readonly ports: number;
}

/** All flows that have a record, of one service or of all; those too whose time is over. */
export function listFlows({ flows }: Director, serviceId?: number): FlowSeen[] {
  const { records, fresh } = flows;
  const found: FlowSeen[] = [];
  for (let number = 0; number < fresh; number++) {
    const at = number * RECORD_WORDS;
    const meta = records[at + META]!;
    const ids = records[at + IDS]!;
    if (meta === 0 || (serviceId ?? ids >>> 16) !== ids >>> 16) continue;
    // Plainly, for it is done at every opening: to spread parts together takes far longer.
    found.push({
      number,
      state: meta & 0xff,
      protocol: (meta >>> 8) & 0xff,
      realId: ids & 0xffff,
      serviceId: ids >>> 16,
      client: records[at + CLIENT]!,
      vip: records[at + VIP]!,
      ports: records[at + PORTS]!,
    });
  }
  return found;
}

type Note = (text: string) => void;
const counted = (name: string, found: number, right: number, note: Note) => {
  if (found !== right) note(`${name} is ${found}, but there are ${right}`);
};

/** Goes through everything that is counted as flows come and go. */
export function auditFlows(director: Director, note: Note): void {
  const { flows } = director;
  const seen = listFlows(director);
  const byReal = new Int32Array(flows.flowsByReal.length);
  const activeByReal = new Int32Array(byReal.length);
  let halfOpen = 0;
  for (const { state, realId } of seen) {
    byReal[realId]! += 1;
    activeByReal[realId]! += (ACTIVE_STATES >>> state) & 1;
    halfOpen += (HALF_OPEN_STATES >>> state) & 1;
  }
  counted('flows', flows.active, seen.length, note);
  counted('flows half open', flows.halfOpen, halfOpen, note);
  for (let id = 0; id < byReal.length; id++) {
    counted(`flows of real id ${id}`, flows.flowsByReal[id]!, byReal[id]!, note);
    counted(`active ones of real id ${id}`, flows.activeByReal[id]!, activeByReal[id]!, note);
  }
  auditIndex(director, seen, note);
  auditBook(director, seen, note);
  auditHolds(director, seen, note);
}

function auditIndex({ flows }: Director, seen: readonly FlowSeen[], note: Note): void {
  const { records } = flows;
  let keys = 0;
  for (const { number, client, vip, ports, protocol } of seen) {
    const word = (field: number) => records[number * RECORD_WORDS + field]!;
    keys += 1;
    const asked = findFlow(flows, client, vip, ports, protocol);
    if (asked !== number << 1) note(`the request key of flow ${number} leads to ${asked}`);
    if ((word(META) & NAT_BIT) === 0) continue;
    keys += 1;
    const replied = findFlow(flows, word(REAL), word(LOCAL), word(REPLY_PORTS), protocol);
    if (replied !== ((number << 1) | 1)) note(`the reply key of flow ${number} leads elsewhere`);
  }
  let free = 0;
  for (let at = flows.freeRecord; at >= 0 && free <= flows.fresh; free += 1) {
    at = records[at * RECORD_WORDS]!;
  }
  counted('records used or free', free + seen.length, flows.fresh, note);
  const used = flows.slots.reduce((sum, word) => sum + (word === 0 ? 0 : 1), 0);
  counted('keys in the index', used, keys, note);
}

function auditBook({ flows, fragments }: Director, seen: readonly FlowSeen[], note: Note): void {
  const { book } = flows;
  const holds = new Map<number, number>();
  const { entries } = fragments;
  for (let at = 0; at < entries.length; at += ENTRY_WORDS) {
    if (entries[at + HOLDS] === 0) continue;
    for (const handle of [~entries[at + ADDRESS]!, entries[at + PEER]!]) {
      if (handle < 0) holds.set(~handle, (holds.get(~handle) ?? 0) + 1);
    }
  }
  for (const { protocol, client, vip } of seen) {
    if ((protocol & FAMILY_BIT) === 0) continue;
    for (const handle of [client, vip]) {
      if (handle < 0) holds.set(~handle, (holds.get(~handle) ?? 0) + 1);
    }
  }
  for (let entry = 0; entry < book.fresh; entry++) {
    counted(`holds of address ${entry}`, book.holds[entry]!, holds.get(entry) ?? 0, note);
  }
  let free = 0;
  for (let at = book.freeEntry; at >= 0 && free <= book.fresh; free += 1) at = book.words[at * 4]!;
  counted('addresses in the book', book.fresh - free, holds.size, note);
}

/** Templates and clients, each with as many flows as lead to it. */
function auditHolds({ flows }: Director, seen: readonly FlowSeen[], note: Note): void {
  const tables = [
    ['template', flows.templates, flows.templateOf],
    ['client', flows.clients, flows.clientOf],
  ] as const;
  for (const [name, table, of] of tables) {
    if (table === undefined) continue;
    const held = new Int32Array(table.maximum);
    for (const { number } of seen) if (of[number]! > 0) held[of[number]! - 1]! += 1;
    const leading = of.reduce((sum, number) => sum + (number > 0 ? 1 : 0), 0);
    const total = held.reduce((sum, each) => sum + each, 0);
    counted(`flows with a ${name}`, leading, total, note);
    let used = 0;
    for (let entry = 0; entry < table.maximum; entry++) {
      counted(`flows of ${name} ${entry}`, table.flows[entry]!, held[entry]!, note);
      used += table.keys[entry * 5] === 0 ? 0 : 1;
    }
    counted(`${name}s`, table.active, used, note);
  }
}

/** Goes through what was published: to be called right after a tick, between two batches. */
export function auditCounters(
  { flows, fragments }: Director,
  counters: Counters,
  received: number,
  note: Note,
): void {
  const { room } = counters;
  const all = readRow(counters, 0, GLOBAL_FIELDS);
  const { passedFrames, sentFrames, answeredFrames, droppedFrames, openedFlows } = all;
  const judged = passedFrames + sentFrames + answeredFrames + droppedFrames + fragments.holding;
  counted('frames judged', judged, received, note);
  const drops = Object.values(readDrops(counters)).reduce((sum, count) => sum + count, 0);
  counted('drops', droppedFrames, drops, note);
  counted('active flows', all.activeFlows, flows.active, note);
  counted('flows opened and ended', openedFlows - all.endedFlows, flows.active, note);
  const rows = (count: number, rowAt: typeof realAt) =>
    Array.from({ length: count }, (_, id) => readRow(counters, rowAt(room, id), TRAFFIC_FIELDS));
  const [reals, services] = [rows(room.reals, realAt), rows(room.services, serviceAt)];
  for (const field of TRAFFIC_FIELDS) {
    const sum = (list: typeof reals) => list.reduce((total, row) => total + row[field], 0);
    counted(`${field} of services`, sum(services), sum(reals), note);
  }
  const opened = reals.reduce((total, row) => total + row.openedFlows, 0);
  counted('flows opened', openedFlows, opened, note);
}

// Every flow that a director opens, judged at the end of the batch in which it did: whether that
// real, at that time, was to have a new flow, and whether that client was.
import { DOWN } from '../../src/director/availability.ts';
import { type Counters, GLOBAL, OPENED_FLOWS, realAt } from '../../src/director/counters.ts';
import type { Director } from '../../src/director/director.ts';
import type { RealTerms } from '../../src/director/life.ts';
import { type FlowSeen, listFlows } from './ledger.ts';
import { FULLY, isDenied, memberOf, REALS, realId, type Service, SLOTS, SORRY } from './network.ts';
import type { World } from './world.ts';

/** With no more than this part of the places taken, no set of eight is full. */
const CROWD = 8;

export interface OpeningWatch {
  /** A batch comes. */
  before(): void;
  /** It is done. */
  after(): void;
  tableTaken(): void;
}

export function watchOpenings(
  world: World,
  director: Director,
  services: readonly Service[],
  { values, room }: Counters,
): OpeningWatch {
  const note = (text: string) => void world.violations.push(text);
  const { flows, states } = director;
  const openedBefore = new Float64Array(room.reals);
  const flowsBefore = new Int32Array(room.reals);
  const closedBefore = new Uint8Array(room.reals);
  /** By real id, 1 for one that reached its upper threshold and has not sunk below the lower. */
  const full = new Uint8Array(room.reals);
  const seen = new Map<number, Set<string>>();
  const debts = new Map<string, { owesMs: number; atMs: number }>();
  /** The reals that have a threshold. */
  const bounded: [Service, number][] = [];
  let totalBefore = 0;

  const openedOf = (id: number) => values[realAt(room, id) + OPENED_FLOWS]!;

  function before(): void {
    for (const [service, slot] of bounded) judgeFull(service, slot);
    totalBefore = values[GLOBAL.openedFlows]!;
    flowsBefore.set(flows.flowsByReal);
    closedBefore.set(states.closed);
    for (let id = 0; id < room.reals; id++) openedBefore[id] = openedOf(id);
  }

  function after(): void {
    if (values[GLOBAL.openedFlows] !== totalBefore) {
      for (const service of services) judgeService(service);
    }
    for (const [service, slot] of bounded) judgeFull(service, slot);
  }

  function judgeService(service: Service): void {
    let total = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      const id = realId(service, slot);
      const opened = openedOf(id) - openedBefore[id]!;
      total += opened;
      if (opened > 0) judgeReal(service, slot, opened);
    }
    if (total > 0 && (service.limits !== undefined || service.sources.length > 0)) {
      judgeClients(service);
    }
  }

  const isUp = (id: number) =>
    (closedBefore[id]! & DOWN) === 0 || !((states.closed[id]! & DOWN) > 0);
  const wasUp = (id: number) =>
    (closedBefore[id]! & DOWN) === 0 && (states.closed[id]! & DOWN) === 0;

  const hasSameFlows = (id: number) => flows.flowsByReal[id] === flowsBefore[id];

  /**
   * "A new flow goes to a real of the table that is not drained; not to one that is down, unless
   * all are and the service fails open; not beyond its upper threshold, nor before it has sunk
   * below the lower one; and to the sorry server only while no real takes any."
   */
  function judgeReal(service: Service, slot: number, opened: number): void {
    const id = realId(service, slot);
    const what = `real id ${id} (${service.scheduler})`;
    if (memberOf(service, slot) === undefined) note(`${what} is not in the table and got a flow`);
    if (slot === SORRY) {
      const other = service.members.findIndex((member, place) => {
        const each = realId(service, place);
        const isFull = states.full[each] !== 0 || full[each] !== 0;
        // In the middle of a batch with flows of its own it may have been full.
        const isSame = openedOf(each) === openedBefore[each] && hasSameFlows(each);
        return member?.terms.stopsNew === false && wasUp(each) && !isFull && isSame;
      });
      if (other >= 0) note(`the sorry server, ${what}, got a flow beside open real ${other}`);
      return;
    }
    const terms = service.members[slot]?.terms;
    if (terms?.stopsNew) note(`${what} is drained and got a flow`);
    if (!isUp(id) && !mayFailOpen(service)) note(`${what} is down and got a flow`);
    if (terms === undefined || terms.upper === 0 || service.persistence !== undefined) return;
    const now = flows.flowsByReal[id]!;
    if (now > Math.max(terms.upper, flowsBefore[id]!)) note(`${what} has ${now} flows: too many`);
    // Of those that it had, some may have ended before the new ones came.
    const fewest = now - opened;
    if (full[id] !== 0 && fewest < leastOf(terms)) full[id] = 0;
    if (full[id] !== 0) note(`${what} is full and got a flow`);
  }

  const leastOf = ({ upper, lower }: RealTerms) => (lower > 0 ? lower : (upper * 3) / 4);

  /** None of those that are to have new flows was up both before and after. */
  const mayFailOpen = ({ failOpen, members, id }: Service): boolean =>
    failOpen &&
    members.every(
      (member, slot) =>
        member === undefined || member.terms.stopsNew || !wasUp(realId({ id }, slot)),
    );

  function judgeFull(service: Service, slot: number): void {
    const id = realId(service, slot);
    const terms = service.members[slot]?.terms ?? FULLY;
    const count = flows.flowsByReal[id]!;
    if (terms.upper === 0) full[id] = 0;
    else if (count >= terms.upper) full[id] = 1;
    else if (count < leastOf(terms)) full[id] = 0;
  }

  /**
   * "No client that is denied opens a flow; no client has more flows than its limit; none opens
   * them faster than it may."
   */
  function judgeClients(service: Service): void {
    const { id, group, limits, sources } = service;
    const known = seen.get(id) ?? new Set<string>();
    const now = new Set<string>();
    const perClient = new Map<bigint, number>();
    for (const flow of listFlows(director, id)) {
      const client = clientOf(director, flow, group.family);
      const key = `${flow.number} ${client} ${flow.ports} ${flow.vip}`;
      now.add(key);
      const shared = client >> BigInt(128 - (limits?.prefixLength ?? 128));
      perClient.set(shared, (perClient.get(shared) ?? 0) + 1);
      if (known.has(key)) continue;
      if (isDenied(sources, client)) note(`a client that is denied opened a flow of service ${id}`);
      if (limits !== undefined && limits.intervalMs > 0) payFor(service, shared);
    }
    seen.set(id, now);
    // A client for which there was no room is let in, and its flows never count.
    if (limits === undefined || values[GLOBAL.uncountedFlows] !== 0) return;
    for (const [client, count] of perClient) {
      if (count > limits.flows) note(`client ${client} has ${count} flows of service ${id}`);
    }
  }

  function payFor({ id, limits }: Service, client: bigint): void {
    const { intervalMs, burstMs } = limits!;
    // Where many clients come, what those without flows owe is forgotten.
    const { active, maximum } = flows.clients!;
    if (active * CROWD > maximum) debts.clear();
    const key = `${id} ${client}`;
    const { owesMs, atMs } = debts.get(key) ?? { owesMs: 0, atMs: director.nowMs };
    const passedMs = (director.nowMs - atMs) | 0;
    const owes = Math.max(0, owesMs - passedMs) + intervalMs;
    debts.set(key, { owesMs: owes, atMs: director.nowMs });
    if (owes > burstMs + 0.001) note(`client ${client} opens flows of service ${id} too fast`);
  }

  /** Those that are there stay, whoever may come from now on. */
  function tableTaken(): void {
    bounded.length = 0;
    for (const service of services) {
      for (let slot = 0; slot < REALS; slot++) {
        judgeFull(service, slot);
        if ((service.members[slot]?.terms.upper ?? 0) > 0) bounded.push([service, slot]);
      }
      const keys = listFlows(director, service.id).map((flow) => {
        const client = clientOf(director, flow, service.group.family);
        return `${flow.number} ${client} ${flow.ports} ${flow.vip}`;
      });
      seen.set(service.id, new Set(keys));
    }
  }

  return { before, after, tableTaken };
}

/** The client's address as a number of 128 bits; IPv4 lies in ::ffff:0:0/96. */
function clientOf({ flows }: Director, { client }: FlowSeen, family: 4 | 6): bigint {
  if (family === 4) return (0xffffn << 32n) | BigInt(client >>> 0);
  const [words, at] = client < 0 ? [flows.book.words, ~client * 4] : [flows.book.fixed, client * 4];
  return words.subarray(at, at + 4).reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
}

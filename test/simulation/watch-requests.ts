// What the director sends to a real, or to a client, judged frame by frame as it leaves.
import type { Director } from '../../src/director/director.ts';
import { KEEP_OLD } from '../../src/director/life.ts';
import { findAddress } from '../../src/flow/address-book.ts';
import { findFlow, META, RECORD_WORDS } from '../../src/flow/flow-table.ts';
import { KEPT_STATES } from '../../src/flow/tcp-states.ts';
import * as sctp from '../../src/wire/sctp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import type { Clients, Connection } from './clients.ts';
import {
  hasVip,
  isDenied,
  isListed,
  memberOf,
  numberOf,
  realId,
  type Service,
  SLOTS,
  SORRY,
} from './network.ts';
import { isOpenAt, type SimulatedReal, withoutTunnel } from './reals.ts';
import { isPiece, protocolOf, readError, readSegment, type Segment } from './segments.ts';
import type { World } from './world.ts';

const FAMILY_BIT = 0x40;

export interface RequestWatch {
  /** Frames come, and what is sent for them is shown to `request`. */
  stepBegins(nowMs: number): void;
  /** A frame leaves for a real. */
  request(real: SimulatedReal, frame: Uint8Array): void;
  /** A frame leaves for a client. */
  reply(frame: Uint8Array): void;
  /** The director has a new table, of the services as they are now. */
  tableTaken(nowMs: number): void;
  /** The director has had a tick. */
  ticked(nowMs: number): void;
  /** From now on no flow of this real's service need stay with it. */
  excuse(service: Service, slot: number): void;
}

export function watchRequests(
  world: World,
  director: Director,
  services: readonly Service[],
  clients: Clients,
): RequestWatch {
  const note = (text: string) => void world.violations.push(text);
  /** By real id: when its drain began, and whether its old flows have had their time. */
  const drainedMs = new Map<number, number>();
  const spent = new Set<number>();
  /** Services of which a real took new flows at the last two ticks. */
  const open = new Map<number, number>();

  let endedBefore = 0;

  function tableTaken(nowMs: number): void {
    for (const service of services) {
      for (let slot = 0; slot < SLOTS; slot++) {
        const id = realId(service, slot);
        const member = service.members[slot];
        if (member?.terms.stopsNew) drainedMs.set(id, drainedMs.get(id) ?? nowMs);
        else drainedMs.delete(id);
        if (member?.terms.stopsNew !== true) spent.delete(id);
      }
    }
    open.clear();
    findSpent(nowMs);
  }

  /**
   * Those whose old flows are to be cut or reset: from the next tick on at the latest, but as soon
   * as a neighbour's answer makes the director look at its reals.
   */
  function excuseDue(nowMs: number): void {
    for (const id of drainedMs.keys()) {
      if (isDue(id, nowMs) && !spent.has(id)) excuse(serviceOf(id), id % SLOTS);
    }
  }

  function findSpent(nowMs: number): void {
    excuseDue(nowMs);
    for (const id of drainedMs.keys()) {
      if (isDue(id, nowMs)) spent.add(id);
      else spent.delete(id);
    }
  }

  const serviceOf = (id: number): Service => services[Math.floor(id / SLOTS)]!;

  function isDue(id: number, nowMs: number): boolean {
    const terms = serviceOf(id).members[id % SLOTS]?.terms;
    if (terms === undefined || terms.old === KEEP_OLD) return false;
    return ((nowMs - drainedMs.get(id)!) | 0) >= terms.oldAfterMs;
  }

  function ticked(nowMs: number): void {
    findSpent(nowMs);
    for (const service of services) {
      open.set(service.id, isOpen(service) ? (open.get(service.id) ?? 0) + 1 : 0);
    }
  }

  /** Whether a real takes new flows, of those that no threshold can close at any packet. */
  const isOpen = (service: Service) =>
    service.members.some(
      (member, slot) =>
        member?.terms.upper === 0 && director.states.closed[realId(service, slot)] === 0,
    );

  function excuse(service: Service, slot: number): void {
    const index = service.group.number * SLOTS + slot;
    for (const connection of clients.living) {
      if (connection.service === service && connection.keptBy === index) connection.excused = true;
    }
  }

  function request(real: SimulatedReal, frame: Uint8Array): void {
    const packet = withoutTunnel(real, frame);
    if (packet === undefined) return;
    watchMember(real, protocolOf(packet));
    if (isPiece(packet) || readError(packet) !== undefined) return;
    const segment = readSegment(packet);
    // A RST that the director makes has whatever number its real expects.
    if (segment.protocol === 6 && (segment.flags & tcp.RST) !== 0) return;
    const connection = clients.whose(segment);
    if (connection === undefined || connection.service.protocol !== segment.protocol) return;
    watchTerms(connection.service, real, segment);
    watchFlow(connection, real, segment);
  }

  /** "A real that is in no table gets nothing, nor a piece of anything, nor an error." */
  function watchMember({ group, slot, index }: SimulatedReal, protocol: number): void {
    const service = services.find((each) => each.group === group && each.protocol === protocol);
    if (service === undefined || memberOf(service, slot) !== undefined) return;
    note(`real ${index} got a packet, but is not in the table`);
  }

  /**
   * "Nor does one get anything whose old flows are cut or reset, but for RSTs; and no datagram goes
   * to the sorry server while a real takes new flows."
   */
  function watchTerms(service: Service, real: SimulatedReal, segment: Segment): void {
    const { slot, group, index } = real;
    const id = realId(service, slot);
    if (group !== service.group) {
      note(`real ${index} got a packet of another service`);
    } else if (memberOf(service, slot) === 'sorry') {
      const isBack = (open.get(service.id) ?? 0) > 1 && isOpen(service);
      if (segment.protocol === 17 && isBack) note(`the sorry server ${index} got a datagram`);
    } else if (spent.has(id)) {
      note(`real ${index} got a packet though its time is over`);
    }
  }

  /** "An established flow to a living real never goes to another one." */
  function watchFlow(connection: Connection, real: SimulatedReal, segment: Segment): void {
    const { number, keptBy, excused, phase, service } = connection;
    const state = stateOf(connection);
    if (state === undefined) watchFlowless(connection, real, segment);
    // One that closes may have been given up since, and its FIN is sent again.
    const isHeld = phase !== 'closing' && clients.living.has(connection);
    if (keptBy >= 0 && keptBy !== real.index && !excused && isHeld) {
      note(`connection ${number} went from real ${keptBy} to real ${real.index}`);
    }
    // A packet whose flow is gone may open one by hash, which its real resets for not knowing it.
    const isKept = ((KEPT_STATES >>> (state ?? 0)) & 1) !== 0 && isOpenAt(real, segment);
    if (isKept && keptBy === real.index) return;
    // Datagrams leave the sorry server as soon as they can.
    const isLoan = real.slot === SORRY && service.protocol === 17;
    connection.keptBy = isKept && !isLoan ? real.index : -1;
    // By fullnat it may come back from another port of the pool, which its real does not know.
    if (real.method !== 'fullnat') connection.excused = false;
  }

  /**
   * "Without a flow, too, a packet that opens something comes from a client that may, and goes to a
   * real that takes new flows." Such a packet has no flow if there is no room for one, or if it was
   * scheduled alone.
   */
  function watchFlowless(
    { service, address, number }: Connection,
    { slot, index }: SimulatedReal,
    { protocol, flags }: Segment,
  ): void {
    const opens =
      protocol === 17 || (protocol === 6 ? (flags & tcp.SYN) !== 0 : flags === sctp.INIT);
    // Its flow may have ended, or been given up, since the packet went its way.
    const isSure = service.onePacket || director.flows.ended === endedBefore;
    if (!opens || !isSure) return;
    if (isDenied(service.sources, numberOf(address))) {
      note(`connection ${number} opened from ${address}, which is denied`);
    }
    if (service.members[slot]?.terms.stopsNew) note(`the drained real ${index} got an opening`);
  }

  /** "No client hears anything of a service that is not in the table." */
  function reply(frame: Uint8Array): void {
    if (isPiece(frame)) return;
    const error = readError(frame);
    const { protocol, source, destination } = error?.quoted ?? readSegment(frame);
    const vip = error === undefined ? source : destination;
    const gone = services.find(
      (each) => !isListed(each) && each.protocol === protocol && hasVip(each.group, vip),
    );
    if (gone !== undefined) note(`a client heard of service ${gone.id}, which is not in the table`);
  }

  /** The state of its flow as the director has it. */
  function stateOf({ ends, service, sourcePort, protocol }: Connection): number | undefined {
    const { flows } = director;
    const isIpv6 = service.group.family === 6;
    const handleAt = (at: number) =>
      isIpv6 ? findAddress(flows.book, ends, at) : ends.getInt32(at);
    const key = isIpv6 ? protocol ^ FAMILY_BIT : protocol;
    const found = findFlow(flows, handleAt(0), handleAt(16), (sourcePort << 16) | 80, key);
    return found < 0 ? undefined : flows.records[(found >>> 1) * RECORD_WORDS + META]! & 0xff;
  }

  const stepBegins = (nowMs: number) => {
    endedBefore = director.flows.ended;
    excuseDue(nowMs);
  };

  return { request, reply, tableTaken, ticked, excuse, stepBegins };
}

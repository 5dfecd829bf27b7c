// The director's state and the steps that happen between batches: taking a new table, asking for
// MAC addresses, ending flows whose time is over. The packet's own way is in process.ts. Nothing
// here does I/O: frames of its own wait in `outbox`, news for people in `events`.
import type { Arm } from '../datapath/datapath.ts';
import { fixAddresses } from '../flow/address-book.ts';
import {
  createFlowTable,
  type FlowTable,
  type NewFlow,
  NONE_OVER,
  sweepFlows,
} from '../flow/flow-table.ts';
import { createFragmentTable, type FragmentTable, sweepFragments } from '../flow/fragment-table.ts';
import { renameAddresses } from '../flow/rename-addresses.ts';
import { sweepTemplates } from '../flow/template-table.ts';
import type { Arrival, Load, Scheduler } from '../schedule/scheduler.ts';
import { schedulerNamed } from '../schedule/schedulers.ts';
import { type Ipv6, inSubnet, inSubnet6 } from '../wire/address.ts';
import { HEADER_BYTES } from '../wire/ethernet.ts';
import {
  areAllDown,
  createRealStates,
  DOWN,
  isDrainDue,
  judgeReals,
  type RealStates,
} from './availability.ts';
import { type Choice, createChoice, makeTemplates } from './choose-real.ts';
import { type Counters, GLOBAL, realAt } from './counters.ts';
import { layTunnels, TUNNEL_WORDS } from './encapsulate.ts';
import { makeClients, tickClients } from './limit-clients.ts';
import {
  adoptNeighbours,
  announcement6,
  arpRequest,
  askAgain,
  askNeighbours,
  createNeighbours,
  GONE,
  type Neighbours,
  type OutboxFrame,
  WAY_ARM,
  WAY_WORDS,
} from './neighbours.ts';
import { emptyPacket, type Packet } from './packet.ts';
import { createStrain, easeStrain, type Strain } from './pass-statelessly.ts';
import { createTotals, mapReals, publish, type Totals } from './publish.ts';
import { address6Of, realsOfService, type Table } from './table.ts';
import { createErrorBudget, type ErrorBudget } from './tell-sender.ts';

/** Another host says that a VIP is its own. */
export interface VipConflict {
  readonly vip: number;
  /** Of IPv6, where `vip` is a handle. */
  readonly vip6?: Ipv6;
  readonly arm: number;
  readonly macHigh: number;
  readonly macLow: number;
}

export interface Director {
  readonly arms: readonly Arm[];
  readonly armMacHigh: Int32Array;
  readonly armMacLow: Uint16Array;
  /** Longest frame that can be sent on each arm, without its checksum: the MTU and 14 bytes. */
  readonly armFrameBytes: Int32Array;
  /** Frames of up to so many bytes are short enough for every arm. */
  readonly safeFrameBytes: number;
  /** Longest IP packet that the last one could have been that was too long. */
  narrowMtu: number;
  readonly fragments: FragmentTable;
  /** How many ICMP errors of its own the director may make at once; see tell-sender.ts. */
  readonly errorBudget: ErrorBudget;
  readonly flows: FlowTable;
  /** Services that choose by hash because the flow table was full; see pass-statelessly.ts. */
  readonly strain: Strain;
  readonly counters: Counters;
  readonly totals: Totals;
  /** What a packet of a known flow needs, flat, so that it is one load away: see known-flow.ts. */
  readonly values: Float64Array;
  /** Index in `values` of the row of real id 0. */
  readonly realRowsAt: number;
  /**
   * Like the neighbours' ways, but by real id; GONE instead of an arm if no table holds the real.
   */
  readonly ways: Int32Array;
  /** The tunnel of each real id, and the latest identification of an outer header. */
  readonly tunnels: Int32Array;
  tunnelId: number;
  table: Table;
  /** Scheduler of each service id. */
  schedulers: readonly (Scheduler | undefined)[];
  neighbours: Neighbours;
  /** Where another director publishes the neighbours that both have; undefined: asks itself. */
  readonly leader: Counters | undefined;
  readonly worker: number;
  readonly workers: number;
  /** VLAN tag of the frame that goes the long way now, or 0: what it makes leaves with the same. */
  tag: number;
  /** Time of this batch, int32 milliseconds on a clock that only grows. */
  nowMs: number;
  readonly outbox: OutboxFrame[];
  /** What the super-frames of a batch were cut into, in their order; see verdict.ts. */
  readonly segments: OutboxFrame[];
  readonly conflicts: VipConflict[];
  /** What was read of the packet, if it is not plain or no flow knows it. */
  readonly packet: Packet;
  /** Filled for each new flow; here so that no packet allocates one. */
  readonly newFlow: NewFlow;
  /** What the scheduler is told of it, and how many flows the reals have. */
  readonly arrival: Arrival;
  readonly load: Load;
  /** Which reals take new flows just now, and why not. */
  readonly states: RealStates;
  /** How the last choice of a real came about. */
  readonly choice: Choice;
  /** The flow of a datagram that is scheduled alone, while that is on its way; else -1. */
  onePacketFlow: number;
  /** The last packet goes without a flow, and is too long as it is; see pass-statelessly.ts. */
  isPassing: boolean;
  /** Filled for each first fragment. */
  readonly firstPiece: FirstPiece;
}

/**
 * What a first fragment was like before it was rewritten; the others of its packet still are. Of
 * IPv6, hashes instead of the addresses.
 */
export interface FirstPiece {
  source: number;
  destination: number;
  protocol: number;
  /** As from idProtocol. */
  id: number;
  payloadBytes: number;
  /** As they lie in the packet, or 0 if it is too short. */
  ports: number;
}

/** So many packets in pieces, and so many pieces that came before the first one of theirs. */
const FRAGMENT_ROOM = { packets: 4096, frames: 512 };

export interface DirectorOptions {
  readonly arms: readonly Arm[];
  readonly table: Table;
  readonly counters: Counters;
  readonly maximumFlows: number;
  /** Most of them that are half open; see createFlowTable. */
  readonly maximumHalfOpen?: number | undefined;
  /** Keys the flow table's hash: something that outsiders cannot guess. */
  readonly flowSeed: number;
  readonly nowMs: number;
  /** Counters of the worker that asks for MAC addresses and announces VIPs for this one too. */
  readonly leader?: Counters | undefined;
  /** Its number among so many; the only one unless given. */
  readonly worker?: number | undefined;
  readonly workers?: number | undefined;
}

export function createDirector(options: DirectorOptions): Director {
  const { arms, table, counters, nowMs } = options;
  const states = createRealStates(counters.room.reals);
  const flows = createFlowTable(
    options.maximumFlows,
    counters.room.reals,
    options.flowSeed,
    options.maximumHalfOpen,
    FRAGMENT_ROOM.packets * 2,
  );
  const director: Director = {
    arms,
    armMacHigh: Int32Array.from(arms, (arm) => arm.macHigh),
    armMacLow: Uint16Array.from(arms, (arm) => arm.macLow),
    armFrameBytes: Int32Array.from(arms, (arm) => arm.mtu + HEADER_BYTES),
    safeFrameBytes: Math.min(...arms.map((arm) => arm.mtu)) + HEADER_BYTES,
    narrowMtu: 0,
    fragments: createFragmentTable(FRAGMENT_ROOM, flows.book, options.flowSeed),
    errorBudget: createErrorBudget(nowMs),
    flows,
    strain: createStrain(counters.room.services),
    values: counters.values,
    realRowsAt: realAt(counters.room, 0),
    // With a buffer of its own it lies outside V8's heap, and compiled code knows its address.
    ways: new Int32Array(new ArrayBuffer(counters.room.reals * WAY_WORDS * 4)),
    tunnels: new Int32Array(counters.room.reals * TUNNEL_WORDS),
    tunnelId: 0,
    counters,
    totals: createTotals(counters),
    table,
    schedulers: [],
    neighbours: createNeighbours(table, arms, undefined, nowMs),
    leader: options.leader,
    worker: options.worker ?? 0,
    workers: options.workers ?? 1,
    tag: 0,
    nowMs,
    outbox: [],
    segments: [],
    conflicts: [],
    packet: emptyPacket(),
    newFlow: emptyFlow(),
    arrival: { client: 0, clientPort: 0, vip: 0, nowMs: 0 },
    load: {
      flows: flows.flowsByReal,
      active: flows.activeByReal,
      closed: states.closed,
      ids: new Int32Array(0),
      first: 0,
    },
    states,
    choice: createChoice(),
    onePacketFlow: -1,
    isPassing: false,
    firstPiece: { source: 0, destination: 0, protocol: 0, id: 0, payloadBytes: 0, ports: 0 },
  };
  takeTable(director, table);
  return director;
}

const emptyFlow = (): NewFlow => ({
  ...{ client: 0, vip: 0, ports: 0, real: 0, replyPorts: 0, protocol: 0, local: 0, bits: 0 },
  ...{ realId: 0, serviceId: 0, hopHigh: 0, hopLow: 0, deltas: 0 },
});

/**
 * Takes a table as a whole, between two batches. Flows stay; those of a real that is gone end.
 * @throws RangeError if the table is too large for the counters; nothing is taken then
 */
export function takeTable(director: Director, table: Table): void {
  const { room } = director.counters;
  if (table.realAddress.length > room.reals || table.serviceRealCount.length > room.services) {
    throw new RangeError('the table has more services or reals than the counters have room for');
  }
  const { flows } = director;
  renameAddresses(flows, fixAddresses(flows.book, table.addresses6, table.hasIpv6));
  mapReals(director.totals, table);
  director.neighbours = createNeighbours(table, director.arms, director.neighbours, director.nowMs);
  director.schedulers = table.schedules.map((schedule) =>
    schedule ? schedulerNamed(schedule.scheduler) : undefined,
  );
  for (const id of table.schedules.keys()) takeOverSchedule(director, table, id);
  director.load.ids = table.serviceReals;
  director.table = table;
  flows.timeoutsMs.set(table.life.timeoutsMs);
  makeTemplates(director);
  makeClients(director);
  layWays(director);
  layTunnels(director);
  announceVips(director);
}

/** A service that keeps its scheduler goes on where it stood: whose turn it is, and the like. */
function takeOverSchedule({ table: before, schedulers }: Director, table: Table, id: number): void {
  const schedule = table.schedules[id];
  const previous = before.schedules[id];
  if (schedule === undefined || previous === undefined || schedule === previous) return;
  const scheduler = schedulers[id];
  if (scheduler?.takeOver === undefined || previous.scheduler !== scheduler.name) return;
  const now = realsOfService(table, id);
  const moved = realsOfService(before, id).map((real) => now.indexOf(real));
  scheduler.takeOver(schedule, previous, moved);
}

/** Brings the states of all reals, and the ways to them, in line with their neighbours'. */
export function layWays(director: Director): void {
  const { ways, table, neighbours, states } = director;
  judgeReals(director);
  for (let at = 0; at < ways.length; at += WAY_WORDS) {
    const isSpent = states.spent[at / WAY_WORDS] !== 0;
    const neighbour = isSpent ? -1 : (table.realNeighbour[at / WAY_WORDS] ?? -1);
    const from = neighbour * WAY_WORDS;
    for (let word = 0; word < WAY_WORDS; word++) {
      ways[at + word] = neighbour < 0 ? GONE : (neighbours.ways[from + word] as number);
    }
  }
  neighbours.changed = false;
  for (const [service, life] of table.life.services.entries()) {
    if (life?.failOpen && areAllDown(director, service)) layLastWays(director, service);
  }
}

/** Nobody is up: what is sent all the same goes where each real was when it last answered. */
function layLastWays(director: Director, service: number): void {
  const { ways, table, neighbours, states, flows } = director;
  for (const id of realsOfService(table, service)) {
    const neighbour = table.realNeighbour[id] as number;
    const wasKnown = neighbours.macHigh[neighbour] !== 0 || neighbours.macLow[neighbour] !== 0;
    if (((states.closed[id] as number) & DOWN) === 0 || !wasKnown) continue;
    if (states.spent[id] !== 0) continue;
    ways[id * WAY_WORDS + WAY_ARM] = neighbours.arm[neighbour] as number;
    // Exchanges of UDP that it gets meanwhile last like any others.
    flows.goneReals[id] = NONE_OVER;
  }
}

/** An arm's link is back: the neighbours are asked again and the VIPs announced. */
export function linkIsUp(director: Director, arm: number): void {
  askAgain(director.neighbours, arm, director.nowMs);
  announceVips(director, arm);
}

/**
 * Gratuitous ARP (RFC 5227, 2.3), and unsolicited advertisements (RFC 4861, 7.2.6), for each VIP on
 * the arms where its clients can be.
 */
function announceVips(director: Director, only?: number): void {
  const { arms, table, leader, outbox } = director;
  if (leader !== undefined) return;
  const announce = (isNear: (arm: Arm) => boolean, bytesFor: (arm: Arm) => Uint8Array) => {
    const isAnywhere = !arms.some(isNear);
    for (const [index, arm] of arms.entries()) {
      if (only !== undefined && only !== index) continue;
      if (isAnywhere || isNear(arm)) outbox.push({ arm: index, bytes: bytesFor(arm) });
    }
  };
  for (const [number, vip] of table.vips.entries()) {
    // A prefix has too many addresses to call them all out; its hosts ask.
    if (table.vipPrefixLengths[number] !== 32) continue;
    announce(
      (arm) => arm.prefixLength > 0 && inSubnet(vip, arm.address, arm.prefixLength),
      (arm) => arpRequest(arm, { target: vip, sender: vip, high: -1, low: 0xffff }),
    );
  }
  for (const vip of Array.from(table.vips6, (handle) => address6Of(table, handle))) {
    announce(
      ({ address6, prefixLength6 = 0 }) =>
        address6 !== undefined && prefixLength6 > 0 && inSubnet6(vip, address6, prefixLength6),
      (arm) => announcement6(arm, vip),
    );
  }
}

/** Flows looked at by one tick: at a tick every 10 ms a full sweep of 262,144 takes 2.6 s. */
const SWEEP_BUDGET = 1024;
/** With more records than that a sweep takes a minute at most: this many ticks. */
const SWEEP_TICKS = 6000;
/** Entries of packets in pieces looked at by one tick: all of them in a third of a second. */
const FRAGMENT_BUDGET = 128;
/** Templates looked at by one tick: of 262,144, all in 10 s. */
const TEMPLATE_BUDGET = 256;

/** What happens every few milliseconds beside the packets. */
export function tick(director: Director, nowMs: number): void {
  director.nowMs = nowMs;
  const { flows, neighbours, outbox, counters, leader, table } = director;
  if (leader !== undefined) adoptNeighbours(neighbours, table, leader);
  const probes = leader === undefined ? askNeighbours(neighbours, outbox, nowMs) : 0;
  if (neighbours.changed || isDrainDue(director)) layWays(director);
  easeStrain(director);
  sweepFlows(flows, nowMs, Math.max(SWEEP_BUDGET, Math.ceil(flows.fresh / SWEEP_TICKS)));
  sweepFragments(director.fragments, nowMs, FRAGMENT_BUDGET);
  if (flows.templates !== undefined) sweepTemplates(flows.templates, nowMs, TEMPLATE_BUDGET);
  tickClients(director);
  const { values } = counters;
  values[GLOBAL.neighbourProbes] = (values[GLOBAL.neighbourProbes] as number) + probes;
  publish(director);
}

// A whole director in a small network, from one seed: connections come and go while wires lose,
// double and reorder frames, tables are swapped, reals die and move, floods come, and the clock
// jumps. What must never happen is noted as a violation, by whoever sees it: the hosts (clients.ts
// and reals.ts), those who watch the director (watch-requests.ts and watch-openings.ts), and who
// goes through its books (ledger.ts). Each rule stands in quotation marks where it is judged.
import { createTurn } from '../../src/control/run-batch.ts';
import { type MemoryDatapath, openMemory } from '../../src/datapath/memory.ts';
import { DOWN, STARTING } from '../../src/director/availability.ts';
import {
  type Counters,
  counterBytes,
  GLOBAL_FIELDS,
  readDrops,
  readRow,
  wrapCounters,
} from '../../src/director/counters.ts';
import { createDirector, type Director, takeTable, tick } from '../../src/director/director.ts';
import { SCTP_NONE } from '../../src/flow/sctp-states.ts';
import { ESTABLISHED, TIMEOUT_MS, UDP, UDP_NEW } from '../../src/flow/tcp-states.ts';
import { SCHEDULER_NAMES } from '../../src/schedule/scheduler.ts';
import { parseMac } from '../../src/wire/address.ts';
import {
  forgetAddresses6,
  INSIDE,
  OTHER_ROUTER,
  OUTSIDE,
  ROUTER,
  tableOf,
} from '../packets/scene.ts';
import { ARMS6 } from '../packets/scene6.ts';
import { type Clients, type Connection, createClients, type Phase } from './clients.ts';
import { auditCounters, auditFlows, listFlows } from './ledger.ts';
import {
  calm,
  drawServices,
  memberOf,
  ROOM,
  realId,
  type Service,
  SLOTS,
  toScene,
} from './network.ts';
import { createRandom, type Random } from './random.ts';
import { arriveAtReal, isForMany, makeReals, type RealWires, type SimulatedReal } from './reals.ts';
import { macNumber, macTo } from './segments.ts';
import { findBadSum } from './sums.ts';
import { makeTrouble } from './trouble.ts';
import { type OpeningWatch, watchOpenings } from './watch-openings.ts';
import { type RequestWatch, watchRequests } from './watch-requests.ts';
import { createWorld, NO_FAULTS, type World } from './world.ts';

/** Few ports, so that they come again soon. */
const POOL = {
  addresses: ['10.0.0.200', '10.0.0.201', '2001:db8:b::200', '2001:db8:b::201'],
  ...{ firstPort: 61_000, portCount: 128 },
};
const ROUTERS = [ROUTER, OTHER_ROUTER].map(({ mac }) => macNumber(parseMac(mac)!));
const TICK_MS = 10;
const AUDIT_MS = 500;
/** Trouble first, then quiet, in which everything must work. */
const TROUBLE_MS = 16_000;
const QUIET_MS = 8000;
/** Of so many seeds one has more established connections than its flow table holds. */
const BUSY = 4;
/** New connections in a millisecond. */
const RATE = { busy: 0.06, other: 0.04 };
/** Connections that open in quiet, and how many of them may find a full table full. */
const NEW_IN_QUIET = 60;
const MOST_GIVEN_UP = 6;
/** Longer than any flow, template or debt of a client lives. */
const AGE_MS = 1_000_000;

export interface Report {
  readonly violations: readonly string[];
  /** How many connections ended in which way, in trouble and in quiet. */
  readonly trouble: Partial<Record<Phase, number>>;
  readonly quiet: Partial<Record<Phase, number>>;
  /** Frames that came to the director, and errors that came to clients and to reals. */
  readonly frames: number;
  readonly errors: { readonly clients: number; readonly reals: number };
  readonly totals: Record<string, number>;
  readonly drops: Record<string, number>;
}

export interface Simulation {
  readonly world: World;
  readonly random: Random;
  readonly datapath: MemoryDatapath;
  readonly director: Director;
  /** Handles one batch; gives its number of frames. */
  readonly turn: (nowMs: number) => number;
  readonly counters: Counters;
  readonly services: readonly Service[];
  readonly reals: readonly SimulatedReal[];
  readonly clients: Clients;
  readonly wires: RealWires;
  readonly requests: RequestWatch;
  readonly openings: OpeningWatch;
  /** Established flows live for seconds rather than minutes. */
  readonly isShort: boolean;
  /** What the director's clock is ahead of the world's. */
  aheadMs: number;
  /** Errors that came to reals. */
  errors: number;
  /** Draws whom the next table names: whoever it is, nothing else may go another way for it. */
  readonly nameRandom: Random;
  /** Gives the director the services as they are now. */
  takeTable(): void;
  /** From now on no flow of these connections need stay. */
  excuseAll(which: (connection: Connection) => boolean): void;
}

export function simulate(seed: number): Report {
  const isBusy = seed % BUSY === 0;
  const simulation = createSimulation(seed, isBusy);
  const { world, clients, random, services } = simulation;
  world.faults = { loss: 0.03, double: 0.03, mostDelayMs: 20 };
  while (world.nowMs < TROUBLE_MS) {
    makeTrouble(simulation);
    if (random.chance(isBusy ? RATE.busy : RATE.other)) clients.open();
    step(simulation);
  }
  const troubled = clients.connections.length;
  if (isBusy) age(simulation);
  world.faults = NO_FAULTS;
  for (const real of simulation.reals) real.alive = true;
  for (const service of services) calm(service);
  simulation.takeTable();
  // A real that moved while nobody heard it is found when it is asked again: 15 seconds at most.
  runFor(simulation, 16_000);
  for (let count = 0; count < NEW_IN_QUIET; count++) {
    clients.open();
    runFor(simulation, 50);
  }
  runFor(simulation, QUIET_MS + 10_000);
  const undone = clients.connections.slice(troubled).filter(({ phase }) => phase !== 'done');
  // A table that is full of established flows has no place for some of the new ones, and a flow
  // that closes gives way in it, so that its FIN finds nobody. So does one that is half open: the
  // rest of its packets may go by hash, to a real that resets them.
  const isForWantOfRoom = undone.every(
    ({ phase, keptBy }) => phase === 'given up' || (phase === 'broken' && keptBy < 0),
  );
  const isExcused = isBusy && isForWantOfRoom && undone.length <= MOST_GIVEN_UP;
  for (const { number, phase, service } of isExcused ? [] : undone) {
    world.violations.push(`connection ${number} of service ${service.id}, in quiet, is ${phase}`);
  }
  endAll(simulation);
  return {
    violations: world.violations,
    trouble: countPhases(simulation, 0, troubled),
    quiet: countPhases(simulation, troubled),
    frames: receivedFrames(simulation),
    errors: { clients: clients.errors, reals: simulation.errors },
    totals: readRow(simulation.counters, 0, GLOBAL_FIELDS),
    drops: readDrops(simulation.counters),
  };
}

/** Flows that are established, or datagrams of which there were two, live for seconds. */
function shortTimes() {
  const times = TIMEOUT_MS.slice();
  for (const state of [ESTABLISHED, SCTP_NONE + 8]) times[state] = 12_000;
  times[UDP] = 6000;
  times[UDP_NEW] = 6000;
  return times;
}

function createSimulation(seed: number, isBusy: boolean): Simulation {
  forgetAddresses6();
  const random = createRandom(seed);
  const world = createWorld(random);
  const services = drawServices(random, Math.abs(seed) % SCHEDULER_NAMES.length);
  const datapath = openMemory(ARMS6);
  const counters = wrapCounters(new ArrayBuffer(counterBytes(ROOM)), ROOM);
  const isShort = random.chance(0.5);
  const times: typeof TIMEOUT_MS = isShort ? shortTimes() : TIMEOUT_MS;
  const makeTable = () => tableOf(toScene(services), undefined, times, POOL);
  // The clock of the director wraps in the course of the simulation.
  const aheadMs = 0x7fff_ffff - random.between(0, TROUBLE_MS);
  const director = createDirector({
    ...{ arms: ARMS6, counters, maximumFlows: isBusy ? 96 : 768, nowMs: aheadMs | 0 },
    table: makeTable(),
    flowSeed: random.between(-0x8000_0000, 0x7fff_ffff),
  });
  const toDirector = (frame: Uint8Array, arm: number) =>
    world.transmit(frame, (arrived) => datapath.put(arrived, arm));
  const clients = createClients(world, services, (frame) => toDirector(frame, OUTSIDE));
  const requests = watchRequests(world, director, services, clients);
  const openings = watchOpenings(world, director, services, counters);
  const simulation: Simulation = {
    ...{ world, random, services, datapath, director, counters, clients, requests, openings },
    ...{ turn: createTurn(director, datapath), reals: makeReals(), isShort, aheadMs, errors: 0 },
    nameRandom: createRandom(~seed),
    wires: {
      toDirector,
      toClient: (frame) => world.transmit(frame, clients.arrive),
      keeperOf: (number) => keeperOf(clients, number),
      noteError: () => void simulation.errors++,
    },
    takeTable: () => {
      takeTable(director, makeTable());
      requests.tableTaken(director.nowMs);
      openings.tableTaken();
      excuseAbsent(simulation);
    },
    excuseAll: (which) => {
      for (const each of clients.living) if (which(each)) each.excused = true;
    },
  };
  return simulation;
}

/** The real that a connection's flow must stay with, or -1. */
function keeperOf({ connections, living }: Clients, number: number): number {
  const connection = connections[number];
  if (connection === undefined || !living.has(connection)) return -1;
  const { excused, phase, keptBy, service } = connection;
  return excused || phase === 'closing' || service.onePacket ? -1 : keptBy;
}

/** No flow need stay with a real that is not in the table. */
function excuseAbsent({ services, requests }: Simulation): void {
  for (const service of services) {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (memberOf(service, slot) === undefined) requests.excuse(service, slot);
    }
  }
}

/** One millisecond of the world, and all that the director has to do in it. */
function step(simulation: Simulation): void {
  const { world, datapath, director, openings, requests } = simulation;
  world.step();
  const nowMs = (world.nowMs + simulation.aheadMs) | 0;
  requests.stepBegins(nowMs);
  for (let count = 1; count > 0; ) {
    openings.before();
    count = simulation.turn(nowMs);
    if (count > 0) openings.after();
  }
  const isTick = world.nowMs % TICK_MS === 0;
  if (isTick) tick(director, nowMs);
  for (const { arm, bytes } of director.outbox.splice(0)) datapath.inject(bytes, arm);
  for (const { arm, bytes } of datapath.sent.splice(0)) carry(simulation, bytes, arm);
  if (isTick) {
    excuseDown(simulation);
    requests.ticked(nowMs);
    if (world.nowMs % AUDIT_MS === 0) audit(simulation);
  }
}

/** Takes a frame that the director sent to where its MAC address leads. */
function carry(simulation: Simulation, frame: Uint8Array, arm: number) {
  const { world, reals, clients, wires, requests } = simulation;
  // "All sums of every frame that leaves are right, to those of the packet that an error quotes."
  const bad = findBadSum(frame);
  if (bad !== undefined) world.violations.push(`a frame left with ${bad} wrong`);
  const to = macTo(frame);
  if (ROUTERS.includes(to)) {
    requests.reply(frame);
    if (arm === OUTSIDE) world.transmit(frame, clients.arrive);
    else if (arm === INSIDE) world.violations.push('a frame for a router went to the inside');
    return;
  }
  for (const real of reals) {
    const isItsOwn = real.station === to;
    if (real.arm !== arm || !(isItsOwn || isForMany(to))) continue;
    if (isItsOwn) requests.request(real, frame);
    world.transmit(frame, (arrived) => arriveAtReal(world, real, arrived, wires));
  }
}

/** To the director, a real that does not answer its questions in time is down. */
function excuseDown({ director, services, requests }: Simulation): void {
  const { closed } = director.states;
  for (const service of services) {
    for (let slot = 0; slot < SLOTS; slot++) {
      if ((closed[realId(service, slot)]! & DOWN) !== 0) requests.excuse(service, slot);
    }
  }
}

/** Goes through the books: see ledger.ts. */
function audit(simulation: Simulation): void {
  const { director, counters, world, services } = simulation;
  const note = (text: string) => void world.violations.push(`at ${world.nowMs} ms ${text}`);
  auditFlows(director, note);
  auditCounters(director, counters, receivedFrames(simulation), note);
  // "A flow of one datagram ends with it, any flow with the next sweep once its real has left the
  // table, and no real is passed over but while one choice is made."
  for (const { serviceId, realId, number } of listFlows(director)) {
    const service = services[serviceId]!;
    if (service.onePacket) note(`flow ${number} of one packet is there still`);
    if (memberOf(service, realId % SLOTS) === undefined) {
      note(`flow ${number} is there still, but its real id ${realId} is not in the table`);
    }
  }
  if (director.states.closed.some((bits) => (bits & STARTING) !== 0)) note('a real stays passed');
}

/** The clock jumps until no flow is left. */
function age(simulation: Simulation): void {
  simulation.aheadMs += AGE_MS;
  simulation.excuseAll(() => true);
}

/** "When all flows have ended, nothing is held and nothing is remembered." */
function endAll(simulation: Simulation): void {
  const { director, world } = simulation;
  age(simulation);
  runFor(simulation, 20_000 - (world.nowMs % AUDIT_MS));
  const { flows, fragments } = director;
  const left = {
    ...{ flows: flows.active, halfOpen: flows.halfOpen, fragments: fragments.holding },
    templates: flows.templates?.active ?? 0,
    clients: flows.clients?.active ?? 0,
    held: flows.book.holds.reduce((sum, holds) => sum + holds, 0),
  };
  for (const [name, count] of Object.entries(left)) {
    if (count !== 0) world.violations.push(`in the end there are ${count} ${name}`);
  }
}

function runFor(simulation: Simulation, ms: number): void {
  const untilMs = simulation.world.nowMs + ms;
  while (simulation.world.nowMs < untilMs) step(simulation);
}

const receivedFrames = ({ datapath }: Pick<Simulation, 'datapath'>): number =>
  datapath.counters.reduce((sum, arm) => sum + arm.receivedFrames, 0);

function countPhases({ clients }: Simulation, from: number, to?: number) {
  const phases: Partial<Record<Phase, number>> = {};
  for (const { phase } of clients.connections.slice(from, to)) {
    phases[phase] = (phases[phase] ?? 0) + 1;
  }
  return phases;
}

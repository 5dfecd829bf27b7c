// A whole director in a small network, from one seed: connections come and go while wires lose,
// double and reorder frames, tables are swapped, reals die and move, floods come, and the clock
// jumps. What must never happen is noted as a violation, by whoever sees it.

import { tcpFrame } from '../../lab/frame.ts';
import { createTurn } from '../../src/control/run-batch.ts';
import { type MemoryDatapath, openMemory } from '../../src/datapath/memory.ts';
import { DOWN } from '../../src/director/availability.ts';
import {
  type Counters,
  counterBytes,
  GLOBAL_FIELDS,
  readDrops,
  readRow,
  realAt,
  TRAFFIC_FIELDS,
  wrapCounters,
} from '../../src/director/counters.ts';
import { createDirector, type Director, takeTable, tick } from '../../src/director/director.ts';
import type { ServiceLife } from '../../src/director/life.ts';
import { findFlow, META, RECORD_WORDS } from '../../src/flow/flow-table.ts';
import { KEPT_STATES } from '../../src/flow/tcp-states.ts';
import { SCHEDULER_NAMES, type SchedulerName } from '../../src/schedule/scheduler.ts';
import { formatIpv4, formatMac, parseIpv4 } from '../../src/wire/address.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  ARMS,
  INSIDE,
  OTHER_ROUTER,
  OUTSIDE,
  OUTSIDE_ARM,
  ROUTER,
  type SceneService,
  tableOf,
} from '../packets/scene.ts';
import { type Clients, createClients, FLOOD_SUBNET, type Phase, VIPS } from './clients.ts';
import { createRandom, type Random } from './random.ts';
import {
  arriveAtReal,
  METHODS,
  type RealWires,
  type SimulatedReal,
  tellMac,
  withoutTunnel,
} from './reals.ts';
import { createReassembly, isPiece, readSegment } from './segments.ts';
import { createWorld, NO_FAULTS, type World } from './world.ts';

const ROOM = { arms: 2, services: 8, reals: 128 };
/** Few ports, so that they come again soon. */
const POOL = { addresses: ['10.0.0.200', '10.0.0.201'], firstPort: 61_000, portCount: 128 };
const TICK_MS = 10;
/** Trouble first, then quiet, in which everything must work. */
const TROUBLE_MS = 20_000;
const QUIET_MS = 10_000;
/** Of so many seeds one has more established connections than its flow table holds. */
const BUSY = 4;
const REALS_BY_METHOD = 4;
const REALS = METHODS.length * REALS_BY_METHOD;
const FIRST_ADDRESS = {
  dsr: '192.0.2.11',
  nat: '10.0.0.11',
  fullnat: '10.0.0.21',
  gue: '10.0.0.31',
};

export interface Report {
  readonly violations: readonly string[];
  /** How many connections ended in which way, in trouble and in quiet. */
  readonly trouble: Partial<Record<Phase, number>>;
  readonly quiet: Partial<Record<Phase, number>>;
  /** Frames that came to the director. */
  readonly frames: number;
  readonly totals: Record<string, number>;
  readonly drops: Record<string, number>;
}

/** Clients stay with their reals for a while. */
const STAYING: ServiceLife = {
  ...{ onePacket: false, slowStartMs: 0, sorry: -1, failOpen: false },
  persistence: { timeoutMs: 5000, prefixLength: 128, family: 4 },
};

interface Simulation {
  readonly persists: boolean;
  readonly world: World;
  readonly random: Random;
  readonly scheduler: SchedulerName;
  readonly datapath: MemoryDatapath;
  readonly director: Director;
  /** Handles one batch; gives its number of frames. */
  readonly turn: (nowMs: number) => number;
  readonly counters: Counters;
  readonly reals: readonly SimulatedReal[];
  readonly clients: Clients;
  readonly wires: RealWires;
  /** What the director's clock is ahead of the world's. */
  aheadMs: number;
}

export function simulate(seed: number): Report {
  const isBusy = seed % BUSY === 0;
  const simulation = createSimulation(seed, isBusy);
  const { world, clients, random } = simulation;
  world.faults = { loss: 0.03, double: 0.03, mostDelayMs: 20 };
  while (world.nowMs < TROUBLE_MS) {
    makeTrouble(simulation);
    if (random.chance(isBusy ? 0.03 : 0.01)) clients.open();
    step(simulation);
  }
  const troubled = clients.connections.length;
  if (isBusy) endAllFlows(simulation);
  world.faults = NO_FAULTS;
  for (const real of simulation.reals) real.alive = true;
  swapTable(simulation, () => 1);
  // A real that moved while nobody heard it is found when it is asked again: 15 seconds at most.
  runFor(simulation, 16_000);
  for (let count = 0; count < 30; count++) clients.open();
  runFor(simulation, QUIET_MS + 10_000);
  for (const { number, phase } of clients.connections.slice(troubled)) {
    if (phase !== 'done') world.violations.push(`connection ${number}, in quiet, is ${phase}`);
  }
  checkCounters(simulation);
  return {
    violations: world.violations,
    trouble: countPhases(simulation, 0, troubled),
    quiet: countPhases(simulation, troubled),
    frames: receivedFrames(simulation),
    totals: readRow(simulation.counters, 0, GLOBAL_FIELDS),
    drops: readDrops(simulation.counters),
  };
}

function createSimulation(seed: number, isBusy: boolean): Simulation {
  const random = createRandom(seed);
  const world = createWorld(random);
  const scheduler = SCHEDULER_NAMES[Math.abs(seed) % SCHEDULER_NAMES.length]!;
  const datapath = openMemory(ARMS);
  const counters = wrapCounters(new ArrayBuffer(counterBytes(ROOM)), ROOM);
  const reals = makeReals();
  const persists = random.chance(0.5);
  // The clock of the director wraps in the course of the simulation.
  const aheadMs = 0x7fff_ffff - random.between(0, TROUBLE_MS);
  const director = createDirector({
    ...{ arms: ARMS, counters, maximumFlows: isBusy ? 128 : 512, nowMs: aheadMs | 0 },
    table: tableWith({ scheduler, reals, persists }, () => 1),
    flowSeed: random.between(-0x8000_0000, 0x7fff_ffff),
  });
  const turn = createTurn(director, datapath);
  const toDirector = (frame: Uint8Array, arm: number) =>
    world.transmit(frame, (arrived) => datapath.put(arrived, arm));
  const clients = createClients(world, (frame) => toDirector(frame, OUTSIDE));
  const toClient = (frame: Uint8Array) => world.transmit(frame, clients.arrive);
  return {
    ...{ world, random, scheduler, persists, datapath, director, turn, counters, reals, clients },
    aheadMs,
    wires: { toDirector, toClient },
  };
}

/** Four for each method; where packets come as they were, a real carries the VIP. */
function makeReals(): SimulatedReal[] {
  return Array.from({ length: REALS }, (_, index) => {
    const method = METHODS[Math.floor(index / REALS_BY_METHOD)]!;
    const arm = method === 'dsr' ? OUTSIDE : INSIDE;
    const address = formatIpv4(parseIpv4(FIRST_ADDRESS[method])! + (index % REALS_BY_METHOD));
    const keepsVip = method === 'dsr' || method === 'gue';
    return {
      ...{ index, method, arm, address, alive: true, inTable: true, open: new Set<string>() },
      ...(keepsVip ? { listensOn: VIPS[method], port: 80 } : { listensOn: address, port: 8080 }),
      ...{ mac: `02:00:00:00:1d:${(0x10 + index).toString(16)}`, pieces: createReassembly() },
    };
  });
}

const SERVICES = [0, 1, 2, 3, 4, 5, 6, 7];
const realId = (service: number, real: number): number => service * REALS + real;

/** TCP and UDP by each method, with these reals by their weight; undefined leaves one out. */
function servicesWith(
  { scheduler, reals, persists }: Pick<Simulation, 'scheduler' | 'reals' | 'persists'>,
  weightOf: (real: SimulatedReal) => number | undefined,
): SceneService[] {
  // To ovf a weight is the number of flows that a real can have.
  const unit = scheduler === 'ovf' ? 500 : 1;
  return METHODS.flatMap((method, number) =>
    ([6, 17] as const).map((protocol, second): SceneService => {
      const id = number * 2 + second;
      const members = reals.filter(
        (real) => real.method === method && weightOf(real) !== undefined,
      );
      return {
        ...{ id, vip: VIPS[method], port: 80, protocol, method, scheduler },
        ...(persists ? { life: STAYING } : {}),
        reals: members.map((real) => ({
          ...{ id: realId(id, real.index), address: real.address, arm: real.arm },
          ...{ port: real.port, weight: weightOf(real)! * unit },
        })),
      };
    }),
  );
}

const tableWith = (
  services: Parameters<typeof servicesWith>[0],
  weightOf: Parameters<typeof servicesWith>[1],
) => tableOf(servicesWith(services, weightOf), undefined, undefined, POOL);

/** One millisecond of the world, and all that the director has to do in it. */
function step(simulation: Simulation): void {
  const { world, datapath, director } = simulation;
  world.step();
  const nowMs = (world.nowMs + simulation.aheadMs) | 0;
  while (simulation.turn(nowMs) > 0);
  if (world.nowMs % TICK_MS === 0) {
    tick(director, nowMs);
    excuseDown(simulation);
  }
  for (const { arm, bytes } of director.outbox.splice(0)) datapath.inject(bytes, arm);
  for (const { arm, bytes } of datapath.sent.splice(0)) carry(simulation, bytes, arm);
}

/** Takes a frame that the director sent to where its MAC address leads. */
function carry(simulation: Simulation, frame: Uint8Array, arm: number) {
  const { world, reals, clients, wires } = simulation;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const to = formatMac(ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0));
  if (to === ROUTER.mac || to === OTHER_ROUTER.mac) {
    if (arm === OUTSIDE) world.transmit(frame, clients.arrive);
    else world.violations.push('a frame for a router went out on the inside arm');
    return;
  }
  for (const real of reals) {
    if (real.arm !== arm) continue;
    if (real.mac === to) watchFlow(simulation, real, frame);
    world.transmit(frame, (arrived) => arriveAtReal(world, real, arrived, wires));
  }
}

/** What the director sends to a real: of an established flow, always to the same one. */
function watchFlow(
  { world, clients, director }: Simulation,
  real: SimulatedReal,
  frame: Uint8Array,
) {
  const packet = withoutTunnel(real, frame);
  if (packet === undefined || isPiece(packet)) return;
  const segment = readSegment(packet);
  const connection = segment && clients.whose(segment);
  if (connection === undefined) return;
  const { number, address, sourcePort, vip, port, protocol, keptBy, excused, phase } = connection;
  // One that closes may have been given up since, and its FIN is sent again.
  if (keptBy >= 0 && keptBy !== real.index && !excused && phase !== 'closing') {
    world.violations.push(`connection ${number} went from real ${keptBy} to real ${real.index}`);
  }
  const { flows } = director;
  const [client, server] = [parseIpv4(address) ?? 0, parseIpv4(vip) ?? 0];
  const found = findFlow(flows, client, server, (sourcePort << 16) | port, protocol);
  const meta = found < 0 ? 0 : (flows.records[(found >>> 1) * RECORD_WORDS + META] as number);
  // One that is closing may be given up, and opened anew.
  const isKept = (KEPT_STATES >>> (meta & 0xff)) & 1;
  if (isKept && keptBy === real.index) return;
  connection.keptBy = isKept ? real.index : -1;
  // By fullnat it may come back from another port of the pool, which its real does not know.
  if (real.method !== 'fullnat') connection.excused = false;
}

/** From now on no flow of this real's need stay with it. */
function excuse({ clients }: Pick<Simulation, 'clients'>, { index }: SimulatedReal): void {
  for (const connection of clients.connections) {
    if (connection.keptBy === index) connection.excused = true;
  }
}

/** The clock jumps until no flow is left, for there must be room again for new ones. */
function endAllFlows(simulation: Simulation): void {
  simulation.aheadMs += 1_000_000;
  for (const connection of simulation.clients.connections) connection.excused = true;
}

/** To the director, a real that does not answer its questions in time is down. */
function excuseDown(simulation: Simulation): void {
  const { closed } = simulation.director.states;
  for (const real of simulation.reals) {
    const ids = SERVICES.map((service) => realId(service, real.index));
    if (ids.some((id) => ((closed[id] ?? 0) & DOWN) !== 0)) excuse(simulation, real);
  }
}

function runFor(simulation: Simulation, ms: number): void {
  const untilMs = simulation.world.nowMs + ms;
  while (simulation.world.nowMs < untilMs) step(simulation);
}

function makeTrouble(simulation: Simulation): void {
  const { random, reals, wires } = simulation;
  if (random.chance(1 / 2000)) {
    const weights = reals.map(() => (random.chance(0.3) ? undefined : random.between(0, 3)));
    // Somebody must always be there to take new connections.
    for (let first = 0; first < REALS; first += REALS_BY_METHOD) {
      weights[first + random.between(0, REALS_BY_METHOD - 1)] = 2;
    }
    swapTable(simulation, ({ index }) => weights[index]);
  }
  if (random.chance(1 / 4000)) {
    const real = random.pick(reals);
    real.alive = false;
    excuse(simulation, real);
  }
  if (random.chance(1 / 2000)) random.pick(reals).alive = true;
  if (random.chance(1 / 4000)) {
    const real = random.pick(reals);
    real.mac = `02:00:00:01:${real.index.toString(16).padStart(2, '0')}:${random.between(10, 99)}`;
    if (real.alive) wires.toDirector(tellMac(real), real.arm);
  }
  if (random.chance(1 / 5000)) simulation.aheadMs += random.between(1, 30_000);
  if (random.chance(1 / 5000)) flood(simulation);
}

function swapTable(
  { director, scheduler, persists, reals, clients }: Simulation,
  weightOf: (real: SimulatedReal) => number | undefined,
): void {
  takeTable(director, tableWith({ scheduler, persists, reals }, weightOf));
  for (const real of reals) {
    real.inTable = weightOf(real) !== undefined;
    if (real.inTable) continue;
    excuse({ clients }, real);
  }
}

/** SYNs from everywhere, more than the flow table holds. */
function flood({ random, wires }: Simulation): void {
  for (let count = 0; count < 600; count++) {
    const frame = tcpFrame({
      ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, flags: tcp.SYN },
      source: `${FLOOD_SUBNET}${random.between(1, 254)}`,
      destination: VIPS[random.pick(METHODS)],
      ...{ sourcePort: random.between(1024, 65_535), destinationPort: 80 },
    });
    wires.toDirector(frame, OUTSIDE);
  }
}

const receivedFrames = ({ datapath }: Pick<Simulation, 'datapath'>): number =>
  datapath.counters.reduce((sum, arm) => sum + arm.receivedFrames, 0);

/** Every frame is counted once by its verdict, and every flow is some real's. */
function checkCounters({ world, counters, datapath, director }: Simulation): void {
  const { passedFrames, sentFrames, answeredFrames, droppedFrames, activeFlows } = readRow(
    counters,
    0,
    GLOBAL_FIELDS,
  );
  const received = receivedFrames({ datapath });
  const judged = passedFrames + sentFrames + answeredFrames + droppedFrames;
  if (received !== judged) world.violations.push(`${received} frames came, ${judged} were judged`);
  const drops = Object.values(readDrops(counters)).reduce((sum, count) => sum + count, 0);
  if (drops !== droppedFrames) world.violations.push(`${droppedFrames} drops, ${drops} by name`);
  let active = 0;
  for (let id = 0; id < ROOM.reals; id++) {
    active += readRow(counters, realAt(ROOM, id), TRAFFIC_FIELDS).activeFlows;
  }
  if (active !== activeFlows || activeFlows !== director.flows.active) {
    world.violations.push(`${activeFlows} active flows, ${active} by real`);
  }
}

function countPhases({ clients }: Simulation, from: number, to?: number) {
  const phases: Partial<Record<Phase, number>> = {};
  for (const { phase } of clients.connections.slice(from, to)) {
    phases[phase] = (phases[phase] ?? 0) + 1;
  }
  return phases;
}

// What goes wrong in a simulation, and what its operator does meanwhile: reloads, reals that die,
// come back or move, a whole group that dies at once, jumps of the clock, floods.
import { tcpFrame, udpFrame } from '../../lab/frame.ts';
import * as sctp from '../../src/wire/sctp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { GUE_PORT } from '../../src/wire/tunnel.ts';
import { tcp6 } from '../packets/frames6.ts';
import { handleOf, OUTSIDE, OUTSIDE_ARM, ROUTER } from '../packets/scene.ts';
import { sctpFrame } from '../wire/sctp-frames.ts';
import { FLOOD_SUBNETS } from './clients.ts';
import { GROUPS, redraw } from './network.ts';
import { type SimulatedReal, setMac, tellMac } from './reals.ts';
import type { Simulation } from './simulate.ts';

/** Longest jump of the clock, and the longest that ends no flow where times are short. */
const JUMP_MS = 30_000;
const SHORT_JUMP_MS = 1000;
const FLOOD_FRAMES = 600;

export function makeTrouble(simulation: Simulation): void {
  const { random, reals, wires, services } = simulation;
  if (random.chance(1 / 1000)) {
    redraw(services, random);
    nameAddress(simulation);
    simulation.takeTable();
  }
  if (random.chance(1 / 1500)) kill(simulation, random.pick(reals));
  if (random.chance(1 / 8000)) {
    const group = random.pick(GROUPS);
    for (const real of reals) if (real.group === group && real.slot > 0) kill(simulation, real);
  }
  if (random.chance(1 / 800)) random.pick(reals).alive = true;
  if (random.chance(1 / 2000)) {
    const real = random.pick(reals);
    const host = real.index.toString(16).padStart(2, '0');
    setMac(real, `02:00:00:01:${host}:${random.between(10, 99)}`);
    if (real.alive) wires.toDirector(tellMac(real), real.arm);
  }
  if (random.chance(1 / 4000)) jump(simulation, random.between(1, JUMP_MS));
  if (random.chance(1 / 5000)) flood(simulation);
}

/** The next table names the client or the VIP of a connection, as if somebody had use for it. */
function nameAddress({ nameRandom, clients }: Simulation): void {
  const living = [...clients.living].filter(({ service }) => service.group.family === 6);
  if (living.length === 0) return;
  const { address, vip } = nameRandom.pick(living);
  const isOfPrefix = !GROUPS.some((group) => group.vip === vip);
  handleOf(isOfPrefix && nameRandom.chance(0.5) ? vip : address);
}

function kill(simulation: Simulation, real: SimulatedReal): void {
  real.alive = false;
  simulation.excuseAll(({ keptBy }) => keptBy === real.index);
}

/** Where the times of flows are short, a jump may end all of them. */
function jump(simulation: Simulation, ms: number): void {
  simulation.aheadMs += ms;
  if (simulation.isShort && ms > SHORT_JUMP_MS) simulation.excuseAll(() => true);
}

/** Openings from everywhere, more than the flow table holds. */
function flood({ random, wires }: Simulation): void {
  for (let count = 0; count < FLOOD_FRAMES; count++) {
    const { family, vip, protocols } = random.pick(GROUPS);
    const fields = {
      ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, destination: vip },
      source: `${FLOOD_SUBNETS[family]}${random.between(1, 254)}`,
      // None is GUE's: an answer that goes there would be looked into as if it were a tunnel's.
      ...{ sourcePort: random.between(GUE_PORT + 1, 65_535), destinationPort: 80 },
    };
    const protocol = random.pick(protocols);
    const chunks = [{ type: sctp.INIT }];
    if (family === 6) wires.toDirector(tcp6({ ...fields, flags: tcp.SYN, sequence: 0 }), OUTSIDE);
    else if (protocol === 6) wires.toDirector(tcpFrame({ ...fields, flags: tcp.SYN }), OUTSIDE);
    else if (protocol === 17) wires.toDirector(udpFrame(fields), OUTSIDE);
    else wires.toDirector(sctpFrame({ ...fields, chunks }), OUTSIDE);
  }
}

// The reals of a simulation: each answers ARP, keeps its connections, echoes every request with its
// own number, and resets what it does not know. Now and then one dies, or changes its MAC address.

import { arpFrame } from '../../lab/frame.ts';
import { formatIpv4, formatMac } from '../../src/wire/address.ts';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { GUE_PORT } from '../../src/wire/tunnel.ts';
import { INSIDE, INSIDE_ARM, OUTSIDE_ARM, ROUTER } from '../packets/scene.ts';
import {
  buildSegment,
  decodeMessage,
  encodeMessage,
  inPieces,
  type Reassembly,
  readSegment,
  type Segment,
} from './segments.ts';
import type { World } from './world.ts';

export const METHODS = ['dsr', 'nat', 'fullnat', 'gue'] as const;
export type Method = (typeof METHODS)[number];

/** Outer headers of a GUE tunnel. */
const GUE_BYTES = 32;

const BROADCAST = 'ff:ff:ff:ff:ff:ff';

export interface SimulatedReal {
  readonly index: number;
  readonly method: Method;
  readonly arm: number;
  readonly address: string;
  /** The VIP, if packets come with it as they were; else its own address. And its port. */
  readonly listensOn: string;
  readonly port: number;
  mac: string;
  alive: boolean;
  inTable: boolean;
  /** TCP connections by client address and port. */
  readonly open: Set<string>;
  readonly pieces: Reassembly;
}

export interface RealWires {
  /** To the director, on the real's arm. */
  toDirector(frame: Uint8Array, arm: number): void;
  /** To the client, past the director. */
  toClient(frame: Uint8Array): void;
}

/** A frame reaches a real. */
export function arriveAtReal(
  world: World,
  real: SimulatedReal,
  frame: Uint8Array,
  wires: RealWires,
): void {
  if (!real.alive) return;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const to = formatMac(ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0));
  if (to !== real.mac && to !== BROADCAST) return;
  if (ethernet.type(view, 0) === ethernet.TYPE_ARP) answerArp(real, view, wires);
  else arrivePacket(world, real, frame, wires);
}

function arrivePacket(
  world: World,
  real: SimulatedReal,
  frame: Uint8Array,
  wires: RealWires,
): void {
  const packet = withoutTunnel(real, frame);
  if (packet === undefined) {
    world.violations.push(`real ${real.index} got a packet through no tunnel of its own`);
    return;
  }
  const whole = real.pieces.add(packet);
  if (whole !== undefined) answerSegment(world, real, readSegment(whole), wires);
}

/** A packet as it was before it went through the real's tunnel, if it has one. */
export function withoutTunnel(real: SimulatedReal, frame: Uint8Array): Uint8Array | undefined {
  if (real.method !== 'gue') return frame;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const isOurs =
    ipv4.check(view, 14, frame.length) === 0 &&
    ipv4.protocol(view, 14) === ipv4.PROTOCOL_UDP &&
    formatIpv4(ipv4.destination(view, 14)) === real.address &&
    view.getUint16(14 + 22) === GUE_PORT;
  return isOurs
    ? Uint8Array.of(...frame.subarray(0, 14), ...frame.subarray(14 + GUE_BYTES))
    : undefined;
}

function answerArp(real: SimulatedReal, frame: DataView, wires: RealWires): void {
  const isForUs = formatIpv4(arp.targetAddress(frame, 14)) === real.address;
  if (isForUs) wires.toDirector(tellMac(real), real.arm);
}

/** Where a real is: an answer, which may come unasked. */
export function tellMac(real: SimulatedReal): Uint8Array {
  const arm = real.arm === INSIDE ? INSIDE_ARM : OUTSIDE_ARM;
  return arpFrame({
    ...{ sourceMac: real.mac, destinationMac: arm.mac, operation: arp.REPLY },
    ...{ senderAddress: real.address, targetAddress: arm.address },
  });
}

function answerSegment(
  world: World,
  real: SimulatedReal,
  segment: Segment | undefined,
  wires: RealWires,
): void {
  if (segment === undefined) {
    world.violations.push(`real ${real.index} got a packet with wrong sums`);
  } else if (segment.destination !== real.listensOn || segment.destinationPort !== real.port) {
    const { destination, destinationPort } = segment;
    world.violations.push(`real ${real.index} got a packet to ${destination}:${destinationPort}`);
  } else if (segment.protocol === 6) {
    answerTcp(world, real, segment, wires);
  } else {
    send(world, real, segment, 0, wires);
  }
}

function answerTcp(world: World, real: SimulatedReal, segment: Segment, wires: RealWires): void {
  const key = `${segment.source}:${segment.sourcePort}`;
  const { flags } = segment;
  if (flags & tcp.RST) {
    real.open.delete(key);
  } else if (flags & tcp.SYN) {
    real.open.add(key);
    send(world, real, segment, tcp.SYN | tcp.ACK, wires);
  } else if (!real.open.has(key)) {
    send(world, real, segment, tcp.RST, wires);
  } else if (flags & tcp.FIN) {
    send(world, real, segment, tcp.FIN | tcp.ACK, wires);
  } else if (segment.payload.length > 0) {
    send(world, real, segment, tcp.ACK | tcp.PSH, wires);
  }
}

/** Answers a segment; a request gets its own words back, with the number of the real. */
function send(
  world: World,
  real: SimulatedReal,
  segment: Segment,
  flags: number,
  wires: RealWires,
): void {
  const message = decodeMessage(segment.payload);
  const isNat = real.method === 'nat' || real.method === 'fullnat';
  const answer = buildSegment({
    ...{ protocol: segment.protocol, flags, sourceMac: real.mac },
    destinationMac: isNat ? INSIDE_ARM.mac : ROUTER.mac,
    ...{ source: segment.destination, sourcePort: segment.destinationPort },
    ...{ destination: segment.source, destinationPort: segment.sourcePort },
    payload: message ? encodeMessage({ ...message, real: real.index }) : new Uint8Array(0),
  });
  for (const piece of inPieces(answer, world.cutAs(segment.protocol))) {
    if (isNat) wires.toDirector(piece, INSIDE);
    else wires.toClient(piece);
  }
}

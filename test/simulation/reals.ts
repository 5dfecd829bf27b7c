// The reals of a simulation: each answers ARP or NDP, keeps its connections, echoes every request
// with its own number, and resets what it does not know. Now and then one dies, or changes its MAC
// address.
import { arpFrame } from '../../lab/frame.ts';
import { comesBack, type MethodName } from '../../src/director/table.ts';
import { formatIpv4, formatIpv6, type Ipv6, parseMac } from '../../src/wire/address.ts';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as sctp from '../../src/wire/sctp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { GUE_PORT } from '../../src/wire/tunnel.ts';
import { INSIDE, INSIDE_ARM, OUTSIDE_ARM, ROUTER } from '../packets/scene.ts';
import { advertisement } from '../packets/scene6.ts';
import { tellOfRequest, tellOfTunnel } from './errors.ts';
import {
  addressOf,
  armOf,
  GROUPS,
  type Group,
  hasVip,
  methodOf,
  portOf,
  SLOTS,
} from './network.ts';
import {
  addressAt,
  buildSegment,
  createReassembly,
  decodeMessage,
  type ErrorSeen,
  encodeMessage,
  inPieces,
  isIpv6,
  isPiece,
  macNumber,
  type Reassembly,
  readError,
  readSegment,
  type Segment,
  viewOf,
} from './segments.ts';
import { findBadSum } from './sums.ts';
import type { World } from './world.ts';

/** Headers of UDP and GUE behind the outer one of IP. */
const GUE_BYTES = 12;
const BROADCAST = 0xffff_ffff_ffff;
/** The beginning of the MAC address of a group. */
const IPV6_GROUP = 0x3333;
const SOLICITATION = 135;

export interface SimulatedReal {
  readonly index: number;
  readonly group: Group;
  readonly slot: number;
  readonly method: MethodName;
  readonly arm: number;
  readonly address: string;
  mac: string;
  /** The same as one number. */
  station: number;
  alive: boolean;
  /** Connections by protocol, client's address and port. */
  readonly open: Set<string>;
  /** Whom it has heard from: likewise, with the address that was asked. */
  readonly heard: Set<string>;
  readonly pieces: Reassembly;
}

export interface RealWires {
  /** To the director, on the real's arm. */
  toDirector(frame: Uint8Array, arm: number): void;
  /** To the client, past the director. */
  toClient(frame: Uint8Array): void;
  /** Which real has the connection that a message is of, as far as that must not change; or -1. */
  keeperOf(connection: number): number;
  /** An error came to the real whose packet it speaks of. */
  noteError(): void;
}

export const makeReals = (): SimulatedReal[] =>
  GROUPS.flatMap((group) =>
    Array.from({ length: SLOTS }, (_, slot): SimulatedReal => {
      const index = group.number * SLOTS + slot;
      const method = methodOf(group, slot);
      const mac = `02:00:00:00:1d:${(0x10 + index).toString(16)}`;
      return {
        ...{ index, group, slot, method, arm: armOf(method), address: addressOf(group, slot) },
        ...{ mac, station: macNumber(parseMac(mac)!) },
        ...{ alive: true, open: new Set<string>(), heard: new Set<string>() },
        pieces: createReassembly(),
      };
    }),
  );

/** A frame reaches a real. */
export function arriveAtReal(
  world: World,
  real: SimulatedReal,
  frame: Uint8Array,
  wires: RealWires,
): void {
  if (!real.alive) return;
  const view = viewOf(frame);
  if (ethernet.type(view, 0) === ethernet.TYPE_ARP) {
    const isForUs = formatIpv4(arp.targetAddress(view, 14)) === real.address;
    if (isForUs) wires.toDirector(tellMac(real), real.arm);
  } else if (isNeighbourMessage(view)) {
    const isForUs = view.getUint8(54) === SOLICITATION && targetOf(view) === real.address;
    if (isForUs) wires.toDirector(tellMac(real), real.arm);
  } else {
    arrivePacket(world, real, frame, wires);
  }
}

const isNeighbourMessage = (frame: DataView): boolean =>
  ethernet.type(frame, 0) === ethernet.TYPE_IPV6 &&
  frame.getUint8(20) === 58 &&
  frame.getUint8(54) >= SOLICITATION;

const targetOf = (frame: DataView): string =>
  formatIpv6([62, 66, 70, 74].map((at) => frame.getInt32(at)) as unknown as Ipv6);

/** Whether a frame to this station is for all, or for some of them. */
export const isForMany = (to: number): boolean =>
  to === BROADCAST || Math.floor(to / 2 ** 32) === IPV6_GROUP;

export function setMac(real: SimulatedReal, mac: string): void {
  real.mac = mac;
  real.station = macNumber(parseMac(mac)!);
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
  const ahead = frame.length - packet.length;
  if (ahead > 0 && packet.length > 114 && world.random.chance(0.02)) {
    wires.toDirector(tellOfTunnel(frame, ahead, real.mac), real.arm);
  }
  const whole = real.pieces.add(packet);
  if (whole === undefined) return;
  const error = readError(whole);
  if (error !== undefined) {
    hearError(world, real, error, wires);
    return;
  }
  const bad = findBadSum(whole);
  if (bad !== undefined) world.violations.push(`real ${real.index} got a packet with ${bad} wrong`);
  const segment = readSegment(whole);
  const isData = decodeMessage(segment.payload) !== undefined && !isPiece(whole);
  if (comesBack(real.method) && isData && world.random.chance(0.02)) {
    wires.toDirector(tellOfRequest(world.random, segment, whole, real.mac), real.arm);
  }
  answerSegment(world, real, segment, wires);
}

/** A packet as it was before it went through the real's tunnel, if it has one. */
export function withoutTunnel(real: SimulatedReal, frame: Uint8Array): Uint8Array | undefined {
  const { method, group, address } = real;
  if (method !== 'gue' && method !== 'ipip') return frame;
  const [view, isGue] = [viewOf(frame), method === 'gue'];
  const outer6 = isIpv6(frame);
  const header = outer6 ? 40 : 20;
  const protocol = view.getUint8(14 + (outer6 ? 6 : 9));
  const carried = group.family === 6 ? 41 : 4;
  const isOurs =
    addressAt(view, 14 + header - (outer6 ? 16 : 4), outer6 ? 6 : 4) === address &&
    protocol === (isGue ? 17 : carried) &&
    (!isGue || view.getUint16(14 + header + 2) === GUE_PORT) &&
    (!isGue || view.getUint16(14 + header + 8) === carried);
  if (!isOurs) return undefined;
  const inner = frame.slice(header + (isGue ? GUE_BYTES : 0));
  inner.set(frame.subarray(0, 12));
  viewOf(inner).setUint16(12, group.family === 6 ? ethernet.TYPE_IPV6 : ethernet.TYPE_IPV4);
  return inner;
}

/** Where a real is: an answer, which may come unasked. */
export function tellMac(real: SimulatedReal): Uint8Array {
  if (real.group.outer === 6) return advertisement(real);
  const arm = real.arm === INSIDE ? INSIDE_ARM : OUTSIDE_ARM;
  return arpFrame({
    ...{ sourceMac: real.mac, destinationMac: arm.mac, operation: arp.REPLY },
    ...{ senderAddress: real.address, targetAddress: arm.address },
  });
}

/** Whether this is an address of the real: its own by NAT, else one that its services have. */
function listensOn({ method, address, group }: SimulatedReal, destination: string): boolean {
  return comesBack(method) ? destination === address : hasVip(group, destination);
}

const peerKey = (protocol: number, peer: string, port: number, own: string) =>
  `${protocol} ${peer} ${port} ${own}`;

/** Whether a real knows the connection of a segment that is sent to it. UDP has none to know. */
export const isOpenAt = ({ open }: SimulatedReal, segment: Segment): boolean =>
  segment.protocol === 17 ||
  open.has(peerKey(segment.protocol, segment.source, segment.sourcePort, segment.destination));

/**
 * "An error about a reply reaches the real that sent it, and speaks of the packet as that real sent
 * it." The flow may have gone elsewhere since, but not if it is one that must stay.
 */
function hearError(
  world: World,
  real: SimulatedReal,
  { destination, quoted }: ErrorSeen,
  wires: RealWires,
): void {
  const { protocol, source, sourcePort, destinationPort, payload } = quoted;
  const key = peerKey(protocol, quoted.destination, destinationPort, source);
  const isOurs = destination === source && listensOn(real, source);
  if (!isOurs || sourcePort !== portOf(real.method, protocol)) {
    const text = `of a packet from ${source} ${sourcePort}, to ${destination}`;
    world.violations.push(`real ${real.index} got an error ${text}`);
    return;
  }
  wires.noteError();
  const message = decodeMessage(payload);
  const isKept = message !== undefined && wires.keeperOf(message.connection) === message.real;
  if (isKept && (message.real !== real.index || !real.heard.has(key))) {
    world.violations.push(`real ${real.index} got an error about a reply of real ${message.real}`);
  }
}

/** "A real gets packets to where it listens, and NAT alone takes one from their TTL." */
function answerSegment(
  world: World,
  real: SimulatedReal,
  segment: Segment,
  wires: RealWires,
): void {
  const { destination, destinationPort, protocol, source, sourcePort, timeToLive = 0 } = segment;
  const isRst = protocol === 6 && (segment.flags & tcp.RST) !== 0;
  const sent = comesBack(real.method) ? [63] : [64, 1];
  if (!listensOn(real, destination) || destinationPort !== portOf(real.method, protocol)) {
    world.violations.push(`real ${real.index} got a packet to ${destination} ${destinationPort}`);
  } else if (!isRst && !sent.includes(timeToLive)) {
    world.violations.push(`real ${real.index} got a packet with a TTL of ${timeToLive}`);
  }
  const key = peerKey(protocol, source, sourcePort, destination);
  real.heard.add(key);
  if (protocol === 6) answerTcp(world, real, segment, key, wires);
  else if (protocol === 132) answerSctp(world, real, segment, key, wires);
  else send(world, real, segment, 0, wires);
}

function answerTcp(
  world: World,
  real: SimulatedReal,
  segment: Segment,
  key: string,
  wires: RealWires,
): void {
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

function answerSctp(
  world: World,
  real: SimulatedReal,
  segment: Segment,
  key: string,
  wires: RealWires,
): void {
  const { flags } = segment;
  if (flags === sctp.INIT) {
    send(world, real, segment, sctp.INIT_ACK, wires);
  } else if (flags === sctp.COOKIE_ECHO) {
    real.open.add(key);
    send(world, real, segment, sctp.COOKIE_ACK, wires);
  } else if (flags === sctp.SHUTDOWN) {
    send(world, real, segment, sctp.SHUTDOWN_ACK, wires);
  } else if (flags === sctp.DATA) {
    send(world, real, segment, real.open.has(key) ? sctp.DATA : sctp.ABORT, wires);
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
  const isNat = comesBack(real.method);
  const answer = buildSegment({
    ...{ protocol: segment.protocol, flags, sourceMac: real.mac, sequence: 1 },
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

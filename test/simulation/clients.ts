// The clients of a simulation: each connection opens, asks some questions one after the other,
// repeats what is not answered, and closes. Once it is established it does not forgive a reset,
// unless its real has died or left the table meanwhile.
import { parseIpv4, parseIpv6 } from '../../src/wire/address.ts';
import * as sctp from '../../src/wire/sctp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { OTHER_ROUTER, OUTSIDE_ARM, ROUTER } from '../packets/scene.ts';
import { isRelayed, tellOfReply } from './errors.ts';
import { CLIENTS, clientAddress, type Service } from './network.ts';
import {
  buildSegment,
  createReassembly,
  decodeMessage,
  encodeMessage,
  inPieces,
  isPiece,
  type Message,
  type Protocol,
  readError,
  readSegment,
  type Segment,
  sourceOf,
} from './segments.ts';
import { findBadSum } from './sums.ts';
import type { World } from './world.ts';

/** Where SYNs come from that nobody follows up. */
export const FLOOD_SUBNETS = { 4: '203.0.113.', 6: '2001:db8:f::' };

const RETRY_MS = 400;
const TRIES = 12;
/** A connection that is over leaves its port to another one after this time. */
const REUSE_AFTER_MS = 1000;

/** `greeting` is the second of the three questions by which SCTP opens. */
export type Phase = 'opening' | 'greeting' | 'open' | 'closing' | 'done' | 'broken' | 'given up';

/** How each protocol says a thing: by TCP's flags, or a type of chunk. */
const WORDS = {
  6: { hello: tcp.SYN, greeting: 0, data: tcp.ACK | tcp.PSH, bye: tcp.FIN | tcp.ACK },
  17: { hello: 0, greeting: 0, data: 0, bye: 0 },
  132: { hello: sctp.INIT, greeting: sctp.COOKIE_ECHO, data: sctp.DATA, bye: sctp.SHUTDOWN },
} as const;

export interface Connection {
  readonly number: number;
  readonly service: Service;
  readonly protocol: Protocol;
  readonly vip: string;
  readonly address: string;
  readonly sourcePort: number;
  /** The two addresses as they lie in a packet. */
  readonly ends: DataView;
  readonly questions: number;
  phase: Phase;
  /** Questions answered. */
  answered: number;
  tries: number;
  /** The real that answered last, or -1. */
  servedBy: number;
  /** The real that its flow was established with, as the director has it; -1 if it is not. */
  keptBy: number;
  /** True once that real has left the table: from then on it may change, or break. */
  excused: boolean;
  /** When it was over. */
  overMs: number;
}

export interface Clients {
  readonly connections: readonly Connection[];
  /** Those that are not over. */
  readonly living: Set<Connection>;
  /** Errors that came, each about a packet of the client's own. */
  errors: number;
  open(): Connection;
  /** Whose request this is, whatever became of its addresses on the way. */
  whose(segment: Segment): Connection | undefined;
  /** A frame reaches the clients' network. */
  arrive(frame: Uint8Array): void;
}

const keyOf = (protocol: number, address: string, port: number) => `${protocol} ${address} ${port}`;

export function createClients(
  world: World,
  services: readonly Service[],
  toDirector: (frame: Uint8Array) => void,
): Clients {
  const { random, violations } = world;
  const connections: Connection[] = [];
  const byKey = new Map<string, Connection>();
  const living = new Set<Connection>();
  const asked = new Set<string>();
  const pieces = createReassembly();
  const clients: Clients = { connections, living, errors: 0, open, whose, arrive };

  function open(): Connection {
    const number = connections.length;
    const service = random.pick(services);
    const { family, vip: alone, prefix } = service.group;
    const vip = prefix === '' || random.chance(0.3) ? alone : `${prefix}:${random.between(1, 9)}`;
    const { protocol } = service;
    const address = clientAddress(family, random.between(1, CLIENTS));
    const connection: Connection = {
      ...{ number, service, protocol, vip, address, ends: endsOf(address, vip) },
      sourcePort: portFor(service, vip, address, 1024 + number),
      questions: random.between(1, 12),
      ...{ phase: 'opening', answered: 0, tries: 0, servedBy: -1, keptBy: -1, excused: false },
      overMs: 0,
    };
    connections.push(connection);
    living.add(connection);
    asked.add(vip);
    byKey.set(keyOf(protocol, address, connection.sourcePort), connection);
    if (protocol === 17) connection.phase = 'open';
    say(connection);
    return connection;
  }

  /** A port of its own, or that of an earlier one that is over: it opens in the place of a flow. */
  function portFor(service: Service, vip: string, address: string, own: number): number {
    if (!random.chance(0.2)) return own;
    for (let look = 0; look < 20; look++) {
      const other = connections[random.between(0, connections.length - 1)];
      if (other === undefined || other.service !== service) continue;
      const isOver = other.phase === 'done' && other.overMs + REUSE_AFTER_MS < world.nowMs;
      const isSame = other.vip === vip && other.address === address;
      const key = keyOf(other.protocol, address, other.sourcePort);
      if (isOver && isSame && byKey.get(key) === other) return other.sourcePort;
    }
    return own;
  }

  /** Says what is to be said in this phase, and says it again if nothing comes of it. */
  function say(connection: Connection): void {
    const { phase, answered, tries, protocol } = connection;
    const words = WORDS[protocol];
    if (phase === 'opening') send(connection, words.hello);
    else if (phase === 'greeting') send(connection, words.greeting);
    else if (phase === 'open') send(connection, words.data, answered + 1);
    else if (phase === 'closing') send(connection, words.bye);
    world.after(RETRY_MS, () => {
      const isStill =
        connection.phase === phase &&
        connection.answered === answered &&
        connection.tries === tries;
      if (!isStill || !living.has(connection)) return;
      connection.tries += 1;
      if (connection.tries > TRIES) end(connection, 'given up');
      else say(connection);
    });
  }

  function end(connection: Connection, phase: Phase): void {
    connection.phase = phase;
    connection.overMs = world.nowMs;
    living.delete(connection);
  }

  function send(connection: Connection, flags: number, request = 0): void {
    const { number, protocol, address, sourcePort, vip } = connection;
    // The client's way to the director goes over either of two routers.
    const sourceMac = random.chance(0.8) ? ROUTER.mac : OTHER_ROUTER.mac;
    const frame = buildSegment({
      ...{ protocol, flags, sourceMac, destinationMac: OUTSIDE_ARM.mac, sequence: number + 1 },
      ...{ source: address, sourcePort, destination: vip, destinationPort: 80 },
      // Now and then one has come too far to go through a router that takes one from its TTL.
      timeToLive: random.chance(0.01) ? 1 : 64,
      payload: request
        ? encodeMessage({ connection: number, request, real: -1 })
        : new Uint8Array(0),
    });
    for (const piece of inPieces(frame, world.cutAs(protocol))) toDirector(piece);
  }

  function whose({ protocol, sequence = 0, payload }: Segment): Connection | undefined {
    if (protocol !== 17) return connections[sequence - 1];
    const message = decodeMessage(payload);
    return message && connections[message.connection];
  }

  /** "Each piece of an answer, not only its first one, comes from an address that was asked." */
  function arrive(frame: Uint8Array): void {
    if (isPiece(frame) && !asked.has(sourceOf(frame))) {
      violations.push(`a client got a piece of a packet from ${sourceOf(frame)}`);
    }
    const whole = pieces.add(frame);
    if (whole === undefined) return;
    const bad = findBadSum(whole);
    if (bad !== undefined) violations.push(`a client got a packet with ${bad} wrong`);
    const error = readError(whole);
    const segment = error?.quoted ?? readSegment(whole);
    const { source, sourcePort } = segment;
    const flooded = FLOOD_SUBNETS[source.includes(':') ? 6 : 4];
    if ((error ? source : segment.destination).startsWith(flooded)) return;
    if (error !== undefined) {
      // "An error to a client speaks of a packet that it sent, and what is relayed is the VIP's."
      const sender = byKey.get(keyOf(segment.protocol, source, sourcePort));
      const isOurs = error.destination === source && sender?.vip === segment.destination;
      const isFromVip = !isRelayed(error) || error.source === sender?.vip;
      if (!isOurs || segment.destinationPort !== 80 || !isFromVip) {
        violations.push(`a client got an error of ${error.source} about none of its packets`);
      }
      clients.errors += 1;
      return;
    }
    hear(segment, whole);
  }

  /** "A reply comes from the address and port that its client has asked." */
  function hear(segment: Segment, whole: Uint8Array): void {
    const { protocol, destination, destinationPort, timeToLive } = segment;
    const connection = byKey.get(keyOf(protocol, destination, destinationPort));
    const isOurs = connection?.vip === segment.source && segment.sourcePort === 80;
    if (connection === undefined || !isOurs) {
      violations.push(`a client got a packet from ${segment.source} ${segment.sourcePort}`);
      return;
    }
    if (timeToLive !== 64 && timeToLive !== 63) {
      violations.push(`a client got a packet with a TTL of ${timeToLive}`);
    }
    if (random.chance(0.02) && !isPiece(whole)) toDirector(tellOfReply(random, segment, whole));
    if (protocol === 132) hearSctp(connection, segment);
    else hearOther(connection, segment);
  }

  function hearOther(connection: Connection, { protocol, flags, payload }: Segment): void {
    const message = decodeMessage(payload);
    if (protocol === 6 && flags & tcp.RST) reset(connection);
    else if (protocol === 6 && flags & tcp.SYN) opened(connection);
    else if (protocol === 6 && flags & tcp.FIN) closed(connection, tcp.ACK);
    else if (message !== undefined) answer(connection, message);
  }

  function hearSctp(connection: Connection, { flags, payload }: Segment): void {
    const message = decodeMessage(payload);
    if (flags === sctp.ABORT) reset(connection);
    else if (flags === sctp.INIT_ACK && connection.phase === 'opening') {
      connection.phase = 'greeting';
      connection.tries = 0;
      say(connection);
    } else if (flags === sctp.COOKIE_ACK) opened(connection);
    else if (flags === sctp.SHUTDOWN_ACK) closed(connection, sctp.SHUTDOWN_COMPLETE);
    else if (flags === sctp.DATA && message !== undefined) answer(connection, message);
  }

  /** "An established connection to a living real is not reset." */
  function reset(connection: Connection): void {
    const { number, phase, servedBy, keptBy, excused } = connection;
    if (!living.has(connection)) return;
    // One that closes is no longer established: its flow may be given up, or opened anew.
    if (phase === 'open' && keptBy >= 0 && keptBy === servedBy && !excused) {
      violations.push(`connection ${number} to real ${keptBy} was reset`);
    }
    end(connection, 'broken');
  }

  function opened(connection: Connection): void {
    if (connection.phase !== (connection.protocol === 6 ? 'opening' : 'greeting')) return;
    connection.phase = 'open';
    connection.tries = 0;
    if (connection.protocol === 6) send(connection, tcp.ACK);
    say(connection);
  }

  function closed(connection: Connection, last: number): void {
    if (connection.phase !== 'closing') return;
    end(connection, 'done');
    send(connection, last);
  }

  function answer(connection: Connection, { connection: number, request, real }: Message): void {
    if (number !== connection.number) return;
    connection.servedBy = real;
    if (connection.phase !== 'open' || request !== connection.answered + 1) return;
    connection.answered += 1;
    connection.tries = 0;
    if (connection.answered < connection.questions) {
      world.after(random.between(1, 1500), () => living.has(connection) && say(connection));
    } else if (connection.protocol === 17) {
      end(connection, 'done');
    } else {
      connection.phase = 'closing';
      say(connection);
    }
  }

  return clients;
}

function endsOf(client: string, vip: string): DataView {
  const view = new DataView(new ArrayBuffer(32));
  for (const [place, text] of [client, vip].entries()) {
    const words = text.includes(':') ? parseIpv6(text)! : [parseIpv4(text)!];
    for (const [index, word] of words.entries()) view.setInt32(place * 16 + index * 4, word);
  }
  return view;
}

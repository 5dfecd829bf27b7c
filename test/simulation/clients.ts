// The clients of a simulation: each connection opens, asks some questions one after the other,
// repeats what is not answered, and closes. Once it is established it does not forgive a reset,
// unless its real has died or left the table meanwhile.
import * as tcp from '../../src/wire/tcp.ts';
import { DSR_VIP, NAT_VIP, OTHER_ROUTER, OUTSIDE_ARM, ROUTER } from '../packets/scene.ts';
import { METHODS } from './reals.ts';
import {
  buildSegment,
  createReassembly,
  decodeMessage,
  encodeMessage,
  inPieces,
  type Message,
  readSegment,
  type Segment,
} from './segments.ts';
import type { World } from './world.ts';

/** Where SYNs come from that nobody follows up. */
export const FLOOD_SUBNET = '203.0.113.';

/** Where services of each method are, on port 80. */
export const VIPS = { dsr: DSR_VIP, nat: NAT_VIP, fullnat: '192.0.2.83', gue: '192.0.2.85' };

const RETRY_MS = 400;
const TRIES = 12;

export type Phase = 'opening' | 'open' | 'closing' | 'done' | 'broken' | 'given up';

export interface Connection {
  readonly number: number;
  readonly protocol: 6 | 17;
  readonly vip: string;
  readonly port: number;
  readonly address: string;
  readonly sourcePort: number;
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
}

export interface Clients {
  readonly connections: readonly Connection[];
  open(): Connection;
  /** Whose request this is, whatever became of its addresses on the way. */
  whose(segment: Segment): Connection | undefined;
  /** A frame reaches the clients' network. */
  arrive(frame: Uint8Array): void;
}

const keyOf = (address: string, port: number) => `${address}:${port}`;

export function createClients(world: World, toDirector: (frame: Uint8Array) => void): Clients {
  const { random } = world;
  const connections: Connection[] = [];
  const byKey = new Map<string, Connection>();
  const pieces = createReassembly();

  function open(): Connection {
    const number = connections.length;
    const connection: Connection = {
      ...{ number, protocol: random.chance(0.7) ? 6 : 17 },
      ...{ vip: VIPS[random.pick(METHODS)], port: 80 },
      address: `198.51.100.${random.between(1, 9)}`,
      sourcePort: 1024 + number,
      questions: random.between(1, 12),
      ...{ phase: 'opening', answered: 0, tries: 0, servedBy: -1, keptBy: -1, excused: false },
    };
    connections.push(connection);
    byKey.set(keyOf(connection.address, connection.sourcePort), connection);
    if (connection.protocol === 17) connection.phase = 'open';
    say(connection);
    return connection;
  }

  /** Says what is to be said in this phase, and says it again if nothing comes of it. */
  function say(connection: Connection): void {
    const { phase, answered, tries } = connection;
    if (phase === 'opening') send(connection, tcp.SYN);
    else if (phase === 'open') send(connection, tcp.ACK | tcp.PSH, answered + 1);
    else if (phase === 'closing') send(connection, tcp.FIN | tcp.ACK);
    world.after(RETRY_MS, () => {
      const isStill =
        connection.phase === phase &&
        connection.answered === answered &&
        connection.tries === tries;
      if (!isStill || phase === 'done' || phase === 'broken') return;
      connection.tries += 1;
      if (connection.tries > TRIES) connection.phase = 'given up';
      else say(connection);
    });
  }

  function send(connection: Connection, flags: number, request = 0): void {
    const { number, protocol, address, sourcePort, vip, port } = connection;
    // The client's way to the director goes over either of two routers.
    const sourceMac = random.chance(0.8) ? ROUTER.mac : OTHER_ROUTER.mac;
    const frame = buildSegment({
      ...{ protocol, flags, sourceMac, destinationMac: OUTSIDE_ARM.mac, sequence: number + 1 },
      ...{ source: address, sourcePort, destination: vip, destinationPort: port },
      payload: request
        ? encodeMessage({ connection: number, request, real: -1 })
        : new Uint8Array(0),
    });
    for (const piece of inPieces(frame, world.cutAs(protocol))) toDirector(piece);
  }

  function whose({ protocol, sequence = 0, payload }: Segment): Connection | undefined {
    if (protocol === 6) return connections[sequence - 1];
    const message = decodeMessage(payload);
    return message && connections[message.connection];
  }

  function arrive(frame: Uint8Array): void {
    const whole = pieces.add(frame);
    if (whole === undefined) return;
    const segment = readSegment(whole);
    if (segment === undefined) {
      world.violations.push('a client got a packet with wrong sums');
      return;
    }
    if (segment.destination.startsWith(FLOOD_SUBNET)) return;
    const connection = byKey.get(keyOf(segment.destination, segment.destinationPort));
    const isOurs = connection?.vip === segment.source && connection.port === segment.sourcePort;
    if (connection === undefined || !isOurs) {
      world.violations.push(`a client got a packet from ${segment.source}:${segment.sourcePort}`);
      return;
    }
    hear(connection, segment);
  }

  function hear(connection: Connection, { protocol, flags, payload }: Segment): void {
    const message = decodeMessage(payload);
    if (protocol === 6 && flags & tcp.RST) reset(connection);
    else if (protocol === 6 && flags & tcp.SYN) opened(connection);
    else if (protocol === 6 && flags & tcp.FIN) closed(connection);
    else if (message !== undefined) answer(connection, message);
  }

  function reset(connection: Connection): void {
    const { number, phase, servedBy, keptBy, excused } = connection;
    if (phase === 'done' || phase === 'broken') return;
    // One that closes is no longer established: its flow may be given up, or opened anew.
    if (phase === 'open' && keptBy >= 0 && keptBy === servedBy && !excused) {
      world.violations.push(`connection ${number} to real ${keptBy} was reset`);
    }
    connection.phase = 'broken';
  }

  function opened(connection: Connection): void {
    if (connection.phase !== 'opening') return;
    connection.phase = 'open';
    connection.tries = 0;
    send(connection, tcp.ACK);
    say(connection);
  }

  function closed(connection: Connection): void {
    if (connection.phase !== 'closing') return;
    connection.phase = 'done';
    send(connection, tcp.ACK);
  }

  function answer(connection: Connection, { request, real }: Message): void {
    connection.servedBy = real;
    if (connection.phase !== 'open' || request !== connection.answered + 1) return;
    connection.answered += 1;
    connection.tries = 0;
    if (connection.answered < connection.questions) {
      world.after(random.between(1, 1500), () => say(connection));
    } else {
      connection.phase = connection.protocol === 6 ? 'closing' : 'done';
      say(connection);
    }
  }

  return { connections, open, whose, arrive };
}

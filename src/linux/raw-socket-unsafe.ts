// Raw sockets (raw(7)) of both families by the native package `raw-socket` 1.8.1, kept from what
// makes it fail:
//  - a socket that nobody refers to is collected and closed in silence: all are held here;
//  - all packets of a socket come in one buffer: each is copied before it is given away;
//  - it queues what cannot be sent at once without a bound: there is one here;
//  - it uses the main thread's event loop, so it is not for worker threads.
import { createRequire } from 'node:module';
import type { Socket } from 'raw-socket';

const LONGEST_PACKET = 65_535;
/** Packets that wait to be sent; more are refused. */
const MOST_WAITING = 1024;
/** IPPROTO_RAW: nothing is received, and what is sent has its own header (raw(7), ipv6(7)). */
const PROTOCOL_RAW = 255;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
/** The kernel cuts this to net.core.rmem_max. */
const RECEIVE_BYTES = 8 * 1024 * 1024;

/** What must outlive every garbage collection. */
const held = new Set<Socket>();

export interface RawSender {
  /**
   * Gives a whole IP packet to the kernel, which routes it: back to this host, if it is to one of
   * its own addresses. `done` is told of a failure, also if too many wait already.
   */
  send(packet: Buffer, address: string, done: (error: Error | null) => void): void;
  close(): void;
}

export type Family = 4 | 6;

/**
 * Calls back for every packet of a protocol to this host, with its IPv4 header, or without that of
 * IPv6.
 */
export function receiveRaw(
  protocol: number,
  family: Family,
  onPacket: (packet: Buffer) => void,
): () => void {
  const socket = open(protocol, family);
  socket.on('message', (packet) => onPacket(Buffer.from(packet)));
  return () => close(socket);
}

/** Opens a socket for packets with a header of their own. @throws Error without CAP_NET_RAW */
export function openRawSender(family: Family): RawSender {
  const socket = open(PROTOCOL_RAW, family);
  let waiting = 0;
  return {
    send(packet, address, done) {
      if (waiting >= MOST_WAITING) return done(new Error('too many packets wait'));
      waiting++;
      socket.send(packet, 0, packet.length, address, (error) => {
        waiting--;
        done(error);
      });
    },
    close: () => close(socket),
  };
}

function open(protocol: number, family: Family): Socket {
  const { createSocket, AddressFamily } = createRequire(import.meta.url)(
    'raw-socket',
  ) as typeof import('raw-socket');
  const addressFamily = family === 6 ? AddressFamily.IPv6 : AddressFamily.IPv4;
  const socket = createSocket({ protocol, addressFamily, bufferSize: LONGEST_PACKET });
  socket.setOption(SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
  // An error is that of one packet; whoever sent it is told by `done`.
  socket.on('error', () => {});
  held.add(socket);
  return socket;
}

function close(socket: Socket): void {
  if (held.delete(socket)) socket.close();
}

/** Why the package cannot be loaded, or undefined if it can. */
export function rawSocketProblem(): string | undefined {
  try {
    createRequire(import.meta.url)('raw-socket');
    return undefined;
  } catch (error) {
    const why = (error as Error).message.split('\n')[0];
    return (
      `the optional package raw-socket cannot be loaded (${why}): ` +
      'apt-get install python3 make g++ && npm install raw-socket@1.8.1'
    );
  }
}

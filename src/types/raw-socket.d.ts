// Types of the native package `raw-socket` 1.8.1, which brings none. Only what this project calls;
// how the package behaves is told in src/linux/raw-socket-unsafe.ts.
declare module 'raw-socket' {
  import type { EventEmitter } from 'node:events';

  export interface SocketOptions {
    /** IP protocol number. */
    readonly protocol: number;
    /** One of AddressFamily; IPv4 unless given. */
    readonly addressFamily?: number;
    /** Most bytes of one packet; more are cut off. */
    readonly bufferSize?: number;
  }

  export const AddressFamily: { readonly IPv4: number; readonly IPv6: number };

  export interface Socket extends EventEmitter {
    /** A packet, in memory that the next one overwrites, and its source address as text. */
    on(event: 'message', listener: (packet: Buffer, source: string) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    setOption(level: number, option: number, value: number): void;
    /** Queues a packet, which must stay as it is until `sent` is called. */
    send(
      packet: Buffer,
      offset: number,
      length: number,
      address: string,
      sent: (error: Error | null, bytes: number) => void,
    ): this;
    close(): this;
  }

  /** @throws Error if the process may not (CAP_NET_RAW) */
  export function createSocket(options: SocketOptions): Socket;
}

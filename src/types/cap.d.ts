// Types of the native package `cap` 0.2.1, which brings none. Only what this project calls; how the
// package behaves, and how it crashes, is told in src/datapath/cap-handle-unsafe.ts.
declare module 'cap' {
  import type { EventEmitter } from 'node:events';

  export interface Address {
    readonly addr?: string;
    readonly netmask?: string;
    readonly broadaddr?: string;
    readonly dstaddr?: string;
  }

  export interface Device {
    readonly name: string;
    readonly description?: string;
    readonly addresses: readonly Address[];
    readonly flags?: string;
  }

  export class Cap extends EventEmitter {
    /** Name of the first device that has an address, or this address. */
    static findDevice(address?: string): string | undefined;
    static deviceList(): Device[];
    /**
     * Begins to capture. Every frame is copied to the start of `buffer`, whose address is kept as
     * a raw pointer, and announced by 'packet' with (bytes copied, buffer was too short).
     * @returns the link type, such as 'ETHERNET'
     * @throws Error with libpcap's text
     */
    open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
    /** Sends the first `length` bytes as one frame, at once. @throws Error with libpcap's text */
    send(buffer: Buffer, length?: number): void;
    close(): boolean;
    on(event: 'packet', listener: (length: number, truncated: boolean) => void): this;
  }
}

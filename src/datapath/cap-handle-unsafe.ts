// One capture of the native package `cap` 0.2.1, kept from all that makes it crash its process:
//  - it keeps a raw pointer to the buffer, and libuv's poll handle lies in the object: both are
//    held here for ever, also after `stop` (64 KiB each), and no object is opened a second time;
//  - `send` before `open` or after `close` is a segmentation fault: a flag guards it;
//  - it uses the main thread's event loop: in a worker thread it aborts, so it is not loaded there.
// One crash remains: when the interface goes down or is removed, the process aborts
// (mscdex/cap#82). So this belongs in a child process, and the parent must expect that child to
// die.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import type { Cap } from 'cap';
import { int32Bytes, type Libc, loadLibc } from '../linux/libc-unsafe.ts';

/** Most that libpcap gives of one frame: the snap length that `cap` asks for. */
export const MAXIMUM_CAPTURED_BYTES = 65_535;
/** What the abort says when the interface went away. */
export const LINK_LOST_TEXT = 'Assertion `status == 0';

const SMALLEST_BUFFER_BYTES = 1 << 16;
const LARGEST_BUFFER_BYTES = 1 << 30;

// include/uapi/linux/if_packet.h
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;

export interface CapHandleOptions {
  readonly interface: string;
  /** As pcap-filter(7) has it; empty for all frames. */
  readonly filter: string;
  /** Bytes of the kernel's ring. With offloads on, each of its slots takes 65,616 of them. */
  readonly bufferBytes: number;
  /**
   * Called for every frame: the first `length` bytes of `frame`, which the next call overwrites.
   */
  readonly onFrame: (frame: Buffer, length: number) => void;
}

export interface CapHandle {
  /** Sends the first `length` bytes at once. @throws Error with libpcap's text, as EMSGSIZE has */
  send(frame: Buffer, length: number): void;
  /**
   * Frames lost since the last time it was asked, for the ring was full; undefined without koffi.
   */
  takeMissedFrames(): number | undefined;
  /**
   * Ends the capture for good; also from within `onFrame`, also when frames never cease to come.
   */
  stop(): void;
}

/** What must outlive every garbage collection. */
const held: { readonly cap: Cap; readonly buffer: Buffer }[] = [];

/**
 * Begins to capture on an interface, promiscuously.
 * @throws Error with a message for the operator
 */
export function openCapHandle(options: CapHandleOptions): CapHandle {
  const { bufferBytes } = options;
  if (!(bufferBytes >= SMALLEST_BUFFER_BYTES && bufferBytes <= LARGEST_BUFFER_BYTES)) {
    const allowed = `${SMALLEST_BUFFER_BYTES} to ${LARGEST_BUFFER_BYTES}`;
    throw new RangeError(`a capture buffer of ${bufferBytes} bytes; allowed: ${allowed}`);
  }
  const CapClass = requireCap();
  const cap = new CapClass();
  const buffer = Buffer.allocUnsafeSlow(MAXIMUM_CAPTURED_BYTES + 1);
  held.push({ cap, buffer });
  const socketsBefore = new Set(packetSockets());
  cap.on('packet', (length) => options.onFrame(buffer, length));
  open(cap, buffer, options);
  const drops = dropCounter(packetSockets().filter((fd) => !socketsBefore.has(fd)));
  return guard(cap, drops);
}

/** A stopped capture has no socket, and its descriptor may be another's by then. */
function guard(cap: Cap, drops: () => number | undefined): CapHandle {
  let isOpen = true;
  return {
    send(frame, length) {
      if (!isOpen) throw new Error('the capture is stopped');
      cap.send(frame, length);
    },
    takeMissedFrames: () => (isOpen ? drops() : undefined),
    stop() {
      if (isOpen) cap.close();
      isOpen = false;
    },
  };
}

function open(cap: Cap, buffer: Buffer, options: CapHandleOptions): void {
  const name = options.interface;
  let linkType: string;
  try {
    linkType = cap.open(name, options.filter, options.bufferBytes, buffer);
  } catch (error) {
    const reason = (error as Error).message || 'libpcap gives no reason; is the interface up?';
    throw new Error(`cannot capture on ${name}: ${reason}`);
  }
  if (linkType !== 'ETHERNET') {
    throw new Error(`${name} has the link type ${linkType}; allowed: an Ethernet interface`);
  }
}

function requireCap(): typeof Cap {
  if (!isMainThread) throw new Error('cap runs on the main thread of a process alone');
  try {
    return (createRequire(import.meta.url)('cap') as typeof import('cap')).Cap;
  } catch (cause) {
    throw new Error(
      'the optional package cap is not installed or not built: ' +
        'apt-get install libpcap-dev python3 make g++ && npm install cap@0.2.1',
      { cause },
    );
  }
}

/** Descriptors of this process that are packet sockets; `cap` does not give out its own. */
function packetSockets(): number[] {
  const inodes = new Set(
    readFileSync('/proc/net/packet', 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/).at(-1)),
  );
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    const inode = /^socket:\[(\d+)\]$/.exec(targetOf(fd))?.[1];
    return inode !== undefined && inodes.has(inode) ? [Number(fd)] : [];
  });
}

function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    // The descriptor of the directory itself is gone by now.
    return '';
  }
}

/** Asks the kernel for the drops of this one new socket, where that can be done. */
function dropCounter(newSockets: readonly number[]): () => number | undefined {
  const [fd] = newSockets;
  const libc = tryLibc();
  if (libc === undefined || fd === undefined || newSockets.length > 1) return () => undefined;
  return () => {
    // struct tpacket_stats: packets and drops; the kernel starts anew each time it is asked.
    const statistics = new Uint8Array(8);
    const status = libc.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, statistics, int32Bytes(8));
    return status === 0 ? new DataView(statistics.buffer).getUint32(4, true) : undefined;
  };
}

function tryLibc(): Libc | undefined {
  try {
    return loadLibc();
  } catch {
    return undefined;
  }
}

// libc through koffi: the few calls that the ring, the generator and the recorder of counters need.
// Addresses are BigInts that only the *-unsafe.ts files of linux/ and datapath/ see.
// koffi is an optional package: `loadLibc` says what is missing and how to get it.
import { createRequire } from 'node:module';

/** The address of native memory, as koffi takes and gives it. */
export type Pointer = bigint;

type Koffi = typeof import('koffi');

export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, bytes: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, bytes: number): number;
  getsockopt(
    fd: number,
    level: number,
    option: number,
    value: Uint8Array,
    bytes: Uint8Array,
  ): number;
  mmap(
    at: Pointer | null,
    bytes: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ): Pointer;
  munmap(at: Pointer, bytes: number): number;
  madvise(at: Pointer, bytes: number, advice: number): number;
  poll(descriptors: Pointer, count: number, timeoutMs: number): number;
  ppoll(descriptors: Pointer, count: number, timeout: Pointer, signals: Pointer | null): number;
  prctl(option: number, a: number, b: number, c: number, d: number): number;
  sendmmsg(fd: number, messages: Pointer, count: number, flags: number): number;
  eventfd(initial: number, flags: number): number;
  read(fd: number, buffer: Uint8Array, bytes: number): number;
  close(fd: number): number;
  sched_getaffinity(thread: number, bytes: number, mask: Uint8Array): number;
  sched_setaffinity(thread: number, bytes: number, mask: Uint8Array): number;
  setns(fd: number, type: number): number;
  /** Any system call of three arguments; the middle one is a number, then memory and its size. */
  syscall(number: number, command: number, memory: Pointer, bytes: number): number | bigint;
  errno(): number;
  /** The mapped memory as an ArrayBuffer; it must never be transferred. */
  view(pointer: Pointer, bytes: number): ArrayBuffer;
  /** Where an array of our own lies. */
  addressOf(array: ArrayBufferView): Pointer;
  /** The name of an errno, such as `ENETDOWN`. */
  nameOf(errno: number): string;
}

const SIGNATURES = {
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, const uint8_t *, int)',
  setsockopt: 'int setsockopt(int, int, int, const uint8_t *, int)',
  getsockopt: 'int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint8_t *)',
  mmap: 'void *mmap(void *, size_t, int, int, int, int64_t)',
  munmap: 'int munmap(void *, size_t)',
  madvise: 'int madvise(void *, size_t, int)',
  poll: 'int poll(void *, unsigned long, int)',
  ppoll: 'int ppoll(void *, unsigned long, const void *, const void *)',
  prctl: 'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)',
  sendmmsg: 'int sendmmsg(int, void *, unsigned int, int)',
  eventfd: 'int eventfd(unsigned int, int)',
  read: 'long read(int, _Out_ uint8_t *, size_t)',
  close: 'int close(int)',
  sched_getaffinity: 'int sched_getaffinity(int, size_t, _Out_ uint8_t *)',
  sched_setaffinity: 'int sched_setaffinity(int, size_t, const uint8_t *)',
  setns: 'int setns(int, int)',
  // Declared with the arguments of bpf(2): the calling convention of a variadic call is the same.
  syscall: 'long syscall(long, int, void *, unsigned int)',
} as const;

let loaded: Libc | undefined;

/**
 * Loads koffi and binds libc, once in a thread.
 * @throws Error with a message for the operator if koffi is not installed
 */
export function loadLibc(): Libc {
  if (loaded !== undefined) return loaded;
  const koffi = requireKoffi();
  const library = koffi.load('libc.so.6');
  const calls = Object.fromEntries(
    Object.entries(SIGNATURES).map(([name, signature]) => [name, library.func(signature)]),
  ) as unknown as Omit<Libc, 'errno' | 'view' | 'addressOf' | 'nameOf'>;
  const names = Object.entries(koffi.os.errno);
  loaded = {
    ...calls,
    errno: () => koffi.errno(),
    view: (pointer, bytes) => koffi.view(pointer, bytes),
    addressOf: (array) => koffi.address(array),
    nameOf: (errno) => names.find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`,
  };
  return loaded;
}

function requireKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (cause) {
    throw new Error(
      'the optional package koffi is not installed; the ring needs it: npm install koffi@3.3.4, ' +
        'or use "datapath: cap"',
      { cause },
    );
  }
}

/** A little-endian int32 option value. */
export function int32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

// A libc without a kernel, for what a kernel does too seldom: calls that fail, in any order that a
// test asks for. It knows what is open and mapped, so that a test can see what was not given back.
import type { Libc } from '../../src/linux/libc-unsafe.ts';

export interface PlayedLibc extends Libc {
  /** Descriptors that are open. */
  readonly open: Set<number>;
  /** Addresses that are mapped. */
  readonly mapped: Set<bigint>;
  /** Names of all calls so far. */
  readonly calls: string[];
}

export interface PlayedOptions {
  /** The call, counted from 0, that fails with this errno. */
  readonly failAt?: { readonly call: number; readonly errno: number };
  /** What sendmmsg gives, call by call: messages sent, or an errno below 0. Then it sends all. */
  readonly sends?: number[];
  /** Asked for each socket option; a number below 0 is an errno. */
  readonly setsockopt?: (level: number, option: number, value: Uint8Array) => number;
}

const MAP_FAILED = 0xffffffffffffffffn;
const MAP_FIXED = 0x10;
const PAGE = 4096n;

export function playLibc(options: PlayedOptions = {}): PlayedLibc {
  const { failAt, sends = [], setsockopt = () => 0 } = options;
  const open = new Set<number>();
  const mapped = new Set<bigint>();
  const calls: string[] = [];
  let errno = 0;
  let nextFd = 3;
  let nextAddress = PAGE;

  /** Notes a call; true if it is the one to fail. */
  function fails(name: string): boolean {
    calls.push(name);
    if (calls.length - 1 !== failAt?.call) return false;
    errno = failAt.errno;
    return true;
  }

  function result(value: number): number {
    if (value < 0) errno = -value;
    return value < 0 ? -1 : value;
  }

  function openFd(name: string): number {
    if (fails(name)) return -1;
    open.add(nextFd);
    return nextFd++;
  }

  return {
    ...{ open, mapped, calls },
    socket: () => openFd('socket'),
    eventfd: () => openFd('eventfd'),
    bind: () => (fails('bind') ? -1 : 0),
    setsockopt: (_, level, option, value) =>
      fails('setsockopt') ? -1 : result(setsockopt(level, option, value)),
    getsockopt: () => (fails('getsockopt') ? -1 : 0),
    mmap: (at, bytes, _protection, flags) => {
      if (fails('mmap')) return MAP_FAILED;
      if (at !== null && flags & MAP_FIXED) return at;
      const address = nextAddress;
      nextAddress += (BigInt(bytes) / PAGE + 1n) * PAGE;
      mapped.add(address);
      return address;
    },
    munmap: (at) => {
      calls.push('munmap');
      return mapped.delete(at) ? 0 : -1;
    },
    madvise: () => 0,
    addressOf: () => 0n,
    sched_getaffinity: () => -1,
    sched_setaffinity: () => -1,
    poll: () => 0,
    ppoll: () => 0,
    prctl: () => -1,
    sendmmsg: (_, _messages, count, flags) => {
      calls.push(flags === 0 ? 'sendmmsg' : 'sendmmsg without waiting');
      return result(sends.shift() ?? count);
    },
    read: () => 8,
    close: (fd) => {
      calls.push('close');
      return open.delete(fd) ? 0 : -1;
    },
    setns: () => 0,
    syscall: () => -1,
    errno: () => errno,
    view: (_, bytes) => new ArrayBuffer(bytes),
    nameOf: (number) => `errno ${number}`,
  };
}

// A queue of frames that go out by one sendmmsg: the mmsghdr and iovec arrays lie in a mapped page
// and TypeScript fills them; each iovec points at a frame where it lies, nothing is copied.
// Layouts: struct mmsghdr and struct iovec of x86-64 and arm64 Linux (sendmmsg(2), LP64).
import type { Libc } from '../linux/libc-unsafe.ts';
import {
  mapScratch,
  type Releases,
  type Scratch,
  setQueueBypass,
  VNET_HEADER_BYTES,
} from '../linux/packet-socket-unsafe.ts';
import type { ArmCounters } from './datapath.ts';

const MESSAGE_BYTES = 64;
const IOVEC_BYTES = 16;
const ETHERNET_BYTES = 14;
/** Offsets in mmsghdr: msg_hdr.msg_iov and msg_hdr.msg_iovlen. */
const IOV_AT = 16;
const IOVLEN_AT = 24;

const EINTR = 4;
const EAGAIN = 11;
const ENOBUFS = 105;
const MSG_DONTWAIT = 0x40;

/** Some 32 bits of an address at a time, so that no BigInt is made for a packet. */
export interface Base {
  readonly high: number;
  readonly low: number;
}

export const splitAddress = (address: bigint): Base => ({
  high: Number(address >> 32n),
  low: Number(address & 0xffffffffn),
});

export interface SendQueue {
  readonly libc: Libc;
  readonly fd: number;
  readonly scratch: Scratch;
  readonly counters: ArmCounters;
  readonly capacity: number;
  /** Addresses of message 0, 1, 2 ...: where a call goes on after a frame that failed. */
  readonly messages: readonly bigint[];
  count: number;
  /** Whether the device let a send time out since it last took a frame. */
  isStalled: boolean;
  /** Whether frames pass by the queue discipline, and most bytes of one that needs no cutting. */
  bypasses: boolean;
  readonly uncutBytes: number;
}

export interface SendQueueOptions {
  /** A packet socket that is bound to the interface. */
  readonly fd: number;
  readonly counters: ArmCounters;
  /** Frames that fit; one more sends those before. */
  readonly capacity: number;
  /** Largest IP packet of the interface in bytes. */
  readonly mtu: number;
}

export function createSendQueue(
  libc: Libc,
  options: SendQueueOptions,
  releases: Releases,
): SendQueue {
  const { fd, counters, capacity, mtu } = options;
  const scratch = mapScratch(libc, capacity * (MESSAGE_BYTES + IOVEC_BYTES), releases);
  const iovecs = scratch.address + BigInt(capacity * MESSAGE_BYTES);
  for (let index = 0; index < capacity; index++) {
    const at = index * MESSAGE_BYTES;
    scratch.view.setBigUint64(at + IOV_AT, iovecs + BigInt(index * IOVEC_BYTES), true);
    scratch.view.setBigUint64(at + IOVLEN_AT, 1n, true);
  }
  const messages = Array.from(
    { length: capacity },
    (_, index) => scratch.address + BigInt(index * MESSAGE_BYTES),
  );
  return {
    libc,
    fd,
    scratch,
    counters,
    capacity,
    messages,
    count: 0,
    isStalled: false,
    bypasses: true,
    uncutBytes: VNET_HEADER_BYTES + ETHERNET_BYTES + mtu,
  };
}

/** Queues `bytes` bytes at `base + offset`; they must stay there until the queue is flushed. */
export function queueFrame(queue: SendQueue, base: Base, offset: number, bytes: number): void {
  if (queue.count === queue.capacity) flushQueue(queue);
  const view = queue.scratch.view;
  const at = queue.capacity * MESSAGE_BYTES + queue.count * IOVEC_BYTES;
  const low = base.low + offset;
  view.setUint32(at, low >>> 0, true);
  view.setUint32(at + 4, low > 0xffffffff ? base.high + 1 : base.high, true);
  view.setUint32(at + 8, bytes, true);
  queue.count++;
}

/**
 * Sends all that is queued. A frame that the kernel refuses is counted and passed over. A device
 * whose queue is full is waited for, which slows bulk senders down without loss; but once it let
 * the socket's time limit pass, nothing waits for it until it takes a frame again.
 */
export function flushQueue(queue: SendQueue): void {
  const { libc, fd, messages, counters, count } = queue;
  let flags = queue.isStalled ? MSG_DONTWAIT : 0;
  let done = 0;
  while (done < count) {
    const sent = libc.sendmmsg(fd, messages[done] as bigint, count - done, flags);
    if (sent > 0) {
      queue.isStalled = false;
      countSent(queue, done, done + sent);
      done += sent;
      continue;
    }
    const errno = libc.errno();
    if (errno === EINTR) continue;
    if (errno === ENOBUFS && needsCutting(queue, done)) continue;
    if (errno === EAGAIN) {
      queue.isStalled = true;
      flags = MSG_DONTWAIT;
    }
    counters.failedFrames++;
    done++;
  }
  queue.count = 0;
}

/**
 * True if the frame is a super-frame that the device may have refused because it cannot cut it into
 * segments, or none so long. Behind the queue discipline the kernel does that; so from now on all
 * frames go there, and keep their order.
 */
function needsCutting(queue: SendQueue, index: number): boolean {
  if (!queue.bypasses || bytesOf(queue, index) <= queue.uncutBytes) return false;
  queue.bypasses = false;
  setQueueBypass(queue.libc, queue.fd, false);
  return true;
}

/** Tries the fast way past the queue discipline again: for a link that is back. */
export function bypassAgain(queue: SendQueue): void {
  if (queue.bypasses) return;
  queue.bypasses = true;
  setQueueBypass(queue.libc, queue.fd, true);
}

/** Length of a queued frame with its virtio_net_hdr. */
function bytesOf(queue: SendQueue, index: number): number {
  const iovec = queue.capacity * MESSAGE_BYTES + index * IOVEC_BYTES;
  return queue.scratch.view.getUint32(iovec + 8, true);
}

/** Each queued frame begins with its virtio_net_hdr, which is not sent. */
function countSent(queue: SendQueue, from: number, to: number): void {
  const { counters, scratch } = queue;
  const first = queue.capacity * MESSAGE_BYTES + 8;
  let bytes = 0;
  for (let index = from; index < to; index++) {
    bytes += scratch.view.getUint32(first + index * IOVEC_BYTES, true);
  }
  counters.sentFrames += to - from;
  counters.sentBytes += bytes - (to - from) * VNET_HEADER_BYTES;
}

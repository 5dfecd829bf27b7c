// A queue of frames that go out by one sendmmsg: the mmsghdr and iovec arrays lie in a mapped page
// and TypeScript fills them; each iovec points at a frame where it lies, nothing is copied.
// Layouts: struct mmsghdr and struct iovec of x86-64 and arm64 Linux (sendmmsg(2), LP64).
import type { Libc } from '../linux/libc-unsafe.ts';
import { mapScratch, type Scratch, VNET_HEADER_BYTES } from '../linux/packet-socket-unsafe.ts';
import type { ArmCounters } from './datapath.ts';

const MESSAGE_BYTES = 64;
const IOVEC_BYTES = 16;
/** Offsets in mmsghdr: msg_hdr.msg_iov and msg_hdr.msg_iovlen. */
const IOV_AT = 16;
const IOVLEN_AT = 24;

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
  /** Errno of the last frame that the kernel refused, 0 if none. */
  lastErrno: number;
}

export function createSendQueue(
  libc: Libc,
  fd: number,
  counters: ArmCounters,
  capacity: number,
): SendQueue {
  const scratch = mapScratch(libc, capacity * (MESSAGE_BYTES + IOVEC_BYTES));
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
  return { libc, fd, scratch, counters, capacity, messages, count: 0, lastErrno: 0 };
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

/** Sends all that is queued. A frame that the kernel refuses is counted and passed over. */
export function flushQueue(queue: SendQueue): void {
  const { libc, fd, messages, counters, count } = queue;
  let done = 0;
  while (done < count) {
    const sent = libc.sendmmsg(fd, messages[done] as bigint, count - done, 0);
    if (sent > 0) {
      countSent(queue, done, done + sent);
      done += sent;
    } else {
      queue.lastErrno = libc.errno();
      counters.failedFrames++;
      done++;
    }
  }
  queue.count = 0;
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

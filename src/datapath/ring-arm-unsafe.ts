// One arm of the ring datapath: a packet socket with a TPACKET_V2 ring in shared memory. A slot
// belongs to the kernel or to us by its status word; frames are decided and sent where the kernel
// wrote them, and only then does the slot go back. Nothing is copied in user space.
import type { Libc } from '../linux/libc-unsafe.ts';
import {
  attachFilter,
  bindTo,
  mapRing,
  mapScratch,
  openPacketSocket,
  type RingLayout,
  type Scratch,
  takeDrops,
  takeError,
  VNET_HEADER_BYTES,
} from '../linux/packet-socket-unsafe.ts';
import {
  type Arm,
  type ArmCounters,
  BATCH_FRAMES,
  type Batch,
  createArmCounters,
} from './datapath.ts';
import {
  type Base,
  createSendQueue,
  flushQueue,
  queueFrame,
  type SendQueue,
  splitAddress,
} from './send-queue-unsafe.ts';

/** Room for the largest frame: 64 KiB of IP, Ethernet, virtio and TPACKET headers; 17 pages. */
const SLOT_BYTES = 69_632;
/** A block is one run of pages: 7 slots fill 119 of 128, the nearest power of two. */
const SLOTS_PER_BLOCK = 7;

// struct tpacket2_hdr (include/uapi/linux/if_packet.h).
const STATUS_AT = 0;
const LENGTH_AT = 4;
const SNAPLEN_AT = 8;
const MAC_AT = 12;
const STATUS_KERNEL = 0;
const STATUS_USER = 1;

const NEEDS_CSUM = 1;
/** x86-64 keeps loads in order; elsewhere the status must be read with acquire semantics. */
const ORDERED_LOADS = process.arch === 'x64';
/** Filter programs and frames of the director's own. */
const SCRATCH_BYTES = 65_536;

export interface RingArm {
  readonly arm: Arm;
  readonly libc: Libc;
  readonly fd: number;
  readonly frame: DataView;
  readonly status: Int32Array;
  readonly base: Base;
  /** Offset of each slot. */
  readonly slotAt: Int32Array;
  readonly queue: SendQueue;
  readonly scratch: Scratch;
  readonly counters: ArmCounters;
  readonly layout: RingLayout;
  readonly address: bigint;
  /** Next slot to look at. */
  next: number;
  /** First slot of the batch that is out, and how many. */
  first: number;
  held: number;
}

/** Opens the arm; frames arrive as soon as this returns. */
export function openRingArm(
  libc: Libc,
  arm: Arm,
  { slots, filter }: { slots: number; filter: Uint8Array },
): RingArm {
  const fd = openPacketSocket(libc);
  const scratch = mapScratch(libc, SCRATCH_BYTES);
  attachFilter(libc, fd, scratch, filter);
  const blocks = Math.max(1, Math.ceil(slots / SLOTS_PER_BLOCK));
  const layout = {
    blockBytes: Math.ceil((SLOT_BYTES * SLOTS_PER_BLOCK) / 4096) * 4096,
    blocks,
    frameBytes: SLOT_BYTES,
    frames: blocks * SLOTS_PER_BLOCK,
  };
  const ring = mapRing(libc, fd, layout);
  bindTo(libc, fd, arm.interfaceIndex);
  const counters = createArmCounters();
  const slotAt = Int32Array.from(
    { length: layout.frames },
    (_, index) =>
      Math.floor(index / SLOTS_PER_BLOCK) * layout.blockBytes +
      (index % SLOTS_PER_BLOCK) * SLOT_BYTES,
  );
  return {
    arm,
    libc,
    fd,
    frame: ring.view,
    status: new Int32Array(ring.view.buffer),
    base: splitAddress(ring.address),
    slotAt,
    queue: createSendQueue(libc, fd, counters, BATCH_FRAMES * 2),
    scratch,
    counters,
    layout,
    address: ring.address,
    next: 0,
    first: 0,
    held: 0,
  };
}

/** True if at least one frame waits. */
export function hasFrame(ring: RingArm): boolean {
  const word = ((ring.slotAt[ring.next] as number) + STATUS_AT) >> 2;
  const status = ORDERED_LOADS ? (ring.status[word] as number) : Atomics.load(ring.status, word);
  return (status & STATUS_USER) !== 0;
}

/** Fills the batch from this arm, up to `maximumBytes` beyond the first frame. */
export function receiveFrom(ring: RingArm, batch: Batch, maximumBytes: number): number {
  const { frame, slotAt } = ring;
  let count = 0;
  let bytes = 0;
  ring.first = ring.next;
  ring.held = 0;
  while (count < BATCH_FRAMES && bytes < maximumBytes && hasFrame(ring)) {
    const slot = slotAt[ring.next] as number;
    ring.next = ring.next + 1 === slotAt.length ? 0 : ring.next + 1;
    ring.held++;
    const length = frame.getUint32(slot + SNAPLEN_AT, true);
    if (length !== frame.getUint32(slot + LENGTH_AT, true)) {
      // The slot holds only a part: a frame of more than 64 KiB. There is nothing to send.
      ring.counters.missedFrames++;
      continue;
    }
    const at = slot + frame.getUint16(slot + MAC_AT, true);
    batch.at[count] = at;
    batch.end[count] = at + length;
    batch.partialChecksum[count] = frame.getUint8(at - VNET_HEADER_BYTES) & NEEDS_CSUM;
    bytes += length;
    count++;
  }
  ring.counters.receivedFrames += count;
  ring.counters.receivedBytes += bytes;
  if (count === 0) releaseSlots(ring);
  return count;
}

/** Gives the slots of the batch back to the kernel. */
export function releaseSlots(ring: RingArm): void {
  const { slotAt, status } = ring;
  let slot = ring.first;
  for (let left = ring.held; left > 0; left--) {
    const word = ((slotAt[slot] as number) + STATUS_AT) >> 2;
    if (ORDERED_LOADS) status[word] = STATUS_KERNEL;
    else Atomics.store(status, word, STATUS_KERNEL);
    slot = slot + 1 === slotAt.length ? 0 : slot + 1;
  }
  ring.held = 0;
}

/** Queues a frame that lies in `from`'s ring for sending on `to`, with its virtio_net_hdr. */
export function sendFrom(from: RingArm, to: RingArm, at: number, end: number): void {
  const bytes = end - at + VNET_HEADER_BYTES;
  queueFrame(to.queue, from.base, at - VNET_HEADER_BYTES, bytes);
}

/** Sends a copy of `bytes` at once. */
export function injectInto(ring: RingArm, bytes: Uint8Array): void {
  const room = new Uint8Array(ring.scratch.view.buffer);
  room.fill(0, 0, VNET_HEADER_BYTES);
  room.set(bytes, VNET_HEADER_BYTES);
  const base = splitAddress(ring.scratch.address);
  queueFrame(ring.queue, base, 0, bytes.length + VNET_HEADER_BYTES);
  flushQueue(ring.queue);
}

export function setFilter(ring: RingArm, filter: Uint8Array): void {
  attachFilter(ring.libc, ring.fd, ring.scratch, filter);
}

/** Clears a pending socket error, so that poll sleeps again, and reads the kernel's drop count. */
export function settle(ring: RingArm): void {
  takeError(ring.libc, ring.fd);
  ring.counters.missedFrames += takeDrops(ring.libc, ring.fd);
}

export function closeRingArm(ring: RingArm): void {
  ring.libc.close(ring.fd);
  ring.libc.munmap(ring.address, ring.layout.blockBytes * ring.layout.blocks);
}

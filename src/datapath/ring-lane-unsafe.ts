// One lane of an arm: a packet socket with a TPACKET_V2 ring. A slot belongs to the kernel or to us
// by its status word. An arm has two lanes, since one ring has one size of slot: many small slots,
// so that a full rate of small packets outlasts a pause of the loop, and fewer of 68 KiB for the
// super-frames of TCP offload. Together they take a sixth of the memory of large slots for all.
import type { Libc } from '../linux/libc-unsafe.ts';
import {
  attachFilter,
  bindTo,
  createRing,
  joinFanout,
  mapRing,
  NEW_GROUP,
  openPacketSocket,
  type Releases,
  type RingLayout,
  type Scratch,
  takeDrops,
  takeError,
} from '../linux/packet-socket-unsafe.ts';
import type { Wanted } from './datapath.ts';
import { type FlowCache, filterSocket } from './flow-cache-unsafe.ts';
import { buildSocketFilter, filterProgram, rejectAll } from './socket-filter.ts';

/** Room for a frame of an MTU of 1,500 with its headers: half a page. */
const SMALL_SLOT_BYTES = 2048;
/** Frames of up to so many bytes go there: they fit beside the TPACKET and virtio headers. */
const SMALL_LIMIT_BYTES = 1800;
/** Room for 64 KiB of IP with all headers: 17 pages. */
const LARGE_SLOT_BYTES = 69_632;
/** One large slot for so many small ones. */
const SMALL_PER_LARGE = 8;
/** A block is a run of pages; these fill 128 pages, or 119 of them. */
const SMALL_SLOTS_PER_BLOCK = 256;
const LARGE_SLOTS_PER_BLOCK = 7;

// struct tpacket2_hdr (include/uapi/linux/if_packet.h).
const STATUS_KERNEL = 0;
const STATUS_USER = 1;
const SECONDS_AT = 16;
const NANOSECONDS_AT = 20;

/** x86-64 keeps loads in order; elsewhere the status must be read with acquire semantics. */
const ORDERED_LOADS = process.arch === 'x64';

export interface Lane {
  readonly libc: Libc;
  readonly fd: number;
  /** Whether it takes the frames that are too large for the other lane. */
  readonly takesLarge: boolean;
  readonly vlans: readonly number[] | undefined;
  readonly cache: FlowCache | undefined;
  /** Room for filter programs. */
  readonly scratch: Scratch;
  /** Offset of each slot in the arm's memory. */
  readonly slotAt: Int32Array;
  /** The arm's memory as words, for the status. */
  readonly words: Int32Array;
  /** Next slot to look at. */
  next: number;
  /** Fanout group in which it shares frames; NEW_GROUP if it gets them all. */
  group: number;
  /** First slot that is out with a batch, and how many are. */
  first: number;
  held: number;
}

/** How the two lanes of an arm are laid out for so many small slots. */
export function laneLayouts(slots: number): readonly [small: RingLayout, large: RingLayout] {
  return [
    layoutOf(slots, SMALL_SLOT_BYTES, SMALL_SLOTS_PER_BLOCK),
    layoutOf(slots / SMALL_PER_LARGE, LARGE_SLOT_BYTES, LARGE_SLOTS_PER_BLOCK),
  ];
}

function layoutOf(slots: number, frameBytes: number, slotsPerBlock: number): RingLayout {
  const blocks = Math.max(1, Math.ceil(slots / slotsPerBlock));
  return {
    blockBytes: frameBytes * slotsPerBlock,
    blocks,
    frameBytes,
    frames: blocks * slotsPerBlock,
  };
}

export const layoutBytes = (layout: RingLayout): number => layout.blockBytes * layout.blocks;

export interface LaneOptions {
  readonly interfaceIndex: number;
  readonly layout: RingLayout;
  readonly takesLarge: boolean;
  readonly wanted: Wanted;
  /** VLANs whose frames are not for this arm. */
  readonly vlans: readonly number[] | undefined;
  /** Keeps the frames out that the kernel sends on by itself. */
  readonly cache: FlowCache | undefined;
  /** Fanout group to join, or NEW_GROUP; undefined: none. */
  readonly group: number | undefined;
  /** The arm's memory, and where in it this lane begins. */
  readonly memory: Scratch;
  readonly offset: number;
  readonly scratch: Scratch;
}

/**
 * Opens a lane over a part of the arm's memory; frames arrive as soon as this returns. A lane of a
 * group lets none in before `filterLane`: until all have joined, they would come to the wrong one.
 */
export function openLane(libc: Libc, options: LaneOptions, releases: Releases): Lane {
  const { layout, memory, offset, takesLarge, scratch, group, vlans, cache } = options;
  const fd = openPacketSocket(libc, releases);
  const slotAt = Int32Array.from(
    { length: layout.frames },
    (_, index) => offset + index * layout.frameBytes,
  );
  const words = new Int32Array(memory.view.buffer);
  const places = { slotAt, words, next: 0, first: 0, held: 0 };
  const lane: Lane = { libc, fd, takesLarge, vlans, cache, scratch, group: NEW_GROUP, ...places };
  if (group === undefined) filterLane(lane, options.wanted);
  else attachFilter(libc, fd, scratch, rejectAll());
  createRing(libc, fd, layout);
  mapRing(libc, fd, layout, memory.address + BigInt(offset));
  bindTo(libc, fd, options.interfaceIndex);
  if (group !== undefined) lane.group = joinFanout(libc, fd, group);
  return lane;
}

/** Lets these frames in; if the kernel has no room for so many addresses, those of all. */
export function filterLane(lane: Lane, wanted: Wanted): void {
  const { libc, fd, scratch, takesLarge, vlans, cache } = lane;
  const rest = { limitBytes: SMALL_LIMIT_BYTES, beyondLimit: takesLarge, vlans };
  for (const addresses of [wanted, undefined]) {
    const options = { wanted: addresses, ...rest };
    const fits =
      cache === undefined
        ? attachFilter(libc, fd, scratch, buildSocketFilter(options))
        : filterSocket(cache, fd, filterProgram(options));
    if (fits) return;
  }
  throw new Error('no memory for the smallest socket filter: raise net.core.optmem_max');
}

/** True if at least one frame waits. */
export function hasFrame(lane: Lane): boolean {
  const word = (lane.slotAt[lane.next] as number) >> 2;
  const status = ORDERED_LOADS ? (lane.words[word] as number) : Atomics.load(lane.words, word);
  return (status & STATUS_USER) !== 0;
}

/** True if the waiting frame of `lane` came no later than `other`'s, by the kernel's clock. */
export function isEarlier(lane: Lane, other: Lane): boolean {
  const at = (lane.slotAt[lane.next] as number) >> 2;
  const otherAt = (other.slotAt[other.next] as number) >> 2;
  const seconds = lane.words[at + SECONDS_AT / 4] as number;
  // Wrapped, since the kernel's count is unsigned.
  const laterSeconds = (seconds - (other.words[otherAt + SECONDS_AT / 4] as number)) | 0;
  if (laterSeconds !== 0) return laterSeconds < 0;
  const nanoseconds = lane.words[at + NANOSECONDS_AT / 4] as number;
  return nanoseconds <= (other.words[otherAt + NANOSECONDS_AT / 4] as number);
}

/** Takes the waiting frame's slot out of the ring; returns its offset. */
export function takeSlot(lane: Lane): number {
  const slot = lane.slotAt[lane.next] as number;
  lane.next = lane.next + 1 === lane.slotAt.length ? 0 : lane.next + 1;
  lane.held++;
  return slot;
}

/** Gives all slots that were taken back to the kernel. */
export function releaseSlots(lane: Lane): void {
  const { slotAt, words } = lane;
  let slot = lane.first;
  for (let left = lane.held; left > 0; left--) {
    const word = (slotAt[slot] as number) >> 2;
    if (ORDERED_LOADS) words[word] = STATUS_KERNEL;
    else Atomics.store(words, word, STATUS_KERNEL);
    slot = slot + 1 === slotAt.length ? 0 : slot + 1;
  }
  lane.first = lane.next;
  lane.held = 0;
}

/** Clears a pending socket error, so that poll sleeps again; returns the drops since last time. */
export function settleLane(lane: Lane): number {
  takeError(lane.libc, lane.fd);
  return takeDrops(lane.libc, lane.fd);
}

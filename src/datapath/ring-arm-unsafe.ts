// One arm of the ring datapath: two lanes (ring-lane-unsafe.ts) and a send queue. The lanes of all
// arms lie in one run of memory, so that one DataView reaches every frame. Frames are decided and
// sent where the kernel put them, and only then do their slots go back: nothing is copied in user
// space.
import type { Libc } from '../linux/libc-unsafe.ts';
import {
  mapScratch,
  type Releases,
  type Scratch,
  setFanoutProgram,
  setMembership,
  VNET_HEADER_BYTES,
} from '../linux/packet-socket-unsafe.ts';
import { TAG_BYTES } from '../wire/ethernet.ts';
import { completeAt } from './complete-checksum.ts';
import {
  type Arm,
  type ArmCounters,
  BATCH_FRAMES,
  type Batch,
  createArmCounters,
  type Wanted,
} from './datapath.ts';
import { buildFanoutProgram } from './fanout-program.ts';
import type { FlowCache } from './flow-cache-unsafe.ts';
import {
  filterLane,
  hasFrame,
  isEarlier,
  type Lane,
  laneLayouts,
  layoutBytes,
  openLane,
  releaseSlots,
  settleLane,
  takeSlot,
} from './ring-lane-unsafe.ts';
import {
  type Base,
  createSendQueue,
  flushQueue,
  queueFrame,
  type SendQueue,
  splitAddress,
} from './send-queue-unsafe.ts';

// struct tpacket2_hdr (include/uapi/linux/if_packet.h).
const LENGTH_AT = 4;
const SNAPLEN_AT = 8;
const MAC_AT = 12;
const TAG_AT = 24;
const VLAN_VALID = 0x10;

// struct virtio_net_hdr (include/uapi/linux/virtio_net.h), little-endian here.
const NEEDS_CSUM = 1;
const HEADER_LENGTH_AT = 2;
const CHECKSUM_START_AT = 6;
const CHECKSUM_FIELD_AT = 8;
/** Where TCP and UDP begin over IPv4 and IPv6 in nearly all frames. */
const START_IPV4 = 34;
const START_IPV6 = 54;
/** Where the CRC32c of SCTP lies, which is no sum. */
const SCTP_FIELD = 8;
const GSO_SIZE_AT = 4;
/** Filter programs and frames of the director's own, up to 64 KiB of IP with all headers. */
const SCRATCH_BYTES = 69_632;

export interface RingArm {
  readonly arm: Arm;
  readonly frame: DataView;
  readonly small: Lane;
  readonly large: Lane;
  readonly queue: SendQueue;
  readonly scratch: Scratch;
  /** The scratch memory as bytes, and how many of them hold copies that are not sent yet. */
  readonly room: Uint8Array;
  copiedBytes: number;
  readonly counters: ArmCounters;
  /** Multicast groups that the interface takes for us; see setMembership. */
  groups: ReadonlySet<number | 'all'>;
}

export interface RingArmOptions {
  readonly arm: Arm;
  /** Small slots; laneLayouts says how many large ones come with them. */
  readonly slots: number;
  readonly wanted: Wanted;
  readonly cache: FlowCache | undefined;
  /** Fanout groups of the two lanes, as other workers have them; undefined for a worker alone. */
  readonly groups: readonly [small: number, large: number] | undefined;
  /** The memory of all arms, and where in it this arm's lanes begin. */
  readonly memory: Scratch;
  readonly offset: number;
}

/** Bytes of the lanes of one arm. */
export function armBytes(slots: number): number {
  const [small, large] = laneLayouts(slots);
  return layoutBytes(small) + layoutBytes(large);
}

/** Opens the arm; frames arrive as soon as this returns. */
export function openRingArm(
  libc: Libc,
  { arm, slots, wanted, cache, groups, memory, offset }: RingArmOptions,
  releases: Releases,
): RingArm {
  const scratch = mapScratch(libc, SCRATCH_BYTES, releases);
  const [smallLayout, largeLayout] = laneLayouts(slots);
  const { interfaceIndex, vlans } = arm;
  const common = { interfaceIndex, vlans, wanted, cache, memory, scratch };
  const smallPart = { layout: smallLayout, offset, takesLarge: false, group: groups?.[0] };
  const largeOffset = offset + layoutBytes(smallLayout);
  const largePart = { layout: largeLayout, offset: largeOffset, takesLarge: true };
  const small = openLane(libc, { ...common, ...smallPart }, releases);
  const large = openLane(libc, { ...common, ...largePart, group: groups?.[1] }, releases);
  const counters = createArmCounters();
  const capacity = BATCH_FRAMES * 2;
  const ring: RingArm = {
    arm,
    frame: memory.view,
    small,
    large,
    queue: createSendQueue(libc, { fd: small.fd, counters, capacity, mtu: arm.mtu }, releases),
    scratch,
    room: new Uint8Array(scratch.view.buffer),
    copiedBytes: 0,
    counters,
    groups: new Set(),
  };
  joinGroups(ring, wanted);
  return ring;
}

/**
 * Lets in the questions for the MAC address of each VIP: they go to its solicited-node group. Those
 * for the addresses of a prefix go to as many groups as it has addresses, so all groups come in.
 */
function joinGroups(ring: RingArm, wanted: Wanted): void {
  const { vips6 = new Int32Array(0), vipPrefixLengths6: lengths } = wanted;
  const { arm, small, groups } = ring;
  const { interfaceIndex } = arm;
  // RFC 4291, 2.7.1: the group has the last three bytes of the address.
  const isPrefix = (vip: number) => (lengths?.[vip] ?? 128) < 128;
  const next = new Set<number | 'all'>(wanted.allGroups ? ['all'] : []);
  for (let vip = 0; vip * 4 < vips6.length; vip++) {
    next.add(isPrefix(vip) ? 'all' : 0xff00_0000 | (vips6[vip * 4 + 3] as number));
  }
  const change = (group: number | 'all', joins: boolean) =>
    setMembership(small.libc, small.fd, { interfaceIndex, group, joins });
  for (const group of next) if (!groups.has(group)) change(group, true);
  for (const group of groups) if (!next.has(group)) change(group, false);
  ring.groups = next;
}

/** True if at least one frame waits. */
export const armHasFrame = (ring: RingArm): boolean => hasFrame(ring.small) || hasFrame(ring.large);

/**
 * The lane whose frame came first, or undefined if none waits. What comes earlier becomes visible
 * earlier, so a lane that looked empty is looked at again before the other one's frame is taken.
 * That is exact for the frames of one CPU, and so for each flow; only if two CPUs fill one lane at
 * the same instant may a frame behind an unfinished one be overtaken by the other lane's.
 */
function earliestLane(ring: RingArm): Lane | undefined {
  const { small, large } = ring;
  const smallWaits = hasFrame(small);
  if (!hasFrame(large)) return smallWaits ? small : undefined;
  if (!smallWaits && !hasFrame(small)) return large;
  return isEarlier(small, large) ? small : large;
}

/** Fills the batch from this arm in order of arrival, until `maximumBytes` are reached. */
export function receiveFrom(ring: RingArm, batch: Batch, maximumBytes: number): number {
  const { frame } = ring;
  let count = 0;
  let bytes = 0;
  while (count < BATCH_FRAMES && bytes < maximumBytes) {
    const lane = earliestLane(ring);
    if (lane === undefined) break;
    const slot = takeSlot(lane);
    const length = frame.getUint32(slot + SNAPLEN_AT, true);
    if (length !== frame.getUint32(slot + LENGTH_AT, true)) {
      // The slot holds only a part: a frame of more than 64 KiB. There is nothing to send.
      ring.counters.missedFrames++;
      continue;
    }
    const at = slot + frame.getUint16(slot + MAC_AT, true);
    batch.at[count] = at;
    batch.end[count] = at + length;
    const header = at - VNET_HEADER_BYTES;
    const segmentBytes = frame.getUint16(header + GSO_SIZE_AT, true);
    let partial = frame.getUint8(header) & NEEDS_CSUM;
    if (partial !== 0 && segmentBytes === 0) partial = settleChecksum(frame, at, at + length);
    batch.offload[count] = (segmentBytes << 1) | partial;
    const tagged = frame.getUint32(slot, true) & VLAN_VALID;
    batch.tag[count] = tagged === 0 ? 0 : frame.getInt32(slot + TAG_AT, true);
    bytes += length;
    count++;
  }
  ring.counters.receivedFrames += count;
  ring.counters.receivedBytes += bytes;
  if (count === 0) releaseArm(ring);
  return count;
}

/**
 * An unfinished checksum that may be another header's than the first TCP or UDP one, such as that
 * of a packet within VXLAN: the director would take it for the first one's, so it is finished here.
 * @returns 1 if it is the first one's and was left as it is
 */
function settleChecksum(frame: DataView, at: number, end: number): number {
  const header = at - VNET_HEADER_BYTES;
  const start = frame.getUint16(header + CHECKSUM_START_AT, true);
  const field = frame.getUint16(header + CHECKSUM_FIELD_AT, true);
  if (start === START_IPV4 || start === START_IPV6 || field === SCTP_FIELD) return 1;
  completeAt(frame, at, end, start, field);
  finishHeader(frame, at);
  return 0;
}

/** Gives the slots of the batch back to the kernel. */
export function releaseArm(ring: RingArm): void {
  releaseSlots(ring.small);
  releaseSlots(ring.large);
}

/** Queues a frame of any arm for sending on `to`, with its virtio_net_hdr. */
export function sendFrame(to: RingArm, base: Base, at: number, end: number): void {
  const bytes = end - at + VNET_HEADER_BYTES;
  queueFrame(to.queue, base, at - VNET_HEADER_BYTES, bytes);
}

/**
 * Puts a tag back where the kernel took it from: the addresses and the virtio_net_hdr move ahead.
 * @returns where the frame begins now
 */
export function layTag(frame: DataView, at: number, tag: number): number {
  const from = at - VNET_HEADER_BYTES;
  const to = from - TAG_BYTES;
  for (let done = 0; done < VNET_HEADER_BYTES + 12; done += 2) {
    frame.setUint16(to + done, frame.getUint16(from + done));
  }
  frame.setInt32(at + 12 - TAG_BYTES, tag);
  for (const field of [HEADER_LENGTH_AT, CHECKSUM_START_AT]) {
    const bytes = frame.getUint16(to + field, true);
    if (bytes !== 0) frame.setUint16(to + field, bytes + TAG_BYTES, true);
  }
  return at - TAG_BYTES;
}

/** Gives a frame a virtio_net_hdr that leaves nothing to do; the slot has room for it. */
export function finishHeader(frame: DataView, at: number): void {
  const header = at - VNET_HEADER_BYTES;
  frame.setInt32(header, 0);
  frame.setInt32(header + 4, 0);
  frame.setInt16(header + 8, 0);
}

/** Queues a copy of `bytes`. */
export function copyInto(ring: RingArm, bytes: Uint8Array): void {
  const { room, queue, scratch } = ring;
  const length = bytes.length + VNET_HEADER_BYTES;
  if (ring.copiedBytes + length > SCRATCH_BYTES) flushArm(ring);
  const at = ring.copiedBytes;
  room.fill(0, at, at + VNET_HEADER_BYTES);
  room.set(bytes, at + VNET_HEADER_BYTES);
  queueFrame(queue, splitAddress(scratch.address), at, length);
  ring.copiedBytes += length;
}

/** Sends all that is queued. */
export function flushArm(ring: RingArm): void {
  if (ring.queue.count > 0) flushQueue(ring.queue);
  ring.copiedBytes = 0;
}

/** Sends a copy of `bytes` at once. */
export function injectInto(ring: RingArm, bytes: Uint8Array): void {
  copyInto(ring, bytes);
  flushArm(ring);
}

/** Tells the kernel anew which of so many workers gets which frame. */
export function shareAmong(ring: RingArm, wanted: Wanted, workers: number): void {
  const program = buildFanoutProgram(wanted, workers);
  for (const { libc, fd } of [ring.small, ring.large]) {
    setFanoutProgram(libc, fd, ring.scratch, program);
  }
}

export function setWanted(ring: RingArm, wanted: Wanted): void {
  joinGroups(ring, wanted);
  filterLane(ring.small, wanted);
  filterLane(ring.large, wanted);
}

/** Clears pending socket errors and takes the kernel's count of drops over. */
export function settleArm(ring: RingArm): void {
  ring.counters.missedFrames += settleLane(ring.small) + settleLane(ring.large);
}

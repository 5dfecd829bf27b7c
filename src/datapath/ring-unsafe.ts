// The fast datapath: one TPACKET_V2 ring an arm, sendmmsg in place, one poll over all arms and an
// eventfd. See native-notes/ for what the kernel does and the commands that show it.
import { linkState } from '../linux/interfaces.ts';
import { type Libc, loadLibc } from '../linux/libc-unsafe.ts';
import {
  fail,
  mapScratch,
  NEW_GROUP,
  openOrRelease,
  type Releases,
  releaseAll,
  type Scratch,
} from '../linux/packet-socket-unsafe.ts';
import {
  type Arm,
  type BlockingDatapath,
  createBatch,
  type LinkState,
  type Wanted,
} from './datapath.ts';
import type { FlowCache } from './flow-cache-unsafe.ts';
import {
  armBytes,
  armHasFrame,
  copyInto,
  finishHeader,
  flushArm,
  injectInto,
  layTag,
  openRingArm,
  type RingArm,
  receiveFrom,
  releaseArm,
  sendFrame,
  settleArm,
  setWanted,
  shareAmong,
} from './ring-arm-unsafe.ts';
import { bypassAgain, splitAddress } from './send-queue-unsafe.ts';

const POLLIN = 0x001;
const POLLFD_BYTES = 8;
/** Seconds and nanoseconds, int64 each. */
const TIMESPEC_BYTES = 16;
const EFD_NONBLOCK_CLOEXEC = 0o2004000;
/** A batch ends after this many bytes, so that bulk frames are sent while they are in the cache. */
const BATCH_BYTES = 512 * 1024;
/** How many times the rings are looked at before the loop sleeps in poll. */
const SPIN_LOOKS = 200;

export interface RingOptions extends Wanted {
  readonly arms: readonly Arm[];
  /** Slots of each arm for frames of up to 1,800 bytes; larger frames have one for each 8. */
  readonly slots: number;
  /** Keeps the frames out that the kernel sends on by itself. */
  readonly cache?: FlowCache | undefined;
  /** Undefined: this worker gets all frames. */
  readonly share?: Share | undefined;
}

/**
 * A worker's share of the frames. Workers open their rings one after the other, in the order of
 * their numbers; none gets frames before its first `setAddresses`.
 */
export interface Share {
  readonly worker: number;
  readonly workers: number;
  /** Worker 0's `groups`; empty for worker 0 itself. */
  readonly groups: readonly number[];
}

export interface RingDatapath extends BlockingDatapath {
  /** Writing eight bytes (a uint64 of 1) to this eventfd ends `wait` and `rest` from any thread. */
  readonly wakeFd: number;
  /** Lets frames gather for so long, or until control wakes the loop: then true. */
  rest(restUs: number): boolean;
  /** Two fanout groups for each arm, for the workers that follow. */
  readonly groups: readonly number[];
}

/**
 * Opens the rings.
 * @throws Error with errno's name if the kernel refuses (CAP_NET_RAW, no such interface, memory);
 * then nothing is left open
 */
export function openRing(options: RingOptions, libc: Libc = loadLibc()): RingDatapath {
  return openOrRelease((releases) => openWith(libc, options, releases));
}

function openWith(libc: Libc, options: RingOptions, releases: Releases): RingDatapath {
  const { arms, slots, share, cache, ...wanted } = options;
  // One run of memory for all arms: its DataView never changes, so compiled code knows its address.
  const bytes = armBytes(slots);
  const memory = mapScratch(libc, bytes * arms.length, releases);
  const base = splitAddress(memory.address);
  const rings = arms.map((arm, index) => {
    const part = { memory, offset: index * bytes };
    const { groups: known } = share ?? {};
    const groupAt = (at: number) => known?.[at] ?? NEW_GROUP;
    const groups = known && ([groupAt(2 * index), groupAt(2 * index + 1)] as const);
    return openRingArm(libc, { arm, slots, wanted, cache, groups, ...part }, releases);
  });
  const first = rings[0];
  if (first === undefined) throw new Error('a ring needs at least one arm');
  const wakeFd = openEventFd(libc, releases);
  const descriptors = rings.flatMap(({ small, large }) => [small.fd, large.fd]);
  const polled = mapPolled(libc, [...descriptors, wakeFd], releases);
  const polledWake = polled.address + BigInt(descriptors.length * POLLFD_BYTES);
  const timespec = mapScratch(libc, TIMESPEC_BYTES, releases);
  const batch = createBatch(memory.view);
  const links: LinkState[] = rings.map(({ arm }) => linkState(arm.name, arm.interfaceIndex));
  const wakeBytes = new Uint8Array(8);
  let turn = 0;
  let current = first;

  function receive(): number {
    for (let tried = 0; tried < rings.length; tried++) {
      turn = turn + 1 >= rings.length ? 0 : turn + 1;
      const ring = rings[turn] as RingArm;
      const count = receiveFrom(ring, batch, BATCH_BYTES);
      if (count === 0) continue;
      current = ring;
      batch.arm = turn;
      batch.count = count;
      return count;
    }
    batch.count = 0;
    return 0;
  }

  function sendFrom(index: number, arm: number, at: number): void {
    const tag = batch.tag[index] as number;
    const start = tag === 0 ? at : layTag(batch.frame, at, tag);
    sendFrame(rings[arm] as RingArm, base, start, batch.end[index] as number);
  }

  function flush(): void {
    for (let index = 0; index < rings.length; index++) {
      flushArm(rings[index] as RingArm);
    }
    releaseArm(current);
    batch.count = 0;
  }

  function frameWaits(): boolean {
    for (let index = 0; index < rings.length; index++) {
      if (armHasFrame(rings[index] as RingArm)) return true;
    }
    return false;
  }

  function wait(timeoutMs: number): boolean {
    for (let look = 0; look < SPIN_LOOKS; look++) {
      if (frameWaits()) return false;
    }
    const wakeAt = descriptors.length;
    if (rings.length === 0 || libc.poll(polled.address, wakeAt + 1, timeoutMs) <= 0) return false;
    for (let index = 0; index < wakeAt; index++) {
      const events = polled.view.getInt16(index * POLLFD_BYTES + 6, true);
      if (events & ~POLLIN) settleArm(rings[index >> 1] as RingArm);
    }
    if (polled.view.getInt16(wakeAt * POLLFD_BYTES + 6, true) === 0) return false;
    libc.read(wakeFd, wakeBytes, 8);
    return true;
  }

  /** Polls the eventfd alone, so that no frame costs its sender a wake-up. */
  function rest(restUs: number): boolean {
    timespec.view.setUint32(0, Math.floor(restUs / 1e6), true);
    timespec.view.setUint32(8, (restUs % 1e6) * 1000, true);
    if (libc.ppoll(polledWake, 1, timespec.address, null) <= 0) return false;
    libc.read(wakeFd, wakeBytes, 8);
    return true;
  }

  function checkLinks(): boolean {
    let changed = false;
    for (const [index, ring] of rings.entries()) {
      settleArm(ring);
      const state = linkState(ring.arm.name, ring.arm.interfaceIndex);
      if (state !== links[index]) changed = true;
      if (state === 'up' && links[index] !== 'up') bypassAgain(ring.queue);
      links[index] = state;
    }
    return changed;
  }

  /** Nothing may reach the memory afterwards: the process would end by SIGSEGV. */
  function close(): void {
    releaseArm(current);
    rings.length = 0;
    batch.count = 0;
    batch.frame = new DataView(new ArrayBuffer(0));
    releaseAll(releases);
  }

  return {
    kind: 'ring',
    arms,
    batch,
    counters: rings.map((ring) => ring.counters),
    links,
    wakeFd,
    groups: rings.flatMap(({ small, large }) => [small.group, large.group]),
    receive,
    send: (index, arm) => sendFrom(index, arm, batch.at[index] as number),
    sendAhead: (index, arm, ahead) => {
      const at = (batch.at[index] as number) - ahead;
      finishHeader(batch.frame, at);
      sendFrom(index, arm, at);
    },
    sendCopy: (bytes, arm) => copyInto(rings[arm] as RingArm, bytes),
    inject: (bytes, arm) => injectInto(rings[arm] as RingArm, bytes),
    flush,
    wait,
    rest,
    checkLinks,
    setAddresses: (next) => {
      for (const ring of rings) {
        if (share?.worker === 0) shareAmong(ring, next, share.workers);
        setWanted(ring, next);
      }
    },
    close,
  };
}

function openEventFd(libc: Libc, releases: Releases): number {
  const fd = libc.eventfd(0, EFD_NONBLOCK_CLOEXEC);
  if (fd < 0) fail(libc, 'eventfd');
  releases.push(() => libc.close(fd));
  return fd;
}

/** An array of struct pollfd: descriptor, events wanted, events found. */
function mapPolled(libc: Libc, descriptors: readonly number[], releases: Releases): Scratch {
  const polled = mapScratch(libc, descriptors.length * POLLFD_BYTES, releases);
  for (const [index, fd] of descriptors.entries()) {
    polled.view.setInt32(index * POLLFD_BYTES, fd, true);
    polled.view.setInt16(index * POLLFD_BYTES + 4, POLLIN, true);
  }
  return polled;
}

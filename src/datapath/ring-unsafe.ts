// The fast datapath: one TPACKET_V2 ring an arm, sendmmsg in place, one poll over all arms and an
// eventfd. See native-notes/ for what the kernel does and the commands that show it.

import { linkState } from '../linux/interfaces.ts';
import { loadLibc } from '../linux/libc-unsafe.ts';
import { mapScratch } from '../linux/packet-socket-unsafe.ts';
import { type Arm, type BlockingDatapath, createBatch, type LinkState } from './datapath.ts';
import {
  armHasFrame,
  closeRingArm,
  injectInto,
  openRingArm,
  type RingArm,
  receiveFrom,
  releaseArm,
  sendFrom,
  settleArm,
  setWanted,
  type Wanted,
} from './ring-arm-unsafe.ts';
import { flushQueue } from './send-queue-unsafe.ts';

const POLLIN = 0x001;
const EFD_NONBLOCK_CLOEXEC = 0o2004000;
/** A batch ends after this many bytes, so that bulk frames are sent while they are in the cache. */
const BATCH_BYTES = 512 * 1024;
/** How many times the rings are looked at before the loop sleeps in poll. */
const SPIN_LOOKS = 200;

export interface RingOptions extends Wanted {
  readonly arms: readonly Arm[];
  /** Slots of each arm for frames of up to 1,800 bytes; larger frames have one for each 16. */
  readonly slots: number;
}

export interface RingDatapath extends BlockingDatapath {
  /** Writing eight bytes (a uint64 of 1) to this eventfd ends `wait` from any thread. */
  readonly wakeFd: number;
}

/**
 * Opens the rings.
 * @throws Error with errno's name if the kernel refuses (CAP_NET_RAW, no such interface, memory)
 */
export function openRing(options: RingOptions): RingDatapath {
  const libc = loadLibc();
  const rings: RingArm[] = [];
  try {
    for (const arm of options.arms) {
      rings.push(openRingArm(libc, arm, options.slots, options));
    }
  } catch (error) {
    for (const ring of rings) closeRingArm(ring);
    throw error;
  }
  const wakeFd = libc.eventfd(0, EFD_NONBLOCK_CLOEXEC);
  const polled = mapScratch(libc, 4096);
  const descriptors = rings.flatMap(({ small, large }) => [small.fd, large.fd]);
  for (const [index, fd] of [...descriptors, wakeFd].entries()) {
    polled.view.setInt32(index * 8, fd, true);
    polled.view.setInt16(index * 8 + 4, POLLIN, true);
  }
  const first = rings[0];
  if (first === undefined) throw new Error('a ring needs at least one arm');
  const batch = createBatch(first.frame);
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
      batch.frame = ring.frame;
      batch.count = count;
      return count;
    }
    batch.count = 0;
    return 0;
  }

  function flush(): void {
    for (let index = 0; index < rings.length; index++) {
      const { queue } = rings[index] as RingArm;
      if (queue.count > 0) flushQueue(queue);
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
    if (libc.poll(polled.address, wakeAt + 1, timeoutMs) <= 0) return false;
    for (let index = 0; index < wakeAt; index++) {
      const events = polled.view.getInt16(index * 8 + 6, true);
      if (events & ~POLLIN) settleArm(rings[index >> 1] as RingArm);
    }
    if (polled.view.getInt16(wakeAt * 8 + 6, true) === 0) return false;
    libc.read(wakeFd, wakeBytes, 8);
    return true;
  }

  function checkLinks(): boolean {
    let changed = false;
    for (const [index, ring] of rings.entries()) {
      settleArm(ring);
      const state = linkState(ring.arm.name, ring.arm.interfaceIndex);
      if (state !== links[index]) changed = true;
      links[index] = state;
    }
    return changed;
  }

  return {
    kind: 'ring',
    arms: options.arms,
    batch,
    counters: rings.map((ring) => ring.counters),
    links,
    wakeFd,
    receive,
    send: (index, arm) => {
      const ring = rings[arm] as RingArm;
      sendFrom(current, ring, batch.at[index] as number, batch.end[index] as number);
    },
    inject: (bytes, arm) => injectInto(rings[arm] as RingArm, bytes),
    flush,
    wait,
    checkLinks,
    setAddresses: (vips, reals) => {
      for (const ring of rings) setWanted(ring, { vips, reals });
    },
    close: () => {
      for (const ring of rings) closeRingArm(ring);
      libc.close(wakeFd);
    },
  };
}

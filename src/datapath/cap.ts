// The portable datapath: frames by libpcap, through the package `cap`. Every frame is copied and
// sent by a call of its own, which is slower than the ring, but needs no FFI. What it must live
// with:
//  - Under overload `cap` never returns to the event loop: it calls back as long as frames come. So
//    a full batch is handed over inside that callback, and the reader must not count on timers.
//  - libpcap has no offload metadata. Partial checksums are finished on arrival; a frame that GRO
//    or TSO made longer than the MTU cannot be sent again: it counts as failed, and is told once.
//  - `cap` cannot tell what the kernel dropped. With koffi the kernel is asked; else it stays 0.
//  - If an arm goes down, the process aborts. So it runs in a child process (data-plane-child.ts).
import assert from 'node:assert/strict';
import { linkState } from '../linux/interfaces.ts';
import { formatIpv4, formatIpv6, formatMac } from '../wire/address.ts';
import { HEADROOM_BYTES } from '../wire/tunnel.ts';
import { capFilter } from './cap-filter.ts';
import { type CapHandle, type CapHandleOptions, openCapHandle } from './cap-handle-unsafe.ts';
import { completeChecksum } from './complete-checksum.ts';
import {
  type Arm,
  type ArmCounters,
  BATCH_FRAMES,
  type Batch,
  createArmCounters,
  createBatch,
  type EventDatapath,
  type LinkState,
  type Wanted,
} from './datapath.ts';

/** Room for one frame and what may come before it; libpcap gives at most 65,535 bytes. */
const SLOT_BYTES = HEADROOM_BYTES + 65_536;
const ETHERNET_BYTES = 14;
/** A frame beyond the MTU was merged, of segments that nobody tells of: taken to be short. */
const MERGED = 1 << 1;
/** 255 slots with offloads on, about 10,000 with them off, when libpcap takes smaller ones. */
const DEFAULT_BUFFER_BYTES = 16 * 1024 * 1024;

export interface CapOptions extends Wanted {
  readonly arms: readonly Arm[];
  /** Bytes of the kernel's ring of each arm; 16 MiB unless given. */
  readonly bufferBytes?: number | undefined;
  /** Told, once for each arm, what the operator can mend. */
  readonly notice?: ((text: string) => void) | undefined;
}

/** How a capture is begun; a parameter, so that tests can do without a network. */
export type OpenHandle = (options: CapHandleOptions) => CapHandle;

/** @throws Error with a message for the operator, as when an interface cannot be captured on */
export function openCap(
  options: CapOptions,
  openHandle: OpenHandle = openCapHandle,
): EventDatapath {
  return new CapDatapath(options, openHandle);
}

/** The slots of one arm: memory for a batch, and the frames that wait there. */
interface Slots {
  readonly memory: Buffer;
  readonly view: DataView;
  /** Each slot as a buffer of its own, because `cap` sends from the start of a buffer. */
  readonly frames: readonly Buffer[];
  readonly lengths: Int32Array;
  waiting: number;
}

class CapDatapath implements EventDatapath {
  readonly kind = 'cap';
  readonly arms: readonly Arm[];
  readonly batch: Batch;
  readonly counters: readonly ArmCounters[];
  readonly links: LinkState[];
  readonly #slots: readonly Slots[];
  #handles: readonly CapHandle[];
  readonly #openHandle: OpenHandle;
  readonly #bufferBytes: number;
  readonly #toldTooLong: boolean[];
  readonly #notice: (text: string) => void;
  readonly #queuedFrames: number[] = [];
  readonly #queuedArms: number[] = [];
  readonly #queuedAhead: number[] = [];
  #readable: () => void = () => {};
  /** The arm whose turn it is. */
  #next = 0;
  /** Whether a batch is out that `flush` has not given back. */
  #lent = false;
  #scheduled = false;
  #open = true;

  constructor(options: CapOptions, openHandle: OpenHandle) {
    const { arms, bufferBytes, notice } = options;
    this.arms = arms;
    this.counters = arms.map(createArmCounters);
    this.links = arms.map(() => 'up');
    this.#toldTooLong = arms.map(() => false);
    this.#notice = notice ?? (() => {});
    this.#slots = arms.map(newSlots);
    this.batch = createBatch(this.#slots[0]!.view);
    this.#openHandle = openHandle;
    this.#bufferBytes = bufferBytes ?? DEFAULT_BUFFER_BYTES;
    this.#handles = this.#capture(options);
  }

  #capture({
    vips,
    vipPrefixLengths,
    reals,
    vips6,
    vipPrefixLengths6,
    reals6,
  }: Wanted): CapHandle[] {
    const suffix = (index: number) => {
      const length = vipPrefixLengths?.[index] ?? 32;
      return length === 32 ? '' : `/${length}`;
    };
    const addresses = {
      vips: [
        ...Array.from(vips, (vip, index) => formatIpv4(vip) + suffix(index)),
        ...formatAll6(vips6).map((vip, index) => {
          const length = vipPrefixLengths6?.[index] ?? 128;
          return length === 128 ? vip : `${vip}/${length}`;
        }),
      ],
      reals: [...Array.from(reals, formatIpv4), ...formatAll6(reals6)],
    };
    return this.arms.map((arm, index) =>
      this.#openHandle({
        interface: arm.name,
        filter: capFilter({ ...addresses, ownMac: formatMac(arm.macHigh, arm.macLow) }),
        bufferBytes: this.#bufferBytes,
        onFrame: (frame, length) => this.#arrive(index, frame, length),
      }),
    );
  }

  onReadable(callback: () => void): void {
    this.#readable = callback;
  }

  receive(): number {
    assert(!this.#lent, 'receive before flush');
    for (let turn = 0; turn < this.arms.length; turn += 1) {
      const arm = this.#next;
      this.#next = (arm + 1) % this.arms.length;
      if (this.#slots[arm]!.waiting > 0) return this.#fillBatch(arm);
    }
    this.batch.count = 0;
    return 0;
  }

  send(index: number, arm: number): void {
    this.sendAhead(index, arm, 0);
  }

  sendAhead(index: number, arm: number, ahead: number): void {
    this.#queuedFrames.push(index);
    this.#queuedArms.push(arm);
    this.#queuedAhead.push(ahead);
  }

  sendCopy(bytes: Uint8Array, arm: number): void {
    this.#sendQueued();
    this.inject(bytes, arm);
  }

  inject(bytes: Uint8Array, arm: number): void {
    const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#transmit(arm, frame, bytes.length);
  }

  flush(): void {
    const { batch } = this;
    this.#sendQueued();
    if (this.#lent) this.#slots[batch.arm]!.waiting = 0;
    this.#lent = false;
    batch.count = 0;
  }

  #sendQueued(): void {
    const { batch } = this;
    const slots = this.#slots[batch.arm]!;
    for (const [position, index] of this.#queuedFrames.entries()) {
      const ahead = this.#queuedAhead[position]!;
      const at = batch.at[index]! - ahead;
      const frame = ahead === 0 ? slots.frames[index]! : slots.memory.subarray(at);
      this.#transmit(this.#queuedArms[position]!, frame, batch.end[index]! - at);
    }
    this.#queuedFrames.length = 0;
    this.#queuedArms.length = 0;
    this.#queuedAhead.length = 0;
  }

  /** A link that only loses its carrier can be seen here; one that is set down ends the process. */
  checkLinks(): boolean {
    let changed = false;
    for (const [index, arm] of this.arms.entries()) {
      const state = linkState(arm.name, arm.interfaceIndex);
      if (state !== this.links[index]) changed = true;
      this.links[index] = state;
    }
    this.#takeMissed();
    return changed;
  }

  /**
   * `cap` cannot change a filter, so new captures take the place of the old ones. A frame that
   * comes in this very moment may be lost, none is seen twice: the old ones are stopped unread.
   */
  setAddresses(wanted: Wanted): void {
    const handles = this.#capture(wanted);
    this.#takeMissed();
    for (const handle of this.#handles) handle.stop();
    this.#handles = handles;
  }

  close(): void {
    this.#open = false;
    for (const handle of this.#handles) handle.stop();
  }

  #takeMissed(): void {
    for (const [index, handle] of this.#handles.entries()) {
      this.counters[index]!.missedFrames += handle.takeMissedFrames() ?? 0;
    }
  }

  #arrive(arm: number, frame: Buffer, length: number): void {
    if (!this.#open) return;
    const slots = this.#slots[arm]!;
    const counters = this.counters[arm]!;
    // Only a reader that does not read when it is called comes to this.
    if (slots.waiting === BATCH_FRAMES || (this.#lent && this.batch.arm === arm)) {
      counters.missedFrames += 1;
      return;
    }
    counters.receivedFrames += 1;
    counters.receivedBytes += length;
    frame.copy(slots.memory, slots.waiting * SLOT_BYTES + HEADROOM_BYTES, 0, length);
    slots.lengths[slots.waiting] = length;
    slots.waiting += 1;
    if (slots.waiting === BATCH_FRAMES) this.#readable();
    else this.#schedule();
  }

  /** A batch that is not full is handed over when the event loop has seen all captures. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#open) this.#readable();
    });
  }

  #fillBatch(arm: number): number {
    const { batch } = this;
    const slots = this.#slots[arm]!;
    batch.arm = arm;
    batch.frame = slots.view;
    batch.count = slots.waiting;
    const longest = this.arms[arm]!.mtu + ETHERNET_BYTES;
    for (let index = 0; index < slots.waiting; index += 1) {
      const at = index * SLOT_BYTES + HEADROOM_BYTES;
      const end = at + slots.lengths[index]!;
      batch.at[index] = at;
      batch.end[index] = end;
      batch.offload[index] = end - at > longest ? MERGED : 0;
      completeChecksum(slots.view, at, end);
    }
    this.#lent = true;
    return batch.count;
  }

  #transmit(arm: number, frame: Buffer, length: number): void {
    if (!this.#open) return;
    const counters = this.counters[arm]!;
    try {
      this.#handles[arm]!.send(frame, length);
    } catch (error) {
      counters.failedFrames += 1;
      if ((error as Error).message.includes('Message too long')) this.#tellTooLong(arm, length);
      return;
    }
    counters.sentFrames += 1;
    counters.sentBytes += length;
  }

  #tellTooLong(arm: number, length: number): void {
    if (this.#toldTooLong[arm] === true) return;
    this.#toldTooLong[arm] = true;
    const { name, mtu } = this.arms[arm]!;
    const from = this.arms[this.batch.arm]!.name;
    this.#notice(
      `cap cannot send a frame of ${length} bytes on ${name}, whose MTU is ${mtu}: offloads merged ` +
        `packets into it before ${from} gave it to us. Turn them off here: ` +
        `ethtool -K ${from} gro off lro off tso off gso off; where the frames come from over a ` +
        'veth or a virtual machine, there too: ethtool -K INTERFACE tso off gso off tx off',
    );
  }
}

/** Addresses of four words each as text. */
function formatAll6(words: Int32Array = new Int32Array(0)): string[] {
  return Array.from({ length: words.length / 4 }, (_, index) => {
    const [first = 0, second = 0, third = 0, fourth = 0] = words.subarray(index * 4);
    return formatIpv6([first, second, third, fourth]);
  });
}

function newSlots(): Slots {
  const memory = Buffer.from(new ArrayBuffer(BATCH_FRAMES * SLOT_BYTES));
  const starts = Array.from(
    { length: BATCH_FRAMES },
    (_, index) => index * SLOT_BYTES + HEADROOM_BYTES,
  );
  return {
    memory,
    view: new DataView(memory.buffer),
    frames: starts.map((start) => memory.subarray(start, start + SLOT_BYTES - HEADROOM_BYTES)),
    lengths: new Int32Array(BATCH_FRAMES),
    waiting: 0,
  };
}

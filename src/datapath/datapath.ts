// Where frames come from and go to. A datapath has one or more arms (interfaces); it fills one
// batch at a time from one arm, the director decides in place, and the same bytes go out.
// Four steps, in this order, for ever: receive, (process), send each, flush.
import type { Ipv6 } from '../wire/address.ts';

/** Frames in one batch; sendmmsg and the ring gain nothing beyond this (measured). */
export const BATCH_FRAMES = 64;

export interface Subnet6 {
  readonly address: Ipv6;
  readonly prefixLength: number;
}

/** An interface that the director works on. */
export interface Arm {
  readonly name: string;
  /** Kernel interface index; 0 where there is no kernel. */
  readonly interfaceIndex: number;
  /** MAC address: the first four bytes as int32, the last two as uint16. */
  readonly macHigh: number;
  readonly macLow: number;
  /** The director's own IPv4 address on the arm (int32), or 0. */
  readonly address: number;
  readonly prefixLength: number;
  /** Its own IPv6 address, a global one if it has any, else the link-local one; or none. */
  readonly address6?: Ipv6 | undefined;
  readonly prefixLength6?: number | undefined;
  /** All its IPv6 subnets, `address6` and its own first. */
  readonly subnets6?: readonly Subnet6[];
  /** Largest IP packet in bytes. */
  readonly mtu: number;
  /** VLANs on this interface that the host has interfaces of their own for; none unless given. */
  readonly vlans?: readonly number[];
}

/** An address of a source pool and the worker that is its owner, or undefined: the port decides. */
export interface OwnedSource {
  /** One int32 of IPv4, four of IPv6. */
  readonly words: Int32Array;
  readonly worker: number | undefined;
}

/** What several workers are told beside that, so that each frame comes to the right one. */
export interface Shared {
  /** IPv4 addresses that stand for clients: their number says whether each has an owner. */
  readonly pool?: Int32Array;
  /** The same of IPv6, four int32 each. */
  readonly pool6?: Int32Array;
  /** Those that stand for no new client, with the owners that they had when they did. */
  readonly retired?: readonly OwnedSource[];
  /** Clients with so many leading bits in common belong together; by themselves unless given. */
  readonly clientPrefixLength?: number;
  readonly clientPrefixLength6?: number;
}

/** Whose frames are wanted: to these VIPs, from these reals; ARP and NDP always are. */
export interface Wanted extends Shared {
  /** IPv4 addresses, int32 each. */
  readonly vips: Int32Array;
  /** Of each of these VIPs; 32 unless given. */
  readonly vipPrefixLengths?: Uint8Array;
  readonly reals: Int32Array;
  /** IPv6 addresses, four int32 each; without any, no IPv6 frame is wanted. */
  readonly vips6?: Int32Array;
  /** Of each of these VIPs; 128 unless given. */
  readonly vipPrefixLengths6?: Uint8Array;
  readonly reals6?: Int32Array;
  /** Whether frames to all multicast groups are wanted, and not to those of the VIPs alone. */
  readonly allGroups?: boolean;
}

/** The frames of one receive; arrays have BATCH_FRAMES entries, of which `count` are valid. */
export interface Batch {
  count: number;
  /** Index of the arm that all frames of this batch came in on. */
  arm: number;
  /** The memory all offsets refer to; changes from arm to arm only. */
  frame: DataView;
  /**
   * Offset of the Ethernet header of each frame. HEADROOM_BYTES before it belong to the frame too:
   * free to write to, until it is sent.
   */
  readonly at: Int32Array;
  /** Offset just past the last byte of each frame. */
  readonly end: Int32Array;
  /**
   * What was left to a device. The lowest bit is 1 if the TCP/UDP checksum field holds only the sum
   * of the pseudo-header (RFC 793 3.1), to be finished by the sender. The bits above it hold how
   * many bytes of payload each segment gets if the frame is a super-frame, to be cut into them,
   * else 0.
   */
  readonly offload: Int32Array;
  /**
   * The VLAN tag that a frame came with, which is not in its bytes (IEEE 802.1Q: what kind of tag,
   * then priority and VLAN), or 0. It leaves with the same.
   */
  readonly tag: Int32Array;
}

/** Numbers of one arm since start. A frame received is counted once, whatever becomes of it. */
export interface ArmCounters {
  receivedFrames: number;
  receivedBytes: number;
  sentFrames: number;
  sentBytes: number;
  /** Lost before us: the ring was full. */
  missedFrames: number;
  /** The kernel took them not: link down, no buffers, too big. */
  failedFrames: number;
}

export type LinkState = 'up' | 'down' | 'gone';

export interface Datapath {
  readonly kind: 'ring' | 'cap' | 'memory';
  readonly arms: readonly Arm[];
  /** The batch that `receive` fills; the same object every time. */
  readonly batch: Batch;
  readonly counters: readonly ArmCounters[];
  /** Fills the batch with up to BATCH_FRAMES frames of one arm, arms in turn; returns the count. */
  receive(): number;
  /** Queues frame `index` of the batch for sending on `arm`. */
  send(index: number, arm: number): void;
  /**
   * Queues frame `index` like `send`, but it begins `ahead` bytes further ahead now, HEADROOM_BYTES
   * at most, and nothing of it is left to a device.
   */
  sendAhead(index: number, arm: number, ahead: number): void;
  /** Queues a copy of a frame that was made of one in the batch, in order with the others. */
  sendCopy(bytes: Uint8Array, arm: number): void;
  /** Sends a frame of the director's own, copied at once: ARP requests. Rare. */
  inject(bytes: Uint8Array, arm: number): void;
  /** Sends what is queued and gives the batch's memory back. Every receive > 0 needs one. */
  flush(): void;
  /** Link state of each arm as last seen; refreshed by `checkLinks`. */
  readonly links: readonly LinkState[];
  /** Looks at the links and mends what a return of a link needs; returns true if one changed. */
  checkLinks(): boolean;
  /** Tells whose frames are wanted from now on. */
  setAddresses?(wanted: Wanted): void;
  close(): void;
}

/** An empty batch over the given memory. */
export function createBatch(frame: DataView): Batch {
  return {
    count: 0,
    arm: 0,
    frame,
    at: new Int32Array(BATCH_FRAMES),
    end: new Int32Array(BATCH_FRAMES),
    offload: new Int32Array(new ArrayBuffer(BATCH_FRAMES * 4)),
    tag: new Int32Array(BATCH_FRAMES),
  };
}

/** All zero. */
export const createArmCounters = (): ArmCounters => ({
  receivedFrames: 0,
  receivedBytes: 0,
  sentFrames: 0,
  sentBytes: 0,
  missedFrames: 0,
  failedFrames: 0,
});

/** A datapath whose loop may block: it waits in the kernel until there is a frame or a wake-up. */
export interface BlockingDatapath extends Datapath {
  /** Waits until a frame is there, control woke the loop (then true), or the time is over. */
  wait(timeoutMs: number): boolean;
}

/** A datapath that lives in an event loop: it calls back when there is something to receive. */
export interface EventDatapath extends Datapath {
  /** Called with frames at hand; the callback calls receive ... flush until receive gives 0. */
  onReadable(callback: () => void): void;
}

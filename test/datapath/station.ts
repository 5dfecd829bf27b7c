// A datapath under test with a wire at each of its arms: what the conformance suite asks of it,
// whatever the wire is. Over memory it is a pair of lists, for ring and cap a veth pair.
import type { Report, SeenFrame } from './forwarder.ts';

/** Addresses that the arms have and that the suite puts into frames. */
export const ARM_MACS = ['02:00:00:00:0e:00', '02:00:00:00:0e:01'] as const;
export const FAR_MACS = ['02:00:00:00:0f:00', '02:00:00:00:0f:01'] as const;
export const VIP = '10.9.0.100';
export const REAL = '10.9.0.11';
/** Largest IP packet of each arm, in bytes. */
export const ARM_MTUS = [9000, 1500] as const;

/** What closing left behind. */
export interface Remains {
  readonly descriptors: number;
  /** Mappings of packet rings. */
  readonly mappings: number;
}

export interface Station {
  /** Puts frames on the wire towards an arm, in this order. */
  put(arm: number, frames: readonly Uint8Array[]): Promise<void>;
  /** Frames that came out of an arm so far, oldest first. */
  taken(arm: number): Promise<readonly Uint8Array[]>;
  /** The arm that the frames of each arm leave by, or -1. At first they go nowhere. */
  setWays(ways: readonly number[]): Promise<void>;
  /** Bytes to put before each frame that leaves, which is sent twice then; 0 for none. */
  setAhead(bytes: number): Promise<void>;
  /** Sends a frame of its own, or does so in the middle of the next batch. */
  inject(bytes: Uint8Array, arm: number): Promise<void>;
  injectInBatch(bytes: Uint8Array, arm: number): Promise<void>;
  /** Dotted addresses. At first VIP and REAL are wanted. */
  setAddresses(vips: readonly string[], reals: readonly string[]): Promise<void>;
  /** Frames that the datapath received. */
  seen(): Promise<readonly SeenFrame[]>;
  report(): Promise<Report>;
  /** Closes the datapath. */
  close(): Promise<Remains>;
  /** Takes everything away, also after a failed test. */
  remove(): Promise<void>;
}

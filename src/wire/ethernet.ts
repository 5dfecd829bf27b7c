// The Ethernet II header (RFC 894; IEEE 802.3). DSR rewrites its two addresses and nothing else of
// a frame. No accessor leaves a frame that `check` called good.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                    Destination address (high)                 |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |   Destination address (low)   |     Source address (high) ... |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |   ... Source address (high)   |      Source address (low)     |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |           EtherType           |  payload ...
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
import { DROP } from './drop-reason.ts';

const TRUNCATED = DROP['ethernet-truncated'];

export const HEADER_BYTES = 14;

// EtherTypes (IANA, IEEE 802 Numbers).
export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_VLAN = 0x8100;
export const TYPE_IPV6 = 0x86dd;

/** @returns 0 if the header is whole, else the number of a drop reason */
export function check(_frame: DataView, at: number, end: number): number {
  return end - at < HEADER_BYTES ? TRUNCATED : 0;
}

export function type(frame: DataView, at: number): number {
  return frame.getUint16(at + 12);
}

export function destinationHigh(frame: DataView, at: number): number {
  return frame.getInt32(at);
}

export function destinationLow(frame: DataView, at: number): number {
  return frame.getUint16(at + 4);
}

export function sourceHigh(frame: DataView, at: number): number {
  return frame.getInt32(at + 6);
}

export function sourceLow(frame: DataView, at: number): number {
  return frame.getUint16(at + 10);
}

export function setDestination(frame: DataView, at: number, high: number, low: number): void {
  frame.setInt32(at, high);
  frame.setUint16(at + 4, low);
}

export function setSource(frame: DataView, at: number, high: number, low: number): void {
  frame.setInt32(at + 6, high);
  frame.setUint16(at + 10, low);
}

/** Bytes of an IEEE 802.1Q tag. It stands between the addresses and the type. */
export const TAG_BYTES = 4;

/**
 * A copy of a frame with a tag.
 * @param tag its four bytes: what kind of tag it is, then priority and VLAN
 */
export function withTag(frame: Uint8Array, tag: number): Uint8Array {
  const bytes = new Uint8Array(frame.length + TAG_BYTES);
  bytes.set(frame.subarray(0, 12));
  new DataView(bytes.buffer).setInt32(12, tag);
  bytes.set(frame.subarray(12), 12 + TAG_BYTES);
  return bytes;
}

export function setType(frame: DataView, at: number, etherType: number): void {
  frame.setUint16(at + 12, etherType);
}

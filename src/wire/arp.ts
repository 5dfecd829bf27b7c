// ARP for IPv4 over Ethernet (RFC 826), the only kind that the director speaks: it answers for its
// VIPs and asks for its reals. No accessor leaves a packet that `check` called good.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |       Hardware type (1)       |     Protocol type (0x0800)    |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   | Hw. size (6)  | Pr. size (4)  |           Operation           |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                     Sender MAC address (high)                 |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |    Sender MAC address (low)   |     Sender IPv4 address ...   |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |    ... Sender IPv4 address    |  Target MAC address (high) ...|
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   | ... Target MAC address (high) |    Target MAC address (low)   |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                      Target IPv4 address                      |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
import { DROP } from './drop-reason.ts';

const MALFORMED = DROP['arp-malformed'];
// Hardware type 1 and protocol type 0x0800; address sizes 6 and 4.
const ETHERNET_IPV4 = 0x0001_0800;
const SIZES = 0x0604;

export const BYTES = 28;
export const REQUEST = 1;
export const REPLY = 2;

/** An ARP packet as a plain object; addresses are int32, MAC addresses in two numbers. */
export interface Packet {
  readonly operation: number;
  readonly senderMacHigh: number;
  readonly senderMacLow: number;
  readonly senderAddress: number;
  readonly targetMacHigh: number;
  readonly targetMacLow: number;
  readonly targetAddress: number;
}

/** @returns 0 if this is a whole packet of IPv4 over Ethernet, else the number of a drop reason */
export function check(frame: DataView, at: number, end: number): number {
  if (end - at < BYTES) return MALFORMED;
  if (frame.getInt32(at) !== ETHERNET_IPV4) return MALFORMED;
  return frame.getUint16(at + 4) === SIZES ? 0 : MALFORMED;
}

export function operation(frame: DataView, at: number): number {
  return frame.getUint16(at + 6);
}

export function senderMacHigh(frame: DataView, at: number): number {
  return frame.getInt32(at + 8);
}

export function senderMacLow(frame: DataView, at: number): number {
  return frame.getUint16(at + 12);
}

export function senderAddress(frame: DataView, at: number): number {
  return frame.getInt32(at + 14);
}

export function targetMacHigh(frame: DataView, at: number): number {
  return frame.getInt32(at + 18);
}

export function targetMacLow(frame: DataView, at: number): number {
  return frame.getUint16(at + 22);
}

export function targetAddress(frame: DataView, at: number): number {
  return frame.getInt32(at + 24);
}

/** Takes apart a packet that passed `check`. */
export function parse(frame: DataView, at: number): Packet {
  return {
    operation: operation(frame, at),
    senderMacHigh: senderMacHigh(frame, at),
    senderMacLow: senderMacLow(frame, at),
    senderAddress: senderAddress(frame, at),
    targetMacHigh: targetMacHigh(frame, at),
    targetMacLow: targetMacLow(frame, at),
    targetAddress: targetAddress(frame, at),
  };
}

/** Writes the 28 bytes of a packet. @returns their number */
export function emit(frame: DataView, at: number, packet: Packet): number {
  frame.setInt32(at, ETHERNET_IPV4);
  frame.setUint16(at + 4, SIZES);
  frame.setUint16(at + 6, packet.operation);
  frame.setInt32(at + 8, packet.senderMacHigh);
  frame.setUint16(at + 12, packet.senderMacLow);
  frame.setInt32(at + 14, packet.senderAddress);
  frame.setInt32(at + 18, packet.targetMacHigh);
  frame.setUint16(at + 22, packet.targetMacLow);
  frame.setInt32(at + 24, packet.targetAddress);
  return BYTES;
}

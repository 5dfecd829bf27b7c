// Neighbour discovery (RFC 4861): how IPv6 asks for MAC addresses. A solicitation goes to a group
// that the asked address belongs to, an advertisement answers it or is sent to all. That the hop
// limit is 255 shows that a message comes from this very link.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |  Type 135/136 |    Code 0     |          Checksum             |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |R|S|O|         Reserved; flags in advertisements only          |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Target Address (four words), then options:                |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     Type      | Length (in 8) |    Link-Layer Address ...
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
import type { Ipv6 } from './address.ts';
import { DROP } from './drop-reason.ts';
import * as ethernet from './ethernet.ts';
import * as icmpv6 from './icmpv6.ts';
import * as ipv6 from './ipv6.ts';

const MALFORMED = DROP['ndp-malformed'];
const BASE_BYTES = 24;
const OPTION_BYTES = 8;
const TARGET_OFFSET = 8;
const HOP_LIMIT = 255;

// Options (RFC 4861, 4.6.1).
export const SOURCE_MAC = 1;
export const TARGET_MAC = 2;

// Flags of an advertisement: it answers a solicitation; it replaces what was known.
export const SOLICITED = 0x40;
export const OVERRIDE = 0x20;

/** ff02::1, where all nodes of a link listen. */
export const ALL_NODES: Ipv6 = [0xff020000 | 0, 0, 0, 1];

/** ff02::1:ffxx:xxxx with the last three bytes of an address (RFC 4291, 2.7.1). */
export const groupOf = (address: Ipv6): Ipv6 => [0xff020000 | 0, 0, 1, 0xff000000 | address[3]];

/**
 * The rules of RFC 4861, 7.1.1 and 7.1.2, for a whole message.
 * @param l3 offset of the IPv6 header, `at` that of the message
 * @returns 0 if it is good, else the number of a drop reason
 */
export function check(frame: DataView, l3: number, at: number, end: number): number {
  if (ipv6.hopLimit(frame, l3) !== HOP_LIMIT || end - at < BASE_BYTES) return MALFORMED;
  if (icmpv6.code(frame, at) !== 0 || !icmpv6.hasGoodChecksum(frame, l3, at, end)) return MALFORMED;
  if (ipv6.isMulticast(frame, target(at)) || !hasGoodOptions(frame, at, end)) return MALFORMED;
  const toGroup = ipv6.isMulticast(frame, l3 + ipv6.DESTINATION_OFFSET);
  if (icmpv6.type(frame, at) === icmpv6.NEIGHBOUR_ADVERTISEMENT) {
    return toGroup && (flags(frame, at) & SOLICITED) !== 0 ? MALFORMED : 0;
  }
  if (!ipv6.isUnspecified(frame, l3 + ipv6.SOURCE_OFFSET)) return 0;
  // One who looks whether his address is taken: he asks the group, and names no MAC address.
  return toGroup && macOption(frame, at, end, SOURCE_MAC) === 0 ? 0 : MALFORMED;
}

function hasGoodOptions(frame: DataView, at: number, end: number): boolean {
  let option = at + BASE_BYTES;
  while (end - option >= OPTION_BYTES) {
    const bytes = frame.getUint8(option + 1) << 3;
    if (bytes === 0) return false;
    option += bytes;
  }
  return option === end;
}

/** Offset of the address that a message is about. */
export const target = (at: number): number => at + TARGET_OFFSET;

export const flags = (frame: DataView, at: number): number => frame.getUint8(at + 4) & 0xe0;

/** Offset of the MAC address in an option of a message that passed `check`; 0 if there is none. */
export function macOption(frame: DataView, at: number, end: number, kind: number): number {
  for (let option = at + BASE_BYTES; end - option >= OPTION_BYTES; ) {
    const units = frame.getUint8(option + 1);
    if (frame.getUint8(option) === kind && units === 1) return option + 2;
    option += Math.max(1, units) << 3;
  }
  return 0;
}

/** What a message of our own says; each has its MAC address in an option. */
export interface Message {
  readonly type: number;
  /** Of an advertisement. */
  readonly flags?: number;
  readonly source: Ipv6;
  readonly destination: Ipv6;
  readonly target: Ipv6;
  readonly macHigh: number;
  readonly macLow: number;
  /** The station to send it to; if left out, the group of the destination. */
  readonly to?: { readonly high: number; readonly low: number } | undefined;
}

const NO_DATA = new Uint8Array(BASE_BYTES + OPTION_BYTES - icmpv6.HEADER_BYTES);

/** A whole Ethernet frame. */
export function message(fields: Message): Uint8Array {
  const l3 = ethernet.HEADER_BYTES;
  const at = l3 + ipv6.HEADER_BYTES;
  const payloadBytes = BASE_BYTES + OPTION_BYTES;
  const bytes = new Uint8Array(at + payloadBytes);
  const frame = new DataView(bytes.buffer);
  const { source, destination, macHigh, macLow, type } = fields;
  // RFC 2464, 7: 33:33 and the last four bytes of the group.
  const group = { high: 0x33330000 | (destination[3] >>> 16), low: destination[3] & 0xffff };
  const to = fields.to ?? group;
  ethernet.setDestination(frame, 0, to.high, to.low);
  ethernet.setSource(frame, 0, macHigh, macLow);
  ethernet.setType(frame, 0, ethernet.TYPE_IPV6);
  const rest = { trafficClass: 0, flowLabel: 0, nextHeader: ipv6.PROTOCOL_ICMPV6 };
  ipv6.emit(frame, l3, { ...rest, payloadBytes, hopLimit: HOP_LIMIT, source, destination });
  icmpv6.emit(frame, l3, at, { type, word: (fields.flags ?? 0) << 24, data: NO_DATA });
  ipv6.setAddress(frame, target(at), fields.target);
  const isQuestion = type === icmpv6.NEIGHBOUR_SOLICITATION;
  frame.setUint16(at + BASE_BYTES, ((isQuestion ? SOURCE_MAC : TARGET_MAC) << 8) | 1);
  frame.setInt32(at + BASE_BYTES + 2, macHigh);
  frame.setUint16(at + BASE_BYTES + 6, macLow);
  icmpv6.refreshChecksum(frame, l3, at, bytes.length);
  return bytes;
}

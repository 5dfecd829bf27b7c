// Whole IPv6 frames from plain objects: what frame.ts is for IPv4. What is built is right,
// checksums included; extension headers go in as they are.
import { type Ipv6, parseIpv6, parseMac } from '../../src/wire/address.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as udp from '../../src/wire/udp.ts';
import { naiveSum } from '../wire/naive-checksum.ts';

export interface Fields6 {
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly source: string;
  readonly destination: string;
  /** 64. */
  readonly hopLimit?: number;
  /** 0x12345. */
  readonly flowLabel?: number;
  /** Headers between that of IPv6 and what it carries, the number of the first one before it. */
  readonly extensions?: { readonly first: number; readonly bytes: readonly number[] };
}

export interface PortFields6 extends Fields6 {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload?: Uint8Array;
  readonly partialChecksum?: boolean;
  /** Of TCP; ACK. */
  readonly flags?: number;
  /** Of TCP; 1. */
  readonly sequence?: number;
}

const L3 = ethernet.HEADER_BYTES;
const NO_BYTES = new Uint8Array(0);

export const addressOf = (text: string): Ipv6 => {
  const address = parseIpv6(text);
  if (address === undefined) throw new TypeError(`'${text}' is no IPv6 address`);
  return address;
};

/** The frame with room for what the packet carries, and where that begins. */
function frameFor(fields: Fields6, protocol: number, carriedBytes: number) {
  const { first = protocol, bytes = [] } = fields.extensions ?? {};
  const l4 = L3 + ipv6.HEADER_BYTES + bytes.length;
  const frame = new Uint8Array(l4 + carriedBytes);
  const view = new DataView(frame.buffer);
  const [to, from] = [parseMac(fields.destinationMac)!, parseMac(fields.sourceMac)!];
  ethernet.setDestination(view, 0, to.high, to.low);
  ethernet.setSource(view, 0, from.high, from.low);
  ethernet.setType(view, 0, ethernet.TYPE_IPV6);
  ipv6.emit(view, L3, {
    ...{ trafficClass: 0, flowLabel: fields.flowLabel ?? 0x12345, nextHeader: first },
    ...{ payloadBytes: bytes.length + carriedBytes, hopLimit: fields.hopLimit ?? 64 },
    ...{ source: addressOf(fields.source), destination: addressOf(fields.destination) },
  });
  frame.set(bytes, L3 + ipv6.HEADER_BYTES);
  return { frame, view, l4 };
}

/** The naive sum of the pseudo-header (RFC 8200, 8.1) of the packet in a frame. */
export function pseudoSum(frame: Uint8Array, protocol: number, carriedBytes: number): number {
  const length = [0, 0, carriedBytes >> 8, carriedBytes & 255];
  return naiveSum([...frame.slice(L3 + 8, L3 + 40), ...length, 0, 0, 0, protocol]);
}

const NOWHERE = { source: 0, destination: 0 };

/** Puts the right sum, or the beginning of one, into a field that `emit` filled for IPv4. */
function finish(
  frame: Uint8Array,
  [protocol, l4, field]: readonly [number, number, number],
  partial: boolean | undefined,
): Uint8Array {
  const view = new DataView(frame.buffer);
  view.setUint16(l4 + field, 0);
  const seed = pseudoSum(frame, protocol, frame.length - l4);
  const sum = 0xffff - naiveSum(frame.slice(l4), seed);
  view.setUint16(l4 + field, partial ? seed : sum || (protocol === 17 ? 0xffff : 0));
  return frame;
}

export function tcp6(fields: PortFields6): Uint8Array {
  const payload = fields.payload ?? NO_BYTES;
  const { frame, view, l4 } = frameFor(fields, 6, tcp.HEADER_BYTES + payload.length);
  const { sourcePort, destinationPort, flags = tcp.ACK, sequence = 1 } = fields;
  const rest = { sequence, acknowledgment: 2, window: 1000, urgentPointer: 0 };
  const segment = { sourcePort, destinationPort, flags, ...rest, options: NO_BYTES, payload };
  tcp.emit(view, l4, segment, NOWHERE);
  return finish(frame, [6, l4, tcp.CHECKSUM_OFFSET], fields.partialChecksum);
}

export function udp6(fields: PortFields6): Uint8Array {
  const payload = fields.payload ?? NO_BYTES;
  const { frame, view, l4 } = frameFor(fields, 17, udp.HEADER_BYTES + payload.length);
  const { sourcePort, destinationPort } = fields;
  udp.emit(view, l4, { sourcePort, destinationPort, payload }, NOWHERE);
  return finish(frame, [17, l4, udp.CHECKSUM_OFFSET], fields.partialChecksum);
}

/** A packet of another protocol, with the sum that it came with. */
export function carrying6(fields: Fields6, protocol: number, packet: Uint8Array): Uint8Array {
  const { frame, l4 } = frameFor(fields, protocol, packet.length);
  frame.set(packet, l4);
  return frame;
}

export interface IcmpFields6 extends Fields6 {
  readonly type: number;
  readonly code?: number;
  readonly word?: number;
  readonly data?: Uint8Array;
}

export function icmp6({ type, code = 0, word = 0, data = NO_BYTES, ...fields }: IcmpFields6) {
  const { frame, view, l4 } = frameFor(fields, 58, icmpv6.HEADER_BYTES + data.length);
  icmpv6.emit(view, L3, l4, { type, code, word, data });
  return frame;
}

/** Eight bytes of padding in a header of options, before what `next` is the number of. */
export const optionsBefore = (next: number): number[] => [next, 0, 1, 4, 0, 0, 0, 0];

/** Cuts a packet into fragments, each with so many bytes of what it carries but the last. */
export function cut6(frame: Uint8Array, bytes: number, identification = 7): Uint8Array[] {
  const [next, carried] = [frame[L3 + 6]!, frame.slice(L3 + 40)];
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < carried.length; at += bytes) {
    const part = carried.slice(at, at + bytes);
    const piece = new Uint8Array(L3 + 48 + part.length);
    piece.set(frame.slice(0, L3 + 40));
    piece.set(part, L3 + 48);
    const view = new DataView(piece.buffer);
    view.setUint16(L3 + 4, 8 + part.length);
    view.setUint8(L3 + 6, ipv6.FRAGMENT);
    view.setUint8(L3 + 40, next);
    view.setUint16(L3 + 42, at | (at + bytes < carried.length ? 1 : 0));
    view.setUint32(L3 + 44, identification);
    pieces.push(piece);
  }
  return pieces;
}

// Packets as the hosts of a simulation see them, of either family and of TCP, UDP and SCTP alike:
// taken apart and built; cut into fragments, and put together again; and the errors about them.
import { tcpFrame, udpFrame } from '../../lab/frame.ts';
import { formatIpv4, formatIpv6, type Ipv6, type Mac } from '../../src/wire/address.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { carrying6, cut6, tcp6, udp6 } from '../packets/frames6.ts';
import { cutUp, putTogether } from '../packets/pieces.ts';
import { sctpFrame, sctpPacket } from '../wire/sctp-frames.ts';

export type Protocol = 6 | 17 | 132;

export interface Segment {
  readonly protocol: Protocol;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** 64 unless given; the hop limit of IPv6. */
  readonly timeToLive?: number;
  /** Of TCP its flags, of SCTP the type of its chunk, of UDP 0. */
  readonly flags: number;
  /**
   * Of TCP, and the verification tag of SCTP: a client has its connection's number there, which
   * nobody on the way changes.
   */
  readonly sequence?: number;
  readonly payload: Uint8Array;
}

/** The stations that a frame is from and to. */
export interface Macs {
  readonly sourceMac: string;
  readonly destinationMac: string;
}

const L3 = ethernet.HEADER_BYTES;
const TYPE_IPV6 = 0x86dd;
const FRAGMENT = 44;
const [ICMP, ICMP6] = [1, 58];

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

export const isIpv6 = (bytes: Uint8Array): boolean => viewOf(bytes).getUint16(12) === TYPE_IPV6;

/** A MAC address as one number. */
export const macNumber = ({ high, low }: Mac): number => (high >>> 0) * 0x10000 + low;

export const macTo = (bytes: Uint8Array): number => {
  const frame = viewOf(bytes);
  return frame.getUint32(0) * 0x10000 + frame.getUint16(4);
};

const texts4 = new Map<number, string>();
const texts6 = new Map<string, string>();

/** The same few addresses come again and again. */
function remember<K>(texts: Map<K, string>, key: K, format: () => string): string {
  const known = texts.get(key);
  if (known !== undefined) return known;
  if (texts.size > 10_000) texts.clear();
  const text = format();
  texts.set(key, text);
  return text;
}

export function addressAt(frame: DataView, at: number, family: 4 | 6): string {
  if (family === 4) {
    const address = frame.getInt32(at);
    return remember(texts4, address, () => formatIpv4(address));
  }
  const words = [0, 4, 8, 12].map((offset) => frame.getInt32(at + offset));
  return remember(texts6, words.join(), () => formatIpv6(words as unknown as Ipv6));
}

/** The address that a frame's packet comes from, be it whole or a piece. */
export function sourceOf(frame: Uint8Array): string {
  const family = isIpv6(frame) ? 6 : 4;
  return addressAt(viewOf(frame), L3 + (family === 4 ? 12 : 8), family);
}

/** Takes the packet apart that begins at `l3`: a whole one, or a first fragment. */
export function readSegment(bytes: Uint8Array, l3 = L3): Segment {
  const frame = viewOf(bytes);
  const family = frame.getUint8(l3) >>> 4 === 4 ? 4 : 6;
  const next = frame.getUint8(l3 + (family === 4 ? 9 : 6));
  const isPiece6 = family === 6 && next === FRAGMENT;
  const l4 = l3 + (family === 4 ? 20 : isPiece6 ? 48 : 40);
  const last = family === 4 ? l3 + frame.getUint16(l3 + 2) : l3 + 40 + frame.getUint16(l3 + 4);
  const protocol = (isPiece6 ? frame.getUint8(l3 + 40) : next) as Protocol;
  const [from, length] = family === 4 ? [12, 4] : [8, 16];
  return {
    protocol,
    source: addressAt(frame, l3 + from, family),
    destination: addressAt(frame, l3 + from + length, family),
    sourcePort: frame.getUint16(l4),
    destinationPort: frame.getUint16(l4 + 2),
    timeToLive: frame.getUint8(l3 + (family === 4 ? 8 : 7)),
    flags: protocol === 17 ? 0 : frame.getUint8(l4 + (protocol === 6 ? 13 : 12)),
    sequence: protocol === 17 ? 0 : frame.getUint32(l4 + 4),
    payload: payloadOf(bytes, l4, last, protocol),
  };
}

/** Of SCTP the value of the first chunk. A packet that is quoted in part has what is there. */
function payloadOf(bytes: Uint8Array, l4: number, last: number, protocol: Protocol): Uint8Array {
  if (protocol === 6) return bytes.slice(l4 + 20, last);
  if (protocol === 17) return bytes.slice(l4 + 8, last);
  return bytes.slice(l4 + 16, l4 + 12 + viewOf(bytes).getUint16(l4 + 14));
}

export function buildSegment(segment: Segment & Macs): Uint8Array {
  const { protocol, source, flags, sequence = 0, payload, timeToLive: hopLimit = 64 } = segment;
  const chunked = { tag: sequence, chunks: [{ type: flags, value: payload }] };
  if (source.includes(':')) {
    if (protocol === 6) return tcp6({ ...segment, hopLimit });
    if (protocol === 17) return udp6({ ...segment, hopLimit });
    return carrying6({ ...segment, hopLimit }, 132, sctpPacket({ ...segment, ...chunked }));
  }
  if (protocol === 6) return tcpFrame(segment);
  return protocol === 17 ? udpFrame(segment) : sctpFrame({ ...segment, ...chunked });
}

/** The frame whole, or in fragments of eight bytes. */
export function inPieces(frame: Uint8Array, identification: number): Uint8Array[] {
  if (identification === 0) return [frame];
  const bytes = frame.length > 120 ? 40 : 8;
  return isIpv6(frame) ? cut6(frame, bytes, identification) : cutUp(frame, [bytes], identification);
}

export function isPiece(bytes: Uint8Array): boolean {
  const frame = viewOf(bytes);
  if (isIpv6(bytes)) return frame.getUint8(L3 + 6) === FRAGMENT;
  return (frame.getUint16(L3 + 6) & 0x3fff) !== 0;
}

/** Keeps fragments until their packet is whole. */
export interface Reassembly {
  /** The packet that is whole with this frame, or undefined. */
  add(frame: Uint8Array): Uint8Array | undefined;
}

export function createReassembly(): Reassembly {
  const waiting = new Map<string, Map<number, Uint8Array>>();
  return {
    add(frame) {
      if (!isPiece(frame)) return frame;
      const view = viewOf(frame);
      const family = isIpv6(frame) ? 6 : 4;
      const id = family === 4 ? view.getUint16(L3 + 4) : view.getUint32(L3 + 44);
      const key = `${sourceOf(frame)} ${id}`;
      const pieces = waiting.get(key) ?? new Map<number, Uint8Array>();
      const offset = family === 4 ? view.getUint16(L3 + 6) & 0x1fff : view.getUint16(L3 + 42) >>> 3;
      waiting.set(key, pieces.set(offset, frame));
      if (family === 6) return putTogether6([...pieces.values()]);
      try {
        return putTogether([...pieces.values()]);
      } catch {
        return undefined;
      }
    },
  };
}

/** The same for IPv6, where a packet is whole once its pieces follow each other up to the last. */
function putTogether6(pieces: readonly Uint8Array[]): Uint8Array | undefined {
  const offsetOf = (piece: Uint8Array) => viewOf(piece).getUint16(L3 + 42) & 0xfff8;
  const sorted = pieces.toSorted((one, other) => offsetOf(one) - offsetOf(other));
  let at = 0;
  for (const piece of sorted) {
    if (offsetOf(piece) !== at) return undefined;
    at += piece.length - L3 - 48;
  }
  const [first, last] = [sorted[0]!, sorted.at(-1)!];
  if ((viewOf(last).getUint16(L3 + 42) & 1) !== 0) return undefined;
  const whole = new Uint8Array(L3 + 40 + at);
  whole.set(first.subarray(0, L3 + 40));
  for (const piece of sorted) whole.set(piece.subarray(L3 + 48), L3 + 40 + offsetOf(piece));
  viewOf(whole).setUint16(L3 + 4, at);
  whole[L3 + 6] = first[L3 + 40]!;
  return whole;
}

/** An error of ICMP, and the packet that it quotes. */
export interface ErrorSeen {
  readonly type: number;
  readonly source: string;
  readonly destination: string;
  readonly quoted: Segment;
}

/** Reads an error of either family; undefined for any other packet. */
export function readError(bytes: Uint8Array): ErrorSeen | undefined {
  const frame = viewOf(bytes);
  const family = isIpv6(bytes) ? 6 : 4;
  const protocol = frame.getUint8(L3 + (family === 4 ? 9 : 6));
  if (protocol !== (family === 4 ? ICMP : ICMP6)) return undefined;
  const l4 = L3 + (family === 4 ? 20 : 40);
  const type = frame.getUint8(l4);
  if (family === 4 ? ![3, 11, 12].includes(type) : type > 127) return undefined;
  const [from, length] = family === 4 ? [12, 4] : [8, 16];
  return {
    type,
    source: addressAt(frame, L3 + from, family),
    destination: addressAt(frame, L3 + from + length, family),
    quoted: readSegment(bytes, l4 + 8),
  };
}

/** Of a whole packet or a piece; of an error, the protocol of what it speaks of. */
export function protocolOf(bytes: Uint8Array): number {
  const error = readError(bytes);
  if (error !== undefined) return error.quoted.protocol;
  const frame = viewOf(bytes);
  if (!isIpv6(bytes)) return frame.getUint8(L3 + 9);
  return frame.getUint8(isPiece(bytes) ? L3 + 40 : L3 + 6);
}

/** What a request or a reply says. */
export interface Message {
  readonly connection: number;
  readonly request: number;
  /** Index of the real that answers; -1 in a request. */
  readonly real: number;
}

/** Messages of some connections are longer: a narrow tunnel has something to complain of. */
const PADDING = new Uint8Array(96);

export const encodeMessage = ({ connection, request, real }: Message): Uint8Array =>
  Uint8Array.of(
    ...new Uint8Array(Int32Array.of(connection, request, real).buffer),
    ...(connection % 3 === 0 ? PADDING : []),
  );

export function decodeMessage(payload: Uint8Array): Message | undefined {
  if (payload.length < 12) return undefined;
  const [connection = 0, request = 0, real = 0] = new Int32Array(payload.slice(0, 12).buffer);
  return { connection, request, real };
}

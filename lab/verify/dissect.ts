// Takes a captured frame apart into a plain record, once, for everything that verify asks about it.
// It reads the bytes by itself and shares nothing with src/wire: a judge that used the director's
// own parser and checksums would repeat the director's mistakes. It never throws: whatever a frame
// does not hold is left out of its record.
import { createHash } from 'node:crypto';

/** A frame as a capture file holds it. */
export interface CapturedFrame {
  /** Position in the file, from 1, as Wireshark counts. */
  readonly number: number;
  readonly timestampUs: number;
  readonly bytes: Uint8Array;
  /** Length on the wire; more than `bytes` if the capture cut the frame. */
  readonly originalBytes: number;
}

/**
 * State of a TCP or UDP checksum. `partial`: the field holds the sum of the pseudo-header, not
 * complemented, because the sender left the rest to its network card (normal on veth). `none`: UDP
 * without a checksum. `unknown`: the capture cut the frame.
 */
export type ChecksumState = 'good' | 'partial' | 'bad' | 'none' | 'unknown';

export interface Arp {
  readonly operation: number;
  readonly senderMac: string;
  readonly senderAddress: string;
  readonly targetAddress: string;
}

export interface Icmp {
  readonly type: number;
  readonly code: number;
  /** Of the packet that an ICMP error quotes. */
  readonly quoted: Tuple | undefined;
}

export interface Tuple {
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** An IPv4 packet; ports are 0 where the protocol has none. */
export interface Packet extends Tuple {
  readonly id: number;
  readonly ttl: number;
  readonly headerBytes: number;
  /** Of IP, as the header says. */
  readonly totalBytes: number;
  readonly headerChecksumGood: boolean;
  readonly checksum: ChecksumState;
  /** TCP only; 0 otherwise. */
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  /** Offset of the payload in the frame. */
  readonly payloadAt: number;
  readonly payloadBytes: number;
  /** Of the payload; empty if there is none or the capture cut it. */
  readonly payloadHash: string;
  readonly icmp: Icmp | undefined;
}

export interface Frame {
  readonly file: string;
  readonly number: number;
  readonly timestampUs: number;
  readonly bytes: Uint8Array;
  readonly cut: boolean;
  readonly destinationMac: string;
  readonly sourceMac: string;
  readonly etherType: number;
  readonly arp: Arp | undefined;
  readonly packet: Packet | undefined;
}

export const ETHERNET_BYTES = 14;
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;

/** Where a frame was captured. */
export interface CapturePoint {
  /** Name of the capture file, which every piece of evidence cites. */
  readonly file: string;
  /** `off`: no card is left to finish a checksum, so a partial one is bad. */
  readonly offloads: 'on' | 'off';
}

export function dissect({ file, offloads }: CapturePoint, captured: CapturedFrame): Frame {
  const { number, timestampUs, bytes } = captured;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length >= ETHERNET_BYTES;
  const etherType = whole ? view.getUint16(12) : 0;
  return {
    file,
    number,
    timestampUs,
    bytes,
    cut: captured.originalBytes > bytes.length,
    destinationMac: whole ? macAt(bytes, 0) : '',
    sourceMac: whole ? macAt(bytes, 6) : '',
    etherType,
    arp: etherType === ETHERTYPE_ARP ? arpAt(view, bytes) : undefined,
    packet: etherType === ETHERTYPE_IPV4 ? packetAt(view, bytes, offloads) : undefined,
  };
}

export function payloadOf(frame: Frame): Uint8Array {
  const packet = frame.packet;
  if (packet === undefined) return frame.bytes.subarray(0, 0);
  return frame.bytes.subarray(packet.payloadAt, packet.payloadAt + packet.payloadBytes);
}

const IP_FIELDS: Readonly<Record<number, string>> = {
  4: 'the IP id',
  8: 'the TTL',
  10: 'the IP checksum',
  12: 'the source address',
  16: 'the destination address',
};

/** What lies at an offset of a frame, in words. */
export function fieldAt({ packet }: Frame, at: number): string {
  const elsewhere = `byte ${at} of the frame`;
  if (packet === undefined || at < ETHERNET_BYTES) return elsewhere;
  if (at >= packet.payloadAt) return 'the payload';
  const l4 = ETHERNET_BYTES + packet.headerBytes;
  if (at < l4) {
    const offset = at - ETHERNET_BYTES;
    // Two bytes and addresses of four: what starts at or before the byte.
    const start = offset >= 12 ? offset & ~3 : offset >= 10 ? 10 : offset === 5 ? 4 : offset;
    return IP_FIELDS[start] ?? elsewhere;
  }
  if (at < l4 + 4) return at < l4 + 2 ? 'the source port' : 'the destination port';
  return at >> 1 === checksumAt(packet) >> 1 ? CHECKSUM_FIELD : elsewhere;
}

export const CHECKSUM_FIELD = 'the TCP or UDP checksum';

/** Offset of the checksum of TCP (RFC 9293) or UDP (RFC 768) in the frame. */
export const checksumAt = ({ headerBytes, protocol }: Packet): number =>
  ETHERNET_BYTES + headerBytes + (protocol === TCP ? 16 : 6);

function macAt(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, 6)
    .toString('hex')
    .replace(/..(?!$)/g, '$&:');
}

const addressAt = (bytes: Uint8Array, at: number) => bytes.subarray(at, at + 4).join('.');

function arpAt(view: DataView, bytes: Uint8Array): Arp | undefined {
  if (bytes.length < ETHERNET_BYTES + 28) return undefined;
  return {
    operation: view.getUint16(20),
    senderMac: macAt(bytes, 22),
    senderAddress: addressAt(bytes, 28),
    targetAddress: addressAt(bytes, 38),
  };
}

/** The layer-4 part of a packet, before its checksum is looked at. */
type Layer4 = Pick<
  Packet,
  'sourcePort' | 'destinationPort' | 'sequence' | 'acknowledgement' | 'flags' | 'icmp'
> & { readonly headerBytes: number };

function packetAt(
  view: DataView,
  bytes: Uint8Array,
  offloads: CapturePoint['offloads'],
): Packet | undefined {
  const l3 = ETHERNET_BYTES;
  if (bytes.length < l3 + 20 || view.getUint8(l3) >> 4 !== 4) return undefined;
  const headerBytes = (view.getUint8(l3) & 15) * 4;
  const totalBytes = view.getUint16(l3 + 2);
  if (headerBytes < 20 || bytes.length < l3 + headerBytes || totalBytes < headerBytes) {
    return undefined;
  }
  const protocol = view.getUint8(l3 + 9);
  const l4 = l3 + headerBytes;
  const end = l3 + totalBytes;
  const cut = bytes.length < end;
  const fragment = (view.getUint16(l3 + 6) & 0x1fff) !== 0;
  const layer4 = fragment ? NO_LAYER4 : layer4At(view, bytes, protocol, l4);
  const state = cut || fragment ? 'unknown' : checksumState(view, protocol, l4, end);
  const { headerBytes: layer4Bytes, ...fields } = layer4;
  const payloadAt = l4 + layer4Bytes;
  const payloadBytes = Math.max(0, end - payloadAt);
  return {
    protocol,
    source: addressAt(bytes, l3 + 12),
    destination: addressAt(bytes, l3 + 16),
    id: view.getUint16(l3 + 4),
    ttl: view.getUint8(l3 + 8),
    headerBytes,
    totalBytes,
    headerChecksumGood: fold(sumOf(view, l3, l4)) === 0xffff,
    checksum: state === 'partial' && offloads === 'off' ? 'bad' : state,
    ...fields,
    payloadAt,
    payloadBytes,
    payloadHash: cut || payloadBytes === 0 ? '' : hashOf(bytes.subarray(payloadAt, end)),
  };
}

const NO_LAYER4: Layer4 = {
  sourcePort: 0,
  destinationPort: 0,
  sequence: 0,
  acknowledgement: 0,
  flags: 0,
  icmp: undefined,
  headerBytes: 0,
};

function layer4At(view: DataView, bytes: Uint8Array, protocol: number, l4: number): Layer4 {
  const room = bytes.length - l4;
  if (protocol === ICMP && room >= 8) {
    const icmp = { type: view.getUint8(l4), code: view.getUint8(l4 + 1) };
    return { ...NO_LAYER4, headerBytes: 8, icmp: { ...icmp, quoted: quotedAt(view, bytes, l4) } };
  }
  if (protocol === UDP && room >= 8) return { ...NO_LAYER4, ...portsAt(view, l4), headerBytes: 8 };
  if (protocol !== TCP || room < 20) return NO_LAYER4;
  return {
    ...portsAt(view, l4),
    sequence: view.getUint32(l4 + 4),
    acknowledgement: view.getUint32(l4 + 8),
    flags: view.getUint8(l4 + 13),
    icmp: undefined,
    headerBytes: (view.getUint8(l4 + 12) >> 4) * 4,
  };
}

const portsAt = (view: DataView, l4: number) => ({
  sourcePort: view.getUint16(l4),
  destinationPort: view.getUint16(l4 + 2),
});

/** What an ICMP error (types 3, 4, 5, 11, 12) quotes: IP header and 8 bytes, RFC 792. */
function quotedAt(view: DataView, bytes: Uint8Array, l4: number): Tuple | undefined {
  if (![3, 4, 5, 11, 12].includes(view.getUint8(l4)) || bytes.length < l4 + 8 + 28) {
    return undefined;
  }
  const at = l4 + 8;
  const inner = at + (view.getUint8(at) & 15) * 4;
  if (bytes.length < inner + 4) return undefined;
  return {
    protocol: view.getUint8(at + 9),
    source: addressAt(bytes, at + 12),
    destination: addressAt(bytes, at + 16),
    ...portsAt(view, inner),
  };
}

function checksumState(view: DataView, protocol: number, l4: number, end: number): ChecksumState {
  if (protocol === ICMP) return fold(sumOf(view, l4, end)) === 0xffff ? 'good' : 'bad';
  const field = protocol === TCP ? l4 + 16 : l4 + 6;
  if ((protocol !== TCP && protocol !== UDP) || field + 2 > end) return 'unknown';
  const stored = view.getUint16(field);
  if (protocol === UDP && stored === 0) return 'none';
  const pseudo = sumOf(view, ETHERNET_BYTES + 12, ETHERNET_BYTES + 20) + protocol + (end - l4);
  if (fold(pseudo + sumOf(view, l4, end)) === 0xffff) return 'good';
  return stored === fold(pseudo) ? 'partial' : 'bad';
}

/** The sum of big-endian 16-bit words (RFC 1071); an odd last byte is the high half of a word. */
function sumOf(view: DataView, from: number, end: number): number {
  let sum = 0;
  let at = from;
  for (; at + 1 < end; at += 2) sum += view.getUint16(at);
  return at < end ? sum + (view.getUint8(at) << 8) : sum;
}

function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

const hashOf = (bytes: Uint8Array) =>
  createHash('sha256').update(bytes).digest('base64url').slice(0, 16);

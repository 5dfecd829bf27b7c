// Takes a captured frame apart into a plain record, once, for everything that verify asks about it.
// It reads the bytes by itself and shares nothing with src/wire: a judge that used the director's
// own parser and checksums would repeat the director's mistakes. It never throws: whatever a frame
// does not hold is left out of its record.
import { createHash } from 'node:crypto';
import { type IpHeader, ipHeaderAt, ipv4Text, ipv6Text } from './ip-header.ts';

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

/** A question for a MAC address or its answer: of ARP, or of NDP in the same words. */
export interface Arp {
  /** 1 asks, 2 answers. */
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

/** An IP packet; ports are 0 where the protocol has none. */
export interface Packet extends Tuple {
  readonly version: 4 | 6;
  /** Of IPv6 the flow label. */
  readonly id: number;
  /** Of IPv6 the hop limit. */
  readonly ttl: number;
  readonly headerBytes: number;
  /** Of IP, as the header says. */
  readonly totalBytes: number;
  /** IPv6 has none, and that is good. */
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

/** The outer headers of a packet within another. */
export interface Tunnel {
  readonly kind: 'ipip' | 'gue';
  readonly source: string;
  readonly destination: string;
  /** 0 without one. */
  readonly sourcePort: number;
  /** Where the inner packet lies in the frame. */
  readonly innerAt: number;
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
  /** Of a tunnel the inner one; its checksums are good if the outer ones are too. */
  readonly packet: Packet | undefined;
  readonly tunnel: Tunnel | undefined;
}

export const ETHERNET_BYTES = 14;
const ICMP = 1;
const ICMPV6 = 58;
export const TCP = 6;
export const UDP = 17;
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
/** Neighbour solicitation and advertisement (RFC 4861, 4.3 and 4.4). */
const SOLICITATION = 135;
const ADVERTISEMENT = 136;

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
    arp: questionAt(view, bytes, etherType),
    ...(isIp(etherType) ? contentAt(view, bytes, offloads) : NO_CONTENT),
  };
}

export function payloadOf(frame: Frame): Uint8Array {
  const packet = frame.packet;
  if (packet === undefined) return frame.bytes.subarray(0, 0);
  return frame.bytes.subarray(packet.payloadAt, packet.payloadAt + packet.payloadBytes);
}

const NO_CONTENT = { packet: undefined, tunnel: undefined };
const IPIP = 4;
const IPV6 = 41;
/** Of GUE at the reals (`tunnel: { port }` of the configuration, as it is by default). */
const GUE_PORT = 6080;

/** Which tunnel a packet is one of. */
export function tunnelOf({ protocol, destinationPort }: Tuple): Tunnel['kind'] | undefined {
  if (protocol === IPIP || protocol === IPV6) return 'ipip';
  return protocol === UDP && destinationPort === GUE_PORT ? 'gue' : undefined;
}

/** A packet, or the one within it. */
function contentAt(
  view: DataView,
  bytes: Uint8Array,
  offloads: CapturePoint['offloads'],
): Pick<Frame, 'packet' | 'tunnel'> {
  const outer = packetAt(view, bytes, offloads, ETHERNET_BYTES);
  const kind = outer === undefined ? undefined : tunnelOf(outer);
  if (outer === undefined || kind === undefined) return { packet: outer, tunnel: undefined };
  const { source, destination, sourcePort, payloadAt } = outer;
  const innerAt = kind === 'gue' ? payloadAt + gueBytes(view, payloadAt) : payloadAt;
  const inner = packetAt(view, bytes, offloads, innerAt);
  if (inner === undefined) return { packet: outer, tunnel: undefined };
  const packet = {
    ...inner,
    headerChecksumGood: inner.headerChecksumGood && outer.headerChecksumGood,
    checksum: outer.checksum === 'bad' ? outer.checksum : inner.checksum,
  };
  return { packet, tunnel: { kind, source, destination, sourcePort, innerAt } };
}

/** GUE, variant 0: two bits of it, one of control, five of the options' length in words. */
const gueBytes = (view: DataView, at: number): number =>
  at < view.byteLength ? 4 + (view.getUint8(at) & 31) * 4 : 4;

const isIp = (etherType: number) => etherType === ETHERTYPE_IPV4 || etherType === ETHERTYPE_IPV6;

/** Echo, as ping sends it (RFC 792; RFC 4443, 4). */
export function isEcho({ protocol, icmp }: Packet, kind: 'request' | 'reply'): boolean {
  if (protocol === ICMP) return icmp?.type === (kind === 'request' ? 8 : 0);
  return protocol === ICMPV6 && icmp?.type === (kind === 'request' ? 128 : 129);
}

/** Destination unreachable, of IPv6 also an unknown header, with the packet that it speaks of. */
export const refusalOf = ({ protocol, icmp }: Packet): Tuple | undefined =>
  (protocol === ICMPV6 ? [1, 4] : [3]).includes(icmp?.type ?? 0) ? icmp?.quoted : undefined;

/** Where the TTL or hop limit lies in the frame, and both addresses. */
export const ttlAt = ({ version }: Packet): number => ETHERNET_BYTES + (version === 4 ? 8 : 7);
export const sourceAt = ({ version }: Packet): number => ETHERNET_BYTES + (version === 4 ? 12 : 8);
export const destinationAt = (packet: Packet): number => sourceAt(packet) + addressBytes(packet);
export const addressBytes = ({ version }: Packet): number => (version === 4 ? 4 : 16);

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
  if (at < l4 && packet.version === 6) return ipv6FieldAt(packet, at) ?? elsewhere;
  if (at < l4) {
    const offset = at - ETHERNET_BYTES;
    // Two bytes and addresses of four: what starts at or before the byte.
    const start = offset >= 12 ? offset & ~3 : offset >= 10 ? 10 : offset === 5 ? 4 : offset;
    return IP_FIELDS[start] ?? elsewhere;
  }
  if (at < l4 + 4) return at < l4 + 2 ? 'the source port' : 'the destination port';
  return at >> 1 === checksumAt(packet) >> 1 ? CHECKSUM_FIELD : elsewhere;
}

function ipv6FieldAt(packet: Packet, at: number): string | undefined {
  if (at === ttlAt(packet)) return 'the hop limit';
  if (at < sourceAt(packet)) return undefined;
  if (at < destinationAt(packet)) return 'the source address';
  return at < destinationAt(packet) + 16 ? 'the destination address' : undefined;
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

function questionAt(view: DataView, bytes: Uint8Array, etherType: number): Arp | undefined {
  if (etherType === ETHERTYPE_ARP) return arpAt(view, bytes);
  return etherType === ETHERTYPE_IPV6 ? ndpAt(view, bytes) : undefined;
}

/**
 * NDP as ARP would say it. Whoever asks speaks for his source address, whoever answers for the
 * target; the MAC address is that of the option, or of the frame where there is none.
 */
function ndpAt(view: DataView, bytes: Uint8Array): Arp | undefined {
  const l4 = ETHERNET_BYTES + 40;
  if (bytes.length < l4 + 24 || view.getUint8(ETHERNET_BYTES + 6) !== ICMPV6) return undefined;
  const type = view.getUint8(l4);
  if (type !== SOLICITATION && type !== ADVERTISEMENT) return undefined;
  const asks = type === SOLICITATION;
  const hasOption = bytes.length >= l4 + 32 && view.getUint8(l4 + 24) === (asks ? 1 : 2);
  const target = ipv6Text(bytes, l4 + 8);
  return {
    operation: asks ? 1 : 2,
    senderMac: macAt(bytes, hasOption ? l4 + 26 : 6),
    senderAddress: asks ? ipv6Text(bytes, ETHERNET_BYTES + 8) : target,
    targetAddress: asks ? target : ipv6Text(bytes, ETHERNET_BYTES + 24),
  };
}

function arpAt(view: DataView, bytes: Uint8Array): Arp | undefined {
  if (bytes.length < ETHERNET_BYTES + 28) return undefined;
  return {
    operation: view.getUint16(20),
    senderMac: macAt(bytes, 22),
    senderAddress: ipv4Text(bytes, 28),
    targetAddress: ipv4Text(bytes, 38),
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
  l3: number,
): Packet | undefined {
  const header = ipHeaderAt(view, bytes, l3);
  if (header === undefined) return undefined;
  const { protocol, headerBytes, totalBytes, isFragment } = header;
  const { version, source, destination, id, ttl } = header;
  const l4 = l3 + headerBytes;
  const end = l3 + totalBytes;
  const cut = bytes.length < end;
  const layer4 = isFragment ? NO_LAYER4 : layer4At(view, bytes, protocol, l4);
  const state = cut || isFragment ? 'unknown' : checksumState(view, header, { l3, l4, end });
  const { headerBytes: layer4Bytes, ...fields } = layer4;
  const payloadAt = l4 + layer4Bytes;
  const payloadBytes = Math.max(0, end - payloadAt);
  return {
    ...{ version, protocol, source, destination, id, ttl, headerBytes, totalBytes },
    headerChecksumGood: version === 6 || fold(sumOf(view, l3, l4)) === 0xffff,
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
  if ((protocol === ICMP || protocol === ICMPV6) && room >= 8) {
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

/** What an ICMP error quotes: an IP header and 8 bytes at least (RFC 792; RFC 4443, 2.4). */
function quotedAt(view: DataView, bytes: Uint8Array, l4: number): Tuple | undefined {
  const at = l4 + 8;
  const isV6 = bytes.length > at && view.getUint8(at) >> 4 === 6;
  const errors = isV6 ? [1, 2, 3, 4] : [3, 4, 5, 11, 12];
  if (!errors.includes(view.getUint8(l4))) return undefined;
  const header = ipHeaderAt(view, bytes, at);
  if (header === undefined || bytes.length < at + header.headerBytes + 8) return undefined;
  const { protocol, source, destination, headerBytes } = header;
  return { protocol, source, destination, ...portsAt(view, at + headerBytes) };
}

type Where = { readonly l3: number; readonly l4: number; readonly end: number };

function checksumState(view: DataView, header: IpHeader, where: Where): ChecksumState {
  const { l3, l4, end } = where;
  const { protocol, version, addressesAt } = header;
  if (protocol === ICMP) return fold(sumOf(view, l4, end)) === 0xffff ? 'good' : 'bad';
  const field = l4 + (FIELDS[protocol] ?? Infinity);
  if (field + 2 > end) return 'unknown';
  const stored = view.getUint16(field);
  if (protocol === UDP && stored === 0) return version === 4 ? 'none' : 'bad';
  const addresses = l3 + addressesAt;
  const addressesEnd = addresses + (version === 4 ? 8 : 32);
  const pseudo = sumOf(view, addresses, addressesEnd) + protocol + (end - l4);
  if (fold(pseudo + sumOf(view, l4, end)) === 0xffff) return 'good';
  return stored === fold(pseudo) ? 'partial' : 'bad';
}

/** Offset of the checksum, of the protocols whose sum begins with the pseudo-header. */
const FIELDS: Readonly<Record<number, number>> = { [TCP]: 16, [UDP]: 6, [ICMPV6]: 2 };

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

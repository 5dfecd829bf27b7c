// The two IP headers of a captured packet as one record, so that what verify asks does not depend
// on the family. Read by itself, like everything that judges: nothing of src/wire is used here.
import { SocketAddress } from 'node:net';

export interface IpHeader {
  readonly version: 4 | 6;
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  /** What tells packets of one sender apart: the IP id, or the flow label. */
  readonly id: number;
  /** Or the hop limit. */
  readonly ttl: number;
  /** With options, or extension headers. */
  readonly headerBytes: number;
  readonly totalBytes: number;
  /** Whether it is a later fragment, which has no ports. */
  readonly isFragment: boolean;
  /** Where in the header the addresses lie, both of them. */
  readonly addressesAt: number;
}

/** Reads the header at an offset, or undefined if there is none that is whole. */
export function ipHeaderAt(view: DataView, bytes: Uint8Array, at: number): IpHeader | undefined {
  if (bytes.length <= at) return undefined;
  const version = view.getUint8(at) >> 4;
  if (version === 4) return ipv4At(view, bytes, at);
  return version === 6 ? ipv6At(view, bytes, at) : undefined;
}

function ipv4At(view: DataView, bytes: Uint8Array, at: number): IpHeader | undefined {
  if (bytes.length < at + 20) return undefined;
  const headerBytes = (view.getUint8(at) & 15) * 4;
  const totalBytes = view.getUint16(at + 2);
  if (headerBytes < 20 || bytes.length < at + headerBytes || totalBytes < headerBytes) {
    return undefined;
  }
  return {
    version: 4,
    protocol: view.getUint8(at + 9),
    source: ipv4Text(bytes, at + 12),
    destination: ipv4Text(bytes, at + 16),
    id: view.getUint16(at + 4),
    ttl: view.getUint8(at + 8),
    headerBytes,
    totalBytes,
    isFragment: (view.getUint16(at + 6) & 0x1fff) !== 0,
    addressesAt: 12,
  };
}

const IPV6_BYTES = 40;
const FRAGMENT = 44;
/** Hop-by-hop options, routing, fragment, destination options (RFC 8200, 4). */
const EXTENSIONS = [0, 43, FRAGMENT, 60];

function ipv6At(view: DataView, bytes: Uint8Array, at: number): IpHeader | undefined {
  if (bytes.length < at + IPV6_BYTES) return undefined;
  let protocol = view.getUint8(at + 6);
  let end = at + IPV6_BYTES;
  let isFragment = false;
  while (EXTENSIONS.includes(protocol)) {
    if (bytes.length < end + 8) return undefined;
    if (protocol === FRAGMENT) isFragment ||= (view.getUint16(end + 2) & 0xfff8) !== 0;
    const next = view.getUint8(end);
    end += protocol === FRAGMENT ? 8 : (view.getUint8(end + 1) + 1) * 8;
    protocol = next;
  }
  const totalBytes = IPV6_BYTES + view.getUint16(at + 4);
  if (end - at > totalBytes || bytes.length < end) return undefined;
  return {
    version: 6,
    protocol,
    source: ipv6Text(bytes, at + 8),
    destination: ipv6Text(bytes, at + 24),
    id: view.getUint32(at) & 0xfffff,
    ttl: view.getUint8(at + 7),
    headerBytes: end - at,
    totalBytes,
    isFragment,
    addressesAt: 8,
  };
}

export const ipv4Text = (bytes: Uint8Array, at: number): string =>
  bytes.subarray(at, at + 4).join('.');

/** A capture has few addresses, and many times each. */
const texts = new Map<string, string>();

/** As RFC 5952 has it. */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  const digits = Buffer.from(bytes.buffer, bytes.byteOffset + at, 16).toString('hex');
  const known = texts.get(digits);
  if (known !== undefined) return known;
  const address = digits.replace(/....(?!$)/g, '$&:');
  const text = new SocketAddress({ address, family: 'ipv6' }).address;
  texts.set(digits, text);
  return text;
}

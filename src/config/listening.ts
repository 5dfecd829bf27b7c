// What a service listens on, as files and people write it: ports ("80", "8000-8100", "any") and
// VIPs ("192.0.2.10", or a prefix: "192.0.2.0/28", "2001:db8::/64").
import { ALL_PORTS, type PortRange, type Prefix, type Prefix6 } from '../director/port-map.ts';
import {
  formatIpv4,
  formatIpv6,
  parseIpv4,
  parseIpv6,
  prefixMask,
  wordMask,
} from '../wire/address.ts';
import { isIpv6Text } from './endpoint.ts';

export const PROTOCOL_NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;
export type Protocol = keyof typeof PROTOCOL_NUMBERS;
export const PROTOCOLS = Object.keys(PROTOCOL_NUMBERS) as [Protocol, ...Protocol[]];

/** The name of a protocol's number. */
export const protocolName = (number: number): Protocol =>
  PROTOCOLS.find((name) => PROTOCOL_NUMBERS[name] === number) ?? 'tcp';

const RANGE = /^([1-9]\d{0,4})-([1-9]\d{0,4})$/;
const PREFIX = /^([\d.]+)\/(0|[1-9]\d?)$/;
/** A shorter prefix is no set of VIPs but a network. */
export const SHORTEST_PREFIX = 8;
/** That of one link (RFC 4291, 2.5.4). */
export const SHORTEST_PREFIX6 = 64;

/** One port or one range of a file; undefined if it is neither. */
export function parsePorts(ports: unknown): PortRange | undefined {
  if (ports === 'any') return ALL_PORTS;
  if (typeof ports === 'number') return { from: ports, to: ports };
  const [, from, to] = RANGE.exec(String(ports)) ?? [];
  if (Number(from) > Number(to) || Number(to) > ALL_PORTS.to || to === undefined) return undefined;
  return { from: Number(from), to: Number(to) };
}

/** An IPv4 address, or a prefix; its host bits are as they are written. */
export function parsePrefix(text: string): Prefix | undefined {
  const [, network = text, length = '32'] = PREFIX.exec(text) ?? [];
  const address = parseIpv4(network);
  if (address === undefined || Number(length) > 32) return undefined;
  return { address, prefixLength: Number(length) };
}

/** The prefix that holds an address. */
export const prefixAround = (address: number, prefixLength: number): Prefix => ({
  address: address & prefixMask(prefixLength),
  prefixLength,
});

export const formatPrefix = ({ address, prefixLength }: Prefix): string =>
  prefixLength === 32 ? formatIpv4(address) : `${formatIpv4(address)}/${prefixLength}`;

/** The same of IPv6. */
export function parsePrefix6(text: string): Prefix6 | undefined {
  const [address = '', length = '128', more] = text.split('/');
  const network = parseIpv6(address);
  const isLength = /^(0|[1-9]\d{0,2})$/.test(length) && Number(length) <= 128;
  if (network === undefined || !isLength || more !== undefined) return undefined;
  return { network, prefixLength: Number(length) };
}

export function prefixAround6({ network: [a, b, c, d] }: Prefix6, prefixLength: number): Prefix6 {
  const mask = (word: number) => wordMask(prefixLength, word);
  return { network: [a & mask(0), b & mask(1), c & mask(2), d & mask(3)], prefixLength };
}

export const formatPrefix6 = ({ network, prefixLength }: Prefix6): string =>
  prefixLength === 128 ? formatIpv6(network) : `${formatIpv6(network)}/${prefixLength}`;

/** A prefix of 32 bits, or 128 of IPv6, is one address. */
export function plainVip(text: string): string {
  const [prefix, prefix6] = [parsePrefix(text), parsePrefix6(text)];
  if (prefix6 !== undefined) return formatPrefix6(prefix6);
  return prefix === undefined ? text : formatPrefix(prefix);
}

/** Bits that an address or prefix fixes. */
export const fixedBits = (text: string): number | undefined =>
  (parsePrefix6(text) ?? parsePrefix(text))?.prefixLength;

/** The address or prefix of so many bits, as plainVip writes it, that holds another of them. */
export function vipAround(text: string, bits: number): string | undefined {
  const [prefix, prefix6] = [parsePrefix(text), parsePrefix6(text)];
  if (prefix6 !== undefined) return formatPrefix6(prefixAround6(prefix6, bits));
  if (prefix === undefined || bits > 32) return undefined;
  return formatPrefix(prefixAround(prefix.address, bits));
}

/** True if an address is another, or a prefix that holds it, whatever its host bits are. */
export function holdsVip(outer: string, inner: string): boolean {
  const [bits, innerBits] = [fixedBits(outer), fixedBits(inner)];
  if (bits === undefined || innerBits === undefined) return outer === inner;
  return isIpv6Text(outer) === isIpv6Text(inner) && bits <= innerBits
    ? vipAround(inner, bits) === vipAround(outer, bits)
    : false;
}

export function formatPorts({ from, to }: PortRange): string {
  if (from === to) return String(from);
  return from === ALL_PORTS.from && to === ALL_PORTS.to ? 'any' : `${from}-${to}`;
}

/** The one port of a service; 0 if it has several: then reals are reached at the one asked for. */
export const onlyPort = (ports: readonly PortRange[]): number =>
  ports.length === 1 && ports[0]?.from === ports[0]?.to ? (ports[0]?.from ?? 0) : 0;

const MOST_SHOWN = 3;

/** `tcp 192.0.2.10:80`, with as many of each as there are; of long lists the beginning. */
export function formatService(service: {
  readonly protocols: readonly string[];
  readonly vips: readonly string[];
  readonly ports: readonly string[];
}): string {
  const { protocols, vips, ports } = service;
  const where = vips.length === 1 && isIpv6Text(vips[0] ?? '') ? `[${vips[0]}]` : shorten(vips);
  return `${protocols.join(',')} ${where}:${shorten(ports)}`;
}

function shorten(items: readonly string[]): string {
  const rest = items.length - MOST_SHOWN;
  return items.slice(0, MOST_SHOWN).join(',') + (rest > 0 ? `,+${rest}` : '');
}

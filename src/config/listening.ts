// What a service listens on, as files and people write it: ports ("80", "8000-8100", "any") and
// VIPs ("192.0.2.10", or the prefix "192.0.2.0/28").
import { ALL_PORTS, type PortRange, type Prefix } from '../director/port-map.ts';
import { formatIpv4, parseIpv4, prefixMask } from '../wire/address.ts';
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

/** A prefix of 32 bits is one address. */
export function plainVip(text: string): string {
  const prefix = parsePrefix(text);
  return prefix === undefined ? text : formatPrefix(prefix);
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

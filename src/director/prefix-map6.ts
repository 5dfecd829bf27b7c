// The prefixes among the VIPs of IPv6, as typed arrays: single VIPs are handles and lie in the map
// of ports, but the addresses of a prefix are too many to have one each. So a packet's destination
// is masked to each distinct prefix length, longest first, and the network looked up by its four
// words; who has which of its ports says a map of ports, where networks are known by number.
import { wordMask } from '../wire/address.ts';
import {
  ALL_PORTS,
  buildPortMap,
  findOwner,
  type PortMap,
  type PortRange,
  type Prefix6,
} from './port-map.ts';

export interface PrefixEntry6 extends Prefix6, PortRange {
  /** As from protocolKey. */
  readonly protocol: number;
  readonly owner: number;
}

export interface PrefixMap6 {
  /** Distinct prefix lengths, longest first. */
  readonly lengths: Uint8Array;
  /** Four words of each network, and its prefix length. */
  readonly networks: Int32Array;
  readonly prefixLengths: Uint8Array;
  /** Open-addressing index of networks: number + 1; a power of two long. */
  readonly slots: Int32Array;
  /** Owners by network number. */
  readonly ports: PortMap;
}

function hashNetwork(a: number, b: number, c: number, d: number, length: number): number {
  let hash = Math.imul(a ^ length, 0x85ebca6b);
  hash = Math.imul((hash ^ (hash >>> 15)) + b, 0xc2b2ae35);
  hash = Math.imul((hash ^ (hash >>> 13)) + c, 0x27d4eb2f);
  return Math.imul((hash ^ (hash >>> 16)) + d, 0x165667b1) >>> 8;
}

/** @param alone protocol by which the addresses as such are asked for */
export function buildPrefixMap6(entries: readonly PrefixEntry6[], alone: number): PrefixMap6 {
  const keyOf = ({ network, prefixLength }: Prefix6) => `${network.join()}/${prefixLength}`;
  const prefixes = [...new Map(entries.map((each) => [keyOf(each), each])).values()];
  const numbers = new Map(prefixes.map((prefix, number) => [keyOf(prefix), number]));
  const slots = new Int32Array(1 << Math.ceil(Math.log2(prefixes.length * 2 + 1)));
  const mask = slots.length - 1;
  for (const [number, { network, prefixLength }] of prefixes.entries()) {
    let slot = hashNetwork(...network, prefixLength) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = number + 1;
  }
  const inMap = { prefixLength: 32 };
  const lengths = new Set(prefixes.map(({ prefixLength }) => prefixLength));
  return {
    lengths: Uint8Array.from([...lengths].sort((one, other) => other - one)),
    networks: Int32Array.from(prefixes.flatMap(({ network }) => network)),
    prefixLengths: Uint8Array.from(prefixes, ({ prefixLength }) => prefixLength),
    slots,
    ports: buildPortMap([
      ...prefixes.map((_, address) => ({
        ...{ ...inMap, ...ALL_PORTS, address, protocol: alone, owner: 0 },
      })),
      ...entries.map((each) => ({ ...each, ...inMap, address: numbers.get(keyOf(each)) ?? 0 })),
    ]),
  };
}

/** @returns the owner of a port of the address that lies in a frame, or -1 */
export function findOwner6(
  map: PrefixMap6,
  frame: DataView,
  at: number,
  port: number,
  protocol: number,
): number {
  const { lengths, ports } = map;
  for (let index = 0; index < lengths.length; index++) {
    const network = findNetwork(map, frame, at, lengths[index] as number);
    const owner = network < 0 ? -1 : findOwner(ports, network, port, protocol);
    if (owner >= 0) return owner;
  }
  return -1;
}

function findNetwork(map: PrefixMap6, frame: DataView, at: number, length: number): number {
  const { slots, networks, prefixLengths } = map;
  const a = frame.getInt32(at) & wordMask(length, 0);
  const b = frame.getInt32(at + 4) & wordMask(length, 1);
  const c = frame.getInt32(at + 8) & wordMask(length, 2);
  const d = frame.getInt32(at + 12) & wordMask(length, 3);
  const mask = slots.length - 1;
  for (let slot = hashNetwork(a, b, c, d, length) & mask; ; slot = (slot + 1) & mask) {
    const number = (slots[slot] as number) - 1;
    if (number < 0) return -1;
    const word = number * 4;
    if (prefixLengths[number] !== length || networks[word + 3] !== d) continue;
    if (networks[word + 2] !== c || networks[word + 1] !== b) continue;
    if (networks[word] === a) return number;
  }
}

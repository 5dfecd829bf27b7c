// Who has which ports of which addresses, as typed arrays: the services by VIP, and the reals that
// answer by NAT. A group is one address or prefix with one protocol; its ports lie in segments,
// each with one owner, so a look-up is one hash for each distinct prefix length (nearly always one)
// and a binary search. What is more exact wins: a longer prefix first, then the narrower ports.
import { type Ipv6, prefixMask } from '../wire/address.ts';

/** The addresses that share the first bits of `address`; with 32 bits, that one alone. */
export interface Prefix {
  readonly address: number;
  readonly prefixLength: number;
}

/** The addresses that share the first bits of `network`, over IPv6. */
export interface Prefix6 {
  readonly network: Ipv6;
  readonly prefixLength: number;
}

/** Ports from one to another, both included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export const ALL_PORTS: PortRange = { from: 0, to: 65_535 };

export interface PortEntry extends Prefix, PortRange {
  /** As a flow's record has it; 0 for the address as such. */
  readonly protocol: number;
  /** 0 or more. */
  readonly owner: number;
}

export interface PortMap {
  /** Distinct prefix lengths, longest first. */
  readonly lengths: Uint8Array;
  /** Open-addressing index of groups: number + 1; a power of two long. */
  readonly slots: Int32Array;
  /** Of each group: its network, and its protocol | prefix length << 8. */
  readonly network: Int32Array;
  readonly kind: Uint16Array;
  /** Where each group's segments start, and in the end how many there are. */
  readonly firstSegment: Int32Array;
  /** First port of each segment, which goes on to the next one's. The first of a group is 0. */
  readonly segmentFrom: Uint16Array;
  /** -1 where nobody has the ports. */
  readonly segmentOwner: Int32Array;
}

const networkOf = ({ address, prefixLength }: Prefix): number => address & prefixMask(prefixLength);
const kindOf = ({ protocol, prefixLength }: PortEntry): number => protocol | (prefixLength << 8);

function hashGroup(network: number, kind: number): number {
  const hash = Math.imul(network ^ (kind << 16), 0x85ebca6b);
  return Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35) >>> 8;
}

export function buildPortMap(entries: readonly PortEntry[]): PortMap {
  const groups = [...groupEntries(entries).values()];
  const [firstSegment, from, owner] = [[0], [], []] as [number[], number[], number[]];
  for (const group of groups) {
    laySegments(group, from, owner);
    firstSegment.push(from.length);
  }
  const heads = groups.map((group) => group[0] as PortEntry);
  const [network, kind] = [Int32Array.from(heads, networkOf), Uint16Array.from(heads, kindOf)];
  const lengths = new Set(heads.map((head) => head.prefixLength));
  return {
    lengths: Uint8Array.from([...lengths].sort((one, other) => other - one)),
    slots: indexGroups(network, kind),
    network,
    kind,
    firstSegment: Int32Array.from(firstSegment),
    segmentFrom: Uint16Array.from(from),
    segmentOwner: Int32Array.from(owner),
  };
}

function groupEntries(entries: readonly PortEntry[]): Map<number, PortEntry[]> {
  const groups = new Map<number, PortEntry[]>();
  for (const entry of entries) {
    const key = (networkOf(entry) >>> 0) * 0x10000 + kindOf(entry);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [entry]);
    else group.push(entry);
  }
  return groups;
}

/** Lays one group's ports side by side: where entries overlap, the one that starts later. */
function laySegments(group: readonly PortEntry[], from: number[], owner: number[]): void {
  const open: PortEntry[] = [];
  const first = from.length;
  const lay = (port: number) => {
    if (from.length > first && from.at(-1) === port) from.pop();
    owner.length = from.length;
    from.push(port);
    owner.push(open.at(-1)?.owner ?? -1);
  };
  const closeBefore = (port: number) => {
    for (let last = open.at(-1); last !== undefined && last.to < port; last = open.at(-1)) {
      while ((open.at(-1)?.to ?? ALL_PORTS.to) <= last.to && open.length > 0) open.pop();
      if (last.to < ALL_PORTS.to) lay(last.to + 1);
    }
  };
  lay(0);
  for (const entry of group.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
    closeBefore(entry.from);
    open.push(entry);
    lay(entry.from);
  }
  closeBefore(ALL_PORTS.to + 1);
}

function indexGroups(network: Int32Array, kind: Uint16Array): Int32Array {
  // Rounded up to a power of two with room to spare, so that probe chains stay short.
  const slots = new Int32Array(1 << Math.max(3, Math.ceil(Math.log2(network.length * 2 + 1))));
  const mask = slots.length - 1;
  for (let group = 0; group < network.length; group++) {
    let slot = hashGroup(network[group] as number, kind[group] as number) & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = group + 1;
  }
  return slots;
}

/** @returns the owner of a port of an address, or -1 */
export function findOwner(map: PortMap, address: number, port: number, protocol: number): number {
  const { lengths } = map;
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index] as number;
    const group = findGroup(map, address & prefixMask(length), protocol | (length << 8));
    const owner = group < 0 ? -1 : ownerIn(map, group, port);
    if (owner >= 0) return owner;
  }
  return -1;
}

function findGroup({ slots, network, kind }: PortMap, wanted: number, wantedKind: number): number {
  const mask = slots.length - 1;
  for (let slot = hashGroup(wanted, wantedKind) & mask; ; slot = (slot + 1) & mask) {
    const group = (slots[slot] as number) - 1;
    if (group < 0 || (network[group] === wanted && kind[group] === wantedKind)) return group;
  }
}

/** The owner of the last segment of a group that starts at the port or before it. */
function ownerIn(map: PortMap, group: number, port: number): number {
  const { firstSegment, segmentFrom, segmentOwner } = map;
  let low = firstSegment[group] as number;
  let high = firstSegment[group + 1] as number;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((segmentFrom[middle] as number) <= port) low = middle;
    else high = middle;
  }
  return segmentOwner[low] as number;
}

// The MAC addresses of the reals: resolved by ARP (RFC 826), or by solicitations (RFC 4861), of the
// director's own, confirmed again and again while the director runs, and told to control through
// the counters. No clock: time comes in with every call; no I/O: requests are left in an outbox.
import type { Arm } from '../datapath/datapath.ts';
import type { Ipv6 } from '../wire/address.ts';
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ndp from '../wire/ndp.ts';
import * as counts from './counters.ts';
import { address6Of, type Table } from './table.ts';

/**
 * A resolved address is asked again after this time, to its last MAC address (RFC 1122 2.3.2.1).
 */
const REFRESH_MS = 15_000;
/** Pause before asking again while there is no answer: quick at first, then once a second. */
const RETRY_MS = [100, 200, 500, 1000] as const;
/** After so many unanswered requests the real counts as unreachable. */
const TRIES = 4;

/** A frame of the director's own, or the copy of one that it took. */
export interface OutboxFrame {
  readonly arm: number;
  readonly bytes: Uint8Array;
  /** VLAN tag that it gets on its way out, as a batch has it; none unless given. */
  readonly tag?: number;
  /** Index of the global counter that tells of it, if it is a frame that came in. */
  readonly countAs?: number;
}

/** Struct of arrays, one entry per neighbour of the table. */
export interface Neighbours {
  /** IPv4 addresses, or handles of IPv6. */
  readonly address: Int32Array;
  /** 4 or 6. */
  readonly family: Uint8Array;
  /** Four words for each handle. */
  readonly addresses6: Int32Array;
  readonly arm: Uint8Array;
  /** NEIGHBOUR_RESOLVING, _RESOLVED or _UNREACHABLE. */
  readonly state: Uint8Array;
  readonly macHigh: Int32Array;
  readonly macLow: Uint16Array;
  /** When the next request is due, int32 milliseconds. */
  readonly dueMs: Int32Array;
  /** Requests since the last answer. */
  readonly asked: Uint16Array;
  readonly byAddress: Map<number, number>;
  readonly arms: readonly Arm[];
  /**
   * WAY_WORDS int32 a neighbour: the twelve bytes of both MAC addresses as they go into a frame, of
   * one that is unreachable the last that were known, and the arm to send on, or NO_WAY while the
   * neighbour is not resolved.
   */
  readonly ways: Int32Array;
  /** Whether a way is another since this was last set to false. */
  changed: boolean;
}

export const WAY_WORDS = 4;
/** Which word of a way is the arm. */
export const WAY_ARM = 3;
export const NO_WAY = -1;
/** Instead of an arm, for a real that no table holds any more. */
export const GONE = -2;

export const NEIGHBOUR_FAMILY6 = 6;

/** Beyond the keys of IPv4. */
const IPV6_KEYS = 2 ** 40;

const keyOf = (arm: number, address: number, family: number) =>
  (address >>> 0) * 256 + arm + (family === NEIGHBOUR_FAMILY6 ? IPV6_KEYS : 0);

/** Neighbours of a new table; what was known of an address stays known. */
export function createNeighbours(
  table: Table,
  arms: readonly Arm[],
  old: Neighbours | undefined,
  nowMs: number,
): Neighbours {
  const count = table.neighbourAddress.length;
  const neighbours: Neighbours = {
    address: table.neighbourAddress,
    family: table.neighbourFamily,
    addresses6: table.addresses6,
    arm: table.neighbourArm,
    state: new Uint8Array(count).fill(counts.NEIGHBOUR_RESOLVING),
    macHigh: new Int32Array(count),
    macLow: new Uint16Array(count),
    dueMs: new Int32Array(count).fill(nowMs),
    asked: new Uint16Array(count),
    byAddress: new Map(),
    arms,
    ways: new Int32Array(count * WAY_WORDS).fill(NO_WAY),
    changed: true,
  };
  for (let index = 0; index < count; index++) {
    const [arm, address] = [neighbours.arm[index] as number, neighbours.address[index] as number];
    const key = keyOf(arm, address, neighbours.family[index] as number);
    neighbours.byAddress.set(key, index);
    const before = old?.byAddress.get(key);
    if (old === undefined || before === undefined) continue;
    for (const field of ['state', 'macHigh', 'macLow', 'dueMs', 'asked'] as const) {
      neighbours[field][index] = old[field][before] as number;
    }
    layWay(neighbours, index);
  }
  return neighbours;
}

/** Brings a neighbour's way in line with its state. */
function layWay(neighbours: Neighbours, index: number): void {
  const { ways, macHigh, macLow, state, arms } = neighbours;
  const at = index * WAY_WORDS;
  neighbours.changed = true;
  const armIndex = neighbours.arm[index] as number;
  const arm = arms[armIndex];
  ways[at + WAY_ARM] = state[index] === counts.NEIGHBOUR_RESOLVED ? armIndex : NO_WAY;
  if (arm === undefined) return;
  ways[at] = macHigh[index] as number;
  ways[at + 1] = ((macLow[index] as number) << 16) | (arm.macHigh >>> 16);
  ways[at + 2] = (arm.macHigh << 16) | arm.macLow;
}

/** Who a neighbour says that it is. */
export interface NeighbourNews {
  readonly arm: number;
  readonly address: number;
  /** 4 unless given. */
  readonly family?: number;
  readonly high: number;
  readonly low: number;
  /** False if it does not replace another MAC address that is known (RFC 4861, 7.2.5). */
  readonly mayReplace?: boolean;
}

/**
 * Takes an answer in: any packet of ARP or neighbour discovery in which the neighbour itself names
 * its MAC address.
 */
export function learnNeighbour(
  neighbours: Neighbours,
  { arm, address, family = 4, high, low, mayReplace = true }: NeighbourNews,
  nowMs: number,
): void {
  const index = neighbours.byAddress.get(keyOf(arm, address, family));
  if (index === undefined) return;
  const { state, macHigh, macLow } = neighbours;
  const isKnown = macHigh[index] === high && macLow[index] === low;
  if (!isKnown && !mayReplace && state[index] === counts.NEIGHBOUR_RESOLVED) return;
  neighbours.asked[index] = 0;
  neighbours.dueMs[index] = (nowMs + REFRESH_MS) | 0;
  // Nearly always no news; a way is laid anew for all reals, so it must not be for every answer.
  if (isKnown && state[index] === counts.NEIGHBOUR_RESOLVED) return;
  macHigh[index] = high;
  macLow[index] = low;
  state[index] = counts.NEIGHBOUR_RESOLVED;
  layWay(neighbours, index);
}

/**
 * Takes over what another director has published of the same table's neighbours, not of another
 * table's, whose rows may be about other hosts. One that it is only about to ask is no news.
 */
export function adoptNeighbours(neighbours: Neighbours, table: Table, from: counts.Counters): void {
  const { state, macHigh, macLow } = neighbours;
  const { values, room } = from;
  if (values[counts.GLOBAL.generation] !== table.generation) return;
  for (let id = 0; id < table.realNeighbour.length; id++) {
    const index = table.realNeighbour[id] as number;
    const row = counts.realAt(room, id);
    const now = values[row + counts.NEIGHBOUR_STATE] as number;
    if (index < 0 || now === counts.NEIGHBOUR_RESOLVING) continue;
    const mac = values[row + counts.NEIGHBOUR_MAC] as number;
    const [high, low] = [(mac / 0x10000) | 0, mac & 0xffff];
    if (state[index] === now && macHigh[index] === high && macLow[index] === low) continue;
    state[index] = now;
    macHigh[index] = high;
    macLow[index] = low;
    layWay(neighbours, index);
  }
}

/** Makes every neighbour of an arm be asked at once: its link is back. */
export function askAgain(neighbours: Neighbours, arm: number, nowMs: number): void {
  for (let index = 0; index < neighbours.arm.length; index++) {
    if (neighbours.arm[index] !== arm) continue;
    neighbours.asked[index] = 0;
    neighbours.dueMs[index] = nowMs;
  }
}

/** Writes the requests that are due into the outbox; returns how many. */
export function askNeighbours(
  neighbours: Neighbours,
  outbox: OutboxFrame[],
  nowMs: number,
): number {
  const { dueMs, asked, state } = neighbours;
  let count = 0;
  for (let index = 0; index < dueMs.length; index++) {
    if (((nowMs - (dueMs[index] as number)) | 0) < 0) continue;
    const tries = asked[index] as number;
    if (tries >= TRIES && state[index] !== counts.NEIGHBOUR_UNREACHABLE) {
      state[index] = counts.NEIGHBOUR_UNREACHABLE;
      layWay(neighbours, index);
    }
    asked[index] = Math.min(tries + 1, TRIES);
    dueMs[index] = (nowMs + (RETRY_MS[Math.min(tries, RETRY_MS.length - 1)] as number)) | 0;
    const armIndex = neighbours.arm[index] as number;
    const arm = neighbours.arms[armIndex];
    if (arm === undefined) continue;
    outbox.push({ arm: armIndex, bytes: requestFor(neighbours, index, arm) });
    count++;
  }
  return count;
}

function requestFor(neighbours: Neighbours, index: number, arm: Arm): Uint8Array {
  // A known neighbour that still has tries left is asked directly, an unknown one by broadcast.
  const direct =
    neighbours.state[index] === counts.NEIGHBOUR_RESOLVED &&
    (neighbours.asked[index] as number) <= 2;
  if (neighbours.family[index] === NEIGHBOUR_FAMILY6) {
    return solicitation(neighbours, index, arm, direct);
  }
  return arpRequest(arm, {
    target: neighbours.address[index] as number,
    sender: arm.address,
    high: direct ? (neighbours.macHigh[index] as number) : -1,
    low: direct ? (neighbours.macLow[index] as number) : 0xffff,
  });
}

/** Asks the group of the address, or the station that had it. */
function solicitation(neighbours: Neighbours, index: number, arm: Arm, direct: boolean) {
  const target = address6Of(neighbours, neighbours.address[index] as number);
  const high = neighbours.macHigh[index] as number;
  return ndp.message({
    type: icmpv6.NEIGHBOUR_SOLICITATION,
    source: arm.address6 ?? linkLocalOf(arm),
    destination: direct ? target : ndp.groupOf(target),
    target,
    macHigh: arm.macHigh,
    macLow: arm.macLow,
    to: direct ? { high, low: neighbours.macLow[index] as number } : undefined,
  });
}

/** The link-local address that an interface makes of its MAC address (RFC 4291, appendix A). */
export function linkLocalOf({ macHigh, macLow }: Arm): Ipv6 {
  const third = (((macHigh >>> 8) ^ 0x020000) << 8) | 0xff;
  return [0xfe800000 | 0, 0, third, 0xfe000000 | ((macHigh & 0xff) << 16) | macLow];
}

/** An unsolicited advertisement to all nodes, as gratuitous ARP is for IPv4 (RFC 4861, 7.2.6). */
export const announcement6 = ({ macHigh, macLow }: Arm, vip: Ipv6): Uint8Array =>
  ndp.message({
    type: icmpv6.NEIGHBOUR_ADVERTISEMENT,
    flags: ndp.OVERRIDE,
    ...{ source: vip, target: vip, destination: ndp.ALL_NODES, macHigh, macLow },
  });

/** A whole ARP request; with sender 0 it is the probe of RFC 5227, which hosts answer as well. */
export function arpRequest(
  arm: Arm,
  { target, sender, high, low }: { target: number; sender: number; high: number; low: number },
): Uint8Array {
  const bytes = new Uint8Array(ethernet.HEADER_BYTES + arp.BYTES);
  const frame = new DataView(bytes.buffer);
  ethernet.setDestination(frame, 0, high, low);
  ethernet.setSource(frame, 0, arm.macHigh, arm.macLow);
  ethernet.setType(frame, 0, ethernet.TYPE_ARP);
  arp.emit(frame, ethernet.HEADER_BYTES, {
    operation: arp.REQUEST,
    senderMacHigh: arm.macHigh,
    senderMacLow: arm.macLow,
    senderAddress: sender,
    targetMacHigh: 0,
    targetMacLow: 0,
    targetAddress: target,
  });
  return bytes;
}

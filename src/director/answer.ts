// What the director answers itself: ARP for its VIPs (they are on no interface) and the sources of
// its tunnels, and pings to a VIP. The answer is made in the very frame that asked.
import * as arp from '../wire/arp.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { GLOBAL } from './counters.ts';
import { type Director, layWays } from './director.ts';
import { isTunnelSource } from './encapsulate.ts';
import { learnNeighbour } from './neighbours.ts';
import { setMacs } from './rewrite.ts';
import { isVip } from './table.ts';
import { answer, PASS, type Verdict } from './verdict.ts';

/** Most conflicts that wait to be told; the rest are only counted. */
const CONFLICTS_KEPT = 16;
/** The bit of a MAC address's first byte that marks a group: multicast or broadcast. */
const GROUP_BIT = 0x0100_0000;
/** TTL of what the director says itself: what IANA recommends (IP parameters) and hosts use. */
export const OWN_TTL = 64;

/** An ARP packet that passed `arp.check`: learn from it, and answer if it asks for a VIP. */
export function answerArp(director: Director, frame: DataView, at: number, arm: number): Verdict {
  const { nowMs, table, counters } = director;
  const packet = at + ethernet.HEADER_BYTES;
  const address = arp.senderAddress(frame, packet);
  const high = arp.senderMacHigh(frame, packet);
  const low = arp.senderMacLow(frame, packet);
  if (!isStation(high, low)) return PASS;
  learnNeighbour(director.neighbours, { arm, address, high, low }, nowMs);
  if (director.neighbours.changed) layWays(director);
  if (isVip(table, address)) {
    if (!isOwnMac(director, high, low)) {
      noteConflict(director, { vip: address, arm, macHigh: high, macLow: low });
    }
    return PASS;
  }
  const target = arp.targetAddress(frame, packet);
  if (arp.operation(frame, packet) !== arp.REQUEST) return PASS;
  if (!isVip(table, target) && !isTunnelSource(director, target)) return PASS;
  const macHigh = director.armMacHigh[arm] as number;
  const macLow = director.armMacLow[arm] as number;
  setMacs(frame, at, high, low, macHigh, macLow);
  arp.emit(frame, packet, {
    operation: arp.REPLY,
    senderMacHigh: macHigh,
    senderMacLow: macLow,
    senderAddress: target,
    targetMacHigh: high,
    targetMacLow: low,
    targetAddress: address,
  });
  counters.values[GLOBAL.arpAnswers] = (counters.values[GLOBAL.arpAnswers] as number) + 1;
  return answer(arm);
}

/** RFC 1812, 3.3.2: nobody's address is a broadcast or multicast one; it is not all zero either. */
export function isStation(high: number, low: number): boolean {
  return (high & GROUP_BIT) === 0 && (high | low) !== 0;
}

/** Two arms on one segment hear each other's announcements. */
export function isOwnMac({ armMacHigh, armMacLow }: Director, high: number, low: number): boolean {
  for (let arm = 0; arm < armMacHigh.length; arm++) {
    if (armMacHigh[arm] === high && armMacLow[arm] === low) return true;
  }
  return false;
}

export function noteConflict(director: Director, conflict: Director['conflicts'][number]): void {
  const { values } = director.counters;
  values[GLOBAL.vipConflicts] = (values[GLOBAL.vipConflicts] as number) + 1;
  if (director.conflicts.length < CONFLICTS_KEPT) director.conflicts.push(conflict);
}

/**
 * Turns an echo request to a VIP into its reply (RFC 792). The addresses swap, which leaves the
 * header's sum as it is; the TTL begins anew, for the rest of the request's may not lead back.
 */
export function answerEcho(
  director: Director,
  frame: DataView,
  at: number,
  l3: number,
  l4: number,
  arm: number,
): Verdict {
  const { values } = director.counters;
  icmp.setType(frame, l4, icmp.ECHO_REPLY);
  values[GLOBAL.echoAnswers] = (values[GLOBAL.echoAnswers] as number) + 1;
  return turnRound(director, frame, at, l3, arm);
}

/** Sends a packet back to where it came from; of a ping in pieces, each piece but the first. */
export function turnRound(
  director: Director,
  frame: DataView,
  at: number,
  l3: number,
  arm: number,
): Verdict {
  const { armMacHigh, armMacLow } = director;
  const high = ethernet.sourceHigh(frame, at);
  const low = ethernet.sourceLow(frame, at);
  setMacs(frame, at, high, low, armMacHigh[arm] as number, armMacLow[arm] as number);
  const client = frame.getInt32(l3 + 12);
  frame.setInt32(l3 + 12, frame.getInt32(l3 + 16));
  frame.setInt32(l3 + 16, client);
  ipv4.setTimeToLive(frame, l3, OWN_TTL);
  return answer(arm);
}

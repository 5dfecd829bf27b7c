// What the director answers itself over IPv6: solicitations for its VIPs (which are on no
// interface, so the kernel does not) and for the sources of its tunnels, and pings to a VIP. And
// what it learns from neighbour messages: where its reals are, and who else says that a VIP is his.
import { findAddress } from '../flow/address-book.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as ndp from '../wire/ndp.ts';
import { isOwnMac, isStation, noteConflict, OWN_TTL } from './answer.ts';
import { GLOBAL } from './counters.ts';
import { type Director, layWays } from './director.ts';
import { isTunnelSource6 } from './encapsulate.ts';
import { learnNeighbour, NEIGHBOUR_FAMILY6 } from './neighbours.ts';
import { dropped } from './refuse.ts';
import { setMacs } from './rewrite.ts';
import { isVip6 } from './table.ts';
import { answer, PASS, TAKEN, type Verdict } from './verdict.ts';

/** A solicitation or an advertisement; `end` is that of the packet. */
export function answerNeighbour(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const bad = ndp.check(frame, l3, l4, end);
  if (bad !== 0) return dropped(director, bad);
  const isQuestion = icmpv6.type(frame, l4) === icmpv6.NEIGHBOUR_SOLICITATION;
  const option = ndp.macOption(frame, l4, end, isQuestion ? ndp.SOURCE_MAC : ndp.TARGET_MAC);
  // A question names the MAC address of its sender, an advertisement that of its target.
  const speaker = isQuestion ? l3 + ipv6.SOURCE_OFFSET : ndp.target(l4);
  const mayReplace = isQuestion || (ndp.flags(frame, l4) & ndp.OVERRIDE) !== 0;
  // An answer to a question to one station need not name it again (RFC 4861, 4.4).
  learn(director, frame, speaker, option || at + 6, arm, mayReplace);
  if (!isQuestion) return PASS;
  const target = findAddress(director.flows.book, frame, ndp.target(l4));
  const isAsked = isVip6(director.table, target, frame, ndp.target(l4));
  if (!isAsked && !isTunnelSource6(director, frame, ndp.target(l4))) return PASS;
  advertise(director, frame, at, l4, arm);
  return TAKEN;
}

/** @param mac offset of the MAC address that belongs to the address at `speaker` */
function learn(
  director: Director,
  frame: DataView,
  speaker: number,
  mac: number,
  arm: number,
  mayReplace: boolean,
): void {
  const address = findAddress(director.flows.book, frame, speaker);
  const [high, low] = [frame.getInt32(mac), frame.getUint16(mac + 4)];
  if (!isStation(high, low)) return;
  if (isVip6(director.table, address, frame, speaker)) {
    if (isOwnMac(director, high, low)) return;
    const vip6 = ipv6.addressAt(frame, speaker);
    noteConflict(director, { vip: address, vip6, arm, macHigh: high, macLow: low });
    return;
  }
  const news = { arm, address, high, low, family: NEIGHBOUR_FAMILY6, mayReplace };
  learnNeighbour(director.neighbours, news, director.nowMs);
  if (director.neighbours.changed) layWays(director);
}

/** Answers a solicitation: its sender, or everybody if he has no address yet (RFC 4861, 7.2.4). */
function advertise(director: Director, frame: DataView, at: number, l4: number, arm: number): void {
  const { armMacHigh, armMacLow, outbox, counters } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const source = ipv6.addressAt(frame, ndp.target(l4));
  const isProbe = ipv6.isUnspecified(frame, l3 + ipv6.SOURCE_OFFSET);
  const to = { high: ethernet.sourceHigh(frame, at), low: ethernet.sourceLow(frame, at) };
  const bytes = ndp.message({
    type: icmpv6.NEIGHBOUR_ADVERTISEMENT,
    flags: ndp.OVERRIDE | (isProbe ? 0 : ndp.SOLICITED),
    ...{ source, target: source },
    destination: isProbe ? ndp.ALL_NODES : ipv6.addressAt(frame, l3 + ipv6.SOURCE_OFFSET),
    macHigh: armMacHigh[arm] as number,
    macLow: armMacLow[arm] as number,
    to: isProbe ? undefined : to,
  });
  outbox.push({ arm, bytes, tag: director.tag, countAs: GLOBAL.answeredFrames });
  counters.values[GLOBAL.ndpAnswers] = (counters.values[GLOBAL.ndpAnswers] as number) + 1;
}

/** Turns an echo request to a VIP into its reply (RFC 4443, 4.2), in place. */
export function answerEcho6(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  arm: number,
): Verdict {
  const { values } = director.counters;
  icmpv6.setType(frame, l4, icmpv6.ECHO_REPLY);
  values[GLOBAL.echoAnswers] = (values[GLOBAL.echoAnswers] as number) + 1;
  return turnRound6(director, frame, at, arm);
}

/** Sends a packet back to where it came from. That the addresses swap changes no sum. */
export function turnRound6(director: Director, frame: DataView, at: number, arm: number): Verdict {
  const { armMacHigh, armMacLow } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const high = ethernet.sourceHigh(frame, at);
  const low = ethernet.sourceLow(frame, at);
  setMacs(frame, at, high, low, armMacHigh[arm] as number, armMacLow[arm] as number);
  for (let word = 0; word < 4; word++) {
    const source = l3 + ipv6.SOURCE_OFFSET + word * 4;
    const client = frame.getInt32(source);
    frame.setInt32(source, frame.getInt32(source + 16));
    frame.setInt32(source + 16, client);
  }
  ipv6.setHopLimit(frame, l3, OWN_TTL);
  return answer(arm);
}

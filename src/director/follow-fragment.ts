// The later fragments of a packet go the way of its first one, each rewritten by itself: its
// addresses alone, since ports and checksum are in the first.
import {
  ADDRESS,
  DETAIL,
  ECHOED,
  HOP_HIGH,
  HOP_LOW,
  PEER,
  REFUSED,
  TO_CLIENT,
  TO_REAL,
  WAY,
} from '../flow/fragment-table.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { turnRound } from './answer.ts';
import { turnRound6 } from './answer6.ts';
import { REPLY_PACKETS, REQUEST_PACKETS } from './counters.ts';
import type { Director } from './director.ts';
import { WAY_ARM, WAY_WORDS } from './neighbours.ts';
import * as onward from './onward.ts';
import { dropped } from './refuse.ts';
import { readdress } from './rewrite6.ts';
import { PASS, type Verdict } from './verdict.ts';

/** @param entry of the fragment table, which knows the way */
export function follow(
  director: Director,
  entry: number,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
): Verdict {
  const { entries } = director.fragments;
  const ofIpv6 = ethernet.type(frame, at) === ethernet.TYPE_IPV6;
  switch (entries[entry + WAY]) {
    case TO_REAL:
    case TO_CLIENT:
      return followFlow(director, entry, frame, at, end, ofIpv6);
    case ECHOED:
      if (ofIpv6) return turnRound6(director, frame, at, arm);
      return turnRound(director, frame, at, at + ethernet.HEADER_BYTES, arm);
    case REFUSED:
      return dropped(director, entries[entry + DETAIL] as number);
    default:
      return PASS;
  }
}

function followFlow(
  director: Director,
  entry: number,
  frame: DataView,
  at: number,
  end: number,
  ofIpv6: boolean,
): Verdict {
  const { ways, fragments } = director;
  const { entries } = fragments;
  const l3 = at + ethernet.HEADER_BYTES;
  const toReal = entries[entry + WAY] === TO_REAL;
  // Answers go this way by NAT alone; and a VIP of IPv6 may have the number that is noted as 0.
  const isNat = !toReal || entries[entry + ADDRESS] !== 0;
  const id = entries[entry + DETAIL] as number;
  const hopLow = entries[entry + HOP_LOW] as number;
  const out = toReal ? (ways[id * WAY_WORDS + WAY_ARM] as number) : hopLow >>> 16;
  const ahead = toReal ? onward.aheadOf(director, id) : 0;
  const reason = onward.obstacle(director, frame, l3, out, isNat, ahead);
  if (reason !== 0) return dropped(director, reason);
  if (isNat) changeEnds(director, entry, frame, l3, ofIpv6);
  onward.countTraffic(director, id, toReal ? REQUEST_PACKETS : REPLY_PACKETS, end - at);
  if (toReal) return onward.sendToReal(director, frame, at, id);
  return onward.sendToHop(director, frame, at, entries[entry + HOP_HIGH] as number, hopLow);
}

/** By NAT a request comes from its PEER, and an answer goes to it. */
function changeEnds(
  { fragments, flows }: Director,
  entry: number,
  frame: DataView,
  l3: number,
  ofIpv6: boolean,
): void {
  const { entries } = fragments;
  const toReal = entries[entry + WAY] === TO_REAL;
  const peer = entries[entry + PEER] as number;
  const known = entries[entry + ADDRESS] as number;
  const address = ofIpv6 ? ~known : known;
  const source = toReal ? peer : address;
  const destination = toReal ? address : peer;
  if (ofIpv6) {
    readdress(frame, l3, flows.book, source, destination);
    return;
  }
  ipv4.setSource(frame, l3, source);
  ipv4.setDestination(frame, l3, destination);
  ipv4.decrementTimeToLive(frame, l3);
}

// The later fragments of an IPv6 packet go the way of its first one, each rewritten by itself: its
// addresses alone, since ports and checksum are in the first.
import {
  ADDRESS,
  DETAIL,
  ECHOED,
  HOP_HIGH,
  HOP_LOW,
  REFUSED,
  TO_CLIENT,
  TO_REAL,
  WAY,
} from '../flow/fragment-table.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { turnRound6 } from './answer6.ts';
import { REPLY_PACKETS, REQUEST_PACKETS } from './counters.ts';
import type { Director } from './director.ts';
import { WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { addressToHop, aheadOf, countTraffic, obstacle6, sendToReal6 } from './onward.ts';
import { dropped } from './refuse.ts';
import { setHandle } from './rewrite6.ts';
import { PASS, send, type Verdict } from './verdict.ts';

/** @param entry of the fragment table, which knows the way */
export function follow6(
  director: Director,
  entry: number,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
): Verdict {
  const { entries } = director.fragments;
  switch (entries[entry + WAY]) {
    case TO_REAL:
      return followToReal(director, entry, frame, at, end);
    case TO_CLIENT:
      return followToClient(director, entry, frame, at, end);
    case ECHOED:
      return turnRound6(director, frame, at, arm);
    case REFUSED:
      return dropped(director, entries[entry + DETAIL] as number);
    default:
      return PASS;
  }
}

function followToReal(
  director: Director,
  entry: number,
  frame: DataView,
  at: number,
  end: number,
): Verdict {
  const { fragments, ways, flows } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const address = fragments.entries[entry + ADDRESS] as number;
  const id = fragments.entries[entry + DETAIL] as number;
  const out = ways[id * WAY_WORDS + WAY_ARM] as number;
  const reason = obstacle6(director, frame, l3, out, address !== 0, aheadOf(director, id));
  if (reason !== 0) return dropped(director, reason);
  if (address !== 0) {
    setHandle(frame, l3 + ipv6.DESTINATION_OFFSET, flows.book, ~address);
    ipv6.setHopLimit(frame, l3, ipv6.hopLimit(frame, l3) - 1);
  }
  countTraffic(director, id, REQUEST_PACKETS, end - at);
  return sendToReal6(director, frame, at, id);
}

function followToClient(
  director: Director,
  entry: number,
  frame: DataView,
  at: number,
  end: number,
): Verdict {
  const { entries } = director.fragments;
  const l3 = at + ethernet.HEADER_BYTES;
  const hopLow = entries[entry + HOP_LOW] as number;
  const reason = obstacle6(director, frame, l3, hopLow >>> 16, true);
  if (reason !== 0) return dropped(director, reason);
  const vip = ~(entries[entry + ADDRESS] as number);
  setHandle(frame, l3 + ipv6.SOURCE_OFFSET, director.flows.book, vip);
  ipv6.setHopLimit(frame, l3, ipv6.hopLimit(frame, l3) - 1);
  countTraffic(director, entries[entry + DETAIL] as number, REPLY_PACKETS, end - at);
  return send(addressToHop(director, frame, at, entries[entry + HOP_HIGH] as number, hopLow));
}

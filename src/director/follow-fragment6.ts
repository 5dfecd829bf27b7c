// The later fragments of an IPv6 packet go the way of its first one, each rewritten by itself: its
// addresses alone, since ports and checksum are in the first.
import * as fragment from '../flow/fragment-table.ts';
import * as ethernet from '../wire/ethernet.ts';
import { turnRound6 } from './answer6.ts';
import { REPLY_PACKETS, REQUEST_PACKETS } from './counters.ts';
import type { Director } from './director.ts';
import { WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { addressToHop, aheadOf, countTraffic, obstacle6, sendToReal6 } from './onward.ts';
import { dropped } from './refuse.ts';
import { readdress } from './rewrite6.ts';
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
  switch (entries[entry + fragment.WAY]) {
    case fragment.TO_REAL:
      return followToReal(director, entry, frame, at, end);
    case fragment.TO_CLIENT:
      return followToClient(director, entry, frame, at, end);
    case fragment.ECHOED:
      return turnRound6(director, frame, at, arm);
    case fragment.REFUSED:
      return dropped(director, entries[entry + fragment.DETAIL] as number);
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
  const address = fragments.entries[entry + fragment.ADDRESS] as number;
  const id = fragments.entries[entry + fragment.DETAIL] as number;
  const out = ways[id * WAY_WORDS + WAY_ARM] as number;
  const reason = obstacle6(director, frame, l3, out, address !== 0, aheadOf(director, id));
  if (reason !== 0) return dropped(director, reason);
  if (address !== 0) {
    readdress(frame, l3, flows.book, fragments.entries[entry + fragment.PEER] as number, ~address);
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
  const hopLow = entries[entry + fragment.HOP_LOW] as number;
  const reason = obstacle6(director, frame, l3, hopLow >>> 16, true);
  if (reason !== 0) return dropped(director, reason);
  const vip = ~(entries[entry + fragment.ADDRESS] as number);
  readdress(frame, l3, director.flows.book, vip, entries[entry + fragment.PEER] as number);
  countTraffic(director, entries[entry + fragment.DETAIL] as number, REPLY_PACKETS, end - at);
  return send(
    addressToHop(director, frame, at, entries[entry + fragment.HOP_HIGH] as number, hopLow),
  );
}

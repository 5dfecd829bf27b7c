// A packet whose flow is known: rewritten in place and sent on, a request to the flow's real, a NAT
// reply back to where the requests come from.
import {
  DELTAS,
  HOP_HIGH,
  HOP_LOW,
  IDS,
  META,
  NAT_BIT,
  PORTS,
  REAL,
  RECORD_WORDS,
  REPLY_PORTS,
  VIP,
} from '../flow/flow-table.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { REPLY_BYTES, REPLY_PACKETS, REQUEST_BYTES, REQUEST_PACKETS, realAt } from './counters.ts';
import type { Director } from './director.ts';
import { NO_WAY, WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { dropped } from './refuse.ts';
import { natReply, natRequest, setMacs } from './rewrite.ts';
import { send, type Verdict } from './verdict.ts';

const REAL_UNRESOLVED = DROP['real-unresolved'];
const TTL_EXPIRED = DROP['ttl-expired'];

/** Sends a request on to the real of its flow. */
export function forwardRequest(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  number: number,
  partial: number,
): Verdict {
  const { flows, table, counters } = director;
  const { ways } = director.neighbours;
  const { records } = flows;
  const record = number * RECORD_WORDS;
  const realId = (records[record + IDS] as number) & 0xffff;
  const way = (table.realNeighbour[realId] as number) * WAY_WORDS;
  const arm = ways[way + WAY_ARM] as number;
  if (arm === NO_WAY) return dropped(director, REAL_UNRESOLVED);
  if ((records[record + META] as number) & NAT_BIT) {
    const l3 = at + ethernet.HEADER_BYTES;
    if (ipv4.timeToLive(frame, l3) <= 1) return dropped(director, TTL_EXPIRED);
    const real = records[record + REAL] as number;
    const realPort = (records[record + REPLY_PORTS] as number) >>> 16;
    const deltas = records[record + DELTAS] as number;
    natRequest(frame, l3, l4, real, realPort, deltas, partial);
  }
  // Both MAC addresses, twelve bytes at the very front of the frame.
  frame.setInt32(at, ways[way] as number);
  frame.setInt32(at + 4, ways[way + 1] as number);
  frame.setInt32(at + 8, ways[way + 2] as number);
  const row = realAt(counters.room, realId);
  const { values } = counters;
  values[row + REQUEST_PACKETS] = (values[row + REQUEST_PACKETS] as number) + 1;
  values[row + REQUEST_BYTES] = (values[row + REQUEST_BYTES] as number) + (end - at);
  return send(arm);
}

/** Sends a NAT reply back to the station that the latest request came from. */
export function forwardReply(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  number: number,
  partial: number,
): Verdict {
  const { flows, counters, armMacHigh, armMacLow } = director;
  const { records } = flows;
  const record = number * RECORD_WORDS;
  const l3 = at + ethernet.HEADER_BYTES;
  if (ipv4.timeToLive(frame, l3) <= 1) return dropped(director, TTL_EXPIRED);
  const vipPort = (records[record + PORTS] as number) & 0xffff;
  const deltas = records[record + DELTAS] as number;
  natReply(frame, l3, l4, records[record + VIP] as number, vipPort, deltas, partial);
  const hop = records[record + HOP_LOW] as number;
  const arm = hop >>> 16;
  const toHigh = records[record + HOP_HIGH] as number;
  setMacs(frame, at, toHigh, hop & 0xffff, armMacHigh[arm] as number, armMacLow[arm] as number);
  const row = realAt(counters.room, (records[record + IDS] as number) & 0xffff);
  const { values } = counters;
  values[row + REPLY_PACKETS] = (values[row + REPLY_PACKETS] as number) + 1;
  values[row + REPLY_BYTES] = (values[row + REPLY_BYTES] as number) + (end - at);
  return send(arm);
}

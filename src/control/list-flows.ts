// The flows as people want to see them: a few records of the table as plain objects.
import type { Director } from '../director/director.ts';
import {
  CLIENT,
  EXPIRES_MS,
  isOver,
  META,
  NAT_BIT,
  PORTS,
  REAL,
  RECORD_WORDS,
  REPLY_PORTS,
  VIP,
} from '../flow/flow-table.ts';
import { STATE_NAMES } from '../flow/tcp-states.ts';
import { formatIpv4 } from '../wire/address.ts';
import type { FlowStatus } from './status.ts';

/** The first `limit` flows that are alive. */
export function listFlows({ flows, nowMs }: Director, limit: number): FlowStatus[] {
  const list: FlowStatus[] = [];
  for (let number = 0; number < flows.fresh && list.length < limit; number++) {
    const at = number * RECORD_WORDS;
    const word = (field: number) => flows.records[at + field] as number;
    const meta = word(META);
    if (meta === 0 || isOver(flows, number, nowMs)) continue;
    list.push({
      protocol: ((meta >>> 8) & 0xff) === 6 ? 'tcp' : 'udp',
      client: formatIpv4(word(CLIENT)),
      clientPort: word(PORTS) >>> 16,
      vip: formatIpv4(word(VIP)),
      vipPort: word(PORTS) & 0xffff,
      real: formatIpv4(word(REAL)),
      realPort: word(REPLY_PORTS) >>> 16,
      method: meta & NAT_BIT ? 'nat' : 'dsr',
      state: STATE_NAMES[meta & 0xff] ?? 'NONE',
      expiresInMs: (word(EXPIRES_MS) - nowMs) | 0,
    });
  }
  return list;
}

// The flows as people want to see them: a few records of the table as plain objects.
import { protocolName } from '../config/listening.ts';
import type { Director } from '../director/director.ts';
import { IPV6_BIT, METHOD_NAMES, type Table } from '../director/table.ts';
import { type AddressBook, wordsAt, wordsOf } from '../flow/address-book.ts';
import {
  CLIENT,
  EXPIRES_MS,
  FULLNAT_BIT,
  IDS,
  isOver,
  LOCAL,
  META,
  PORTS,
  REAL,
  RECORD_WORDS,
  REPLY_PORTS,
  VIP,
} from '../flow/flow-table.ts';
import { SCTP_STATE_NAMES } from '../flow/sctp-states.ts';
import { STATE_NAMES } from '../flow/tcp-states.ts';
import { formatIpv4, formatIpv6 } from '../wire/address.ts';
import type { FlowStatus } from './status.ts';

/** By number. */
const ALL_STATE_NAMES: readonly string[] = [...STATE_NAMES, ...SCTP_STATE_NAMES];

/** The first `limit` flows that are alive. */
export function listFlows({ flows, table, nowMs }: Director, limit: number): FlowStatus[] {
  const list: FlowStatus[] = [];
  for (let number = 0; number < flows.fresh && list.length < limit; number++) {
    const at = number * RECORD_WORDS;
    const word = (field: number) => flows.records[at + field] as number;
    const meta = word(META);
    if (meta === 0 || isOver(flows, number, nowMs)) continue;
    const key = (meta >>> 8) & 0xff;
    const isIpv6 = (key & IPV6_BIT) !== 0;
    const address = (field: number) =>
      isIpv6 ? formatHandle(flows.book, word(field)) : formatIpv4(word(field));
    list.push({
      protocol: protocolName(key & ~IPV6_BIT),
      client: address(CLIENT),
      clientPort: word(PORTS) >>> 16,
      vip: address(VIP),
      vipPort: word(PORTS) & 0xffff,
      real: isRealIpv6(table, word(IDS) & 0xffff, isIpv6)
        ? formatHandle(flows.book, word(REAL))
        : formatIpv4(word(REAL)),
      realPort: word(REPLY_PORTS) >>> 16,
      method: METHOD_NAMES[table.realMethod[word(IDS) & 0xffff] ?? 0] ?? 'dsr',
      ...((meta & FULLNAT_BIT) !== 0 && {
        source: address(LOCAL),
        sourcePort: word(REPLY_PORTS) & 0xffff,
      }),
      state: ALL_STATE_NAMES[meta & 0xff] ?? 'NONE',
      expiresInMs: (word(EXPIRES_MS) - nowMs) | 0,
    });
  }
  return list;
}

/** A tunnel may lead to a real of the other family. */
function isRealIpv6({ realNeighbour, neighbourFamily }: Table, id: number, isFlow: boolean) {
  const neighbour = realNeighbour[id] ?? -1;
  return neighbour < 0 ? isFlow : neighbourFamily[neighbour] === 6;
}

function formatHandle(book: AddressBook, handle: number): string {
  const [words, at] = [wordsOf(book, handle), wordsAt(handle)];
  const word = (index: number) => words[at + index] ?? 0;
  return formatIpv6([word(0), word(1), word(2), word(3)]);
}

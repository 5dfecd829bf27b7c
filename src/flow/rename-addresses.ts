// An IPv6 address that only flows hold has a handle below 0; once a table names it, it is looked up
// by that table's. So whenever a table is taken, the flows that hold such an address get its new
// handle, in their records and in both of their keys, and their holds of the old one end. Nobody
// else keeps handles: templates and counted clients go by an address's words, packets in pieces by
// hashes, and what their entries write into frames they hold for themselves, so that an old handle
// is good for as long as somebody needs it. The handle of a table an address never loses.
import { releaseAddress } from './address-book.ts';
import {
  addKey,
  CLIENT,
  type FlowTable,
  IPV6_META_BIT,
  LOCAL,
  META,
  NAT_BIT,
  RECORD_WORDS,
  REPLY_BIT,
  removeKey,
  VIP,
} from './flow-table.ts';

/** @param renamed new handles by old ones, as from fixAddresses; if none, no flow is looked at */
export function renameAddresses(table: FlowTable, renamed: ReadonlyMap<number, number>): void {
  if (renamed.size === 0) return;
  const found = flowsWith(table, renamed);
  // Of many it is less work to lay the whole index anew than to close so many gaps (measured).
  const isMany = found.length > table.active >>> 2;
  for (const number of found) {
    if (!isMany) eachKey(table, number, removeKey);
    renameEnds(table, number, renamed);
    if (!isMany) eachKey(table, number, addKey);
  }
  if (isMany) layIndex(table);
}

/** The numbers of flows with such an address. */
function flowsWith({ records, fresh }: FlowTable, renamed: ReadonlyMap<number, number>): number[] {
  const found: number[] = [];
  for (let number = 0; number < fresh; number++) {
    const at = number * RECORD_WORDS;
    // No such bit is in a free record.
    if (((records[at + META] as number) & IPV6_META_BIT) === 0) continue;
    const isClient = renamed.has(records[at + CLIENT] as number);
    if (isClient || renamed.has(records[at + VIP] as number)) found.push(number);
  }
  return found;
}

function renameEnds(
  { records, book }: FlowTable,
  number: number,
  renamed: ReadonlyMap<number, number>,
): void {
  const at = number * RECORD_WORDS;
  for (const field of [CLIENT, VIP, LOCAL]) {
    const before = records[at + field] as number;
    const after = renamed.get(before);
    if (after === undefined) continue;
    records[at + field] = after;
    // LOCAL is the client's then, which is held once.
    if (field !== LOCAL) releaseAddress(book, before);
  }
}

function layIndex(table: FlowTable): void {
  table.slots.fill(0);
  for (let number = 0; number < table.fresh; number++) {
    if (table.records[number * RECORD_WORDS + META] !== 0) eachKey(table, number, addKey);
  }
}

function eachKey(table: FlowTable, number: number, change: typeof addKey): void {
  const meta = table.records[number * RECORD_WORDS + META] as number;
  change(table, number, 0);
  if (meta & NAT_BIT) change(table, number, REPLY_BIT);
}

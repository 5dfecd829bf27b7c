// Who has this flow: an open-addressing hash table on typed arrays with a stated maximum. A flow is
// one 48-byte record; the index holds one word per key, and a NAT flow has two keys, that of its
// requests and that of its replies, so that either direction is one look-up. No allocation, no
// clock: `nowMs` is any int32 millisecond count that only grows (it may wrap, but the sweep must
// come round within the 24 days in which a time that is over can be told from one to come).
import { type AddressBook, createAddressBook, holdAgain, releaseAddress } from './address-book.ts';
import { type ClientTable, letClientGo } from './client-table.ts';
import {
  ACTIVE_STATES,
  HALF_OPEN_STATES,
  KEPT_STATES,
  NONE,
  TIMEOUT_MS,
  UDP,
  UDP_NEW,
} from './tcp-states.ts';
import { releaseTemplate, type TemplateTable } from './template-table.ts';

/** Int32 words in a record. */
export const RECORD_WORDS = 12;
/** Words of a record. Addresses are int32. */
export const CLIENT = 0;
export const VIP = 1;
/** Client port << 16 | VIP port: the ports of a request as they lie in the packet. */
export const PORTS = 2;
export const REAL = 3;
/** Real's port << 16 | port of LOCAL: the ports of a reply as they lie in the packet. */
export const REPLY_PORTS = 4;
/** State | protocol << 8 | bits of the method | stamp << 20. A protocol of 0: a free record. */
export const META = 5;
/** `nowMs` at which the flow is over. */
export const EXPIRES_MS = 6;
/** Real id | service id << 16. */
export const IDS = 7;
/** Where a request came from: MAC high; MAC low | arm << 16. Replies of NAT go there. */
export const HOP_HIGH = 8;
export const HOP_LOW = 9;
/** One's-complement change of a request's checksums: IPv4 | TCP or UDP << 16. NAT only. */
export const DELTAS = 10;
/** The address that the real sees as its client: the client's own, or one of a source pool. */
export const LOCAL = 11;
/** In a free record: the number of the next one, or -1. */
const NEXT_FREE = 0;

/** In META. The address of the VIP becomes the real's, and replies come back. */
export const NAT_BIT = 1 << 16;
/** In META, with NAT_BIT: the client's address and port become those of a source pool. */
export const FULLNAT_BIT = 1 << 17;
/** In META: requests go through a tunnel. */
export const TUNNEL_BIT = 1 << 18;

/** In META: the lowest bits of the number of its turn in the queue of half-open flows. */
const STAMP_SHIFT = 20;

// An index word: record number + 1 (24 bits), reply key or not, NAT or not, 6 bits of the hash.
const NUMBER_MASK = 0xffffff;
export const REPLY_BIT = 1 << 24;
const WIDE_SHIFT = 9; // Moves NAT_BIT there: a batch's first look then takes in the whole record.
const TAG_MASK = 0xfc000000 | 0;

/** Most flows that a table can be made for; the index has 24 bits for a record's number. */
export const MAXIMUM_FLOWS = 16_000_000;
/** How many records are looked at, in either order, for one to give up when the table is full. */
const EVICTION_SEARCH = 256;

/** In META: the protocol is a key of IPv6, and the addresses are handles. */
export const IPV6_META_BIT = 0x40 << 8;

export interface FlowTable {
  readonly maximum: number;
  readonly seed: number;
  readonly records: Int32Array;
  readonly slots: Int32Array;
  readonly slotMask: number;
  /** The addresses of IPv6. A flow holds its client's. */
  readonly book: AddressBook;
  /** How long a flow lives without a packet, by state. */
  readonly timeoutsMs: Int32Array;
  /** Flows by real id, kept here because every end of a flow passes here. */
  readonly flowsByReal: Int32Array;
  /** Those of them in an active state, as schedulers count them; see ACTIVE_STATES. */
  readonly activeByReal: Int32Array;
  /** Which flows of a real id are over whatever their time; the director sets it. */
  readonly goneReals: Uint8Array;
  /** Where clients' flows go, once a service wants that; and of each flow its template + 1. */
  templates: TemplateTable | undefined;
  templateOf: Int32Array;
  /** Likewise who has the flows, once a service limits that. */
  clients: ClientTable | undefined;
  clientOf: Int32Array;
  active: number;
  ended: number;
  evicted: number;
  /** Flows in a state that proves nothing yet; see HALF_OPEN_STATES. */
  halfOpen: number;
  /** Flows opened half open, in order from `oldest` on, round; one too many ousts that one. */
  readonly queue: Int32Array;
  oldest: number;
  queued: number;
  /** How many have ever joined the queue. */
  joined: number;
  /** First free record that was used before, or -1. */
  freeRecord: number;
  /** Records at and beyond this were never used. */
  fresh: number;
  /** Where the sweep goes on. */
  hand: number;
  /** Is told of a flow whose state is about to change, or that is about to end. */
  onChange: ((number: number) => void) | undefined;
}

/** In `goneReals`: no flows of the real, all, or its exchanges of UDP. */
export const NONE_OVER = 0;
export const ALL_OVER = 1;
export const UDP_OVER = 2;

/** What a new flow is made of; a scratch object that the caller fills again and again. */
export interface NewFlow {
  client: number;
  vip: number;
  ports: number;
  real: number;
  replyPorts: number;
  protocol: number;
  /** As for the record's LOCAL; of any use to NAT alone. */
  local: number;
  /** NAT_BIT and the like, or 0. */
  bits: number;
  realId: number;
  serviceId: number;
  hopHigh: number;
  hopLow: number;
  deltas: number;
}

/**
 * @param maximum most flows at a time, up to MAXIMUM_FLOWS; 48 bytes each and 8 to 16 of index
 * @param realIds how many real ids there can be
 * @param seed keys the hash, so that nobody outside can make long probe chains
 * @param halfOpenMaximum most of them that are half open; a quarter unless given
 * @param otherAddresses how many of IPv6 others than flows may hold
 */
export function createFlowTable(
  maximum: number,
  realIds: number,
  seed: number,
  halfOpenMaximum: number = Math.max(1, maximum >>> 2),
  otherAddresses = 0,
): FlowTable {
  if (!Number.isInteger(maximum) || maximum < 1 || maximum > MAXIMUM_FLOWS) {
    throw new RangeError(`a table holds 1 to ${MAXIMUM_FLOWS} flows, not ${maximum}`);
  }
  const slotCount = 1 << Math.max(4, Math.ceil(Math.log2(maximum * 2 * 1.25)));
  const table: FlowTable = {
    maximum,
    seed,
    records: new Int32Array((maximum + 1) * RECORD_WORDS), // One more: that of layPassing.
    slots: new Int32Array(slotCount),
    slotMask: slotCount - 1,
    // Client and VIP of each, and of one that is about to be added.
    book: createAddressBook((maximum + 1) * 2 + otherAddresses, seed),
    timeoutsMs: new Int32Array(new ArrayBuffer(TIMEOUT_MS.byteLength)),
    flowsByReal: new Int32Array(realIds),
    activeByReal: new Int32Array(realIds),
    goneReals: new Uint8Array(realIds),
    templates: undefined,
    templateOf: new Int32Array(0),
    clients: undefined,
    clientOf: new Int32Array(0),
    active: 0,
    ended: 0,
    evicted: 0,
    halfOpen: 0,
    queue: new Int32Array(halfOpenMaximum),
    oldest: 0,
    queued: 0,
    joined: 0,
    freeRecord: -1,
    fresh: 0,
    hand: 0,
    onChange: undefined,
  };
  table.timeoutsMs.set(TIMEOUT_MS);
  return table;
}

/** Keyed hash of a packet's addresses, ports and protocol (a multiply-xorshift mix). */
export function hashKey(
  seed: number,
  source: number,
  destination: number,
  ports: number,
  protocol: number,
): number {
  let hash = Math.imul(source ^ seed, 0x85ebca6b);
  hash = Math.imul((hash ^ (hash >>> 15)) + destination, 0xc2b2ae35);
  hash = Math.imul((hash ^ (hash >>> 13)) + (ports ^ protocol), 0x27d4eb2f);
  return hash ^ (hash >>> 15);
}

/**
 * Looks a packet up by its own addresses, ports and protocol, whichever direction it has.
 * @param ports source port << 16 | destination port
 * @returns record number << 1 | 1 for a reply; or -1
 */
export function findFlow(
  table: FlowTable,
  source: number,
  destination: number,
  ports: number,
  protocol: number,
): number {
  const hash = hashKey(table.seed, source, destination, ports, protocol);
  const { records, slots, slotMask } = table;
  for (let slot = hash & slotMask; ; slot = (slot + 1) & slotMask) {
    const word = slots[slot] as number;
    if (word === 0) return -1;
    if ((word ^ hash) >>> 26 !== 0) continue; // TAG_MASK
    const found = findAt(records, word, source, destination, ports, protocol) | 0;
    if (found >= 0) return found;
  }
}

/**
 * findFlow for the one record that a word of the index leads to.
 * @param word not 0; the record may have become another flow's since it was read
 */
export function findAt(
  records: Int32Array,
  word: number,
  source: number,
  destination: number,
  ports: number,
  protocol: number,
): number {
  // Literal numbers for the words of a record: V8 loads an imported or module constant anew at
  // every use, and checks it, which the one look-up of each packet would pay for (measured).
  const number = (word & 0xffffff) - 1; // NUMBER_MASK
  const at = Math.imul(number, 12) & 0x3fffffff; // RECORD_WORDS
  const meta = records[at + 5] as number; // META
  if (((meta >>> 8) & 0xff) !== protocol) return -1;
  if ((word & 0x1000000) === 0) {
    const client = records[at];
    if (client !== source || records[at + 1] !== destination) return -1; // CLIENT, VIP
    return records[at + 2] === ports ? number << 1 : -1; // PORTS
  }
  if ((meta & 0x10000) === 0) return -1; // NAT_BIT
  const real = records[at + 3];
  if (real !== source || records[at + 11] !== destination) return -1; // REAL, LOCAL
  return records[at + 4] === ports ? (number << 1) | 1 : -1; // REPLY_PORTS
}

/** The table had no room, and no flow that it may give up. */
export const TABLE_FULL = -1;
/** The reply key belongs to another flow already. */
export const REPLY_TAKEN = -2;

/**
 * Adds a flow whose request key is not in the table.
 * @returns its record number, or TABLE_FULL, or REPLY_TAKEN
 */
export function addFlow(table: FlowTable, flow: NewFlow, state: number, nowMs: number): number {
  const nat = (flow.bits & NAT_BIT) !== 0;
  if (nat) {
    const taken = findFlow(table, flow.real, flow.local, flow.replyPorts, flow.protocol);
    if (taken !== -1 && !isOver(table, taken >>> 1, nowMs)) return REPLY_TAKEN;
    if (taken !== -1) removeFlow(table, taken >>> 1);
  }
  const isHalfOpen = halfOpenness(state) !== 0;
  if (isHalfOpen && table.queued === table.queue.length) leaveQueue(table);
  const number = takeRecord(table, nowMs);
  if (number < 0) return TABLE_FULL;
  layRecord(table, number, flow, state, nowMs);
  if (((flow.protocol << 8) & IPV6_META_BIT) !== 0) {
    holdAgain(table.book, flow.client);
    holdAgain(table.book, flow.vip);
  }
  if (isHalfOpen) joinQueue(table, number);
  addKey(table, number, 0);
  if (nat) addKey(table, number, REPLY_BIT);
  table.active++;
  table.flowsByReal[flow.realId] = (table.flowsByReal[flow.realId] as number) + 1;
  countState(table, flow.realId, NONE, state);
  return number;
}

/**
 * Lays down a flow for one packet: its record is good until the next one, no packet finds it, and
 * it counts nowhere once it is back in the state that it began with. There is always room for it.
 * @param state NONE, or that of SCTP
 * @returns its record number
 */
export function layPassing(table: FlowTable, flow: NewFlow, state: number, nowMs: number): number {
  layRecord(table, table.maximum, flow, state, nowMs);
  return table.maximum;
}

function layRecord(
  table: FlowTable,
  number: number,
  flow: NewFlow,
  state: number,
  nowMs: number,
): void {
  const { records } = table;
  const at = number * RECORD_WORDS;
  records[at + CLIENT] = flow.client;
  records[at + VIP] = flow.vip;
  records[at + PORTS] = flow.ports;
  records[at + REAL] = flow.real;
  records[at + REPLY_PORTS] = flow.replyPorts;
  records[at + META] = state | (flow.protocol << 8) | flow.bits;
  records[at + EXPIRES_MS] = (nowMs + (table.timeoutsMs[state] as number)) | 0;
  records[at + IDS] = flow.realId | (flow.serviceId << 16);
  records[at + HOP_HIGH] = flow.hopHigh;
  records[at + HOP_LOW] = flow.hopLow;
  records[at + DELTAS] = flow.deltas;
  records[at + LOCAL] = flow.local;
}

// 1 for a state in which a flow counts as active, or that proves nothing yet; else 0.
const activity = (state: number): number => (ACTIVE_STATES >>> state) & 1;
const halfOpenness = (state: number): number => (HALF_OPEN_STATES >>> state) & 1;

function countState(table: FlowTable, realId: number, before: number, after: number): void {
  const { activeByReal } = table;
  activeByReal[realId] = (activeByReal[realId] as number) + activity(after) - activity(before);
  table.halfOpen += halfOpenness(after) - halfOpenness(before);
}

/** Puts a flow into another state. Its time is the caller's affair. */
export function changeState(table: FlowTable, number: number, state: number): void {
  const { records } = table;
  table.onChange?.(number);
  const at = number * RECORD_WORDS;
  const meta = records[at + META] as number;
  records[at + META] = (meta & ~0xff) | state;
  countState(table, (records[at + IDS] as number) & 0xffff, meta & 0xff, state);
}

/** Takes a flow out. Its record may be given to the next flow at once. */
export function removeFlow(table: FlowTable, number: number): void {
  const { records, flowsByReal } = table;
  const at = number * RECORD_WORDS;
  const meta = records[at + META] as number;
  table.onChange?.(number);
  removeKey(table, number, 0);
  if (meta & NAT_BIT) removeKey(table, number, REPLY_BIT);
  if (meta & IPV6_META_BIT) {
    releaseAddress(table.book, records[at + CLIENT] as number);
    releaseAddress(table.book, records[at + VIP] as number);
  }
  records[at + META] = 0;
  records[at + NEXT_FREE] = table.freeRecord;
  table.freeRecord = number;
  table.active--;
  table.ended++;
  const realId = (records[at + IDS] as number) & 0xffff;
  flowsByReal[realId] = (flowsByReal[realId] as number) - 1;
  countState(table, realId, meta & 0xff, NONE);
  if (table.templates !== undefined) letTemplateGo(table, table.templates, number);
  if (table.clients !== undefined) letClientGo(table.clients, table.clientOf, number);
}

function letTemplateGo({ templateOf }: FlowTable, templates: TemplateTable, number: number): void {
  const template = (templateOf[number] as number) - 1;
  if (template < 0) return;
  releaseTemplate(templates, template);
  templateOf[number] = 0;
}

/**
 * True if the flow's time is over or its real is gone. Such a flow counts as none, although its
 * record is there until it is met: by a packet, by the sweep, or by a flow that needs the room.
 */
export function isOver(table: FlowTable, number: number, nowMs: number): boolean {
  const { records, goneReals } = table;
  const at = number * RECORD_WORDS;
  if ((((records[at + EXPIRES_MS] as number) - nowMs) | 0) <= 0) return true;
  const gone = goneReals[(records[at + IDS] as number) & 0xffff];
  const state = (records[at + META] as number) & 0xff;
  return gone === ALL_OVER || (gone === UDP_OVER && (state === UDP || state === UDP_NEW));
}

/** Looks at the next `budget` records and removes the flows that are over. */
export function sweepFlows(table: FlowTable, nowMs: number, budget: number): void {
  for (let look = Math.min(budget, table.fresh); look > 0; look--) {
    const number = table.hand < table.fresh ? table.hand : 0;
    table.hand = number + 1;
    if (table.records[number * RECORD_WORDS + META] === 0) continue;
    if (isOver(table, number, nowMs)) removeFlow(table, number);
  }
}

function takeRecord(table: FlowTable, nowMs: number): number {
  if (table.freeRecord < 0) {
    if (table.fresh < table.maximum) return table.fresh++;
    if (!evictOne(table, nowMs) && !evictOldest(table)) return -1;
  }
  const number = table.freeRecord;
  table.freeRecord = table.records[number * RECORD_WORDS + NEXT_FREE] as number;
  return number;
}

/**
 * Makes room in a full table: gives up the first flow past the hand that is over, closing or only
 * half open. An established connection is never given up within its time, nor is a UDP flow of
 * which more than one request has come.
 */
function evictOne(table: FlowTable, nowMs: number): boolean {
  const { records } = table;
  for (let look = Math.min(EVICTION_SEARCH, table.maximum); look > 0; look--) {
    const number = table.hand < table.fresh ? table.hand : 0;
    table.hand = number + 1;
    const state = (records[number * RECORD_WORDS + META] as number) & 0xff;
    const over = isOver(table, number, nowMs);
    if (!over && (KEPT_STATES >>> state) & 1) continue;
    removeFlow(table, number);
    if (!over) table.evicted++;
    return true;
  }
  return false;
}

/** Where the hand met none: the flow that was opened half open before all others and still is. */
function evictOldest(table: FlowTable): boolean {
  for (let look = 0; look < EVICTION_SEARCH && table.queued > 0; look++) {
    if (leaveQueue(table)) return true;
  }
  return false;
}

/** Takes the oldest out of the queue, and gives up its flow if it is half open still. */
function leaveQueue(table: FlowTable): boolean {
  const { queue, records } = table;
  const number = queue[table.oldest] as number;
  const stamp = (table.joined - table.queued) << STAMP_SHIFT;
  table.oldest = table.oldest + 1 < queue.length ? table.oldest + 1 : 0;
  table.queued--;
  const meta = records[number * RECORD_WORDS + META] as number;
  if (meta === 0 || halfOpenness(meta & 0xff) === 0) return false;
  // The record may be another flow's by now, which has come later.
  if ((meta ^ stamp) >>> STAMP_SHIFT !== 0) return false;
  removeFlow(table, number);
  table.evicted++;
  return true;
}

function joinQueue(table: FlowTable, number: number): void {
  const { queue, records } = table;
  const at = number * RECORD_WORDS + META;
  records[at] = (records[at] as number) | (table.joined << STAMP_SHIFT);
  table.joined = (table.joined + 1) | 0;
  const place = table.oldest + table.queued;
  queue[place < queue.length ? place : place - queue.length] = number;
  table.queued++;
}

/** The hash of one of a record's keys, computed again from its fields. */
function hashOf(table: FlowTable, number: number, replyBit: number): number {
  const { records, seed } = table;
  const at = number * RECORD_WORDS;
  const word = (field: number) => records[at + field] as number;
  const protocol = (word(META) >>> 8) & 0xff;
  return replyBit === 0
    ? hashKey(seed, word(CLIENT), word(VIP), word(PORTS), protocol)
    : hashKey(seed, word(REAL), word(LOCAL), word(REPLY_PORTS), protocol);
}

function wordOf({ records }: FlowTable, number: number, replyBit: number, hash: number): number {
  const nat = (records[number * RECORD_WORDS + META] as number) & NAT_BIT;
  return (number + 1) | replyBit | (nat << WIDE_SHIFT) | (hash & TAG_MASK);
}

export function addKey(table: FlowTable, number: number, replyBit: number): void {
  const { slots, slotMask } = table;
  const hash = hashOf(table, number, replyBit);
  let slot = hash & slotMask;
  while (slots[slot] !== 0) slot = (slot + 1) & slotMask;
  slots[slot] = wordOf(table, number, replyBit, hash);
}

/** Takes a key out and closes the gap, so that probe chains stay whole without tombstones. */
export function removeKey(table: FlowTable, number: number, replyBit: number): void {
  const { slots, slotMask } = table;
  const hash = hashOf(table, number, replyBit);
  const word = wordOf(table, number, replyBit, hash);
  let gap = hash & slotMask;
  while (slots[gap] !== word) gap = (gap + 1) & slotMask;
  for (let slot = (gap + 1) & slotMask; slots[slot] !== 0; slot = (slot + 1) & slotMask) {
    const other = slots[slot] as number;
    const home = hashOf(table, (other & NUMBER_MASK) - 1, other & REPLY_BIT) & slotMask;
    // Move it into the gap unless its home lies between the gap and where it is.
    if (((slot - home) & slotMask) >= ((slot - gap) & slotMask)) {
      slots[gap] = other;
      gap = slot;
    }
  }
  slots[gap] = 0;
}

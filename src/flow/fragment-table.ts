// Which way a packet goes that comes in pieces. Only its first fragment shows ports, so what was
// decided about that one is remembered here for the others, by source, destination, identification
// and protocol (RFC 791, 3.2); and those that come before it are held, as copies, until it is
// there. All of it is bounded: an entry is one of eight in its bucket, a held frame one slot of a
// ring. Where there is no room the older gives way: in a flood it is the newest that still has all
// its fragments under way. What an entry knows of a flow outlives that one, so the entry holds the
// handles of addresses by itself. No allocation, no clock: `nowMs` is any int32 millisecond count
// that only grows.
import { HEADROOM_BYTES } from '../wire/tunnel.ts';
import { type AddressBook, holdAgain, releaseAddress } from './address-book.ts';
import { hashKey } from './flow-table.ts';

/** Int32 words of an entry. An entry is named by the index of its first word. */
const ENTRY_WORDS = 14;
const SOURCE = 0;
const DESTINATION = 1;
/** Identification << 8 | protocol. */
const ID_PROTOCOL = 2;
const EXPIRES_MS = 3;
/** Payload bytes seen so far, and how many there are if the last fragment has come, else 0. */
const SEEN_BYTES = 4;
const TOTAL_BYTES = 5;
/** How many frames are held for it. */
const HELD = 6;
/** What was decided about the first fragment; 0 marks a free entry. */
export const WAY = 7;
/**
 * Of TO_REAL: the real's address for NAT, else 0. Of TO_CLIENT: the VIP. Of IPv6, where a handle
 * may be 0, the complement.
 */
export const ADDRESS = 8;
/** Of TO_REAL and TO_CLIENT: the real's id. Of REFUSED: the drop reason. */
export const DETAIL = 9;
/** Of TO_CLIENT: where replies go, as a flow's record has it. */
export const HOP_HIGH = 10;
export const HOP_LOW = 11;
/** Of a NAT flow: the other address, that of whom the packet comes from or goes to in the end. */
export const PEER = 12;
/** 1 if ADDRESS and PEER stand for handles, which the entry holds. */
const HOLDS = 13;

const FREE = 0;
/** The first fragment has not come yet. */
export const WAITING = 1;
export const TO_REAL = 2;
export const TO_CLIENT = 3;
/** A ping that is answered piece by piece. */
export const ECHOED = 4;
export const PASSED = 5;
export const REFUSED = 6;

const BUCKET_ENTRIES = 8;
/** How long an entry lives without a fragment: half of what Linux gives a whole packet. */
const LIFETIME_MS = 15_000;
/** How long the first fragment may be late: FRAGMENT_MIN of RFC 6146, section 4. */
const WAIT_MS = 2000;
/** Room for a frame of an MTU of 9,000; memory that is never touched takes none. */
const SLOT_BYTES = 9216;

export interface FragmentTable {
  readonly seed: number;
  /** Where handles are held. */
  readonly book: AddressBook;
  readonly bucketMask: number;
  readonly entries: Int32Array;
  /** The held frames: slots of SLOT_BYTES, and of each its entry or -1, its length and its arm. */
  readonly held: DataView;
  readonly heldEntry: Int32Array;
  readonly heldBytes: Int32Array;
  readonly heldArm: Uint8Array;
  readonly heldTag: Int32Array;
  /** The slot to be used next, which holds the oldest frame. */
  nextSlot: number;
  /** Frames that are held now. */
  holding: number;
  /** Held frames that were lost since somebody set this to 0: for want of their first fragment. */
  late: number;
  /** The same, because something newer needed the room. */
  displaced: number;
  /** Where the sweep goes on. */
  hand: number;
}

export interface FragmentRoom {
  /** Most packets at a time; rounded up to a power of two, at least 8. */
  readonly packets: number;
  /** Most frames that are held at a time. */
  readonly frames: number;
}

/**
 * @param book has room for two addresses of each packet
 * @param seed keys the hash, so that nobody outside can aim at a bucket
 */
export function createFragmentTable(
  room: FragmentRoom,
  book: AddressBook,
  seed: number,
): FragmentTable {
  const buckets = 1 << Math.max(0, Math.ceil(Math.log2(room.packets / BUCKET_ENTRIES)));
  return {
    seed,
    book,
    bucketMask: buckets - 1,
    entries: new Int32Array(buckets * BUCKET_ENTRIES * ENTRY_WORDS),
    held: new DataView(new ArrayBuffer(room.frames * (HEADROOM_BYTES + SLOT_BYTES))),
    heldEntry: new Int32Array(room.frames).fill(-1),
    heldBytes: new Int32Array(room.frames),
    heldArm: new Uint8Array(room.frames),
    heldTag: new Int32Array(room.frames),
    nextSlot: 0,
    holding: 0,
    late: 0,
    displaced: 0,
    hand: 0,
  };
}

/** What names a packet beside its addresses. */
export const idProtocol = (identification: number, protocol: number): number =>
  (identification << 8) | protocol;

const isOver = (entries: Int32Array, entry: number, nowMs: number): boolean =>
  (((entries[entry + EXPIRES_MS] as number) - nowMs) | 0) <= 0;

/** Index of the first entry of the bucket of these. */
function bucketOf(table: FragmentTable, source: number, destination: number, id: number): number {
  const hash = hashKey(table.seed, source, destination, id, 0);
  return (hash & table.bucketMask) * BUCKET_ENTRIES * ENTRY_WORDS;
}

/** @returns the entry of a packet, or -1 */
export function findEntry(
  table: FragmentTable,
  source: number,
  destination: number,
  id: number,
  nowMs: number,
): number {
  const { entries } = table;
  const bucket = bucketOf(table, source, destination, id);
  for (let way = 0; way < BUCKET_ENTRIES; way++) {
    const entry = bucket + way * ENTRY_WORDS;
    if (entries[entry + WAY] === FREE || entries[entry + ID_PROTOCOL] !== id) continue;
    if (entries[entry + SOURCE] !== source || entries[entry + DESTINATION] !== destination) {
      continue;
    }
    // Behind one that is over there may be another of the same name.
    if (!isOver(entries, entry, nowMs)) return entry;
  }
  return -1;
}

/**
 * Adds an entry for a packet that has none, if need be in the place of the oldest of those that are
 * worth least.
 * @param way WAITING, or what was decided about its first fragment
 * @returns the entry, or -1 if all others of its bucket are worth more
 */
export function addEntry(
  table: FragmentTable,
  source: number,
  destination: number,
  id: number,
  way: number,
  nowMs: number,
): number {
  const { entries } = table;
  const bucket = bucketOf(table, source, destination, id);
  let chosen = -1;
  let lowest = worthOfWay(way) + 1;
  for (let index = 0; index < BUCKET_ENTRIES; index++) {
    const entry = bucket + index * ENTRY_WORDS;
    const worth = worthOf(table, entry, nowMs);
    if (worth > lowest) continue;
    if (worth === lowest && (chosen < 0 || !isOlder(entries, entry, chosen))) continue;
    chosen = entry;
    lowest = worth;
  }
  if (chosen < 0) return -1;
  removeEntry(table, chosen, nowMs);
  entries[chosen + SOURCE] = source;
  entries[chosen + DESTINATION] = destination;
  entries[chosen + ID_PROTOCOL] = id;
  entries[chosen + SEEN_BYTES] = 0;
  entries[chosen + TOTAL_BYTES] = 0;
  entries[chosen + WAY] = way;
  refresh(table, chosen, nowMs);
  return chosen;
}

const WORTH_NOTHING = 0;
const WORTH_LITTLE = 1;
const WORTH_WAITING = 2;
const WORTH_LEADING = 3;

function worthOfWay(way: number): number {
  if (way === WAITING) return WORTH_WAITING;
  return way === PASSED || way === REFUSED ? WORTH_LITTLE : WORTH_LEADING;
}

/** Free or over; done or leading nowhere; waiting for its first fragment; or leading the others. */
function worthOf({ entries }: FragmentTable, entry: number, nowMs: number): number {
  const way = entries[entry + WAY] as number;
  if (way === FREE || isOver(entries, entry, nowMs)) return WORTH_NOTHING;
  const worth = worthOfWay(way);
  const isDone = entries[entry + SEEN_BYTES] === entries[entry + TOTAL_BYTES];
  return isDone && worth === WORTH_LEADING ? WORTH_LITTLE : worth;
}

function isOlder(entries: Int32Array, entry: number, other: number): boolean {
  const ahead = (entries[other + EXPIRES_MS] as number) - (entries[entry + EXPIRES_MS] as number);
  return (ahead | 0) > 0;
}

function refresh({ entries }: FragmentTable, entry: number, nowMs: number): void {
  const isWaiting = entries[entry + WAY] === WAITING;
  entries[entry + EXPIRES_MS] = (nowMs + (isWaiting ? WAIT_MS : LIFETIME_MS)) | 0;
}

/**
 * Notes what was decided about the first fragment of a packet that is known. Unless it was awaited,
 * it begins a new packet: senders use identifications again.
 */
export function restartEntry(
  table: FragmentTable,
  entry: number,
  way: number,
  nowMs: number,
): void {
  const { entries } = table;
  if (entries[entry + WAY] !== WAITING) {
    entries[entry + SEEN_BYTES] = 0;
    entries[entry + TOTAL_BYTES] = 0;
  }
  releaseWay(table, entry);
  entries[entry + WAY] = way;
  refresh(table, entry, nowMs);
}

/**
 * Holds the addresses of a way of IPv6, as ADDRESS and PEER have them, until the entry ends or gets
 * another way.
 */
export function holdWay({ book, entries }: FragmentTable, entry: number): void {
  holdAgain(book, ~(entries[entry + ADDRESS] as number));
  holdAgain(book, entries[entry + PEER] as number);
  entries[entry + HOLDS] = 1;
}

function releaseWay({ book, entries }: FragmentTable, entry: number): void {
  if (entries[entry + HOLDS] === 0) return;
  releaseAddress(book, ~(entries[entry + ADDRESS] as number));
  releaseAddress(book, entries[entry + PEER] as number);
  entries[entry + HOLDS] = 0;
}

/**
 * Counts a fragment of this packet, so that an entry is known to be done.
 * @param totalBytes bytes of the whole packet's payload if this is its last fragment, else 0
 */
export function countFragment(
  table: FragmentTable,
  entry: number,
  payloadBytes: number,
  totalBytes: number,
  nowMs: number,
): void {
  const { entries } = table;
  entries[entry + SEEN_BYTES] = (entries[entry + SEEN_BYTES] as number) + payloadBytes;
  if (totalBytes !== 0) entries[entry + TOTAL_BYTES] = totalBytes;
  // What waits is not kept waiting by more of the same.
  if (entries[entry + WAY] !== WAITING) refresh(table, entry, nowMs);
}

/** Holds a copy of a frame for its entry. @returns false if it is too long to be held */
export function holdFrame(
  table: FragmentTable,
  entry: number,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
  tag: number,
): boolean {
  if (end - at > SLOT_BYTES) return false;
  const { held, heldEntry, heldBytes, heldArm, heldTag, entries } = table;
  const slot = table.nextSlot;
  table.nextSlot = slot + 1 === heldEntry.length ? 0 : slot + 1;
  if (heldEntry[slot] !== -1) {
    freeSlot(table, slot);
    table.displaced++;
  }
  const start = slotAt(slot);
  const bytes = end - at;
  let done = 0;
  for (; done + 4 <= bytes; done += 4) held.setInt32(start + done, frame.getInt32(at + done));
  for (; done < bytes; done++) held.setUint8(start + done, frame.getUint8(at + done));
  heldEntry[slot] = entry;
  heldBytes[slot] = bytes;
  heldArm[slot] = arm;
  heldTag[slot] = tag;
  entries[entry + HELD] = (entries[entry + HELD] as number) + 1;
  table.holding++;
  return true;
}

/**
 * The slot of the oldest frame that is held for an entry, or -1. The frame lies in `held` from
 * `slotAt` on, with the room of every frame before it; `freeSlot` gives the slot back.
 */
export function heldSlot({ entries, heldEntry, nextSlot }: FragmentTable, entry: number): number {
  if (entries[entry + HELD] === 0) return -1;
  const slots = heldEntry.length;
  for (let look = 0; look < slots; look++) {
    const slot = (nextSlot + look) % slots;
    if (heldEntry[slot] === entry) return slot;
  }
  return -1;
}

export const slotAt = (slot: number): number =>
  slot * (HEADROOM_BYTES + SLOT_BYTES) + HEADROOM_BYTES;

export function freeSlot(table: FragmentTable, slot: number): void {
  const { entries, heldEntry } = table;
  const entry = heldEntry[slot] as number;
  entries[entry + HELD] = (entries[entry + HELD] as number) - 1;
  heldEntry[slot] = -1;
  table.holding--;
}

/** Takes an entry out; frames that are held for it are lost. */
function removeEntry(table: FragmentTable, entry: number, nowMs: number): void {
  const { entries } = table;
  const wasOver = isOver(entries, entry, nowMs);
  for (let slot = heldSlot(table, entry); slot >= 0; slot = heldSlot(table, entry)) {
    freeSlot(table, slot);
    if (wasOver) table.late++;
    else table.displaced++;
  }
  releaseWay(table, entry);
  entries[entry + WAY] = FREE;
}

/** Looks at the next `budget` entries and removes those that are over. */
export function sweepFragments(table: FragmentTable, nowMs: number, budget: number): void {
  const { entries } = table;
  for (let look = 0; look < budget; look++) {
    const entry = table.hand;
    table.hand = entry + ENTRY_WORDS === entries.length ? 0 : entry + ENTRY_WORDS;
    if (entries[entry + WAY] !== FREE && isOver(entries, entry, nowMs)) {
      removeEntry(table, entry, nowMs);
    }
  }
}

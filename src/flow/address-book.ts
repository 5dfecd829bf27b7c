// IPv6 addresses by number, so that whoever handles flows handles one int32 an address. Addresses
// of the configuration have the numbers that control gave them, 0 and up: their index in the table.
// A client, and a VIP out of a prefix, has a number below 0 for as long as a flow holds it; if a
// table names it meanwhile, see rename-addresses.ts. Open addressing over four words, with a keyed
// hash, for both kinds; no allocation for clients once the first table with IPv6 has come.

/** No handle: of an address that is not in the book. A client's is never as low. */
export const UNKNOWN = -0x8000_0000;

const WORDS = 4;

export interface AddressBook {
  readonly maximum: number;
  readonly seed: number;
  /** Four words for each fixed handle: `addresses6` of the table. */
  fixed: Int32Array;
  /** Handle + 1 in each slot; a power of two long, as is the other one. */
  fixedSlots: Int32Array;
  /** Four words, and the number of holds, of each client's entry. Empty until there is IPv6. */
  words: Int32Array;
  holds: Int32Array;
  /** Number of the entry + 1. */
  slots: Int32Array;
  /** First free entry that was used before, or -1; the next one is in its first word. */
  freeEntry: number;
  /** Entries at and beyond this were never used. */
  fresh: number;
}

/**
 * @param maximum most clients and VIPs of prefixes at a time
 * @param seed keys the hash, so that nobody outside can make long probe chains
 */
export function createAddressBook(maximum: number, seed: number): AddressBook {
  const none = new Int32Array(0);
  return {
    ...{ maximum, seed, fixed: none, fixedSlots: new Int32Array(1), words: none, holds: none },
    ...{ slots: new Int32Array(1), freeEntry: -1, fresh: 0 },
  };
}

/** Rounds up to a power of two, at least twice as many as entries, so that chains end. */
const slotCount = (entries: number): number => 1 << Math.ceil(Math.log2(entries * 2 + 1));

/**
 * Takes the addresses of a new table. What flows hold stays.
 * @param hasIpv6 whether there may be clients of IPv6 from now on
 * @returns by its handle till now, the new one of each held address that is fixed now
 */
export function fixAddresses(
  book: AddressBook,
  addresses: Int32Array,
  hasIpv6 = addresses.length > 0,
): Map<number, number> {
  const count = addresses.length / WORDS;
  book.fixed = addresses;
  book.fixedSlots = new Int32Array(slotCount(count));
  const renamed = new Map<number, number>();
  for (let handle = 0; handle < count; handle++) {
    const hash = hashAt(book, addresses, handle);
    addSlot(book.fixedSlots, hash, handle);
    const [a = 0, b = 0, c = 0, d = 0] = addresses.subarray(handle * WORDS, (handle + 1) * WORDS);
    const entry = findIn(book.slots, book.words, hash, a, b, c, d);
    if (entry >= 0) renamed.set(~entry, handle);
  }
  if (!hasIpv6 || book.words.length > 0) return renamed;
  book.words = new Int32Array(book.maximum * WORDS);
  book.holds = new Int32Array(book.maximum);
  book.slots = new Int32Array(slotCount(book.maximum));
  return renamed;
}

/** Keyed hash of an address (a multiply-xorshift mix, as of a flow's key). */
function hashAddress(seed: number, a: number, b: number, c: number, d: number): number {
  let hash = Math.imul(a ^ seed, 0x85ebca6b);
  hash = Math.imul((hash ^ (hash >>> 15)) + b, 0xc2b2ae35);
  hash = Math.imul((hash ^ (hash >>> 13)) + c, 0x27d4eb2f);
  hash = Math.imul((hash ^ (hash >>> 16)) + d, 0x165667b1);
  return hash ^ (hash >>> 15);
}

function hashAt({ seed }: AddressBook, words: Int32Array, entry: number): number {
  const at = entry * WORDS;
  const a = words[at] as number;
  const b = words[at + 1] as number;
  return hashAddress(seed, a, b, words[at + 2] as number, words[at + 3] as number);
}

/** Keyed hash of the address that a handle stands for. */
export const hashOfHandle = (book: AddressBook, handle: number): number =>
  hashAt(book, wordsOf(book, handle), handle < 0 ? ~handle : handle);

function addSlot(slots: Int32Array, hash: number, entry: number): void {
  const mask = slots.length - 1;
  let slot = hash & mask;
  while (slots[slot] !== 0) slot = (slot + 1) & mask;
  slots[slot] = entry + 1;
}

/** @returns the number of the entry with these words, or -1 */
function findIn(
  slots: Int32Array,
  words: Int32Array,
  hash: number,
  a: number,
  b: number,
  c: number,
  d: number,
): number {
  const mask = slots.length - 1;
  for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
    const entry = (slots[slot] as number) - 1;
    if (entry < 0) return -1;
    const at = entry * WORDS;
    if (words[at + 3] !== d || words[at + 2] !== c) continue;
    if (words[at + 1] === b && words[at] === a) return entry;
  }
}

/** Keyed hash of the address that lies in a frame. */
export function hashInFrame(seed: number, frame: DataView, at: number): number {
  const a = frame.getInt32(at);
  const b = frame.getInt32(at + 4);
  return hashAddress(seed, a, b, frame.getInt32(at + 8), frame.getInt32(at + 12));
}

/** Looks up the address that lies in a frame. @returns its handle, or UNKNOWN */
export function findAddress(book: AddressBook, frame: DataView, at: number): number {
  const a = frame.getInt32(at);
  const b = frame.getInt32(at + 4);
  const c = frame.getInt32(at + 8);
  const d = frame.getInt32(at + 12);
  const hash = hashAddress(book.seed, a, b, c, d);
  const handle = findIn(book.fixedSlots, book.fixed, hash, a, b, c, d);
  if (handle >= 0) return handle;
  const entry = findIn(book.slots, book.words, hash, a, b, c, d);
  return entry < 0 ? UNKNOWN : ~entry;
}

/**
 * Looks up the address that lies in a frame, and enters it if it is new. What it gives is held, to
 * be released.
 * @returns its handle, or UNKNOWN if the book is full
 */
export function holdAddress(book: AddressBook, frame: DataView, at: number): number {
  const known = findAddress(book, frame, at);
  if (known !== UNKNOWN) {
    holdAgain(book, known);
    return known;
  }
  const entry = takeEntry(book);
  if (entry < 0) return UNKNOWN;
  for (let word = 0; word < WORDS; word++) {
    book.words[entry * WORDS + word] = frame.getInt32(at + word * 4);
  }
  book.holds[entry] = 1;
  addSlot(book.slots, hashAt(book, book.words, entry), entry);
  return ~entry;
}

function takeEntry(book: AddressBook): number {
  const entry = book.freeEntry;
  if (entry < 0) return book.fresh < book.holds.length ? book.fresh++ : -1;
  book.freeEntry = book.words[entry * WORDS] as number;
  return entry;
}

/** One more hold of what is held already. Fixed addresses need none. */
export function holdAgain({ holds }: AddressBook, handle: number): void {
  if (handle < 0) holds[~handle] = (holds[~handle] as number) + 1;
}

/** Ends a hold; with the last one the entry ends too. */
export function releaseAddress(book: AddressBook, handle: number): void {
  if (handle >= 0) return;
  const entry = ~handle;
  const left = (book.holds[entry] as number) - 1;
  book.holds[entry] = left;
  if (left > 0) return;
  removeSlot(book, entry);
  book.words[entry * WORDS] = book.freeEntry;
  book.freeEntry = entry;
}

/** Takes an entry's slot out and closes the gap, so that probe chains stay whole. */
function removeSlot(book: AddressBook, entry: number): void {
  const { slots, words } = book;
  const mask = slots.length - 1;
  let gap = hashAt(book, words, entry) & mask;
  while (slots[gap] !== entry + 1) gap = (gap + 1) & mask;
  for (let slot = (gap + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
    const other = slots[slot] as number;
    const home = hashAt(book, words, other - 1) & mask;
    // Move it into the gap unless its home lies between the gap and where it is.
    if (((slot - home) & mask) >= ((slot - gap) & mask)) {
      slots[gap] = other;
      gap = slot;
    }
  }
  slots[gap] = 0;
}

/** The four words that a handle stands for: they begin at `wordsAt` of this array. */
export const wordsOf = (book: AddressBook, handle: number): Int32Array =>
  handle < 0 ? book.words : book.fixed;

export const wordsAt = (handle: number): number => (handle < 0 ? ~handle : handle) * WORDS;

// The address book against a Map: what is held is found, what nobody holds is gone, and neither a
// full book nor a new table loses anything.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AddressBook,
  createAddressBook,
  findAddress,
  fixAddresses,
  holdAddress,
  holdAgain,
  releaseAddress,
  UNKNOWN,
  wordsAt,
  wordsOf,
} from '../../src/flow/address-book.ts';

const MAXIMUM = 6;
/** Few addresses, so that they meet again, and some that differ in one word alone. */
const ADDRESSES = Array.from({ length: 12 }, (_, index) => {
  const words = Int32Array.of(0x20010db8, 0, 0, 1);
  words[index % 4] = index;
  return new DataView(Uint8Array.from(bytesOf(words)).buffer);
});

function bytesOf(words: Int32Array): number[] {
  return [...words].flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word]);
}

const wordsIn = (frame: DataView) => [0, 4, 8, 12].map((at) => frame.getInt32(at));

type Step = readonly [kind: 'hold' | 'again' | 'release' | 'fix', index: number];

/** Plays the steps on the book and on a Map from address to handle and holds. */
function play(steps: readonly Step[]): void {
  const book = createAddressBook(MAXIMUM, 5);
  const fixed: number[] = [];
  fixAddresses(book, Int32Array.of(1, 2, 3, 4));
  const model = new Map<number, { handle: number; holds: number }>();
  for (const [kind, index] of steps) {
    const held = model.get(index);
    if (kind === 'hold') hold(book, model, fixed, index);
    else if (kind === 'fix') {
      if (!fixed.includes(index) && held === undefined) fixed.push(index);
      const words = fixed.flatMap((each) => wordsIn(ADDRESSES[each] as DataView));
      fixAddresses(book, Int32Array.of(1, 2, 3, 4, ...words));
    } else if (held !== undefined) {
      if (kind === 'again') holdAgain(book, held.handle);
      else releaseAddress(book, held.handle);
      held.holds += kind === 'again' ? 1 : -1;
      if (held.holds === 0) model.delete(index);
    }
    compare(book, model, fixed);
  }
}

function hold(
  book: AddressBook,
  model: Map<number, { handle: number; holds: number }>,
  fixed: readonly number[],
  index: number,
): void {
  const handle = holdAddress(book, ADDRESSES[index] as DataView, 0);
  if (fixed.includes(index)) return;
  const held = model.get(index);
  if (held !== undefined) {
    expect(handle).toBe(held.handle);
    held.holds++;
  } else if (model.size === MAXIMUM) {
    expect(handle).toBe(UNKNOWN);
  } else {
    expect(handle).toBeLessThan(0);
    expect([...model.values()].map((each) => each.handle)).not.toContain(handle);
    model.set(index, { handle, holds: 1 });
  }
}

function compare(
  book: AddressBook,
  model: ReadonlyMap<number, { handle: number }>,
  fixed: readonly number[],
): void {
  for (const [index, frame] of ADDRESSES.entries()) {
    const place = fixed.indexOf(index);
    const expected = place < 0 ? (model.get(index)?.handle ?? UNKNOWN) : place + 1;
    expect(findAddress(book, frame, 0)).toBe(expected);
    if (expected === UNKNOWN) continue;
    const at = wordsAt(expected);
    expect([...wordsOf(book, expected).subarray(at, at + 4)]).toEqual(wordsIn(frame));
  }
}

describe('the address book', () => {
  test('is a Map', () => {
    const kind = fc.constantFrom<Step[0]>('hold', 'hold', 'hold', 'again', 'release', 'fix');
    const step = fc.tuple(kind, fc.nat(ADDRESSES.length - 1));
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), play), { numRuns: 600 });
  });

  test('takes no memory and knows nothing before there is IPv6', () => {
    const book = createAddressBook(1_000_000, 5);
    expect(book.words).toHaveLength(0);
    expect(findAddress(book, ADDRESSES[0]!, 0)).toBe(UNKNOWN);
    expect(holdAddress(book, ADDRESSES[0]!, 0)).toBe(UNKNOWN);
  });

  test('prefers the fixed handle of a client that becomes a part of the configuration', () => {
    const book = createAddressBook(2, 5);
    fixAddresses(book, Int32Array.of(9, 9, 9, 9));
    const handle = holdAddress(book, ADDRESSES[3]!, 0);
    fixAddresses(book, Int32Array.of(9, 9, 9, 9, ...wordsIn(ADDRESSES[3]!)));
    expect(findAddress(book, ADDRESSES[3]!, 0)).toBe(1);
    releaseAddress(book, handle);
    expect(findAddress(book, ADDRESSES[3]!, 0)).toBe(1);
    expect(book.freeEntry).toBe(~handle);
  });

  test('has probe chains of a few slots with many clients of one network', () => {
    const book = createAddressBook(4096, 77);
    fixAddresses(book, Int32Array.of(9, 9, 9, 9));
    const frame = new DataView(new ArrayBuffer(16));
    for (let host = 0; host < 4096; host++) {
      frame.setInt32(12, host);
      holdAddress(book, frame, 0);
    }
    let [longest, run] = [0, 0];
    for (const word of book.slots) {
      run = word === 0 ? 0 : run + 1;
      longest = Math.max(longest, run);
    }
    expect(longest).toBeLessThan(60);
  });
});

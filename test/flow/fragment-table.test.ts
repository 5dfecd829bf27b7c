// The fragment table against its slow model, in one bucket; and in many, what a bucket cannot show.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAddressBook, fixAddresses, holdAddress } from '../../src/flow/address-book.ts';
import {
  ADDRESS,
  addEntry,
  countFragment,
  createFragmentTable,
  ECHOED,
  type FragmentTable,
  findEntry,
  freeSlot,
  heldSlot,
  holdFrame,
  holdWay,
  idProtocol,
  PASSED,
  PEER,
  REFUSED,
  restartEntry,
  slotAt,
  sweepFragments,
  TO_CLIENT,
  TO_REAL,
  WAITING,
  WAY,
} from '../../src/flow/fragment-table.ts';
import { FragmentModel } from './fragment-model.ts';

const HELD_FRAMES = 6;
const ALL = 8;
/** So few that entries share them. The first one has a handle of the configuration. */
const ADDRESSES = 4;
const WAYS = [TO_REAL, TO_CLIENT, ECHOED, PASSED, REFUSED];

interface Step {
  readonly what: 'first' | 'later' | 'sweep';
  readonly packet: number;
  readonly way: number;
  readonly isLast: boolean;
  readonly pauseMs: number;
  /** The address of a VIP, and that of a client, that its way holds; none: of IPv4. */
  readonly ends: readonly number[];
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom('first', 'later', 'later', 'later', 'sweep'),
  packet: fc.nat(13),
  way: fc.constantFrom(...WAYS),
  isLast: fc.boolean(),
  pauseMs: fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 1, max: 50 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 16_000 }) },
  ),
  ends: fc.oneof(fc.constant([]), fc.tuple(fc.nat(ADDRESSES - 1), fc.nat(ADDRESSES - 1))),
});

/** Frames of any length, each with its number in it. */
const frameOf = (number: number) => new Uint8Array(60 + (number % 5)).fill(number & 255);

class Fast {
  readonly table: FragmentTable;
  readonly handles: readonly number[];
  constructor(packets: number, frames: number) {
    const book = createAddressBook(ADDRESSES, 7);
    fixAddresses(book, Int32Array.of(0, 0, 0, 0));
    // Held once by the test, so that what an entry releases too often is seen to be missing.
    this.handles = Array.from({ length: ADDRESSES }, (_, address) => {
      const frame = new DataView(new ArrayBuffer(16));
      frame.setInt32(0, address);
      return holdAddress(book, frame, 0);
    });
    this.table = createFragmentTable({ packets, frames }, book, 12_345);
  }
  /** As for a reply of NAT. */
  holdWay(entry: number, [vip, client]: readonly number[]): void {
    this.table.entries[entry + ADDRESS] = ~(this.handles[vip as number] as number);
    this.table.entries[entry + PEER] = this.handles[client as number] as number;
    holdWay(this.table, entry);
  }
  /** By entries, of each address that has no handle of the configuration. */
  holds = () => this.handles.slice(1).map((handle) => this.table.book.holds[~handle]! - 1);
  private readonly name = (packet: number) =>
    [packet * 3, -packet, idProtocol(packet, 17)] as const;
  find = (packet: number, nowMs: number) => findEntry(this.table, ...this.name(packet), nowMs);
  add = (packet: number, way: number, nowMs: number) =>
    addEntry(this.table, ...this.name(packet), way, nowMs);
  hold(entry: number, frame: Uint8Array): boolean {
    // In the middle of memory that must not be read.
    const memory = new Uint8Array(frame.length + 7).fill(0xa5);
    memory.set(frame, 3);
    const view = new DataView(memory.buffer);
    return holdFrame(this.table, entry, view, 3, 3 + frame.length, 1, 0);
  }
  takeHeld(entry: number): string[] {
    const texts: string[] = [];
    const { held, heldBytes } = this.table;
    for (let slot = heldSlot(this.table, entry); slot >= 0; slot = heldSlot(this.table, entry)) {
      const at = slotAt(slot);
      texts.push(Buffer.from(held.buffer as ArrayBuffer, at, heldBytes[slot]).toString('hex'));
      freeSlot(this.table, slot);
    }
    return texts;
  }
}

describe('the table and its model', () => {
  test('agree after any steps', () => {
    const seen: Seen = { displaced: 0, late: 0, refused: 0, taken: 0, held: 0 };
    fc.assert(
      fc.property(
        fc.array(anyStep, { minLength: 20, maxLength: 120 }),
        fc.boolean(),
        (steps, wraps) => run(steps, wraps ? 0x7fff_ffff - 20_000 : 0, seen),
      ),
      { numRuns: 1500 },
    );
    // It would be easy to agree on a table that is never full.
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(100);
  });
});

type Seen = Record<'displaced' | 'late' | 'refused' | 'taken' | 'held', number>;

function run(steps: readonly Step[], startMs: number, seen: Seen): void {
  const fast = new Fast(ALL, HELD_FRAMES);
  const model = new FragmentModel(HELD_FRAMES);
  let nowMs = startMs;
  for (const [number, { what, packet, way, isLast, pauseMs, ends }] of steps.entries()) {
    nowMs += pauseMs;
    const clock = nowMs | 0;
    if (what === 'sweep') {
      sweepFragments(fast.table, clock, ALL);
      model.sweep(nowMs);
      // Whether a frame whose time is over is lost to the clock or to a newer one is all the same.
      const { holding, late, displaced } = fast.table;
      expect([holding, late + displaced]).toEqual([model.holding, model.late + model.displaced]);
      expect(fast.holds()).toEqual(modelHolds(model, nowMs));
      continue;
    }
    const first = what === 'first';
    let entry = fast.find(packet, clock);
    let other = model.find(`${packet}`, nowMs);
    expect(entry >= 0).toBe(other !== undefined);
    if (other !== undefined) expect(fast.table.entries[entry + WAY]).toBe(other.way);
    if (other === undefined) {
      entry = fast.add(packet, first ? way : WAITING, clock);
      other = model.add(`${packet}`, first ? way : WAITING, nowMs);
      expect(entry >= 0).toBe(other !== undefined);
      if (other === undefined) seen.refused++;
    } else if (first) {
      restartEntry(fast.table, entry, way, clock);
      model.restart(other, way, nowMs);
    }
    if (other === undefined) continue;
    countFragment(fast.table, entry, 8, isLast && !first ? 24 : 0, clock);
    model.count(other, 8, isLast && !first ? 24 : 0, nowMs);
    if (first) {
      if (ends.length > 0) fast.holdWay(entry, ends);
      other.ends = ends;
      const taken = fast.takeHeld(entry);
      expect(taken).toEqual(model.takeHeld(other));
      seen.taken += taken.length;
    } else if (other.way === WAITING) {
      const frame = frameOf(number);
      expect(fast.hold(entry, frame)).toBe(true);
      model.hold(other, Buffer.from(frame).toString('hex'));
    }
    // What is over may be held until the sweep, and nothing else may be missing.
    const least = modelHolds(model, nowMs);
    expect(fast.holds().every((holds, address) => holds >= least[address]!)).toBe(true);
    seen.held += Math.max(...least);
  }
  sweepFragments(fast.table, (nowMs + 20_000) | 0, ALL);
  expect(fast.holds().every((holds) => holds === 0)).toBe(true);
  seen.displaced += fast.table.displaced;
  seen.late += fast.table.late;
}

const modelHolds = (model: FragmentModel, nowMs: number): number[] =>
  Array.from({ length: ADDRESSES - 1 }, (_, index) => model.holdsOf(index + 1, nowMs));

describe('with many buckets', () => {
  test('most packets find room up to the maximum', () => {
    const fast = new Fast(4096, 1);
    for (let packet = 0; packet < 2048; packet++) fast.add(packet, TO_REAL, 0);
    const found = Array.from({ length: 2048 }, (_, packet) => fast.find(packet, 1));
    expect(found.filter((entry) => entry >= 0).length).toBeGreaterThan(2000);
  });

  test('a bucket cannot be aimed at: another seed, another place', () => {
    const place = (seed: number) =>
      addEntry(
        createFragmentTable({ packets: 4096, frames: 1 }, createAddressBook(1, 1), seed),
        1,
        2,
        3,
        TO_REAL,
        0,
      );
    expect(new Set(Array.from({ length: 50 }, (_, seed) => place(seed))).size).toBeGreaterThan(40);
  });
});

test('what is too long for a slot is not held', () => {
  const fast = new Fast(ALL, 2);
  const entry = fast.add(1, WAITING, 0);
  expect(fast.hold(entry, new Uint8Array(9217))).toBe(false);
  expect(fast.hold(entry, new Uint8Array(9216))).toBe(true);
  expect(fast.takeHeld(entry)).toEqual(['00'.repeat(9216)]);
});

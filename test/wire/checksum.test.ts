// The fast sum against a naive one for every length and alignment, and the incremental forms
// against summing everything again.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as checksum from '../../src/wire/checksum.ts';
import { fromHex } from './captures.ts';
import { naiveSum } from './naive-checksum.ts';

const word = fc.integer({ min: 0, max: 0xffff });
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

describe('sum', () => {
  test('gives what RFC 1071, section 3, counts out', () => {
    expect(checksum.sum(fromHex('0001f203f4f5f6f7'), 0, 8)).toBe(0xddf2);
  });

  test('agrees with the naive sum for every length, offset and fill', () => {
    const fills = [() => 0, () => 0xff, (at: number) => (at * 151 + 7) & 0xff];
    for (const fill of fills) {
      const bytes = Uint8Array.from({ length: 220 }, (_, at) => fill(at));
      const frame = new DataView(bytes.buffer);
      for (let at = 0; at < 4; at++) {
        for (let length = 0; length <= 210; length++) {
          const expected = naiveSum(bytes.subarray(at, at + length));
          expect(checksum.sum(frame, at, at + length), `at ${at}, ${length} bytes`).toBe(expected);
        }
      }
    }
  });

  test('agrees with the naive sum on any bytes and any seed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), word, (bytes, seed) => {
        const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        expect(checksum.sum(frame, 0, bytes.length, seed)).toBe(naiveSum(bytes, seed));
      }),
    );
  });

  test('carries nothing away from the largest packet there is', () => {
    const bytes = new Uint8Array(65_535).fill(0xff);
    const frame = new DataView(bytes.buffer);
    expect(checksum.sum(frame, 0, bytes.length, 0xffff)).toBe(naiveSum(bytes, 0xffff));
  });

  test('can be taken in parts that meet at even offsets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2 }), fc.nat(), (bytes, cut) => {
        const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        const middle = (cut % bytes.length) & ~1;
        const first = checksum.sum(frame, 0, middle);
        const whole = checksum.sum(frame, 0, bytes.length);
        expect(checksum.sum(frame, middle, bytes.length, first)).toBe(whole);
      }),
    );
  });
});

test('fold keeps the value modulo 65,535 and the sign of zero', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (sum) => {
      const folded = checksum.fold(sum);
      expect(folded).toBeLessThanOrEqual(0xffff);
      expect(folded % 0xffff).toBe(sum % 0xffff);
      expect(folded === 0).toBe(sum === 0);
    }),
  );
});

test('pseudoHeader sums the twelve bytes of RFC 9293, 3.1', () => {
  fc.assert(
    fc.property(int32, int32, fc.nat(255), word, (source, destination, protocol, length) => {
      const header = new DataView(new ArrayBuffer(12));
      header.setInt32(0, source);
      header.setInt32(4, destination);
      header.setUint8(9, protocol);
      header.setUint16(10, length);
      const expected = naiveSum(new Uint8Array(header.buffer));
      expect(checksum.pseudoHeader(source, destination, protocol, length)).toBe(expected);
    }),
  );
});

describe('incremental change', () => {
  test('gives +0 where RFC 1624, section 4, says that RFC 1141 was wrong', () => {
    const delta = checksum.difference16(0x5555, 0x3285);
    expect(checksum.apply(0xdd2f, delta)).toBe(0x0000);
  });

  // A first word that never changes and is not 0, as every real header has one: only a sum of
  // nothing but zeros has two forms of zero.
  const message = fc.uint8Array({ minLength: 40, maxLength: 80 }).map((bytes) => {
    bytes[0] = 0x45;
    return bytes;
  });

  test('of any fields equals summing everything again', () => {
    const changes = fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), int32, fc.boolean()), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(message, changes, (bytes, list) => {
        const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        const before = checksum.finish(checksum.sum(frame, 0, bytes.length));
        let delta = 0;
        for (const [index, value, wide] of list) {
          const at = index * 4 - 2;
          if (wide) {
            delta += checksum.difference32(frame.getInt32(at), value);
            frame.setInt32(at, value);
          } else {
            delta += checksum.difference16(frame.getUint16(at), value & 0xffff);
            frame.setUint16(at, value);
          }
        }
        expect(checksum.apply(before, delta)).toBe(0xffff - naiveSum(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  test('of a partial checksum equals the pseudo-header of the new addresses', () => {
    fc.assert(
      fc.property(int32, int32, int32, word, (source, destination, real, length) => {
        const field = checksum.pseudoHeader(source, destination, 6, length);
        const delta = checksum.difference32(destination, real);
        const expected = checksum.pseudoHeader(source, real, 6, length);
        expect(checksum.applyPartial(field, delta)).toBe(expected);
      }),
    );
  });

  test('by nothing changes nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xfffe }), int32, (field, value) => {
        expect(checksum.apply(field, checksum.difference32(value, value))).toBe(field);
      }),
    );
  });
});

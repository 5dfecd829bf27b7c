// The keyed hash: vectors that any other director can check itself against, and how well it mixes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashText, hashWord, hashWords } from '../../src/schedule/hash.ts';
import { slowMurmur3 } from './models.ts';

const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const littleEndian = (word: number) => [
  word & 255,
  (word >> 8) & 255,
  (word >> 16) & 255,
  word >>> 24,
];

describe('agrees with published vectors of MurmurHash3_x86_32', () => {
  test.each([
    ['', 0, 0x00000000],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['a', 0x9747b28c, 0x7fa09ea6],
    ['aa', 0x9747b28c, 0x5d211726],
    ['aaa', 0x9747b28c, 0x283e0130],
    ['aaaa', 0x9747b28c, 0x5a97808a],
    ['abc', 0, 0xb3dd93fa],
    ['Hello, world!', 0x9747b28c, 0x24884cba],
    ['ππππππππ', 0x9747b28c, 0xd58063c1],
  ])('hashText(%j, %i)', (text, seed, expected) => {
    expect(hashText(text, seed) >>> 0).toBe(expected);
  });

  test.each([
    [0xffffffff, 0, 0x76293b50],
    [0x87654321, 0, 0xf55b516b],
    [0x87654321, 0x5082edee, 0x2362f9de],
    [0, 0, 0x2362f9de],
  ])('hashWord(%i, %i)', (word, seed, expected) => {
    expect(hashWord(word | 0, seed) >>> 0).toBe(expected);
  });
});

// Vectors for other directors: 192.0.2.1 and port 40,000, as Maglev hashes a client.
test.each([
  [0xc0000201, 40_000, 0, 0x4d0b59ba],
  [0xc0000201, 40_000, 0x66757269, 0x8beb69f5],
])('hashWords(%i, %i, %i)', (address, port, seed, expected) => {
  expect(hashWords(address | 0, port, seed) >>> 0).toBe(expected);
});

test('agrees with a slow second writing on anything', () => {
  fc.assert(
    fc.property(
      int32,
      int32,
      int32,
      fc.string({ unit: 'grapheme' }),
      (first, second, seed, text) => {
        const bytes = [...littleEndian(first), ...littleEndian(second)];
        expect(hashWord(first, seed) >>> 0).toBe(slowMurmur3(bytes.slice(0, 4), seed));
        expect(hashWords(first, second, seed) >>> 0).toBe(slowMurmur3(bytes, seed));
        const encoded = [...new TextEncoder().encode(text)];
        expect(hashText(text, seed) >>> 0).toBe(slowMurmur3(encoded, seed));
      },
    ),
  );
});

test('takes seeds as uint32 and as int32 alike', () => {
  expect(hashWords(1, 2, 0xdeadbeef)).toBe(hashWords(1, 2, 0xdeadbeef | 0));
  expect(hashText('real', 0xdeadbeef)).toBe(hashText('real', 0xdeadbeef | 0));
});

describe('every bit of the input turns half the bits of the hash', () => {
  const inputs = Array.from({ length: 2000 }, (_, n) => hashWord(n, 99));
  const onesIn = (word: number) => word.toString(2).replaceAll(/[^1]/g, '').length;

  const flips = [
    [
      'address',
      (bit: number, x: number) => hashWords(x, 443, 7) ^ hashWords(x ^ (1 << bit), 443, 7),
    ],
    ['port', (bit: number, x: number) => hashWords(5, x, 7) ^ hashWords(5, x ^ (1 << bit), 7)],
    ['seed', (bit: number, x: number) => hashWords(x, 443, x) ^ hashWords(x, 443, x ^ (1 << bit))],
  ] as const;
  test.each(flips)('of the %s', (_, flip) => {
    for (let bit = 0; bit < 32; bit++) {
      const turned = inputs.reduce((sum, x) => sum + onesIn(flip(bit, x) >>> 0), 0);
      const mean = turned / inputs.length;
      expect(Math.abs(mean - 16), `bit ${bit}: ${mean} bits of 32`).toBeLessThan(0.5);
    }
  });
});

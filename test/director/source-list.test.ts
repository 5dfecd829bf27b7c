// Lists of sources against a slow model: every prefix is looked at, and the longest that holds the
// client decides.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseSource } from '../../src/config/sources.ts';
import { buildSourceList, isAllowed, type SourcePrefix } from '../../src/director/source-list.ts';

const wordsOf = (address: bigint): Int32Array =>
  Int32Array.from([96n, 64n, 32n, 0n], (by) => Number(BigInt.asIntN(32, address >> by)));

const holds = ({ first, length }: SourcePrefix, address: bigint): boolean =>
  address >> BigInt(128 - length) === first >> BigInt(128 - length);

function slowIsAllowed(prefixes: readonly SourcePrefix[], address: bigint): boolean {
  const holding = prefixes.filter((prefix) => holds(prefix, address));
  const [longest] = holding.sort((one, other) => other.length - one.length);
  return longest?.allowed ?? !prefixes.some(({ allowed }) => allowed);
}

/** Few bits, so that prefixes hold each other, at the start, the middle and the end of all. */
const anyAddress = fc
  .tuple(fc.constantFrom(0n, 0xffff_c000_0200n, (1n << 128n) - 64n), fc.bigInt(0n, 63n))
  .map(([base, more]) => base + more);

const anyPrefix = fc
  .tuple(anyAddress, fc.oneof(fc.integer({ min: 120, max: 128 }), fc.nat(128)), fc.boolean())
  .map(([address, length, allowed]): SourcePrefix => {
    const host = BigInt(128 - length);
    return { first: (address >> host) << host, length, allowed };
  });

const key = ({ first, length }: SourcePrefix) => `${first}/${length}`;

test('the longest prefix decides, whatever the lists', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(anyPrefix, { maxLength: 12, selector: key }),
      fc.array(anyAddress, { minLength: 1, maxLength: 30 }),
      (prefixes, addresses) => {
        const list = buildSourceList(prefixes);
        for (const address of addresses) {
          expect(isAllowed(list, wordsOf(address))).toBe(slowIsAllowed(prefixes, address));
        }
      },
    ),
    { numRuns: 500 },
  );
});

test.each([
  ['192.0.2.0/24', [0xffff_c000_0200n, 120]],
  ['192.0.2.7', [0xffff_c000_0207n, 128]],
  ['0.0.0.0/0', [0xffff_0000_0000n, 96]],
  ['2001:db8::/32', [0x2001_0db8n << 96n, 32]],
  ['::/0', [0n, 0]],
  ['192.0.2.1/24', undefined],
  ['192.0.2.0/33', undefined],
  ['2001:db8::/129', undefined],
  ['192.0.2.0/24/1', undefined],
  ['192.0.2.0/', undefined],
  ['web.example', undefined],
])('%s', (text, expected) => {
  expect(parseSource(text)).toEqual(expected);
});

// The map of prefixes of IPv6 against a slow list that is looked through from end to end.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildPrefixMap6, findOwner6, type PrefixEntry6 } from '../../src/director/prefix-map6.ts';
import { type Ipv6, inSubnet6, wordMask } from '../../src/wire/address.ts';

const ALONE = 64;
const PORTS = [0, 79, 80, 81, 65_535];
/** Few values for each word, so that networks meet and differ in any of them. */
const word = fc.constantFrom(0, 1, -1, 0x20010db8, -0x80000000);
const address: fc.Arbitrary<Ipv6> = fc.tuple(word, word, word, word);
const protocol = fc.constantFrom(70, 81, 196);
const entry = fc.record({
  network: address,
  ...{ protocol, prefixLength: fc.constantFrom(64, 64, 65, 80, 95, 96, 97, 112, 127) },
  range: fc.constantFrom<[number, number]>([0, 65_535], [80, 80], [80, 81]),
});

const masked = (network: Ipv6, length: number): Ipv6 => {
  const [a, b, c, d] = network.map((each, index) => each & wordMask(length, index));
  return [a!, b!, c!, d!];
};

function slowOwner(entries: readonly PrefixEntry6[], asked: Ipv6, port: number, of: number) {
  const width = ({ from, to }: PrefixEntry6) => to - from;
  const [best] = entries
    .filter((each) => each.protocol === of && inSubnet6(asked, each.network, each.prefixLength))
    .filter(({ from, to }) => from <= port && port <= to)
    .sort((a, b) => b.prefixLength - a.prefixLength || width(a) - width(b));
  return best?.owner ?? -1;
}

function frameOf(asked: Ipv6): DataView {
  const frame = new DataView(new ArrayBuffer(16));
  for (const [index, each] of asked.entries()) frame.setInt32(index * 4, each);
  return frame;
}

test('it finds whom a slow list finds', () => {
  const question = fc.record({ asked: address, protocol, port: fc.constantFrom(...PORTS) });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 20 }), fc.array(question), (list, questions) => {
      const all = list.map(({ network, prefixLength, protocol, range: [from, to] }, owner) => ({
        ...{ network: masked(network, prefixLength), prefixLength, protocol, owner },
        ...{ from, to },
      }));
      const key = (each: PrefixEntry6) =>
        [each.network, each.prefixLength, each.protocol, each.from, each.to].join();
      const entries = [...new Map(all.map((each) => [key(each), each])).values()];
      const map = buildPrefixMap6(entries, ALONE);
      for (const { asked, port, protocol } of questions) {
        const frame = frameOf(asked);
        expect(findOwner6(map, frame, 0, port, protocol)).toBe(
          slowOwner(entries, asked, port, protocol),
        );
        const isInside = entries.some((each) => inSubnet6(asked, each.network, each.prefixLength));
        expect(findOwner6(map, frame, 0, 0, ALONE)).toBe(isInside ? 0 : -1);
      }
    }),
    { numRuns: 1000 },
  );
});

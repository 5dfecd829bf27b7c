// The map of ports against a slow list that is looked through from end to end, under random
// services; and one as large as it gets, built and asked in time.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildPortMap, findOwner, type PortEntry } from '../../src/director/port-map.ts';
import { inSubnet, prefixMask } from '../../src/wire/address.ts';
import { manyServices } from './many-services.ts';

/** The rule in words: the longest prefix that has the port, and of its entries the narrowest. */
function slowOwner(
  entries: readonly PortEntry[],
  address: number,
  port: number,
  protocol: number,
): number {
  const matching = entries.filter(
    (entry) =>
      entry.protocol === protocol &&
      inSubnet(address, entry.address, entry.prefixLength) &&
      entry.from <= port &&
      port <= entry.to,
  );
  const width = ({ from, to }: PortEntry) => to - from;
  const [best] = matching.sort(
    (one, other) => other.prefixLength - one.prefixLength || width(one) - width(other),
  );
  return best?.owner ?? -1;
}

/** Ranges lie inside of each other or apart: as a file may have them. */
const RANGES: readonly (readonly [number, number])[] = [
  [0, 65_535],
  [1, 65_535],
  [0, 0],
  [80, 80],
  [65_535, 65_535],
  [8000, 8100],
  [8000, 8000],
  [8100, 8100],
  [8050, 8060],
  [8055, 8055],
  [100, 200],
  [201, 300],
];
const address = fc.constantFrom(
  ...[0x0a000000, 0x0a000001, 0x0a000007, 0x0a000100, -1, 0, -0x80000000, 0x7fffffff],
);
const protocol = fc.constantFrom(0, 6, 17, 132, 70);
const entry = fc
  .record({
    address,
    protocol,
    range: fc.constantFrom(...RANGES),
    prefixLength: fc.constantFrom(32, 32, 31, 28, 24, 8, 0),
  })
  .map(({ range: [from, to], ...rest }) => ({
    ...{ ...rest, from, to, address: rest.address & prefixMask(rest.prefixLength) },
  }));
const key = (each: PortEntry) =>
  [each.address, each.prefixLength, each.protocol, each.from, each.to].join();
const entries = fc
  .array(entry, { maxLength: 40 })
  .map((list) => list.map((each, owner): PortEntry => ({ ...each, owner })))
  .map((list) => [...new Map(list.map((each) => [key(each), each])).values()]);
const PORTS = RANGES.flatMap(([from, to]) => [from - 1, from, to, to + 1]).filter(
  (port) => port >= 0 && port <= 65_535,
);
const question = fc.record({ address, protocol, port: fc.constantFrom(...PORTS) });

describe('a map of ports', () => {
  test('finds whom a slow list finds', () => {
    fc.assert(
      fc.property(entries, fc.array(question, { maxLength: 30 }), (list, questions) => {
        const map = buildPortMap(list);
        for (const { address: from, port, protocol: number } of questions) {
          expect(findOwner(map, from, port, number)).toBe(slowOwner(list, from, port, number));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('has every port of any ranges at all, be they as crooked as they like', () => {
    const range = fc.tuple(fc.nat(50), fc.nat(50));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), (ranges) => {
        const list = ranges.map(
          ([one, other], owner): PortEntry => ({
            ...{ address: 1, prefixLength: 32, protocol: 6, owner },
            ...{ from: Math.min(one, other), to: Math.max(one, other) },
          }),
        );
        const map = buildPortMap(list);
        for (let port = 0; port <= 60; port++) {
          const owner = findOwner(map, 1, port, 6);
          const isOwned = list.some(({ from, to }) => from <= port && port <= to);
          expect(owner >= 0).toBe(isOwned);
          if (isOwned) expect(port >= list[owner]!.from && port <= list[owner]!.to).toBe(true);
        }
      }),
    );
  });

  test('of nothing finds nobody', () => {
    expect(findOwner(buildPortMap([]), 1, 80, 6)).toBe(-1);
  });
});

test('ten thousand services on five thousand VIPs are built in time, and each is found', () => {
  const services = manyServices(10_000, 5_000);
  const list = services.flatMap(({ id, vips, ports }) =>
    vips.flatMap((vip) =>
      ports.map((range): PortEntry => ({ ...vip, ...range, protocol: 6, owner: id })),
    ),
  );
  const before = performance.now();
  const map = buildPortMap(list);
  expect(performance.now() - before).toBeLessThan(5000);
  for (const { id, vips, ports } of services) {
    expect(findOwner(map, vips[0]!.address, ports[0]!.from, 6)).toBe(id);
  }
  // No look-up may be a scan: so many in a second would take minutes then.
  const asked = performance.now();
  for (let count = 0; count < 200_000; count++) findOwner(map, 0x0a000000 + count, 80, 6);
  expect(performance.now() - asked).toBeLessThan(5000);
});

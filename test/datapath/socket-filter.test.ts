// The ring's socket filter, run in a plain model of the kernel's machine against random frames, and
// compared with the rule in words.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Wanted } from '../../src/datapath/datapath.ts';
import { buildSocketFilter, type FilterOptions } from '../../src/datapath/socket-filter.ts';
import { inSubnet, inSubnet6, prefixMask, wordMask } from '../../src/wire/address.ts';
import { type FilteredFrame, runClassicBpf } from './classic-bpf.ts';

const LIMIT = 1800;
const ETHERTYPES = [0x0800, 0x0800, 0x0800, 0x0800, 0x0806, 0x86dd, 0x8100, 0x0801, 0x0600];
const MOST = 2000;

/** A few addresses, so that frames often hit one; some with the highest bit set. */
const address = fc.constantFrom(
  ...[0x0a000001, 0x0a000002, 0xc0a80001, 0xffffffff, 0, 0x80000000, 0x7fffffff],
);
const addresses = fc.array(address, { maxLength: 4 }).map((list) => Int32Array.from(list));
/** Addresses of IPv6 that differ from each other in one word only. */
const ADDRESSES6 = [
  [0x20010db8, 0, 0, 1],
  [0x20010db8, 0, 0, 2],
  [0x20010db8, 0, -1, 1],
  [0x20010db8, 5, 0, 1],
  [0xfd000000 | 0, 0, 0, 1],
] as const;
const address6 = fc.constantFrom(...ADDRESSES6);
const addresses6 = fc
  .array(address6, { maxLength: 3 })
  .map((list) => Int32Array.from(list.flatMap((words) => [...words])));
/** Single addresses, or among them prefixes, whose host bits are 0. */
const ownVips = fc.oneof(
  fc.record({ vips: addresses }),
  fc
    .array(fc.tuple(address, fc.constantFrom(32, 32, 31, 24, 8, 1)), { maxLength: 4 })
    .map((list) => ({
      vips: Int32Array.from(list, ([vip, length]) => vip & prefixMask(length)),
      vipPrefixLengths: Uint8Array.from(list, ([, length]) => length),
    })),
);
const wanted = fc
  .record({ ownVips, reals: addresses, vips6: addresses6, reals6: addresses6 })
  .map(({ ownVips: own, ...others }) => ({ ...own, ...others }));
const options: fc.Arbitrary<FilterOptions> = fc.record({
  wanted: fc.option(wanted, { nil: undefined, freq: 5 }),
  limitBytes: fc.constant(LIMIT),
  beyondLimit: fc.boolean(),
  vlans: fc.constantFrom(undefined, [], [10], [10, 4000]),
});
const frame4: fc.Arbitrary<FilteredFrame> = fc
  .record({
    length: fc.oneof(
      fc.constantFrom(0, 13, 14, 29, 30, 33, 34, 60, LIMIT - 1, LIMIT, LIMIT + 1, 65_000),
      fc.nat(2000),
    ),
    etherType: fc.constantFrom(...ETHERTYPES),
    source: address,
    destination: address,
    headerWords: fc.constantFrom(5, 5, 6, 15, 0),
    fragment: fc.constantFrom(0, 0, 0x4000, 0x2000, 1, 0x2100),
    protocol: fc.constantFrom(1, 1, 6, 17),
    icmpType: fc.constantFrom(3, 11, 12, 0, 5, 8),
    packetType: fc.constantFrom(0, 0, 1, 2, 3),
    vlanTag: fc.constantFrom(undefined, undefined, 0, 0xe00a, 10, 0x0fa0, 11),
  })
  .map(({ length, packetType, vlanTag, ...fields }) => {
    const whole = new Uint8Array(Math.max(length, 75));
    const view = new DataView(whole.buffer);
    view.setUint16(12, fields.etherType);
    view.setUint8(14, 0x40 | fields.headerWords);
    view.setUint16(20, fields.fragment);
    view.setUint8(23, fields.protocol);
    view.setUint32(26, fields.source);
    view.setUint32(30, fields.destination);
    if (fields.headerWords >= 5) view.setUint8(14 + 4 * fields.headerWords, fields.icmpType);
    return { bytes: whole.subarray(0, length), packetType, vlanTag };
  });

const frame6: fc.Arbitrary<FilteredFrame> = fc
  .record({
    length: fc.oneof(fc.constantFrom(14, 21, 37, 53, 54, 55, 86, LIMIT, LIMIT + 1), fc.nat(2000)),
    source: address6,
    destination: address6,
    nextHeader: fc.constantFrom(58, 58, 58, 6, 17, 0, 44),
    icmpType: fc.constantFrom(1, 2, 3, 4, 128, 129, 133, 134, 135, 136, 137),
    packetType: fc.constantFrom(0, 0, 2, 3),
  })
  .map(({ length, packetType, ...fields }) => {
    const whole = new Uint8Array(Math.max(length, 75));
    const view = new DataView(whole.buffer);
    view.setUint16(12, 0x86dd);
    view.setUint8(20, fields.nextHeader);
    for (const [index, word] of fields.source.entries()) view.setInt32(22 + index * 4, word);
    for (const [index, word] of fields.destination.entries()) view.setInt32(38 + index * 4, word);
    view.setUint8(54, fields.icmpType);
    return { bytes: whole.subarray(0, length), packetType };
  });
const frame = fc.oneof(frame4, frame6);

/**
 * The rule in words: ours, of no VLAN of another interface, of the lane's size, and ARP or to a
 * VIP or from a real; where there are reals, ICMP errors too.
 */
function isWanted(options: FilterOptions, given: FilteredFrame): boolean {
  const { wanted: who, beyondLimit, vlans } = options;
  const { bytes, packetType, vlanTag } = given;
  if (packetType === 3 || (vlanTag !== undefined && vlans?.includes(vlanTag & 0xfff))) return false;
  if (bytes.length > LIMIT !== beyondLimit) return false;
  if (bytes.length < 14) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint16(12) === 0x0806) return true;
  if (view.getUint16(12) === 0x86dd) return isWanted6(who, view);
  if (view.getUint16(12) !== 0x0800) return false;
  if (who === undefined) return true;
  if (bytes.length < 34) return false;
  const isVip = [...who.vips].some((vip, index) =>
    inSubnet(view.getInt32(30), vip, who.vipPrefixLengths?.[index] ?? 32),
  );
  if (isVip || who.reals.includes(view.getInt32(26))) return true;
  return who.reals.length > 0 && isIcmpError(view);
}

/** To a VIP or from a real; NDP where there is either, and ICMPv6 errors where there are reals. */
function isWanted6(who: Wanted | undefined, view: DataView): boolean {
  if (who === undefined) return true;
  const { vips6 = new Int32Array(0), reals6 = new Int32Array(0) } = who;
  const holds = (list: Int32Array, at: number) =>
    view.byteLength >= at + 16 &&
    ADDRESSES6.some(
      (words) =>
        words.every((word, index) => view.getInt32(at + index * 4) === (word | 0)) &&
        Array.from({ length: list.length / 4 }).some((_, index) =>
          words.every((word, part) => list[index * 4 + part] === (word | 0)),
        ),
    );
  if (holds(vips6, 38)) return true;
  // A frame that ends within an address that was looked at is none.
  if (vips6.length > 0 && view.byteLength < 54) return false;
  if (holds(reals6, 22)) return true;
  if (vips6.length + reals6.length === 0 || view.byteLength < 55) return false;
  if (view.getUint8(20) !== 58) return false;
  const type = view.getUint8(54);
  return type === 135 || type === 136 || (reals6.length > 0 && type >= 1 && type <= 4);
}

/** ICMP, no later fragment, and one of the three types where the header ends. */
function isIcmpError(view: DataView): boolean {
  if (view.getUint8(23) !== 1 || (view.getUint16(20) & 0x1fff) !== 0) return false;
  const at = 14 + (view.getUint8(14) & 15) * 4;
  return at < view.byteLength && [3, 11, 12].includes(view.getUint8(at));
}

test('accepts exactly what is wanted, and all of it', () => {
  let accepted = 0;
  fc.assert(
    fc.property(options, frame, (given, received) => {
      const kept = runClassicBpf(buildSocketFilter(given), received);
      expect(kept > 0).toBe(isWanted(given, received));
      if (kept > 0) expect(kept).toBeGreaterThanOrEqual(received.bytes.length);
      accepted += kept > 0 ? 1 : 0;
    }),
    { numRuns: 20_000 },
  );
  // The frames are not such that nearly none, or nearly all, are wanted.
  expect(accepted).toBeGreaterThan(1000);
  expect(accepted).toBeLessThan(12_000);
});

const sizes = { limitBytes: LIMIT, beyondLimit: false };

/** So many addresses, the first half VIPs, the others reals. */
function many(count: number): Wanted {
  const all = Int32Array.from({ length: count }, (_, index) => 0x0a000000 + index);
  return { vips: all.subarray(0, count >> 1), reals: all.subarray(count >> 1) };
}

const ipv4To = (destination: number): FilteredFrame => {
  const bytes = new Uint8Array(60);
  new DataView(bytes.buffer).setUint16(12, 0x0800);
  new DataView(bytes.buffer).setUint32(30, destination);
  return { bytes, packetType: 0 };
};

test('holds two thousand addresses in a program that the kernel takes', () => {
  const program = buildSocketFilter({ wanted: many(MOST), ...sizes });
  expect(program.length / 8).toBeLessThanOrEqual(4096);
  expect(runClassicBpf(program, ipv4To(0x0a000000 + MOST / 2 - 1))).toBeGreaterThan(0);
  expect(runClassicBpf(program, ipv4To(0x0a000000 + MOST / 2))).toBe(0);
});

test('holds hundreds of IPv6 addresses, and beyond that takes all IP of this host', () => {
  const words = (count: number) =>
    Int32Array.from({ length: count * 4 }, (_, at) => (at % 4 === 3 ? at >> 2 : 0x20010db8));
  const none = new Int32Array(0);
  const to = (host: number): FilteredFrame => {
    const bytes = new Uint8Array(80);
    const view = new DataView(bytes.buffer);
    view.setUint16(12, 0x86dd);
    for (const [index, word] of [...words(host + 1).subarray(-4)].entries())
      view.setInt32(38 + index * 4, word);
    return { bytes, packetType: 0 };
  };
  const program = buildSocketFilter({
    wanted: { vips: none, reals: none, vips6: words(440) },
    ...sizes,
  });
  expect(program.length / 8).toBeLessThanOrEqual(4096);
  expect(runClassicBpf(program, to(439))).toBeGreaterThan(0);
  expect(runClassicBpf(program, to(440))).toBe(0);
  const wide = { vips: none, reals: none, vips6: words(450) };
  expect(runClassicBpf(buildSocketFilter({ wanted: wide, ...sizes }), to(9999))).toBeGreaterThan(0);
});

test('beyond that takes all IP of this host, and still nothing else', () => {
  const program = buildSocketFilter({ wanted: many(MOST + 1), ...sizes });
  expect(program).toEqual(buildSocketFilter({ wanted: undefined, ...sizes }));
  // What belongs to VLANs takes of the same room.
  const vlans = Array.from({ length: 100 }, (_, index) => index + 1);
  const tagged = buildSocketFilter({ wanted: many(MOST), ...sizes, vlans });
  expect(tagged).toEqual(buildSocketFilter({ wanted: undefined, ...sizes, vlans }));
  expect(runClassicBpf(program, ipv4To(1))).toBeGreaterThan(0);
  expect(runClassicBpf(program, { ...ipv4To(1), packetType: 3 })).toBe(0);
});

test('lets in frames to the addresses of prefixes of IPv6, by their first bits', () => {
  const word = fc.constantFrom(0, 1, -1, 0x20010db8, -0x80000000);
  const address = fc.tuple(word, word, word, word);
  const length = fc.constantFrom(64, 64, 65, 80, 95, 96, 97, 127, 128);
  const none = new Int32Array(0);
  fc.assert(
    fc.property(fc.array(fc.tuple(address, length), { minLength: 1 }), address, (list, asked) => {
      const vips6 = list.flatMap(([words, bits]) =>
        words.map((each, index) => each & wordMask(bits, index)),
      );
      const wanted = {
        ...{ vips: none, reals: none, vips6: Int32Array.from(vips6) },
        vipPrefixLengths6: Uint8Array.from(list, ([, bits]) => bits),
      };
      const view = new DataView(new ArrayBuffer(60));
      view.setUint16(12, 0x86dd);
      for (const [index, each] of asked.entries()) view.setInt32(38 + index * 4, each);
      const isInside = list.some(([words, bits]) => inSubnet6(asked, words, bits));
      const program = buildSocketFilter({ wanted, limitBytes: LIMIT, beyondLimit: false });
      const kept = runClassicBpf(program, {
        ...{ bytes: new Uint8Array(view.buffer), packetType: 0 },
      });
      expect(kept > 0).toBe(isInside);
    }),
    { numRuns: 1000 },
  );
});

// The ring's socket filter, run in a plain model of the kernel's machine against random frames, and
// compared with the rule in words.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  buildSocketFilter,
  type FilterOptions,
  type Wanted,
} from '../../src/datapath/socket-filter.ts';
import { type FilteredFrame, runClassicBpf } from './classic-bpf.ts';

const LIMIT = 1800;
const ETHERTYPES = [0x0800, 0x0800, 0x0800, 0x0800, 0x0806, 0x86dd, 0x8100, 0x0801, 0x0600];
const MOST = 2000;

/** A few addresses, so that frames often hit one; some with the highest bit set. */
const address = fc.constantFrom(
  ...[0x0a000001, 0x0a000002, 0xc0a80001, 0xffffffff, 0, 0x80000000, 0x7fffffff],
);
const addresses = fc.array(address, { maxLength: 4 }).map((list) => Int32Array.from(list));
const wanted = fc.record({ vips: addresses, reals: addresses });
const options: fc.Arbitrary<FilterOptions> = fc.record({
  wanted: fc.option(wanted, { nil: undefined, freq: 5 }),
  limitBytes: fc.constant(LIMIT),
  beyondLimit: fc.boolean(),
});
const frame: fc.Arbitrary<FilteredFrame> = fc
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
    hasVlanTag: fc.constantFrom(false, false, false, true),
  })
  .map(({ length, packetType, hasVlanTag, ...fields }) => {
    const whole = new Uint8Array(Math.max(length, 75));
    const view = new DataView(whole.buffer);
    view.setUint16(12, fields.etherType);
    view.setUint8(14, 0x40 | fields.headerWords);
    view.setUint16(20, fields.fragment);
    view.setUint8(23, fields.protocol);
    view.setUint32(26, fields.source);
    view.setUint32(30, fields.destination);
    if (fields.headerWords >= 5) view.setUint8(14 + 4 * fields.headerWords, fields.icmpType);
    return { bytes: whole.subarray(0, length), packetType, hasVlanTag };
  });

/**
 * The rule in words: ours, untagged, of the lane's size, and ARP or to a VIP or from a real; where
 * there are reals, ICMP errors too.
 */
function isWanted({ wanted: who, beyondLimit }: FilterOptions, given: FilteredFrame): boolean {
  const { bytes, packetType, hasVlanTag } = given;
  if (packetType === 3 || hasVlanTag || bytes.length > LIMIT !== beyondLimit) return false;
  if (bytes.length < 14) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint16(12) === 0x0806) return true;
  if (view.getUint16(12) !== 0x0800) return false;
  if (who === undefined) return true;
  if (bytes.length < 34) return false;
  if (who.vips.includes(view.getInt32(30)) || who.reals.includes(view.getInt32(26))) return true;
  return who.reals.length > 0 && isIcmpError(view);
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
  return { bytes, packetType: 0, hasVlanTag: false };
};

test('holds two thousand addresses in a program that the kernel takes', () => {
  const program = buildSocketFilter({ wanted: many(MOST), ...sizes });
  expect(program.length / 8).toBeLessThanOrEqual(4096);
  expect(runClassicBpf(program, ipv4To(0x0a000000 + MOST / 2 - 1))).toBeGreaterThan(0);
  expect(runClassicBpf(program, ipv4To(0x0a000000 + MOST / 2))).toBe(0);
});

test('beyond that takes all IPv4 of this host, and still nothing else', () => {
  const program = buildSocketFilter({ wanted: many(MOST + 1), ...sizes });
  expect(program).toEqual(buildSocketFilter({ wanted: undefined, ...sizes }));
  expect(runClassicBpf(program, ipv4To(1))).toBeGreaterThan(0);
  expect(runClassicBpf(program, { ...ipv4To(1), packetType: 3 })).toBe(0);
});

// A partial checksum is finished to what the sender's hardware would have written; everything else
// stays as it is, byte for byte.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tcpFrame, udpFrame } from '../../lab/frame.ts';
import { completeChecksum } from '../../src/datapath/complete-checksum.ts';

const ADDRESSES = {
  sourceMac: '02:00:00:00:00:01',
  destinationMac: '02:00:00:00:00:02',
  source: '192.0.2.1',
  destination: '198.51.100.7',
  sourcePort: 40_000,
  destinationPort: 80,
};

/** Frames from anywhere to anywhere, with and without IP options. */
const fields = fc.record({
  source: fc.ipV4(),
  destination: fc.ipV4(),
  sourcePort: fc.nat(65_535),
  destinationPort: fc.nat(65_535),
  payload: fc.uint8Array({ maxLength: 100 }),
  ipOptions: fc.constantFrom(new Uint8Array(0), new Uint8Array(8).fill(1)),
});

const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const padded = (bytes: Uint8Array): Uint8Array => {
  const longer = new Uint8Array(bytes.length + 9).fill(0xa5);
  longer.set(bytes);
  return longer;
};

describe.each([
  ['TCP', tcpFrame],
  ['UDP', udpFrame],
])('%s', (_name, build) => {
  test('is finished, also before the padding of a short frame', () => {
    fc.assert(
      fc.property(fields, (some) => {
        const whole = build({ ...ADDRESSES, ...some });
        for (const form of [(bytes: Uint8Array) => bytes, padded]) {
          const frame = form(build({ ...ADDRESSES, ...some, partialChecksum: true }));
          expect(completeChecksum(view(frame), 0, frame.length)).toBe(true);
          expect(frame).toEqual(form(whole));
        }
      }),
    );
  });

  test('that is finished keeps its value', () => {
    fc.assert(
      fc.property(fields, (some) => {
        const frame = build({ ...ADDRESSES, ...some });
        const before = frame.slice();
        completeChecksum(view(frame), 0, frame.length);
        expect(frame).toEqual(before);
      }),
    );
  });

  test('that is wrong is not mended', () => {
    const frame = build({ ...ADDRESSES, payload: Uint8Array.of(1, 2, 3) });
    frame[frame.length - 1]! ^= 1;
    const before = frame.slice();
    expect(completeChecksum(view(frame), 0, frame.length)).toBe(false);
    expect(frame).toEqual(before);
  });

  test('in a fragment, in a cut frame and behind a VLAN tag is left alone', () => {
    const partial = { ...ADDRESSES, partialChecksum: true, payload: new Uint8Array(64) };
    const fragment = build({ ...partial, moreFragments: true, dontFragment: false });
    const cut = build(partial).subarray(0, 60);
    const tagged = build(partial);
    view(tagged).setUint16(12, 0x8100);
    for (const frame of [fragment, cut, tagged]) {
      const before = frame.slice();
      expect(completeChecksum(view(frame), 0, frame.length)).toBe(false);
      expect(frame).toEqual(before);
    }
  });
});

test('UDP without a checksum stays without one', () => {
  const frame = udpFrame(ADDRESSES);
  view(frame).setUint16(40, 0);
  expect(completeChecksum(view(frame), 0, frame.length)).toBe(false);
  expect(view(frame).getUint16(40)).toBe(0);
});

test('UDP that sums up to 0 is written as 0xffff', () => {
  const payload = new Uint8Array(2);
  const zero = udpFrame({ ...ADDRESSES, payload });
  // With its own checksum as data, the sum becomes minus zero.
  payload.set(zero.subarray(40, 42));
  const frame = udpFrame({ ...ADDRESSES, payload, partialChecksum: true });
  expect(completeChecksum(view(frame), 0, frame.length)).toBe(true);
  expect(view(frame).getUint16(40)).toBe(0xffff);
});

test('any bytes at all: no throw, no write outside the frame', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (noise, likeIpv4) => {
      const room = new Uint8Array(noise.length + 40).fill(0xa5);
      room.set(noise, 20);
      if (likeIpv4 && noise.length > 15) room.set([0x08, 0x00, 0x45], 32);
      completeChecksum(view(room), 20, 20 + noise.length);
      expect(room.subarray(0, 20).every((byte) => byte === 0xa5)).toBe(true);
      expect(room.subarray(20 + noise.length).every((byte) => byte === 0xa5)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

/** A frame of IPv6, its checksum partial or finished, by plain addition. */
function frame6(some: Frame6, isPartial: boolean): Uint8Array {
  const { protocol, extension, addresses, payload } = some;
  const headerBytes = protocol === 6 ? 20 : 8;
  const upper = new Uint8Array(headerBytes + payload.length);
  upper.set([0x9c, 0x40, 0, 80]);
  upper.set(payload, headerBytes);
  if (protocol === 6) upper[12] = 0x50;
  else new DataView(upper.buffer).setUint16(4, upper.length);
  const sumOf = (bytes: Uint8Array) =>
    bytes.reduce((sum, byte, index) => sum + (index % 2 === 0 ? byte << 8 : byte), 0);
  const fold = (sum: number): number => (sum > 0xffff ? fold((sum & 0xffff) + (sum >>> 16)) : sum);
  const pseudo = fold(sumOf(addresses) + protocol + upper.length);
  const whole = ~fold(pseudo + sumOf(upper)) & 0xffff;
  const finished = whole === 0 && protocol === 17 ? 0xffff : whole;
  const field = protocol === 6 ? 16 : 6;
  new DataView(upper.buffer).setUint16(field, isPartial ? pseudo : finished);
  const head = new Uint8Array(54);
  head.set([0x86, 0xdd, 0x60], 12);
  new DataView(head.buffer).setUint16(18, extension.length + upper.length);
  head[20] = extension.length > 0 ? 60 : protocol;
  head.set(addresses, 22);
  return Uint8Array.from([...head, ...extension, ...upper]);
}

interface Frame6 {
  readonly protocol: number;
  readonly extension: Uint8Array;
  readonly addresses: Uint8Array;
  readonly payload: Uint8Array;
}

const fields6 = fc
  .record({
    protocol: fc.constantFrom(6, 17),
    hasOptions: fc.boolean(),
    addresses: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    payload: fc.uint8Array({ maxLength: 100 }),
  })
  .map(({ hasOptions, ...rest }): Frame6 => {
    const options = Uint8Array.of(rest.protocol, 0, 1, 4, 0, 0, 0, 0);
    return { ...rest, extension: hasOptions ? options : new Uint8Array(0) };
  });

test('of IPv6 is finished too, behind extension headers and before padding', () => {
  fc.assert(
    fc.property(fields6, (some) => {
      for (const form of [(bytes: Uint8Array) => bytes, padded]) {
        const frame = form(frame6(some, true));
        expect(completeChecksum(view(frame), 0, frame.length)).toBe(true);
        expect(frame).toEqual(form(frame6(some, false)));
        completeChecksum(view(frame), 0, frame.length);
        expect(frame).toEqual(form(frame6(some, false)));
      }
    }),
  );
});

// A partial checksum is finished to what the sender's hardware would have written; everything else
// stays as it is, byte for byte.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { completeChecksum } from '../../src/datapath/complete-checksum.ts';
import { tcpFrame, udpFrame } from '../../src/wire/frame.ts';

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

// The UDP header: taken apart, built, cut short, lying about its length, changed in place; and the
// two zeros of its checksum.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as checksum from '../../src/wire/checksum.ts';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as udp from '../../src/wire/udp.ts';
import { bytesIn, captured, rubbish } from './captures.ts';
import { naiveSum } from './naive-checksum.ts';

const L3 = 14;
const L4 = 34;
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const uint16 = fc.nat(0xffff);
const addresses = fc.record({ source: int32, destination: int32 });
const anyDatagram: fc.Arbitrary<udp.Datagram> = fc.record({
  sourcePort: uint16,
  destinationPort: uint16,
  payload: fc.uint8Array({ maxLength: 40 }),
});

test('takes a captured datagram apart', () => {
  const frame = captured.udp();
  expect(udp.check(frame, L4, frame.byteLength)).toBe(0);
  expect(udp.lengthBytes(frame, L4)).toBe(16);
  expect(udp.checksum(frame, L4)).toBe(0x3e0a);
  expect(udp.parse(frame, L4)).toEqual({
    sourcePort: 0x8213,
    destinationPort: 7,
    payload: new TextEncoder().encode('furiwake'),
  });
});

test.each([
  ['udp', L4],
  ['udpWithIpOptions', 46],
] as const)('builds a captured datagram (%s) over rubbish, byte for byte', (name, l4) => {
  const frame = captured[name]();
  const ends = {
    source: ipv4.source(frame, L3),
    destination: ipv4.destination(frame, L3),
  };
  const built = rubbish(40);
  const bytes = udp.emit(built, 1, udp.parse(frame, l4), ends);
  expect(bytesIn(built).slice(1, 1 + bytes)).toEqual(bytesIn(frame).slice(l4));
  expect([built.getUint8(0), built.getUint8(1 + bytes)]).toEqual([0xa5, 0xa5]);
});

describe('check', () => {
  test('calls every shorter header truncated', () => {
    for (let bytes = 0; bytes < udp.HEADER_BYTES; bytes++) {
      expect(udp.check(captured.udp(), L4, L4 + bytes)).toBe(DROP['udp-truncated']);
    }
  });

  test.each([
    [0, 'udp-length'],
    [7, 'udp-length'],
    [8, 'none'],
    [16, 'none'],
    [17, 'udp-length'],
    [0xffff, 'udp-length'],
  ] as const)('a length of %i in a packet of 16 bytes: %s', (length, reason) => {
    const frame = captured.udp();
    frame.setUint16(L4 + 4, length);
    expect(udp.check(frame, L4, L4 + 16)).toBe(DROP[reason]);
  });
});

test('any datagram comes back as it was, with a good checksum that is not 0', () => {
  fc.assert(
    fc.property(anyDatagram, addresses, (datagram, ends) => {
      const frame = rubbish(60);
      const end = udp.emit(frame, 0, datagram, ends);
      expect(udp.check(frame, 0, end)).toBe(0);
      expect(udp.parse(frame, 0)).toEqual(datagram);
      expect(udp.checksum(frame, 0)).not.toBe(0);
      const pseudo = checksum.pseudoHeader(ends.source, ends.destination, 17, end);
      expect(naiveSum(bytesIn(frame).slice(0, end), pseudo)).toBe(0xffff);
    }),
  );
});

test('a mended checksum is that of a datagram that was built so', () => {
  fc.assert(
    fc.property(anyDatagram, uint16, uint16, addresses, addresses, (datagram, from, to, a, b) => {
      const changed = rubbish(60);
      udp.emit(changed, 2, datagram, a);
      changed.setUint16(2, from);
      changed.setUint16(4, to);
      const delta =
        checksum.difference16(datagram.sourcePort, from) +
        checksum.difference16(datagram.destinationPort, to) +
        checksum.difference32(a.source, b.source) +
        checksum.difference32(a.destination, b.destination);
      udp.adjustChecksum(changed, 2, delta);

      const built = rubbish(60);
      udp.emit(built, 2, { ...datagram, sourcePort: from, destinationPort: to }, b);
      expect(bytesIn(changed)).toEqual(bytesIn(built));
    }),
    { numRuns: 500 },
  );
});

describe('the two zeros', () => {
  test('a checksum of 0 stays 0', () => {
    const frame = captured.udp();
    udp.setChecksum(frame, L4, 0);
    udp.adjustChecksum(frame, L4, 77);
    expect(udp.checksum(frame, L4)).toBe(0);
  });

  // The port that brings the sum to 0xffff, so that its complement is 0.
  test('a checksum that comes out as 0 is written as 0xffff, built or changed', () => {
    const none = { sourcePort: 0, destinationPort: 53, payload: new Uint8Array(0) };
    const ends = { source: 0x0a000001, destination: 0x0a000002 };
    const frame = rubbish(8);
    udp.emit(frame, 0, none, ends);
    const sourcePort = udp.checksum(frame, 0);

    udp.adjustChecksum(frame, 0, checksum.difference16(0, sourcePort));
    expect(udp.checksum(frame, 0)).toBe(0xffff);
    udp.emit(frame, 0, { ...none, sourcePort }, ends);
    expect(udp.checksum(frame, 0)).toBe(0xffff);
    udp.adjustChecksum(frame, 0, checksum.difference16(sourcePort, 0));
    expect(udp.checksum(frame, 0)).toBe(sourcePort);
  });
});

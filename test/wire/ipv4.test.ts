// The IPv4 header: taken apart, built, cut short, lying about its lengths, changed in place.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { bytesIn, captured, fromHex, rubbish } from './captures.ts';
import { naiveSum } from './naive-checksum.ts';

const L3 = 14;
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

const anyHeader: fc.Arbitrary<ipv4.Header> = fc.record({
  typeOfService: fc.nat(255),
  identification: fc.nat(0xffff),
  dontFragment: fc.boolean(),
  moreFragments: fc.boolean(),
  fragmentOffsetBytes: fc.nat(8191).map((units) => units * 8),
  timeToLive: fc.nat(255),
  protocol: fc.nat(255),
  source: int32,
  destination: int32,
  options: fc.nat(10).chain((n) => fc.uint8Array({ minLength: n * 4, maxLength: n * 4 })),
  payloadBytes: fc.nat(40),
});

describe('a captured header', () => {
  test('is taken apart', () => {
    const frame = captured.tcpSyn();
    expect(ipv4.check(frame, L3, frame.byteLength)).toBe(0);
    expect(ipv4.hasGoodChecksum(frame, L3)).toBe(true);
    expect(ipv4.headerChecksum(frame, L3)).toBe(0xb55c);
    expect(ipv4.parse(frame, L3)).toEqual({
      typeOfService: 0,
      identification: 0x015c,
      dontFragment: true,
      moreFragments: false,
      fragmentOffsetBytes: 0,
      timeToLive: 64,
      protocol: ipv4.PROTOCOL_TCP,
      source: 0xc0000201 | 0,
      destination: 0xc0000202 | 0,
      options: new Uint8Array(0),
      payloadBytes: 40,
    });
  });

  test('with a Record Route option is taken apart', () => {
    const frame = captured.udpWithIpOptions();
    expect(ipv4.check(frame, L3, frame.byteLength)).toBe(0);
    expect(ipv4.hasGoodChecksum(frame, L3)).toBe(true);
    expect(ipv4.headerBytes(frame, L3)).toBe(32);
    expect(ipv4.totalBytes(frame, L3)).toBe(43);
    const { options } = ipv4.parse(frame, L3);
    expect(options).toEqual(bytesIn(fromHex('070b08c00002010000000000')));
  });

  test.each(Object.entries(captured).filter(([name]) => !name.startsWith('arp')))(
    'of %s is built over rubbish, byte for byte',
    (_, capture) => {
      const frame = capture();
      const header = ipv4.headerBytes(frame, L3);
      const built = rubbish(64);
      expect(ipv4.emit(built, 1, ipv4.parse(frame, L3))).toBe(header);
      expect(bytesIn(built).slice(1, 1 + header)).toEqual(bytesIn(frame).slice(L3, L3 + header));
      expect([built.getUint8(0), built.getUint8(1 + header)]).toEqual([0xa5, 0xa5]);
    },
  );
});

describe('check', () => {
  test('calls every shorter header truncated', () => {
    const frame = captured.tcpSyn();
    for (let bytes = 0; bytes < ipv4.HEADER_BYTES; bytes++) {
      expect(ipv4.check(frame, L3, L3 + bytes)).toBe(DROP['ipv4-truncated']);
    }
  });

  test.each([
    ['version 6', 0, 0x65, 'ipv4-version'],
    ['version 0', 0, 0x05, 'ipv4-version'],
    ['a header of 0 bytes', 0, 0x40, 'ipv4-header-length'],
    ['a header of 16 bytes', 0, 0x44, 'ipv4-header-length'],
    ['a header beyond the total length', 3, 19, 'ipv4-total-length'],
    ['a total length of one byte too many', 3, 61, 'ipv4-total-length'],
    ['a total length far beyond', 2, 0xff, 'ipv4-total-length'],
  ] as const)('refuses %s', (_, offset, value, reason) => {
    const frame = captured.tcpSyn();
    frame.setUint8(L3 + offset, value);
    expect(ipv4.check(frame, L3, frame.byteLength)).toBe(DROP[reason]);
  });

  test('refuses options beyond the frame', () => {
    const frame = captured.udpWithIpOptions();
    expect(ipv4.check(frame, L3, L3 + 31)).toBe(DROP['ipv4-header-length']);
    expect(ipv4.check(frame, L3, L3 + 32)).toBe(DROP['ipv4-total-length']);
  });

  test('takes a frame with Ethernet padding', () => {
    const frame = rubbish(60);
    bytesIn(frame).set(bytesIn(captured.udp()));
    expect(ipv4.check(frame, L3, 60)).toBe(0);
  });

  test('lets no accessor out of the frame, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        if (bytes.length > 0) bytes[0] = 0x40 | (bytes[0]! & 0x0f);
        if (bytes.length > 2) bytes[2] = 0;
        const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        if (ipv4.check(frame, 0, bytes.length) !== 0) return;
        ipv4.hasGoodChecksum(frame, 0);
        const header = ipv4.parse(frame, 0);
        expect(20 + header.options.length + header.payloadBytes).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 1000 },
    );
  });
});

test.each([
  ['a whole packet', 0x0000, false, false],
  ['a whole packet not to be split', 0x4000, false, true],
  ['a first part', 0x2000, true, false],
  ['a middle part', 0x2003, true, false],
  ['a last part', 0x0003, true, false],
  ['the reserved bit', 0x8000, false, false],
])('%s', (_, field, isFragment, dontFragment) => {
  const frame = captured.udp();
  frame.setUint16(L3 + 6, field);
  expect(ipv4.isFragment(frame, L3)).toBe(isFragment);
  expect(ipv4.dontFragment(frame, L3)).toBe(dontFragment);
});

test('any header comes back as it was, with a good checksum', () => {
  fc.assert(
    fc.property(anyHeader, (fields) => {
      const frame = rubbish(100);
      const bytes = ipv4.emit(frame, 0, fields);
      expect(ipv4.check(frame, 0, 100)).toBe(0);
      expect(ipv4.parse(frame, 0)).toEqual(fields);
      expect(ipv4.hasGoodChecksum(frame, 0)).toBe(true);
      expect(naiveSum(bytesIn(frame).slice(0, bytes))).toBe(0xffff);
    }),
  );
});

describe('setters', () => {
  test('leave the header as if it had been built so', () => {
    fc.assert(
      fc.property(anyHeader, int32, int32, (fields, source, destination) => {
        const timeToLive = Math.max(1, fields.timeToLive);
        const changed = rubbish(100);
        ipv4.emit(changed, 2, { ...fields, timeToLive });
        ipv4.setSource(changed, 2, source);
        ipv4.setDestination(changed, 2, destination);
        expect(ipv4.decrementTimeToLive(changed, 2)).toBe(timeToLive - 1);

        const built = rubbish(100);
        ipv4.emit(built, 2, { ...fields, source, destination, timeToLive: timeToLive - 1 });
        expect(bytesIn(changed)).toEqual(bytesIn(built));
      }),
      { numRuns: 500 },
    );
  });

  test('do not heal a wrong checksum', () => {
    const frame = captured.udp();
    frame.setUint16(L3 + 10, ipv4.headerChecksum(frame, L3) ^ 0x0100);
    expect(ipv4.hasGoodChecksum(frame, L3)).toBe(false);
    ipv4.setDestination(frame, L3, 0xcb007109 | 0);
    ipv4.decrementTimeToLive(frame, L3);
    expect(ipv4.hasGoodChecksum(frame, L3)).toBe(false);
  });
});

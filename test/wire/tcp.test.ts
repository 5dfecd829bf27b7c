// The TCP header: taken apart, built, cut short, lying about its length, changed in place.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as checksum from '../../src/wire/checksum.ts';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { bytesIn, captured, fromHex, rubbish } from './captures.ts';
import { naiveL4Checksum, naiveSum } from './naive-checksum.ts';

const L3 = 14;
const L4 = 34;
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const uint16 = fc.nat(0xffff);

const anySegment: fc.Arbitrary<tcp.Segment> = fc.record({
  sourcePort: uint16,
  destinationPort: uint16,
  sequence: uint32,
  acknowledgment: uint32,
  flags: fc.nat(255),
  window: uint16,
  urgentPointer: uint16,
  options: fc.nat(10).chain((n) => fc.uint8Array({ minLength: n * 4, maxLength: n * 4 })),
  payload: fc.uint8Array({ maxLength: 40 }),
});

const addressesOf = (frame: DataView) => ({
  source: ipv4.source(frame, L3),
  destination: ipv4.destination(frame, L3),
});

describe('a captured segment', () => {
  test('is taken apart', () => {
    const frame = captured.tcpData();
    const end = frame.byteLength;
    expect(tcp.check(frame, L4, end)).toBe(0);
    expect(tcp.dataOffsetBytes(frame, L4)).toBe(32);
    expect(tcp.checksum(frame, L4)).toBe(0xce73);
    expect(tcp.parse(frame, L4, end)).toEqual({
      sourcePort: 0x927c,
      destinationPort: 8080,
      sequence: 0x6ab967db,
      acknowledgment: 0x31a7a5ea,
      flags: tcp.PSH | tcp.ACK,
      window: 0x3f,
      urgentPointer: 0,
      options: bytesIn(fromHex('0101080a2d595f934d7584fe')),
      payload: new TextEncoder().encode('hi'),
    });
  });

  test.each(['tcpSyn', 'tcpSynAck', 'tcpData'] as const)(
    '(%s) is built over rubbish, byte for byte',
    (name) => {
      const frame = captured[name]();
      const end = frame.byteLength;
      const built = rubbish(100);
      const bytes = tcp.emit(built, 1, tcp.parse(frame, L4, end), addressesOf(frame));
      expect(bytesIn(built).slice(1, 1 + bytes)).toEqual(bytesIn(frame).slice(L4));
      expect([built.getUint8(0), built.getUint8(1 + bytes)]).toEqual([0xa5, 0xa5]);
    },
  );

  test('has flags that tell a handshake', () => {
    expect(tcp.flags(captured.tcpSyn(), L4)).toBe(tcp.SYN);
    expect(tcp.flags(captured.tcpSynAck(), L4)).toBe(tcp.SYN | tcp.ACK);
  });
});

describe('check', () => {
  test('calls every shorter header truncated', () => {
    const frame = captured.tcpSyn();
    for (let bytes = 0; bytes < tcp.HEADER_BYTES; bytes++) {
      expect(tcp.check(frame, L4, L4 + bytes)).toBe(DROP['tcp-truncated']);
    }
  });

  test.each([0, 4, 11, 15])(
    'refuses a data offset of %i words in a packet of 40 bytes',
    (words) => {
      const frame = captured.tcpSyn();
      frame.setUint8(L4 + 12, words << 4);
      expect(tcp.check(frame, L4, L4 + 40)).toBe(DROP['tcp-data-offset']);
    },
  );

  test('takes a header that ends with its packet', () => {
    expect(tcp.check(captured.tcpSyn(), L4, L4 + 40)).toBe(0);
    expect(tcp.check(captured.tcpSyn(), L4, L4 + 39)).toBe(DROP['tcp-data-offset']);
  });
});

test('any segment comes back as it was, with a good checksum', () => {
  fc.assert(
    fc.property(anySegment, int32, int32, (segment, source, destination) => {
      const frame = rubbish(120);
      const end = tcp.emit(frame, 0, segment, { source, destination });
      expect(tcp.check(frame, 0, end)).toBe(0);
      expect(tcp.parse(frame, 0, end)).toEqual(segment);
      const pseudo = checksum.pseudoHeader(source, destination, ipv4.PROTOCOL_TCP, end);
      expect(naiveSum(bytesIn(frame).slice(0, end), pseudo)).toBe(0xffff);
    }),
  );
});

describe('a mended checksum', () => {
  test('is that of a segment that was built so', () => {
    const ports = fc.tuple(uint16, uint16);
    const addresses = fc.record({ source: int32, destination: int32 });
    fc.assert(
      fc.property(anySegment, ports, addresses, addresses, (segment, [from, to], before, after) => {
        const changed = rubbish(120);
        tcp.emit(changed, 2, segment, before);
        changed.setUint16(2, from);
        changed.setUint16(4, to);
        const delta =
          checksum.difference16(segment.sourcePort, from) +
          checksum.difference16(segment.destinationPort, to) +
          checksum.difference32(before.source, after.source) +
          checksum.difference32(before.destination, after.destination);
        tcp.adjustChecksum(changed, 2, delta);

        const built = rubbish(120);
        tcp.emit(built, 2, { ...segment, sourcePort: from, destinationPort: to }, after);
        expect(bytesIn(changed)).toEqual(bytesIn(built));
      }),
      { numRuns: 500 },
    );
  });

  test('is that of a captured segment with another port', () => {
    const frame = captured.tcpSyn();
    tcp.adjustChecksum(frame, L4, checksum.difference16(tcp.destinationPort(frame, L4), 8081));
    frame.setUint16(L4 + 2, 8081);
    const where = { frame, l3: L3, l4: L4, end: frame.byteLength };
    const expected = naiveL4Checksum({ ...where, checksumOffset: tcp.CHECKSUM_OFFSET });
    expect(tcp.checksum(frame, L4)).toBe(expected);
  });
});

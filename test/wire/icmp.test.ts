// The ICMP header: taken apart, built, cut short, and a request turned into its reply.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as icmp from '../../src/wire/icmp.ts';
import { bytesIn, captured, rubbish } from './captures.ts';
import { naiveSum } from './naive-checksum.ts';

const L4 = 34;

test('takes a captured echo request apart', () => {
  const frame = captured.echoRequest();
  expect(icmp.check(frame, L4, frame.byteLength)).toBe(0);
  expect(icmp.code(frame, L4)).toBe(0);
  expect(icmp.checksum(frame, L4)).toBe(0x9590);
  expect(icmp.parse(frame, L4, frame.byteLength)).toEqual({
    type: icmp.ECHO_REQUEST,
    identifier: 0x22cb,
    sequence: 1,
    payload: bytesIn(frame).slice(L4 + 8),
  });
});

test('tells an error message from an echo', () => {
  const frame = captured.portUnreachable();
  expect(icmp.type(frame, L4)).toBe(icmp.DESTINATION_UNREACHABLE);
  expect(icmp.code(frame, L4)).toBe(3);
});

test('builds a captured echo reply over rubbish, byte for byte', () => {
  const reply = captured.echoReply();
  const built = rubbish(66);
  expect(icmp.emit(built, 1, icmp.parse(reply, L4, reply.byteLength))).toBe(64);
  expect(bytesIn(built).slice(1, 65)).toEqual(bytesIn(reply).slice(L4));
  expect([built.getUint8(0), built.getUint8(65)]).toEqual([0xa5, 0xa5]);
});

test('setType makes a good reply of an echo request that is nothing but zeros', () => {
  const frame = new DataView(new ArrayBuffer(64));
  frame.setUint8(0, icmp.ECHO_REQUEST);
  icmp.refreshChecksum(frame, 0, 64);
  icmp.setType(frame, 0, icmp.ECHO_REPLY);
  expect(icmp.hasGoodChecksum(frame, 0, 64)).toBe(true);
});

test('setType makes of the captured request the reply that Linux gave', () => {
  const frame = captured.echoRequest();
  icmp.setType(frame, L4, icmp.ECHO_REPLY);
  expect(bytesIn(frame).slice(L4)).toEqual(bytesIn(captured.echoReply()).slice(L4));
});

test('every shorter header is truncated', () => {
  for (let bytes = 0; bytes < icmp.HEADER_BYTES; bytes++) {
    expect(icmp.check(captured.echoRequest(), L4, L4 + bytes)).toBe(DROP['icmp-truncated']);
  }
  expect(icmp.check(captured.echoRequest(), L4, L4 + icmp.HEADER_BYTES)).toBe(0);
});

test('any echo comes back as it was, with a good checksum before and after setType', () => {
  const echo = fc.record({
    type: fc.nat(255),
    identifier: fc.nat(0xffff),
    sequence: fc.nat(0xffff),
    payload: fc.uint8Array({ minLength: 1, maxLength: 41 }),
  });
  fc.assert(
    fc.property(echo, fc.integer({ min: 1, max: 255 }), (fields, other) => {
      const frame = rubbish(60);
      const end = icmp.emit(frame, 0, fields);
      expect(icmp.parse(frame, 0, end)).toEqual(fields);
      icmp.setType(frame, 0, other);
      expect(icmp.type(frame, 0)).toBe(other);
      expect(icmp.code(frame, 0)).toBe(0);
      expect(naiveSum(bytesIn(frame).slice(0, end))).toBe(0xffff);
    }),
  );
});

const QUOTE = Uint8Array.from({ length: 28 }, (_, index) => index);

test('builds an error over rubbish: type, code, MTU, quoted packet, checksum', () => {
  const built = rubbish(40);
  const fields = { type: icmp.DESTINATION_UNREACHABLE, code: icmp.FRAGMENTATION_NEEDED };
  expect(icmp.emitError(built, 1, { ...fields, nextHopMtu: 1400, quote: QUOTE })).toBe(36);
  expect([icmp.type(built, 1), icmp.code(built, 1), icmp.nextHopMtu(built, 1)]).toEqual([
    3, 4, 1400,
  ]);
  expect(built.getUint16(5)).toBe(0);
  expect(bytesIn(built).slice(9, 37)).toEqual(QUOTE);
  expect(naiveSum(bytesIn(built).slice(1, 37))).toBe(0xffff);
  expect([built.getUint8(0), built.getUint8(37)]).toEqual([0xa5, 0xa5]);
});

test('judges a checksum, and writes it anew', () => {
  const frame = captured.portUnreachable();
  const end = frame.byteLength;
  expect(icmp.hasGoodChecksum(frame, L4, end)).toBe(true);
  const before = bytesIn(frame).slice();
  frame.setUint16(L4 + icmp.CHECKSUM_OFFSET, 0x1234);
  expect(icmp.hasGoodChecksum(frame, L4, end)).toBe(false);
  icmp.refreshChecksum(frame, L4, end);
  expect(bytesIn(frame)).toEqual(before);
});

test('knows which types are errors that a sender heeds', () => {
  const errors = Array.from({ length: 256 }, (_, type) => type).filter(icmp.isError);
  expect(errors).toEqual([3, 11, 12]);
});

// ICMPv6: a real ping's bytes, the checksum with its pseudo-header, and each type's kind.
import { expect, test } from 'vitest';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { naiveSum } from './naive-checksum.ts';

const ADDRESSES = { source: [0x20010db8, 0, 0, 7], destination: [0x20010db8, 1, 0, 80] } as const;
const DATA = Uint8Array.of(1, 2, 3);

function build(type: number, word: number): DataView {
  const frame = new DataView(new Uint8Array(60).fill(0xa5).buffer);
  const header = { trafficClass: 0, flowLabel: 0, nextHeader: 58, hopLimit: 64, payloadBytes: 11 };
  ipv6.emit(frame, 0, { ...header, ...ADDRESSES });
  expect(icmpv6.emit(frame, 0, 40, { type, word, data: DATA })).toBe(11);
  return frame;
}

/** The pseudo-header of RFC 8200, 8.1, byte by byte, and the message. */
function judge(frame: DataView): number {
  const bytes = new Uint8Array(frame.buffer);
  return naiveSum([...bytes.slice(8, 40), 0, 0, 0, 11, 0, 0, 0, 58, ...bytes.slice(40, 51)]);
}

test('is built with a checksum over the pseudo-header', () => {
  const frame = build(icmpv6.ECHO_REQUEST, (0x1234 << 16) | 5);
  expect([...new Uint8Array(frame.buffer).slice(44, 51)]).toEqual([0x12, 0x34, 0, 5, 1, 2, 3]);
  expect(icmpv6.type(frame, 40)).toBe(128);
  expect(icmpv6.code(frame, 40)).toBe(0);
  expect(judge(frame)).toBe(0xffff);
  expect(icmpv6.hasGoodChecksum(frame, 0, 40, 51)).toBe(true);
  expect(frame.getUint8(51)).toBe(0xa5);
  frame.setUint8(39, 81);
  expect(icmpv6.hasGoodChecksum(frame, 0, 40, 51)).toBe(false);
});

test('another type keeps the checksum right', () => {
  const frame = build(icmpv6.ECHO_REQUEST, 7);
  icmpv6.setType(frame, 40, icmpv6.ECHO_REPLY);
  expect(icmpv6.type(frame, 40)).toBe(129);
  expect(judge(frame)).toBe(0xffff);
});

test('shows the MTU that was met', () => {
  expect(icmpv6.mtu(build(icmpv6.PACKET_TOO_BIG, 1400), 40)).toBe(1400);
});

test('knows errors', () => {
  const errors = [0, 1, 2, 3, 4, 5, 127, 128, 129, 135].filter(icmpv6.isError);
  expect(errors).toEqual([1, 2, 3, 4]);
});

test('cut short', () => {
  expect(icmpv6.check(build(128, 0), 40, 47)).toBe(DROP['icmp-truncated']);
  expect(icmpv6.check(build(128, 0), 40, 48)).toBe(0);
});

// The Ethernet header: taken apart, changed in place, cut short.
import { expect, test } from 'vitest';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { bytesIn, captured, fromHex, rubbish } from './captures.ts';

test('takes a captured header apart', () => {
  const frame = captured.tcpSyn();
  expect(ethernet.check(frame, 0, frame.byteLength)).toBe(0);
  expect(ethernet.destinationHigh(frame, 0)).toBe(0x02000000);
  expect(ethernet.destinationLow(frame, 0)).toBe(0x0b02);
  expect(ethernet.sourceHigh(frame, 0)).toBe(0x02000000);
  expect(ethernet.sourceLow(frame, 0)).toBe(0x0a01);
  expect(ethernet.type(frame, 0)).toBe(ethernet.TYPE_IPV4);
});

test('high halves are int32', () => {
  const frame = captured.arpRequest();
  expect(ethernet.destinationHigh(frame, 0)).toBe(-1);
  expect(ethernet.destinationLow(frame, 0)).toBe(0xffff);
  expect(ethernet.type(frame, 0)).toBe(ethernet.TYPE_ARP);
});

test('builds a header and writes nothing else', () => {
  const frame = rubbish(20);
  ethernet.setDestination(frame, 3, 0xfedcba98 | 0, 0x0706);
  ethernet.setSource(frame, 3, 0x02000000, 0x0a01);
  ethernet.setType(frame, 3, ethernet.TYPE_IPV6);
  expect(bytesIn(frame)).toEqual(bytesIn(fromHex('a5a5a5fedcba98070602000000' + '0a0186dda5a5a5')));
});

test.each([0, 1, 13])('a frame of %i bytes is truncated', (bytes) => {
  expect(ethernet.check(rubbish(100), 5, 5 + bytes)).toBe(DROP['ethernet-truncated']);
});

test('14 bytes are a whole header', () => {
  expect(ethernet.check(rubbish(100), 5, 19)).toBe(0);
});

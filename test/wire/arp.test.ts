// ARP packets: taken apart, built, cut short, and of kinds that the director does not speak.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as arp from '../../src/wire/arp.ts';
import { DROP } from '../../src/wire/drop-reason.ts';
import { bytesIn, captured, rubbish } from './captures.ts';

const L3 = 14;

test('takes a captured request apart', () => {
  const frame = captured.arpRequest();
  expect(arp.check(frame, L3, frame.byteLength)).toBe(0);
  expect(arp.parse(frame, L3)).toEqual({
    operation: arp.REQUEST,
    senderMacHigh: 0x02000000,
    senderMacLow: 0x0a01,
    senderAddress: 0xc0000201 | 0,
    targetMacHigh: 0,
    targetMacLow: 0,
    targetAddress: 0xc0000202 | 0,
  });
});

test('builds a captured reply over rubbish, byte for byte', () => {
  const reply = captured.arpReply();
  const frame = rubbish(30);
  expect(arp.emit(frame, 1, arp.parse(reply, L3))).toBe(arp.BYTES);
  expect(bytesIn(frame).slice(1, 29)).toEqual(bytesIn(reply).slice(L3));
  expect([frame.getUint8(0), frame.getUint8(29)]).toEqual([0xa5, 0xa5]);
});

test('is read with the padding that small Ethernet frames have', () => {
  const frame = rubbish(60);
  arp.emit(frame, L3, arp.parse(captured.arpReply(), L3));
  expect(arp.check(frame, L3, 60)).toBe(0);
});

test('every shorter packet is malformed', () => {
  const frame = captured.arpRequest();
  for (let bytes = 0; bytes < arp.BYTES; bytes++) {
    expect(arp.check(frame, L3, L3 + bytes)).toBe(DROP['arp-malformed']);
  }
});

test.each([
  ['hardware type', 1, 6],
  ['protocol type', 2, 0x86],
  ['hardware size', 4, 8],
  ['protocol size', 5, 16],
])('another %s is malformed', (_, offset, value) => {
  const frame = captured.arpRequest();
  frame.setUint8(L3 + offset, value);
  expect(arp.check(frame, L3, frame.byteLength)).toBe(DROP['arp-malformed']);
});

test('any packet comes back as it was', () => {
  const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
  const uint16 = fc.nat(0xffff);
  const packet = fc.record({
    operation: uint16,
    senderMacHigh: int32,
    senderMacLow: uint16,
    senderAddress: int32,
    targetMacHigh: int32,
    targetMacLow: uint16,
    targetAddress: int32,
  });
  fc.assert(
    fc.property(packet, (fields) => {
      const frame = rubbish(arp.BYTES);
      arp.emit(frame, 0, fields);
      expect(arp.check(frame, 0, arp.BYTES)).toBe(0);
      expect(arp.parse(frame, 0)).toEqual(fields);
    }),
  );
});

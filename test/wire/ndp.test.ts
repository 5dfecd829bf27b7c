// Neighbour messages: those we make pass the rules of RFC 4861, and each rule broken is noticed.
import { describe, expect, test } from 'vitest';
import { type Ipv6, parseIpv6 } from '../../src/wire/address.ts';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ndp from '../../src/wire/ndp.ts';

const address = (text: string): Ipv6 => parseIpv6(text)!;
const [L3, AT] = [14, 54];
const TARGET = address('2001:db8::12:3456');
const MAC = { macHigh: 0x02000000, macLow: 0x0a01 };
const QUESTION: ndp.Message = {
  ...{ type: icmpv6.NEIGHBOUR_SOLICITATION, source: address('fe80::1'), ...MAC },
  ...{ destination: ndp.groupOf(TARGET), target: TARGET },
};
const ANSWER: ndp.Message = {
  ...{ type: icmpv6.NEIGHBOUR_ADVERTISEMENT, source: TARGET, destination: address('fe80::1') },
  ...{ ...MAC, target: TARGET, flags: ndp.SOLICITED | ndp.OVERRIDE },
  to: { high: 0x02000000, low: 0x0b01 },
};

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer);
const check = (frame: DataView, end = frame.byteLength) => ndp.check(frame, L3, AT, end);

test('a solicitation goes to the group of its target', () => {
  const bytes = ndp.message(QUESTION);
  expect(Buffer.from(bytes).toString('hex')).toBe(
    [
      '3333ff123456020000000a0186dd',
      '6000000000203aff',
      'fe800000000000000000000000000001',
      'ff0200000000000000000001ff123456',
      '8700d89200000000',
      '20010db8000000000000000000123456',
      '0101020000000a01',
    ].join(''),
  );
  const frame = viewOf(bytes);
  expect(check(frame)).toBe(0);
  const option = ndp.macOption(frame, AT, frame.byteLength, ndp.SOURCE_MAC);
  expect(frame.getInt32(option)).toBe(0x02000000);
  expect(frame.getUint16(option + 4)).toBe(0x0a01);
  expect(ndp.macOption(frame, AT, frame.byteLength, ndp.TARGET_MAC)).toBe(0);
});

test('an advertisement answers a station', () => {
  const frame = viewOf(ndp.message(ANSWER));
  expect(check(frame)).toBe(0);
  expect(ndp.flags(frame, AT)).toBe(0x60);
  expect([frame.getInt32(0), frame.getUint16(4)]).toEqual([0x02000000, 0x0b01]);
  expect(ndp.macOption(frame, AT, frame.byteLength, ndp.TARGET_MAC)).toBe(AT + 26);
});

describe('refused:', () => {
  const changed = (message: ndp.Message, at: number, ...bytes: number[]) => {
    const frame = viewOf(ndp.message(message));
    for (const [index, byte] of bytes.entries()) frame.setUint8(at + index, byte);
    icmpv6.refreshChecksum(frame, L3, AT, frame.byteLength);
    return check(frame);
  };
  const unspecified = { ...QUESTION, source: address('::') };

  test.each([
    ['from another link', changed(QUESTION, L3 + 7, 254)],
    ['another code', changed(QUESTION, AT + 1, 1)],
    ['a group as target', changed(QUESTION, AT + 8, 0xff)],
    ['an option of no length', changed(QUESTION, AT + 25, 0)],
    ['an option beyond the end', changed(QUESTION, AT + 25, 2)],
    ['a MAC address of one without an address', changed(unspecified, AT + 24, 1)],
    ['a question of one without an address, not to the group', changed(unspecified, L3 + 24, 0x20)],
    ['a solicited advertisement to a group', changed(ANSWER, L3 + 24, 0xff)],
    ['a wrong checksum', check(brokenSum())],
    ['cut short', check(viewOf(ndp.message(QUESTION)), AT + 23)],
  ])('%s', (_, reason) => {
    expect(reason).toBe(DROP['ndp-malformed']);
  });

  function brokenSum(): DataView {
    const frame = viewOf(ndp.message(QUESTION));
    frame.setUint8(AT + 12, 9);
    return frame;
  }

  test('but not one who looks whether an address is taken, with an option of another kind', () => {
    expect(changed(unspecified, AT + 24, 14)).toBe(0);
    expect(changed(ANSWER, AT + 4, 0)).toBe(0);
  });
});

// The IPv6 header and the headers behind it: taken apart, built, cut short, and led through.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';

/** RFC 8200's form: version 6, traffic class 0x12, flow label 0x34567, 8 bytes of UDP. */
const BYTES = [
  ...[0x61, 0x23, 0x45, 0x67, 0x00, 0x08, 0x11, 0x40],
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01],
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02],
  ...[0x9c, 0x40, 0x00, 0x35, 0x00, 0x08, 0x12, 0x34],
];
const viewOf = (bytes: readonly number[]) => new DataView(Uint8Array.from(bytes).buffer);
const FRAME = viewOf(BYTES);
const HEADER: ipv6.Header = {
  ...{ trafficClass: 0x12, flowLabel: 0x34567, payloadBytes: 8, nextHeader: 17, hopLimit: 64 },
  ...{ source: [0x20010db8, 0, 0, 1], destination: [0x20010db8, 0, 0, 2] },
};

test('is taken apart', () => {
  expect(ipv6.check(FRAME, 0, 48)).toBe(0);
  expect(ipv6.parse(FRAME, 0)).toEqual(HEADER);
  expect(ipv6.totalBytes(FRAME, 0)).toBe(48);
  expect(ipv6.fold(FRAME, ipv6.DESTINATION_OFFSET)).toBe(0x20010db8 ^ 2);
});

test('is built, over whatever was there', () => {
  const bytes = new Uint8Array(60).fill(0xa5);
  expect(ipv6.emit(new DataView(bytes.buffer), 6, HEADER)).toBe(40);
  expect([...bytes.slice(6, 46)]).toEqual(BYTES.slice(0, 40));
  expect(bytes.slice(46).every((byte) => byte === 0xa5)).toBe(true);
});

test.each([0, 1, 39])('cut short after %i bytes', (length) => {
  expect(ipv6.check(FRAME, 0, length)).toBe(DROP['ipv6-truncated']);
});

test('other versions and lengths are refused', () => {
  const changed = (at: number, value: number) => viewOf(BYTES.with(at, value));
  expect(ipv6.check(changed(0, 0x45), 0, 48)).toBe(DROP['ipv6-version']);
  expect(ipv6.check(changed(5, 9), 0, 48)).toBe(DROP['ipv6-length']);
  expect(ipv6.check(changed(5, 7), 0, 48)).toBe(0);
  const jumbogram = viewOf(BYTES.with(5, 0).with(6, 0));
  expect(ipv6.check(jumbogram, 0, 48)).toBe(DROP['ipv6-length']);
});

test('the pseudo-header is summed as RFC 8200, 8.1 has it', () => {
  // 2001 + db8 + 1, 2001 + db8 + 2, protocol 17, length 8.
  const sum = 2 * (0x2001 + 0x0db8) + 3 + 17 + 8;
  expect(ipv6.pseudoHeader(FRAME, 0, 17, 8)).toBe(sum);
});

test('kinds of addresses', () => {
  const at = (...first: number[]) => viewOf([...first, ...new Array(16).fill(0)]);
  expect(ipv6.isMulticast(at(0xff, 2), 0)).toBe(true);
  expect(ipv6.isMulticast(at(0xfe, 2), 0)).toBe(false);
  expect([0x7f, 0x80, 0xbf, 0xc0].map((byte) => ipv6.isLinkLocal(at(0xfe, byte), 0))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect(ipv6.isUnspecified(at(0), 0)).toBe(true);
  expect(ipv6.isUnspecified(at(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 0)).toBe(false);
});

describe('extension headers', () => {
  const options = (next: number, units = 0) => [next, units, ...new Array(6 + units * 8).fill(0)];
  const fragment = (next: number, field: number) => [next, 0, field >> 8, field & 255, 0, 0, 0, 9];
  const UDP = [1, 2, 3, 4, 0, 8, 0, 0];

  const upper = (next: number, ...headers: number[][]) => {
    const bytes = headers.flat();
    const found = ipv6.findUpper(viewOf(bytes), 0, 0, next, bytes.length);
    return found === ipv6.BROKEN ? 'broken' : [found >>> 8, found & 255];
  };

  test.each([
    ['none', upper(17, UDP), [0, 17]],
    ['hop-by-hop', upper(0, options(17), UDP), [8, 17]],
    ['destination options of two units', upper(60, options(6, 1), UDP), [16, 6]],
    ['routing that has arrived', upper(43, [17, 2, 2, 0, ...Array(20).fill(0)], UDP), [24, 17]],
    ['routing that leads on', upper(43, [17, 2, 2, 1, ...Array(20).fill(0)], UDP), [0, 43]],
    ['authentication', upper(51, [6, 4, ...Array(22).fill(0)], UDP), [24, 6]],
    ['a fragment', upper(44, fragment(17, 1), UDP), [0, 44]],
    ['a later fragment', upper(44, fragment(17, 8), UDP), [0, 44]],
    ['a fragment that is the whole', upper(44, fragment(17, 0), UDP), [8, 17]],
    ['several', upper(0, options(60), options(44), fragment(58, 0), options(0)), [24, 58]],
    ['what is unknown', upper(0, options(50), UDP), [8, 50]],
    ['no next header', upper(60, options(59)), [8, 59]],
    ['beyond the packet', upper(60, options(17, 1).slice(0, 15)), 'broken'],
    ['beyond it at once', upper(60, options(17).slice(0, 7)), 'broken'],
    ['nine of them', upper(60, ...Array(9).fill(options(60)), UDP), 'broken'],
    ['eight of them', upper(60, ...Array(7).fill(options(60)), options(6), UDP), [64, 6]],
  ])('%s', (_, found, expected) => {
    expect(found).toEqual(expected);
  });

  test('of any bytes stay within the packet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), fc.nat(255), (bytes, next) => {
        const end = bytes.length;
        const found = ipv6.findUpper(new DataView(bytes.slice().buffer), 0, 0, next, end);
        if (found !== ipv6.BROKEN) expect(found >>> 8).toBeLessThanOrEqual(end);
      }),
      { numRuns: 2000 },
    );
  });
});

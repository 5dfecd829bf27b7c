// Addresses as text and as numbers: what is read, what is refused, and masks at their ends.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatIpv4,
  formatMac,
  inSubnet,
  parseIpv4,
  parseMac,
  prefixMask,
} from '../../src/wire/address.ts';

const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

describe('IPv4 addresses', () => {
  test.each([
    ['0.0.0.0', 0],
    ['192.0.2.1', 0xc0000201 | 0],
    ['127.0.0.1', 0x7f000001],
    ['255.255.255.255', -1],
  ])('%s', (text, address) => {
    expect(parseIpv4(text)).toBe(address);
    expect(formatIpv4(address)).toBe(text);
  });

  test.each([
    '',
    '1',
    '192.0.2',
    '192.0.2.',
    '192.0.2.1.1',
    '192.0.2.256',
    '192.0.2.01',
    '192.0.2.0x1',
    '192.0.2.-1',
    '192.0.2.1e1',
    '192.0. 2.1',
    '192.0.2.1\n',
    ' 192.0.2.1',
    '192.0.2.1/24',
    '192.0.2.1000',
    '::1',
    'localhost',
  ])('refuses %j', (text) => {
    expect(parseIpv4(text)).toBeUndefined();
  });

  test('come back from text as they were', () => {
    fc.assert(fc.property(int32, (address) => parseIpv4(formatIpv4(address)) === address));
  });
});

describe('MAC addresses', () => {
  test('are read in either case and written in lower case', () => {
    const mac = parseMac('FE:dc:ba:98:07:06');
    expect(mac).toEqual({ high: 0xfedcba98 | 0, low: 0x0706 });
    expect(formatMac(mac!.high, mac!.low)).toBe('fe:dc:ba:98:07:06');
  });

  test.each(['', '02:00:00:00:00', '02:00:00:00:00:0', '02:00:00:00:00:0g', '02-00-00-00-00-01'])(
    'refuses %j',
    (text) => {
      expect(parseMac(text)).toBeUndefined();
    },
  );

  test('come back from text as they were', () => {
    fc.assert(
      fc.property(int32, fc.nat(0xffff), (high, low) => {
        expect(parseMac(formatMac(high, low))).toEqual({ high, low });
      }),
    );
  });
});

describe('subnets', () => {
  test('prefixMask has a one for every bit of the prefix', () => {
    for (let length = 0; length <= 32; length++) {
      const bits = '1'.repeat(length).padEnd(32, '0');
      expect(prefixMask(length)).toBe(Number.parseInt(bits, 2) | 0);
    }
  });

  test.each([
    ['192.0.2.255', '192.0.2.0', 24, true],
    ['192.0.3.0', '192.0.2.0', 24, false],
    ['192.0.2.9', '192.0.2.77', 24, true],
    ['203.0.113.9', '192.0.2.1', 0, true],
    ['192.0.2.1', '192.0.2.1', 32, true],
    ['192.0.2.0', '192.0.2.1', 32, false],
    ['128.0.0.1', '0.0.0.1', 1, false],
  ])('%s in the subnet of %s/%i: %s', (address, network, prefixLength, expected) => {
    expect(inSubnet(parseIpv4(address)!, parseIpv4(network)!, prefixLength)).toBe(expected);
  });
});

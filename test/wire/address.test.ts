// Addresses as text and as numbers: what is read, what is refused, and masks at their ends.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatIpv4,
  formatIpv6,
  formatMac,
  type Ipv6,
  inSubnet,
  inSubnet6,
  parseIpv4,
  parseIpv6,
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

describe('IPv6 addresses', () => {
  test.each<[string, Ipv6, string]>([
    ['::', [0, 0, 0, 0], '::'],
    ['::1', [0, 0, 0, 1], '::1'],
    ['2001:DB8::8:800:200C:417A', [0x20010db8, 0, 0x00080800, 0x200c417a], ''],
    ['2001:db8:0:0:1:0:0:1', [0x20010db8, 0, 0x00010000, 1], '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', [0x20010db8, 1, 0x00010001, 0x00010001], ''],
    ['2001:0db8::0001', [0x20010db8, 0, 0, 1], '2001:db8::1'],
    ['fe80::', [0xfe800000 | 0, 0, 0, 0], 'fe80::'],
    ['1::2:3:4:5:6:7', [0x00010000, 0x00020003, 0x00040005, 0x00060007], '1:0:2:3:4:5:6:7'],
    ['::ffff:192.0.2.1', [0, 0, 0xffff, 0xc0000201 | 0], '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', [0x0064ff9b, 0, 0, 0xc0000221 | 0], '64:ff9b::c000:221'],
    ['ff02::1:ff00:1', [0xff020000 | 0, 0, 1, 0xff000001 | 0], 'ff02::1:ff00:1'],
  ])('%s', (text, address, written) => {
    expect(parseIpv6(text)).toEqual(address);
    expect(formatIpv6(address)).toBe(written || text.toLowerCase());
  });

  test.each([
    '',
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '1:2:3:4::5:6:7:8',
    ':1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8:',
    '12345::',
    '::g',
    '192.0.2.1',
    '192.0.2.1::',
    '::192.0.2.1:1',
    '::192.0.2',
    '::1/64',
    'fe80::1%eth0',
    '[::1]',
    ' ::1',
  ])('refuses %j', (text) => {
    expect(parseIpv6(text)).toBeUndefined();
  });

  test('come back from text as they were', () => {
    const word = fc.oneof(int32, fc.constantFrom(0, 1, 0x10000, 0xffff));
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), (address) => {
        expect(parseIpv6(formatIpv6(address))).toEqual(address);
      }),
    );
  });

  test.each([
    ['2001:db8::1', '2001:db8::', 64, true],
    ['2001:db8:0:1::1', '2001:db8::', 64, false],
    ['2001:db8:0:1::1', '2001:db8::', 63, true],
    ['2001:db8::1', '2001:db8::2', 128, false],
    ['2001:db8::2', '2001:db8::2', 128, true],
    ['::', 'ffff::', 0, true],
  ])('%s in the subnet of %s/%i: %s', (address, network, prefixLength, expected) => {
    expect(inSubnet6(parseIpv6(address)!, parseIpv6(network)!, prefixLength)).toBe(expected);
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

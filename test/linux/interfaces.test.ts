// Interfaces as the kernel shows them: lo is on every machine, the rest is text from a kernel.
import { expect, test } from 'vitest';
import {
  hostAddresses,
  interfaceNames,
  linkState,
  parseFibTrie,
  parseIfInet6,
  parseIpAddresses,
  parseIpv6Route,
  readInterface,
} from '../../src/linux/interfaces.ts';

test('lo is read whole', () => {
  const result = readInterface('lo');
  expect(result).toMatchObject({
    ok: true,
    interface: {
      name: 'lo',
      index: 1,
      mac: '00:00:00:00:00:00',
      loopback: true,
      ethernet: false,
      link: 'up',
    },
  });
  if (!result.ok) return;
  expect(result.interface.addresses).toContainEqual({ address: '127.0.0.1', prefixLength: 8 });
  expect(result.interface.mtu).toBeGreaterThan(1500);
});

test('a missing interface is named beside those that exist', () => {
  const result = readInterface('nosuch0');
  expect(result).toMatchObject({ ok: false });
  if (result.ok) return;
  expect(result.problem).toContain('nosuch0');
  for (const name of interfaceNames()) expect(result.problem).toContain(name);
});

test('a name cannot lead out of sysfs', () => {
  expect(readInterface('../../kernel').ok).toBe(false);
});

test('an interface of another index, or none, is gone', () => {
  expect(linkState('lo', 1)).toBe('up');
  expect(linkState('lo', 4711)).toBe('gone');
  expect(linkState('nosuch0', 1)).toBe('gone');
});

test('the host owns its loopback range and its loopback address', () => {
  expect(hostAddresses()).toContainEqual({ address: '127.0.0.1', prefixLength: 32 });
  expect(hostAddresses()).toContainEqual({ address: '127.0.0.0', prefixLength: 8 });
});

test('the routing trie gives local entries once, and no network or broadcast', () => {
  const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 198.51.100.0
        /28 host LOCAL
`;
  expect(parseFibTrie(trie)).toEqual([
    { address: '192.0.2.2', prefixLength: 32 },
    { address: '198.51.100.0', prefixLength: 28 },
  ]);
});

test('addresses from ip, IPv4 alone', () => {
  const json = `[{"ifname":"eth0","addr_info":[
    {"family":"inet","local":"10.1.0.1","prefixlen":24},
    {"family":"inet6","local":"fe80::1","prefixlen":64}]}]`;
  expect(parseIpAddresses(json)).toEqual([{ address: '10.1.0.1', prefixLength: 24 }]);
  expect(parseIpAddresses('')).toEqual([]);
});

test('IPv6 addresses of an interface, in short form, without those that are taken already', () => {
  const text = `fe800000000000000000000000000001 02 40 20 80     eth0
20010db8000000000000000000000001 02 40 00 80     eth0
20010db8000000000000000000000002 02 40 00 c8     eth0
00000000000000000000000000000001 01 80 10 80       lo
`;
  expect(parseIfInet6(text)).toEqual([
    { name: 'eth0', address: 'fe80::1', prefixLength: 64, linkLocal: true },
    { name: 'eth0', address: '2001:db8::1', prefixLength: 64, linkLocal: false },
    { name: 'lo', address: '::1', prefixLength: 128, linkLocal: false },
  ]);
  expect(parseIfInet6('')).toEqual([]);
});

test('local routes of IPv6, ranges too, and no others', () => {
  const zero = '00000000000000000000000000000000';
  const row = (address: string, prefix: string, flags: string) =>
    `${address} ${prefix} ${zero} 00 ${zero} 00000000 00000001 00000000 ${flags}       lo`;
  const text = [
    row('20010db8000000000000000000000000', '40', '00000001'),
    row('20010db8000000000000000000000001', '80', '80200001'),
    row('20010db8000500000000000000000000', '40', '80000001'),
    row(zero, '00', '00200200'),
  ].join('\n');
  expect(parseIpv6Route(text)).toEqual([
    { address: '2001:db8::1', prefixLength: 128 },
    { address: '2001:db8:5::', prefixLength: 64 },
  ]);
});

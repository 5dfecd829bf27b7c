// Bad addresses of VIPs and reals in a configuration. A case is a good file in which one line is
// exchanged, as in bad-config.test.ts.
import { expect, it } from 'vitest';
import { problemsOf, withLine } from './good-file.ts';

const HOST =
  'the address of one host, outside 0.0.0.0/8, 127.0.0.0/8 (loopback), 224.0.0.0/4 (multicast) ' +
  'and 240.0.0.0/4 (broadcast, reserved)';
const ADDRESS = 'an IPv4 or IPv6 address, such as 192.0.2.10 or 2001:db8::10';
const VIP = `${ADDRESS}, or a prefix, such as 192.0.2.0/28 or 2001:db8:1::/64`;

type Case = [
  name: string,
  text: string,
  place: string,
  found: string,
  allowed: string,
  advice?: string,
];

const CASES: Case[] = [
  ...[
    'not-an-address',
    '192.0.2',
    '192.0.2.256',
    '192.0.2.010',
    '2001:db8::1::2',
    'fe80::1%eth0',
  ].map(
    (vip): Case => [
      `the VIP ${vip}`,
      withLine(5, `    vip: "${vip}"`),
      ':5:10 services.web.vip',
      `"${vip}"`,
      VIP,
    ],
  ),
  ...['0.0.0.0', '127.0.0.1', '224.0.0.18', '239.1.1.1', '255.255.255.255'].map(
    (vip): Case => [
      `the VIP ${vip}`,
      withLine(5, `    vip: ${vip}`),
      ':5:10 services.web.vip',
      `"${vip}"`,
      HOST,
    ],
  ),
  ['a VIP that is a number', withLine(5, '    vip: 19.2'), ':5:10 services.web.vip', '19.2', VIP],
  ['an empty VIP', withLine(5, '    vip:'), ':5:9 services.web.vip', 'nothing', VIP],
  [
    'a real in the short form with a port',
    withLine(10, '      - 192.0.2.21:80'),
    ':10:9 services.web.reals[0]',
    '"192.0.2.21:80"',
    ADDRESS,
  ],
  [
    'a real that is loopback',
    withLine(10, '      - 127.0.0.1'),
    ':10:9 services.web.reals[0]',
    '"127.0.0.1"',
    HOST,
  ],
  [
    'a real without an address',
    withLine(11, '      - { weight: 2 }'),
    ':11:9 services.web.reals[1].address',
    'nothing',
    ADDRESS,
  ],
];

it.each(CASES)('%s', (_, text, place, found, allowed, advice) => {
  const tail = advice === undefined ? '' : ` (${advice})`;
  expect(problemsOf(text)).toEqual([`f.yaml${place}: found ${found}, allowed ${allowed}${tail}`]);
});

// What a file may not say of tunnels and routers.
import { describe, expect, it } from 'vitest';
import { problemsOf, withLine } from './good-file.ts';

type Case = [
  name: string,
  text: string,
  place: string,
  found: string,
  allowed: string,
  advice?: string,
];

const SOURCES = 'tunnel: { sources: 172.16.7.0/24 }';

const CASES: Case[] = [
  ...(['ipip', 'gue'] as const).map(
    (method): Case => [
      `a real by ${method} with a port of its own`,
      withLine(16, `    method: ${method}`),
      ':17:45 services.dns.reals[0].port',
      '5353',
      '53, the port of the service',
      method === 'ipip'
        ? 'a tunnel cannot map ports. Methods nat and fullnat can map it'
        : "a tunnel cannot map ports; the tunnel's own port is the key tunnel.port. " +
          'Methods nat and fullnat can map it',
    ],
  ),
  [
    'a DSR real behind a router',
    withLine(11, '      - { address: 203.0.113.9, gateway: 192.0.2.1 }'),
    ':11:42 services.web.reals[1].gateway',
    '192.0.2.1',
    'no gateway with method dsr, which reaches reals on its own segments only',
    'methods ipip, gue, nat and fullnat go through routers',
  ],
  [
    'a router of the other family',
    withLine(17, "    reals: [{ address: 198.51.100.11, gateway: '2001:db8::1' }]"),
    ':17:48 services.dns.reals[0].gateway',
    '2001:db8::1',
    'a router of the same family as the real 198.51.100.11',
  ],
  [
    'two sources of one family',
    withLine(2, 'tunnel: { sources: [172.16.0.0/16, 2001:db8:f::/64, 172.17.0.0/16] }'),
    ':2:53 tunnel.sources[2]',
    '172.17.0.0/16 beside 172.16.0.0/16',
    'one prefix of each family',
  ],
  ...[
    ...['172.16.0.0', '172.16.0.0/33', '172.16.0.0/7', '0.0.0.0/8', 'x/16', '1.2.3.0/24/8'],
    ...['2001:db8:f::1', '2001:db8::/63', '2001:db8::/129', '2001:db8::/64/64'],
  ].map(
    (sources): Case => [
      `tunnels from ${sources}`,
      withLine(2, `tunnel: { sources: ${sources} }`),
      ':2:20 tunnel.sources',
      `"${sources}"`,
      'a prefix, of 8 to 32 bits with IPv4 (172.16.0.0/16), of 64 to 128 with IPv6 ' +
        '(2001:db8:f::/64), or a list with one of each',
    ],
  ),
  [
    'sources of tunnels that somebody has',
    withLine(2, 'tunnel: { sources: 198.51.100.8/29 }'),
    ':2:20 tunnel.sources',
    '198.51.100.8/29, which holds 198.51.100.11 of service dns',
    "a prefix without any VIP, real or gateway: it is the director's alone",
  ],
  [
    'sources of IPv6 that somebody has',
    withLine(2, 'tunnel: { sources: 2001:db8:f::/64 }')
      .replace('192.0.2.53', '2001:db8:f::53')
      .replace('198.51.100.11', '2001:db8::11'),
    ':2:20 tunnel.sources',
    '2001:db8:f::/64, which holds 2001:db8:f::53 of service dns',
    "a prefix without any VIP, real or gateway: it is the director's alone",
  ],
  [
    'sources with host bits that somebody has',
    withLine(2, 'tunnel: { sources: 198.51.100.10/29 }'),
    ':2:20 tunnel.sources',
    '198.51.100.10/29, which holds 198.51.100.11 of service dns',
    "a prefix without any VIP, real or gateway: it is the director's alone",
  ],
  [
    'sources of IPv6 with host bits that somebody has',
    withLine(2, "tunnel: { sources: '2001:db8:f::9/64' }")
      .replace('192.0.2.53', '2001:db8:f::53')
      .replace('198.51.100.11', '2001:db8::11'),
    ':2:20 tunnel.sources',
    '2001:db8:f::9/64, which holds 2001:db8:f::53 of service dns',
    "a prefix without any VIP, real or gateway: it is the director's alone",
  ],
  [
    'sources with host bits that the source pool has',
    withLine(2, 'tunnel: { sources: 172.16.5.1/16 }', 'sourcePool: { addresses: [172.16.7.9] }'),
    ':2:20 tunnel.sources',
    '172.16.5.1/16, which holds 172.16.7.9 of the sourcePool',
    'a prefix without any address of the sourcePool',
  ],
  [
    'sources of tunnels within the prefix of a VIP',
    withLine(5, '    vip: 172.16.0.0/16').replace('interfaces', `${SOURCES}\ninterfaces`),
    ':1:20 tunnel.sources',
    '172.16.7.0/24, which holds 172.16.0.0/16 of service web',
    "a prefix without any VIP, real or gateway: it is the director's alone",
  ],
  [
    'sources of tunnels that the source pool has',
    withLine(2, SOURCES, 'sourcePool: { addresses: [172.16.7.9] }'),
    ':2:20 tunnel.sources',
    '172.16.7.0/24, which holds 172.16.7.9 of the sourcePool',
    'a prefix without any address of the sourcePool',
  ],
  [
    'a sorry server by DSR behind a router',
    withLine(8, '    sorry: { address: 203.0.113.9, gateway: 192.0.2.1 }'),
    ':8:45 services.web.sorry.gateway',
    '192.0.2.1',
    'no gateway with method dsr, which reaches reals on its own segments only',
    'methods ipip, gue, nat and fullnat go through routers',
  ],
  [
    'an unknown key of tunnels',
    withLine(2, 'tunnel: { prot: 6080 }'),
    ':2:11 tunnel.prot',
    'the unknown key prot',
    'the keys port, sources',
    'did you mean port?',
  ],
];

describe('tunnels and routers that do not fit', () => {
  it.each(CASES)('%s', (_, text, place, found, allowed, advice) => {
    const tail = advice === undefined ? '' : ` (${advice})`;
    expect(problemsOf(text)).toEqual([`f.yaml${place}: found ${found}, allowed ${allowed}${tail}`]);
  });
});

const GOOD = [
  'tunnel: { port: 7000, sources: 172.16.0.0/16 }',
  'tunnel: { sources: 2001:db8:f::/64 }',
  'tunnel: { sources: [2001:db8:f::/64, 172.16.0.0/16] }',
];
it.each(GOOD)('a good one: %s', (line) => expect(problemsOf(withLine(2, line))).toEqual([]));

it.each(['ipip', 'gue'])('by %s a real of the other family is reached', (method) => {
  const six = (vip: string, real: string) =>
    `  six: { vip: ${vip}, port: 1, method: ${method}, reals: [${real}] }`;
  expect(problemsOf(withLine(11, six('2001:db8::10', '198.51.100.77')))).toEqual([]);
  expect(problemsOf(withLine(11, six('192.0.2.99', '2001:db8::21')))).toEqual([]);
  expect(problemsOf(withLine(11, six('2001:db8::10', '2001:db8::21')))).toEqual([]);
});

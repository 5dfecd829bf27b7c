// What a service listens on in a configuration: several VIPs, prefixes, ports, ranges and
// protocols; what is refused of them, and where.
import { describe, expect, test } from 'vitest';
import { formatService } from '../../src/config/listening.ts';
import { parseConfig } from '../../src/config/load.ts';
import { problemsOf } from './good-file.ts';

interface Parts {
  readonly vip?: string;
  readonly port?: string;
  readonly more?: string;
  readonly reals?: string;
}

const web = ({
  vip = '192.0.2.10',
  port = '80',
  more = 'method: nat',
  reals = '10.0.0.1',
}: Parts) => `{ vip: ${vip}, port: ${port}, ${more}, reals: [${reals}] }`;
const file = (...services: Parts[]) =>
  [
    ...['interfaces: [eth0]', 'services:'],
    ...services.map((parts, index) => `  s${index}: ${web(parts)}`),
  ].join('\n');

/** Problems without the place in the text. */
const told = (...services: Parts[]) =>
  problemsOf(file(...services)).map((problem) =>
    problem.replace(/^f\.yaml:\d+:\d+ services\./, ''),
  );

function servicesOf(...services: Parts[]) {
  const result = parseConfig(file(...services), 'f.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config.services;
}

describe('a good service', () => {
  test('has one of each or lists', () => {
    const [one, many] = servicesOf(
      {},
      {
        vip: '[192.0.2.11, 198.51.100.0/28, 203.0.113.1/32]',
        port: '[80, 8000-8100]',
        more: 'protocol: [tcp, udp], method: dsr',
      },
    );
    const range = { from: 8000, to: 8100 };
    expect(one).toMatchObject({ vips: ['192.0.2.10'], ports: [{ from: 80, to: 80 }] });
    expect(one?.protocols).toEqual(['tcp']);
    expect(many).toMatchObject({
      vips: ['192.0.2.11', '198.51.100.0/28', '203.0.113.1'],
      ports: [{ from: 80, to: 80 }, range],
      protocols: ['tcp', 'udp'],
    });
  });

  test('of one port gives it to its reals; of several, they keep the one that was asked for', () => {
    const realsOf = (port: string, reals: string) =>
      servicesOf({ port, reals })[0]!.reals.map(({ name, port: own }) => [name, own]);
    expect(realsOf('80', '10.0.0.1')).toEqual([['10.0.0.1:80', 80]]);
    expect(realsOf('any', '10.0.0.1')).toEqual([['10.0.0.1', 0]]);
    const mapped = '{ address: 10.0.0.1, port: 8080 }';
    expect(realsOf('8000-8100', mapped)).toEqual([['10.0.0.1:8080', 8080]]);
  });

  test('may stand beside less and more exact ones', () => {
    const services = servicesOf(
      ...[{ port: 'any' }, { port: '8000-8100' }, { port: '8050' }, { port: '[1, 8101-8102]' }],
      ...[
        { vip: '192.0.2.0/28', port: 'any' },
        { vip: '192.0.2.0/24', port: 'any' },
      ],
      { more: 'method: nat, protocol: udp', port: 'any' },
    );
    expect(services).toHaveLength(7);
  });

  test('is written in one line, long lists shortened', () => {
    const parts = { protocols: ['tcp'], ports: ['80', '81', '82', '83', '84'] };
    expect(formatService({ ...parts, vips: ['192.0.2.0/28'] })).toBe(
      'tcp 192.0.2.0/28:80,81,82,+2',
    );
    expect(formatService({ ...parts, vips: ['2001:db8::1'], ports: ['any'] })).toBe(
      'tcp [2001:db8::1]:any',
    );
  });
});

const PORTS = 'a port from 1 to 65535, or a range, such as 8000-8100';
const VIP =
  'an IPv4 or IPv6 address, such as 192.0.2.10 or 2001:db8::10, or a prefix, ' +
  'such as 192.0.2.0/28 or 2001:db8:1::/64';
const ONCE = 'allowed each VIP, port and protocol in one service';

test.each<[string, Parts, string]>([
  [
    'a prefix with host bits',
    { vip: '192.0.2.5/28' },
    's0.vip: found "192.0.2.5/28", allowed 192.0.2.0/28, the network of that prefix',
  ],
  [
    'a prefix that is a network',
    { vip: '10.0.0.0/7' },
    's0.vip: found "10.0.0.0/7", allowed the network of the prefix, of 8 bits or more',
  ],
  [
    'a prefix of IPv6 that is a network',
    { vip: '2001:db8::/63', reals: '"2001:db9::1"' },
    's0.vip: found "2001:db8::/63", allowed the network of the prefix, of 64 bits or more with IPv6',
  ],
  [
    'a prefix of IPv6 with host bits',
    { vip: '2001:DB8::1:5/112', reals: '"2001:db9::1"' },
    's0.vip: found "2001:DB8::1:5/112", allowed 2001:db8::1:0/112, the network of that prefix',
  ],
  [
    'a prefix of 129 bits',
    { vip: '2001:db8::/129', reals: '"2001:db9::1"' },
    `s0.vip: found "2001:db8::/129", allowed ${VIP}`,
  ],
  [
    'a VIP in a prefix of IPv6 of the same list',
    { vip: '["2001:db8::/64", "2001:db8::5"]', reals: '"2001:db9::1"' },
    's0.vip[1]: found 2001:db8::5, which overlaps 2001:db8::/64, allowed each of the list once',
  ],
  [
    'a real in a prefix of IPv6',
    { vip: '2001:db8::/64', reals: '"2001:db8::5"' },
    's0.reals[0]: found 2001:db8::5, in the VIPs 2001:db8::/64 of its own service, ' +
      "allowed the real's own address " +
      '(the director answers for a VIP itself, so no frame could reach this real)',
  ],
  ['a prefix of 33 bits', { vip: '10.0.0.0/33' }, `s0.vip: found "10.0.0.0/33", allowed ${VIP}`],
  [
    'an empty list of VIPs',
    { vip: '[]' },
    `s0.vip: found an empty list, allowed ${VIP}, or a list of them`,
  ],
  ['a bad VIP in a list', { vip: '[192.0.2.10, x]' }, `s0.vip[1]: found "x", allowed ${VIP}`],
  [
    'a VIP twice',
    { vip: '[192.0.2.10, 192.0.2.10]' },
    's0.vip[1]: found 192.0.2.10 a second time, allowed each of the list once',
  ],
  [
    'a VIP in a prefix of the same list',
    { vip: '[192.0.2.0/28, 192.0.2.5]' },
    's0.vip[1]: found 192.0.2.5, which overlaps 192.0.2.0/28, allowed each of the list once',
  ],
  [
    'a range backwards',
    { port: '90-80' },
    's0.port: found "90-80", allowed a range from the lower port to the higher one, ' +
      'such as 8000-8100',
  ],
  ['any in a list', { port: '[80, any]' }, `s0.port[1]: found "any", allowed ${PORTS}`],
  [
    'a port twice',
    { port: '[80-90, 85]' },
    's0.port[1]: found 85, which overlaps 80-90, allowed each of the list once',
  ],
  [
    'a protocol twice',
    { more: 'protocol: [udp, udp], method: nat' },
    's0.protocol[1]: found udp a second time, allowed each of the list once',
  ],
  [
    'a real among the VIPs of a prefix',
    { vip: '10.0.0.0/28' },
    's0.reals[0]: found 10.0.0.1, in the VIPs 10.0.0.0/28 of its own service, ' +
      "allowed the real's own address " +
      '(the director answers for a VIP itself, so no frame could reach this real)',
  ],
  [
    'a port of a DSR real behind several',
    { port: 'any', more: 'method: dsr', reals: '{ address: 10.0.0.1, port: 80 }' },
    's0.reals[0].port: found 80, allowed no port, for the service has several ' +
      '(DSR cannot map ports; IPVS silently resets it, we refuse. Methods nat and fullnat can map it)',
  ],
  [
    'a port map of SCTP',
    { more: 'protocol: [tcp, sctp], method: nat', reals: '{ address: 10.0.0.1, port: 81 }' },
    's0.reals[0].port: found 81 with sctp, allowed 80, the port of the service ' +
      '(the director cannot map ports of SCTP: its checksum covers them and the whole packet)',
  ],
  [
    "a real's own method that SCTP does not go by",
    { more: 'protocol: sctp, method: dsr', reals: '{ address: 10.0.0.1, method: gue }' },
    's0.reals[0].method: found gue with sctp, allowed dsr, nat ' +
      '(other methods would have to make the checksum of SCTP anew)',
  ],
  [
    'a port map of SCTP over IPv6',
    {
      vip: '"2001:db8::1"',
      more: 'protocol: sctp, method: nat',
      reals: '{ address: "2001:db8::2", port: 81 }',
    },
    's0.reals[0].port: found 81 with sctp, allowed 80, the port of the service ' +
      '(the director cannot map ports of SCTP: its checksum covers them and the whole packet)',
  ],
])('%s is refused', (_, parts, problem) => {
  expect(told(parts)).toEqual([problem]);
});

test('a list of VIPs of both families is refused', () => {
  expect(told({ vip: '[192.0.2.10, "2001:db8::1"]' })[0]).toContain(
    's0.vip[1]: found 2001:db8::1, an IPv6 address beside the VIP 192.0.2.10',
  );
});

test('equal claims of two services are refused, with both places', () => {
  expect(told({ port: '8000-8100' }, { port: '[80, 8100-8200]' })).toEqual([
    `s1.vip: found tcp 192.0.2.10:8100-8200, which overlaps 8000-8100 of services.s0.port, ${ONCE}`,
  ]);
  expect(told({ port: 'any' }, { port: 'any' })).toEqual([
    `s1.vip: found tcp 192.0.2.10:any, which service s0 has already, ${ONCE}`,
  ]);
  expect(told({ vip: '192.0.2.0/28' }, { vip: '[203.0.113.1, 192.0.2.0/28]' })).toEqual([
    `s1.vip[1]: found tcp 192.0.2.0/28:80, which service s0 has already, ${ONCE}`,
  ]);
});

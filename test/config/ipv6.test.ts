// IPv6 in a configuration: texts become the one of RFC 5952, both families have their refusals, and
// no service mixes them.
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { problemsOf, withLine } from './good-file.ts';

const file = (vip: string, reals: string): string =>
  [
    ...['interfaces: [eth0]', 'services:', '  web:', `    vip: ${vip}`, '    port: 80'],
    ...['    method: dsr', `    reals: ${reals}`],
  ].join('\n');

function serviceOf(vip: string, reals: string) {
  const result = parseConfig(file(vip, reals), 'f.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config.services[0]!;
}

test('addresses take the form of RFC 5952, and ports follow brackets', () => {
  const service = serviceOf(
    '2001:DB8:0:0:0:0:0:10',
    '[2001:0db8::0:21, { address: fd00::22, weight: 2 }]',
  );
  expect(service.vips).toEqual(['2001:db8::10']);
  expect(service.reals.map(({ address }) => address)).toEqual(['2001:db8::21', 'fd00::22']);
  expect(service.reals.map(({ name }) => name)).toEqual(['[2001:db8::21]:80', '[fd00::22]:80']);
});

const HOST6 =
  'the address of one host that is good on every link: none of :: (unspecified), ::1 (loopback), ' +
  '::ffff:0:0/96 (IPv4-mapped; write the IPv4 address), fe80::/10 (link-local) and ff00::/8 ' +
  '(multicast)';

describe('an address of no host is refused', () => {
  test.each([
    ...['::', '::1', '::ffff:192.0.2.10', '::ffff:0:1', 'fe80::1', 'febf::1', 'ff02::1', 'ff0e::5'],
  ])('%s as the VIP and as a real', (address) => {
    expect(problemsOf(file(`"${address}"`, '[2001:db8::21]'))).toEqual([
      `f.yaml:4:10 services.web.vip: found "${address}", allowed ${HOST6}`,
    ]);
    expect(problemsOf(file('2001:db8::10', `[{ address: "${address}" }]`))).toEqual([
      `f.yaml:7:24 services.web.reals[0].address: found "${address}", allowed ${HOST6}`,
    ]);
  });

  test.each([...['2000::', 'fec0::1', 'fd00::1', '64:ff9b::1.2.3.4', '::2', 'fe7f::1', 'feff::1']])(
    '%s is one',
    (address) => {
      expect(problemsOf(file(`"${address}"`, '[2001:db8::21]'))).toEqual([]);
    },
  );
});

const ADVICE =
  'give each family a service of its own, with the same hosts as reals if need be; only methods ' +
  'ipip and gue reach a real of the other family';

test('a real of the other family than its VIP is refused', () => {
  expect(problemsOf(withLine(10, '      - 2001:db8::21'))).toEqual([
    'f.yaml:10:9 services.web.reals[0]: found 2001:db8::21, an IPv6 address behind the VIP ' +
      `192.0.2.10, allowed an IPv4 address, like the VIP's (${ADVICE})`,
  ]);
  expect(problemsOf(file('2001:db8::10', '[2001:db8::21, 192.0.2.21]'))).toEqual([
    'f.yaml:7:27 services.web.reals[1]: found 192.0.2.21, an IPv4 address behind the VIP ' +
      `2001:db8::10, allowed an IPv6 address, like the VIP's (${ADVICE})`,
  ]);
});

test('two texts of one address are one address', () => {
  expect(problemsOf(file('2001:db8::10', '[2001:db8::21, 2001:db8:0::21]'))).toEqual([
    'f.yaml:7:27 services.web.reals[1]: found [2001:db8::21]:80 a second time, ' +
      'allowed each real once in a service',
  ]);
  expect(problemsOf(file('2001:db8::10', '["2001:DB8::10"]'))).toHaveLength(1);
});

test('services of both families stand side by side, on the same port', () => {
  const both = withLine(
    12,
    ...['  web6:', '    vip: 2001:db8::10', '    port: 80', '    method: dsr'],
    ...['    reals: [2001:db8::21]', '  dns:'],
  );
  expect(problemsOf(both)).toEqual([]);
});

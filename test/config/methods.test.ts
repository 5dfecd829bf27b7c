// The method of a real, and the source pool of fullnat: what a file may say, what it means, and
// what is said of a file that does not fit together.
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';

const file = (service: string, top = 'sourcePool: { addresses: [10.0.0.200] }') => `
interfaces: [eth0]
${top}
services:
  web: { vip: 192.0.2.80, port: 80, ${service} }
`;

function configOf(text: string) {
  const result = parseConfig(text, 'f.yaml');
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result.config;
}

const problemsOf = (text: string): string[] => {
  const result = parseConfig(text, 'f.yaml');
  return result.ok ? [] : result.problems.map(formatProblem);
};

test('a real has the method of its service, or one of its own', () => {
  const reals =
    '[10.0.0.1, { address: 10.0.0.2, method: nat, port: 8080 }, ' +
    '{ address: 10.0.0.3, method: fullnat, port: 8081 }]';
  const { services } = configOf(file(`method: dsr, reals: ${reals}`));
  expect(services[0]?.reals.map(({ method, port }) => [method, port])).toEqual([
    ['dsr', 80],
    ['nat', 8080],
    ['fullnat', 8081],
  ]);
});

test('a pool has all ports that are not well known, or those that it names', () => {
  const top = 'sourcePool: { addresses: [10.0.0.200, 10.0.0.201], ports: 20000-29999 }';
  expect(configOf(file('method: fullnat, reals: [10.0.0.1]')).sourcePool).toEqual({
    addresses: ['10.0.0.200'],
    ports: { from: 1024, to: 65_535 },
  });
  expect(configOf(file('method: fullnat, reals: [10.0.0.1]', top)).sourcePool).toEqual({
    addresses: ['10.0.0.200', '10.0.0.201'],
    ports: { from: 20_000, to: 29_999 },
  });
});

test('a pool with an address for each worker needs no port for each', () => {
  const top = 'workers: 2\nsourcePool: { addresses: [10.0.0.200, 10.0.0.201], ports: 5000-5000 }';
  expect(configOf(file('method: fullnat, reals: [10.0.0.1]', top)).sourcePool?.ports).toEqual({
    from: 5000,
    to: 5000,
  });
});

const FULLNAT = 'method: fullnat, reals: [10.0.0.1]';
const MIXED = 'method: nat, reals: [10.0.0.1, { address: 10.0.0.2, method: fullnat }]';
const pool = (address: string) => `sourcePool: { addresses: [10.0.0.200, ${address}] }`;
const FULLNAT6 = "method: fullnat, reals: ['fd00::1']";
const pool6 = (address: string) => `sourcePool: { addresses: ['fd00::c8', '${address}'] }`;
const file6 = (service: string, top = "sourcePool: { addresses: ['fd00::c8'] }") =>
  file(service, top).replace('192.0.2.80', "'2001:db8::80'");

test('each service has the sources of its family', () => {
  const top = "sourcePool: { addresses: [10.0.0.200, 'fd00:0::C8'] }";
  for (const text of [file(FULLNAT, top), file6(FULLNAT6, top)]) {
    expect(configOf(text).sourcePool?.addresses).toEqual(['10.0.0.200', 'fd00::c8']);
  }
});

describe('a file is refused', () => {
  test.each([
    ['fullnat without a pool', file(FULLNAT, ''), 'services.web.method: found fullnat without'],
    ['a real of that', file(MIXED, ''), 'services.web.reals[1].method: found fullnat without'],
    ['a source that is a VIP', file(FULLNAT, pool('192.0.2.80')), 'a VIP of service web'],
    ['a source that is a real', file(FULLNAT, pool('10.0.0.1')), 'a real of service web'],
    ['a source twice', file(FULLNAT, pool('10.0.0.200')), '10.0.0.200 a second time'],
    [
      'a source of IPv6 twice, written in two ways',
      file6(FULLNAT6, pool6('FD00:0::c8')),
      'fd00::c8 a second time',
    ],
    ['a source that is a VIP of IPv6', file6(FULLNAT6, pool6('2001:db8::80')), 'a VIP of service'],
    [
      'a source in a prefix of VIPs',
      file6(FULLNAT6, pool6('2001:db8:1::5')).replace('db8::80', 'db8:1::/64'),
      'sourcePool.addresses[1]: found 2001:db8:1::5, a VIP of service web',
    ],
    ['a source that is a real of IPv6', file6(FULLNAT6, pool6('fd00::1')), 'a real of service web'],
    [
      'a sorry server of IPv6 among the sources',
      file6(`sorry: 'fd00::9', ${FULLNAT6}`, pool6('fd00::9')),
      'a real of service web',
    ],
    ['a link-local source', file6(FULLNAT6, pool6('fe80::1')), 'found "fe80::1"'],
    [
      'fullnat of IPv6 without a pool',
      file6(FULLNAT6, ''),
      'at the top of the file: sourcePool: { addresses: [fd00:2::200] }',
    ],
    ['no addresses', file(FULLNAT, 'sourcePool: {}'), 'sourcePool.addresses: found nothing'],
    [
      'a range the wrong way round',
      file(FULLNAT, 'sourcePool: { addresses: [10.0.0.200], ports: 9-8 }'),
      'sourcePool.ports: found "9-8"',
    ],
    [
      'fullnat of IPv6 with a pool of IPv4',
      file6(FULLNAT6, 'sourcePool: { addresses: [10.0.0.200] }'),
      'services.web.method: found fullnat with the IPv6 address 2001:db8::80, and no IPv6 address ' +
        'in sourcePool, allowed fullnat with addresses of the same family to stand for the ' +
        'clients (add one to the sourcePool: addresses: [10.0.0.200, fd00:2::200])',
    ],
    [
      'fullnat of IPv4 with a pool of IPv6',
      file(FULLNAT, "sourcePool: { addresses: ['fd00::c8'] }"),
      'no IPv4 address in sourcePool',
    ],
    ['fullnat of SCTP over IPv6', file6(`protocol: sctp, ${FULLNAT6}`), 'found fullnat for SCTP'],
    [
      'a port alone of the pool',
      file(FULLNAT, 'sourcePool: { addresses: [10.0.0.200], ports: 5000 }'),
      'sourcePool.ports: found 5000, allowed a range from the lower port to the higher one',
    ],
    [
      'any port of the pool',
      file(FULLNAT, 'sourcePool: { addresses: [10.0.0.200], ports: any }'),
      'sourcePool.ports: found "any", allowed a range from the lower port to the higher one',
    ],
    [
      'fewer ports than workers, where one family has fewer addresses too',
      file(
        FULLNAT,
        'workers: 2\n' +
          "sourcePool: { addresses: [10.0.0.200, 10.0.0.201, 'fd00::c8'], ports: 5000-5000 }",
      ),
      'sourcePool.ports: found 5000-5000, which is 1 for 2 workers, allowed at least one port',
    ],
    [
      'fewer ports than workers',
      file(FULLNAT, 'workers: 4\nsourcePool: { addresses: [10.0.0.200], ports: 5000-5002 }'),
      'sourcePool.ports: found 5000-5002, which is 3 for 4 workers, allowed at least one port',
    ],
    [
      'a source that is a sorry server',
      file(`sorry: 10.0.0.9, ${FULLNAT}`, pool('10.0.0.9')),
      'a real of service web',
    ],
    [
      'a sorry server by fullnat without a pool',
      file('sorry: { address: 10.0.0.9, method: fullnat }, method: nat, reals: [10.0.0.1]', ''),
      'services.web.sorry.method: found fullnat without',
    ],
    ['fullnat of SCTP', file(`protocol: sctp, ${FULLNAT}`), 'found fullnat for SCTP'],
    [
      'a method that is none',
      file('method: nat, reals: [{ address: 10.0.0.1, method: fast }]'),
      '',
    ],
    [
      'a DSR real with another port, in a service of NAT',
      file('method: nat, reals: [{ address: 10.0.0.1, port: 8080, method: dsr }]'),
      'services.web.reals[0].port: found 8080, allowed 80',
    ],
  ])('for %s', (_, text, said) => {
    const problems = problemsOf(text);
    expect(problems).toContainEqual(expect.stringContaining(said));
  });
});

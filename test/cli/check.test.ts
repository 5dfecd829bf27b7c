// What `furiwake check` says of new flows, by scheduler: shares where there are any.
import { expect, it } from 'vitest';
import { renderConfig } from '../../src/cli/check.ts';
import { PLAIN } from '../../src/cli/output.ts';
import { parseConfig } from '../../src/config/load.ts';

/** The column NEW FLOWS for reals of the weights 0, 1, 3 and 3. */
function newFlows(scheduler: string): string[] {
  const reals = [0, 1, 3, 3].map(
    (weight, n) => `{ address: 192.0.2.${20 + n}, weight: ${weight} }`,
  );
  const text = `interfaces: [eth0]
services:
  web: { vip: 192.0.2.10, port: 80, method: dsr, scheduler: ${scheduler}, reals: [${reals}] }`;
  const result = parseConfig(text, 'x.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const lines = renderConfig(result.config, PLAIN).split('\n');
  const rows = lines.filter((line) => /192\.0\.2\.2\d:80/.test(line));
  return rows.map((line) => /:80 +\d+ +(.*?) {2}its subnet$/.exec(line)?.[1] ?? line);
}

it.each([
  ['rr', ['none', '33.3 %', '33.3 %', '33.3 %']],
  ['lc', ['none', '33.3 %', '33.3 %', '33.3 %']],
  ['wlc', ['none', '14.3 %', '42.9 %', '42.9 %']],
  ['mh', ['none', '14.3 %', '42.9 %', '42.9 %']],
  ['dh', ['none', 'by VIP', 'by VIP', 'by VIP']],
  ['lblcr', ['none', 'by VIP', 'by VIP', 'by VIP']],
  ['fo', ['none', 'in reserve', 'all', 'in reserve']],
  ['ovf', ['none', 'to 2 active', 'to 4 active', 'to 4 active']],
])('by %s: %j', (scheduler, expected) => {
  expect(newFlows(scheduler)).toEqual(expected);
});

/** The first warning about a configuration with these lines. */
function warningOf(lines: string, interfaces = 'eth0'): string | undefined {
  const service = '{ vip: 192.0.2.1, port: 80, method: dsr, reals: [192.0.2.2] }';
  const result = parseConfig(
    `interfaces: [${interfaces}]\n${lines}\nservices: { web: ${service} }`,
    'x.yaml',
  );
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const text = renderConfig(result.config, PLAIN).replaceAll('\n  ', ' ');
  return /^warning: (.*)$/m.exec(text)?.[1];
}

it('warns of fewer half-open flows than a flood in the ring pushes out', () => {
  expect(warningOf('workers: 1')).toBeUndefined();
  expect(warningOf('workers: 16')).toBeUndefined();
  expect(warningOf('flows: { halfOpenMaximum: 4096 }')).toBeUndefined();
  expect(warningOf('flows: { halfOpenMaximum: 4095 }')).toBe(
    'flows.halfOpenMaximum is 4095, beside ring.slots of 2048: a flood that fills the ring pushes ' +
      'new connections out before their handshake ends. Make it 4096 or more (raise ' +
      'flows.halfOpenMaximum), or the ring smaller',
  );
  expect(warningOf('flows: { maximum: 8192 }\nworkers: 4')).toMatch(
    / is 8192, beside ring\.slots of 2048 of 4 workers: .* 16384 or more \(raise flows\.maximum\)/,
  );
  expect(warningOf('flows: { maximum: 8192 }\nring: { slots: 512 }')).toBeUndefined();
  expect(warningOf('flows: { halfOpenMaximum: 256 }\ndatapath: cap')).toBeUndefined();
  // Each worker has a ring on each interface.
  expect(warningOf('', 'eth0, eth1')).toBeUndefined();
  expect(warningOf('workers: 16', 'eth0, eth1')).toBeUndefined();
  expect(warningOf('flows: { halfOpenMaximum: 8192 }', 'eth0, eth1')).toBeUndefined();
  expect(warningOf('flows: { halfOpenMaximum: 8191 }', 'eth0, eth1')).toMatch(
    / is 8191, beside ring\.slots of 2048 on 2 interfaces: .* 8192 or more/,
  );
  expect(warningOf('flows: { halfOpenMaximum: 8192 }\nworkers: 2', 'eth0, eth1')).toMatch(
    / of 2048 of 2 workers on 2 interfaces: .* 16384 or more/,
  );
});

it('warns of fewer addresses in the source pool than workers', () => {
  const pool = 'sourcePool: { addresses: [10.0.0.8, 10.0.0.9] }';
  expect(warningOf(`${pool}\nworkers: 2`)).toBeUndefined();
  expect(warningOf(`${pool}\nworkers: 3`)).toBe(
    "sourcePool.addresses are 2 of IPv4 for 3 workers: of a real's answer in fragments only the " +
      'first one comes through. Give it 3 addresses, so that each worker has its own, or set ' +
      '"workers: 2"',
  );
});

it('says how much memory Maglev tables take, where it is much', () => {
  const facts = (services: number, hash: string, reals = services) => {
    const lines = Array.from({ length: services }, (_, n) => {
      const vip = `198.18.${n >>> 8}.${n & 255}`;
      const real = `10.0.${(n % reals) >>> 8}.${(n % reals) & 255}`;
      return `  s${n}: { vip: ${vip}, port: 80, method: dsr, hash: ${hash}, reals: [${real}] }`;
    });
    const text = ['interfaces: [eth0]', 'services:', ...lines].join('\n');
    const result = parseConfig(text, 'x.yaml');
    if (!result.ok) throw new Error(JSON.stringify(result.problems[0]));
    return renderConfig(result.config, PLAIN).split('\n')[1];
  };
  expect(facts(600, '{}')).toContain('Maglev tables of 75 MiB in each thread');
  expect(facts(600, '{ slots: 4093 }')).not.toContain('Maglev');
  expect(facts(3, '{}')).not.toContain('Maglev');
  // Services with equal reals share a table.
  expect(facts(600, '{}', 500)).not.toContain('Maglev');
});

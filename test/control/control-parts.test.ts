// Small parts of control: what a reload may change, what the guard is told to drop, and questions
// to a data plane that may be gone before it answers.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createTableBuilder } from '../../src/control/build-table.ts';
import { createFlowQuestions } from '../../src/control/flow-questions.ts';
import { guardRules } from '../../src/control/guard-rules.ts';
import type { ToDataPlane } from '../../src/control/messages.ts';
import { fixedChanges, reloadConfig, reloadWarnings } from '../../src/control/reload.ts';
import { listenForSignals } from '../../src/control/signals.ts';
import type { FlowStatus } from '../../src/control/status.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import { sampleConfig } from './sample-config.ts';

const ARM: Arm = {
  ...{ name: 'eth0', interfaceIndex: 2, macHigh: 0x02000000, macLow: 1, mtu: 1500 },
  ...{ address: parseIpv4('10.1.0.1')!, prefixLength: 16 },
};

describe('signals', () => {
  test('a SIGHUP that comes before anybody can reload is not lost', async () => {
    const signals = listenForSignals();
    try {
      process.emit('SIGHUP');
      const asked: string[] = [];
      signals.onReload(() => void asked.push('reload'));
      expect(asked).toEqual(['reload']);
      process.emit('SIGHUP');
      expect(asked).toEqual(['reload', 'reload']);
    } finally {
      signals.close();
    }
  });
});

describe('reload', () => {
  test('says that clients are dealt out to the workers anew', () => {
    const persisting = (prefix: number) => {
      const config = sampleConfig();
      const persistence = { timeout: 1000, prefix, prefix6: 128 };
      const services = config.services.map((service) => ({ ...service, persistence }));
      return createTableBuilder().build({ ...config, services }, [ARM]).table;
    };
    const plain = createTableBuilder().build(sampleConfig(), [ARM]).table;
    expect(reloadWarnings(2, persisting(32), persisting(24))).toHaveLength(1);
    expect(reloadWarnings(2, plain, persisting(24))).toHaveLength(1);
    expect(reloadWarnings(2, plain, persisting(32))).toEqual([]);
    expect(reloadWarnings(2, persisting(24), persisting(24))).toEqual([]);
    expect(reloadWarnings(1, persisting(32), persisting(24))).toEqual([]);
  });

  test('services may change freely', () => {
    expect(fixedChanges(sampleConfig(), sampleConfig({ services: [], hashSeed: 7 }))).toEqual([]);
  });

  test.each([
    ['interfaces', { interfaces: ['eth9'] }],
    ['datapath', { datapath: 'cap' }],
    ['workers', { workers: 2 }],
    ['guard', { guard: 'off' }],
    ['socket', { socket: '/run/other.sock' }],
    ['ring.slots', { ringSlots: 64 }],
    ['flows.maximum', { maximumFlows: 9 }],
  ] as const)('%s needs a restart', (name, changes) => {
    const [problem, ...others] = fixedChanges(sampleConfig(), sampleConfig(changes));
    expect(others).toEqual([]);
    expect(problem).toContain(`${name} is `);
    expect(problem).toContain('restart');
  });

  test('a file that became wrong is refused with its place in the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'furiwake-reload-'));
    const file = join(folder, 'furiwake.yaml');
    writeFileSync(file, 'interfaces: [eth0]\nservices: 7\n');
    const result = reloadConfig(sampleConfig({ file }));
    rmSync(folder, { recursive: true });
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.problems.join('\n')).toContain(`${file}:2`);
  });
});

test('the guard drops VIPs, and replies of NAT reals that are not for the host itself', () => {
  const local = [
    { address: '127.0.0.0', prefixLength: 8 },
    { address: '127.0.0.1', prefixLength: 32 },
    { address: '10.1.0.1', prefixLength: 32 },
    { address: '10.9.0.0', prefixLength: 16 },
  ];
  expect(guardRules(sampleConfig(), local)).toEqual({
    vips: ['10.1.0.100', '10.1.0.101'],
    replies: [{ address: '10.2.0.11', protocol: 'udp', from: 5353, to: 5353 }],
    own: ['10.1.0.1', '10.9.0.0/16'],
  });
});

test('the guard drops replies of a sorry server by NAT, and what comes to sources of tunnels', () => {
  const [web] = sampleConfig().services;
  const sorry = { ...web!.reals[0]!, address: '10.2.0.99', method: 'nat' } as const;
  const tunnel = { port: 6080, sources: ['172.16.7.0/16', '2001:db8:f::1/64'] };
  const config = sampleConfig({ services: [{ ...web!, sorry }], tunnel });
  expect(guardRules(config, [])).toMatchObject({
    vips: ['10.1.0.100', '172.16.0.0/16', '2001:db8:f::/64'],
    replies: [{ address: '10.2.0.99', protocol: 'tcp', from: 80, to: 80 }],
  });
});

test('the guard names ports once, as ranges that do not overlap', () => {
  const [, dns] = sampleConfig().services;
  const reals = [{ ...dns!.reals[0]!, port: 0 }];
  const nat = (from: number, to: number) => ({ ...dns!, ports: [{ from, to }], reals });
  const services = [nat(8000, 8100), nat(8050, 8200), nat(90, 90), nat(8060, 8060)];
  const { replies } = guardRules(sampleConfig({ services }), []);
  expect(replies.map(({ from, to }) => [from, to])).toEqual([
    [90, 90],
    [8000, 8200],
  ]);
});

describe('questions for flows', () => {
  test('each gets its own answer', async () => {
    const posted: ToDataPlane[] = [];
    const questions = createFlowQuestions((message) => posted.push(message));
    const first = questions.ask(10);
    const second = questions.ask(20);
    expect(posted).toEqual([
      { type: 'flows', request: 1, limit: 10 },
      { type: 'flows', request: 2, limit: 20 },
    ]);
    const flow: FlowStatus = {
      ...{ protocol: 'tcp', client: '10.1.0.2', clientPort: 4000, vip: '10.1.0.100', vipPort: 80 },
      ...{ real: '10.1.0.11', realPort: 80, method: 'dsr', state: 'NEW', expiresInMs: 1 },
    };
    questions.answer(2, [flow]);
    // Two workers with nine each.
    questions.answer(
      1,
      Array.from({ length: 18 }, () => flow),
    );
    expect(await first).toHaveLength(10);
    expect(await second).toEqual([flow]);
  });

  test('all fail when the data plane is gone, and a late answer does no harm', async () => {
    const questions = createFlowQuestions(() => {});
    const question = questions.ask(10);
    questions.abandon();
    await expect(question).rejects.toThrow('does not run');
    questions.answer(1, []);
  });
});

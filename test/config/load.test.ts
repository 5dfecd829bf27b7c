// A good configuration comes whole, with all that its file leaves out; and a file is read, or not.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { GOOD, problemsOf, withLine } from './good-file.ts';

describe('a good configuration', () => {
  it('comes with everything that the file leaves out', () => {
    expect(parseConfig(GOOD.join('\n'), 'f.yaml')).toEqual({
      ok: true,
      config: {
        file: 'f.yaml',
        interfaces: ['eth0', 'eth1'],
        datapath: 'ring',
        workers: 1,
        guard: 'auto',
        socket: '/run/furiwake.sock',
        ringSlots: 2048,
        maximumFlows: 262_144,
        maximumHalfOpen: 65_536,
        hashSeed: 0,
        services: [
          {
            name: 'web',
            vips: ['192.0.2.10'],
            ports: [{ from: 80, to: 80 }],
            protocols: ['tcp'],
            method: 'dsr',
            scheduler: 'maglev',
            hash: { port: true, fallback: true, slots: 65_537 },
            reals: [
              {
                name: '192.0.2.21:80',
                address: '192.0.2.21',
                port: 80,
                weight: 1,
                method: 'dsr',
                interface: undefined,
              },
              {
                name: 'r2',
                address: '192.0.2.22',
                port: 80,
                weight: 2,
                method: 'dsr',
                interface: undefined,
              },
            ],
          },
          {
            name: 'dns',
            vips: ['192.0.2.53'],
            ports: [{ from: 53, to: 53 }],
            protocols: ['udp'],
            method: 'nat',
            scheduler: 'maglev',
            hash: { port: true, fallback: true, slots: 65_537 },
            reals: [
              {
                name: '198.51.100.11:5353',
                address: '198.51.100.11',
                port: 5353,
                weight: 1,
                method: 'nat',
                interface: 'eth1',
              },
            ],
          },
        ],
      },
    });
  });

  it.each([
    ['maglev', '', 'maglev', { port: true, fallback: true }],
    ['mh', 'hash: { port: false }', 'maglev', { port: false, fallback: true }],
    ['sh', '', 'sh', { port: false, fallback: true }],
    ['sh', 'hash: { port: true, fallback: false }', 'sh', { port: true, fallback: false }],
    ['dh', '', 'dh', { fallback: true }],
    ['rendezvous', 'hash: {}', 'rendezvous', { port: true }],
    ['wlc', '', 'wlc', {}],
    ['twos', 'hash: {}', 'twos', {}],
  ])('has scheduler %s, flags: %s', (name, flags, scheduler, hash) => {
    const text = withLine(8, `    scheduler: ${name}`, `    ${flags}`);
    expect(parseConfig(text, 'f.yaml')).toMatchObject({
      ok: true,
      config: { services: [{ scheduler, hash }, {}] },
    });
  });

  it('keeps what the file says', () => {
    const text = withLine(
      2,
      'datapath: cap',
      'guard: off',
      'socket: /tmp/f.sock',
      'ring: { slots: 64 }',
      'flows: { maximum: 1024, halfOpenMaximum: 1000 }',
      'hashSeed: 4294967295',
    );
    expect(parseConfig(text, 'f.yaml')).toMatchObject({
      ok: true,
      config: {
        datapath: 'cap',
        guard: 'off',
        socket: '/tmp/f.sock',
        ringSlots: 64,
        maximumFlows: 1024,
        maximumHalfOpen: 1000,
        hashSeed: 4_294_967_295,
      },
    });
  });

  it.each([
    ['the same VIP and port for TCP and UDP', withLine(13, '    vip: 192.0.2.10')],
    ['a weight of 0', withLine(11, '      - { address: 192.0.2.22, weight: 0 }')],
    [
      'the port of the service at a DSR real',
      withLine(11, '      - { address: 1.2.3.4, port: 80 }'),
    ],
    [
      'one address with two ports',
      withLine(17, '    reals: [1.2.3.4, { address: 1.2.3.4, port: 5 }]'),
    ],
    [
      'an anchor and its alias',
      `${withLine(5, '    vip: &vip 192.0.2.10')}\n`.replace('192.0.2.53', '*vip'),
    ],
  ])('may have %s', (_, text) => {
    expect(problemsOf(text)).toEqual([]);
  });
});

describe('loadConfig', () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-config-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it('reads a file', () => {
    const file = join(directory, 'good.yaml');
    writeFileSync(file, GOOD.join('\n'));
    expect(loadConfig(file)).toMatchObject({ ok: true, config: { file } });
  });

  it.each([
    ['no such file', 'missing.yaml'],
    ['a directory', '.'],
  ])('tells of %s', (found, name) => {
    const file = join(directory, name);
    expect(refusal(file)).toEqual([
      `${file}: found ${found}, allowed a YAML file that you may read ` +
        '(furiwake check --example prints one to start from)',
    ]);
  });

  it('gives up what never ends: a device, or a file that is no configuration', () => {
    expect(refusal('/dev/zero')).toEqual([expect.stringMatching(/^\/dev\/zero: found a device,/)]);
    const large = join(directory, 'large');
    writeFileSync(large, '');
    truncateSync(large, 17 * 2 ** 20);
    expect(refusal(large)).toEqual([expect.stringContaining('found more than 16 MiB, allowed')]);
  });

  it('reads a pipe to its end', () => {
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    // Comes in two parts.
    const write = '(echo "$1"; sleep 0.2; echo "$2") > "$0"';
    const parts = [GOOD.slice(0, 5).join('\n'), GOOD.slice(5).join('\n')];
    const writer = spawn('sh', ['-c', write, pipe, ...parts], { stdio: 'ignore' });
    expect(loadConfig(pipe)).toMatchObject({ ok: true, config: { file: pipe } });
    writer.unref();
  });
});

function refusal(file: string): string[] {
  const result = loadConfig(file);
  return result.ok ? [] : result.problems.map(formatProblem);
}

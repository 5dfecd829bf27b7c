// The program as it is started: exit codes, and which stream says what. Needs the build in dist/,
// which `npm test` makes first.
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLE_CONFIG } from '../../src/cli/example.ts';
import { type ApiServer, serveApi } from '../../src/control/api.ts';
import type { FlowStatus } from '../../src/control/status.ts';
import { BUSY_STATUS } from './statuses.ts';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'furiwake-cli-'));
const file = (name: string) => join(directory, name);
afterAll(() => rmSync(directory, { recursive: true }));

const furiwake = (...words: string[]): SpawnSyncReturns<string> =>
  spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8', cwd: directory });

/** As `furiwake`, but lets this process go on serving meanwhile. */
function furiwakeAsync(...words: string[]): Promise<{ status: number | null; stdout: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, ...words], { cwd: directory });
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.on('close', (status) => resolve({ status, stdout }));
  });
}

describe('furiwake', () => {
  it('prints its version', () => {
    const { version } = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    );
    expect(furiwake('--version')).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('helps on request, in plain text where there is no terminal', () => {
    const help = furiwake('--help');
    expect(help).toMatchObject({ status: 0, stderr: '' });
    for (const words of ['run', 'check', 'status', 'schedulers', 'lab', 'check --example'])
      expect(help.stdout).toContain(words);
    expect(help.stdout).not.toContain('\x1b');
    expect(furiwake('help').stdout).toBe(help.stdout);
  });

  it.each(['run', 'check', 'status', 'schedulers'])('helps with %s', (command) => {
    const help = furiwake(command, '--help');
    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout).toMatch(/Examples:\n {2}furiwake/);
    expect(help.stdout).toMatch(/Exit codes: 0 /);
    expect(help.stdout).toContain('--json');
    expect(furiwake('help', command).stdout).toBe(help.stdout);
  });

  it.each([
    [[], 'Usage: furiwake'],
    [['chekc'], "error: unknown command 'chekc'\n(Did you mean check?)"],
    [['--colour'], "error: unknown option '--colour'"],
    [['check', '--jsn'], "error: unknown option '--jsn'\n(Did you mean --json?)"],
    [['check', 'file.yaml'], 'error: too many arguments'],
    [['run'], "error: required option '-c, --config <file>' not specified"],
    [['status', '--flows', '0'], 'Allowed: a whole number from 1 to 100000.'],
    [['schedulers', '--reals', '1'], 'Allowed: a whole number from 2 to 1000.'],
    [['schedulers', '--flows', 'many'], 'Allowed: a whole number from 1000 to 1000000.'],
    [['status', '-s', 'a', '-c', 'b'], 'found both --socket and --config, allowed one of them'],
  ])('refuses %j as wrong use', (words, message) => {
    const result = furiwake(...words);
    expect(result).toMatchObject({ status: 2, stdout: '' });
    expect(result.stderr).toContain(message);
  });
});

const MEANING = `good: furiwake.yaml has 4 services with 9 reals, on eth0, eth1
datapath ring (2,048 slots an interface), guard auto, 262,144 flows at most, socket /run/furiwake.sock

REAL     ADDRESS             WEIGHT  NEW FLOWS  BY
web  tcp 192.0.2.10:80  dsr  maglev
  -      192.0.2.21:80            1     33.3 %  its subnet
  web-2  192.0.2.22:80            2     66.7 %  its subnet
  web-3  192.0.2.23:80            0       none  its subnet
web6  tcp [2001:db8::10]:80  dsr  maglev
  -      [2001:db8::21]:80        1     50.0 %  its subnet
  -      [2001:db8::22]:80        1     50.0 %  its subnet
dns  udp 192.0.2.53:53  nat  sh
  -      198.51.100.11:5353       1     33.3 %  eth1
  -      198.51.100.12:5353       1     33.3 %  eth1
  -      198.51.100.13:5353       1     33.3 %  eth1, fullnat
far  tcp 192.0.2.11:443  gue  maglev
  -      203.0.113.21:443         1    100.0 %  198.51.100.1
`;

describe('furiwake check', () => {
  const bad = 'interfaces: [eth0]\nservices:\n\tweb:\n';
  const twice = 'interfaces: []\nservices: {}\n';
  beforeAll(() => {
    writeFileSync(file('furiwake.yaml'), EXAMPLE_CONFIG);
    writeFileSync(file('bad.yaml'), bad);
    writeFileSync(file('twice.yaml'), twice);
  });

  it('shows what a good file means', () => {
    const result = furiwake('check');
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(result.stdout).toBe(MEANING);
  });

  it('prints a good file as JSON', () => {
    const result = furiwake('check', '--json', '--config', 'furiwake.yaml');
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject({
      ok: true,
      config: {
        file: 'furiwake.yaml',
        services: [{ name: 'web' }, { name: 'web6' }, { name: 'dns' }, { name: 'far' }],
      },
    });
  });

  it('prints the example and the schema', () => {
    expect(furiwake('check', '--example')).toMatchObject({ status: 0, stdout: EXAMPLE_CONFIG });
    const schema = furiwake('check', '--schema');
    expect(schema).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(schema.stdout)).toMatchObject({ required: ['interfaces', 'services'] });
  });

  it.each([
    ['bad.yaml', 'furiwake: bad.yaml:3:1: found a tab in the indentation, allowed spaces only\n'],
    [
      'twice.yaml',
      'furiwake: twice.yaml has 2 problems:\n' +
        '  twice.yaml:1:13 interfaces: found an empty list, ' +
        'allowed a list of 1 to 8 interface names\n' +
        '  twice.yaml:2:11 services: found an empty mapping, ' +
        'allowed a mapping of at least one service, by name\n',
    ],
    [
      'missing.yaml',
      'furiwake: missing.yaml: found no such file, allowed a YAML file that you may read ' +
        '(furiwake check --example prints one to start from)\n',
    ],
  ])('tells what is wrong with %s, and so do run and status', (name, stderr) => {
    const refusal = { status: 2, stdout: '', stderr };
    expect(furiwake('check', '--config', name)).toMatchObject(refusal);
    expect(furiwake('run', '--config', name)).toMatchObject(refusal);
    expect(furiwake('status', '--config', name)).toMatchObject(refusal);
  });

  it('prints problems as JSON', () => {
    const result = furiwake('check', '--json', '-c', 'bad.yaml');
    expect(result).toMatchObject({ status: 2, stderr: '' });
    expect(JSON.parse(result.stdout)).toEqual({
      ok: false,
      problems: [
        {
          file: 'bad.yaml',
          line: 3,
          column: 1,
          path: '',
          found: 'a tab in the indentation',
          allowed: 'spaces only',
        },
      ],
    });
  });
});

describe('furiwake status', () => {
  const flow: FlowStatus = {
    protocol: 'tcp',
    client: '203.0.113.5',
    clientPort: 40_000,
    vip: '192.0.2.10',
    vipPort: 80,
    real: '192.0.2.21',
    realPort: 80,
    method: 'dsr',
    state: 'established',
    expiresInMs: 1000,
  };
  const socket = file('director.sock');
  let server: ApiServer;
  beforeAll(async () => {
    server = await serveApi({
      socket,
      status: () => BUSY_STATUS,
      flows: async (limit) => new Array<FlowStatus>(limit).fill(flow),
    });
  });
  afterAll(() => server.close());

  it('shows a running director, without colours where there is no terminal', async () => {
    const { status, stdout } = await furiwakeAsync('status', '--socket', socket);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^furiwake 0\.1\.0 {2}up 2 h 13 min/);
    expect(stdout).not.toContain('\x1b');
    expect(stdout).not.toContain('FLOWS');
  });

  it('takes the socket from the configuration', async () => {
    const text = EXAMPLE_CONFIG.replace('/run/furiwake.sock ', `${socket} `);
    writeFileSync(file('status.yaml'), text);
    const { status, stdout } = await furiwakeAsync('status', '-c', 'status.yaml', '--flows', '3');
    expect(status).toBe(0);
    expect(stdout).toContain('FLOWS 3 of 123');
  });

  it('prints JSON', async () => {
    const plain = await furiwakeAsync('status', '--socket', socket, '--json');
    expect(JSON.parse(plain.stdout)).toEqual(BUSY_STATUS);
    const withFlows = await furiwakeAsync('status', '--socket', socket, '--json', '--flows', '2');
    expect(JSON.parse(withFlows.stdout)).toEqual({ ...BUSY_STATUS, flows: [flow, flow] });
  });

  it('fails where no director runs', () => {
    expect(furiwake('status', '--socket', file('none.sock'))).toMatchObject({
      status: 1,
      stdout: '',
      stderr:
        `furiwake: no director runs at ${file('none.sock')} (there is no such socket); ` +
        'start one with furiwake run, or name the socket of the one that runs\n',
    });
  });
});

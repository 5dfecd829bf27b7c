// `furiwake run` for real, in a namespace: it starts and says so, refuses what it must with exit
// code 2, reloads, outlives its link and its interface, and leaves nothing behind however it ends.
// Runs the build, because worker threads and child processes need JavaScript files.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchStatus } from '../../src/control/api.ts';
import { makeNamespace, type Namespace, whyNoNamespace } from '../linux/namespace.ts';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const reason = existsSync(MAIN) ? whyNoNamespace() : 'skipped: not built, run "npm run build"';

interface Run {
  readonly child: ChildProcess;
  /** All output so far. */
  output(): string;
  /** Waits for a text in the output; fails if the director ends without it. */
  sees(text: string | RegExp): Promise<void>;
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

describe.skipIf(reason !== undefined)(`the director in a namespace ${reason ?? ''}`, () => {
  let space: Namespace;
  let folder: string;
  let file: string;
  let socket: string;
  const runs: Run[] = [];

  beforeEach(() => {
    space = makeNamespace();
    folder = mkdtempSync(join(tmpdir(), 'furiwake-daemon-'));
    file = join(folder, 'furiwake.yaml');
    socket = join(folder, 'api.sock');
    writeConfig({});
  });
  afterEach(async () => {
    for (const { child, ended } of runs.splice(0)) {
      child.kill('SIGKILL');
      await ended;
    }
    space.remove();
    rmSync(folder, { recursive: true });
  });

  function writeConfig(changes: {
    vip?: string;
    head?: string;
    interface?: string;
    socket?: string;
    scheduler?: string;
  }): void {
    const { vip = '10.1.0.100', head = '', interface: name = 'eth0' } = changes;
    writeFileSync(
      file,
      `interfaces: [${name}]
socket: ${changes.socket ?? socket}
${head}
services:
  web:
    vip: ${vip}
    port: 80
    protocol: tcp
    method: dsr
    scheduler: ${changes.scheduler ?? 'rr'}
    reals: [10.1.0.11]
`,
    );
  }

  function run(...words: string[]): Run {
    const command = ['netns', 'exec', space.name, process.execPath, MAIN, 'run', '--config', file];
    const child = spawn('ip', [...command, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const take = (text: string) => {
      output += text;
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    const ended = new Promise<number | string>((resolve) =>
      child.once('close', (code, signal) => resolve(code ?? signal ?? '')),
    );
    const sees = async (text: string | RegExp) => {
      const found = () => (typeof text === 'string' ? output.includes(text) : text.test(output));
      await until(() => found() || child.exitCode !== null);
      if (!found()) throw new Error(`no ${text} in:\n${output}`);
    };
    const made = { child, output: () => output, sees, ended };
    runs.push(made);
    return made;
  }

  const ruleset = () => space.run('nft', 'list', 'ruleset');

  async function refused(expected: string | RegExp): Promise<void> {
    const before = ruleset();
    const attempt = run();
    expect(await attempt.ended).toBe(2);
    expect(attempt.output()).toMatch(expected);
    expect(ruleset()).toBe(before);
  }

  test('starts, answers, and leaves nothing behind after SIGTERM', async () => {
    const director = run();
    await director.sees('furiwake status');
    expect(director.output()).toContain('web: tcp 10.1.0.100:80 by dsr');
    expect(ruleset()).toContain('table netdev furiwake_eth0');
    const status = await fetchStatus(socket);
    expect(status).toMatchObject({ pid: director.child.pid, datapath: 'ring', guard: 'nft' });
    expect(status.arms).toMatchObject([{ name: 'eth0', address: '10.1.0.1/24', link: 'up' }]);
    director.child.kill('SIGTERM');
    expect(await director.ended).toBe(0);
    expect(director.output()).toContain('furiwake stopped after');
    expect(ruleset()).toBe('');
    expect(existsSync(socket)).toBe(false);
  });

  test('with --json, each line is an object, and the last is the summary', async () => {
    const director = run('--json');
    await director.sees('"event":"started"');
    director.child.kill('SIGINT');
    expect(await director.ended).toBe(0);
    const lines = director.output().trim().split('\n');
    const objects = lines.map((line) => JSON.parse(line) as { event: string; status?: object });
    expect(objects[0]).toMatchObject({ event: 'started', status: { guard: 'nft' } });
    expect(objects.at(-1)).toMatchObject({ event: 'summary', status: { datapath: 'ring' } });
  });

  test('leaves no guard after SIGKILL, and another director can start at once', async () => {
    const killed = run();
    await killed.sees('furiwake status');
    killed.child.kill('SIGKILL');
    await killed.ended;
    await until(() => ruleset() === '');
    const next = run();
    await next.sees('furiwake status');
    next.child.kill('SIGTERM');
    expect(await next.ended).toBe(0);
  });

  test('refuses what is wrong, with exit code 2 and nothing left', async () => {
    writeConfig({ interface: 'eth7' });
    await refused(/no interface eth7; there are: eth0, lo, peer0/);
    writeConfig({ interface: 'lo' });
    await refused(/lo is a loopback interface/);
    writeConfig({ vip: '10.1.0.1' });
    await refused(/the VIP 10\.1\.0\.1 is an address of this host/);
    writeConfig({ socket: join(folder, 'no-such-folder', 'api.sock') });
    await refused(/its directory does not exist/);
    writeConfig({ head: 'guard: off' });
    space.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    await refused(/eth0 forwards IPv4 packets/);
    expect(existsSync(socket)).toBe(false);
  });

  test('refuses an interface that another director works on', async () => {
    const first = run();
    await first.sees('furiwake status');
    writeConfig({ socket: join(folder, 'second.sock') });
    await refused(/guard table furiwake_eth0 is already there: another director works on eth0/);
    expect(await fetchStatus(socket)).toMatchObject({ pid: first.child.pid });
  });

  test('reloads what it can and says what it cannot', async () => {
    const director = run();
    await director.sees('furiwake status');
    writeConfig({ vip: '10.1.0.200', scheduler: 'sh' });
    director.child.kill('SIGHUP');
    await director.sees('reloaded');
    expect(ruleset()).toContain('10.1.0.200');
    expect((await fetchStatus(socket)).services).toMatchObject([
      { vips: ['10.1.0.200'], scheduler: 'sh', hash: { port: false, fallback: true } },
    ]);
    writeConfig({ vip: '10.1.0.300' });
    director.child.kill('SIGHUP');
    await director.sees(/not reloaded.*vip: found "10\.1\.0\.300"/);
    writeConfig({ head: 'datapath: cap' });
    director.child.kill('SIGHUP');
    await director.sees(/not reloaded.*datapath is "ring"/);
    expect((await fetchStatus(socket)).services[0]?.vips).toEqual(['10.1.0.200']);
  });

  test('warns of what a reload brings, and only once', async () => {
    writeConfig({ head: 'workers: 2' });
    const director = run();
    await director.sees('furiwake status');
    writeConfig({ head: 'workers: 2\nsourcePool: { addresses: [10.1.0.201] }' });
    for (const times of [1, 2]) {
      director.child.kill('SIGHUP');
      await director.sees(new RegExp(`(reloaded[^]*){${times}}`));
    }
    await director.sees('are 1 of IPv4 for 2 workers');
    expect(director.output().split('are 1 of IPv4 for 2 workers').length).toBe(2);
  });

  test('refuses a reload that only addresses since the start would allow, and goes on', async () => {
    const director = run();
    await director.sees('furiwake status');
    space.run('ip', 'address', 'delete', '10.1.0.1/24', 'dev', 'eth0');
    space.run('ip', 'address', 'add', '10.9.0.1/24', 'dev', 'eth0');
    const real = '{ address: 10.7.0.11, gateway: 10.9.0.9 }';
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('dsr', 'nat').replace('[10.1.0.11]', `[${real}]`));
    director.child.kill('SIGHUP');
    await director.sees(/not reloaded.*no interface leads to 10\.7\.0\.11; addresses of an/);
    expect((await fetchStatus(socket)).services[0]?.reals[0]?.address).toBe('10.1.0.11');
    director.child.kill('SIGTERM');
    expect(await director.ended).toBe(0);
  });

  test.each(['ring', 'tc', 'cap'])('%s outlives its link', async (datapath) => {
    writeConfig({ head: `datapath: ${datapath}` });
    const director = run();
    await director.sees('furiwake status');
    space.run('ip', 'link', 'set', 'eth0', 'down');
    await director.sees('eth0 is down');
    space.run('ip', 'link', 'set', 'eth0', 'up');
    await director.sees('eth0 is up again');
    if (datapath === 'cap') await director.sees('the data plane works again');
    director.child.kill('SIGTERM');
    expect(await director.ended).toBe(0);
  });

  test.each(['ring', 'tc', 'cap'])('%s outlives its interface', async (datapath) => {
    writeConfig({ head: `datapath: ${datapath}` });
    const director = run();
    await director.sees('furiwake status');
    space.run('ip', 'link', 'delete', 'eth0');
    await director.sees('eth0 is gone');
    space.run('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'peer0');
    space.run('ip', 'address', 'add', '10.1.0.1/24', 'dev', 'eth0');
    space.run('ip', 'link', 'set', 'peer0', 'up');
    space.run('ip', 'link', 'set', 'eth0', 'up');
    await director.sees('the data plane works again');
    expect(ruleset()).toContain('device "eth0"');
    director.child.kill('SIGTERM');
    expect(await director.ended).toBe(0);
    expect(ruleset()).toBe('');
  });

  test('stops while it waits for an interface', async () => {
    const director = run();
    await director.sees('furiwake status');
    space.run('ip', 'link', 'delete', 'eth0');
    await director.sees('no interface eth0');
    director.child.kill('SIGTERM');
    expect(await director.ended).toBe(0);
    expect(ruleset()).toBe('');
  });
});

/** Waits for a condition; the test's own time limit ends it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 20));
}

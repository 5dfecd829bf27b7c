// The commands of `furiwake lab`, run from the build as a user runs them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { Listing } from '../../lab/commands/list.ts';
import { type Output, run } from '../../lab/net/command.ts';
import { whyNoLab } from '../../lab/requirements.ts';
import { until } from '../../lab/wait.ts';
import { remainsOf } from './remains.ts';

const reason = whyNoLab();
const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

const furiwake = (...argv: string[]): Promise<Output> =>
  run([process.execPath, main, ...argv], { onFailure: 'return' });

interface Up {
  readonly child: ChildProcess;
  readonly id: string;
  readonly said: () => string;
}

describe.skipIf(reason !== undefined)(`furiwake lab${reason ? `: ${reason}` : ''}`, () => {
  const children: ChildProcess[] = [];

  async function up(...argv: string[]): Promise<Up> {
    const child = spawn(process.execPath, [main, 'lab', 'up', ...argv]);
    children.push(child);
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.stderr.on('data', (chunk) => {
      text += chunk;
    });
    const giveUp = () => (child.exitCode === null ? undefined : `it ended: ${text}`);
    const options = { timeoutMs: 30_000, giveUp };
    const found = await until('the lab to be up', () => /^(fw\S+) is up/m.exec(text), options);
    return { child, id: found[1]!, said: () => text };
  }

  async function listed(id: string) {
    const listing = JSON.parse((await furiwake('lab', 'list', '--json')).stdout) as Listing;
    return listing.labs.find((lab) => lab.id === id);
  }

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  });

  it('up draws and explains, list shows, shell enters, down ends', async () => {
    const { child, id, said } = await up('nat', '--no-director');
    expect(said()).toContain('┌ director ─');
    expect(said()).toContain('lab shell client curl -i http://198.51.100.100/');
    expect(said()).not.toContain('\u001b');
    const lab = (await listed(id))!;
    expect(lab).toMatchObject({ owner: 'alive', title: 'nat', ownerPid: child.pid });
    expect((await furiwake('lab', 'list')).stdout).toContain(
      `${id}  nat  owner ${child.pid} alive`,
    );

    const address = ['ip', '-br', 'address', 'show', 'eth0'];
    const inside = await furiwake('lab', 'shell', '--lab', id, 'r2', ...address);
    expect(inside.stdout).toMatch(/eth0@\S+ +UP +10\.77\.0\.12\/24/);
    const failing = await furiwake('lab', 'shell', '--lab', id, 'r2', 'sh', '-c', 'exit 5');
    expect(failing.exitCode).toBe(5);

    const ended = once(child, 'exit');
    expect(await furiwake('lab', 'down', id)).toMatchObject({
      exitCode: 0,
      stdout: `${id}: ended\n`,
    });
    expect(await ended).toEqual([0, null]);
    expect(remainsOf({ id, directory: lab.directory, pids: [] })).toEqual([]);
  });

  it('ends a lab with exit code 0 on Ctrl-C', async () => {
    const { child, id } = await up('dsr', '--no-director', '--break', 'no-vip-on-lo');
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await listed(id)).toBeUndefined();
  });

  it('shows an orphan as such, and down sweeps it', async () => {
    const { child, id } = await up('dsr', '--no-director');
    const { directory } = (await listed(id))!;
    // The sweeper first, or else there would be no orphan.
    process.kill(sweeperOf(id), 'SIGKILL');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await listed(id)).toMatchObject({ owner: 'dead' });
    expect((await furiwake('lab', 'list')).stdout).toContain('furiwake lab down removes');
    const shell = await furiwake('lab', 'shell', '--lab', id, 'client', 'true');
    expect(shell.exitCode).toBe(2);
    const down = await furiwake('lab', 'down', id);
    expect(down).toMatchObject({ exitCode: 0, stdout: `${id}: swept what its dead owner left\n` });
    expect(remainsOf({ id, directory, pids: [] })).toEqual([]);
  });

  it('refuses wrong use with exit code 2 and says what is allowed', async () => {
    const topology = await furiwake('lab', 'up', 'ring');
    expect(topology).toMatchObject({ exitCode: 2 });
    expect(topology.stderr).toContain('dsr, nat');
    const wrongBreak = await furiwake('lab', 'up', 'nat', '--break', 'arp-real');
    expect(wrongBreak).toMatchObject({ exitCode: 2 });
    expect(wrongBreak.stderr).toContain(
      '--break: found arp-real; topology nat allows no-return-route, real-dead, bad-checksum',
    );
    const mistyped = await furiwake('lab', 'lst');
    expect(mistyped).toMatchObject({ exitCode: 2 });
    expect(mistyped.stderr).toContain(
      'allowed: demo, verify, throughput, compare, soak, report, up, shell, list, down',
    );
    const nothing = await furiwake('lab', 'verify');
    expect(nothing).toMatchObject({ exitCode: 2 });
    expect(nothing.stderr).toContain(
      'either a topology (dsr, nat, dsr6, nat6, fullnat, fullnat6, ipip, gue, ipip6, gue6) or --from',
    );
    const { id } = await up('dsr', '--no-director');
    const host = await furiwake('lab', 'shell', '--lab', id, 'r9');
    expect(host).toMatchObject({ exitCode: 2 });
    expect(host.stderr).toContain('found host r9');
    expect((await furiwake('lab', 'down', 'fw1-1')).exitCode).toBe(2);
  });

  it('names the package of a missing program, with exit code 2', async () => {
    const argv = [process.execPath, main, 'lab', 'up', 'dsr'];
    // An empty /usr/sbin, where nginx is, in a mount namespace that ends with the command.
    const hide = 'mount -t tmpfs none /usr/sbin && exec "$@"';
    const output = await run(['unshare', '-m', 'sh', '-c', hide, 'sh', ...argv], {
      onFailure: 'return',
    });
    expect(output.exitCode).toBe(2);
    expect(output.stderr).toMatch(/not installed here; run: apt-get install .*nginx-light/);
  });

  it('says that it needs root, with exit code 2', async () => {
    const argv = ['setpriv', '--reuid=65534', '--clear-groups', process.execPath, main];
    const output = await run([...argv, 'lab', 'up', 'dsr'], { onFailure: 'return' });
    expect(output.exitCode).toBe(2);
    expect(output.stderr).toContain('the lab needs root');
  });
});

/** The pid of a lab's sweeper, which carries the id in its command line. */
function sweeperOf(id: string): number {
  const pid = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return words.includes('furiwake-lab-sweeper') && words.includes(id);
    } catch {
      return false;
    }
  });
  return Number(pid);
}

// `furiwake decap` used wrongly: what it says, and its exit code. Its work is in test/lab/tunnel.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rawSocketProblem } from '../../src/linux/raw-socket-unsafe.ts';

const MAIN = join(import.meta.dirname, '../../dist/src/cli/main.js');

function decap(...argv: string[]) {
  const run = spawnSync(process.execPath, [MAIN, 'decap', ...argv], { encoding: 'utf8' });
  return { status: run.status, said: run.stderr };
}

test.each([
  [[], "required option '--vip <address...>' not specified"],
  [['--vip', 'here'], 'allowed: an address, such as 192.0.2.10 or 2001:db8::10'],
  [['--vip', '192.0.2.10', '--port', '0'], 'allowed: a whole number from 1 to 65535'],
])('%j', (argv, expected) => {
  const { status, said } = decap(...argv);
  expect(status).toBe(2);
  expect(said).toContain(expected);
});

test('a VIP that this host has not', () => {
  const { status, said } = decap('--vip', '192.0.2.10');
  expect(status).toBe(2);
  expect(said).toContain(
    'the VIP 192.0.2.10 is no address of this host, so nobody here would take its packets: ' +
      'ip address add 192.0.2.10/32 dev lo',
  );
});

test('nor one of IPv6', () => {
  const { status, said } = decap('--vip', '2001:DB8::10');
  expect(status).toBe(2);
  expect(said).toContain('ip address add 2001:db8::10/128 dev lo');
});

test.skipIf(rawSocketProblem() !== undefined)('without CAP_NET_RAW', () => {
  const bare = ['--clear-groups', '--reuid=65534', '--regid=65534', '--bounding-set=-all'];
  // The host has all of 127.0.0.0/8, though only the first address of it is on an interface.
  const vips = ['--vip', '127.0.0.1', '--vip', '127.3.4.5', '--vip', '::1'];
  const argv = [...bare, process.execPath, MAIN, 'decap', ...vips];
  const { status, stderr } = spawnSync('setpriv', argv, { encoding: 'utf8' });
  expect(stderr).toContain('CAP_NET_RAW is missing: decap opens raw sockets');
  expect(stderr).not.toContain('is no address of this host');
  expect(status).toBe(2);
});

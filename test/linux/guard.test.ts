// The guard for real, in a namespace: rules present, drops and lets through what it should, refuses
// a second owner, and vanishes with its owner even when that is killed.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { guardRules } from '../../src/control/guard-rules.ts';
import { type GuardResult, guardTable, installGuard } from '../../src/linux/guard.ts';
import { sampleConfig } from '../control/sample-config.ts';
import { makeNamespace, type Namespace, whyNoNamespace } from './namespace.ts';

const RULES = {
  vips: ['10.9.9.9', '10.9.9.10', '10.9.9.9'],
  replies: [{ address: '10.1.0.11', protocol: 'tcp', from: 80, to: 80 }],
  own: ['10.1.0.1', '127.0.0.1'],
} as const;

const reason = whyNoNamespace();

test('a table is named after its interface, in letters that nft takes', () => {
  expect(guardTable('eth0')).toBe('furiwake_eth0');
  expect(guardTable('eth0.100')).toBe('furiwake_eth0.100');
  expect(guardTable('a:b@c')).toBe('furiwake_a_b_c');
});

test('without nft, the answer says how to get it', async () => {
  const result = await installGuard({
    interfaces: ['eth0'],
    rules: RULES,
    onLost: () => {},
    command: ['/nonexistent/nft'],
  });
  expect(result).toMatchObject({ ok: false });
  if (!result.ok) expect(result.problem).toContain('apt-get install nftables');
});

/** What comes of a guard whose nft complains of the first line, in these words, before it ends. */
function installWith(complaint: string): Promise<GuardResult> {
  const end = 'echo "Error: syntax error"; echo "$line"';
  const say = `printf '%b\\n' "${complaint}"`;
  const play = `read -r line; sleep 0.1; ${say}; read -r line; ${end}; read -r line`;
  const command = ['sh', '-c', `{ ${play}; } >&2`, 'sh'];
  return installGuard({ interfaces: ['eth0'], rules: RULES, onLost: () => {}, command });
}

// What nft 1.0.6 says in a user namespace that does not own its network namespace.
const NO_CACHE = 'netlink: Error: cache initialization failed: ';

test('without the right to look at the rules, the answer says which power that is', async () => {
  const result = await installWith(`${NO_CACHE}Operation not permitted`);
  expect(result).toEqual({ ok: false, problem: expect.stringContaining('CAP_NET_ADMIN') });
});

test('what else keeps nft from the rules is told in its own words', async () => {
  const result = await installWith(`${NO_CACHE}Protocol error\nError: of the line`);
  const problem = `the guard on eth0 cannot be installed: ${NO_CACHE}Protocol error; of the line`;
  expect(result).toEqual({ ok: false, problem });
});

describe.skipIf(reason !== undefined)(`guard in a namespace ${reason ?? ''}`, () => {
  let space: Namespace;
  let lost = 0;
  const results: GuardResult[] = [];

  beforeEach(() => {
    space = makeNamespace();
    lost = 0;
  });
  afterEach(async () => {
    for (const result of results.splice(0)) if (result.ok) await result.guard.remove();
    space.remove();
  });

  async function install(interfaces: string[]): Promise<GuardResult> {
    const result = await installGuard({
      interfaces,
      rules: RULES,
      onLost: () => {
        lost += 1;
      },
      command: ['ip', 'netns', 'exec', space.name, 'nft'],
    });
    results.push(result);
    return result;
  }
  const ruleset = () => space.run('nft', 'list', 'ruleset');

  test('holds one table an interface, with the VIPs and the replies', async () => {
    expect((await install(['eth0', 'peer0'])).ok).toBe(true);
    expect(ruleset().match(/flags owner/g)).toHaveLength(2);
    const table = space.run('nft', 'list', 'table', 'netdev', 'furiwake_eth0');
    expect(table).toContain('hook ingress device "eth0"');
    expect(table).toContain('ip daddr { 10.9.9.9, 10.9.9.10 } drop');
    expect(table).toContain('arp daddr ip { 10.9.9.9, 10.9.9.10 } drop');
    expect(table).toContain('10.1.0.11 . tcp . 80');
    expect(table).toContain('ip daddr != { 10.1.0.1, 127.0.0.1 } drop');
  });

  test('holds rules of IPv6 beside those of IPv4', async () => {
    const result = await install(['eth0']);
    if (!result.ok) throw new Error(result.problem);
    const rules = {
      vips: ['10.9.9.9', '2001:db8::10', '2001:db8:0:1::'],
      replies: [{ address: 'fd00::11', protocol: 'udp', from: 53, to: 53 }],
      own: ['10.1.0.1', 'fd00::1', '2001:db8:5::/64'],
    } as const;
    expect(await result.guard.update(rules)).toBeUndefined();
    expect(ruleset()).toContain('ip daddr 10.9.9.9 drop');
    expect(ruleset()).toContain('ip6 daddr { 2001:db8::10, 2001:db8:0:1:: } drop');
    expect(ruleset()).toContain(
      'icmpv6 type nd-neighbor-solicit @th,64,128 { ' +
        '0x20010db8000000000000000000000010, 0x20010db8000000010000000000000000 } drop',
    );
    expect(ruleset()).toContain('{ fd00::11 . udp . 53 }');
    expect(ruleset()).toContain('ip6 daddr != { 2001:db8:5::/64, fd00::1 } drop');
  });

  test('takes prefixes of IPv6, and single VIPs within them', async () => {
    const result = await install(['eth0']);
    if (!result.ok) throw new Error(result.problem);
    const vips = ['2001:db8:0:2::/64', '2001:db8:0:2::7', '2001:db8::8:0/112'];
    expect(await result.guard.update({ vips, replies: [], own: [] })).toBeUndefined();
    expect(ruleset()).toMatch(/ip6 daddr \{.*2001:db8:0:2::\/64.*\} drop/);
    expect(ruleset()).toMatch(/ip6 daddr \{.*2001:db8::8:0\/112.*\} drop/);
    expect(ruleset()).toContain('0x20010db8000000000000000000080000');
    expect(ruleset()).toContain('0x20010db8000000020000000000000000');
  });

  test('takes the sources of tunnels, prefixes of both families', async () => {
    const result = await install(['eth0']);
    if (!result.ok) throw new Error(result.problem);
    const tunnel = { port: 6080, sources: ['172.16.7.0/16', '2001:db8:f::1/64'] };
    const rules = guardRules(sampleConfig({ tunnel }), []);
    expect(await result.guard.update(rules)).toBeUndefined();
    expect(ruleset()).toMatch(/\tip daddr \{.*172\.16\.0\.0\/16.*\} drop/);
    expect(ruleset()).toMatch(/arp daddr ip \{.*172\.16\.0\.0\/16.*\} drop/);
    expect(ruleset()).toContain('ip6 daddr 2001:db8:f::/64 drop');
  });

  test('replaces the rules, down to none', async () => {
    const result = await install(['eth0']);
    if (!result.ok) throw new Error(result.problem);
    const { guard } = result;
    expect(await guard.update({ vips: ['10.9.9.77'], replies: [], own: [] })).toBeUndefined();
    expect(ruleset()).toContain('ip daddr 10.9.9.77 drop');
    expect(ruleset()).not.toContain('10.9.9.10');
    expect(await guard.update({ vips: [], replies: [], own: [] })).toBeUndefined();
    expect(ruleset()).not.toContain('drop');
  });

  test('keeps all old rules when the new ones are refused', async () => {
    const result = await install(['eth0']);
    if (!result.ok) throw new Error(result.problem);
    const before = ruleset();
    const rules = { vips: ['not-an-address.invalid'], replies: [], own: [] };
    expect(await result.guard.update(rules)).toContain('the guard on eth0 keeps its old rules');
    expect(ruleset()).toBe(before);
  });

  test('refuses a table that another director owns, and leaves no half', async () => {
    await install(['eth0']);
    const second = await install(['peer0', 'eth0']);
    expect(second).toMatchObject({ ok: false });
    if (!second.ok) {
      expect(second.problem).toContain('guard table furiwake_eth0 is already there');
      expect(second.problem).toContain('another director works on eth0');
    }
    expect(ruleset()).not.toContain('furiwake_peer0');
    expect(ruleset()).toContain('furiwake_eth0');
  });

  test('refuses a table that somebody made by hand', async () => {
    space.run('nft', 'add', 'table', 'netdev', 'furiwake_eth0');
    expect(await install(['eth0'])).toMatchObject({ ok: false });
  });

  test('is gone after remove, without being called lost', async () => {
    const result = await install(['eth0']);
    if (result.ok) await result.guard.remove();
    expect(ruleset()).toBe('');
    expect(lost).toBe(0);
  });

  test('vanishes when its owner is killed, and says that it is lost', async () => {
    await install(['eth0']);
    const pids = execFileSync('ip', ['netns', 'pids', space.name], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
    const owners = pids.filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'nft\n');
    expect(owners).toHaveLength(1);
    process.kill(owners[0]!, 'SIGKILL');
    await until(() => ruleset() === '' && lost === 1);
  });
});

/** Waits for a condition; the test's own time limit ends it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

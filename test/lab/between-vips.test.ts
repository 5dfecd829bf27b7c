// Clients that are reals themselves, in one lab: each asks the VIPs of the other services, and of
// its own, as a user would with curl. Who answered is in the answer; whom the real saw is in the
// log of its nginx. The reals share a network, which is where NAT needs a source pool.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR_VIP, NAT_VIP, THREE_WAYS } from '../../lab/topologies/three-ways.ts';
import { addressOf, hostNamed, type Network, realsOf } from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';

const reason = whyNoLab(ALL_PROGRAMS);
const FULLNAT_VIP = '198.51.100.101';
const OTHER_DSR_VIP = '10.77.0.101';
const POOL = '10.77.0.200';
const GATEWAY = '10.77.0.1';
const VIP_OF = { dsr: DSR_VIP, nat: NAT_VIP, fullnat: FULLNAT_VIP, other: OTHER_DSR_VIP };
type Service = keyof typeof VIP_OF;
/** r1 is the real of the DSR service and has its VIP, r2 that of NAT, r3 of fullnat and `other`. */
const LOOPBACK: Readonly<Record<string, readonly string[]>> = {
  ...{ r1: [DSR_VIP], r2: [], r3: [OTHER_DSR_VIP] },
};
const NETWORK: Network = {
  ...THREE_WAYS,
  name: 'between-vips',
  hosts: THREE_WAYS.hosts.map((host) => ({ ...host, loopback: LOOPBACK[host.name] ?? [] })),
};
const address = (name: string) => addressOf(hostNamed(NETWORK, name));
const nameOf = (text: string) =>
  realsOf(NETWORK).find((host) => addressOf(host) === text)?.name ?? text;

function configFor(socket: string, hasPool: boolean): string {
  const service = (name: Service, method: string, real: string) => ({
    [name]: { vip: VIP_OF[name], port: 80, method, scheduler: 'rr', reals: [address(real)] },
  });
  return stringify({
    ...{ interfaces: ['eth0', 'eth1'], socket },
    ...(hasPool ? { sourcePool: { addresses: [POOL] } } : {}),
    services: {
      ...{ ...service('dsr', 'dsr', 'r1'), ...service('nat', 'nat', 'r2') },
      ...(hasPool ? service('fullnat', 'fullnat', 'r3') : {}),
      ...service('other', 'dsr', 'r3'),
    },
  });
}

describe.skipIf(reason !== undefined)(`between VIPs${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;
  let director: Director;

  let asked = 0;
  /** Who answers, and whom that one saw as its client: `r2 for r1`; or what curl says. */
  const ask = async (from: string, service: Service, ...more: readonly string[]) => {
    const query = `?question=${++asked} `;
    const argv = ['curl', '-sS', '-m', '3', ...more, `http://${VIP_OF[service]}/${query.trim()}`];
    const { stdout, stderr } = await lab.exec(from, argv, { onFailure: 'return' });
    const real = stdout.trim();
    if (real === '') return stderr.trim();
    const log = join(lab.directory, `${real}-nginx`, 'access.log');
    const line = await until('the line in the log', () => {
      const lines = readFileSync(log, 'utf8').split('\n');
      return lines.find((each) => each.includes(query));
    });
    return `${real} for ${nameOf(/ (?:::ffff:)?(\S+):\d+ ->/.exec(line)?.[1] ?? line)}`;
  };
  const setPool = async (hasPool: boolean) => {
    writeFileSync(director.configFile, configFor(director.socket, hasPool));
    process.kill(director.daemon.pid, 'SIGHUP');
    await until('the reload', async () => {
      return ((await director.status()).sourcePool !== undefined) === hasPool;
    });
  };

  beforeAll(async () => {
    lab = await buildTopology(NETWORK);
    for (const { name } of realsOf(NETWORK)) await startNginx(lab, name);
    director = await startDirectorWith(lab, NETWORK, (socket) => configFor(socket, true));
  }, 60_000);
  // What one of them leaves behind when it fails is not the next one's.
  afterEach(async () => {
    await lab.exec('r2', ['ip', 'route', 'flush', '10.77.0.11/32'], { onFailure: 'return' });
    await setPool(true);
  });
  afterAll(() => lab?.close());

  it.each<[from: string, service: Service, answer: string]>([
    ['r1', 'nat', `r2 for ${POOL}`],
    ['r1', 'fullnat', `r3 for ${POOL}`],
    ['r1', 'other', 'r3 for r1'],
    ['r2', 'dsr', 'r1 for r2'],
    ['r2', 'fullnat', `r3 for ${POOL}`],
    ['r3', 'dsr', 'r1 for r3'],
    ['r3', 'nat', `r2 for ${POOL}`],
  ])('%s asks the VIP of %s: %s', async (from, service, answer) => {
    expect(await ask(from, service)).toBe(answer);
  });

  it.each<[from: string, service: Service]>([
    ['r2', 'nat'],
    ['r3', 'fullnat'],
  ])('%s, the one real of %s, reaches itself by way of the director', async (from, service) => {
    expect(await ask(from, service)).toBe(`${from} for ${POOL}`);
  });

  it('a DSR real that asks its own VIP never bothers the director', async () => {
    const before = (await director.status()).totals.openedFlows;
    expect(await ask('r1', 'dsr')).toBe(`r1 for ${DSR_VIP}`);
    expect((await director.status()).totals.openedFlows).toBe(before);
  });

  it('a DSR real may ask from its VIP where the answer comes back by the director', async () => {
    expect(await ask('r1', 'nat', '--interface', DSR_VIP)).toBe(`r2 for ${POOL}`);
    expect(await ask('r1', 'fullnat', '--interface', DSR_VIP)).toBe(`r3 for ${POOL}`);
  });

  it('but not from its VIP by DSR: the answer comes to a VIP that asked nothing', async () => {
    const dropped = async () => (await director.status()).drops['no-service'] ?? 0;
    const before = await dropped();
    expect(await ask('r1', 'other', '--interface', DSR_VIP)).toMatch(/timed out/i);
    expect(await dropped()).toBeGreaterThan(before);
  });

  it('without a pool NAT needs a route back by the director, as the README says', async () => {
    await setPool(false);
    // r2 answers r1 past the director, and r1 knows nothing of such a connection.
    await until('no answer', async () => /timed out|reset/i.test(await ask('r1', 'nat')));
    await lab.ip('r2', [`route add 10.77.0.11/32 via ${GATEWAY}`]);
    expect(await ask('r1', 'nat')).toBe('r2 for r1');
    // Another VIP is no such neighbour: the director answers ARP for it.
    expect(await ask('r1', 'nat', '--interface', DSR_VIP)).toBe(`r2 for ${DSR_VIP}`);
  });
});

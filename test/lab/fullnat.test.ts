// Fullnat from outside, with real programs: reals without any way back to the client answer it all
// the same, their logs name the pool, `furiwake status` names who that was, and one service has
// reals of several methods.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { NAT } from '../../lab/topologies/nat.ts';
import { addressOf, hostNamed, realsOf, type Topology } from '../../lab/topologies/topology.ts';
import { fetchFlows } from '../../src/control/api.ts';

const reason = whyNoLab(ALL_PROGRAMS);
const POOL = '10.77.0.200';
/** The one real that has the director as its default route. */
const ROUTED = 'r1';
const STRANDED = ['r2', 'r3'];
const TOPOLOGY: Topology = {
  ...NAT,
  hosts: NAT.hosts.map((host) =>
    STRANDED.includes(host.name) ? { ...host, gateway: null } : host,
  ),
};

function config(socket: string): string {
  const reals = realsOf(TOPOLOGY).map((host) => ({
    ...{ name: host.name, address: addressOf(host) },
    ...(host.name === ROUTED ? { method: 'nat' } : {}),
  }));
  const mixed = { vip: NAT.vip, port: 80, method: 'fullnat', scheduler: 'rr', reals };
  return stringify({
    ...{ interfaces: ['eth0', 'eth1'], socket },
    sourcePool: { addresses: [POOL], ports: '20000-20009' },
    services: { mixed },
  });
}

describe.skipIf(reason !== undefined)(`fullnat${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;
  let director: Director;

  beforeAll(async () => {
    lab = await buildTopology(TOPOLOGY);
    for (const { name } of realsOf(TOPOLOGY)) await startNginx(lab, name);
    director = await startDirectorWith(lab, TOPOLOGY, config);
  });
  afterAll(() => lab?.close());

  const curl = async (...options: string[]) => {
    const argv = ['curl', '-sS', '--max-time', '5', ...options, `http://${NAT.vip}/`];
    return (await lab.exec('client', argv, { onFailure: 'return' })).stdout;
  };

  it('every real answers, whether it has a way to the client or not', async () => {
    const answers = [await curl(), await curl(), await curl()];
    expect(new Set(answers).size).toBe(3);
    expect(answers).not.toContain('');
    const way = await lab.exec('r2', ['ip', 'route', 'get', '198.51.100.10'], {
      onFailure: 'return',
    });
    expect(way.stderr).toContain('unreachable');
  });

  it('status names the method of each real, the pool, and who the client was', async () => {
    await expect
      .poll(async () => (await director.status()).sourcePool, { timeout: 5000 })
      .toEqual({ addresses: [POOL], total: 10, used: 2, mostUsed: 1, missed: 0 });
    const { services } = await director.status();
    expect(services[0]?.reals.map(({ method }) => method)).toEqual(['nat', 'fullnat', 'fullnat']);
    const flows = await fetchFlows(director.socket, 10);
    const seen = flows.map(({ client, source = 'itself' }) => [client, source]);
    expect(seen.sort()).toEqual([
      ['198.51.100.10', POOL],
      ['198.51.100.10', POOL],
      ['198.51.100.10', 'itself'],
    ]);
  });

  it('the director alone answers ARP and ping for the pool', async () => {
    const ping = await lab.exec('r2', ['ping', '-c1', '-W2', POOL]);
    expect(ping.stdout).toContain('1 received');
    const { stdout } = await lab.exec('r2', ['ip', 'neigh', 'show', POOL]);
    const arm = hostNamed(TOPOLOGY, 'director').arms[1]!;
    expect(stdout).toContain(arm.mac);
  });

  it('goes on when more connections have come than the pool has ports: ended ones give way', async () => {
    for (let times = 0; times < 45; times++) expect(await curl()).not.toBe('');
  });
});

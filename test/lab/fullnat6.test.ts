// Fullnat over IPv6 from outside, with real programs and two workers: reals without any way back to
// the client answer it all the same, what they answer comes to the worker that chose the port, one
// service has reals of two methods, and a real may ask the VIP of its own service.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { NAT6 } from '../../lab/topologies/nat6.ts';
import { addressOf, hostNamed, realsOf, type Topology } from '../../lab/topologies/topology.ts';
import { fetchFlows } from '../../src/control/api.ts';

const reason = whyNoLab(ALL_PROGRAMS);
const POOL = ['fd77::200', 'fd77::201'];
/** The one real that has the director as its default route, and is reached by plain NAT. */
const ROUTED = 'r1';
const TOPOLOGY: Topology = {
  ...NAT6,
  hosts: NAT6.hosts.map((host) =>
    host.role === 'real' && host.name !== ROUTED ? { ...host, gateway: null } : host,
  ),
};
const CLIENTS = Array.from({ length: 12 }, (_, index) => `2001:db8::1:${index + 1}`);

function config(socket: string): string {
  const reals = realsOf(TOPOLOGY).map((host) => ({
    ...{ name: host.name, address: addressOf(host) },
    ...(host.name === ROUTED ? { method: 'nat' } : {}),
  }));
  const mixed = { vip: NAT6.vip, port: 80, method: 'fullnat', scheduler: 'rr', reals };
  return stringify({
    ...{ interfaces: ['eth0', 'eth1'], workers: 2, socket },
    sourcePool: { addresses: [...POOL, '10.77.0.200'], ports: '20000-20099' },
    services: { mixed },
  });
}

describe.skipIf(reason !== undefined)(`fullnat over IPv6${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;
  let director: Director;

  beforeAll(async () => {
    lab = await buildTopology(TOPOLOGY);
    const addresses = CLIENTS.map((address) => `address add ${address}/64 dev eth0 nodad`);
    await lab.ip('client', addresses);
    for (const { name } of realsOf(TOPOLOGY)) await startNginx(lab, name);
    director = await startDirectorWith(lab, TOPOLOGY, config);
  });
  afterAll(() => lab?.close());

  const ask = async (host: string, from: string) => {
    const argv = ['curl', '-sS', '-m', '5', '--interface', from, `http://[${NAT6.vip}]/`];
    return (await lab.exec(host, argv, { onFailure: 'return' })).stdout;
  };

  it('every real answers every client, by both workers', async () => {
    const seen = new Set<string>();
    for (const from of [...CLIENTS, ...CLIENTS]) {
      const answer = await ask('client', from);
      expect(answer, from).toMatch(/r[123]/);
      seen.add(/r[123]/.exec(answer)?.[0] ?? '');
    }
    expect([...seen].sort()).toEqual(['r1', 'r2', 'r3']);
    const { workers, drops } = await director.status();
    for (const { openedFlows } of workers) expect(openedFlows).toBeGreaterThan(0);
    expect(drops).toEqual({});
  });

  it('shows of each flow who its real sees', async () => {
    const flows = await fetchFlows(director.socket, 100);
    const stranded = flows.filter(({ method }) => method === 'fullnat');
    expect(stranded.length).toBeGreaterThan(8);
    for (const { source, sourcePort = 0 } of stranded) {
      expect(POOL).toContain(source);
      expect(sourcePort).toBeGreaterThanOrEqual(20_000);
      expect(sourcePort).toBeLessThan(20_100);
    }
    const others = flows.filter(({ method }) => method === 'nat');
    expect(others.length).toBeGreaterThan(4);
    for (const { source } of others) expect(source).toBeUndefined();
  });

  it('is pinged at the addresses of the pool, whole and in pieces', async () => {
    for (const bytes of [56, 4000]) {
      const argv = ['ping', '-6', '-n', '-c3', '-i0.2', `-s${bytes}`, POOL[1]!];
      const { stdout } = await lab.exec('r2', argv, { onFailure: 'return' });
      expect(stdout).toContain(' 0% packet loss');
    }
  });

  it('answers a NAT real that asks the VIP of its own service', async () => {
    const own = addressOf(hostNamed(TOPOLOGY, ROUTED));
    for (let round = 0; round < 3; round++) {
      expect(await ask(ROUTED, own), `round ${round}`).toMatch(/r[123]/);
    }
    const flows = await fetchFlows(director.socket, 100);
    const hairpin = flows.filter(({ client, real }) => client === own && real === own);
    expect(hairpin.map(({ source }) => POOL.includes(source ?? ''))).toEqual([true]);
  });
});

// The life of flows from outside: clients that stay with their real, a drain under load that ends
// in a reset, a dead real's datagrams, and the sorry server. Real programs talk, the configuration
// is reloaded as an operator would, and status tells what it means.
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { runIperf3, startIperf3 } from '../../lab/hosts/iperf3.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR } from '../../lab/topologies/dsr.ts';
import { addressOf, hostNamed, realsOf } from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';

const reason = whyNoLab(ALL_PROGRAMS);
const VIP = DSR.vip;
const OTHER_CLIENT = '192.0.2.20';
const address = (name: string) => addressOf(hostNamed(DSR, name));
const realNames = ['r1', 'r2'];

interface Changes {
  /** What r1 and r2 have beside name and address. */
  readonly reals?: Readonly<Record<string, object>>;
}

function configFor(socket: string, { reals = {} }: Changes = {}): string {
  const list = realNames.map((name) => ({ name, address: address(name), ...reals[name] }));
  const dsr = { vip: VIP, method: 'dsr', reals: list };
  return stringify(
    {
      interfaces: ['eth0'],
      socket,
      timeouts: { udp: '10m' },
      services: {
        web: {
          ...{ ...dsr, port: 80, scheduler: 'rr' },
          ...{ persistence: { timeout: '30s' }, sorry: { name: 'r3', address: address('r3') } },
        },
        bulk: { ...dsr, port: 5201, scheduler: 'sh' },
        log: { ...dsr, port: 514, protocol: 'udp', scheduler: 'rr' },
      },
    },
    { aliasDuplicateObjects: false },
  );
}

describe.skipIf(reason !== undefined)(`the life of flows${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;
  let director: Director;

  const ask = async (from: string) => {
    const argv = ['curl', '-sS', '-m', '5', '--interface', from, `http://${VIP}/`];
    return (await lab.exec('client', argv, { onFailure: 'return' })).stdout.trim();
  };
  const rowOf = async (service: string, name: string) => {
    const { services } = await director.status();
    const found = services.find((each) => each.name === service)!;
    return [...found.reals, found.sorry].find((real) => real?.name === name)!;
  };
  const reload = (changes: Changes) => {
    writeFileSync(director.configFile, configFor(director.socket, changes));
    process.kill(director.daemon.pid, 'SIGHUP');
  };
  const untilState = (name: string, state: string) =>
    until(`${name} to be ${state}`, async () => (await rowOf('web', name)).state === state, {
      timeoutMs: 40_000,
    });
  const link = (name: string, state: 'up' | 'down') => lab.ip(name, [`link set eth0 ${state}`]);

  beforeAll(async () => {
    lab = await buildTopology(DSR);
    await lab.ip('client', [`address add ${OTHER_CLIENT}/24 dev eth0`]);
    for (const real of realsOf(DSR)) {
      await startNginx(lab, real.name);
      await startIperf3(lab, real.name, VIP);
    }
    director = await startDirectorWith(lab, DSR, (socket) => configFor(socket));
  }, 60_000);
  // What one of them leaves behind when it fails is not the next one's.
  afterEach(async () => {
    reload({});
    for (const name of realNames) await link(name, 'up');
    for (const name of realNames) await untilState(name, 'open');
  }, 90_000);
  afterAll(() => lab?.close());

  it('keeps each client at its real, and another one where it wants', async () => {
    const clients = [address('client'), OTHER_CLIENT];
    const first = [await ask(clients[0]!), await ask(clients[1]!)];
    expect([...first].sort()).toEqual(realNames);
    for (let turn = 0; turn < 3; turn++) {
      expect([await ask(clients[0]!), await ask(clients[1]!)]).toEqual(first);
    }
    expect((await director.status()).totals.templates).toBe(2);
  });

  it('drains a real under load: old flows live, then are reset when their time is over', async () => {
    const load = runIperf3(lab, { host: 'client', address: VIP, seconds: 20 }).catch(
      (error: Error) => error.message,
    );
    const busy = await until('a connection that carries data', async () => {
      const rows = [await rowOf('bulk', 'r1'), await rowOf('bulk', 'r2')];
      return rows.find((row) => row.activeFlows === 2 && row.requestBytes > 1e6)?.name;
    });
    reload({ reals: { [busy]: { drain: { old: 'reset', timeout: '2s' } } } });
    const drained = await until('the drain to begin', async () => {
      const row = await rowOf('bulk', busy);
      return row.state === 'drained' && row;
    });
    expect(drained.leftMs).toBeGreaterThan(0);
    expect(drained.activeFlows).toBe(2);
    expect(await load).toMatch(/reset|closed|broken/i);
    const status = await until('the resets to be counted', async () => {
      const now = await director.status();
      return now.totals.resetFlows >= 2 && now;
    });
    expect(status.drops['flow-reset']).toBe(status.totals.resetFlows);
    // The next one goes to the other real, and lives.
    // The receiver does not count what is still under way at the end, which may be some megabytes.
    const bytes = 50_000_000;
    const next = await runIperf3(lab, { host: 'client', address: VIP, bytes, seconds: 10 });
    expect(next.receivedBytes).toBeGreaterThan(bytes / 2);
  }, 60_000);

  it('moves the datagrams of a dead real, though their sender never pauses', async () => {
    const script = `exec 3>/dev/udp/${VIP}/514; while :; do echo x >&3; sleep 0.02; done 2>/dev/null`;
    const sender = lab.spawn('client', { name: 'sender', argv: ['bash', '-c', script] });
    const packets = async (name: string) => (await rowOf('log', name)).requestPackets;
    const mine = await until('a real that gets them', async () => {
      for (const name of realNames) if ((await packets(name)) > 10) return name;
      return undefined;
    });
    const other = mine === 'r1' ? 'r2' : 'r1';
    const before = await packets(other);
    await link(mine, 'down');
    await until('the other real to get them', async () => (await packets(other)) > before + 20, {
      timeoutMs: 40_000,
    });
    await sender.stop('SIGTERM');
  }, 90_000);

  it('shows the sorry page while all reals are down, and no longer', async () => {
    for (const name of realNames) await link(name, 'down');
    for (const name of realNames) await untilState(name, 'down');
    expect(await ask(address('client'))).toBe('r3');
    await link('r2', 'up');
    await untilState('r2', 'open');
    expect(await ask(address('client'))).toBe('r2');
  }, 120_000);
});

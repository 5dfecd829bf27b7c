// Limits of each client from outside: one that opens connections without end gets its share and no
// more, while another on the same network is served; and an old connection of the first goes on.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR } from '../../lab/topologies/dsr.ts';
import { addressOf, hostNamed, realsOf } from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'hping3']);
const VIP = DSR.vip;
const CLIENT = addressOf(hostNamed(DSR, 'client'));
const OTHER_CLIENT = '192.0.2.20';
const FLOWS = 20;

function config(socket: string): string {
  const reals = realsOf(DSR).map((real) => addressOf(real));
  const service = { vip: VIP, method: 'dsr', reals };
  return stringify(
    {
      ...{ interfaces: ['eth0'], socket, timeouts: { synRecv: '5s' } },
      services: {
        web: { ...service, port: 80, limits: { flowsPerClient: FLOWS } },
        log: { ...service, port: 514, protocol: 'udp', limits: { newFlowsPerSecond: 10 } },
      },
    },
    { aliasDuplicateObjects: false },
  );
}

describe.skipIf(reason !== undefined)(`limits of clients${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;
  let director: Director;

  const run = async (...argv: string[]) =>
    (await lab.exec('client', argv, { onFailure: 'return', timeoutMs: 30_000 })).stdout.trim();
  const ask = (from: string) => run('curl', '-sS', '-m2', '--interface', from, `http://${VIP}/`);
  const limited = async () => (await director.status()).drops['source-limited'] ?? 0;

  beforeAll(async () => {
    lab = await buildTopology(DSR);
    await lab.ip('client', [`address add ${OTHER_CLIENT}/24 dev eth0`]);
    for (const real of realsOf(DSR)) await startNginx(lab, real.name);
    director = await startDirectorWith(lab, DSR, config);
  }, 60_000);
  afterAll(() => lab?.close());

  it('one that opens connections without end has its share, and others are served', async () => {
    const request = `exec 3<>/dev/tcp/${VIP}/80; printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3`;
    const script = `${request}; head -n1 <&3; sleep 4; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
    const old = run('bash', '-c', script);
    await until('the old connection', async () => (await director.status()).totals.activeFlows > 0);
    await run('hping3', '-q', '-n', '-S', '-p', '80', '-i', 'u1000', '-c', '200', VIP);
    expect(await limited()).toBe(200 - (FLOWS - 1));
    expect(await ask(OTHER_CLIENT)).toMatch(/^r[123]$/);
    expect(await ask(CLIENT)).toBe('');
    const { totals, services } = await director.status();
    expect(services[0]?.limits).toMatchObject({ flowsPerClient: FLOWS, prefix: 32 });
    expect(services[0]?.openedFlows).toBe(FLOWS + 1);
    expect(totals.countedClients).toBe(2);
    expect((await old).match(/HTTP\/1.1 200/g)).toHaveLength(2);
  }, 30_000);

  it('has it again when its flows have ended', async () => {
    // As in IPVS, a RST before the third packet leaves a flow half open.
    await until('an answer', () => ask(CLIENT), { timeoutMs: 25_000, intervalMs: 500 });
  }, 30_000);

  it('one that sends datagrams from port after port opens flows at its rate', async () => {
    const before = await limited();
    await run('hping3', '-q', '-n', '-2', '-p', '514', '-i', 'u10000', '-c', '200', VIP);
    const { services } = await director.status();
    const opened = services[1]!.openedFlows;
    // 10 at once, and 10 in each of the two seconds or somewhat more that 200 packets take.
    expect(opened).toBeGreaterThanOrEqual(25);
    expect(opened).toBeLessThan(100);
    expect((await limited()) - before).toBe(200 - opened);
  }, 30_000);
});

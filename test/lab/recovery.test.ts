// Reals that come back, and reals that only seem to be down, from outside: nginx answers curl, and
// who is asked how often shows what a slow start and fail-open do. A lot is drawn for each new flow
// of a real that starts, by how much of its time is over: the time is changed by reloads, so that
// nothing here waits for more than some seconds of it; what is expected follows from what status
// tells of it, however fast the machine is.
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { setSysctls } from '../../lab/net/links.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR } from '../../lab/topologies/dsr.ts';
import { addressOf, hostNamed } from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';

const reason = whyNoLab(ALL_PROGRAMS);
const VIP = DSR.vip;
const NAMES = ['r1', 'r2'];
/** A real is asked three times before it is down, and again every few seconds after. */
const STATE = { timeoutMs: 60_000 };
const DAY = 86_400;

interface Wishes {
  /** Seconds. */
  readonly slowStart?: number;
  readonly whenAllDown?: string;
}

function configFor(socket: string, wishes: Wishes = {}): string {
  const reals = NAMES.map((name) => ({ name, address: addressOf(hostNamed(DSR, name)) }));
  const web = { vip: VIP, port: 80, method: 'dsr', scheduler: 'rr', reals, ...wishes };
  return stringify({ interfaces: ['eth0'], socket, services: { web } });
}

describe.skipIf(reason !== undefined)(`recovery${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;
  let director: Director;

  const rowOf = async (name: string) => {
    const { services } = await director.status();
    return services[0]!.reals.find((real) => real.name === name)!;
  };
  const untilState = (name: string, state: string) =>
    until(
      `${name} to be ${state}`,
      async () => {
        const row = await rowOf(name);
        return row.state === state && row;
      },
      STATE,
    );
  /** Gives the director another file, and waits until its data plane has it. */
  const reload = async (wishes: Wishes = {}) => {
    writeFileSync(director.configFile, configFor(director.socket, wishes));
    process.kill(director.daemon.pid, 'SIGHUP');
    await until('the reload', async () => {
      const { slowStart = 0, whenAllDown, reals } = (await director.status()).services[0]!;
      const isTaken = reals.every(({ leftMs }) => leftMs <= slowStart);
      const isAsked = slowStart === (wishes.slowStart ?? 0) * 1000;
      return isTaken && isAsked && whenAllDown === wishes.whenAllDown;
    });
  };
  const link = (name: string, state: 'up' | 'down') => lab.ip(name, [`link set eth0 ${state}`]);
  /** 1: as DSR reals are. 8: nobody who asks for the real's address is answered. */
  const answerArp = (name: string, arpIgnore: '1' | '8') =>
    setSysctls(lab, name, { 'net.ipv4.conf.all.arp_ignore': arpIgnore });

  /** A real that asks for the client's MAC address would show the director that it is there. */
  const tellClient = (name: string) => {
    const client = hostNamed(DSR, 'client');
    const entry = `${addressOf(client)} lladdr ${client.arms[0]!.mac} dev eth0`;
    return lab.ip(name, [`neigh replace ${entry} nud permanent`]);
  };

  /** Who answers so many requests, one after the other; nobody: a request without an answer. */
  const ask = async (times: number): Promise<Record<string, number>> => {
    const script = `for n in $(seq ${times}); do curl -s -m 3 http://${VIP}/ || echo nobody; done`;
    const argv = ['bash', '-c', script];
    const { stdout } = await lab.exec('client', argv, { timeoutMs: 120_000 });
    const counts: Record<string, number> = {};
    for (const name of stdout.trim().split('\n')) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  };

  beforeAll(async () => {
    lab = await buildTopology(DSR);
    for (const name of NAMES) await startNginx(lab, name);
    director = await startDirectorWith(lab, DSR, (socket) => configFor(socket));
  }, 60_000);
  // What one of them leaves behind when it fails is not the next one's.
  afterEach(async () => {
    await reload();
    for (const name of NAMES) {
      await answerArp(name, '1');
      await link(name, 'up');
      await untilState(name, 'open');
    }
  }, 130_000);
  afterAll(() => lab?.close());

  it('loads a real that is back slowly, and then as the others', async () => {
    await reload({ slowStart: DAY });
    await link('r1', 'down');
    await untilState('r1', 'down');
    expect(await ask(10)).toEqual({ r2: 10 });
    await link('r1', 'up');
    const starting = await untilState('r1', 'starting');
    expect(starting.leftMs).toBeGreaterThan(0.9 * DAY * 1000);
    // A thousandth of its share at most, in the first minute of a day.
    expect((await ask(40)).r2).toBeGreaterThanOrEqual(38);

    // The same real, with more of its time over, then all of it. Its share of two is p / (1 + p):
    // with six seconds of sixteen over, 16 of 60; later up to 20, as 2 * elapsed outgrows the rest.
    const elapsed = await until('six seconds of its time to be over', async () => {
      const seconds = DAY - (await rowOf('r1')).leftMs / 1000;
      return seconds >= 6 && seconds;
    });
    const slowStart = Math.ceil(2 * elapsed + 4);
    await reload({ slowStart });
    const share = async () => {
      const part = 1 - (await rowOf('r1')).leftMs / (slowStart * 1000);
      return (60 * part) / (1 + part);
    };
    const least = await share();
    expect(least).toBeGreaterThan(15);
    const { r1 = 0 } = await ask(60);
    expect(r1).toBeGreaterThan(least - 10);
    expect(r1).toBeLessThan((await share()) + 10);
    await reload({ slowStart: 1 });
    expect(await ask(20)).toEqual({ r1: 10, r2: 10 });
    await untilState('r1', 'open');
  }, 240_000);

  it('refuses new flows while all reals seem to be down, or goes on with them, as asked', async () => {
    expect(await ask(4)).toEqual({ r1: 2, r2: 2 });
    for (const name of NAMES) {
      await tellClient(name);
      await answerArp(name, '8');
    }
    for (const name of NAMES) await untilState(name, 'down');
    const refused = async () => (await director.status()).drops['no-real'] ?? 0;
    const before = await refused();
    expect(await ask(1)).toEqual({ nobody: 1 });
    expect(await refused()).toBeGreaterThan(before);
    // 7: it could not connect, for an ICMP error says so; 28 would be that nobody had answered.
    const argv = ['curl', '-sS', '-m', '5', `http://${VIP}/`];
    expect((await lab.exec('client', argv, { onFailure: 'return' })).stderr).toMatch(
      /^curl: \(7\)/,
    );

    await reload({ whenAllDown: 'failOpen' });
    expect(await ask(6)).toEqual({ r1: 3, r2: 3 });
    for (const name of NAMES) expect((await rowOf(name)).state).toBe('down');

    // One that answers is up, and the others are down again.
    await answerArp('r2', '1');
    await untilState('r2', 'open');
    expect(await ask(4)).toEqual({ r2: 4 });
  }, 240_000);
});

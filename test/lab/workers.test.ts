// Two workers under real traffic: each carries flows, every connection works by DSR and by NAT, and
// no packet comes to the worker that does not know its flow, neither before nor after the link was
// down; and by tc the kernel repeats what either of them has decided.
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { runIperf3, startIperf3 } from '../../lab/hosts/iperf3.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR_VIP, NAT_VIP, THREE_WAYS } from '../../lab/topologies/three-ways.ts';
import { addressOf, realsOf } from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';
import { workerOfClient } from '../../src/datapath/fanout-program.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import { reassembled } from './reassembled.ts';

const reason = whyNoLab(ALL_PROGRAMS);
const REALS = realsOf(THREE_WAYS).map((real) => ({ name: real.name, address: addressOf(real) }));
/** Clients of each VIP, all on the one client host. */
const CLIENTS = Array.from({ length: 12 }, (_, index) => 20 + index);
const natClient = (last: number) => `198.51.100.${last}`;
const dsrClient = (last: number) => `10.77.0.${last}`;
const workerFor = (client: string) => workerOfClient(parseIpv4(client)!, 2);
const FULLNAT_VIP = '198.51.100.101';
const WAYS = [
  { vip: DSR_VIP, clientOf: dsrClient },
  { vip: NAT_VIP, clientOf: natClient },
];

const configOn = (datapath: 'ring' | 'tc') => (socket: string) => {
  const both = { reals: REALS, protocol: 'tcp' };
  const web = { ...both, port: 80, scheduler: 'rr' };
  const iperf = { ...both, port: 5201, scheduler: 'sh' };
  return stringify({
    ...{ interfaces: ['eth0', 'eth1'], workers: 2, datapath, socket },
    sourcePool: { addresses: ['10.77.0.201', '10.77.0.202'] },
    services: {
      'dsr-web': { vip: DSR_VIP, method: 'dsr', ...web },
      'nat-web': { vip: NAT_VIP, method: 'nat', ...web },
      'dsr-iperf': { vip: DSR_VIP, method: 'dsr', ...iperf },
      'nat-iperf': { vip: NAT_VIP, method: 'nat', ...iperf },
      'fullnat-web': { vip: FULLNAT_VIP, method: 'fullnat', ...web },
      'fullnat-iperf': { vip: FULLNAT_VIP, method: 'fullnat', ...iperf, protocol: ['tcp', 'udp'] },
      'nat-iperf-udp': { vip: NAT_VIP, method: 'nat', ...iperf, protocol: 'udp' },
    },
  });
};

/** For iperf3: a hundred, of several fragments each. */
const DATAGRAMS = { bytes: 400_000, payloadBytes: 4000, bitsPerSecond: 8_000_000, seconds: 10 };

const title = `two workers by %s ${reason ?? ''}`;

describe.skipIf(reason !== undefined).each(['ring', 'tc'] as const)(title, (datapath) => {
  let lab: Lab;
  let director: Director;

  const get = async (from: string, vip: string) => {
    const argv = ['curl', '-sS', '-m', '5', '--interface', from, `http://${vip}/`];
    return (await lab.exec('client', argv, { onFailure: 'return' })).stdout;
  };

  async function askFromAll(): Promise<void> {
    for (const { vip, clientOf } of WAYS) {
      for (const last of CLIENTS) expect(await get(clientOf(last), vip)).toMatch(/r[123]/);
    }
  }

  /**
   * What the director did not carry. iperf3 counts as lost what a download's sender still sends
   * while the word of its end is under way, and the director shows what was lost for real.
   */
  async function lostFrames() {
    const { drops, arms } = await director.status();
    return [drops, arms.map(({ missedFrames, failedFrames }) => [missedFrames, failedFrames])];
  }

  beforeAll(async () => {
    lab = await buildTopology(THREE_WAYS);
    await lab.ip(
      'client',
      CLIENTS.flatMap((last) => [
        `address add ${natClient(last)}/24 dev eth0`,
        `address add ${dsrClient(last)}/24 dev eth1`,
      ]),
    );
    for (const { name } of REALS) {
      await startNginx(lab, name);
      await startIperf3(lab, name, '0.0.0.0');
    }
    director = await startDirectorWith(lab, THREE_WAYS, configOn(datapath));
    // Worker 0 knows the reals now; the other learns of them in its next tick, after its sleep.
    await setTimeout(500);
  });
  afterAll(() => lab?.close());

  it('carries every connection, and each worker its clients', async () => {
    const before = (await director.status()).workers.map(({ openedFlows }) => openedFlows);
    await askFromAll();
    const { workers, drops } = await director.status();
    const expected = [0, 0];
    for (const { clientOf } of WAYS) {
      for (const last of CLIENTS) {
        const worker = workerFor(clientOf(last));
        expected[worker] = expected[worker]! + 1;
      }
    }
    expect(Math.min(...expected)).toBeGreaterThan(4);
    expect(workers.map(({ openedFlows }, index) => openedFlows - before[index]!)).toEqual(expected);
    expect(drops).toEqual({});
  });

  it('carries bulk on parallel connections, both ways', async () => {
    for (const { vip } of WAYS) {
      for (const direction of ['upload', 'download'] as const) {
        const options = { host: 'client', address: vip, direction, streams: 4, seconds: 2 };
        const { receivedBytes } = await runIperf3(lab, options);
        expect(receivedBytes).toBeGreaterThan(1_000_000);
      }
    }
    const { drops, totals } = await director.status();
    expect(drops).toEqual({});
    if (datapath === 'tc') expect(totals.cachedFrames).toBeGreaterThan(totals.sentFrames / 2);
    else expect(totals.cachedFrames).toBe(0);
  });

  it('brings the fragments of a datagram to the worker of its flow', async () => {
    const before = await lostFrames();
    const arrived = await reassembled(lab, REALS, 4);
    const options = { host: 'client', address: NAT_VIP, protocol: 'udp', ...DATAGRAMS } as const;
    await runIperf3(lab, { ...options, direction: 'upload' });
    const expected = arrived + DATAGRAMS.bytes / DATAGRAMS.payloadBytes;
    expect(await reassembled(lab, REALS, 4)).toBeGreaterThanOrEqual(expected);
    const { receivedBytes } = await runIperf3(lab, { ...options, direction: 'download' });
    expect(receivedBytes).toBeGreaterThanOrEqual(DATAGRAMS.bytes);
    expect(await lostFrames()).toEqual(before);
  });

  it('brings the fragments of answers to a source pool to the worker that has the address', async () => {
    const before = await lostFrames();
    for (const worker of [0, 1]) {
      const from = CLIENTS.map(natClient).find((client) => workerFor(client) === worker)!;
      const { receivedBytes } = await runIperf3(lab, {
        ...{ host: 'client', address: FULLNAT_VIP, protocol: 'udp', from, direction: 'download' },
        ...DATAGRAMS,
      });
      expect(receivedBytes).toBeGreaterThanOrEqual(DATAGRAMS.bytes);
    }
    expect(await lostFrames()).toEqual(before);
  });

  it('brings the answers to addresses of a source pool back to the worker that chose it', async () => {
    const before = (await director.status()).workers.map(({ openedFlows }) => openedFlows);
    for (const last of CLIENTS) expect(await get(natClient(last), FULLNAT_VIP)).toMatch(/r[123]/);
    const { workers, drops } = await director.status();
    expect(
      Math.min(...workers.map(({ openedFlows }, at) => openedFlows - before[at]!)),
    ).toBeGreaterThan(2);
    expect(drops).toEqual({});
  });

  it('answers reals that ask the VIP of their own service by NAT', async () => {
    for (const { name, address } of REALS) {
      for (let round = 0; round < REALS.length; round++) {
        const argv = ['curl', '-sS', '-m', '5', '--interface', address, `http://${NAT_VIP}/`];
        const { stdout } = await lab.exec(name, argv, { onFailure: 'return' });
        expect(stdout, `${name} in round ${round}`).toMatch(/r[123]/);
      }
    }
    expect((await director.status()).drops).toEqual({});
  });

  it('goes on as before when the link was down', async () => {
    for (const arm of ['eth0', 'eth1']) await lab.ip('director', [`link set ${arm} down`]);
    await until('the links to be seen down', async () =>
      (await director.status()).arms.every(({ link }) => link === 'down'),
    );
    for (const arm of ['eth0', 'eth1']) await lab.ip('director', [`link set ${arm} up`]);
    await until('the links to be seen up', async () =>
      (await director.status()).arms.every(({ link }) => link === 'up'),
    );
    await until('an answer', async () => (await get(natClient(20), NAT_VIP)).startsWith('r'));
    const before = (await director.status()).drops;
    await askFromAll();
    expect((await director.status()).drops).toEqual(before);
  });

  it('lists the flows of both, and its summary is the sum', async () => {
    const { workers, totals } = await director.status();
    expect(totals.openedFlows).toBe(workers[0]!.openedFlows + workers[1]!.openedFlows);
    expect(Math.min(...workers.map(({ activeFlows }) => activeFlows))).toBeGreaterThan(0);
    const argv = [process.execPath, 'dist/src/cli/main.js', 'status', '--flows', '1000'];
    const shown = await lab.exec('director', [...argv, '--socket', director.socket]);
    for (const last of CLIENTS) expect(shown.stdout).toContain(`${natClient(last)}:`);
    expect(shown.stdout).toMatch(/worker 1/);
    const summary = JSON.stringify(await director.stop());
    expect(summary).toContain('openedFlows');
  });
});

// Topologies for real, in namespaces, without a director: what the director's work rests on.
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { curl } from '../../lab/hosts/curl.ts';
import { startIperf3 } from '../../lab/hosts/iperf3.ts';
import { startNginx, WEB_FILES, webFileContent } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { setOffloads } from '../../lab/net/links.ts';
import { readState } from '../../lab/net/state.ts';
import { whyNoLab } from '../../lab/requirements.ts';
import { buildTopology, TOPOLOGIES } from '../../lab/topologies/build.ts';
import { addressOf, SWITCH } from '../../lab/topologies/topology.ts';
import { processesOf, remainsOf } from './remains.ts';

const reason = whyNoLab();
const { dsr, nat } = TOPOLOGIES;

describe.skipIf(reason !== undefined)(`networks${reason ? `: ${reason}` : ''}`, () => {
  const labs: Lab[] = [];

  async function build(topology: typeof dsr): Promise<Lab> {
    const lab = await buildTopology(topology);
    labs.push(lab);
    return lab;
  }

  async function pings(lab: Lab, from: string, address: string): Promise<boolean> {
    const argv = ['ping', '-c1', '-W1', address];
    return (await lab.exec(from, argv, { onFailure: 'return' })).exitCode === 0;
  }

  afterEach(async () => {
    await Promise.all(labs.splice(0).map((lab) => lab.close()));
  });

  it('dsr: every host reaches every other by its own address', async () => {
    const lab = await build(dsr);
    for (const from of dsr.hosts) {
      for (const to of dsr.hosts) expect(await pings(lab, from.name, addressOf(to))).toBe(true);
    }
  });

  it('dsr: the reals have the VIP and do not answer ARP for it', async () => {
    const lab = await build(dsr);
    for (const real of ['r1', 'r2', 'r3']) expect(await pings(lab, real, dsr.vip)).toBe(true);
    expect(await pings(lab, 'client', dsr.vip)).toBe(false);
    const { stdout } = await lab.exec('client', ['ip', 'neigh', 'show', dsr.vip]);
    expect(stdout).toMatch(/INCOMPLETE|FAILED/);
  });

  it('nat: the director keeps outside and inside apart, and nobody has the VIP', async () => {
    const lab = await build(nat);
    expect(await pings(lab, 'client', '198.51.100.2')).toBe(true);
    expect(await pings(lab, 'director', '10.77.0.12')).toBe(true);
    expect(await pings(lab, 'r1', '10.77.0.13')).toBe(true);
    expect(await pings(lab, 'r1', '198.51.100.10')).toBe(false);
    expect(await pings(lab, 'client', nat.vip)).toBe(false);
    const route = await lab.exec('r1', ['ip', 'route', 'get', '198.51.100.10']);
    expect(route.stdout).toContain('via 10.77.0.1 dev eth0');
  });

  it('gives every arm its name and its readable MAC address', async () => {
    const lab = await build(nat);
    const { stdout } = await lab.exec('director', ['ip', '-br', 'link']);
    expect(stdout).toMatch(/^eth0@\S+ +UP +02:00:00:00:01:02/m);
    expect(stdout).toMatch(/^eth1@\S+ +UP +02:00:00:00:02:01/m);
    const ports = await lab.exec(SWITCH, ['ip', '-br', 'link', 'show', 'master', 'inside']);
    expect(ports.stdout).toMatch(/^director-eth1@/m);
  });

  it('serves names and files by nginx, the same bytes on every real', async () => {
    const lab = await build(dsr);
    await Promise.all(['r1', 'r3'].map((real) => startNginx(lab, real)));
    for (const [real, address] of [
      ['r1', '192.0.2.11'],
      ['r3', '192.0.2.13'],
    ]) {
      const name = await curl(lab, { host: 'client', url: `http://${address}/` });
      expect(name).toMatchObject({ ok: true, real, bytes: 3, remote: `${address}:80` });
      for (const [file, bytes] of Object.entries(WEB_FILES)) {
        const answer = await curl(lab, { host: 'client', url: `http://${address}/${file}` });
        const sha256 = createHash('sha256').update(webFileContent(bytes)).digest('hex');
        expect(answer).toMatchObject({ ok: true, real, bytes, sha256 });
      }
    }
    const refused = await curl(lab, { host: 'client', url: 'http://192.0.2.12/' });
    expect(refused).toMatchObject({ ok: false, status: 0 });
    expect(refused.error).toContain('connect');
  });

  it('says why a server did not start', async () => {
    const lab = await build(dsr);
    await expect(startIperf3(lab, 'r1', '192.0.2.99')).rejects.toThrow(
      /iperf3 on r1 to listen on port 5201 of 192.0.2.99, but iperf3-server-192.0.2.99 on r1 ended/,
    );
  });

  it('switches offloads off and on', async () => {
    const lab = await build(dsr);
    const features = async () => (await lab.exec('r1', ['ethtool', '-k', 'eth0'])).stdout;
    expect(await features()).toMatch(/tcp-segmentation-offload: on/);
    await setOffloads(lab, 'r1', 'eth0', 'off');
    expect(await features()).toMatch(/tx-checksumming: off/);
    expect(await features()).toMatch(/tcp-segmentation-offload: off/);
    await setOffloads(lab, 'r1', 'eth0', 'on');
    expect(await features()).toMatch(/tcp-segmentation-offload: on/);
  });

  it('lets two labs of the same addresses stand side by side', async () => {
    const [one, two] = [await build(dsr), await build(dsr)];
    expect(one.id).not.toBe(two.id);
    await startNginx(one, 'r1');
    expect(await pings(two, 'client', '192.0.2.11')).toBe(true);
    const url = 'http://192.0.2.11/';
    expect(await curl(one, { host: 'client', url })).toMatchObject({ ok: true });
    expect(await curl(two, { host: 'client', url })).toMatchObject({ ok: false });
    await one.close();
    expect(await pings(two, 'client', '192.0.2.11')).toBe(true);
  });

  it('tells of itself in its state file, and leaves nothing after its end', async () => {
    const lab = await build(nat);
    const nginx = await startNginx(lab, 'r1');
    const stubborn = lab.spawn('client', {
      name: 'stubborn',
      argv: ['sh', '-c', 'trap "" TERM; sleep 1000 & wait'],
    });
    const state = readState(lab.id)!;
    expect(state).toMatchObject({ title: 'nat', ownerPid: process.pid, directory: lab.directory });
    expect(state.hosts.find((host) => host.name === 'director')?.addresses).toEqual([
      'eth0 198.51.100.2',
      'eth1 10.77.0.1',
    ]);
    const pids = await processesOf(lab.id);
    expect(pids).toContain(nginx.pid);
    expect(pids).toContain(stubborn.pid);
    await Promise.all([lab.close(), lab.close()]);
    await lab.close();
    const known = { id: lab.id, directory: lab.directory, pids };
    expect(remainsOf(known)).toEqual([]);
  });

  it('shows the command, its exit code and its words when one fails', async () => {
    const lab = await build(dsr);
    await expect(lab.exec('r1', ['ip', 'link', 'show', 'eth7'])).rejects.toThrow(
      /netns exec fw\d+-\d+-r1 ip link show eth7: exit code 1: .*does not exist/,
    );
    await expect(lab.exec('r9', ['true'])).rejects.toThrow(/has no host r9; it has switch, client/);
  });
});

// VLAN tags in the lab: a frame leaves with the tag that it came with, and a trunk's VLANs are arms
// of the director by their sub-interfaces, beside the trunk's own untagged network. The captures
// are taken on the switch, where tags are in the frames.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { startRecorder } from '../../lab/capture/record.ts';
import { curl } from '../../lab/hosts/curl.ts';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { runIperf3, startIperf3 } from '../../lab/hosts/iperf3.ts';
import { startNginx, WEB_FILES } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { readPcap } from '../../lab/pcap/read-pcap.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR } from '../../lab/topologies/dsr.ts';
import {
  addressOf,
  hostNamed,
  realsOf,
  SWITCH,
  switchPort,
} from '../../lab/topologies/topology.ts';

const reason = whyNoLab(ALL_PROGRAMS);
const [VIP, NAT_VIP] = [DSR.vip, '10.10.0.100'];
const REALS = realsOf(DSR).map((real) => ({ name: real.name, address: addressOf(real) }));
/** Priority 5, no VLAN; see the egress map of eth0.0. */
const PRIORITY_TAG = 0x8100_a000;
const macOf = (host: string) => hostNamed(DSR, host).arms[0]!.mac;

function config(socket: string): string {
  const web = { port: 80, protocol: 'tcp', scheduler: 'rr' };
  const iperf = { port: 5201, protocol: 'tcp', scheduler: 'sh' };
  const dsr = { vip: VIP, method: 'dsr', reals: REALS };
  const nat = { vip: NAT_VIP, method: 'nat', reals: ['10.20.0.11', '10.20.0.12'] };
  return stringify({
    ...{ interfaces: ['eth0', 'eth0.10', 'eth0.20'], socket },
    services: {
      'dsr-web': { ...dsr, ...web },
      'dsr-iperf': { ...dsr, ...iperf },
      'nat-web': { ...nat, ...web },
      'nat-iperf': { ...nat, ...iperf },
    },
  });
}

/** Lines for a sub-interface of eth0. */
const subInterface = (vlan: number, address: string, more = '') => [
  `link add link eth0 name eth0.${vlan} type vlan id ${vlan} ${more}`,
  `address add ${address} dev eth0.${vlan}`,
  `link set eth0.${vlan} up`,
];

describe.skipIf(reason !== undefined)(`VLAN tags ${reason ?? ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-vlan-'));
  let lab: Lab;
  let director: Director;

  beforeAll(async () => {
    lab = await buildTopology(DSR);
    await lab.ip('director', [
      ...subInterface(10, '10.10.0.2/24'),
      ...subInterface(20, '10.20.0.1/24'),
    ]);
    await lab.ip('client', [
      // The client speaks to the untagged network with priority tags alone.
      'address del 192.0.2.10/24 dev eth0',
      ...subInterface(0, '192.0.2.10/24', 'egress-qos-map 0:5'),
      ...subInterface(10, '10.10.0.10/24'),
    ]);
    for (const [index, { name }] of REALS.entries()) {
      await lab.ip(name, [
        ...subInterface(20, `10.20.0.${11 + index}/24`),
        'route add default via 10.20.0.1',
      ]);
      await startNginx(lab, name);
      await startIperf3(lab, name, '0.0.0.0');
    }
    director = await startDirectorWith(lab, DSR, config);
  });
  afterAll(async () => {
    await lab?.close();
    rmSync(directory, { recursive: true });
  });

  /** What came to a host while `task` ran, by what the switch sent to it. */
  async function framesTo(host: string, task: () => Promise<void>): Promise<Uint8Array[]> {
    const recorder = await startRecorder({
      ...{ namespace: lab.namespaceOf(SWITCH), interface: switchPort(host, 'eth0') },
      ...{ file: join(directory, `${host}.pcap`), filter: 'ether[0] & 1 = 0' },
    });
    await task();
    const report = await recorder.stop();
    const { frames } = await readPcap(report.file);
    const mac = macOf(host);
    const isFor = (bytes: Uint8Array) =>
      Buffer.from(bytes.subarray(0, 6)).toString('hex') === mac.replaceAll(':', '');
    return frames.map(({ bytes }) => bytes).filter(isFor);
  }

  it('keeps priority tags by DSR, small frames and bulk', async () => {
    const frames = await framesTo('r1', async () => {
      for (let round = 0; round < 3; round++) {
        const answer = await curl(lab, { host: 'client', url: `http://${VIP}/1MiB` });
        expect(answer).toMatchObject({ ok: true, bytes: WEB_FILES['1MiB'] });
      }
      const bulk = { host: 'client', address: VIP, bytes: 20_000_000, seconds: 20 };
      expect((await runIperf3(lab, bulk)).receivedBytes).toBeGreaterThan(10_000_000);
    });
    const fromDirector = frames.filter(
      (bytes) =>
        Buffer.from(bytes.subarray(6, 12)).toString('hex') ===
        macOf('director').replaceAll(':', ''),
    );
    const tags = fromDirector.map((bytes) =>
      new DataView(bytes.buffer, bytes.byteOffset).getUint32(12),
    );
    const ofClient = tags.filter((tag) => tag === PRIORITY_TAG);
    expect(ofClient.length).toBeGreaterThan(3);
    // Beside them only what the director asks itself: ARP.
    expect(tags.filter((tag) => tag >>> 16 !== 0x0806 && tag !== PRIORITY_TAG)).toEqual([]);
  });

  it('answers a ping with the tag that it came with', async () => {
    const frames = await framesTo('client', async () => {
      const ping = await lab.exec('client', ['ping', '-c2', '-i0.2', VIP]);
      expect(ping.stdout).toContain(' 0% packet loss');
    });
    const echoes = frames.filter((bytes) => bytes[12] === 0x81);
    expect(echoes.length).toBeGreaterThanOrEqual(2);
  });

  it('directs from one VLAN of a trunk to another by NAT', async () => {
    for (let round = 0; round < 2; round++) {
      const answer = await curl(lab, { host: 'client', url: `http://${NAT_VIP}/1MiB` });
      expect(answer).toMatchObject({ ok: true, bytes: WEB_FILES['1MiB'] });
    }
    for (const direction of ['upload', 'download'] as const) {
      const bulk = { host: 'client', address: NAT_VIP, direction, seconds: 1 };
      expect((await runIperf3(lab, bulk)).receivedBytes).toBeGreaterThan(1_000_000);
    }
  });

  it('saw no frame twice, on the trunk and on its sub-interface', async () => {
    const { drops, arms, services } = await director.status();
    expect(drops).toEqual({});
    expect(arms.map(({ name }) => name)).toEqual(['eth0', 'eth0.10', 'eth0.20']);
    const opened = Object.fromEntries(services.map((row) => [row.name, row.openedFlows]));
    expect(opened).toMatchObject({ 'dsr-web': 3, 'nat-web': 2 });
  });
});

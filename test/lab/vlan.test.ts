// VLAN tags in the lab, by scapy: whatever a tagged frame becomes, or is answered with, leaves with
// the same tag. The captures are taken on the switch, where tags are in the frames. Sub-interfaces
// as arms need a kernel that has them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { startRecorder } from '../../lab/capture/record.ts';
import { curl } from '../../lab/hosts/curl.ts';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { runIperf3, startIperf3 } from '../../lab/hosts/iperf3.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
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
import { until } from '../../lab/wait.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'scapy']);
const [VIP, NAT_VIP] = [DSR.vip, '192.0.2.101'];
const REALS = realsOf(DSR).map((real) => ({ name: real.name, address: addressOf(real) }));
const hexMac = (host: string) => hostNamed(DSR, host).arms[0]!.mac.replaceAll(':', '');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function config(socket: string): string {
  const web = { port: 80, protocol: 'tcp', scheduler: 'rr' };
  return stringify({
    ...{ interfaces: ['eth0'], socket },
    services: {
      dsr: { ...web, vip: VIP, method: 'dsr', reals: [REALS[0]!] },
      nat: { ...web, vip: NAT_VIP, method: 'nat', reals: [REALS[1]!] },
    },
  });
}

describe.skipIf(reason !== undefined)(`VLAN tags ${reason ?? ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-vlan-'));
  let lab: Lab;
  let director: Director;

  beforeAll(async () => {
    lab = await buildTopology(DSR);
    director = await startDirectorWith(lab, DSR, config);
  });
  afterAll(async () => {
    await lab?.close();
    rmSync(directory, { recursive: true });
  });

  /** The bytes behind the addresses of what the director sends to a host after these frames. */
  async function sentTo(host: string, ...frames: string[]): Promise<string[]> {
    const file = join(directory, `${host}.pcap`);
    const recorder = await startRecorder({
      ...{ namespace: lab.namespaceOf(SWITCH), interface: switchPort(host, 'eth0'), file },
    });
    const script = [
      'from scapy.all import *',
      `conf.verb = 0; conf.iface = "eth0"; E = Ether(dst="${hostNamed(DSR, 'director').arms[0]!.mac}")`,
      `B = Ether(dst="ff:ff:ff:ff:ff:ff"); T = lambda v, p: Dot1Q(vlan=v, prio=p)`,
      `VIP = "${VIP}"; NAT = "${NAT_VIP}"`,
      ...frames.map((frame) => `sendp(${frame})`),
    ];
    await lab.exec('client', ['/usr/bin/python3', '-c', script.join('\n')]);
    const found = async () => {
      const captured = (await readPcap(file)).frames.map(({ bytes }) => hex(bytes));
      return captured.filter((text) => text.startsWith(hexMac(host) + hexMac('director')));
    };
    await until('the frames to be recorded', async () => (await found()).length >= frames.length);
    await recorder.stop();
    return (await found()).map((text) => text.slice(24));
  }

  it.each([
    ['priority 5 without a VLAN', 'T(0, 5)', '8100a000'],
    ['VLAN 7', 'T(7, 0)', '81000007'],
  ])('are kept: %s', async (_, tag, bytes) => {
    const [dsr] = await sentTo('r1', `E/${tag}/IP(dst=VIP)/TCP(sport=4000,dport=80,flags="S")`);
    expect(dsr?.slice(0, 12)).toBe(`${bytes}0800`);
    const [nat] = await sentTo('r2', `E/${tag}/IP(dst=NAT)/TCP(sport=4001,dport=80,flags="S")`);
    expect(nat?.slice(0, 12)).toBe(`${bytes}0800`);
    const answers = await sentTo(
      'client',
      `B/${tag}/ARP(pdst=VIP)`,
      `E/${tag}/IP(dst=VIP)/ICMP()/"ping"`,
      `E/${tag}/IP(dst=NAT,ttl=1)/TCP(sport=4002,dport=80,flags="S")`,
    );
    expect(answers.map((text) => text.slice(0, 12)).sort()).toEqual(
      [`${bytes}0800`, `${bytes}0800`, `${bytes}0806`].sort(),
    );
  });

  it('are no reason to drop anything', async () => {
    expect((await director.status()).drops).toEqual({ 'ttl-expired': 2 });
  });
});

/** The reason that there can be no sub-interfaces, or undefined. */
function whyNoVlan(): string | undefined {
  const name = `fwt-vlan-${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return 'skipped: no namespaces here';
  spawnSync('ip', ['-n', name, 'link', 'add', 'p', 'type', 'veth', 'peer', 'name', 'q']);
  const add = ['link', 'add', 'link', 'p', 'name', 'p.5', 'type', 'vlan', 'id', '5'];
  const { status } = spawnSync('ip', ['-n', name, ...add]);
  spawnSync('ip', ['netns', 'del', name]);
  return status === 0 ? undefined : 'skipped: this kernel has no VLAN interfaces (VLAN_8021Q)';
}

const subReason = reason ?? whyNoVlan();

describe.skipIf(subReason !== undefined)(`sub-interfaces as arms ${subReason ?? ''}`, () => {
  const TRUNK_VIP = '10.10.0.100';
  let lab: Lab;
  let director: Director;
  const subInterface = (vlan: number, address: string) => [
    `link add link eth0 name eth0.${vlan} type vlan id ${vlan}`,
    `address add ${address} dev eth0.${vlan}`,
    `link set eth0.${vlan} up`,
  ];

  beforeAll(async () => {
    lab = await buildTopology(DSR);
    const arms = [...subInterface(10, '10.10.0.2/24'), ...subInterface(20, '10.20.0.1/24')];
    await lab.ip('director', arms);
    await lab.ip('client', subInterface(10, '10.10.0.10/24'));
    await lab.ip('r1', [...subInterface(20, '10.20.0.11/24'), 'route add default via 10.20.0.1']);
    await startNginx(lab, 'r1');
    await startIperf3(lab, 'r1', '0.0.0.0');
    const service = { vip: TRUNK_VIP, method: 'nat', reals: ['10.20.0.11'] };
    director = await startDirectorWith(lab, DSR, (socket) =>
      stringify({
        ...{ interfaces: ['eth0', 'eth0.10', 'eth0.20'], socket },
        services: { web: { ...service, port: 80 }, iperf: { ...service, port: 5201 } },
      }),
    );
  });
  afterAll(() => lab?.close());

  it('lead from one VLAN of a trunk to another, and no frame comes twice', async () => {
    expect(await curl(lab, { host: 'client', url: `http://${TRUNK_VIP}/` })).toMatchObject({
      ok: true,
    });
    const bulk = { host: 'client', address: TRUNK_VIP, seconds: 1 };
    expect((await runIperf3(lab, bulk)).receivedBytes).toBeGreaterThan(1_000_000);
    const { drops, services } = await director.status();
    expect(drops).toEqual({});
    expect(services.find(({ name }) => name === 'web')?.openedFlows).toBe(1);
  });
});

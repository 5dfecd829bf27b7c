// The bench's test bed: client, director and one real, cabled without a switch, so that a packet
// pays for nothing but the path under test. The same bed serves furiwake and its kernel peers; a
// path is set up, measured and taken away again.
import { type Director, startDirector } from '../hosts/director.ts';
import { Lab } from '../net/lab.ts';
import { addCable, setSysctls } from '../net/links.ts';
import { type Host, IPERF_PORT, type Topology, WEB_PORT } from '../topologies/topology.ts';

export const CLIENT = { address: '198.51.100.1', mac: '02:00:00:00:01:01' } as const;
export const OUTSIDE = { address: '198.51.100.2', mac: '02:00:00:00:01:02' } as const;
export const INSIDE = { address: '203.0.113.2', mac: '02:00:00:00:02:02' } as const;
export const REAL = { address: '203.0.113.1', mac: '02:00:00:00:02:01' } as const;
export const VIP = '198.51.100.100';

export const DIRECTOR_CORE = '1';

/** With `tc` the director's flow cache is on. */
type OwnPath = 'furiwake dsr' | 'furiwake nat' | 'furiwake dsr tc' | 'furiwake nat tc';
export type Path = OwnPath | 'nft dnat' | 'nft fwd' | 'routing';

export interface Bed {
  readonly lab: Lab;
  /** Sets a path up; the returned function takes it away and tells what the director used. */
  open(path: Path): Promise<() => Promise<void>>;
  /** The most resident memory that a director had when it was stopped, bytes. */
  residentBytes: number;
}

export async function buildBed(): Promise<Bed> {
  const lab = new Lab({ title: 'bench' });
  await lab.addHosts(['client', 'director', 'r1']);
  for (const host of lab.hosts) {
    await setSysctls(lab, host, {
      'net.ipv4.conf.all.rp_filter': '0',
      'net.ipv4.conf.default.rp_filter': '0',
      'net.ipv4.conf.all.send_redirects': '0',
      'net.ipv6.conf.all.disable_ipv6': '1',
      'net.ipv6.conf.default.disable_ipv6': '1',
    });
  }
  await addCable(
    lab,
    { host: 'client', interface: 'eth0', mac: CLIENT.mac },
    { host: 'director', interface: 'eth0', mac: OUTSIDE.mac },
  );
  await addCable(
    lab,
    { host: 'r1', interface: 'eth0', mac: REAL.mac },
    { host: 'director', interface: 'eth1', mac: INSIDE.mac },
  );
  await lab.ip('client', [
    `address add ${CLIENT.address}/24 dev eth0`,
    `route add default via ${OUTSIDE.address}`,
  ]);
  await lab.ip('director', [
    `address add ${OUTSIDE.address}/24 dev eth0`,
    `address add ${INSIDE.address}/24 dev eth1`,
  ]);
  await lab.ip('r1', [
    `address add ${REAL.address}/24 dev eth0`,
    `address add ${VIP}/32 dev lo`,
    `route add default via ${INSIDE.address}`,
  ]);
  await setSysctls(lab, 'r1', {
    'net.ipv4.conf.all.arp_ignore': '1',
    'net.ipv4.conf.all.arp_announce': '2',
  });
  const bed: Bed = { lab, residentBytes: 0, open: (path) => openPath(bed, path) };
  return bed;
}

function openPath(bed: Bed, path: Path): Promise<() => Promise<void>> {
  const [, method, cache] = /^furiwake (dsr|nat)( tc)?$/.exec(path) ?? [];
  if (method === 'dsr' || method === 'nat') {
    return openFuriwake(bed, method, cache === undefined ? 'ring' : 'tc');
  }
  if (path === 'routing') return openKernel(bed, '');
  return openKernel(bed, path === 'nft dnat' ? DNAT_RULES : FWD_RULES);
}

async function openFuriwake(
  bed: Bed,
  method: 'dsr' | 'nat',
  datapath: 'ring' | 'tc',
): Promise<() => Promise<void>> {
  const { lab } = bed;
  const director: Director = await startDirector(lab, topologyFor(method), { datapath });
  await lab.exec('director', [
    'taskset',
    '-a',
    '-p',
    '-c',
    DIRECTOR_CORE,
    `${director.daemon.pid}`,
  ]);
  return async () => {
    bed.residentBytes = Math.max(bed.residentBytes, (await director.status()).residentBytes);
    await director.stop();
  };
}

/** DNAT as the nftables wiki has it: conntrack carries the replies. */
const DNAT_RULES = `table ip bench {
  chain prerouting {
    type nat hook prerouting priority dstnat
    ip daddr ${VIP} dnat to ${REAL.address}
  }
}
`;

/** DSR as the nftables wiki has it: rewrite at netdev ingress and forward to the port. */
const FWD_RULES = `table netdev bench {
  chain ingress {
    type filter hook ingress device "eth0" priority 0
    ip daddr ${VIP} ether saddr set ${INSIDE.mac} ether daddr set ${REAL.mac} fwd to "eth1"
  }
}
`;

/** The director's own kernel does the work, by these rules. */
async function openKernel(bed: Bed, rules: string): Promise<() => Promise<void>> {
  const { lab } = bed;
  await setSysctls(lab, 'director', { 'net.ipv4.ip_forward': '1' });
  // The client must find the VIP by ARP.
  await lab.ip('director', [`address add ${VIP}/32 dev eth0`]);
  await lab.exec('director', ['nft', '-f', '-'], { input: rules });
  return async () => {
    await lab.exec('director', ['nft', 'flush', 'ruleset']);
    await lab.ip('director', [`address delete ${VIP}/32 dev eth0`]);
    await setSysctls(lab, 'director', { 'net.ipv4.ip_forward': '0' });
  };
}

export function topologyFor(method: 'dsr' | 'nat'): Topology {
  const director: Host = {
    name: 'director',
    role: 'director',
    arms: [
      { name: 'eth0', segment: 'outside', prefixLength: 24, ...OUTSIDE },
      { name: 'eth1', segment: 'inside', prefixLength: 24, ...INSIDE },
    ],
    gateway: null,
    loopback: [],
    sysctls: {},
  };
  const real: Host = {
    name: 'r1',
    role: 'real',
    arms: [{ name: 'eth0', segment: 'inside', prefixLength: 24, ...REAL }],
    gateway: INSIDE.address,
    loopback: [VIP],
    sysctls: {},
  };
  return {
    name: method,
    summary: 'client, director and one real, cabled directly',
    method,
    vip: VIP,
    segments: [],
    hosts: [director, real],
    services: [
      { name: 'udp', port: WEB_PORT, protocol: 'udp', scheduler: 'maglev' },
      { name: 'iperf-tcp', port: IPERF_PORT, protocol: 'tcp', scheduler: 'maglev' },
    ],
  };
}

// A client that is far away, and networks of different MTUs on its way and behind the director:
// what path MTU discovery, traceroute and fragments need to show anything. One director, four
// VIPs:
//
//   client -- home -- edge -- middle (1400) -- core -- outside --+-- r1 r2 (DSR, VIP on lo)
//                                                                |
//                                             director eth0 -----+
//                                             director eth1 ------- inside (9000) --+-- r3 (NAT)
//                                                                                   |
//                                                  r4 (NAT) -- deep (1300) -- inner-+
//
// r3 is reached by fullnat too, by a VIP of its own.
//
// Both ends of each way announce longer segments than it can carry (`advmss`), as they do where
// nobody clamps them: the only help is an ICMP error that finds its way. r4 is no neighbour of the
// director; the router `inner` answers ARP for it. The director's own kernel forwards too, and
// knows the way to the client: what the guard leaves to it must do no harm.
import { stringify } from 'yaml';
import type { DatapathName } from '../../src/config/config.ts';
import { type Host, type HostArm, IPERF_PORT, macFor, type Network, WEB_PORT } from './topology.ts';

export const FAR_DSR_VIP = '198.51.100.100';
export const FAR_NAT_VIP = '198.51.100.101';
export const DEEP_NAT_VIP = '198.51.100.102';
export const FAR_FULLNAT_VIP = '198.51.100.103';
/** Of r3's network, and nobody's. */
export const FAR_POOL = '10.77.0.200';
export const NARROW_MTU = 1400;
/** Narrower still, so that the way to r4 is found out behind the director. */
export const DEEP_MTU = 1300;

const SEGMENTS = {
  home: { number: 1, mtu: 1500 },
  middle: { number: 2, mtu: NARROW_MTU },
  outside: { number: 3, mtu: 1500 },
  inside: { number: 4, mtu: 9000 },
  deep: { number: 5, mtu: DEEP_MTU },
} as const;

function arm(name: 'eth0' | 'eth1', segment: keyof typeof SEGMENTS, address: string): HostArm {
  const { number, mtu } = SEGMENTS[segment];
  return { name, segment, address, prefixLength: 24, mac: macFor(number, address), mtu };
}

const PLAIN = { gateway: null, loopback: [], sysctls: {} } as const;
/** A traceroute asks each router three times at once, more often than Linux answers by itself. */
const FORWARDING = { 'net.ipv4.ip_forward': '1', 'net.ipv4.icmp_ratelimit': '0' };
const QUIET_VIP = { 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' };

function router(name: string, arms: readonly HostArm[], gateway: string, more = {}): Host {
  const sysctls = { ...FORWARDING, ...more };
  return { ...PLAIN, name, role: 'router', arms, gateway, sysctls };
}

function real(name: string, own: HostArm, gateway: string, vip?: string): Host {
  const loopback = vip === undefined ? [] : [vip];
  const sysctls = vip === undefined ? {} : QUIET_VIP;
  return { name, role: 'real', arms: [own], gateway, loopback, sysctls };
}

export const FAR_CLIENT: Network = {
  name: 'far-client',
  segments: [
    { name: 'home', subnet: '203.0.113.0/24' },
    { name: 'middle', subnet: '100.64.0.0/24' },
    { name: 'outside', subnet: '198.51.100.0/24' },
    { name: 'inside', subnet: '10.77.0.0/24' },
    { name: 'deep', subnet: '10.88.0.0/24' },
  ],
  hosts: [
    {
      ...{ ...PLAIN, name: 'client', role: 'client' },
      arms: [arm('eth0', 'home', '203.0.113.10')],
      gateway: '203.0.113.1 advmss 8960',
    },
    router(
      'edge',
      [arm('eth0', 'home', '203.0.113.1'), arm('eth1', 'middle', '100.64.0.1')],
      '100.64.0.2',
    ),
    router(
      'core',
      [arm('eth0', 'middle', '100.64.0.2'), arm('eth1', 'outside', '198.51.100.1')],
      '100.64.0.1',
    ),
    {
      ...{ ...PLAIN, name: 'director', role: 'director', gateway: '198.51.100.1' },
      arms: [arm('eth0', 'outside', '198.51.100.2'), arm('eth1', 'inside', '10.77.0.1')],
      sysctls: FORWARDING,
    },
    router(
      'inner',
      [arm('eth0', 'inside', '10.77.0.2'), arm('eth1', 'deep', '10.88.0.1')],
      '10.77.0.1',
      { 'net.ipv4.conf.default.proxy_arp': '1', 'net.ipv4.neigh.default.proxy_delay': '0' },
    ),
    real('r1', arm('eth0', 'outside', '198.51.100.11'), '198.51.100.1', FAR_DSR_VIP),
    real('r2', arm('eth0', 'outside', '198.51.100.12'), '198.51.100.1', FAR_DSR_VIP),
    real('r3', arm('eth0', 'inside', '10.77.0.13'), '10.77.0.1'),
    real('r4', arm('eth0', 'deep', '10.88.0.14'), '10.88.0.1 advmss 1460'),
  ],
};

/** The director's configuration: web and iperf3 on each VIP. */
export function farClientConfig(socket: string, datapath: DatapathName): string {
  const groups = [
    { name: 'dsr', vip: FAR_DSR_VIP, method: 'dsr', reals: ['198.51.100.11', '198.51.100.12'] },
    { name: 'nat', vip: FAR_NAT_VIP, method: 'nat', reals: ['10.77.0.13'] },
    { name: 'fullnat', vip: FAR_FULLNAT_VIP, method: 'fullnat', reals: ['10.77.0.13'] },
    {
      ...{ name: 'deep', vip: DEEP_NAT_VIP, method: 'nat' },
      reals: [{ address: '10.88.0.14', interface: 'eth1' }],
    },
  ];
  const kinds = [
    { name: 'web', port: WEB_PORT, protocol: 'tcp', scheduler: 'rr' },
    { name: 'iperf-tcp', port: IPERF_PORT, protocol: 'tcp', scheduler: 'sh' },
    { name: 'iperf-udp', port: IPERF_PORT, protocol: 'udp', scheduler: 'sh' },
  ];
  const services = groups.flatMap(({ name: group, ...where }) =>
    kinds.map(({ name, ...kind }) => [`${group}-${name}`, { ...where, ...kind }]),
  );
  const config = {
    ...{ interfaces: ['eth0', 'eth1'], datapath, socket, sourcePool: { addresses: [FAR_POOL] } },
    services: Object.fromEntries(services),
  };
  const comment = '# The director of a client that is far away.\n';
  return comment + stringify(config, { aliasDuplicateObjects: false });
}

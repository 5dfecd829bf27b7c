// A client that is far away, over IPv6, where no router cuts a packet and each says by Packet Too
// Big what it can carry (RFC 8201). One director, three VIPs:
//
//   client -- home -- edge -- middle (1400) -- core -- outside --+-- r1 r2 (DSR, VIP on lo)
//                                                                |
//                                             director eth0 -----+
//                                             director eth1 ------- inside (9000) -- r3 (NAT)
//
// r3 is reached by fullnat too. As in far-client, both ends announce longer segments than the way
// carries.
import { stringify } from 'yaml';
import type { DatapathName } from '../../src/config/config.ts';
import { type Host, type HostArm, IPERF_PORT, macFor, type Network, WEB_PORT } from './topology.ts';

export const FAR6_DSR_VIP = '2001:db8:3::99';
export const FAR6_NAT_VIP = '2001:db8:3::98';
export const FAR6_FULLNAT_VIP = '2001:db8:3::97';
/** Of r3's network, and nobody's. */
export const FAR6_POOL = '2001:db8:4::200';
export const NARROW_MTU6 = 1400;

const SEGMENTS = {
  home: { number: 1, mtu: 1500 },
  middle: { number: 2, mtu: NARROW_MTU6 },
  outside: { number: 3, mtu: 1500 },
  inside: { number: 4, mtu: 9000 },
} as const;

function arm(name: 'eth0' | 'eth1', segment: keyof typeof SEGMENTS, last: string): HostArm {
  const { number, mtu } = SEGMENTS[segment];
  const address = `2001:db8:${number}::${last}`;
  return { name, segment, address, prefixLength: 64, mac: macFor(number, address), mtu };
}

const PLAIN = { gateway: null, loopback: [], sysctls: {} } as const;
const FORWARDING = { 'net.ipv6.conf.all.forwarding': '1', 'net.ipv6.icmp.ratelimit': '0' };

const router = (name: string, arms: readonly HostArm[], gateway: string): Host => ({
  ...{ ...PLAIN, name, role: 'router', arms, gateway, sysctls: FORWARDING },
});

const real = (name: string, own: HostArm, gateway: string, vip?: string): Host => ({
  ...{ ...PLAIN, name, role: 'real', arms: [own], gateway, loopback: vip ? [vip] : [] },
});

export const FAR_CLIENT6: Network = {
  name: 'far-client6',
  segments: Object.entries(SEGMENTS).map(([name, { number }]) => ({
    name,
    subnet: `2001:db8:${number}::/64`,
  })),
  hosts: [
    {
      ...{ ...PLAIN, name: 'client', role: 'client' },
      arms: [arm('eth0', 'home', '10')],
      gateway: '2001:db8:1::1 advmss 8940',
    },
    router('edge', [arm('eth0', 'home', '1'), arm('eth1', 'middle', '1')], '2001:db8:2::2'),
    router('core', [arm('eth0', 'middle', '2'), arm('eth1', 'outside', '1')], '2001:db8:2::1'),
    {
      ...{ ...PLAIN, name: 'director', role: 'director', gateway: '2001:db8:3::1' },
      arms: [arm('eth0', 'outside', '2'), arm('eth1', 'inside', '1')],
    },
    real('r1', arm('eth0', 'outside', '11'), '2001:db8:3::1', FAR6_DSR_VIP),
    real('r2', arm('eth0', 'outside', '12'), '2001:db8:3::1', FAR6_DSR_VIP),
    real('r3', arm('eth0', 'inside', '13'), '2001:db8:4::1'),
  ],
};

/** The director's configuration: web and iperf3 on each VIP. */
export function farClient6Config(socket: string, datapath: DatapathName): string {
  const groups = [
    {
      ...{ name: 'dsr', vip: FAR6_DSR_VIP, method: 'dsr' },
      reals: ['2001:db8:3::11', '2001:db8:3::12'],
    },
    { name: 'nat', vip: FAR6_NAT_VIP, method: 'nat', reals: ['2001:db8:4::13'] },
    { name: 'fullnat', vip: FAR6_FULLNAT_VIP, method: 'fullnat', reals: ['2001:db8:4::13'] },
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
    ...{ interfaces: ['eth0', 'eth1'], datapath, socket, sourcePool: { addresses: [FAR6_POOL] } },
    services: Object.fromEntries(services),
  };
  const comment = '# The director of a client that is far away, over IPv6.\n';
  return comment + stringify(config, { aliasDuplicateObjects: false });
}

// Reals in other subnets, which only a tunnel reaches: the way there is routed, and one part of it
// is narrower than all others. They answer the client themselves, past the director.
//
//   client -- home -- edge --+-- outside (1500) --+-- director
//                            |                    |
//            r1 -- east -- hub-east               |
//            r2 -- west (1400) -- hub-west -------+
//
// No kernel here needs a tunnel device: the reals run `furiwake decap`. r1's router is named in the
// configuration, r2's is found by the director host's own route. r2 announces longer segments than
// its network can carry (`advmss`): the only help is an ICMP error that finds its way.
import { stringify } from 'yaml';
import { type Host, type HostArm, IPERF_PORT, macFor, type Network, WEB_PORT } from './topology.ts';

export const IPIP_VIP = '198.51.100.100';
export const GUE_VIP = '198.51.100.101';
export const WEST_MTU = 1400;
/** The route that the director's host has to r2. */
export const WEST_ROUTE = '10.32.0.0/24 via 198.51.100.4';

const SEGMENTS = {
  home: { number: 1, mtu: 1500 },
  outside: { number: 2, mtu: 1500 },
  east: { number: 3, mtu: 1500 },
  west: { number: 4, mtu: WEST_MTU },
} as const;

function arm(name: 'eth0' | 'eth1', segment: keyof typeof SEGMENTS, address: string): HostArm {
  const { number, mtu } = SEGMENTS[segment];
  return { name, segment, address, prefixLength: 24, mac: macFor(number, address), mtu };
}

const FORWARDING = { 'net.ipv4.ip_forward': '1', 'net.ipv4.icmp_ratelimit': '0' };

function router(name: string, arms: readonly HostArm[], gateway: string | null): Host {
  return { name, role: 'router', arms, gateway, loopback: [], sysctls: FORWARDING };
}

/** A strict reverse-path filter lets the tunnel's packets pass, and what comes out by `lo`. */
function real(name: string, own: HostArm, gateway: string): Host {
  const sysctls = { 'net.ipv4.conf.all.rp_filter': '1', 'net.ipv4.conf.default.rp_filter': '1' };
  return { name, role: 'real', arms: [own], gateway, loopback: [IPIP_VIP, GUE_VIP], sysctls };
}

export const TUNNEL: Network = {
  name: 'tunnel',
  segments: [
    { name: 'home', subnet: '203.0.113.0/24' },
    { name: 'outside', subnet: '198.51.100.0/24' },
    { name: 'east', subnet: '10.31.0.0/24' },
    { name: 'west', subnet: '10.32.0.0/24' },
  ],
  hosts: [
    {
      ...{ name: 'client', role: 'client', gateway: '203.0.113.1', loopback: [], sysctls: {} },
      arms: [arm('eth0', 'home', '203.0.113.10')],
    },
    router(
      'edge',
      [arm('eth0', 'home', '203.0.113.1'), arm('eth1', 'outside', '198.51.100.1')],
      null,
    ),
    {
      ...{ name: 'director', role: 'director', gateway: '198.51.100.1', loopback: [] },
      ...{ arms: [arm('eth0', 'outside', '198.51.100.2')], sysctls: {} },
    },
    router(
      'hub-east',
      [arm('eth0', 'outside', '198.51.100.3'), arm('eth1', 'east', '10.31.0.1')],
      '198.51.100.1',
    ),
    router(
      'hub-west',
      [arm('eth0', 'outside', '198.51.100.4'), arm('eth1', 'west', '10.32.0.1')],
      '198.51.100.1',
    ),
    real('r1', arm('eth0', 'east', '10.31.0.11'), '10.31.0.1'),
    real('r2', arm('eth0', 'west', '10.32.0.12'), '10.32.0.1 advmss 1460'),
  ],
};

/** The director's configuration: web on both reals, iperf3 behind the narrow network alone. */
export function tunnelConfig(socket: string, datapath: 'ring' | 'cap'): string {
  const reals = [{ address: '10.31.0.11', gateway: '198.51.100.3' }, '10.32.0.12'];
  const kinds = [
    { name: 'web', port: WEB_PORT, protocol: 'tcp', scheduler: 'rr', reals },
    { name: 'iperf', port: IPERF_PORT, protocol: ['tcp', 'udp'], reals: reals.slice(1) },
  ];
  const services = (['ipip', 'gue'] as const).flatMap((method) =>
    kinds.map(({ name, ...kind }) => [
      `${method}-${name}`,
      { vip: method === 'ipip' ? IPIP_VIP : GUE_VIP, method, ...kind },
    ]),
  );
  const config = {
    ...{ interfaces: ['eth0'], datapath, socket },
    services: Object.fromEntries(services),
  };
  return `# The director of reals in other subnets.\n${stringify(config, { aliasDuplicateObjects: false })}`;
}

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
import type { DatapathName } from '../../src/config/config.ts';
import { type Host, type HostArm, IPERF_PORT, macFor, type Network, WEB_PORT } from './topology.ts';

export const WEST_MTU = 1400;

const SEGMENTS = {
  home: { number: 1, mtu: 1500, network: ['203.0.113.', '2001:db8:1::'] },
  outside: { number: 2, mtu: 1500, network: ['198.51.100.', '2001:db8:2::'] },
  east: { number: 3, mtu: 1500, network: ['10.31.0.', '2001:db8:31::'] },
  west: { number: 4, mtu: WEST_MTU, network: ['10.32.0.', '2001:db8:32::'] },
} as const;
type Name = keyof typeof SEGMENTS;

const FORWARDING = {
  4: { 'net.ipv4.ip_forward': '1', 'net.ipv4.icmp_ratelimit': '0' },
  6: { 'net.ipv6.conf.all.forwarding': '1', 'net.ipv6.icmp.ratelimit': '0' },
} as const;

export interface TunnelLab {
  readonly network: Network;
  /** VIPs of both methods. */
  readonly vips: { readonly ipip: string; readonly gue: string };
  /** The route that the director's host has to r2. */
  readonly westRoute: string;
  /** Of the reals, and of the routers that lead to them. */
  readonly reals: readonly [string, string];
  readonly routers: readonly [string, string];
}

/** The network in one family. */
export function tunnelLab(family: 4 | 6): TunnelLab {
  const [place, prefixLength] = family === 4 ? ([0, 24] as const) : ([1, 64] as const);
  const at = (segment: Name, last: number) => `${SEGMENTS[segment].network[place]}${last}`;
  const subnet = (segment: Name) => `${at(segment, 0).replace('::0', '::')}/${prefixLength}`;
  const arm = (name: 'eth0' | 'eth1', segment: Name, last: number): HostArm => {
    const { number, mtu } = SEGMENTS[segment];
    const address = at(segment, last);
    return { name, segment, address, prefixLength, mac: macFor(number, address), mtu };
  };
  const router = (name: string, arms: readonly HostArm[], gateway: string | null): Host => ({
    ...{ name, role: 'router', arms, gateway, loopback: [], sysctls: FORWARDING[family] },
  });
  const vips = { ipip: at('outside', 100), gue: at('outside', 101) };
  /** A strict reverse-path filter lets the tunnel's packets pass, and what comes out by `lo`. */
  const real = (name: string, own: HostArm, gateway: string): Host => {
    const sysctls = { 'net.ipv4.conf.all.rp_filter': '1', 'net.ipv4.conf.default.rp_filter': '1' };
    const loopback = Object.values(vips);
    return { name, role: 'real', arms: [own], gateway, loopback, sysctls };
  };
  const edge = at('outside', 1);
  const longest = family === 4 ? 1460 : 1440;
  const hosts: Host[] = [
    {
      ...{ name: 'client', role: 'client', gateway: at('home', 1), loopback: [], sysctls: {} },
      arms: [arm('eth0', 'home', 10)],
    },
    router('edge', [arm('eth0', 'home', 1), arm('eth1', 'outside', 1)], null),
    {
      ...{ name: 'director', role: 'director', gateway: edge, loopback: [] },
      ...{ arms: [arm('eth0', 'outside', 2)], sysctls: {} },
    },
    router('hub-east', [arm('eth0', 'outside', 3), arm('eth1', 'east', 1)], edge),
    router('hub-west', [arm('eth0', 'outside', 4), arm('eth1', 'west', 1)], edge),
    real('r1', arm('eth0', 'east', 11), at('east', 1)),
    real('r2', arm('eth0', 'west', 12), `${at('west', 1)} advmss ${longest}`),
  ];
  const names = Object.keys(SEGMENTS) as Name[];
  const segments = names.map((name) => ({ name, subnet: subnet(name) }));
  return {
    network: { name: family === 4 ? 'tunnel' : 'tunnel6', segments, hosts },
    vips,
    westRoute: `${subnet('west')} via ${at('outside', 4)}`,
    reals: [at('east', 11), at('west', 12)],
    routers: [at('outside', 3), at('outside', 4)],
  };
}

/** The director's configuration: web on both reals, iperf3 behind the narrow network alone. */
export function tunnelConfig(
  { vips, reals: [near, far], routers }: TunnelLab,
  socket: string,
  datapath: DatapathName,
): string {
  const reals = [{ address: near, gateway: routers[0] }, far];
  const kinds = [
    { name: 'web', port: WEB_PORT, protocol: 'tcp', scheduler: 'rr', reals },
    { name: 'iperf', port: IPERF_PORT, protocol: ['tcp', 'udp'], reals: reals.slice(1) },
  ];
  const services = (['ipip', 'gue'] as const).flatMap((method) =>
    kinds.map(({ name, ...kind }) => [`${method}-${name}`, { vip: vips[method], method, ...kind }]),
  );
  const config = {
    ...{ interfaces: ['eth0'], datapath, socket },
    services: Object.fromEntries(services),
  };
  return `# The director of reals in other subnets.\n${stringify(config, { aliasDuplicateObjects: false })}`;
}

// Reals in a subnet of their own, which the director reaches by a tunnel through a router. They
// have the VIP on `lo` and answer the client themselves, by that router and past the director.
//
//   client --+-- outside --+-- hub -- inside -- r1 r2 r3
//            |             |
//            +-- director -+
//
// The networks behind the director carry 1,600 bytes, as whoever runs tunnels has it: the client's
// packets of 1,500 fit with what the tunnel puts ahead of them. No kernel here needs a tunnel
// device: the reals run `furiwake decap`.
import {
  type Host,
  type HostArm,
  macFor,
  SERVICES,
  type Topology,
  type TopologyName,
} from './topology.ts';

/** The addresses of one family. */
interface Plan {
  readonly prefixLength: number;
  /** Subnets outside and inside. */
  readonly subnets: readonly [string, string];
  readonly vip: string;
  readonly client: string;
  readonly director: string;
  /** Of the router, outside and inside. */
  readonly router: readonly [string, string];
  readonly reals: readonly string[];
  /** What makes it one. */
  readonly forwarding: Readonly<Record<string, string>>;
}

const IPV4: Plan = {
  ...{ prefixLength: 24, subnets: ['192.0.2.0/24', '10.31.0.0/24'], vip: '192.0.2.100' },
  ...{ client: '192.0.2.10', director: '192.0.2.2', router: ['192.0.2.3', '10.31.0.1'] },
  reals: ['10.31.0.11', '10.31.0.12', '10.31.0.13'],
  forwarding: { 'net.ipv4.ip_forward': '1' },
};

const IPV6: Plan = {
  ...{ prefixLength: 64, subnets: ['2001:db8::/64', '2001:db8:1::/64'], vip: '2001:db8::99' },
  ...{ client: '2001:db8::10', director: '2001:db8::2', router: ['2001:db8::3', '2001:db8:1::1'] },
  reals: ['2001:db8:1::11', '2001:db8:1::12', '2001:db8:1::13'],
  forwarding: { 'net.ipv6.conf.all.forwarding': '1' },
};

const TUNNEL_MTU = 1600;

function hostsOf({ prefixLength, vip, router, forwarding, ...plan }: Plan): Host[] {
  const outside = (address: string, mtu: number): HostArm => {
    const mac = macFor(1, address);
    return { name: 'eth0', segment: 'outside', address, prefixLength, mac, mtu };
  };
  const inside = (name: 'eth0' | 'eth1', address: string): HostArm => {
    const mac = macFor(2, address);
    return { name, segment: 'inside', address, prefixLength, mac, mtu: TUNNEL_MTU };
  };
  const [outer, inner] = router;
  return [
    {
      ...{ name: 'client', role: 'client', gateway: null, loopback: [], sysctls: {} },
      arms: [outside(plan.client, 1500)],
    },
    {
      ...{ name: 'director', role: 'director', gateway: outer, loopback: [], sysctls: {} },
      arms: [outside(plan.director, TUNNEL_MTU)],
    },
    {
      ...{ name: 'hub', role: 'router', gateway: null, loopback: [], sysctls: forwarding },
      arms: [outside(outer, TUNNEL_MTU), inside('eth1', inner)],
    },
    ...plan.reals.map((address, index): Host => {
      const arms = [inside('eth0', address)];
      const name = `r${index + 1}`;
      return { name, role: 'real', arms, gateway: inner, loopback: [vip], sysctls: {} };
    }),
  ];
}

function behind(name: TopologyName, method: 'ipip' | 'gue', plan: Plan, summary: string): Topology {
  const [outside, inside] = plan.subnets;
  return {
    ...{ name, method, summary, vip: plan.vip, services: SERVICES, hosts: hostsOf(plan) },
    segments: [
      { name: 'outside', subnet: outside },
      { name: 'inside', subnet: inside },
    ],
  };
}

export const IPIP = behind(
  'ipip',
  'ipip',
  IPV4,
  'reals behind a router, by tunnels of IP in IP; they answer the client directly',
);
export const GUE = behind('gue', 'gue', IPV4, 'like ipip, by tunnels of UDP');
export const IPIP6 = behind('ipip6', 'ipip', IPV6, 'like ipip, over IPv6');
export const GUE6 = behind('gue6', 'gue', IPV6, 'like gue, over IPv6');

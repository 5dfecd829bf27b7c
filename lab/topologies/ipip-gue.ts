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
import { type Host, type HostArm, macFor, SERVICES, type Topology } from './topology.ts';

const VIP = '192.0.2.100';
const OUTER_ROUTER = '192.0.2.3';
const INNER_ROUTER = '10.31.0.1';
const TUNNEL_MTU = 1600;

function outside(address: string, mtu: number): HostArm {
  const mac = macFor(1, address);
  return { name: 'eth0', segment: 'outside', address, prefixLength: 24, mac, mtu };
}

function inside(name: 'eth0' | 'eth1', address: string): HostArm {
  const mac = macFor(2, address);
  return { name, segment: 'inside', address, prefixLength: 24, mac, mtu: TUNNEL_MTU };
}

function real(name: string, address: string): Host {
  const arms = [inside('eth0', address)];
  return { name, role: 'real', arms, gateway: INNER_ROUTER, loopback: [VIP], sysctls: {} };
}

const CLIENT: Host = {
  ...{ name: 'client', role: 'client', gateway: null, loopback: [], sysctls: {} },
  arms: [outside('192.0.2.10', 1500)],
};

const DIRECTOR: Host = {
  ...{ name: 'director', role: 'director', gateway: OUTER_ROUTER, loopback: [], sysctls: {} },
  arms: [outside('192.0.2.2', TUNNEL_MTU)],
};

const ROUTER: Host = {
  ...{ name: 'hub', role: 'router', gateway: null, loopback: [] },
  arms: [outside(OUTER_ROUTER, TUNNEL_MTU), inside('eth1', INNER_ROUTER)],
  sysctls: { 'net.ipv4.ip_forward': '1' },
};

function behind(method: 'ipip' | 'gue', summary: string): Topology {
  return {
    ...{ name: method, method, summary, vip: VIP, services: SERVICES },
    segments: [
      { name: 'outside', subnet: '192.0.2.0/24' },
      { name: 'inside', subnet: '10.31.0.0/24' },
    ],
    hosts: [
      CLIENT,
      DIRECTOR,
      ROUTER,
      real('r1', '10.31.0.11'),
      real('r2', '10.31.0.12'),
      real('r3', '10.31.0.13'),
    ],
  };
}

export const IPIP = behind(
  'ipip',
  'reals behind a router, by tunnels of IP in IP; they answer the client directly',
);
export const GUE = behind('gue', 'like ipip, by tunnels of UDP');

// Reals in another subnet than the director, which only a tunnel or a router reaches: where this
// project's tunnels are compared. Client and director share an Ethernet; a router leads to the
// reals, and from them to the client. The reals have the VIP on `lo`, where nobody can ask for it
// by ARP, and tell clients by `advmss` to send no more than fits into a tunnel.
import {
  type Host,
  type HostArm,
  macFor,
  SERVICES,
  type Topology,
} from '../../topologies/topology.ts';

const VIP = '198.51.100.100';
const NEAR_ROUTER = '198.51.100.3';
const FAR_ROUTER = '10.31.0.1';
/** 1,500 bytes less the headers of gue (32), IP and TCP (40). */
const SEGMENT_BYTES = 1428;

/** The router on the director's Ethernet that leads to the reals. */
export const ROUTER_TO_REALS = NEAR_ROUTER;

function arm(name: 'eth0' | 'eth1', segment: 'outside' | 'far', address: string): HostArm {
  const mac = macFor(segment === 'outside' ? 1 : 2, address);
  return { name, segment, address, prefixLength: 24, mac };
}

function real(name: string, address: string): Host {
  return {
    ...{ name, role: 'real', arms: [arm('eth0', 'far', address)], loopback: [VIP], sysctls: {} },
    gateway: `${FAR_ROUTER} advmss ${SEGMENT_BYTES}`,
  };
}

export const OTHER_SUBNET: Topology = {
  name: 'dsr',
  summary: 'the reals stand in another subnet and answer the client by a router',
  method: 'dsr',
  vip: VIP,
  segments: [
    { name: 'outside', subnet: '198.51.100.0/24' },
    { name: 'far', subnet: '10.31.0.0/24' },
  ],
  hosts: [
    {
      ...{ name: 'client', role: 'client', gateway: null, loopback: [], sysctls: {} },
      arms: [arm('eth0', 'outside', '198.51.100.10')],
    },
    {
      ...{ name: 'director', role: 'director', gateway: NEAR_ROUTER, loopback: [], sysctls: {} },
      arms: [arm('eth0', 'outside', '198.51.100.2')],
    },
    {
      ...{ name: 'router', role: 'router', gateway: null, loopback: [] },
      arms: [arm('eth0', 'outside', NEAR_ROUTER), arm('eth1', 'far', FAR_ROUTER)],
      sysctls: { 'net.ipv4.ip_forward': '1' },
    },
    real('r1', '10.31.0.11'),
    real('r2', '10.31.0.12'),
    real('r3', '10.31.0.13'),
  ],
  services: SERVICES,
};

// Two arms: the client outside, the reals inside, the director between them. The director changes
// addresses and ports both ways, so every reply must pass it again: it is the reals' default route.
// The VIP is an address of the outside subnet that no interface has; the director answers for it.
import { type Host, type HostArm, macFor, SERVICES, type Topology } from './topology.ts';

const VIP = '198.51.100.100';
const GATEWAY = '10.77.0.1';

function outside(address: string): HostArm {
  const mac = macFor(1, address);
  return { name: 'eth0', segment: 'outside', address, prefixLength: 24, mac };
}

function inside(name: 'eth0' | 'eth1', address: string): HostArm {
  return { name, segment: 'inside', address, prefixLength: 24, mac: macFor(2, address) };
}

function plain(role: 'client' | 'director', arms: readonly HostArm[]): Host {
  return { name: role, role, arms, gateway: null, loopback: [], sysctls: {} };
}

function real(name: string, address: string): Host {
  const arms = [inside('eth0', address)];
  return { name, role: 'real', arms, gateway: GATEWAY, loopback: [], sysctls: {} };
}

export const NAT: Topology = {
  name: 'nat',
  summary: 'two arms; the reals are inside and answer through the director, their default route',
  method: 'nat',
  vip: VIP,
  segments: [
    { name: 'outside', subnet: '198.51.100.0/24' },
    { name: 'inside', subnet: '10.77.0.0/24' },
  ],
  hosts: [
    plain('client', [outside('198.51.100.10')]),
    plain('director', [outside('198.51.100.2'), inside('eth1', GATEWAY)]),
    real('r1', '10.77.0.11'),
    real('r2', '10.77.0.12'),
    real('r3', '10.77.0.13'),
  ],
  services: SERVICES,
};

// The topology nat over IPv6, with unique local addresses inside. Few networks translate IPv6; who
// does it for a service keeps ports and addresses of his reals to himself.
import { type Host, type HostArm, macFor, SERVICES, type Topology } from './topology.ts';

const VIP = '2001:db8::99';
const GATEWAY = 'fd77::1';

function outside(address: string): HostArm {
  const mac = macFor(1, address);
  return { name: 'eth0', segment: 'outside', address, prefixLength: 64, mac };
}

function inside(name: 'eth0' | 'eth1', address: string): HostArm {
  return { name, segment: 'inside', address, prefixLength: 64, mac: macFor(2, address) };
}

function plain(role: 'client' | 'director', arms: readonly HostArm[]): Host {
  return { name: role, role, arms, gateway: null, loopback: [], sysctls: {} };
}

function real(name: string, address: string): Host {
  const arms = [inside('eth0', address)];
  return { name, role: 'real', arms, gateway: GATEWAY, loopback: [], sysctls: {} };
}

export const NAT6: Topology = {
  name: 'nat6',
  summary: 'like nat, over IPv6',
  method: 'nat',
  vip: VIP,
  segments: [
    { name: 'outside', subnet: '2001:db8::/64' },
    { name: 'inside', subnet: 'fd77::/64' },
  ],
  hosts: [
    plain('client', [outside('2001:db8::10')]),
    plain('director', [outside('2001:db8::2'), inside('eth1', GATEWAY)]),
    real('r1', 'fd77::11'),
    real('r2', 'fd77::12'),
    real('r3', 'fd77::13'),
  ],
  services: SERVICES,
};

// The topology dsr over IPv6. Each real has the VIP on `lo` too, and needs no sysctl to keep quiet
// about it: Linux answers a question for an address on the interface that has it alone, and asks
// with an address of that interface (net/ipv6/ndisc.c; native-notes/ndp-on-reals.md shows it).
import { type Host, type HostArm, macFor, SERVICES, type Topology } from './topology.ts';

const VIP = '2001:db8::99';
const SEGMENT = 'lan';

function host(name: string, role: Host['role'], address: string): Host {
  const mac = macFor(1, address);
  const arm: HostArm = { name: 'eth0', segment: SEGMENT, address, prefixLength: 64, mac };
  const loopback = role === 'real' ? [VIP] : [];
  return { name, role, arms: [arm], gateway: null, loopback, sysctls: {} };
}

export const DSR6: Topology = {
  name: 'dsr6',
  summary: 'like dsr, over IPv6',
  method: 'dsr',
  vip: VIP,
  segments: [{ name: SEGMENT, subnet: '2001:db8::/64' }],
  hosts: [
    host('client', 'client', '2001:db8::10'),
    host('director', 'director', '2001:db8::2'),
    host('r1', 'real', '2001:db8::11'),
    host('r2', 'real', '2001:db8::12'),
    host('r3', 'real', '2001:db8::13'),
  ],
  services: SERVICES,
};

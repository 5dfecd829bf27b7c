// One arm: client, director and reals on one Ethernet. The director changes MAC addresses alone, so
// each real must take packets for the VIP (it has it on `lo`) without ever saying so by ARP:
// arp_ignore=1 answers only for addresses of the asked interface, arp_announce=2 never asks with
// the VIP as sender (Linux, Documentation/networking/ip-sysctl.rst).
import { type Host, type HostArm, macFor, SERVICES, type Topology } from './topology.ts';

const VIP = '192.0.2.100';
const SEGMENT = 'lan';

function arm(address: string): HostArm {
  return { name: 'eth0', segment: SEGMENT, address, prefixLength: 24, mac: macFor(1, address) };
}

function plain(role: 'client' | 'director', address: string): Host {
  const arms = [arm(address)];
  return { name: role, role, arms, gateway: null, loopback: [], sysctls: {} };
}

function real(name: string, address: string): Host {
  return {
    name,
    role: 'real',
    arms: [arm(address)],
    gateway: null,
    loopback: [VIP],
    sysctls: { 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' },
  };
}

export const DSR: Topology = {
  name: 'dsr',
  summary: 'one arm; the reals have the VIP on lo and answer the client directly',
  method: 'dsr',
  vip: VIP,
  segments: [{ name: SEGMENT, subnet: '192.0.2.0/24' }],
  hosts: [
    plain('client', '192.0.2.10'),
    plain('director', '192.0.2.2'),
    real('r1', '192.0.2.11'),
    real('r2', '192.0.2.12'),
    real('r3', '192.0.2.13'),
  ],
  services: SERVICES,
};

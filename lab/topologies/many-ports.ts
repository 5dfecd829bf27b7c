// Several VIPs, a prefix of them, ports in lists and ranges, and SCTP: one director with a DSR real
// outside and two NAT reals inside, the client a neighbour outside.
import { stringify } from 'yaml';
import type { DatapathName } from '../../src/config/config.ts';
import { type Host, type HostArm, macFor, type Network } from './topology.ts';

/** Both are on the DSR real's `lo`. */
export const DSR_VIPS = ['198.51.100.100', '198.51.100.101'] as const;
/** All ports of 16 addresses go to r2, but port 80 of one of them to port 8080 of r3. */
export const PREFIX = '198.51.100.128/28';
export const EXACT_VIP = '198.51.100.130';
export const SCTP_NAT_VIP = '198.51.100.102';
export const SCTP_PORT = 5000;

function arm(name: 'eth0' | 'eth1', segment: 'outside' | 'inside', address: string): HostArm {
  const mac = macFor(segment === 'outside' ? 1 : 2, address);
  return { name, segment, address, prefixLength: 24, mac };
}

const PLAIN = { gateway: null, loopback: [], sysctls: {} } as const;
const QUIET_VIP = { 'net.ipv4.conf.all.arp_ignore': '1', 'net.ipv4.conf.all.arp_announce': '2' };

const natReal = (name: string, address: string): Host => ({
  ...{ ...PLAIN, name, role: 'real', arms: [arm('eth0', 'inside', address)], gateway: '10.77.0.1' },
});

export const MANY_PORTS: Network = {
  name: 'many-ports',
  segments: [
    { name: 'outside', subnet: '198.51.100.0/24' },
    { name: 'inside', subnet: '10.77.0.0/24' },
  ],
  hosts: [
    { ...PLAIN, name: 'client', role: 'client', arms: [arm('eth0', 'outside', '198.51.100.10')] },
    {
      ...{ ...PLAIN, name: 'director', role: 'director' },
      arms: [arm('eth0', 'outside', '198.51.100.2'), arm('eth1', 'inside', '10.77.0.1')],
    },
    {
      ...{ ...PLAIN, name: 'r1', role: 'real', arms: [arm('eth0', 'outside', '198.51.100.11')] },
      ...{ loopback: DSR_VIPS, sysctls: QUIET_VIP },
    },
    natReal('r2', '10.77.0.12'),
    natReal('r3', '10.77.0.13'),
  ],
};

export function manyPortsConfig(socket: string, datapath: DatapathName): string {
  const r1 = { method: 'dsr', reals: ['198.51.100.11'] };
  const r2 = { method: 'nat', reals: ['10.77.0.12'] };
  const sctp = { protocol: 'sctp', port: SCTP_PORT };
  const services = {
    web: { vip: DSR_VIPS, port: [80, '8000-8010'], ...r1 },
    block: { vip: PREFIX, port: 'any', protocol: ['tcp', 'udp'], ...r2 },
    exact: {
      ...{ vip: EXACT_VIP, port: 80, method: 'nat' },
      reals: [{ address: '10.77.0.13', port: 8080 }],
    },
    'sctp-dsr': { ...sctp, vip: DSR_VIPS[0], ...r1 },
    'sctp-nat': { ...sctp, vip: SCTP_NAT_VIP, ...r2 },
  };
  return stringify({ interfaces: ['eth0', 'eth1'], datapath, socket, services });
}

// A prefix of IPv6 as VIPs, and SCTP over IPv6, on the networks of nat6: the outer one is the
// client's own, so it asks for each address of the prefix by NDP.
import { stringify } from 'yaml';
import type { DatapathName } from '../../src/config/config.ts';

/** All ports go to r1, but those of one address to r2. */
export const PREFIX6 = '2001:db8:0:0:5::/80';
export const EXACT_VIP6 = '2001:db8::5:0:0:7';
export const SCTP_VIP6 = '2001:db8::98';
export const SCTP_PORT6 = 5000;

export function manyPorts6Config(socket: string, datapath: DatapathName): string {
  const [one, other] = ['fd77::11', 'fd77::12'].map((real) => ({ method: 'nat', reals: [real] }));
  const services = {
    block: { vip: PREFIX6, port: 'any', protocol: ['tcp', 'udp'], ...one },
    exact: { vip: EXACT_VIP6, port: 80, ...other },
    diam: { vip: SCTP_VIP6, port: SCTP_PORT6, protocol: 'sctp', ...one },
  };
  return stringify({ interfaces: ['eth0', 'eth1'], datapath, socket, services });
}

// Builds a topology: hosts, switch, cables, addresses, routes. What a kernel would do on its own
// and blur the picture is off everywhere: forwarding, reverse-path filters, redirects, and IPv6
// where a host has no address of it.
import { Lab } from '../net/lab.ts';
import { addBridge, addCable, setOffloads, setSysctls } from '../net/links.ts';
import { DSR } from './dsr.ts';
import { DSR6 } from './dsr6.ts';
import { FULLNAT } from './fullnat.ts';
import { FULLNAT6 } from './fullnat6.ts';
import { GUE, GUE6, IPIP, IPIP6 } from './ipip-gue.ts';
import { NAT } from './nat.ts';
import { NAT6 } from './nat6.ts';
import {
  type Host,
  isIpv6,
  type Network,
  SWITCH,
  switchPort,
  type Topology,
  type TopologyName,
} from './topology.ts';

export const TOPOLOGIES: Readonly<Record<TopologyName, Topology>> = {
  dsr: DSR,
  nat: NAT,
  dsr6: DSR6,
  nat6: NAT6,
  fullnat: FULLNAT,
  fullnat6: FULLNAT6,
  ipip: IPIP,
  gue: GUE,
  ipip6: IPIP6,
  gue6: GUE6,
};

export const TOPOLOGY_NAMES = Object.keys(TOPOLOGIES) as readonly TopologyName[];

// Set before an interface exists: a new one takes over the defaults.
const QUIET: Readonly<Record<string, string>> = {
  'net.ipv4.ip_forward': '0',
  'net.ipv4.conf.all.rp_filter': '0',
  'net.ipv4.conf.default.rp_filter': '0',
  'net.ipv4.conf.all.send_redirects': '0',
  'net.ipv4.conf.default.send_redirects': '0',
  'net.ipv4.conf.all.accept_redirects': '0',
  'net.ipv4.conf.default.accept_redirects': '0',
  'net.ipv6.conf.all.disable_ipv6': '1',
  'net.ipv6.conf.default.disable_ipv6': '1',
  'net.bridge.bridge-nf-call-iptables': '0',
  'net.bridge.bridge-nf-call-arptables': '0',
};

/** Of a host with IPv6: addresses are good at once, and nobody else gives any. */
const WITH_IPV6: Readonly<Record<string, string>> = {
  'net.ipv6.conf.all.disable_ipv6': '0',
  'net.ipv6.conf.default.disable_ipv6': '0',
  'net.ipv6.conf.default.accept_dad': '0',
  'net.ipv6.conf.default.accept_ra': '0',
  'net.ipv6.conf.default.accept_redirects': '0',
  'net.ipv6.conf.default.router_solicitations': '0',
};

const DEFAULT_MTU = 1500;

export interface BuildOptions {
  /**
   * Offloads of all hosts. `off`: every frame is as it would be on a real wire, which captures and
   * the datapath `cap` need. `on` (unless given): 64 KiB frames and unfinished checksums, faster.
   */
  readonly offloads?: 'on' | 'off';
}

/** Builds `network` as a lab of its own; on failure nothing is left. */
export async function buildTopology(network: Network, options: BuildOptions = {}): Promise<Lab> {
  const lab = new Lab({ title: network.name });
  try {
    await lab.addHosts([SWITCH, ...network.hosts.map((host) => host.name)]);
    await setSysctls(lab, SWITCH, QUIET);
    for (const segment of network.segments) await addBridge(lab, SWITCH, segment.name);
    for (const host of network.hosts) await buildHost(lab, host);
    if (options.offloads === 'off') await switchOffloadsOff(lab, network);
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function buildHost(lab: Lab, host: Host): Promise<void> {
  const withIpv6 = host.arms.some((arm) => isIpv6(arm.address)) ? WITH_IPV6 : {};
  await setSysctls(lab, host.name, { ...QUIET, ...withIpv6, ...host.sysctls });
  for (const arm of host.arms) {
    const port = switchPort(host.name, arm.name);
    const plug = { host: host.name, interface: arm.name, mac: arm.mac };
    await addCable(lab, plug, { host: SWITCH, interface: port });
    await lab.ip(SWITCH, [`link set ${port} mtu ${arm.mtu ?? DEFAULT_MTU} master ${arm.segment}`]);
    await lab.ip(host.name, [`link set ${arm.name} mtu ${arm.mtu ?? DEFAULT_MTU}`]);
  }
  const lines = host.arms.map(
    (arm) => `address add ${arm.address}/${arm.prefixLength} dev ${arm.name}${atOnce(arm.address)}`,
  );
  for (const address of host.loopback) {
    lines.push(`address add ${address}/${isIpv6(address) ? 128 : 32} dev lo${atOnce(address)}`);
  }
  if (host.gateway !== null) lines.push(`route add default via ${host.gateway}`);
  await lab.ip(host.name, lines);
  const addresses = host.arms.map((arm) => `${arm.name} ${arm.address}`);
  lab.noteAddresses(host.name, [...addresses, ...host.loopback.map((vip) => `lo ${vip}`)]);
}

/** Without the look whether anybody else has the address (RFC 4862, 5.4). */
const atOnce = (address: string): string => (isIpv6(address) ? ' nodad' : '');

async function switchOffloadsOff(lab: Lab, network: Network): Promise<void> {
  for (const host of network.hosts) {
    for (const arm of host.arms) await setOffloads(lab, host.name, arm.name, 'off');
  }
}

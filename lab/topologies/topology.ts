// What a topology is, as data: hosts with their arms, addresses and routes, the segments between
// them, and what the director is configured to do. Building, drawing, the director's configuration
// and verification all read this one description.

/** One Ethernet: a bridge on the host `switch`. */
export interface Segment {
  /** Also the name of its bridge. */
  readonly name: string;
  /** For example `192.0.2.0/24` or `2001:db8::/64`. */
  readonly subnet: string;
}

/** An interface of a host, cabled to a segment. */
export interface HostArm {
  readonly name: 'eth0' | 'eth1';
  readonly segment: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly mac: string;
  /** Largest IP packet in bytes; 1,500 unless given. */
  readonly mtu?: number;
}

export interface Host {
  readonly name: string;
  readonly role: 'client' | 'director' | 'real' | 'router';
  readonly arms: readonly HostArm[];
  /** Next hop of the default route, or null without one. */
  readonly gateway: string | null;
  /** Addresses on `lo`, each alone in its prefix: the VIP on a real behind DSR. */
  readonly loopback: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
}

/** A service of the director; every real of the topology is behind each of them. */
export interface LabService {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly scheduler: 'rr' | 'wrr' | 'sh' | 'maglev';
}

/** Hosts and what connects them: all that building a lab takes. */
export interface Network {
  readonly name: string;
  readonly segments: readonly Segment[];
  readonly hosts: readonly Host[];
}

export const TOPOLOGY_NAMES = [
  ...(['dsr', 'nat', 'dsr6', 'nat6'] as const),
  ...(['fullnat', 'fullnat6', 'ipip', 'gue', 'ipip6', 'gue6'] as const),
] as const;

export type TopologyName = (typeof TOPOLOGY_NAMES)[number];

export type Method = 'dsr' | 'nat' | 'fullnat' | 'ipip' | 'gue';

export const isTunnel = (method: Method): boolean => method === 'ipip' || method === 'gue';

/** Whether the reals answer the client themselves, past the director. */
export const answersDirectly = (method: Method): boolean => method === 'dsr' || isTunnel(method);

/** As the configuration has it; `ports` is a range such as `20000-29999`. */
export interface SourcePool {
  readonly addresses: readonly string[];
  readonly ports: string;
}

export interface Topology extends Network {
  readonly name: TopologyName;
  /** One line for lists and help. */
  readonly summary: string;
  readonly method: Method;
  readonly vip: string;
  readonly services: readonly LabService[];
  /** Of fullnat: who the reals see as their client. */
  readonly sourcePool?: SourcePool;
}

/** The host that carries all bridges. */
export const SWITCH = 'switch';

/** Port of the web service. */
export const WEB_PORT = 80;
/** Port of iperf3; it talks TCP and UDP on it. */
export const IPERF_PORT = 5201;

/**
 * `rr` for the web, so that three requests reach three reals. iperf3 opens a control connection
 * and data connections, which must reach the same real: `sh` looks at the client's address alone.
 */
export const SERVICES: readonly LabService[] = [
  { name: 'web', port: WEB_PORT, protocol: 'tcp', scheduler: 'rr' },
  { name: 'iperf-tcp', port: IPERF_PORT, protocol: 'tcp', scheduler: 'sh' },
  { name: 'iperf-udp', port: IPERF_PORT, protocol: 'udp', scheduler: 'sh' },
];

export function hostNamed(network: Network, name: string): Host {
  const host = network.hosts.find((each) => each.name === name);
  if (host === undefined) {
    const names = network.hosts.map((each) => each.name).join(', ');
    throw new Error(`topology ${network.name} has no host ${name}; it has ${names}`);
  }
  return host;
}

export function directorOf(network: Network): Host {
  return network.hosts.find((host) => host.role === 'director')!;
}

export function clientOf(network: Network): Host {
  return network.hosts.find((host) => host.role === 'client')!;
}

export function realsOf(network: Network): readonly Host[] {
  return network.hosts.filter((host) => host.role === 'real');
}

/** The address that the director knows a host by: that of its first arm. */
export function addressOf(host: Host): string {
  return host.arms[0]!.address;
}

/**
 * The switch's end of a host's cable. A capture belongs there rather than on the director's own
 * arm: frames sent with PACKET_QDISC_BYPASS pass no tap on the interface they leave by.
 */
export function switchPort(host: string, arm: string): string {
  return `${host}-${arm}`;
}

/** MAC address that reads like the host: segment number, then the last part of its address. */
export function macFor(segmentNumber: number, address: string): string {
  const two = (value: string) => value.slice(-2).padStart(2, '0');
  return `02:00:00:00:${two(String(segmentNumber))}:${two(address.split(/[.:]/).at(-1)!)}`;
}

export const isIpv6 = (address: string): boolean => address.includes(':');

/** An address as URLs have it (RFC 3986, 3.2.2). */
export const inUrl = (address: string): string => (isIpv6(address) ? `[${address}]` : address);

/** What asks for the MAC address of an address. */
export const questionFor = (address: string): 'ARP' | 'NDP' => (isIpv6(address) ? 'NDP' : 'ARP');

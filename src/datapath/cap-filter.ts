// What the cap datapath asks of the kernel's socket filter, as text for libpcap: frames to the
// VIPs, frames from the reals, with those the ICMP errors of anybody (a router behind the director
// names neither), ARP and NDP; of these only what is for the arm's own MAC address or for
// all, as `cap` is always promiscuous, and nothing that the arm itself sent, as a capture sees that
// too. libpcap's own word for the last, `inbound`, loses the first frame: that one is filtered in
// user space, where its direction is not known.

/**
 * The kernel takes 4,096 instructions (BPF_MAXINSNS); libpcap makes two for each IPv4 address and
 * eight for each of IPv6.
 */
const MOST_ADDRESSES = 2000;
const IPV6_COUNTS = 4;

/** Destination unreachable, time exceeded, parameter problem. */
const ICMP_ERRORS = [3, 11, 12];
/** Destination unreachable, packet too big, time exceeded, parameter problem. */
const ICMPV6_ERRORS = [1, 2, 3, 4];
/** Neighbour solicitation and advertisement (RFC 4861). */
const NDP = [135, 136];

export interface CapFilterOptions {
  /** Addresses or prefixes of both families; frames to them are taken. */
  readonly vips: readonly string[];
  /** Frames from them are taken: under NAT, the replies. */
  readonly reals: readonly string[];
  /** MAC address of the arm, with colons. */
  readonly ownMac: string;
}

/**
 * The filter as pcap-filter(7) reads it. With more addresses than the kernel takes, every IP frame
 * to the arm comes in, and the director sorts them out.
 */
export function capFilter({ vips, reals, ownMac }: CapFilterOptions): string {
  const all = [...vips, ...reals];
  const counted = all.reduce((sum, address) => sum + (isIpv6(address) ? IPV6_COUNTS : 1), 0);
  const addresses = [
    ...vips.map(
      (address) => `${family(address)} dst ${address.includes('/') ? 'net' : 'host'} ${address}`,
    ),
    ...reals.map((address) => `${family(address)} src host ${address}`),
    ...(reals.every(isIpv6) ? [] : ICMP_ERRORS.map((type) => `icmp[0] == ${type}`)),
    ...(all.some(isIpv6) ? [icmpv6(reals.some(isIpv6) ? [...NDP, ...ICMPV6_ERRORS] : NDP)] : []),
  ];
  const wanted = ['arp', ...(counted <= MOST_ADDRESSES ? addresses : ['ip', 'ip6'])].join(' or ');
  const forUs = `not ether src ${ownMac} and (ether dst ${ownMac} or ether multicast)`;
  return `${forUs} and (${wanted})`;
}

const isIpv6 = (address: string): boolean => address.includes(':');
const family = (address: string): string => (isIpv6(address) ? 'ip6' : 'ip');

/** By offsets, since libpcap knows no ICMPv6 types before version 1.10. */
const icmpv6 = (types: readonly number[]): string =>
  `(ip6[6] == 58 and (${types.map((type) => `ip6[40] == ${type}`).join(' or ')}))`;

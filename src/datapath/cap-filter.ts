// What the cap datapath asks of the kernel's socket filter, as text for libpcap: frames to the
// VIPs, frames from the reals, with those the ICMP errors of anybody (a router behind the director
// names neither), and ARP; of these only what is for the arm's own MAC address or for
// all, as `cap` is always promiscuous, and nothing that the arm itself sent, as a capture sees that
// too. libpcap's own word for the last, `inbound`, loses the first frame: that one is filtered in
// user space, where its direction is not known.

/** The kernel takes 4,096 instructions (BPF_MAXINSNS); libpcap makes two for each address. */
const MOST_ADDRESSES = 2000;

/** Destination unreachable, time exceeded, parameter problem. */
const ICMP_ERRORS = [3, 11, 12];

export interface CapFilterOptions {
  /** Dotted IPv4 addresses; frames to them are taken. */
  readonly vips: readonly string[];
  /** Dotted IPv4 addresses; frames from them are taken: under NAT, the replies. */
  readonly reals: readonly string[];
  /** MAC address of the arm, with colons. */
  readonly ownMac: string;
}

/**
 * The filter as pcap-filter(7) reads it. With more addresses than the kernel takes, every IPv4
 * frame to the arm comes in, and the director sorts them out.
 */
export function capFilter({ vips, reals, ownMac }: CapFilterOptions): string {
  const few = vips.length + reals.length <= MOST_ADDRESSES;
  const addresses = [
    ...vips.map((address) => `ip dst host ${address}`),
    ...reals.map((address) => `ip src host ${address}`),
    ...(reals.length > 0 ? ICMP_ERRORS.map((type) => `icmp[0] == ${type}`) : []),
  ];
  const wanted = ['arp', ...(few ? addresses : ['ip'])].join(' or ');
  const forUs = `not ether src ${ownMac} and (ether dst ${ownMac} or ether multicast)`;
  return `${forUs} and (${wanted})`;
}

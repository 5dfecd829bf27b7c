// Every reason to drop a frame: one number, one name, one sentence. The numbers index counters in
// shared memory; the names appear in the CLI, in captures and in tests. Only append to this list.

/** Reasons in the order of their numbers; number 0 means "no reason: the frame is good". */
export const DROP_REASONS = [
  ['none', 'the frame is good'],
  ['ethernet-truncated', 'shorter than an Ethernet header'],
  ['arp-malformed', 'an ARP packet that is not 28 bytes of IPv4 over Ethernet'],
  ['ipv4-truncated', 'shorter than an IPv4 header'],
  ['ipv4-version', 'EtherType IPv4, but the version field is not 4'],
  ['ipv4-header-length', 'the IPv4 header length is below 20 bytes or beyond the frame'],
  ['ipv4-total-length', 'the IPv4 total length is below the header length or beyond the frame'],
  ['ipv4-checksum', 'the IPv4 header checksum is wrong'],
  ['fragment-malformed', 'a fragment with a torn header, out of place or too long'],
  ['tcp-truncated', 'shorter than a TCP header'],
  ['tcp-data-offset', 'the TCP data offset is below 20 bytes or beyond the packet'],
  ['udp-truncated', 'shorter than a UDP header'],
  ['udp-length', 'the UDP length is below 8 or beyond the packet'],
  ['icmp-truncated', 'shorter than an ICMP header'],
  ['icmp-type', 'an ICMP message to a VIP that is neither an echo request nor an error'],
  ['ip-protocol', 'an IP protocol to a VIP that no service can have'],
  ['no-service', 'no service has this VIP, port and protocol'],
  ['no-real', 'the service has no real that takes new flows; its client was told, but for a flood'],
  ['no-flow', 'not the first packet of a connection, and no flow knows it'],
  ['flow-table-full', 'a new flow, but the flow table is at its maximum'],
  ['real-unresolved', 'the MAC address of the chosen real is not known yet'],
  ['ttl-expired', 'NAT would have to forward with a TTL of 0'],
  ['link-down', 'the interface to send on is down'],
  ['send-failed', 'the kernel refused the frame'],
  ['flow-conflict', 'NAT: the same client port already reaches this real by another service'],
  ['fragment-timeout', 'a fragment that was held, but the first one of its packet did not come'],
  ['fragment-table-full', 'a fragment, and no room to remember its packet or to hold it'],
  ['icmp-checksum', 'an ICMP error whose checksum is wrong'],
  ['icmp-quote', 'an ICMP error that quotes no packet of TCP or UDP to its own receiver'],
  ['icmp-no-flow', 'an ICMP error about a packet of no known flow'],
  ['too-big', 'too long for the interface to send on, and not to be cut; its sender was told'],
  ['ipv6-truncated', 'shorter than an IPv6 header'],
  ['ipv6-version', 'EtherType IPv6, but the version field is not 6'],
  ['ipv6-length', 'the IPv6 payload length is beyond the frame, or that of a jumbogram'],
  ['ipv6-extension', 'IPv6 extension headers that leave the packet, or too many of them'],
  ['udp-no-checksum', 'UDP over IPv6 without a checksum (RFC 8200, 8.1)'],
  ['ndp-malformed', 'an IPv6 neighbour message against the rules, or from another link'],
  ['too-many-segments', 'a super-frame for a tunnel, of more segments than are made of one'],
  ['tunnel-error', 'an ICMP error about a packet of a tunnel, that has nothing to tell its client'],
  ['no-source-port', 'fullnat: all ports of the source pool that were looked at are in use'],
  ['sctp-truncated', 'shorter than an SCTP header and the head of a chunk'],
  ['sctp-chunk-length', 'the first SCTP chunk has a length below 4 or beyond the packet'],
  ['flow-reset', 'the last packet of a connection to a drained real; both sides got a RST'],
  [
    'source-denied',
    'a new flow of a client whom the service does not take, or of an address of no client',
  ],
  ['source-limited', 'a new flow of a client that has as many, or opens them as fast, as it may'],
] as const satisfies readonly (readonly [name: string, meaning: string])[];

export type DropReasonName = (typeof DROP_REASONS)[number][0];

/** The number of a reason, for code that drops: `DROP['no-service']`. */
export const DROP = Object.fromEntries(
  DROP_REASONS.map(([name], number) => [name, number]),
) as Readonly<Record<DropReasonName, number>>;

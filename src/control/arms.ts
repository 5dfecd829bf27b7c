// From the kernel's interfaces to arms. The kernel's routing table is not asked: an arm is an
// Ethernet segment, and every real is on one of them.
import type { Arm } from '../datapath/datapath.ts';
import type { NetworkInterface } from '../linux/interfaces.ts';
import { type Ipv6, type Mac, parseIpv4, parseIpv6, parseMac } from '../wire/address.ts';

/** The arm on an Ethernet interface. Of several addresses the first is the arm's own. */
export function armOf(found: NetworkInterface): Arm {
  const mac = parseMac(found.mac) ?? { high: 0, low: 0 };
  const own = found.addresses[0];
  const subnets6 = found.addresses6.flatMap(({ address, prefixLength }) => {
    const parsed = parseIpv6(address);
    return parsed === undefined ? [] : { address: parsed, prefixLength };
  });
  return {
    name: found.name,
    interfaceIndex: found.index,
    macHigh: mac.high,
    macLow: mac.low,
    address: own === undefined ? 0 : (parseIpv4(own.address) ?? 0),
    prefixLength: own?.prefixLength ?? 0,
    address6: subnets6[0]?.address ?? linkLocalOf(mac),
    prefixLength6: subnets6[0]?.prefixLength ?? 0,
    subnets6,
    mtu: found.mtu,
    vlans: found.vlans,
  };
}

/**
 * The link-local address that a MAC address makes (RFC 4291, appendix A): an interface on which the
 * kernel has no IPv6 still asks for its reals with it.
 */
function linkLocalOf({ high, low }: Mac): Ipv6 {
  return [
    0xfe80_0000 | 0,
    0,
    ((high ^ 0x0200_0000) & 0xffff_ff00) | 0xff,
    0xfe00_0000 | ((high & 0xff) << 16) | low,
  ];
}

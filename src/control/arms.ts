// From the kernel's interfaces to arms. The kernel's routing table is not asked: an arm is an
// Ethernet segment, and every real is on one of them.
import type { Arm } from '../datapath/datapath.ts';
import type { NetworkInterface } from '../linux/interfaces.ts';
import { parseIpv4, parseMac } from '../wire/address.ts';

/** The arm on an Ethernet interface. Of several addresses the first is the arm's own. */
export function armOf(found: NetworkInterface): Arm {
  const mac = parseMac(found.mac) ?? { high: 0, low: 0 };
  const own = found.addresses[0];
  return {
    name: found.name,
    interfaceIndex: found.index,
    macHigh: mac.high,
    macLow: mac.low,
    address: own === undefined ? 0 : (parseIpv4(own.address) ?? 0),
    prefixLength: own?.prefixLength ?? 0,
    mtu: found.mtu,
  };
}

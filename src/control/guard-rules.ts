// What the guard drops for a configuration: what the director handles, and nothing of the host's
// own. Of NAT it leaves later fragments of replies and ICMP errors about requests to the kernel
// too: no port is to be seen in them, and the client takes no notice of what the kernel makes of
// them.
import type { Config } from '../config/config.ts';
import { isIpv6Text } from '../config/endpoint.ts';
import type { GuardRules } from '../linux/guard.ts';
import type { InterfaceAddress } from '../linux/interfaces.ts';

/** @param local the addresses and ranges that the kernel takes for its own */
export function guardRules(config: Config, local: readonly InterfaceAddress[]): GuardRules {
  const replies = config.services
    .filter((service) => service.method === 'nat')
    .flatMap(({ protocol, reals }) =>
      reals.map(({ address, port }) => ({ address, protocol, port })),
    );
  // Loopback addresses never come from a wire.
  const own = local
    .filter(({ address }) => !address.startsWith('127.') && address !== '::1')
    .map(({ address, prefixLength }) =>
      prefixLength === (isIpv6Text(address) ? 128 : 32) ? address : `${address}/${prefixLength}`,
    );
  return { vips: config.services.map((service) => service.vip), replies, own };
}

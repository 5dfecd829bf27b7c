// What the guard drops for a configuration: what the director handles, and nothing of the host's
// own. Of NAT it leaves later fragments of replies and ICMP errors about requests to the kernel
// too: no port is to be seen in them, and the client takes no notice of what the kernel makes of
// them.
import { allReals, type Config, type ServiceConfig } from '../config/config.ts';
import { isIpv6Text } from '../config/endpoint.ts';
import { fixedBits, vipAround } from '../config/listening.ts';
import { comesBack } from '../director/table.ts';
import type { GuardedReal, GuardRules } from '../linux/guard.ts';
import type { InterfaceAddress } from '../linux/interfaces.ts';

/** @param local the addresses and ranges that the kernel takes for its own */
export function guardRules(config: Config, local: readonly InterfaceAddress[]): GuardRules {
  // Loopback addresses never come from a wire.
  const own = local
    .filter(({ address }) => !address.startsWith('127.') && address !== '::1')
    .map(({ address, prefixLength }) =>
      prefixLength === (isIpv6Text(address) ? 128 : 32) ? address : `${address}/${prefixLength}`,
    );
  const vips = config.services.flatMap((service) => service.vips);
  vips.push(...(config.sourcePool?.addresses ?? []));
  vips.push(...(config.retiredSources ?? []).map(({ address }) => address));
  const sources = config.tunnel?.sources ?? [];
  vips.push(...sources.flatMap((text) => vipAround(text, fixedBits(text) ?? 32) ?? []));
  return { vips, replies: replySources(config.services), own };
}

/** Where NAT reals answer from: ranges that do not overlap, for nft takes no others. */
function replySources(services: readonly ServiceConfig[]): GuardedReal[] {
  const ranges = new Map<string, GuardedReal[]>();
  for (const service of services) {
    const { protocols, ports } = service;
    for (const { address, port, method } of allReals(service)) {
      if (!comesBack(method)) continue;
      for (const protocol of protocols) {
        const key = `${address} ${protocol}`;
        const own = (port === 0 ? ports : [{ from: port, to: port }]).map((range) => ({
          ...{ address, protocol, ...range },
        }));
        ranges.set(key, [...(ranges.get(key) ?? []), ...own]);
      }
    }
  }
  return [...ranges.values()].flatMap(merged);
}

function merged(ranges: readonly GuardedReal[]): GuardedReal[] {
  const result: GuardedReal[] = [];
  for (const range of ranges.toSorted((one, other) => one.from - other.from)) {
    const last = result.at(-1);
    if (last === undefined || range.from > last.to) result.push(range);
    else result.splice(-1, 1, { ...last, to: Math.max(last.to, range.to) });
  }
  return result;
}

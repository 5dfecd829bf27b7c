// Rules for reals that are reached through routers and tunnels.
import { inSubnet } from '../wire/address.ts';
import { isIpv6Text } from './endpoint.ts';
import { parsePrefix } from './listening.ts';
import type { Finding } from './problem.ts';
import { VALUE_SCHEMAS } from './schema.ts';
import { good, isMapping, type Mapping, type ServiceSketch } from './sketch.ts';

/** @param services each with its sorry server among its reals */
export function findTunnelMisfits(data: Mapping, services: readonly ServiceSketch[]): Finding[] {
  const { tunnel, sourcePool: pool } = data;
  const sources = isMapping(tunnel) ? good(VALUE_SCHEMAS.prefix, tunnel.sources) : undefined;
  return [
    ...(sources === undefined ? [] : sourcesOfPool(sources, isMapping(pool) ? pool.addresses : [])),
    ...services.flatMap((service) => [
      ...misplacedGateways(service),
      ...tunnelsOfIpv6(service),
      ...(sources === undefined ? [] : takenSources(service, sources)),
    ]),
  ];
}

/** A router would route what DSR leaves as it is: back to the VIP. */
function misplacedGateways({ vips, reals }: ServiceSketch): Finding[] {
  const vip = vips[0]?.value;
  return reals.flatMap(({ path, gateway, method }): Finding[] => {
    if (gateway === undefined) return [];
    const place = { path: [...path, 'gateway'], at: 'value', found: gateway } as const;
    if (method === 'dsr') {
      const allowed = 'no gateway with method dsr, which reaches reals on its own segments only';
      return [
        { ...place, allowed, advice: 'methods ipip, gue, nat and fullnat go through routers' },
      ];
    }
    if (vip === undefined || isIpv6Text(gateway) === isIpv6Text(vip)) return [];
    return [{ ...place, allowed: `a router of the same family as the VIP ${vip}` }];
  });
}

function tunnelsOfIpv6(service: ServiceSketch): Finding[] {
  const vip = service.vips.find(({ value }) => isIpv6Text(value))?.value;
  const isTunnel = ({ method }: { readonly method: string | undefined }) =>
    method === 'ipip' || method === 'gue';
  const owner = isTunnel(service) ? service : service.reals.find(isTunnel);
  const method = owner?.method;
  if (owner === undefined || vip === undefined) return [];
  return [
    {
      path: [...owner.path, 'method'],
      at: 'value',
      found: `${method} with the IPv6 address ${vip}`,
      allowed: 'methods ipip and gue with a VIP of IPv4, or another method',
    },
  ];
}

/** The director answers for all sources of tunnels, so nobody else may have one of them. */
function takenSources(service: ServiceSketch, sources: string): Finding[] {
  const vips = service.vips.map(({ value }) => value);
  const all = [...vips, ...service.reals.flatMap((real) => [real.address, real.gateway])];
  const taken = all.filter((address) => overlap(sources, address));
  return [...new Set(taken)].map((address) => ({
    path: ['tunnel', 'sources'],
    at: 'value',
    found: `${sources}, which holds ${address} of service ${service.name}`,
    allowed: "a prefix without any VIP, real or gateway: it is the director's alone",
  }));
}

function sourcesOfPool(sources: string, listed: unknown): Finding[] {
  const addresses: readonly unknown[] = Array.isArray(listed) ? listed : [];
  const taken = addresses
    .map((address) => good(VALUE_SCHEMAS.address, address))
    .filter((address) => overlap(sources, address));
  return [...new Set(taken)].map((address) => ({
    path: ['tunnel', 'sources'],
    at: 'value',
    found: `${sources}, which holds ${address} of the sourcePool`,
    allowed: 'a prefix without any address of the sourcePool',
  }));
}

/** Whether two addresses or prefixes of IPv4 have an address in common. */
function overlap(text: string, other = ''): boolean {
  const [one, two] = [parsePrefix(text), parsePrefix(other)];
  if (one === undefined || two === undefined) return false;
  return inSubnet(one.address, two.address, Math.min(one.prefixLength, two.prefixLength));
}

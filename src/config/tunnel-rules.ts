// Rules for reals that are reached through routers and tunnels.
import { isIpv6Text } from './endpoint.ts';
import { holdsVip } from './listening.ts';
import type { Finding } from './problem.ts';
import { VALUE_SCHEMAS } from './schema.ts';
import {
  good,
  isMapping,
  type Mapping,
  type Placed,
  placed,
  type ServiceSketch,
} from './sketch.ts';

/** @param services each with its sorry server among its reals */
export function findTunnelMisfits(data: Mapping, services: readonly ServiceSketch[]): Finding[] {
  const { tunnel, sourcePool: pool } = data;
  const sources = placed(['tunnel', 'sources'], isMapping(tunnel) ? tunnel.sources : [], (text) =>
    good(VALUE_SCHEMAS.tunnelSource, text),
  );
  return [
    ...sources.slice(1).flatMap((source) => secondOfFamily(source, sources)),
    ...sources.flatMap((source) => sourcesOfPool(source, isMapping(pool) ? pool.addresses : [])),
    ...services.flatMap((service) => [
      ...misplacedGateways(service),
      ...sources.flatMap((source) => takenSources(service, source)),
    ]),
  ];
}

/** A flow's outer source is one of a prefix, and nobody says of which. */
function secondOfFamily(source: Placed<string>, all: readonly Placed<string>[]): Finding[] {
  const before = all
    .slice(0, all.indexOf(source))
    .find(({ value }) => isAlike(value, source.value));
  if (before === undefined) return [];
  const found = `${source.value} beside ${before.value}`;
  return [{ path: source.path, at: 'value', found, allowed: 'one prefix of each family' }];
}

const isAlike = (one: string, other: string): boolean => isIpv6Text(one) === isIpv6Text(other);

/** A router would route what DSR leaves as it is: back to the VIP. */
function misplacedGateways({ reals }: ServiceSketch): Finding[] {
  return reals.flatMap(({ path, address, gateway, method }): Finding[] => {
    if (gateway === undefined) return [];
    const place = { path: [...path, 'gateway'], at: 'value', found: gateway } as const;
    if (method === 'dsr') {
      const allowed = 'no gateway with method dsr, which reaches reals on its own segments only';
      return [
        { ...place, allowed, advice: 'methods ipip, gue, nat and fullnat go through routers' },
      ];
    }
    if (address === undefined || isAlike(gateway, address)) return [];
    return [{ ...place, allowed: `a router of the same family as the real ${address}` }];
  });
}

/** The director answers for all sources of tunnels, so nobody else may have one of them. */
function takenSources(service: ServiceSketch, { path, value }: Placed<string>): Finding[] {
  const vips = service.vips.map((vip) => vip.value);
  const all = [...vips, ...service.reals.flatMap((real) => [real.address, real.gateway])];
  const taken = all.filter((address) => overlap(value, address));
  return [...new Set(taken)].map((address) => ({
    path,
    at: 'value',
    found: `${value}, which holds ${address} of service ${service.name}`,
    allowed: "a prefix without any VIP, real or gateway: it is the director's alone",
  }));
}

function sourcesOfPool({ path, value }: Placed<string>, listed: unknown): Finding[] {
  const addresses: readonly unknown[] = Array.isArray(listed) ? listed : [];
  const taken = addresses
    .map((address) => good(VALUE_SCHEMAS.address, address))
    .filter((address) => overlap(value, address));
  return [...new Set(taken)].map((address) => ({
    path,
    at: 'value',
    found: `${value}, which holds ${address} of the sourcePool`,
    allowed: 'a prefix without any address of the sourcePool',
  }));
}

/** Whether two addresses or prefixes of one family have an address in common. */
const overlap = (text: string, other = ''): boolean =>
  holdsVip(text, other) || holdsVip(other, text);

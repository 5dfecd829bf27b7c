// The rules of what services listen on: no packet may be claimed by two of them with equal right,
// no list may say a thing twice, ports are mapped only where that can be done, and no real hides
// behind a VIP. They look at each entry once or twice, because a file may have 10,000 services.
import type { PortRange } from '../director/port-map.ts';
import { isIpv6Text } from './endpoint.ts';
import {
  fixedBits,
  formatPorts,
  formatService,
  holdsVip,
  onlyPort,
  vipAround,
} from './listening.ts';
import { type Finding, formatPath } from './problem.ts';
import type { Placed, ServiceSketch } from './sketch.ts';

/** @param withSorry the services again, each with its sorry server among its reals */
export function findMatchMisfits(
  services: readonly ServiceSketch[],
  withSorry: readonly ServiceSketch[],
): Finding[] {
  return [
    ...sharedPorts(services),
    ...realsThatAreVips(withSorry),
    ...services.flatMap(repeatedItems),
    ...withSorry.flatMap((service) => [
      ...mappedPorts(service),
      ...unfitForSctp(service),
      ...foreignFamilies(service),
    ]),
  ];
}

/** Ports of one service on one VIP; its path is that of the VIP. */
interface Claim extends PortRange {
  readonly vip: Placed<string>;
  readonly ports: Placed<PortRange>;
  readonly service: ServiceSketch;
  /** In the order of the file. */
  readonly index: number;
}

/** Equal claims to the same ports; but an exact port goes before a range, a range before any. */
function sharedPorts(services: readonly ServiceSketch[]): Finding[] {
  const groups = new Map<string, Claim[]>();
  for (const [index, service] of services.entries()) {
    for (const protocol of service.protocols) {
      for (const vip of service.vips) {
        for (const ports of service.ports) {
          const claim = { ...ports.value, vip, ports, service, index };
          const key = `${protocol.value} ${vip.value} ${rankOf(ports.value)}`;
          const group = groups.get(key);
          if (group === undefined) groups.set(key, [claim]);
          else group.push(claim);
        }
      }
    }
  }
  return [...groups].flatMap(([key, claims]) => overlaps(key.split(' ')[0] ?? '', claims));
}

function rankOf({ from, to }: PortRange): string {
  if (from === to) return 'port';
  return from === 0 ? 'any' : 'range';
}

function overlaps(protocol: string, claims: readonly Claim[]): Finding[] {
  const findings: Finding[] = [];
  let furthest: Claim | undefined;
  for (const claim of claims.toSorted((one, other) => one.from - other.from)) {
    if (furthest !== undefined && claim.from <= furthest.to && claim.service !== furthest.service) {
      const isLater = claim.index > furthest.index;
      findings.push(isLater ? clash(protocol, claim, furthest) : clash(protocol, furthest, claim));
    }
    if (furthest === undefined || claim.to > furthest.to) furthest = claim;
  }
  return findings;
}

function clash(protocol: string, later: Claim, earlier: Claim): Finding {
  const what = formatService({
    ...{ protocols: [protocol], vips: [later.vip.value], ports: [formatPorts(later)] },
  });
  const isSame = later.from === earlier.from && later.to === earlier.to;
  const whose = isSame
    ? `which service ${earlier.service.name} has already`
    : `which overlaps ${formatPorts(earlier)} of ${formatPath(earlier.ports.path)}`;
  return {
    path: later.vip.path,
    at: 'value',
    found: `${what}, ${whose}`,
    allowed: 'each VIP, port and protocol in one service',
  };
}

/** Things that one service says twice. */
function repeatedItems({ vips, ports, protocols }: ServiceSketch): Finding[] {
  return [
    ...repeated(vips, String, (one, other) => holdsVip(one, other) || holdsVip(other, one)),
    ...repeated(ports, formatPorts, (one, other) => one.from <= other.to && other.from <= one.to),
    ...repeated(protocols, String, (one, other) => one === other),
  ];
}

function repeated<T>(
  items: readonly Placed<T>[],
  format: (value: T) => string,
  overlap: (one: T, other: T) => boolean,
): Finding[] {
  return items.flatMap(({ path, value }, index): Finding[] => {
    const before = items.slice(0, index).find((other) => overlap(other.value, value));
    if (before === undefined) return [];
    const [one, other] = [format(value), format(before.value)];
    const found = one === other ? `${one} a second time` : `${one}, which overlaps ${other}`;
    return [{ path, at: 'value', found, allowed: 'each of the list once' }];
  });
}

/** Looked up by text, and for prefixes once more for each prefix length that there is. */
function realsThatAreVips(services: readonly ServiceSketch[]): Finding[] {
  const owners = new Map<string, ServiceSketch>();
  const lengths = new Set<number>();
  for (const service of services) {
    for (const { value: vip } of service.vips) {
      lengths.add(fixedBits(vip) ?? 32);
      if (!owners.has(vip)) owners.set(vip, service);
    }
  }
  const keysOf = (text: string): string[] =>
    [...lengths].flatMap((length) => vipAround(text, length) ?? []);
  return services.flatMap((service) =>
    service.reals.flatMap(({ path, address }): Finding[] => {
      const keys = address === undefined ? [] : keysOf(address);
      const own = service.vips.map(({ value }) => value);
      const key = keys.find((each) => own.includes(each)) ?? keys.find((each) => owners.has(each));
      const owner = key !== undefined && own.includes(key) ? service : owners.get(key ?? '');
      if (owner === undefined) return [];
      const whose = owner === service ? 'of its own service' : `of service ${owner.name}`;
      return [
        {
          path,
          at: 'value',
          found: `${address}, ${key === address ? 'the VIP' : `in the VIPs ${key}`} ${whose}`,
          allowed: "the real's own address",
          advice: 'the director answers for a VIP itself, so no frame could reach this real',
        },
      ];
    }),
  );
}

/** Methods whose packets reach the real as the client sent them. */
const UNCHANGED: Readonly<Record<string, string>> = {
  dsr: 'DSR cannot map ports; IPVS silently resets it, we refuse',
  ipip: 'a tunnel cannot map ports',
  gue: "a tunnel cannot map ports; the tunnel's own port is the key tunnel.port",
};

function mappedPorts(service: ServiceSketch): Finding[] {
  if (service.ports.length === 0) return [];
  const port = onlyPort(service.ports.map(({ value }) => value));
  const mapped = service.reals.filter(
    ({ ownPort, method }) =>
      ownPort !== undefined && ownPort !== port && method !== undefined && method in UNCHANGED,
  );
  return mapped.map(({ path, ownPort, method = '' }) => ({
    path: [...path, 'port'],
    at: 'value',
    found: `${ownPort}`,
    allowed:
      port === 0 ? 'no port, for the service has several' : `${port}, the port of the service`,
    advice: `${UNCHANGED[method]}. Methods nat and fullnat can map it`,
  }));
}

/** The CRC32c of SCTP covers the ports; a new one would have to be made of the whole packet. */
function unfitForSctp({ path, method, protocols, ports, reals }: ServiceSketch): Finding[] {
  if (!protocols.some(({ value }) => value === 'sctp')) return [];
  const port = onlyPort(ports.map(({ value }) => value));
  const mapped = reals.filter((real) => real.method === 'nat' && (real.ownPort ?? port) !== port);
  const findings = mapped.map(
    ({ path: real, ownPort }): Finding => ({
      path: [...real, 'port'],
      at: 'value',
      found: `${ownPort} with sctp`,
      allowed: port === 0 ? 'no port' : `${port}, the port of the service`,
      advice:
        'the director cannot map ports of SCTP: its checksum covers them and the whole packet',
    }),
  );
  const owners = [{ path, method }, ...reals.filter((real) => real.method !== method)];
  for (const { path: owner, method: asked } of owners) {
    if (asked === undefined || asked === 'dsr' || asked === 'nat') continue;
    const advice = 'other methods would have to make the checksum of SCTP anew';
    const found = `${asked} with sctp`;
    findings.push({ path: [...owner, 'method'], at: 'value', found, allowed: 'dsr, nat', advice });
  }
  return findings;
}

/** Between the families there is a tunnel, or translation, which is no balancing. */
function foreignFamilies({ vips, reals }: ServiceSketch): Finding[] {
  const vip = vips[0]?.value;
  if (vip === undefined) return [];
  const family = (address: string) => (isIpv6Text(address) ? 'IPv6' : 'IPv4');
  const allowed = `an ${family(vip)} address, like the VIP's`;
  const advice =
    'give each family a service of its own, with the same hosts as reals if need be; only methods ' +
    'ipip and gue reach a real of the other family';
  const strange = [
    ...vips.slice(1).map(({ path, value }) => ({ path, address: value, where: 'beside' })),
    ...reals
      .filter(({ method }) => method !== 'ipip' && method !== 'gue')
      .map(({ path, address }) => ({ path, address, where: 'behind' })),
  ];
  return strange.flatMap(({ path, address, where }): Finding[] => {
    if (address === undefined || isIpv6Text(address) === isIpv6Text(vip)) return [];
    const found = `${address}, an ${family(address)} address ${where} the VIP ${vip}`;
    return [{ path, at: 'value', found, allowed, advice }];
  });
}

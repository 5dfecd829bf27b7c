// The rules about method fullnat and its source pool: who needs one has one, its addresses belong
// to nobody else, and nothing asks of fullnat what it cannot do.
import { isIpv6Text } from './endpoint.ts';
import { holdsVip, parsePorts } from './listening.ts';
import type { DataPath, Finding } from './problem.ts';
import { DEFAULT_SOURCE_PORTS, VALUE_SCHEMAS } from './schema.ts';
import { good, isMapping, type Mapping, type ServiceSketch } from './sketch.ts';

export function findPoolMisfits(data: Mapping, services: readonly ServiceSketch[]): Finding[] {
  const users = services.filter(isUser);
  const pool = isMapping(data.sourcePool) ? data.sourcePool : undefined;
  const listed = Array.isArray(pool?.addresses) ? pool.addresses : [];
  const addresses = listed.map((address) => good(VALUE_SCHEMAS.address, address));
  return [
    ...(data.sourcePool === undefined ? users.map(withoutPool) : []),
    ...users.flatMap((user) => otherFamily(user, addresses)),
    ...addresses.flatMap((address, index) =>
      strangeSource(address, addresses.indexOf(address) < index, services).map((misfit) => ({
        ...{ path: ['sourcePool', 'addresses', index], at: 'value' as const, ...misfit },
      })),
    ),
    ...users.flatMap(beyondFullnat),
    ...(pool === undefined ? [] : fewPorts(pool, addresses, data.workers)),
  ];
}

/** Workers share the ports of each address out, unless each has an address of its own. */
function fewPorts(
  { ports = DEFAULT_SOURCE_PORTS }: Mapping,
  addresses: readonly (string | undefined)[],
  workers: unknown,
): Finding[] {
  const range = typeof ports === 'string' ? parsePorts(ports) : undefined;
  if (range === undefined || typeof workers !== 'number') return [];
  const isShared = [false, true].some((ofIpv6) => {
    const own = addresses.filter((text) => text !== undefined && isIpv6Text(text) === ofIpv6);
    return own.length > 0 && own.length < workers;
  });
  if (!isShared) return [];
  const count = range.to - range.from + 1;
  if (workers <= count) return [];
  return [
    {
      path: ['sourcePool', 'ports'],
      at: 'value',
      found: `${ports}, which is ${count} for ${workers} workers`,
      allowed: 'at least one port for each worker, or an address for each',
    },
  ];
}

/** Where a service asks for fullnat, in its own method or first in that of a real. */
function placeOf({ path, method, reals }: ServiceSketch): DataPath {
  if (method === 'fullnat') return [...path, 'method'];
  const real = reals.find((each) => each.method === 'fullnat');
  return [...(real?.path ?? path), 'method'];
}

const isUser = ({ reals }: ServiceSketch): boolean =>
  reals.some(({ method }) => method === 'fullnat');

const misfitOf = (service: ServiceSketch, found: string, allowed: string, advice: string) =>
  ({ path: placeOf(service), at: 'value', found, allowed, advice }) satisfies Finding;

const isOfIpv6 = ({ vips }: ServiceSketch): boolean => vips.some(({ value }) => isIpv6Text(value));

const sourceExample = (service: ServiceSketch): string =>
  isOfIpv6(service) ? 'fd00:2::200' : '10.0.0.200';

const withoutPool = (service: ServiceSketch): Finding =>
  misfitOf(
    service,
    'fullnat without a sourcePool',
    'fullnat with addresses to stand for the clients',
    `at the top of the file: sourcePool: { addresses: [${sourceExample(service)}] }`,
  );

/** A pool that is good, but of which no address is of the service's family. */
function otherFamily(
  service: ServiceSketch,
  addresses: readonly (string | undefined)[],
): Finding[] {
  const [first] = service.vips;
  if (addresses.length === 0 || first === undefined) return [];
  const isOwn = (address: string | undefined) =>
    address === undefined || isIpv6Text(address) === isOfIpv6(service);
  if (addresses.some(isOwn)) return [];
  const family = isOfIpv6(service) ? 'IPv6' : 'IPv4';
  return [
    misfitOf(
      service,
      `fullnat with the ${family} address ${first.value}, and no ${family} address in sourcePool`,
      'fullnat with addresses of the same family to stand for the clients',
      `add one to the sourcePool: addresses: [${addresses.join(', ')}, ${sourceExample(service)}]`,
    ),
  ];
}

/** Nor SCTP, whose checksum covers the ports. */
function beyondFullnat(service: ServiceSketch): Finding[] {
  if (!service.protocols.some(({ value }) => value === 'sctp')) return [];
  const allowed = 'fullnat for TCP and UDP';
  const advice = 'method nat does not change the source';
  return [misfitOf(service, 'fullnat for SCTP', allowed, advice)];
}

function strangeSource(
  address: string | undefined,
  isRepeated: boolean,
  services: readonly ServiceSketch[],
): Pick<Finding, 'found' | 'allowed'>[] {
  if (address === undefined) return [];
  if (isRepeated) return [{ found: `${address} a second time`, allowed: 'each address once' }];
  const allowed = 'an address that nobody else has';
  const vipOf = services.find(({ vips }) => vips.some(({ value }) => holdsVip(value, address)));
  if (vipOf) return [{ found: `${address}, a VIP of service ${vipOf.name}`, allowed }];
  const realOf = services.find(({ reals }) => reals.some((real) => real.address === address));
  return realOf ? [{ found: `${address}, a real of service ${realOf.name}`, allowed }] : [];
}

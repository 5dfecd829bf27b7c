// The rules that one key alone cannot show: things given twice, and things that do not fit
// together. They read the raw data and pass over whatever the schema refuses on its own, so that
// all problems of a file are reported in one go.
import type { z } from 'zod';
import { FLAG_DEFAULTS, type SchedulerName } from '../schedule/scheduler.ts';
import { formatEndpoint, isIpv6Text } from './endpoint.ts';
import { type DataPath, describe, didYouMean, type Finding } from './problem.ts';
import { LABEL_ALLOWED, schedulerOf, VALUE_SCHEMAS } from './schema.ts';

/** A real as far as its values are good. */
interface RealSketch {
  readonly path: DataPath;
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly name: string | undefined;
  readonly interface: string | undefined;
}

interface ServiceSketch {
  readonly path: DataPath;
  readonly name: string;
  readonly vip: string | undefined;
  readonly port: number | undefined;
  readonly protocol: string | undefined;
  readonly method: string | undefined;
  readonly scheduler: SchedulerName | undefined;
  /** Names of the hash flags that are given. */
  readonly flags: readonly string[];
  readonly reals: readonly RealSketch[];
}

type Mapping = Readonly<Record<string, unknown>>;

const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value if it is good on its own, else undefined. */
const good = <T>(schema: z.ZodType<T>, value: unknown): T | undefined =>
  schema.safeParse(value).data;

/** Everything in `data` (a parsed file) that does not fit together. */
export function findMisfits(data: unknown): Finding[] {
  if (!isMapping(data)) return [];
  const services = sketchServices(data.services);
  const interfaces = Array.isArray(data.interfaces) ? data.interfaces : [];
  return [
    ...repeatedInterfaces(interfaces),
    ...workersOfCap(data),
    ...services.filter(({ name }) => good(VALUE_SCHEMAS.label, name) === undefined).map(badName),
    ...sharedVips(services),
    ...services.flatMap((service) => [
      ...foreignFlags(service),
      ...repeatedReals(service),
      ...mappedDsrPorts(service),
      ...foreignFamilies(service),
      ...realsThatAreVips(service, services),
      ...foreignInterfaces(service, interfaces),
    ]),
  ];
}

function sketchServices(services: unknown): ServiceSketch[] {
  if (!isMapping(services)) return [];
  return Object.entries(services).map(([name, value]) => {
    const service = isMapping(value) ? value : {};
    const path = ['services', name];
    const port = good(VALUE_SCHEMAS.port, service.port);
    const scheduler = good(VALUE_SCHEMAS.scheduler, service.scheduler);
    const reals = Array.isArray(service.reals) ? service.reals : [];
    return {
      path,
      name,
      vip: good(VALUE_SCHEMAS.address, service.vip),
      port,
      protocol: good(VALUE_SCHEMAS.protocol, service.protocol),
      method: good(VALUE_SCHEMAS.method, service.method),
      scheduler: scheduler === undefined ? undefined : schedulerOf(scheduler),
      flags: isMapping(service.hash) ? Object.keys(service.hash) : [],
      reals: reals.map((real, index) => sketchReal(real, [...path, 'reals', index], port)),
    };
  });
}

function sketchReal(value: unknown, path: DataPath, servicePort: number | undefined): RealSketch {
  const real = isMapping(value) ? value : { address: value };
  return {
    path,
    address: good(VALUE_SCHEMAS.address, real.address),
    port: real.port === undefined ? servicePort : good(VALUE_SCHEMAS.port, real.port),
    name: good(VALUE_SCHEMAS.label, real.name),
    interface: good(VALUE_SCHEMAS.interface, real.interface),
  };
}

const badName = ({ path, name }: ServiceSketch): Finding => ({
  path,
  at: 'key',
  found: `the service name ${describe(name)}`,
  allowed: LABEL_ALLOWED,
});

function repeatedInterfaces(interfaces: readonly unknown[]): Finding[] {
  const repeated = [...interfaces.entries()].filter(
    ([index, name]) => interfaces.indexOf(name) < index,
  );
  return repeated.map(([index, name]) => ({
    path: ['interfaces', index],
    at: 'value',
    found: `${describe(name)} a second time`,
    allowed: 'each interface once',
  }));
}

/** libpcap cannot share frames out. */
function workersOfCap({ datapath, workers }: Mapping): Finding[] {
  if (datapath !== 'cap' || typeof workers !== 'number' || workers <= 1) return [];
  return [
    {
      path: ['workers'],
      at: 'value',
      found: `${workers} with datapath cap`,
      allowed: '1, for cap has no way to share frames out',
      advice: 'datapath ring can have several',
    },
  ];
}

function sharedVips(services: readonly ServiceSketch[]): Finding[] {
  const findings: Finding[] = [];
  const owners = new Map<string, string>();
  for (const { path, name, vip, port, protocol } of services) {
    if (vip === undefined || port === undefined || protocol === undefined) continue;
    const key = `${protocol} ${formatEndpoint(vip, port)}`;
    const owner = owners.get(key);
    if (owner === undefined) owners.set(key, name);
    else
      findings.push({
        path: [...path, 'vip'],
        at: 'value',
        found: `${key}, which service ${owner} has already`,
        allowed: 'each VIP, port and protocol in one service',
      });
  }
  return findings;
}

/** Flags that the scheduler does not know; those that no scheduler knows are the schema's. */
function foreignFlags({ path, scheduler, flags }: ServiceSketch): Finding[] {
  if (scheduler === undefined) return [];
  const known = Object.keys(FLAG_DEFAULTS[scheduler] ?? {});
  const flagged = Object.entries(FLAG_DEFAULTS);
  const all = new Set(flagged.flatMap(([, defaults]) => Object.keys(defaults)));
  return flags.flatMap((flag): Finding[] => {
    if (known.includes(flag) || !all.has(flag)) return [];
    const friends = flagged.filter(([, defaults]) => flag in defaults).map(([name]) => name);
    return [
      {
        path: [...path, 'hash', flag],
        at: 'key',
        found: `the flag ${flag} with scheduler ${scheduler}`,
        allowed:
          known.length === 0 ? 'no flags, for it hashes nothing' : `the flag ${known.join(', ')}`,
        advice: `${flag} is for ${friends.join(', ')}`,
      },
    ];
  });
}

function repeatedReals(service: ServiceSketch): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  const look = (key: string, path: DataPath, what: string) => {
    if (seen.has(`${what} ${key}`))
      findings.push({
        path,
        at: 'value',
        found: `${key} a second time`,
        allowed: `each ${what} once in a service`,
      });
    seen.add(`${what} ${key}`);
  };
  for (const { path, address, port, name } of service.reals) {
    if (address !== undefined && port !== undefined) {
      look(formatEndpoint(address, port), path, 'real');
    }
    if (name !== undefined) look(name, [...path, 'name'], 'name');
  }
  return findings;
}

function mappedDsrPorts(service: ServiceSketch): Finding[] {
  if (service.method !== 'dsr' || service.port === undefined) return [];
  const mapped = service.reals.filter(({ port }) => port !== undefined && port !== service.port);
  return mapped.map(({ path, port }) => ({
    path: [...path, 'port'],
    at: 'value',
    found: `${port}`,
    allowed: `${service.port}, the port of the service`,
    advice: 'DSR cannot map ports; IPVS silently resets it, we refuse. Method nat can map it',
  }));
}

/** Between the families there is no way but translation, which is no balancing. */
function foreignFamilies({ vip, reals }: ServiceSketch): Finding[] {
  if (vip === undefined) return [];
  const family = (address: string) => (isIpv6Text(address) ? 'IPv6' : 'IPv4');
  return reals.flatMap(({ path, address }): Finding[] => {
    if (address === undefined || isIpv6Text(address) === isIpv6Text(vip)) return [];
    return [
      {
        path,
        at: 'value',
        found: `${address}, an ${family(address)} address behind the VIP ${vip}`,
        allowed: `an ${family(vip)} address, like the VIP's`,
        advice: 'give each family a service of its own; both may have the same hosts as reals',
      },
    ];
  });
}

function realsThatAreVips(service: ServiceSketch, services: readonly ServiceSketch[]): Finding[] {
  return service.reals.flatMap(({ path, address }): Finding[] => {
    if (address === undefined) return [];
    const owner = address === service.vip ? service : services.find(({ vip }) => vip === address);
    if (owner === undefined) return [];
    const whose = owner === service ? 'of its own service' : `of service ${owner.name}`;
    return [
      {
        path,
        at: 'value',
        found: `${address}, the VIP ${whose}`,
        allowed: "the real's own address",
        advice: 'the director answers for a VIP itself, so no frame could reach this real',
      },
    ];
  });
}

function foreignInterfaces(service: ServiceSketch, interfaces: readonly unknown[]): Finding[] {
  const names = [...new Set(interfaces)].filter((name) => typeof name === 'string');
  return service.reals.flatMap(({ path, interface: name }): Finding[] => {
    if (name === undefined || names.length === 0 || names.includes(name)) return [];
    return [
      {
        path: [...path, 'interface'],
        at: 'value',
        found: describe(name),
        allowed: `an interface of the list at the top: ${names.join(', ')}`,
        ...didYouMean(name, names),
      },
    ];
  });
}

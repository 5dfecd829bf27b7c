// The rules that one key alone cannot show: things given twice, and things that do not fit
// together. They read the raw data and pass over whatever the schema refuses on its own, so that
// all problems of a file are reported in one go.
import { FLAG_DEFAULTS } from '../schedule/scheduler.ts';
import { formatEndpoint } from './endpoint.ts';
import { lifeMisfits } from './life-rules.ts';
import { findMatchMisfits } from './match-rules.ts';
import { findPoolMisfits } from './pool-rules.ts';
import { type DataPath, describe, didYouMean, type Finding } from './problem.ts';
import { DEFAULT_MAXIMUM_FLOWS, LABEL_ALLOWED, VALUE_SCHEMAS } from './schema.ts';
import { good, isMapping, type Mapping, type ServiceSketch, sketchServices } from './sketch.ts';
import { findTunnelMisfits } from './tunnel-rules.ts';

/** Everything in `data` (a parsed file) that does not fit together. */
export function findMisfits(data: unknown): Finding[] {
  if (!isMapping(data)) return [];
  const services = sketchServices(data.services);
  /** What is wrong for a real is wrong for a sorry server too. */
  const withSorry = services.map((service) => ({
    ...service,
    reals: [...service.reals, ...service.sorry],
  }));
  const interfaces = Array.isArray(data.interfaces) ? data.interfaces : [];
  return [
    ...repeatedInterfaces(interfaces),
    ...workersOfCap(data),
    ...tooManyHalfOpen(data.flows),
    ...findPoolMisfits(data, withSorry),
    ...services.filter(({ name }) => good(VALUE_SCHEMAS.label, name) === undefined).map(badName),
    ...findMatchMisfits(services, withSorry),
    ...findTunnelMisfits(data, withSorry),
    ...services.flatMap((service) => [
      ...foreignInterfaces({ ...service, reals: service.sorry }, interfaces),
      ...foreignFlags(service),
      ...fewSlots(service),
      ...repeatedReals(service),
      ...foreignInterfaces(service, interfaces),
      ...lifeMisfits(service.path, service.raw, service.scheduler),
    ]),
  ];
}

const badName = ({ path, name }: ServiceSketch): Finding => ({
  path,
  at: 'key',
  found: `the service name ${describe(name)}`,
  allowed: LABEL_ALLOWED,
});

function tooManyHalfOpen(flows: unknown): Finding[] {
  if (!isMapping(flows)) return [];
  const { halfOpenMaximum: most, maximum = DEFAULT_MAXIMUM_FLOWS } = flows;
  if (typeof most !== 'number' || typeof maximum !== 'number' || most <= maximum) return [];
  const allowed = `at most ${maximum}, the maximum of all flows`;
  return [{ path: ['flows', 'halfOpenMaximum'], at: 'value', found: describe(most), allowed }];
}

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
      advice: 'the datapaths ring and tc can have several',
    },
  ];
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

/** Of maglev: each real with a weight has one slot at least. */
function fewSlots({ path, raw, reals }: ServiceSketch): Finding[] {
  const slots = isMapping(raw.hash) ? raw.hash.slots : undefined;
  if (typeof slots !== 'number' || slots >= reals.length) return [];
  const found = `${slots} for ${reals.length} reals`;
  const allowed = 'at least as many slots as reals';
  const advice = 'a hundred times as many give shares true to 1 %';
  return [{ path: [...path, 'hash', 'slots'], at: 'value', found, allowed, advice }];
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

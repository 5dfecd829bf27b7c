// From a file to a Config: read, parse, check, fill in what the file leaves out. All problems are
// reported together and nothing is half applied: the result is a whole Config or a list of them.
import type { z } from 'zod';
import { ALL_PORTS } from '../director/port-map.ts';
import type { MethodName } from '../director/table.ts';
import { FLAG_DEFAULTS } from '../schedule/scheduler.ts';
import type { Config, RealConfig, ServiceConfig } from './config.ts';
import { parseConfigDocument } from './document.ts';
import { formatEndpoint } from './endpoint.ts';
import { defaultHalfOpen } from './half-open.ts';
import { onlyPort, parsePorts, plainVip } from './listening.ts';
import { type DataPath, describe, didYouMean, type Finding, type Problem } from './problem.ts';
import { readText } from './read-text.ts';
import { findMisfits } from './rules.ts';
import {
  allowedKeys,
  type ConfigData,
  configSchema,
  DEFAULT_MAXIMUM_FLOWS,
  DEFAULT_RING_SLOTS,
  DEFAULT_TUNNEL_PORT,
  type RealData,
  type ServiceData,
  type SorryData,
  schedulerOf,
} from './schema.ts';

export type LoadResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads and checks a configuration file; never throws for what the file is or says. */
export function loadConfig(path: string): LoadResult {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    return { ok: false, problems: [unreadable(path, error as NodeJS.ErrnoException)] };
  }
  return parseConfig(text, path);
}

/**
 * Checks the text of a configuration file.
 * @param file the name for messages, and `file` of the Config
 */
export function parseConfig(text: string, file: string): LoadResult {
  const parsed = parseConfigDocument(text, file);
  if (!parsed.ok) return parsed;
  const { data, repeatedKeys, locate } = parsed.document;
  const checked = configSchema.safeParse(data);
  const issues = checked.success ? [] : checked.error.issues;
  const findings = [
    ...repeatedKeys,
    ...issues.flatMap((issue) => explain(issue, [], data)),
    ...findMisfits(data),
  ];
  if (findings.length > 0 || !checked.success)
    return { ok: false, problems: findings.map(locate).sort(inFileOrder) };
  return { ok: true, config: complete(checked.data, file) };
}

const inFileOrder = (one: Problem, other: Problem): number =>
  one.line - other.line || one.column - other.column;

const READ_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'a file that you may not read',
  EISDIR: 'a directory',
};

function unreadable(file: string, error: NodeJS.ErrnoException): Problem {
  return {
    file,
    line: 0,
    column: 0,
    path: '',
    found: READ_ERRORS[error.code ?? ''] ?? error.message,
    allowed: 'a YAML file that you may read',
    advice: 'furiwake check --example prints one to start from',
  };
}

/** What zod says of a union where the schema says nothing of its own. */
const UNION_MESSAGE = 'Invalid input';

/** What the schema's complaint means to an operator. */
function explain(issue: z.core.$ZodIssue, base: DataPath, data: unknown): Finding[] {
  const path = [...base, ...(issue.path as (string | number)[])];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key));
  const value = valueAt(data, path);
  if (issue.code === 'invalid_union' && issue.message === UNION_MESSAGE) {
    // The first of two ways to write it is for one value, the second for a mapping or a list.
    const isOne = value === null || typeof value !== 'object';
    const inners = isOne ? issue.errors[0]?.slice(0, 1) : issue.errors[1];
    return (inners ?? []).flatMap((inner) => explain(inner, path, data));
  }
  const near =
    issue.code === 'invalid_value' && typeof value === 'string'
      ? didYouMean(value, issue.values.map(String))
      : {};
  return [{ path, at: 'value', found: describe(value), allowed: issue.message, ...near }];
}

function unknownKey(path: DataPath, key: string): Finding {
  const keys = allowedKeys(path);
  return {
    path: [...path, key],
    at: 'key',
    found: `the unknown key ${key}`,
    allowed: `the keys ${keys.join(', ')}`,
    ...didYouMean(key, keys),
  };
}

function valueAt(data: unknown, path: DataPath): unknown {
  let value = data;
  for (const part of path) value = (value as Record<string | number, unknown> | null)?.[part];
  return value;
}

function complete(data: ConfigData, file: string): Config {
  const { workers, interfaces } = data;
  const maximumFlows = data.flows?.maximum ?? DEFAULT_MAXIMUM_FLOWS;
  const ringSlots = data.ring?.slots ?? DEFAULT_RING_SLOTS;
  const sizes = { interfaces, workers, ringSlots, maximumFlows };
  return {
    file,
    datapath: data.datapath,
    guard: data.guard,
    socket: data.socket,
    ...sizes,
    maximumHalfOpen: data.flows?.halfOpenMaximum ?? defaultHalfOpen(sizes),
    timeouts: data.timeouts,
    hashSeed: data.hashSeed,
    tunnel: data.tunnel && {
      port: data.tunnel.port ?? DEFAULT_TUNNEL_PORT,
      sources: [data.tunnel.sources ?? []].flat(),
    },
    ...(data.sourcePool && { sourcePool: completePool(data.sourcePool) }),
    services: Object.entries(data.services).map(([name, service]) =>
      completeService(name, service),
    ),
  };
}

function completePool({ addresses, ports }: NonNullable<ConfigData['sourcePool']>) {
  return { addresses, ports: parsePorts(ports) ?? ALL_PORTS };
}

function completeService(name: string, service: ServiceData): ServiceConfig {
  const { vip, port, protocol, ...rest } = service;
  const scheduler = schedulerOf(service.scheduler);
  const ports = [port].flat().flatMap((each) => parsePorts(each) ?? []);
  return {
    name,
    ...rest,
    vips: [vip].flat().map(plainVip),
    ports,
    protocols: [protocol].flat(),
    scheduler,
    hash: { ...FLAG_DEFAULTS[scheduler], ...service.hash },
    sorry: service.sorry ? completeReal(service.sorry, onlyPort(ports), service.method) : undefined,
    reals: service.reals.map((real) => completeReal(real, onlyPort(ports), service.method)),
  };
}

function completeReal(
  data: RealData | SorryData,
  servicePort: number,
  method: MethodName,
): RealConfig {
  const real: Exclude<RealData, string> =
    typeof data === 'string' ? { address: data, weight: 1 } : { weight: 1, ...data };
  const port = real.port ?? servicePort;
  return {
    name: real.name ?? formatEndpoint(real.address, port),
    address: real.address,
    port,
    weight: real.weight,
    method: real.method ?? method,
    interface: real.interface,
    gateway: real.gateway,
    drain: real.drain,
    thresholds: real.thresholds,
  };
}

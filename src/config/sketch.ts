// The services of a raw file as far as their values are good on their own, for the rules that look
// at several of them: what the schema refuses anyway is left out.
import type { z } from 'zod';
import type { PortRange } from '../director/port-map.ts';
import type { SchedulerName } from '../schedule/scheduler.ts';
import { onlyPort, parsePorts, plainVip } from './listening.ts';
import type { DataPath } from './problem.ts';
import { schedulerOf, VALUE_SCHEMAS } from './schema.ts';

/** One item of a list in the file, or the only one. */
export interface Placed<T> {
  readonly path: DataPath;
  readonly value: T;
}

/** A real as far as its values are good. */
export interface RealSketch {
  readonly path: DataPath;
  readonly address: string | undefined;
  /** 0 if the real is reached at the port that the client asked for. */
  readonly port: number | undefined;
  /** As the file gives it. */
  readonly ownPort: number | undefined;
  /** Its own, or else its service's. */
  readonly method: string | undefined;
  readonly name: string | undefined;
  readonly interface: string | undefined;
  readonly gateway: string | undefined;
}

export interface ServiceSketch {
  readonly path: DataPath;
  readonly name: string;
  readonly vips: readonly Placed<string>[];
  readonly ports: readonly Placed<PortRange>[];
  readonly protocols: readonly Placed<string>[];
  readonly method: string | undefined;
  readonly scheduler: SchedulerName | undefined;
  /** Names of the hash flags that are given. */
  readonly flags: readonly string[];
  readonly reals: readonly RealSketch[];
  readonly sorry: readonly RealSketch[];
  /** As the file has it. */
  readonly raw: Mapping;
}

export type Mapping = Readonly<Record<string, unknown>>;

export const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value if it is good on its own, else undefined. */
export const good = <T>(schema: z.ZodType<T>, value: unknown): T | undefined =>
  schema.safeParse(value).data;

export function sketchServices(services: unknown): ServiceSketch[] {
  if (!isMapping(services)) return [];
  return Object.entries(services).map(([name, value]) => {
    const service = isMapping(value) ? value : {};
    const path = ['services', name];
    const ports = placed([...path, 'port'], service.port, (port) =>
      port === 'any' && port === service.port
        ? parsePorts(port)
        : parsePorts(good(VALUE_SCHEMAS.portOrRange, port)),
    );
    const port = ports.length === 0 ? undefined : onlyPort(ports.map((each) => each.value));
    const scheduler = good(VALUE_SCHEMAS.scheduler, service.scheduler);
    const reals = Array.isArray(service.reals) ? service.reals : [];
    const sketch = (real: unknown, at: DataPath) =>
      sketchReal(real, at, { port, method: service.method });
    return {
      path,
      name,
      vips: placed([...path, 'vip'], service.vip, (vip) => {
        const text = good(VALUE_SCHEMAS.vip, vip);
        return text === undefined ? undefined : plainVip(text);
      }),
      ports,
      protocols: placed([...path, 'protocol'], service.protocol ?? 'tcp', (protocol) =>
        good(VALUE_SCHEMAS.protocol, protocol),
      ),
      method: good(VALUE_SCHEMAS.method, service.method),
      scheduler: scheduler === undefined ? undefined : schedulerOf(scheduler),
      flags: isMapping(service.hash) ? Object.keys(service.hash) : [],
      reals: reals.map((real, index) => sketch(real, [...path, 'reals', index])),
      sorry: service.sorry === undefined ? [] : [sketch(service.sorry, [...path, 'sorry'])],
      raw: service,
    };
  });
}

function sketchReal(
  value: unknown,
  path: DataPath,
  service: { readonly port: number | undefined; readonly method: unknown },
): RealSketch {
  const real = isMapping(value) ? value : { address: value };
  const ownPort = good(VALUE_SCHEMAS.port, real.port);
  return {
    path,
    address: good(VALUE_SCHEMAS.address, real.address),
    port: real.port === undefined ? service.port : ownPort,
    method: good(VALUE_SCHEMAS.method, real.method ?? service.method),
    ownPort,
    name: good(VALUE_SCHEMAS.label, real.name),
    interface: good(VALUE_SCHEMAS.interface, real.interface),
    gateway: good(VALUE_SCHEMAS.address, real.gateway),
  };
}

/** The good ones of a list, or of the one value that stands instead of a list. */
export function placed<T>(
  path: DataPath,
  value: unknown,
  read: (item: unknown) => T | undefined,
): Placed<T>[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value];
  return items.flatMap((item, index) => {
    const good = read(item);
    if (good === undefined) return [];
    return [{ path: Array.isArray(value) ? [...path, index] : path, value: good }];
  });
}

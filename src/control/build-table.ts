// From a configuration to a forwarding table: addresses become numbers, schedules are built, and
// every service and real gets an id that it keeps for as long as this director runs.
import type { Config, RealConfig, ServiceConfig } from '../config/config.ts';
import { formatEndpoint, isIpv6Text } from '../config/endpoint.ts';
import {
  formatPorts,
  onlyPort,
  PROTOCOL_NUMBERS,
  parsePrefix,
  parsePrefix6,
} from '../config/listening.ts';
import { parseSource } from '../config/sources.ts';
import type { Arm } from '../datapath/datapath.ts';
import { buildSourceList, type SourceList } from '../director/source-list.ts';
import {
  buildTable,
  type RealInput,
  type ServiceInput,
  type SourcePool,
  type Table,
  type TunnelInput,
} from '../director/table.ts';
import type { Schedule, ScheduledReal } from '../schedule/scheduler.ts';
import { schedulerNamed } from '../schedule/schedulers.ts';
import { type Ipv6, parseIpv4, parseIpv6 } from '../wire/address.ts';
import { GUE_PORT } from '../wire/tunnel.ts';
import { openWeight, realTerms, serviceLife, timeoutsOf } from './build-life.ts';
import { findWay, type Routes, type Way } from './find-hops.ts';

export interface BuiltReal {
  readonly id: number;
  readonly arm: number;
  /** The router on that arm that leads to it, if one does. */
  readonly gateway: string | undefined;
  readonly config: RealConfig;
}

export interface BuiltService {
  readonly id: number;
  readonly config: ServiceConfig;
  readonly reals: readonly BuiltReal[];
  readonly sorry: BuiltReal | undefined;
}

/** The reals of a service, its sorry server among them. */
export const builtReals = ({ reals, sorry }: BuiltService): readonly BuiltReal[] =>
  sorry === undefined ? reals : [...reals, sorry];

export interface BuiltTable {
  readonly table: Table;
  readonly services: readonly BuiltService[];
  /** For one that is not used after all: the next table goes on from the one before. */
  undo(): void;
}

export interface TableBuilder {
  /** @throws Error if a real has no arm, as preflight has told before; then nothing has changed */
  build(config: Config, arms: readonly Arm[], routes?: Routes): BuiltTable;
}

const NO_ROUTES: Routes = new Map();

/** What a table takes over from the one before. */
interface Known {
  readonly serviceIds: ServiceIds;
  readonly realIds: ReadonlyMap<string, number>;
  /** The latest weight above 0 of each real, by id. */
  readonly lastWeights: ReadonlyMap<number, number>;
  readonly schedules: ReadonlyMap<string, Schedule>;
}

export function createTableBuilder(): TableBuilder {
  const book = createBook();
  let generation = 0;
  let known: Known = {
    serviceIds: { byKey: new Map(), byName: new Map(), next: 0 },
    ...{ realIds: new Map(), lastWeights: new Map(), schedules: new Map() },
  };
  return {
    build: (config, arms, routes = NO_ROUTES) => {
      const before = known;
      const realIds = new Map(before.realIds);
      const [serviceIds, withIds] = giveServiceIds(config.services, before.serviceIds);
      const services = withIds.map(([service, id]): BuiltService => {
        const only = onlyPort(service.ports);
        const build = (real: RealConfig, role: string): BuiltReal => {
          const port = real.port === only ? 0 : real.port;
          return {
            id: idOf(realIds, `${id} ${real.method} ${real.address} ${port}${role}`),
            ...requireWay(real, arms, routes),
            config: real,
          };
        };
        const reals = service.reals.map((real) => build(real, ''));
        const sorry = service.sorry && build(service.sorry, ' sorry');
        return { id, config: service, reals, sorry };
      });
      const lastWeights = weightsAfter(services, before.lastWeights);
      const { schedule, built } = scheduleBuilder(config.hashSeed, before.schedules);
      const inputs = services.map((service) =>
        serviceInput(service, {
          ...{ lastWeights, numberOf: book.numberOf, schedule },
          workers: config.workers,
        }),
      );
      const [tunnel, timeoutsMs] = [tunnelOf(config), timeoutsOf(config)];
      const pool = sourcePool(config, book.numberOf);
      const table = buildTable(inputs, book.addresses6, tunnel, timeoutsMs, pool);
      const after: Known = { serviceIds, realIds, lastWeights, schedules: built };
      known = after;
      generation++;
      return {
        table: { ...table, generation },
        services,
        undo: () => {
          if (known === after) known = before;
        },
      };
    },
  };
}

function sourcePool(
  { sourcePool: pool, retiredSources = [] }: Config,
  numberOf: Book['numberOf'],
): SourcePool {
  const { addresses, ports } = pool ?? { addresses: [], ports: { from: 1, to: 1 } };
  const retired = retiredSources.map(({ address, worker }) => ({
    ...{ address: numberOf(address), prefixLength: 32, worker },
    family: isIpv6Text(address) ? (6 as const) : (4 as const),
  }));
  return {
    addresses: Int32Array.from(addresses.filter(isIpv4Text), numberOf),
    addresses6: Int32Array.from(addresses.filter(isIpv6Text), numberOf),
    firstPort: ports.from,
    portCount: ports.to - ports.from + 1,
    retired,
  };
}

const isIpv4Text = (text: string): boolean => !isIpv6Text(text);

/** The addresses of all configurations so far, as the table has them. */
interface Book {
  /** What each handle stands for. */
  readonly addresses6: readonly Ipv6[];
  /** An IPv4 address as int32, an IPv6 address as its handle, which it keeps for good. */
  numberOf(address: string): number;
}

function createBook(): Book {
  const addresses6: Ipv6[] = [];
  const handles = new Map<string, number>();
  return {
    addresses6,
    numberOf(text) {
      const address = parseIpv6(text);
      if (address === undefined) return parseIpv4(text) ?? 0;
      const handle = idOf(handles, address.join());
      addresses6[handle] = address;
      return handle;
    },
  };
}

/** Without configured sources, tunnels begin at the arm's own address. */
function tunnelOf({ tunnel }: Config): TunnelInput {
  const sources = tunnel?.sources ?? [];
  const { address, prefixLength } = sources.flatMap((text) => parsePrefix(text) ?? [])[0] ?? OWN;
  const [of6] = sources.filter(isIpv6Text).flatMap((text) => parsePrefix6(text) ?? []);
  return {
    ...{ source: address, prefixLength, port: tunnel?.port ?? GUE_PORT },
    ...(of6 && { source6: of6.network, prefixLength6: of6.prefixLength }),
  };
}

const OWN = { address: 0, prefixLength: 32 };

function weightsAfter(
  services: readonly BuiltService[],
  before: ReadonlyMap<number, number>,
): Map<number, number> {
  const reals = services.flatMap((service) => service.reals);
  return new Map(reals.map(({ id, config }) => [id, config.weight || (before.get(id) ?? 0)]));
}

interface ServiceIds {
  /** By what a service listens on, of all services that there ever were; by name, of the latest. */
  readonly byKey: ReadonlyMap<string, number>;
  readonly byName: ReadonlyMap<string, number>;
  readonly next: number;
}

/**
 * Gives services their ids: each keeps its own as long as it keeps one thing it listens on. Where
 * what one listened on is shared out among several, that of the old name comes first.
 */
function giveServiceIds(
  services: readonly ServiceConfig[],
  before: ServiceIds,
): [ServiceIds, [ServiceConfig, number][]] {
  const idsOf = (service: ServiceConfig): number[] =>
    keysOf(service).map((key) => before.byKey.get(key) ?? -1);
  const named = services.map((service) => {
    const id = before.byName.get(service.name) ?? -1;
    return id >= 0 && idsOf(service).includes(id) ? id : -1;
  });
  const taken = new Set(named);
  const byKey = new Map(before.byKey);
  let { next } = before;
  const given = services.map((service, index): [ServiceConfig, number] => {
    const own = named[index] as number;
    const found = own >= 0 ? own : idsOf(service).find((each) => each >= 0 && !taken.has(each));
    const id = found ?? next++;
    taken.add(id);
    for (const key of keysOf(service)) byKey.set(key, id);
    return [service, id];
  });
  const byName = new Map(given.map(([{ name }, id]) => [name, id]));
  return [{ byKey, byName, next }, given];
}

const keysOf = ({ vips, protocols, ports }: ServiceConfig): string[] =>
  vips.flatMap((vip) =>
    protocols.flatMap((protocol) =>
      ports.map((range) => `${vip} ${protocol} ${formatPorts(range)}`),
    ),
  );

function idOf(ids: Map<string, number>, key: string): number {
  const known = ids.get(key);
  if (known !== undefined) return known;
  const id = ids.size;
  ids.set(key, id);
  return id;
}

/** @throws Error if no arm leads to a real */
function requireWay(real: RealConfig, arms: readonly Arm[], routes: Routes): Way {
  const way = findWay(real, arms, routes);
  if (way.arm < 0) throw new Error(`no interface leads to ${real.address}`);
  return way;
}

type BuildSchedule = (
  config: Pick<ServiceConfig, 'scheduler' | 'hash'>,
  reals: readonly ScheduledReal[],
) => Schedule;

/**
 * Builds the schedules of one configuration. One that never changes while flows are scheduled is
 * built once for the same reals and flags: for several services, and from table to table. So a
 * reload of one service lays out no Maglev table of the others.
 * @param before what the builder of the configuration before had `built`
 */
function scheduleBuilder(seed: number, before: ReadonlyMap<string, Schedule>) {
  const built = new Map<string, Schedule>();
  const schedule: BuildSchedule = ({ scheduler, hash: flags }, reals) => {
    const { build, consistent } = schedulerNamed(scheduler);
    if (!consistent) return build(reals, { seed, flags });
    const key = JSON.stringify([scheduler, flags, seed, reals]);
    const found = built.get(key) ?? before.get(key) ?? build(reals, { seed, flags });
    built.set(key, found);
    return found;
  };
  return { schedule, built };
}

interface InputContext {
  readonly schedule: BuildSchedule;
  readonly lastWeights: ReadonlyMap<number, number>;
  readonly numberOf: Book['numberOf'];
  readonly workers: number;
}

function serviceInput(
  { id, config, reals, sorry }: BuiltService,
  { schedule, lastWeights, numberOf, workers }: InputContext,
): ServiceInput {
  const scheduled = reals.map((real) => ({
    key: formatEndpoint(real.config.address, real.config.port),
    weight: openWeight(real.config),
    lastWeight: lastWeights.get(real.id) ?? 0,
  }));
  const inputOf = (real: BuiltReal): RealInput => {
    const terms = realTerms(real.config, workers);
    return {
      id: real.id,
      family: isIpv6Text(real.config.address) ? 6 : 4,
      address: numberOf(real.config.address),
      port: real.config.port,
      method: real.config.method,
      arm: real.arm,
      hop: real.gateway === undefined ? undefined : numberOf(real.gateway),
      ...(terms && { terms }),
    };
  };
  const life = serviceLife(config, sorry?.id);
  return {
    id,
    family: isIpv6Text(config.vips[0] ?? '') ? 6 : 4,
    vips: config.vips
      .filter((vip) => !isPrefix6(vip))
      .map((vip) => parsePrefix(vip) ?? { address: numberOf(vip), prefixLength: 32 }),
    prefixes6: config.vips.filter(isPrefix6).flatMap((vip) => parsePrefix6(vip) ?? []),
    ports: config.ports,
    protocols: config.protocols.map((protocol) => PROTOCOL_NUMBERS[protocol]),
    schedule: schedule(config, scheduled),
    fallback: schedulerNamed(config.scheduler).consistent
      ? undefined
      : schedule(FALLBACK, scheduled),
    sources: sourcesOf(config),
    reals: reals.map(inputOf),
    ...(sorry && { sorry: inputOf(sorry) }),
    ...(life && { life }),
  };
}

const isPrefix6 = (vip: string): boolean => isIpv6Text(vip) && vip.includes('/');

/** Who may open flows; undefined: everybody. */
function sourcesOf({ sources }: ServiceConfig): SourceList | undefined {
  if (sources === undefined) return undefined;
  const prefixes = (['allow', 'deny'] as const).flatMap((list) =>
    (sources[list] ?? []).map((text) => {
      const [first, length] = parseSource(text) ?? [0n, 0];
      return { first, length, allowed: list === 'allow' };
    }),
  );
  return buildSourceList(prefixes);
}

/** Stands in for a scheduler that cannot do without flows, while there is no room for them. */
const FALLBACK = { scheduler: 'rendezvous', hash: {} } as const;

// What a simulated director serves: groups of reals, each behind a VIP of its own, by every method
// and over both families, with a service for each protocol. What a service wants beside that is
// drawn from the seed, and drawn anew, in part, at every reload: who is in the table and with which
// weight, who is drained and how, who may come, by which scheduler; and whether it is there at all.
import type { ClientLimits, Persistence, RealTerms } from '../../src/director/life.ts';
import { CUT_OLD, KEEP_OLD, RESET_OLD } from '../../src/director/life.ts';
import { buildSourceList, type SourcePrefix } from '../../src/director/source-list.ts';
import { comesBack, type MethodName } from '../../src/director/table.ts';
import { SCHEDULER_NAMES, type SchedulerName } from '../../src/schedule/scheduler.ts';
import { parseIpv4, parseIpv6 } from '../../src/wire/address.ts';
import { INSIDE, OUTSIDE, type SceneReal, type SceneService } from '../packets/scene.ts';
import type { Random } from './random.ts';
import type { Protocol } from './segments.ts';

/** Reals of a group; behind them comes its sorry server. */
export const REALS = 4;
export const SLOTS = REALS + 1;
export const SORRY = REALS;
/** Clients of each family, the last numbers of their addresses. */
export const CLIENTS = 9;

export interface Group {
  readonly number: number;
  readonly family: 4 | 6;
  /** Family of the reals' own addresses, to which tunnels of either lead. */
  readonly outer: 4 | 6;
  readonly vip: string;
  /** The first half of a /64 that its services listen on too, or nothing. */
  readonly prefix: string;
  /** Of each real in turn. */
  readonly methods: readonly MethodName[];
  readonly protocols: readonly Protocol[];
}

type Kind = readonly [4 | 6, readonly MethodName[], readonly Protocol[], (4 | 6)?];
const KINDS: readonly Kind[] = [
  [4, ['dsr'], [6, 17, 132]],
  [4, ['nat'], [6, 17, 132]],
  [4, ['fullnat'], [6, 17]],
  [4, ['gue'], [6, 17]],
  [4, ['ipip'], [6, 17]],
  [4, ['dsr', 'nat', 'fullnat', 'gue'], [6, 17]],
  [6, ['dsr'], [6, 17, 132]],
  [6, ['nat'], [6, 17, 132]],
  [6, ['dsr', 'nat'], [6, 17, 132]],
  [6, ['fullnat'], [6, 17]],
  [6, ['gue', 'ipip'], [6, 17]],
  [6, ['nat', 'dsr', 'fullnat', 'gue'], [6, 17]],
  [6, ['ipip', 'gue'], [6, 17], 4],
  [4, ['ipip', 'gue'], [6, 17], 6],
];

export const GROUPS: readonly Group[] = KINDS.map(
  ([family, methods, protocols, outer = family], number) => ({
    ...{ number, family, outer, methods, protocols },
    vip: family === 4 ? `192.0.2.${80 + number}` : `2001:db8:a::8${number}`,
    prefix: family === 6 && methods.length > 1 ? `2001:db8:9${number}:` : '',
  }),
);

export const methodOf = ({ methods }: Group, slot: number): MethodName =>
  methods[slot % methods.length]!;

/** Whether services of the group listen on this address. */
export const hasVip = ({ vip, prefix }: Group, address: string): boolean =>
  address === vip || (prefix !== '' && address.startsWith(prefix));

/** DSR reals are where the clients' routers are; all others are behind the director. */
export const armOf = (method: MethodName): number => (method === 'dsr' ? OUTSIDE : INSIDE);

export function addressOf(group: Group, slot: number): string {
  const outside = armOf(methodOf(group, slot)) === OUTSIDE;
  const number = 10 + group.number * SLOTS + slot;
  if (group.outer === 4) return `${outside ? '192.0.2' : '10.0.0'}.${number}`;
  return `2001:db8:${outside ? 'a' : 'b'}::${number}`;
}

/** Where a real listens: at the VIP's port, or by NAT mostly at one of its own. */
export const portOf = (method: MethodName, protocol: Protocol): number =>
  comesBack(method) && protocol !== 132 ? 8080 : 80;

/** A real of a service, as a configuration has it. */
export interface Member {
  readonly weight: number;
  readonly terms: RealTerms;
}

export interface Service {
  readonly id: number;
  readonly group: Group;
  readonly protocol: Protocol;
  readonly persistence: Persistence | undefined;
  readonly onePacket: boolean;
  readonly slowStartMs: number;
  readonly hasSorry: boolean;
  readonly failOpen: boolean;
  limits: ClientLimits | undefined;
  scheduler: SchedulerName;
  sources: readonly SourcePrefix[];
  /**
   * By slot; undefined for one that the configuration does not have. Empty where it does not have
   * the service.
   */
  members: readonly (Member | undefined)[];
}

/** Whether the configuration has the service. */
export const isListed = ({ members }: Service): boolean => members.length > 0;

/** A real of the configuration, or that it is a service's sorry server; undefined for any other. */
export const memberOf = (service: Service, slot: number): Member | 'sorry' | undefined =>
  slot === SORRY && service.hasSorry && isListed(service) ? 'sorry' : service.members[slot];

export const realId = ({ id }: Pick<Service, 'id'>, slot: number): number => id * SLOTS + slot;
export const ROOM = {
  arms: 2,
  services: GROUPS.reduce((sum, { protocols }) => sum + protocols.length, 0),
  reals: GROUPS.reduce((sum, { protocols }) => sum + protocols.length, 0) * SLOTS,
};

/** The real takes everything. */
export const FULLY: RealTerms = {
  ...{ stopsNew: false, old: KEEP_OLD, oldAfterMs: 0, upper: 0, lower: 0 },
};

/** All services as they are in quiet: everybody is there, and nobody is refused. */
export function calm(service: Service): void {
  service.limits = undefined;
  service.sources = [];
  service.members = Array.from({ length: REALS }, () => ({ weight: 1, terms: FULLY }));
}

export function drawServices(random: Random, firstScheduler: number): Service[] {
  let id = 0;
  return GROUPS.flatMap((group) =>
    group.protocols.map((protocol): Service => {
      const often = (probability: number) => random.chance(probability);
      const hasSorry = often(0.5);
      const isNat = group.methods.some(comesBack);
      const service: Service = {
        ...{ id: id++, group, protocol, hasSorry, failOpen: !hasSorry && often(0.5) },
        persistence: often(0.3) ? drawPersistence(random, group) : undefined,
        onePacket: protocol === 17 && !isNat && often(0.3),
        slowStartMs: often(0.4) ? 3000 : 0,
        limits: often(0.3) ? drawLimits(random, group) : undefined,
        scheduler: SCHEDULER_NAMES[(firstScheduler + id) % SCHEDULER_NAMES.length]!,
        ...{ sources: [], members: [] },
      };
      calmMembers(service);
      return service;
    }),
  );
}

function calmMembers(service: Service): void {
  const { limits, sources } = service;
  calm(service);
  service.limits = limits;
  service.sources = sources;
}

/** One client, or all that there are, for a while. */
const drawPersistence = (random: Random, { family }: Group): Persistence => ({
  ...{ timeoutMs: 5000, family },
  prefixLength: random.chance(0.7) ? 128 : family === 4 ? 120 : 64,
});

/** As many flows for each client, or for all that there are; and so many new ones in a time. */
function drawLimits(random: Random, { family }: Group): ClientLimits {
  const isEach = random.chance(0.7);
  const intervalMs = random.pick([0, 250, 1000]);
  return {
    flows: random.between(2, 5) * (isEach ? 1 : CLIENTS),
    ...{ intervalMs, burstMs: intervalMs * random.between(2, 4) * (isEach ? 1 : CLIENTS) },
    prefixLength: isEach ? 128 : family === 4 ? 120 : 64,
  };
}

/** What a reload brings: some services are as they were, some are gone until a later one. */
export function redraw(services: readonly Service[], random: Random): void {
  for (const service of services) {
    if (random.chance(0.3)) continue;
    service.members = Array.from({ length: REALS }, () => drawMember(random));
    // Mostly somebody is there to take new connections.
    const slot = random.between(0, REALS - 1);
    if (random.chance(0.8)) {
      service.members = service.members.with(slot, { weight: 2, terms: FULLY });
    }
    service.sources = random.chance(0.2) ? drawSources(random, service.group) : [];
    if (random.chance(0.1)) service.scheduler = random.pick(SCHEDULER_NAMES);
    if (random.chance(0.05)) service.members = [];
  }
  // Now and then all of one VIP.
  if (!random.chance(0.2)) return;
  const gone = random.pick(GROUPS);
  for (const service of services) if (service.group === gone) service.members = [];
}

function drawMember(random: Random): Member | undefined {
  if (random.chance(0.2)) return undefined;
  const weight = random.between(0, 3);
  const drained = weight === 0 ? { stopsNew: true } : drawDrain(random);
  if (!random.chance(0.2)) return { weight, terms: { ...FULLY, ...drained } };
  const upper = random.between(2, 12);
  return { weight, terms: { ...FULLY, ...drained, upper, lower: random.between(0, upper) } };
}

function drawDrain(random: Random): Partial<RealTerms> {
  if (!random.chance(0.2)) return {};
  const old = random.pick([KEEP_OLD, CUT_OLD, RESET_OLD]);
  return { stopsNew: true, old, oldAfterMs: old === KEEP_OLD ? 0 : random.between(0, 2000) };
}

/** The address of a client as a number of 128 bits; IPv4 lies in ::ffff:0:0/96. */
export function numberOf(address: string): bigint {
  if (address.includes(':')) {
    return parseIpv6(address)!.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
  }
  return (0xffffn << 32n) | BigInt(parseIpv4(address)! >>> 0);
}

export const clientAddress = (family: 4 | 6, number: number): string =>
  family === 4 ? `198.51.100.${number}` : `2001:db8:c::${number}`;

/** Nobody but one pair of clients; or all but one. */
function drawSources(random: Random, { family }: Group): SourcePrefix[] {
  const one = numberOf(clientAddress(family, random.between(1, CLIENTS)));
  if (random.chance(0.5)) return [{ first: one, length: 128, allowed: false }];
  return [
    { first: one & ~1n, length: 127, allowed: true },
    { first: one, length: 128, allowed: random.chance(0.5) },
  ];
}

/** By the rule as README tells it, prefix by prefix: the longest that holds a client decides. */
export function isDenied(sources: readonly SourcePrefix[], client: bigint): boolean {
  const holds = ({ first, length }: SourcePrefix) =>
    client >> BigInt(128 - length) === first >> BigInt(128 - length);
  const longest = sources.filter(holds).toSorted((one, other) => other.length - one.length)[0];
  return longest === undefined ? sources.some(({ allowed }) => allowed) : !longest.allowed;
}

/** The services as a table is built from them. */
export const toScene = (services: readonly Service[]): SceneService[] =>
  services.filter(isListed).map((service) => {
    const { group, protocol, scheduler, sources, members, hasSorry } = service;
    const { vip, prefix } = group;
    const { id, persistence, onePacket, slowStartMs, failOpen, limits } = service;
    const sorry = hasSorry ? realId(service, SORRY) : -1;
    // To ovf a weight is the number of flows that a real can have.
    const unit = scheduler === 'ovf' ? 50 : 1;
    return {
      ...{ id, vip, port: 80, protocol, scheduler, method: methodOf(group, 0) },
      ...(prefix === ''
        ? {}
        : { listens: { vips: [vip, `${prefix}:/64`], ports: [80], protocols: [protocol] } }),
      ...(sources.length === 0 ? {} : { sources: buildSourceList(sources) }),
      life: { persistence, onePacket, slowStartMs, sorry, failOpen, limits },
      ...(hasSorry ? { sorry: toSceneReal(service, SORRY) } : {}),
      reals: members.flatMap((member, slot) => {
        if (member === undefined) return [];
        const { weight, terms } = member;
        const open = terms.stopsNew ? 0 : weight * unit;
        return [{ ...toSceneReal(service, slot), weight: open, terms }];
      }),
    };
  });

function toSceneReal(service: Service, slot: number): SceneReal {
  const { group, protocol } = service;
  const method = methodOf(group, slot);
  const port = portOf(method, protocol);
  return {
    ...{ id: realId(service, slot), address: addressOf(group, slot), method },
    ...{ port: port === 80 ? 0 : port, arm: armOf(method) },
  };
}

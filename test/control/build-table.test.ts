// From configuration to forwarding table: numbers for addresses, the arm of each real, and ids that
// stay the same from table to table.
import { describe, expect, test } from 'vitest';
import type { Config, RealConfig, ServiceConfig } from '../../src/config/config.ts';
import { type BuiltTable, createTableBuilder } from '../../src/control/build-table.ts';
import { findWay, parseRoute } from '../../src/control/find-hops.ts';
import { wantedFrames, wantedGroups } from '../../src/control/wanted-frames.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import {
  address6Of,
  findService,
  isNatReal,
  isVip,
  METHOD_DSR,
  METHOD_NAT,
  protocolKey,
} from '../../src/director/table.ts';
import { schedulerNamed } from '../../src/schedule/schedulers.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../src/wire/address.ts';

const ip = (address: string) => parseIpv4(address)!;

const arm = (name: string, address: string, prefixLength: number): Arm => ({
  ...{ name, interfaceIndex: 1, macHigh: 0, macLow: 0, mtu: 1500 },
  ...{ address: ip(address), prefixLength },
});
const OUT = arm('out', '192.0.2.1', 24);
const IN = arm('in', '10.0.0.1', 16);
const BARE = arm('bare', '0.0.0.0', 0);

const real = (address: string, more: Partial<RealConfig> = {}): RealConfig => ({
  ...{ name: address, address, port: 80, weight: 1, method: 'dsr', interface: undefined, ...more },
});

const at = (port: number) => [{ from: port, to: port }];

/** All its reals have its method. */
const service = (more: Partial<ServiceConfig> = {}): ServiceConfig => {
  const { method = 'dsr', reals = [real('192.0.2.11'), real('192.0.2.12')] } = more;
  return {
    ...{ name: 'web', vips: ['192.0.2.80'], ports: at(80), protocols: ['tcp'], method },
    ...{ scheduler: 'rr', hash: {}, ...more },
    reals: reals.map((each) => ({ ...each, method })),
  };
};

const config = (...services: ServiceConfig[]): Config => ({
  ...{ file: 'x.yaml', interfaces: ['out', 'in'], datapath: 'ring', guard: 'off', socket: '/x' },
  ...{ workers: 1, ringSlots: 64, maximumFlows: 64, maximumHalfOpen: 16, hashSeed: 42, services },
});

const NAT_REALS = [real('10.0.0.11', { port: 8080 }), real('10.0.7.12', { port: 8081 })];
const nat = (more: Partial<ServiceConfig> = {}) =>
  service({ name: 'api', vips: ['192.0.2.81'], method: 'nat', reals: NAT_REALS, ...more });

describe('a schedule that nothing changes', () => {
  const maglev = (name: string, ...addresses: string[]) =>
    service({
      ...{ name, vips: [`192.0.2.${80 + addresses.length}`], scheduler: 'maglev' },
      reals: addresses.map((address) => real(address)),
    });
  const one = maglev('one', '192.0.2.11');
  const two = maglev('two', '192.0.2.11', '192.0.2.12');

  test('is built once for the same reals, and stays from table to table', () => {
    const builder = createTableBuilder();
    const build = (...services: ServiceConfig[]) =>
      builder.build(config(...services), [OUT, IN]).table.schedules;
    const [first, second, same] = build(one, two, { ...two, name: 'same', vips: ['192.0.2.90'] });
    expect(same).toBe(second);
    expect(second!.slots).not.toEqual(first!.slots);
    const changed = { ...one, reals: [{ ...real('192.0.2.12'), method: 'dsr' as const }] };
    const [after, kept] = build(changed, two);
    expect(kept).toBe(second);
    expect(after).not.toBe(first);
    const [again, flagged] = build({ ...two, hash: { slots: 251 } }, one);
    expect(flagged!.slots.length).toBe(251);
    // Nobody had it in the table before, and what nobody has is let go.
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });

  test('is built anew where choices change it', () => {
    const builder = createTableBuilder();
    const build = () => builder.build(config(service()), [OUT, IN]).table.schedules[0];
    const first = build();
    expect(build()).not.toBe(first);
  });
});

describe('a table', () => {
  const { table, services } = createTableBuilder().build(config(service(), nat()), [OUT, IN]);

  test('finds a service by VIP, port and protocol, and by nothing else', () => {
    expect(findService(table, ip('192.0.2.80'), 80, 6)).toBe(0);
    expect(findService(table, ip('192.0.2.81'), 80, 6)).toBe(1);
    expect(findService(table, ip('192.0.2.81'), 80, 17)).toBe(-1);
    expect(findService(table, ip('192.0.2.81'), 81, 6)).toBe(-1);
    expect(findService(table, ip('192.0.2.82'), 80, 6)).toBe(-1);
    expect([...table.realMethod]).toEqual([METHOD_DSR, METHOD_DSR, METHOD_NAT, METHOD_NAT]);
  });

  test('knows where each real is', () => {
    expect([...table.realAddress]).toEqual(
      ['192.0.2.11', '192.0.2.12', '10.0.0.11', '10.0.7.12'].map(ip),
    );
    expect([...table.realPort]).toEqual([80, 80, 8080, 8081]);
    expect([...table.realNeighbour].map((index) => table.neighbourArm[index])).toEqual([
      ...[0, 0, 1, 1],
    ]);
    expect([...table.realNeighbour].map((index) => table.neighbourAddress[index])).toEqual([
      ...table.realAddress,
    ]);
  });

  test('gives the reals of a service in the order of its schedule', () => {
    const firsts = [...table.serviceFirstReal];
    const reals = firsts.map((first, id) =>
      [...table.serviceReals.subarray(first, first + table.serviceRealCount[id]!)].map(
        (realId) => services[id]!.reals.find((each) => each.id === realId)?.config.address,
      ),
    );
    expect(reals).toEqual([
      ['192.0.2.11', '192.0.2.12'],
      ['10.0.0.11', '10.0.7.12'],
    ]);
  });

  test('tells replies of NAT reals by address, port and protocol', () => {
    expect(isNatReal(table, ip('10.0.0.11'), 8080, 6)).toBe(true);
    expect(isNatReal(table, ip('10.0.0.11'), 8080, 17)).toBe(false);
    expect(isNatReal(table, ip('10.0.0.11'), 8081, 6)).toBe(false);
    expect(isNatReal(table, ip('192.0.2.11'), 80, 6)).toBe(false);
    expect(isVip(table, ip('192.0.2.80'))).toBe(true);
    expect(isVip(table, ip('192.0.2.11'))).toBe(false);
  });

  test('has the schedule that the scheduler builds with the seed of the configuration', () => {
    const { table: hashed } = createTableBuilder().build(
      config(service({ scheduler: 'maglev', reals: [real('192.0.2.11', { weight: 3 })] })),
      [OUT],
    );
    expect(hashed.schedules[0]).toEqual(
      schedulerNamed('maglev').build([{ key: '192.0.2.11:80', weight: 3 }], { seed: 42 }),
    );
  });

  test('has the flags of the service, and remembers the weight of a real that is drained', () => {
    const { build } = createTableBuilder();
    const reals = (first: number) => [real('192.0.2.11', { weight: first }), real('192.0.2.12')];
    const schedule = (first: number, fallback: boolean) =>
      build(config(service({ scheduler: 'maglev', hash: { fallback }, reals: reals(first) })), [
        OUT,
      ]).table.schedules[0]!.slots;
    const fresh = schedule(0, false);
    expect(fresh).not.toContain(-1);
    const before = schedule(3, false);
    const drained = schedule(0, false);
    expect(drained).toEqual(before.map((index) => (index === 0 ? -1 : index)));
    expect(schedule(0, true)).not.toContain(-1);
    expect(schedule(3, true)).toEqual(before);
    // A real that leaves the configuration is forgotten with its weight.
    build(config(), [OUT]);
    expect(schedule(0, false)).toEqual(fresh);
  });

  test('crosses to another thread as it is', () => {
    expect(structuredClone(table)).toEqual(table);
  });

  test('of many services finds each of them', () => {
    const many = Array.from({ length: 300 }, (_, index) =>
      service({
        ...{ name: `s${index}`, ports: at(1 + index), protocols: [index % 2 ? 'udp' : 'tcp'] },
      }),
    );
    const built = createTableBuilder().build(config(...many), [OUT]);
    for (const [index, { id, config: each }] of built.services.entries()) {
      const protocol = index % 2 ? 17 : 6;
      expect(findService(built.table, ip(each.vips[0]!), each.ports[0]!.from, protocol)).toBe(id);
      expect(findService(built.table, ip(each.vips[0]!), each.ports[0]!.from, 23 - protocol)).toBe(
        -1,
      );
    }
    expect(built.table.vips).toHaveLength(1);
    expect(built.table.neighbourAddress).toHaveLength(2);
  });
});

describe('ids', () => {
  const idsOf = (services: readonly { id: number; reals: readonly { id: number }[] }[]) =>
    services.map(({ id, reals }) => [id, ...reals.map((each) => each.id)]);

  test('stay with their service and real, in whatever order the file has them', () => {
    const builder = createTableBuilder();
    const first = builder.build(config(service(), nat()), [OUT, IN]);
    expect(idsOf(first.services)).toEqual([
      [0, 0, 1],
      [1, 2, 3],
    ]);
    const turned = nat({ reals: [...NAT_REALS].reverse() });
    const second = builder.build(config(turned, service()), [OUT, IN]);
    expect(idsOf(second.services)).toEqual([
      [1, 3, 2],
      [0, 0, 1],
    ]);
    expect(second.table.realAddress).toEqual(first.table.realAddress);
  });

  test('stay through a new name, weight or scheduler', () => {
    const builder = createTableBuilder();
    builder.build(config(service()), [OUT]);
    const reals = [real('192.0.2.12', { weight: 0, name: 'b' }), real('192.0.2.11')];
    const changed = service({ name: 'other', scheduler: 'sh', reals });
    expect(idsOf(builder.build(config(changed), [OUT]).services)).toEqual([[0, 1, 0]]);
  });

  test('stay while a service keeps one thing that it listens on', () => {
    const builder = createTableBuilder();
    const build = (more: Partial<ServiceConfig>) =>
      idsOf(builder.build(config(service(more)), [OUT]).services);
    const before = build({});
    const range = { from: 8000, to: 8100 };
    const reals = [real('192.0.2.11', { port: 0 }), real('192.0.2.12', { port: 0 })];
    expect(build({ ports: [...at(80), range], reals })).toEqual(before);
    expect(build({ ports: [range], vips: ['192.0.2.80', '192.0.2.0/28'], reals })).toEqual(before);
    expect(build({ ports: [range], vips: ['192.0.2.0/28'], reals })).toEqual(before);
    expect(build({ ports: at(81), vips: ['192.0.2.0/28'] })).not.toEqual(before);
  });

  test('of a service that is divided stay with its first part', () => {
    const builder = createTableBuilder();
    builder.build(config(service({ ports: [...at(80), ...at(81)] })), [OUT]);
    const parts = [service(), service({ name: 'other', ports: at(81) })];
    const ids = idsOf(builder.build(config(...parts), [OUT]).services).map(([id]) => id);
    expect(ids).toEqual([0, 1]);
  });

  test('go to the part of the old name, whatever comes first in the file', () => {
    const builder = createTableBuilder();
    builder.build(config(service({ ports: [...at(80), ...at(443)] })), [OUT]);
    const parts = [service({ name: 'redirect' }), service({ ports: at(443) })];
    const ids = idsOf(builder.build(config(...parts), [OUT]).services).map(([id]) => id);
    expect(ids).toEqual([1, 0]);
  });

  test('of a table that was not used after all change nothing', () => {
    const [web, other] = [service(), nat({ name: 'other' })];
    const builder = createTableBuilder();
    const first = builder.build(config(web, other), [OUT, IN]);
    const both = service({ vips: ['192.0.2.80', '192.0.2.81'], reals: [real('192.0.2.13')] });
    builder.build(config(both), [OUT, IN]).undo();
    const again = builder.build(config(web, other), [OUT, IN]);
    expect(idsOf(again.services)).toEqual(idsOf(first.services));
    expect(again.table.generation).not.toBe(first.table.generation);
    // As if it had never been: the real of the other one has no id yet.
    expect(idsOf(builder.build(config(both), [OUT, IN]).services)).toEqual([[0, 4]]);
  });

  test('of a table that could not be built change nothing', () => {
    const builder = createTableBuilder();
    const before = idsOf(builder.build(config(service(), nat()), [OUT, IN]).services);
    const both = service({
      ...{ vips: ['192.0.2.80', '192.0.2.81'], reals: [real('192.0.2.13'), real('203.0.113.1')] },
    });
    expect(() => builder.build(config(both), [OUT, IN])).toThrow('203.0.113.1');
    expect(idsOf(builder.build(config(service(), nat()), [OUT, IN]).services)).toEqual(before);
  });

  test('are never given again', () => {
    const builder = createTableBuilder();
    builder.build(config(service()), [OUT]);
    const replaced = service({ reals: [real('192.0.2.13')] });
    const { table, services } = builder.build(config(replaced), [OUT]);
    expect(idsOf(services)).toEqual([[0, 2]]);
    expect([...table.realNeighbour]).toEqual([-1, -1, 0]);
    expect(idsOf(builder.build(config(service()), [OUT]).services)).toEqual([[0, 0, 1]]);
  });

  test.each<[string, Partial<ServiceConfig>]>([
    ['VIP', { vips: ['192.0.2.90'] }],
    ['port', { ports: at(81) }],
    ['protocol', { protocols: ['udp'] }],
  ])('are new for a service with another %s, and so are those of its reals', (_, change) => {
    const builder = createTableBuilder();
    builder.build(config(service()), [OUT]);
    expect(idsOf(builder.build(config(service(change)), [OUT]).services)).toEqual([[1, 2, 3]]);
  });

  test('are new for reals with another method', () => {
    const builder = createTableBuilder();
    builder.build(config(service()), [OUT]);
    const { services } = builder.build(config(service({ method: 'nat' })), [OUT]);
    expect(idsOf(services)).toEqual([[0, 2, 3]]);
  });
});

const findArm = (...[real, arms]: [RealConfig, readonly Arm[]]) =>
  findWay(real, arms, new Map()).arm;

describe('the arm of a real', () => {
  test('is the one whose subnet holds it', () => {
    expect(findArm(real('10.0.255.254'), [OUT, IN])).toBe(1);
    expect(findArm(real('192.0.2.200'), [IN, OUT])).toBe(1);
  });

  test('is the one that the file names, wherever the real is', () => {
    expect(findArm(real('192.0.2.200', { interface: 'in' }), [OUT, IN])).toBe(1);
    expect(findArm(real('192.0.2.200', { interface: 'none' }), [OUT, IN])).toBe(-1);
  });

  test('is the only one, if there is but one', () => {
    expect(findArm(real('203.0.113.9'), [OUT])).toBe(0);
    expect(findArm(real('203.0.113.9'), [BARE])).toBe(0);
    expect(findArm(real('203.0.113.9'), [OUT, IN])).toBe(-1);
  });

  test('is never an arm without an address just because that has no subnet', () => {
    expect(findArm(real('10.0.0.11'), [BARE, IN])).toBe(1);
    expect(findArm(real('203.0.113.9'), [BARE, IN])).toBe(-1);
  });

  test('must be there', () => {
    const far = service({ reals: [real('203.0.113.9')] });
    expect(() => createTableBuilder().build(config(far), [OUT, IN])).toThrow(
      'no interface leads to 203.0.113.9',
    );
  });
});

describe('IPv6', () => {
  const SUBNET6 = { address: parseIpv6('2001:db8:1::1')!, prefixLength: 64 };
  const WITH6: Arm = { ...IN, name: 'six', subnets6: [SUBNET6] };
  const web6 = (vip: string, ...addresses: string[]) =>
    service({ name: 'web6', vips: [vip], reals: addresses.map((address) => real(address)) });
  const textOf = (table: BuiltTable['table'], handle: number) =>
    formatIpv6(address6Of(table, handle));

  test('an arm is found by any of its subnets, as with IPv4', () => {
    expect(findArm(real('2001:db8:1::21'), [OUT, WITH6])).toBe(1);
    expect(findArm(real('2001:db8:2::21'), [OUT, WITH6])).toBe(-1);
    expect(findArm(real('2001:db8:2::21'), [WITH6])).toBe(0);
    expect(findArm(real('2001:db8:2::21', { interface: 'out' }), [WITH6, OUT])).toBe(1);
  });

  test('addresses become handles that they keep, whatever comes and goes', () => {
    const builder = createTableBuilder();
    const build = (...services: ServiceConfig[]) =>
      builder.build(config(...services), [WITH6]).table;
    const before = build(service(), web6('2001:db8::10', '2001:db8:1::21', '2001:db8:1::22'));
    const [vip] = before.vips6;
    expect(textOf(before, vip!)).toBe('2001:db8::10');
    expect(findService(before, vip!, 80, protocolKey(6, 6))).toBe(1);
    expect(findService(before, vip!, 80, 6)).toBe(-1);
    expect([...before.vips]).toEqual([ip('192.0.2.80')]);
    const after = build(web6('2001:db8::11', '2001:db8:1::22'), web6('2001:db8::10', 'fd00::1'));
    expect([...after.vips6].map((handle) => textOf(after, handle))).toEqual([
      ...['2001:db8::11', '2001:db8::10'],
    ]);
    expect(after.vips6[1]).toBe(vip);
    expect(after.addresses6.subarray(0, before.addresses6.length)).toEqual(before.addresses6);
  });

  test('frames to VIPs and from reals whose replies come back are wanted, by their words', () => {
    const builder = createTableBuilder();
    const web = web6('2001:db8::10', 'fd00::1');
    const six = { ...web, reals: web.reals.map((each) => ({ ...each, method: 'nat' as const })) };
    const wanted = wantedFrames(builder.build(config(service(), six), [WITH6]).table);
    expect([...wanted.vips]).toEqual([ip('192.0.2.80')]);
    expect([...(wanted.vips6 ?? [])]).toEqual([0x20010db8, 0, 0, 0x10]);
    expect([...(wanted.reals6 ?? [])]).toEqual([0xfd000000 | 0, 0, 0, 1]);
  });

  test('prefixes are wanted beside single VIPs, and have no groups', () => {
    const web = { ...web6('2001:db8::10', 'fd00::1'), vips: ['2001:db8:5::/64', '2001:db8::10'] };
    const { table } = createTableBuilder().build(config(web), [WITH6]);
    const { vips6 = [], vipPrefixLengths6 = [] } = wantedFrames(table);
    expect([...vips6]).toEqual([0x20010db8, 0, 0, 0x10, 0x20010db8, 0x50000, 0, 0]);
    expect([...vipPrefixLengths6]).toEqual([128, 64]);
    expect(wantedGroups(table)).toEqual(['ff02::1:ff00:10']);
  });
});

describe('the router that leads to a real', () => {
  const routes = new Map([['203.0.113.9', { gateway: '10.0.0.254', interface: 'in' }]]);

  test('is the one that the file names, on the arm whose subnet holds it', () => {
    const far = real('203.0.113.9', { gateway: '192.0.2.254' });
    expect(findWay(far, [IN, OUT], routes)).toEqual({ arm: 1, gateway: '192.0.2.254' });
    expect(findWay(far, [IN], routes)).toEqual({ arm: -1, gateway: '192.0.2.254' });
    const named = { ...far, interface: 'in' };
    expect(findWay(named, [OUT, IN], routes)).toEqual({ arm: 1, gateway: '192.0.2.254' });
  });

  test("is that of the host's route, if an arm has it and no subnet holds the real", () => {
    expect(findWay(real('203.0.113.9'), [OUT, IN], routes)).toEqual({
      ...{ arm: 1, gateway: '10.0.0.254' },
    });
    expect(findWay(real('203.0.113.9'), [OUT], routes)).toEqual({ arm: 0, gateway: undefined });
    const other = real('203.0.113.9', { interface: 'out' });
    expect(findWay(other, [OUT, IN], routes)).toEqual({ arm: 0, gateway: undefined });
    const near = new Map([['10.0.0.11', { gateway: '10.0.0.254', interface: 'in' }]]);
    expect(findWay(real('10.0.0.11'), [OUT, IN], near)).toEqual({ arm: 1, gateway: undefined });
  });

  test('is read from what ip says', () => {
    const said = '[{"dst":"10.3.0.2","gateway":"10.2.0.1","dev":"eth1","prefsrc":"10.2.0.9"}]';
    expect(parseRoute(said)).toEqual({ gateway: '10.2.0.1', interface: 'eth1' });
    expect(parseRoute('[{"dst":"10.2.0.2","dev":"eth1"}]')).toBeUndefined();
    expect(parseRoute('')).toBeUndefined();
  });

  test('is resolved in the place of the real, and once for all of them', () => {
    const gateway = '10.0.0.254';
    const reals = [real('203.0.113.9', { gateway }), real('203.0.113.10', { gateway })];
    const tunnel = { port: 7000, sources: ['172.16.0.0/16'] };
    const made = { ...config(service({ method: 'gue', reals })), tunnel };
    const { table, services } = createTableBuilder().build(made, [OUT, IN]);
    expect([...table.neighbourAddress].map(formatIpv4)).toEqual([gateway]);
    expect([...table.realAddress].map(formatIpv4)).toEqual(['203.0.113.9', '203.0.113.10']);
    expect(services[0]!.reals[0]).toMatchObject({ arm: 1, gateway });
    expect([...table.tunnelAddresses]).toEqual([...table.realAddress]);
    expect(table.tunnel).toEqual({ source: 0xac100000 | 0, prefixLength: 16, port: 7000 });
  });
});

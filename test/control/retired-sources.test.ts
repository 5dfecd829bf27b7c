// Addresses that a reload takes from the source pool: which ones, that their flows go on to their
// end while new ones get others, and that it is told when the last has ended.
import { describe, expect, test } from 'vitest';
import { arpFrame } from '../../lab/frame.ts';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/load.ts';
import { createTableBuilder } from '../../src/control/build-table.ts';
import { retiredSources } from '../../src/control/retired-sources.ts';
import { createLoop } from '../../src/control/run-batch.ts';
import { wantedFrames } from '../../src/control/wanted-frames.ts';
import { buildFanoutProgram } from '../../src/datapath/fanout-program.ts';
import { openMemory } from '../../src/datapath/memory.ts';
import { counterBytes, GLOBAL, wrapCounters } from '../../src/director/counters.ts';
import { formatIpv4, parseIpv4, parseIpv6 } from '../../src/wire/address.ts';
import * as arp from '../../src/wire/arp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  ARMS,
  CLIENT,
  INSIDE,
  INSIDE_ARM,
  NAT_REALS,
  NAT_VIP,
  natTcp,
  OUTSIDE,
  replyTcp,
} from '../packets/scene.ts';

const [OLD, NEW] = ['10.0.0.200', '10.0.0.201'];
const REAL = NAT_REALS[0]!;
const ROOM = { arms: 2, services: 8, reals: 16 };
const { SYN, ACK, RST } = tcp;

function configWith(pool: readonly string[], rest: Partial<Config> = {}): Config {
  const real = `{ address: ${REAL.address}, port: 8080 }`;
  const service = `{ vip: ${NAT_VIP}, port: 80, method: fullnat, reals: [${real}] }`;
  const sources = `sourcePool: { addresses: [${pool}] }`;
  const text = `interfaces: [out, in]\n${sources}\nservices: { web: ${service} }`;
  const result = parseConfig(text, 'x.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return { ...result.config, ...rest };
}

/** What left a pool of an only worker. */
const ofOne = (...addresses: string[]) => addresses.map((address) => ({ address, worker: 0 }));

describe('what leaves the pool', () => {
  const before = configWith([OLD, NEW]);

  test('is what the new file no longer has, and what left it before', () => {
    expect(retiredSources(before, before, []).kept).toEqual([]);
    const after = configWith([NEW]);
    expect(retiredSources(before, after, []).kept).toEqual(ofOne(OLD));
    const { sourcePool: _, ...none } = { ...after, retiredSources: ofOne(OLD) };
    expect(retiredSources({ ...after, retiredSources: ofOne(OLD) }, none, []).kept).toEqual(
      ofOne(OLD, NEW),
    );
    // It is back.
    expect(retiredSources({ ...after, retiredSources: ofOne(OLD) }, before, []).kept).toEqual([]);
  });

  test('is not what somebody else has now: the host, a VIP, a real, a gateway', () => {
    const after = configWith([NEW]);
    const [service] = after.services;
    const [real] = service!.reals;
    const withService = (more: object) => ({ ...after, services: [{ ...service!, ...more }] });
    expect(retiredSources(before, after, [OLD]).kept).toEqual([]);
    expect(retiredSources(before, withService({ vips: ['10.0.0.192/28'] }), []).kept).toEqual([]);
    for (const fields of [{ address: OLD }, { gateway: OLD }]) {
      const reals = [{ ...real!, ...fields }];
      expect(retiredSources(before, withService({ reals }), []).kept).toEqual([]);
    }
  });

  test('is all of the largest pool, and of more what left last', () => {
    const pool = (third: number) => Array.from({ length: 64 }, (_, at) => `10.0.${third}.${at}`);
    const [first, second, third] = [1, 2, 3].map((each) => configWith(pool(each)));
    const { kept, givenUp } = retiredSources(first!, second!, []);
    expect([kept, givenUp]).toEqual([ofOne(...pool(1)), []]);
    const again = retiredSources({ ...second!, retiredSources: kept }, third!, []);
    expect(again).toEqual({ kept: ofOne(...pool(2)), givenUp: pool(1) });
  });

  test.each([0, 20, 64])(
    'is no more than the kernel takes: beside 320 VIPs and %s in use',
    (used) => {
      const name = (prefix: string) => (_: unknown, at: number) =>
        `fd00:${prefix}::${at.toString(16)}`;
      const [old, now] = ['a', 'b'].map((prefix) => Array.from({ length: 64 }, name(prefix)));
      const vips = Array.from({ length: used === 64 ? 200 : 320 }, name('c'));
      const base = configWith([NEW], { workers: 2 });
      const services = [{ ...base.services[0]!, vips, reals: [] }];
      const ports = { from: 1024, to: 65_535 };
      const configOf = (addresses: readonly string[]) => {
        return { ...base, services, sourcePool: { addresses, ports } };
      };
      const next = configOf(now!.slice(0, used));
      const { kept, givenUp } = retiredSources(configOf(old!), next, []);
      expect([...givenUp, ...kept.map(({ address }) => address)]).toEqual(old);
      expect(kept.length).toBeGreaterThan(20);
      expect(givenUp.length).toBeGreaterThan(5);
      const { table } = createTableBuilder().build({ ...next, retiredSources: kept }, ARMS);
      expect(buildFanoutProgram(wantedFrames(table), 2).length / 8).toBeLessThanOrEqual(4096);
      // One worker has all, by no program.
      expect(retiredSources(configOf(old!), { ...next, workers: 1 }, []).kept.length).toBe(64);
    },
  );

  test('is let in by the datapath and shared among workers as before', () => {
    const config = configWith([NEW], { retiredSources: ofOne(OLD) });
    const { table } = createTableBuilder().build(config, ARMS);
    const { vips, pool, retired } = wantedFrames(table);
    const [old, now] = [OLD, NEW].map((text) => parseIpv4(text)!);
    expect([...pool!]).toEqual([now]);
    expect(retired).toEqual([{ words: Int32Array.of(old!), worker: 0 }]);
    expect([...vips!]).toEqual([parseIpv4(NAT_VIP), now, old]);
    // Likewise of IPv6.
    const pools = { addresses: ['fd00::201'], ports: { from: 1024, to: 65_535 } };
    const of6 = { ...config, sourcePool: pools, retiredSources: ofOne('fd00::200') };
    const wanted6 = wantedFrames(createTableBuilder().build(of6, ARMS).table);
    const [old6, now6] = ['fd00::200', 'fd00::201'].map((text) => parseIpv6(text)!);
    expect([...wanted6.pool6!]).toEqual(now6);
    expect(wanted6.retired).toEqual([{ words: Int32Array.of(...old6!), worker: 0 }]);
    expect([...wanted6.vips6!]).toEqual([...now6!, ...old6!]);
  });
});

test('a flow goes on by an address that left the pool, and new ones get another', () => {
  const datapath = openMemory(ARMS);
  const counters = wrapCounters(new ArrayBuffer(counterBytes(ROOM)), ROOM);
  const builder = createTableBuilder();
  const { table } = builder.build(configWith([OLD]), ARMS);
  const sizes = { maximumFlows: 6000, maximumHalfOpen: 6000 };
  const loop = createLoop({ datapath, table, counters, ...sizes, nowMs: 0, post: () => {} });
  const arrive = (frame: Uint8Array, arm: number) => {
    datapath.put(frame, arm);
    while (loop.turn(0) > 0);
    // Its own questions and announcements go out as well.
    return datapath.sent.splice(0).flatMap(({ bytes }) => {
      const isAnswer = bytes[13] === 0x06 && bytes[21] === arp.REPLY;
      return bytes[13] === 0x00 || isAnswer ? [bytes] : [];
    });
  };
  const ask = (target: string) => {
    const pair = { sourceMac: REAL.mac, senderAddress: REAL.address, targetAddress: target };
    const question = { ...pair, operation: arp.REQUEST, destinationMac: 'ff:ff:ff:ff:ff:ff' };
    return arrive(arpFrame(question), INSIDE).length;
  };
  /** Whom the real sees as its client. */
  const seen = (port: number, flags: number) => {
    const [frame] = arrive(natTcp({ flags, sourcePort: port }), OUTSIDE);
    const view = new DataView(frame!.buffer);
    return { address: formatIpv4(view.getInt32(26)), port: view.getUint16(34) };
  };
  const answerTo = (source: { address: string; port: number }, flags: number) => {
    const to = { destination: source.address, destinationPort: source.port };
    const [frame] = arrive(replyTcp(REAL, { flags, ...to }), INSIDE);
    return formatIpv4(new DataView(frame!.buffer).getInt32(30));
  };
  const retired = () => counters.values[GLOBAL.retiredFlows];

  loop.tick(0);
  const pair = { sourceMac: REAL.mac, destinationMac: INSIDE_ARM.mac, operation: arp.REPLY };
  arrive(arpFrame({ ...pair, senderAddress: REAL.address, targetAddress: '10.0.0.1' }), INSIDE);
  // More than one look passes over, so that the count takes several.
  for (let port = 1; port <= 5000; port++)
    arrive(natTcp({ flags: SYN, sourcePort: port }), OUTSIDE);
  const old = seen(40_000, SYN);
  expect(old.address).toBe(OLD);
  expect(retired()).toBe(0);

  const next = builder.build(configWith([NEW], { retiredSources: ofOne(OLD) }), ARMS);
  loop.handle({ type: 'table', table: next.table });
  loop.tick(1);
  // Not known before all records were looked at, so not none.
  expect(retired()).toBe(1);
  expect([ask(OLD), ask(NEW), ask('10.0.0.202')]).toEqual([1, 1, 0]);
  expect(answerTo(old, SYN | ACK)).toBe(CLIENT);
  expect(seen(40_000, ACK)).toEqual(old);
  const other = seen(40_001, SYN);
  expect(other.address).toBe(NEW);
  loop.tick(2);
  expect(retired()).toBe(5001);

  // The half-open ones end by time, then the last by a reset of its real.
  loop.tick(70_000);
  for (let ms = 70_001; ms < 70_004; ms++) loop.tick(ms);
  expect(retired()).toBe(1);
  expect(answerTo(old, RST | ACK)).toBe(CLIENT);
  for (let ms = 90_000; ms < 90_004; ms++) loop.tick(ms);
  expect(retired()).toBe(0);

  loop.handle({ type: 'table', table: builder.build(configWith([NEW]), ARMS).table });
  expect([ask(OLD), ask(NEW)]).toEqual([0, 1]);
});

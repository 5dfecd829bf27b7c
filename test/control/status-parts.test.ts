// From counters to what people and programs read: the status, the lines about reals, the blocks at
// start and end. The counters are written here as a data plane would write them.
import { beforeEach, describe, expect, test } from 'vitest';
import { createTableBuilder } from '../../src/control/build-table.ts';
import { type DirectorState, fillStatus } from '../../src/control/fill-status.ts';
import {
  clearGauges,
  makeCounters,
  sumWorkers,
  takeCounters,
} from '../../src/control/plane-counters.ts';
import { formatBanner, formatSummary } from '../../src/control/report.ts';
import { watchReals } from '../../src/control/watch-reals.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import { DOWN, FULL } from '../../src/director/availability.ts';
import {
  ACTIVE_FLOWS,
  CLOSED_BITS,
  type Counters,
  dropAt,
  GLOBAL,
  NEIGHBOUR_MAC,
  NEIGHBOUR_RESOLVED,
  NEIGHBOUR_RESOLVING,
  NEIGHBOUR_STATE,
  NEIGHBOUR_UNREACHABLE,
  REQUEST_PACKETS,
  realAt,
} from '../../src/director/counters.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import { DROP } from '../../src/wire/drop-reason.ts';
import { sampleConfig } from './sample-config.ts';

const arm = (name: string, address: string): Arm => ({
  ...{ name, interfaceIndex: 2, macHigh: 0x02000000, macLow: 1, mtu: 1500 },
  ...{ address: parseIpv4(address)!, prefixLength: 24 },
});

let state: DirectorState;
let counters: Counters;

beforeEach(() => {
  const config = sampleConfig();
  const arms = [arm('eth0', '10.1.0.1'), arm('eth1', '10.2.0.1')];
  counters = makeCounters(config).counters;
  state = {
    workers: [counters],
    ...{ config, arms, counters, links: ['up', 'down'], guard: 'nft', childPid: undefined },
    ...{ built: createTableBuilder().build(config, arms), startedAtMs: Date.now() - 1500 },
  };
});

const firstReal = () => realAt(counters.room, state.built.services[0]!.reals[0]!.id);

function setNeighbour(neighbourState: number): void {
  counters.values[firstReal() + NEIGHBOUR_STATE] = neighbourState;
  counters.values[firstReal() + NEIGHBOUR_MAC] = 0x0a0b_0c0d_0e0f;
}

describe('status', () => {
  test('has each row of counters at its service and real', () => {
    counters.values[firstReal() + REQUEST_PACKETS] = 7;
    counters.values[dropAt(DROP['no-flow'])] = 3;
    counters.values[GLOBAL.sentFrames] = 9;
    setNeighbour(NEIGHBOUR_RESOLVED);
    const status = fillStatus(state);
    expect(status.services.map(({ name }) => name)).toEqual(['web', 'dns']);
    expect(status.services[0]!.reals[0]).toMatchObject({
      ...{ address: '10.1.0.11', arm: 'eth0', requestPackets: 7 },
      ...{ neighbour: 'resolved', mac: '0a:0b:0c:0d:0e:0f' },
    });
    expect(status.services[0]!.reals[1]).toMatchObject({ requestPackets: 0, mac: null });
    expect(status.services[1]!.reals[0]).toMatchObject({ address: '10.2.0.11', arm: 'eth1' });
    expect(status.drops).toEqual({ 'no-flow': 3 });
    expect(status.totals.sentFrames).toBe(9);
  });

  test('says who may come, and counts a sorry server among users of the pool', () => {
    const [web] = sampleConfig().services;
    const sorry = { ...web!.reals[0]!, address: '10.1.0.99', method: 'fullnat' } as const;
    const sources = { deny: ['10.9.0.0/16'] };
    const config = sampleConfig({
      services: [{ ...web!, sorry, sources }],
      sourcePool: { addresses: ['10.1.0.200'], ports: { from: 1024, to: 2047 } },
    });
    const built = createTableBuilder().build(config, state.arms);
    const at = realAt(counters.room, built.services[0]!.sorry!.id);
    counters.values[at + ACTIVE_FLOWS] = 5;
    const status = fillStatus({ ...state, config, built });
    expect(status.services[0]!.sources).toEqual(sources);
    expect(status.sourcePool).toMatchObject({ total: 1024, used: 5, mostUsed: 5 });
  });

  test('has the arms with their links and addresses', () => {
    const [first, second] = fillStatus(state).arms;
    expect(first).toMatchObject({ name: 'eth0', address: '10.1.0.1/24', link: 'up' });
    expect(first).toMatchObject({ mac: '02:00:00:00:00:01', mtu: 1500 });
    expect(second).toMatchObject({ name: 'eth1', link: 'down' });
  });

  test('counts the memory of a data plane in a process of its own', () => {
    const alone = fillStatus(state).residentBytes;
    // This process stands in for the child: then its own memory counts twice.
    const both = fillStatus({ ...state, childPid: process.pid }).residentBytes;
    expect(both).toBeGreaterThan(alone * 1.5);
    expect(fillStatus({ ...state, childPid: 2 ** 30 }).residentBytes).toBeLessThan(both);
  });
});

describe('the lines about reals', () => {
  test('name the gateway that was asked, once for all reals behind it', () => {
    const lines: string[] = [];
    const log = { event: (_: string, text: string) => void lines.push(text), problem: () => {} };
    const services = state.built.services.slice(0, 1).map((service) => ({
      ...service,
      reals: service.reals.map((real) => ({ ...real, gateway: '10.1.0.254' })),
    }));
    for (const { id } of services[0]!.reals) {
      counters.values[realAt(counters.room, id) + NEIGHBOUR_STATE] = NEIGHBOUR_UNREACHABLE;
    }
    watchReals(counters, log).look({ ...state.built, services }, state.arms);
    expect(lines).toEqual([
      'the gateway 10.1.0.254 does not answer ARP on eth0: packets through it are dropped',
    ]);
  });

  test('come once for each change, and not for a real that is being resolved', () => {
    const lines: string[] = [];
    const log = { event: (_: string, text: string) => void lines.push(text), problem: () => {} };
    const watch = watchReals(counters, log);
    const look = () => watch.look(state.built, state.arms);
    look();
    expect(lines).toEqual([]);
    setNeighbour(NEIGHBOUR_RESOLVED);
    look();
    look();
    expect(lines.splice(0)).toEqual(['real 10.1.0.11 is at 0a:0b:0c:0d:0e:0f on eth0']);
    setNeighbour(NEIGHBOUR_UNREACHABLE);
    look();
    expect(lines.splice(0)).toEqual([
      'real 10.1.0.11 does not answer ARP on eth0: its packets are dropped',
    ]);
    setNeighbour(NEIGHBOUR_RESOLVING);
    look();
    setNeighbour(NEIGHBOUR_UNREACHABLE);
    look();
    expect(lines).toEqual([]);
    setNeighbour(NEIGHBOUR_RESOLVED);
    look();
    expect(lines).toHaveLength(1);
  });
});

describe('counters over several data planes', () => {
  test('sums go on, gauges start anew', () => {
    const { values } = counters;
    values[firstReal() + REQUEST_PACKETS] = 5;
    values[firstReal() + ACTIVE_FLOWS] = 2;
    values[GLOBAL.activeFlows] = 2;
    values[GLOBAL.generation] = 7;
    setNeighbour(NEIGHBOUR_RESOLVED);
    clearGauges(counters);
    const base = values.slice();
    expect(values[firstReal() + ACTIVE_FLOWS]).toBe(0);
    expect(values[firstReal() + NEIGHBOUR_STATE]).toBe(0);
    expect(values[GLOBAL.activeFlows]).toBe(0);
    expect(values[GLOBAL.generation]).toBe(0);
    const posted = new Float64Array(values.length);
    posted[firstReal() + REQUEST_PACKETS] = 3;
    posted[firstReal() + ACTIVE_FLOWS] = 1;
    takeCounters(counters, base, posted);
    takeCounters(counters, base, posted);
    expect(values[firstReal() + REQUEST_PACKETS]).toBe(8);
    expect(values[firstReal() + ACTIVE_FLOWS]).toBe(1);
  });
});

test('a real that is full in any of the workers is overloaded', () => {
  const shared = makeCounters(sampleConfig({ workers: 2 }));
  const at = realAt(shared.counters.room, 0);
  for (const worker of shared.workers) worker.values[at + NEIGHBOUR_STATE] = NEIGHBOUR_RESOLVED;
  shared.workers[1]!.values[at + CLOSED_BITS] = FULL | DOWN;
  sumWorkers(shared);
  expect(shared.counters.values[at + CLOSED_BITS]).toBe(FULL);
  expect(shared.counters.values[at + NEIGHBOUR_STATE]).toBe(NEIGHBOUR_RESOLVED);
});

describe('the blocks of text', () => {
  test('the banner says what goes where, whether there is a guard, and how to look', () => {
    const text = formatBanner(fillStatus(state), { kind: 'nft' }, '/run/furiwake.sock');
    expect(text).toContain('eth0 (02:00:00:00:00:01, 10.1.0.1/24, MTU 1500)');
    expect(text).toContain('web: tcp 10.1.0.100:80 by dsr, rr, to 10.1.0.11:80, 10.1.0.12:80');
    expect(text).toContain('guard nft');
    expect(text).toContain('furiwake status --socket /run/furiwake.sock');
    const none = { kind: 'none', why: 'no CAP_NET_ADMIN' } as const;
    expect(formatBanner(fillStatus(state), none, '')).toContain('guard none (no CAP_NET_ADMIN)');
  });

  test('the summary has time, requests of each real and drops by name', () => {
    counters.values[firstReal() + REQUEST_PACKETS] = 7;
    counters.values[dropAt(DROP['no-service'])] = 4;
    const text = formatSummary(fillStatus(state));
    expect(text).toMatch(/stopped after 1\.\d s/);
    expect(text).toContain('10.1.0.11:80: 0 flows, 7 request packets');
    expect(text).toContain('dropped no-service: 4');
  });
});

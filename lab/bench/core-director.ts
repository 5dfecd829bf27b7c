// The director that the benches of the core measure: two arms, one service, one real, no kernel.
import type { Arm } from '../../src/datapath/datapath.ts';
import { counterBytes, wrapCounters } from '../../src/director/counters.ts';
import { createDirector, type Director, layWays } from '../../src/director/director.ts';
import { learnNeighbour } from '../../src/director/neighbours.ts';
import { buildTable, type MethodName } from '../../src/director/table.ts';
import { schedulerNamed } from '../../src/schedule/schedulers.ts';
import { parseIpv4, parseMac } from '../../src/wire/address.ts';
import { INSIDE, OUTSIDE, REAL, VIP } from './bed.ts';

export const OUTSIDE_MAC = parseMac(OUTSIDE.mac) ?? { high: 0, low: 0 };

function makeArm(name: string, { mac, address }: { mac: string; address: string }): Arm {
  const { high, low } = parseMac(mac) ?? { high: 0, low: 0 };
  return {
    name,
    interfaceIndex: 0,
    macHigh: high,
    macLow: low,
    address: parseIpv4(address) ?? 0,
    prefixLength: 24,
    mtu: 1500,
  };
}

/** One service of UDP with one real, whose MAC address is known. */
export function makeDirector(method: MethodName, maximumFlows: number): Director {
  const arms = [makeArm('eth0', OUTSIDE), makeArm('eth1', INSIDE)];
  const room = { arms: 2, services: 1, reals: 1 };
  const schedule = schedulerNamed('maglev').build([{ key: REAL.address, weight: 1 }], { seed: 0 });
  const real = { id: 0, address: parseIpv4(REAL.address) ?? 0, port: 8080, method, arm: 1 };
  const vips = [{ address: parseIpv4(VIP) ?? 0, prefixLength: 32 }];
  const ports = [{ from: 80, to: 80 }];
  const table = buildTable([{ id: 0, vips, ports, protocols: [17], schedule, reals: [real] }]);
  const counters = wrapCounters(new SharedArrayBuffer(counterBytes(room)), room);
  const director = createDirector({
    ...{ arms, table, counters, maximumFlows, flowSeed: 12_345, nowMs: 0 },
  });
  const { high, low } = parseMac(REAL.mac) ?? { high: 0, low: 0 };
  learnNeighbour(director.neighbours, { arm: 1, address: real.address, high, low }, 0);
  layWays(director);
  return director;
}

// The director's own work for a packet, without a kernel: 4,096 frames of 10,000 flows in memory
// laid out like the ring's, decided in place again and again. A process of its own for each method,
// so that V8 sees only one. Prints nanoseconds of user time a packet, the loop itself taken off,
// and the garbage collections it saw.
import { PerformanceObserver } from 'node:perf_hooks';
import { inlineGenerously } from '../../src/control/inlining.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import { counterBytes, wrapCounters } from '../../src/director/counters.ts';
import { createDirector, layWays } from '../../src/director/director.ts';
import { learnNeighbour } from '../../src/director/neighbours.ts';
import { processFrame } from '../../src/director/process.ts';
import { buildTable, type MethodName } from '../../src/director/table.ts';
import { kindOf, SEND } from '../../src/director/verdict.ts';
import { schedulerNamed } from '../../src/schedule/schedulers.ts';
import { parseIpv4, parseMac } from '../../src/wire/address.ts';
import { udpFrame } from '../../src/wire/frame.ts';
import { CLIENT, INSIDE, OUTSIDE, REAL, VIP } from './bed.ts';

const FRAMES = 4096;
const SLOT_BYTES = 2048;
const FLOWS = 10_000;
const PACKETS = 10_000_000;
const RUNS = 7;

const PORT = 80;
const FRAME_BYTES = 60;
const WARM_UP = 2_000_000;
const OUTSIDE_MAC = parseMac(OUTSIDE.mac) ?? { high: 0, low: 0 };
const VIP_ADDRESS = parseIpv4(VIP) ?? 0;

inlineGenerously();
const method: MethodName = process.argv[2] === 'nat' ? 'nat' : 'dsr';
const isDsr = method === 'dsr';

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

function makeDirector() {
  const arms = [makeArm('eth0', OUTSIDE), makeArm('eth1', INSIDE)];
  const room = { arms: 2, services: 1, reals: 1 };
  const schedule = schedulerNamed('maglev').build([{ key: REAL.address, weight: 1 }], { seed: 0 });
  const real = { id: 0, address: parseIpv4(REAL.address) ?? 0, port: 8080, arm: 1 };
  const vip = parseIpv4(VIP) ?? 0;
  const table = buildTable([
    { id: 0, vip, port: 80, protocol: 17, method, schedule, reals: [real] },
  ]);
  const counters = wrapCounters(new SharedArrayBuffer(counterBytes(room)), room);
  const director = createDirector({
    ...{ arms, table, counters, maximumFlows: 262_144, flowSeed: 12_345, nowMs: 0 },
  });
  const { high, low } = parseMac(REAL.mac) ?? { high: 0, low: 0 };
  learnNeighbour(director.neighbours, { arm: 1, address: real.address, high, low }, 0);
  layWays(director);
  return director;
}

function makeFrames(): DataView {
  const bytes = new Uint8Array(FRAMES * SLOT_BYTES);
  for (let index = 0; index < FRAMES; index++) {
    const flow = (index * 7919) % FLOWS;
    const frame = udpFrame({
      sourceMac: CLIENT.mac,
      destinationMac: OUTSIDE.mac,
      source: `198.51.${100 + (flow >> 8)}.${flow & 255}`,
      destination: VIP,
      sourcePort: 1024 + flow,
      destinationPort: 80,
      payload: new Uint8Array(18),
    });
    bytes.set(frame, index * SLOT_BYTES + 2);
  }
  return new DataView(bytes.buffer);
}

/** Nanoseconds a packet of deciding and of putting the frames back. */
function passDeciding(packets: number): number {
  const started = process.cpuUsage();
  for (let done = 0; done < packets; done++) {
    const index = done & (FRAMES - 1);
    const at = index * SLOT_BYTES + 2;
    const verdict = processFrame(director, frames, at, at + FRAME_BYTES, 0, 0);
    if (kindOf(verdict) !== SEND) throw new Error(`verdict ${verdict}`);
    restore(index, at);
  }
  return (process.cpuUsage(started).user * 1000) / packets;
}

/** Nanoseconds a packet of the loop and of putting the frames back alone: to be taken off. */
function passIdle(packets: number): number {
  const started = process.cpuUsage();
  for (let done = 0; done < packets; done++) {
    const index = done & (FRAMES - 1);
    restore(index, index * SLOT_BYTES + 2);
  }
  return (process.cpuUsage(started).user * 1000) / packets;
}

/** Undoes what the rewrite did, so that the next pass finds the same request. */
function restore(index: number, at: number): void {
  frames.setInt32(at, OUTSIDE_MAC.high);
  frames.setUint16(at + 4, OUTSIDE_MAC.low);
  if (isDsr) return;
  frames.setInt32(at + 22, headerSums[index] as number);
  frames.setInt32(at + 30, VIP_ADDRESS);
  frames.setUint16(at + 36, PORT);
  frames.setUint16(at + 40, udpSums[index] as number);
}

const frames = makeFrames();
const headerSums = Int32Array.from({ length: FRAMES }, (_, i) =>
  frames.getInt32(i * SLOT_BYTES + 24),
);
const udpSums = Uint16Array.from({ length: FRAMES }, (_, i) =>
  frames.getUint16(i * SLOT_BYTES + 42),
);
const director = makeDirector();
passDeciding(WARM_UP);
passIdle(WARM_UP);
let collections = 0;
const observer = new PerformanceObserver((list) => {
  collections += list.getEntries().length;
});
observer.observe({ entryTypes: ['gc'] });
const runs = Array.from({ length: RUNS }, () => passDeciding(PACKETS) - passIdle(PACKETS));
// Entries are handed over by the event loop.
await new Promise((resolve) => setTimeout(resolve, 50));
observer.disconnect();
process.stdout.write(`${JSON.stringify({ runs, packets: PACKETS * RUNS, collections })}\n`);

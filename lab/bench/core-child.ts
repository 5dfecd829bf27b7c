// The director's own work for a packet, without a kernel: requests are laid into memory like the
// ring's, batch after batch, and decided in place. All flows take turns, in another order than that
// in which they were opened, so that no neighbour in the table comes next. A process of its own for
// each method, so that V8 sees only one. Prints nanoseconds of user time a packet, the laying out
// taken off, and the garbage collections it saw.
import { PerformanceObserver } from 'node:perf_hooks';
import { inlineGenerously } from '../../src/control/v8-settings.ts';
import { BATCH_FRAMES, createBatch } from '../../src/datapath/datapath.ts';
import { createBatchProcessor } from '../../src/director/process-batch.ts';
import type { MethodName } from '../../src/director/table.ts';
import { kindOf, SEND } from '../../src/director/verdict.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import { udpFrame } from '../frame.ts';
import { CLIENT, OUTSIDE, VIP } from './bed.ts';
import { makeDirector, OUTSIDE_MAC } from './core-director.ts';

const SLOTS = 2048;
const SLOT_BYTES = 2048;
const FLOWS = Number(process.argv[3] ?? 10_000);
const PACKETS = 10_000_000;
const RUNS = 7;

const FRAME_BYTES = 60;
const WARM_UP = 2_000_000;
const VIP_ADDRESS = parseIpv4(VIP) ?? 0;

inlineGenerously();
const method: MethodName = process.argv[2] === 'nat' ? 'nat' : 'dsr';

/** The words of a request that differ from flow to flow, as the frame has them. */
interface Requests {
  readonly frame: Uint8Array;
  readonly source: Int32Array;
  readonly ports: Int32Array;
  readonly headerSum: Uint16Array;
  readonly udpSum: Uint16Array;
}

function makeRequests(): Requests {
  const frames = Array.from({ length: FLOWS }, (_, flow) =>
    udpFrame({
      sourceMac: CLIENT.mac,
      destinationMac: OUTSIDE.mac,
      source: `198.18.${flow >> 8}.${flow & 255}`,
      destination: VIP,
      sourcePort: 1024 + flow,
      destinationPort: 80,
      payload: new Uint8Array(18),
    }),
  );
  const views = frames.map((frame) => new DataView(frame.buffer, frame.byteOffset));
  return {
    frame: frames[0] as Uint8Array,
    source: Int32Array.from(views, (view) => view.getInt32(26)),
    ports: Int32Array.from(views, (view) => view.getInt32(34)),
    headerSum: Uint16Array.from(views, (view) => view.getUint16(24)),
    udpSum: Uint16Array.from(views, (view) => view.getUint16(40)),
  };
}

/** Nanoseconds a packet of laying the frames out and deciding about them. */
function passDeciding(packets: number): number {
  const started = process.cpuUsage();
  for (let done = 0; done < packets; done += BATCH_FRAMES) {
    fillBatch(done);
    director.nowMs = done >>> 8;
    processor.process();
    for (let index = 0; index < BATCH_FRAMES; index++) {
      const verdict = verdicts[index] as number;
      if (kindOf(verdict) !== SEND) throw new Error(`verdict ${verdict}`);
    }
  }
  return (process.cpuUsage(started).user * 1000) / packets;
}

/** Nanoseconds a packet of laying the frames out alone: to be taken off. */
function passIdle(packets: number): number {
  const started = process.cpuUsage();
  for (let done = 0; done < packets; done += BATCH_FRAMES) fillBatch(done);
  return (process.cpuUsage(started).user * 1000) / packets;
}

/** What kernel and datapath do: the next requests lie in the next slots, the batch tells where. */
function fillBatch(done: number): void {
  for (let index = 0; index < BATCH_FRAMES; index++) {
    const at = ((done + index) % SLOTS) * SLOT_BYTES + 2;
    batch.at[index] = at;
    batch.end[index] = at + FRAME_BYTES;
    layRequest(at, order[(done + index) % FLOWS] as number);
  }
}

/** Writes all that differs from flow to flow, or that the rewrite of the last one changed. */
function layRequest(at: number, flow: number): void {
  frames.setInt32(at, OUTSIDE_MAC.high);
  frames.setUint16(at + 4, OUTSIDE_MAC.low);
  frames.setUint8(at + 22, 64);
  frames.setUint16(at + 24, requests.headerSum[flow] as number);
  frames.setInt32(at + 26, requests.source[flow] as number);
  frames.setInt32(at + 30, VIP_ADDRESS);
  frames.setUint32(at + 34, requests.ports[flow] as number);
  frames.setUint16(at + 40, requests.udpSum[flow] as number);
}

const requests = makeRequests();
/** In which order the flows take turns: scattered while they are opened, then as laid out. */
const order = Int32Array.from({ length: FLOWS }, (_, turn) => (turn * 7919) % FLOWS);

const frames = new DataView(new ArrayBuffer(SLOTS * SLOT_BYTES));
for (let slot = 0; slot < SLOTS; slot++) {
  new Uint8Array(frames.buffer).set(requests.frame, slot * SLOT_BYTES + 2);
}
const batch = createBatch(frames);
batch.count = BATCH_FRAMES;
const director = makeDirector(method, 262_144);
const processor = createBatchProcessor(director, batch);
const { verdicts } = processor;
passDeciding(WARM_UP);
passIdle(WARM_UP);
for (let turn = 0; turn < FLOWS; turn++) order[turn] = turn;
// What the start left to collect waits for the event loop: let it be collected before it counts.
const settle = () => new Promise((resolve) => setTimeout(resolve, 50));
await settle();
let collections = 0;
const observer = new PerformanceObserver((list) => {
  collections += list.getEntries().length;
});
observer.observe({ entryTypes: ['gc'] });
const runs = Array.from({ length: RUNS }, () => passDeciding(PACKETS) - passIdle(PACKETS));
// Entries are handed over by the event loop.
await settle();
observer.disconnect();
process.stdout.write(`${JSON.stringify({ runs, packets: PACKETS * RUNS, collections })}\n`);

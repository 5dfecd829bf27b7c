// The cost of a packet by the number of flows: so many are opened, then packets of any of them, in
// random order, are laid into memory like the ring's and decided in place. A process of its own for
// each number. Prints nanoseconds of user time a packet, the laying out taken off, and the bytes
// that a flow takes.
import { inlineGenerously } from '../../src/control/v8-settings.ts';
import { BATCH_FRAMES, createBatch } from '../../src/datapath/datapath.ts';
import { createBatchProcessor } from '../../src/director/process-batch.ts';
import { kindOf, SEND } from '../../src/director/verdict.ts';
import { adviseHugePages } from '../../src/linux/huge-pages-unsafe.ts';
import * as checksum from '../../src/wire/checksum.ts';
import { udpFrame } from '../frame.ts';
import { CLIENT, OUTSIDE, VIP } from './bed.ts';
import { makeDirector, OUTSIDE_MAC } from './core-director.ts';

const SLOTS = 2048;
const SLOT_BYTES = 2048;
const FRAME_BYTES = 60;
const PACKETS = 1_000_000;
const RUNS = 4;
/** 100.0.0.0 and the 16 million addresses from there on: one for each flow. */
const FIRST_CLIENT = 100 << 24;

const flows = Number(process.argv[2] ?? 1000);

inlineGenerously();
const frame = udpFrame({
  ...{ sourceMac: CLIENT.mac, destinationMac: OUTSIDE.mac, source: '0.0.0.0', destination: VIP },
  ...{ sourcePort: 40_000, destinationPort: 80, payload: new Uint8Array(18) },
});
const frames = new DataView(new ArrayBuffer(SLOTS * SLOT_BYTES));
for (let slot = 0; slot < SLOTS; slot++) {
  new Uint8Array(frames.buffer).set(frame, slot * SLOT_BYTES + 2);
}
const batch = createBatch(frames);
batch.count = BATCH_FRAMES;
/** Of the header without a source: its checksum field, to which the source's words are added. */
const headerSum = frames.getUint16(2 + 24);
const maximum = Math.max(1024, flows);
const director = makeDirector('dsr', maximum);
const { records, slots, queue } = director.flows;
if (process.argv[3] !== 'small') adviseHugePages([records, slots]);
const processor = createBatchProcessor(director, batch);
const { verdicts } = processor;

let random = 0x9e3779b9;
/** Any flow (xorshift32, Marsaglia 2003). */
function anyFlow(): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) % flows;
}

function layRequest(slot: number, flow: number): void {
  const at = (slot % SLOTS) * SLOT_BYTES + 2;
  const index = slot % BATCH_FRAMES;
  batch.at[index] = at;
  batch.end[index] = at + FRAME_BYTES;
  frames.setInt32(at, OUTSIDE_MAC.high);
  frames.setUint16(at + 4, OUTSIDE_MAC.low);
  frames.setInt32(at + 26, FIRST_CLIENT + flow);
}

function layBatch(first: number): void {
  for (let index = 0; index < BATCH_FRAMES; index++) {
    layRequest(first + index, Math.min(first + index, flows - 1));
  }
}

/** Two packets each, for one alone proves no flow. Their sum matters only here. */
function openFlows(): void {
  for (let first = 0; first < flows; first += BATCH_FRAMES) {
    layBatch(first);
    for (let index = 0; index < BATCH_FRAMES; index++) {
      const flow = Math.min(first + index, flows - 1);
      const at = batch.at[index] as number;
      const change = checksum.fold(checksum.difference32(0, FIRST_CLIENT + flow));
      frames.setUint16(at + 24, checksum.apply(headerSum, change));
    }
    processor.process();
    requireSent();
    layBatch(first);
    processor.process();
  }
}

function requireSent(): void {
  for (let index = 0; index < BATCH_FRAMES; index++) {
    const verdict = verdicts[index] as number;
    if (kindOf(verdict) !== SEND) throw new Error(`verdict ${verdict}`);
  }
}

function pass(packets: number, isDeciding: boolean): number {
  const started = process.cpuUsage();
  for (let done = 0; done < packets; done += BATCH_FRAMES) {
    for (let index = 0; index < BATCH_FRAMES; index++) layRequest(done + index, anyFlow());
    if (!isDeciding) continue;
    // Time goes on, so that every packet has something to write into its flow.
    director.nowMs = done >>> 8;
    processor.process();
    requireSent();
  }
  return (process.cpuUsage(started).user * 1000) / packets;
}

const opening = process.cpuUsage();
openFlows();
const openNs = (process.cpuUsage(opening).user * 1000) / flows;
pass(1_000_000, true);
pass(1_000_000, false);
const runs = Array.from({ length: RUNS }, () => pass(PACKETS, true) - pass(PACKETS, false));
const bytesPerFlow = (records.byteLength + slots.byteLength + queue.byteLength) / maximum;
process.stdout.write(`${JSON.stringify({ flows, runs, openNs, bytesPerFlow })}\n`);

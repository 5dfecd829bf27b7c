// The bench's packet generator: UDP frames of many flows by sendmmsg, through the same libc calls
// as the ring. Runs as a process of its own inside a namespace and prints one line of JSON.
// Up to some thousand flows have a frame each, laid out once. With `--first-source` there may be
// millions: a few frames are laid anew for each call, with another source address and port.
import { parseArgs } from 'node:util';
import { createArmCounters } from '../../src/datapath/datapath.ts';
import { createSendQueue, queueFrame, splitAddress } from '../../src/datapath/send-queue-unsafe.ts';
import { readInterface } from '../../src/linux/interfaces.ts';
import { loadLibc } from '../../src/linux/libc-unsafe.ts';
import {
  bindTo,
  mapScratch,
  openPacketSocket,
  VNET_HEADER_BYTES,
} from '../../src/linux/packet-socket-unsafe.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import * as checksum from '../../src/wire/checksum.ts';
import { udpFrame } from '../frame.ts';

/** Frames of one sendmmsg, as the ring sends them. */
const BATCH = 64;
/** How many flows of `--first-source` have the same address, and where their ports begin. */
const PORTS = 16;
const FIRST_PORT = 1024;

const { values } = parseArgs({
  options: {
    interface: { type: 'string', default: 'eth0' },
    'destination-mac': { type: 'string' },
    source: { type: 'string' },
    destination: { type: 'string' },
    port: { type: 'string', default: '80' },
    flows: { type: 'string', default: '1000' },
    /** The first of as many addresses as it takes for sixteen flows each. */
    'first-source': { type: 'string' },
    /** Of those flows: `turn`, one after the other, each once; `random`, any of them. */
    order: { type: 'string', default: 'turn' },
    bytes: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '2' },
    /** Frames a second; 0: as fast as it goes. */
    rate: { type: 'string', default: '0' },
  },
});

const flows = Number(values.flows);
const strideBytes = Number(values.bytes) + VNET_HEADER_BYTES;
const firstSource = values['first-source'];
const frameCount = firstSource === undefined ? flows : BATCH;

function main(): void {
  const libc = loadLibc();
  const found = readInterface(values.interface);
  if (!found.ok) throw new Error(found.problem);
  const fd = openPacketSocket(libc, []);
  bindTo(libc, fd, found.interface.index);
  const scratch = mapScratch(libc, frameCount * strideBytes, []);
  writeFrames(new Uint8Array(scratch.view.buffer), found.interface.mac);
  // All frames' messages are laid out once; then a call sends the next 64 of them and nothing else.
  const { mtu } = found.interface;
  const options = { fd, counters: createArmCounters(), capacity: frameCount, mtu };
  const queue = createSendQueue(libc, options, []);
  const base = splitAddress(scratch.address);
  for (let frame = 0; frame < frameCount; frame++) {
    queueFrame(queue, base, frame * strideBytes, strideBytes);
  }
  const layNext = firstSource === undefined ? undefined : layer(scratch.view, firstSource);
  const inTurn = layNext !== undefined && values.order === 'turn';
  const seconds = Number(values.seconds);
  const rate = Number(values.rate);
  const started = performance.now();
  let sentFrames = 0;
  let failedFrames = 0;
  let done = 0;
  for (let frame = 0; ; frame = frame + BATCH < frameCount ? frame + BATCH : 0) {
    const elapsed = (performance.now() - started) / 1000;
    if (elapsed >= seconds || (inTurn && done >= flows)) break;
    if (rate > 0 && sentFrames > elapsed * rate) continue;
    const count = Math.min(BATCH, frameCount - frame, inTurn ? flows - done : BATCH);
    layNext?.(done);
    const sent = libc.sendmmsg(fd, queue.messages[frame] as bigint, count, 0);
    if (sent > 0) sentFrames += sent;
    if (sent < count) failedFrames++;
    done += count;
  }
  const elapsed = (performance.now() - started) / 1000;
  process.stdout.write(`${JSON.stringify({ sentFrames, failedFrames, seconds: elapsed })}\n`);
}

/** One frame a flow, each behind an empty virtio_net_hdr; flows differ in the source port. */
function writeFrames(memory: Uint8Array, mac: string): void {
  const payload = new Uint8Array(Number(values.bytes) - 42);
  for (let flow = 0; flow < frameCount; flow++) {
    const frame = udpFrame({
      sourceMac: mac,
      destinationMac: requireValue(values['destination-mac'], 'destination MAC'),
      source: firstSource ?? requireValue(values.source, 'source address'),
      destination: requireValue(values.destination, 'destination address'),
      sourcePort: FIRST_PORT + (firstSource === undefined ? flow % 60_000 : 0),
      destinationPort: Number(values.port),
      payload,
    });
    memory.set(frame, flow * strideBytes + VNET_HEADER_BYTES);
  }
}

/** Gives the function that makes the frames those of 64 flows: the ones from `first` on, or any. */
function layer(frames: DataView, firstText: string): (first: number) => void {
  const first = parseIpv4(firstText) ?? 0;
  const at = VNET_HEADER_BYTES;
  const headerSum = frames.getUint16(at + 24);
  const udpSum = frames.getUint16(at + 40);
  const isRandom = values.order === 'random';
  let random = 0x9e3779b9;
  const layFlow = (frame: number, flow: number) => {
    const source = (first + (flow >>> 4)) | 0;
    const port = FIRST_PORT + (flow & (PORTS - 1));
    const address = checksum.fold(checksum.difference32(first, source));
    const both = checksum.fold(address + checksum.difference16(FIRST_PORT, port));
    const start = frame * strideBytes + at;
    frames.setUint16(start + 24, checksum.apply(headerSum, address));
    frames.setInt32(start + 26, source);
    frames.setUint16(start + 34, port);
    frames.setUint16(start + 40, checksum.apply(udpSum, both) || 0xffff);
  };
  return (done) => {
    for (let frame = 0; frame < BATCH; frame++) {
      // xorshift32 (Marsaglia 2003).
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      layFlow(frame, (isRandom ? random >>> 0 : done + frame) % flows);
    }
  };
}

function requireValue<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the generator needs a ${what}`);
  return value;
}

main();

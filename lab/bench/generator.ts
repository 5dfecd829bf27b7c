// The bench's packet generator: UDP frames of many flows by sendmmsg, through the same libc calls
// as the ring. Runs as a process of its own inside a namespace and prints one line of JSON.
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
import { udpFrame } from '../frame.ts';

/** Frames of one sendmmsg, as the ring sends them. */
const BATCH = 64;

const { values } = parseArgs({
  options: {
    interface: { type: 'string', default: 'eth0' },
    'destination-mac': { type: 'string' },
    source: { type: 'string' },
    destination: { type: 'string' },
    port: { type: 'string', default: '80' },
    flows: { type: 'string', default: '1000' },
    bytes: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '2' },
    /** Frames a second; 0: as fast as it goes. */
    rate: { type: 'string', default: '0' },
  },
});

function main(): void {
  const libc = loadLibc();
  const found = readInterface(values.interface);
  if (!found.ok) throw new Error(found.problem);
  const fd = openPacketSocket(libc, []);
  bindTo(libc, fd, found.interface.index);
  const flows = Number(values.flows);
  const strideBytes = Number(values.bytes) + VNET_HEADER_BYTES;
  const scratch = mapScratch(libc, flows * strideBytes, []);
  writeFrames(new Uint8Array(scratch.view.buffer), found.interface.mac, flows, strideBytes);
  // All flows' messages are laid out once; then a call sends the next 64 of them and nothing else.
  const options = { fd, counters: createArmCounters(), capacity: flows, mtu: found.interface.mtu };
  const queue = createSendQueue(libc, options, []);
  const base = splitAddress(scratch.address);
  for (let flow = 0; flow < flows; flow++) queueFrame(queue, base, flow * strideBytes, strideBytes);
  const seconds = Number(values.seconds);
  const rate = Number(values.rate);
  const started = performance.now();
  let sentFrames = 0;
  let failedFrames = 0;
  for (let flow = 0; ; flow = flow + BATCH < flows ? flow + BATCH : 0) {
    const elapsed = (performance.now() - started) / 1000;
    if (elapsed >= seconds) break;
    if (rate > 0 && sentFrames > elapsed * rate) continue;
    const count = Math.min(BATCH, flows - flow);
    const sent = libc.sendmmsg(fd, queue.messages[flow] as bigint, count, 0);
    if (sent > 0) sentFrames += sent;
    if (sent < count) failedFrames++;
  }
  const elapsed = (performance.now() - started) / 1000;
  process.stdout.write(`${JSON.stringify({ sentFrames, failedFrames, seconds: elapsed })}\n`);
}

/** One frame a flow, each behind an empty virtio_net_hdr; flows differ in the source port. */
function writeFrames(memory: Uint8Array, mac: string, flows: number, strideBytes: number): void {
  const payload = new Uint8Array(Number(values.bytes) - 42);
  for (let flow = 0; flow < flows; flow++) {
    const frame = udpFrame({
      sourceMac: mac,
      destinationMac: requireValue(values['destination-mac'], 'destination MAC'),
      source: requireValue(values.source, 'source address'),
      destination: requireValue(values.destination, 'destination address'),
      sourcePort: 1024 + (flow % 60_000),
      destinationPort: Number(values.port),
      payload,
    });
    memory.set(frame, flow * strideBytes + VNET_HEADER_BYTES);
  }
}

function requireValue<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the generator needs a ${what}`);
  return value;
}

main();

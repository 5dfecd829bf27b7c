// Forwards ten million frames in a process of its own and prints, as JSON on one line, how many
// garbage collections there were meanwhile, and what became of the frames. The datapath gives the
// same bytes again and again and takes whatever is sent. Started by no-allocation.test.ts.
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { icmpEchoFrame } from '../../lab/frame.ts';
import { createTurn } from '../../src/control/run-batch.ts';
import { BATCH_FRAMES, createBatch, type Datapath } from '../../src/datapath/datapath.ts';
import { GLOBAL_FIELDS, readDrops, readRow } from '../../src/director/counters.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { HEADROOM_BYTES } from '../../src/wire/tunnel.ts';
import { cut6 } from '../packets/frames6.ts';
import { cutUp } from '../packets/pieces.ts';
import * as scene from '../packets/scene.ts';
import * as scene6 from '../packets/scene6.ts';

const PACKETS = 10_000_000;
const WARM_UP = 3_000_000;
const SLOT_BYTES = HEADROOM_BYTES + 256;
/** Frames at the start of a batch whose client port changes: SYNs that open, RSTs that end. */
const CHURN = 8;

type Method = 'dsr' | 'nat' | 'dsr6' | 'nat6' | 'fullnat' | 'fullnat6' | 'gue' | 'gue6';

/** What differs from family to family. */
interface Family {
  /** Where the client's port lies in a frame without options, and its address. */
  readonly portAt: number;
  readonly addressAt: number;
  /** Addresses for fullnat. */
  readonly sources: readonly string[];
  readonly make: (options: scene.SceneOptions) => scene.Scene;
  readonly services: () => scene.SceneService[];
  readonly arms: Datapath['arms'];
  readonly dsr: readonly [typeof scene.dsrTcp, typeof scene.dsrUdp];
  readonly nat: readonly [typeof scene.natTcp, typeof scene.natUdp];
  readonly ping: () => Uint8Array;
  readonly cut: (frame: Uint8Array) => Uint8Array[];
}

const IPV4: Family = {
  ...{ portAt: 34, addressAt: 26, make: scene.makeScene, arms: scene.ARMS },
  services: scene.standardServices,
  sources: ['10.0.0.200', '10.0.0.201'],
  dsr: [scene.dsrTcp, scene.dsrUdp],
  nat: [scene.natTcp, scene.natUdp],
  ping: () =>
    icmpEchoFrame({
      ...{ sourceMac: scene.ROUTER.mac, destinationMac: scene.OUTSIDE_ARM.mac },
      ...{ source: scene.CLIENT, destination: scene.DSR_VIP, identifier: 1, sequence: 1 },
    }),
  cut: (frame) => cutUp(frame, [160]),
};

const IPV6: Family = {
  ...{ portAt: 54, addressAt: 22, make: scene6.makeScene6, arms: scene6.ARMS6 },
  services: () => [...scene.standardServices(), ...scene6.services6()],
  sources: ['2001:db8:b::200', '2001:db8:b::201'],
  dsr: [scene6.dsrTcp6, scene6.dsrUdp6] as Family['dsr'],
  nat: [scene6.natTcp6, scene6.natUdp6] as Family['nat'],
  ping: scene6.ping6,
  cut: (frame) => cut6(frame, 160),
};

const asked = process.argv[2] as Method;
const family = asked.endsWith('6') ? IPV6 : IPV4;
/** What carries it: a tunnel goes the way of DSR. */
const method: 'dsr' | 'nat' = asked.startsWith('dsr') || asked.startsWith('gue') ? 'dsr' : 'nat';

/** A batch of requests: flows that come and go, flows that stay, drops, pings, and pieces. */
function requests(): Uint8Array[] {
  const [tcpFrame, udpFrame] = family[method];
  const frames: Uint8Array[] = [];
  for (let index = 0; index < CHURN / 2; index++) {
    frames.push(tcpFrame({ flags: tcp.SYN }), tcpFrame({ flags: tcp.RST }));
  }
  frames.push(tcpFrame({ sourcePort: 9 }), tcpFrame({ destinationPort: 81 }));
  frames.push(family.ping());
  const long = udpFrame({ sourcePort: 19_999, payload: new Uint8Array(300) });
  frames.push(...family.cut(long));
  while (frames.length < BATCH_FRAMES) {
    const sourcePort = 20_000 + frames.length;
    const payload = new Uint8Array(frames.length);
    const make = frames.length % 3 === 0 ? udpFrame : tcpFrame;
    frames.push(make({ sourcePort, payload }));
  }
  return frames;
}

/** Opens the flows that stay. @returns what their reals got */
function openFlows(made: scene.Scene): Uint8Array[] {
  const [tcpFrame, udpFrame] = family[method];
  return Array.from({ length: BATCH_FRAMES }, (_, index) => {
    const open = index % 3 === 0 ? udpFrame : tcpFrame;
    const fields = { sourcePort: 20_000 + index, payload: new Uint8Array(index) };
    made.receive(open({ ...fields, flags: tcp.SYN }));
    return made.receive(open(fields)).frame;
  });
}

/** What a real answers: the same to whom it came from, whose sums are the same. */
function turned(request: Uint8Array): Uint8Array {
  const reply = request.slice();
  const { addressAt, portAt } = family;
  for (const [at, end] of [
    [0, 12],
    [addressAt, portAt],
    [portAt, portAt + 4],
  ] as const) {
    const middle = (at + end) / 2;
    reply.set(request.subarray(middle, end), at);
    reply.set(request.subarray(at, middle), (at + end) / 2);
  }
  return reply;
}

/** Some of the flows that come are more than their client may open. */
function limitedServices(): scene.SceneService[] {
  const limits = { flows: 0, intervalMs: 1 / 25, burstMs: 10, prefixLength: 64 };
  const plain = { persistence: undefined, onePacket: false, slowStartMs: 0, sorry: -1 };
  const life = { ...plain, failOpen: false, limits };
  return family.services().map((service) => {
    const isTunnelled = asked.startsWith('gue') && service.method === 'dsr';
    if (isTunnelled) return { ...service, life, method: 'gue' };
    const isFullnat = asked.startsWith('fullnat') && service.method === 'nat';
    return isFullnat ? { ...service, life, method: 'fullnat' } : { ...service, life };
  });
}

interface Memory {
  readonly original: Uint8Array;
  readonly end: Int32Array;
  readonly arm: number;
}

const startOf = (index: number): number => index * SLOT_BYTES + HEADROOM_BYTES;

function layOut(frames: readonly Uint8Array[], arm: number): Memory {
  const original = new Uint8Array(BATCH_FRAMES * SLOT_BYTES);
  for (const [index, frame] of frames.entries()) original.set(frame, startOf(index));
  const end = Int32Array.from(frames, (frame, index) => startOf(index) + frame.length);
  return { original, end, arm };
}

/** A datapath that receives these batches in turn, for ever. */
function openTreadmill(memories: readonly Memory[]): Datapath {
  const bytes = new Uint8Array(BATCH_FRAMES * SLOT_BYTES);
  const batch = createBatch(new DataView(bytes.buffer));
  for (let index = 0; index < BATCH_FRAMES; index++) batch.at[index] = startOf(index);
  let turn = 0;
  let port = 0;
  return {
    ...{ kind: 'memory', arms: family.arms, batch, counters: [], links: ['up', 'up'] },
    receive() {
      const memory = memories[turn] as Memory;
      turn = turn + 1 === memories.length ? 0 : turn + 1;
      bytes.set(memory.original);
      batch.end.set(memory.end);
      batch.arm = memory.arm;
      batch.count = BATCH_FRAMES;
      if (memory.arm === scene.INSIDE) return BATCH_FRAMES;
      // A SYN and the RST behind it have the same port, above those of the flows that stay.
      for (let index = 0; index < CHURN; index++) {
        port = (port + (index & 1 ? 0 : 1)) & 0x7fff;
        batch.frame.setUint16(startOf(index) + family.portAt, 0x8000 + port);
      }
      return BATCH_FRAMES;
    },
    send() {},
    sendAhead() {},
    sendCopy() {},
    inject() {},
    flush() {},
    checkLinks: () => false,
    close() {},
  };
}

async function main(): Promise<void> {
  // Room for less than what comes, so that flows are given up as well.
  const pool = { addresses: family.sources, firstPort: 1024, portCount: 8000 };
  const made = family.make({ maximumFlows: 1024, services: limitedServices(), pool });
  const { director } = made;
  const replies = openFlows(made).map(turned);
  const memory = layOut(requests(), scene.OUTSIDE);
  const datapath = openTreadmill(
    method === 'dsr' ? [memory] : [memory, layOut(replies, scene.INSIDE)],
  );
  const turn = createTurn(director, datapath);
  let nowMs = director.nowMs;
  const forward = (packets: number) => {
    for (let done = 0; done < packets; done += BATCH_FRAMES) {
      // A millisecond for each sixteen batches: about a million packets a second.
      if ((done & 1023) === 0) nowMs = (nowMs + 1) | 0;
      turn(nowMs);
    }
  };
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  observer.observe({ entryTypes: ['gc'] });
  /** Collections since the last look. Entries come through the event loop, some turns later. */
  const look = async () => {
    for (let turns = 0; turns < 10; turns++) await setImmediate();
    const seen = collections;
    collections = 0;
    return seen;
  };
  forward(WARM_UP);
  await look();
  forward(PACKETS);
  const whileForwarding = await look();
  const rubbish: object[] = [];
  for (let count = 0; count < 3_000_000; count++) rubbish[count & 1023] = { count };
  const whileLittering = await look();
  const totals = readRow(made.counters, 0, GLOBAL_FIELDS);
  const drops = readDrops(made.counters);
  const evicted = director.flows.evicted;
  process.stdout.write(
    `${JSON.stringify({ whileForwarding, whileLittering, totals, drops, evicted })}\n`,
  );
}

await main();

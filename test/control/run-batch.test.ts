// The loop on the memory datapath: every frame that comes in is counted once by what became of it,
// the director's own frames go out, links are watched, and control is heard.
import { describe, expect, test } from 'vitest';
import { arpFrame, icmpEchoFrame } from '../../lab/frame.ts';
import type { FromDataPlane } from '../../src/control/messages.ts';
import { createLoop } from '../../src/control/run-batch.ts';
import type { Wanted } from '../../src/datapath/datapath.ts';
import { type MemoryDatapath, openMemory } from '../../src/datapath/memory.ts';
import {
  ARM_FIELDS,
  armAt,
  type Counters,
  counterBytes,
  GLOBAL_FIELDS,
  readDrops,
  readRow,
  wrapCounters,
} from '../../src/director/counters.ts';
import { formatIpv4 } from '../../src/wire/address.ts';
import * as arp from '../../src/wire/arp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { cutUp } from '../packets/pieces.ts';
import {
  ARMS,
  CLIENT,
  DSR_REALS,
  DSR_VIP,
  dsrTcp,
  dsrUdp,
  INSIDE,
  INSIDE_ARM,
  NAT_REALS,
  natTcp,
  natUdp,
  OUTSIDE,
  OUTSIDE_ARM,
  ROUTER,
  replyTcp,
  standardServices,
  tableOf,
  withoutReal,
} from '../packets/scene.ts';

const SYN = { flags: tcp.SYN };
const ROOM = { arms: 2, services: 8, reals: 16 };

interface Running {
  readonly datapath: MemoryDatapath;
  readonly counters: Counters;
  readonly loop: ReturnType<typeof createLoop>;
  readonly posted: FromDataPlane[];
  /** Lets frames arrive on an arm and handles them; gives the number of frames handled. */
  arrive(frames: readonly Uint8Array[], arm?: number): number;
}

function start(): Running {
  const datapath = openMemory(ARMS);
  const counters = wrapCounters(new ArrayBuffer(counterBytes(ROOM)), ROOM);
  const posted: FromDataPlane[] = [];
  const post = (message: FromDataPlane) => void posted.push(message);
  const table = tableOf(standardServices());
  const loop = createLoop({ datapath, table, counters, maximumFlows: 64, nowMs: 0, post });
  const arrive = (frames: readonly Uint8Array[], arm = OUTSIDE) => {
    for (const frame of frames) datapath.put(frame, arm);
    let handled = 0;
    for (let count = loop.turn(0); count > 0; count = loop.turn(0)) handled += count;
    return handled;
  };
  loop.tick(0);
  const answer = (host: { mac: string; address: string }, arm: typeof OUTSIDE_ARM) =>
    arpFrame({
      ...{ sourceMac: host.mac, destinationMac: arm.mac, operation: arp.REPLY },
      ...{ senderAddress: host.address, targetAddress: arm.address },
    });
  arrive(DSR_REALS.map((host) => answer(host, OUTSIDE_ARM)));
  arrive(
    NAT_REALS.map((host) => answer(host, INSIDE_ARM)),
    INSIDE,
  );
  datapath.sent.splice(0);
  counters.values.fill(0);
  return { datapath, counters, loop, posted, arrive };
}

const totals = ({ counters }: Running) => readRow(counters, 0, GLOBAL_FIELDS);
const question = arpFrame({
  ...{ sourceMac: ROUTER.mac, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: arp.REQUEST },
  ...{ senderAddress: ROUTER.address, targetAddress: DSR_VIP },
});

test('what the arms counted goes on from one data plane to the next', () => {
  const { counters, arrive, loop } = start();
  arrive([dsrTcp(SYN), dsrTcp()]);
  loop.tick(10);
  const received = () => readRow(counters, armAt(OUTSIDE), ARM_FIELDS).receivedFrames;
  const before = received();
  expect(before).toBeGreaterThanOrEqual(2);
  const table = tableOf(standardServices());
  const more = { datapath: openMemory(ARMS), maximumFlows: 64, nowMs: 0 };
  createLoop({ ...more, table, counters, post: () => {} }).tick(20);
  expect(received()).toBe(before);
});

describe('every frame is counted once by what became of it', () => {
  test('sent, answered, passed or dropped', () => {
    const running = start();
    const frames = [dsrTcp(SYN), dsrTcp(), question, dsrTcp({ sourcePort: 9 }), dsrUdp(), natTcp()];
    const handled = running.arrive([...frames, dsrTcp({ destination: '192.0.2.1' })]);
    expect(handled).toBe(7);
    expect(totals(running)).toMatchObject({
      ...{ sentFrames: 3, answeredFrames: 1, passedFrames: 1, droppedFrames: 2 },
    });
    expect(readDrops(running.counters)).toEqual({ 'no-flow': 2 });
    expect(running.datapath.sent.map(({ arm }) => arm)).toEqual([0, 0, 0, 0]);
  });

  test('also when the link that it should leave by is down', () => {
    const running = start();
    running.arrive([natTcp(SYN)]);
    running.datapath.setLink(INSIDE, 'down');
    running.loop.tick(200);
    running.datapath.sent.splice(0);
    running.arrive([natTcp(), dsrTcp(SYN)]);
    expect(running.datapath.sent).toHaveLength(1);
    expect(totals(running)).toMatchObject({ sentFrames: 2, droppedFrames: 1 });
    expect(readDrops(running.counters)).toEqual({ 'link-down': 1 });
  });

  test('in pieces, which leave behind the first one', () => {
    const running = start();
    const pieces = cutUp(dsrUdp({ payload: new Uint8Array(4000) }), [1480]);
    running.arrive([pieces[2]!, pieces[1]!]);
    expect(totals(running)).toMatchObject({ sentFrames: 0, droppedFrames: 0 });
    running.loop.tick(0);
    expect(totals(running).heldFrames).toBe(2);
    running.arrive([pieces[0]!, dsrUdp({ sourcePort: 1 })]);
    expect(totals(running)).toMatchObject({ sentFrames: 4, heldFrames: 0 });
    const offsets = running.datapath.sent.map(({ bytes }) => ((bytes[20]! & 31) << 8) | bytes[21]!);
    expect(offsets).toEqual([0, 0, 370, 185]);
  });

  test('in pieces that can leave no more, or never could', () => {
    const running = start();
    const pieces = cutUp(natUdp({ payload: new Uint8Array(4000) }), [1480]);
    const strays = cutUp(natUdp({ payload: new Uint8Array(4000) }), [1480], 8);
    running.arrive([pieces[1]!, strays[1]!]);
    running.datapath.setLink(INSIDE, 'down');
    running.loop.tick(200);
    running.arrive([pieces[0]!]);
    expect(readDrops(running.counters)).toEqual({ 'link-down': 2 });
    for (let ticks = 0; ticks < 40; ticks++) running.loop.tick(10_000);
    expect(readDrops(running.counters)).toEqual({ 'link-down': 2, 'fragment-timeout': 1 });
    expect(totals(running)).toMatchObject({ droppedFrames: 3, sentFrames: 0, heldFrames: 0 });
  });

  test('an echo in pieces as answers', () => {
    const running = start();
    const ping = icmpEchoFrame({
      ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: CLIENT },
      ...{ destination: DSR_VIP, identifier: 1, sequence: 1, payload: new Uint8Array(4000) },
    });
    const pieces = cutUp(ping, [1480]);
    running.arrive([pieces[1]!, pieces[0]!, pieces[2]!]);
    expect(totals(running)).toMatchObject({ answeredFrames: 3, echoAnswers: 1, sentFrames: 0 });
  });

  test('dropped, although its sender is told at once', () => {
    const running = start();
    running.arrive([natTcp({ ...SYN, timeToLive: 1 })]);
    expect(running.datapath.sent.map(({ arm }) => arm)).toEqual([OUTSIDE]);
    expect(totals(running)).toMatchObject({ droppedFrames: 1, ownErrors: 1, sentFrames: 0 });
  });

  test('however many come at once', () => {
    const running = start();
    const frames = Array.from({ length: 1000 }, () => dsrUdp());
    expect(running.arrive(frames)).toBe(1000);
    expect(totals(running).sentFrames).toBe(1000);
    expect(running.loop.turn(0)).toBe(0);
  });

  test('from either arm, to either arm', () => {
    const running = start();
    running.arrive([natTcp(SYN)]);
    running.arrive([replyTcp(NAT_REALS[0]!, { flags: tcp.SYN | tcp.ACK })], INSIDE);
    expect(running.datapath.sent.map(({ arm }) => arm)).toEqual([INSIDE, OUTSIDE]);
  });
});

describe('the tick', () => {
  test('sends what the director has to say, and only where the link is up', () => {
    const running = start();
    running.datapath.setLink(INSIDE, 'down');
    running.loop.tick(200);
    running.datapath.sent.splice(0);
    running.loop.tick(15_000);
    expect(running.datapath.sent.map(({ arm }) => arm)).toEqual([OUTSIDE, OUTSIDE]);
    expect(totals(running).neighbourProbes).toBe(4);
  });

  test('tells of links that change; where one is back it announces the VIPs and asks for the reals', () => {
    const running = start();
    running.datapath.setLink(OUTSIDE, 'down');
    running.loop.tick(100);
    expect(running.posted).toEqual([]);
    running.loop.tick(200);
    running.datapath.setLink(OUTSIDE, 'up');
    running.loop.tick(400);
    running.loop.tick(410);
    expect(running.posted).toEqual([
      { type: 'link', arm: OUTSIDE, state: 'down' },
      { type: 'link', arm: OUTSIDE, state: 'up' },
    ]);
    const asked = running.datapath.sent.map(({ arm, bytes }) => {
      const target = arp.targetAddress(new DataView(bytes.buffer, bytes.byteOffset), 14);
      return `${formatIpv4(target)} on ${arm}`;
    });
    const expected = ['192.0.2.80 on 0', '192.0.2.81 on 0', '192.0.2.11 on 0', '192.0.2.12 on 0'];
    expect(asked.sort()).toEqual(expected.sort());
  });

  test('tells of a VIP that another host claims', () => {
    const running = start();
    running.arrive([
      arpFrame({
        ...{ sourceMac: '02:00:00:00:ee:01', destinationMac: 'ff:ff:ff:ff:ff:ff' },
        ...{ operation: arp.REQUEST, senderAddress: DSR_VIP, targetAddress: DSR_VIP },
      }),
    ]);
    running.loop.tick(10);
    running.loop.tick(20);
    expect(running.posted).toEqual([
      { type: 'conflict', vip: '192.0.2.80', arm: OUTSIDE, mac: '02:00:00:00:ee:01' },
    ]);
  });

  test('copies the counts of the arms', () => {
    const running = start();
    running.arrive([dsrTcp(SYN), dsrTcp()]);
    running.loop.tick(10);
    const row = readRow(running.counters, armAt(OUTSIDE), ARM_FIELDS);
    const { counters } = running.datapath;
    expect(row).toEqual(counters[OUTSIDE]);
    // Two announcements and two questions at the start, then the two packets.
    expect(row.sentFrames).toBe(6);
  });
});

describe('control', () => {
  test('gives a new table, whose addresses the datapath is told', () => {
    const running = start();
    running.arrive([dsrTcp(SYN)]);
    const told: Wanted[] = [];
    Object.assign(running.datapath, {
      setAddresses: (wanted: Wanted) => told.push(wanted),
    });
    const table = tableOf(withoutReal(standardServices(), DSR_REALS[0]!).slice(0, 3));
    expect(running.loop.handle({ type: 'table', table })).toBe(true);
    running.arrive([dsrTcp()]);
    expect(readDrops(running.counters)).toEqual({ 'no-flow': 1 });
    const texts = (list: Int32Array) => [...list].map(formatIpv4);
    expect(told.map(({ vips, reals }) => [texts(vips), texts(reals)])).toEqual([
      [
        ['192.0.2.80', '192.0.2.81'],
        ['10.0.0.11', '10.0.0.12'],
      ],
    ]);
  });

  test('asks for the flows', () => {
    const running = start();
    running.arrive([natTcp(SYN), dsrUdp(), dsrTcp(SYN)]);
    running.loop.tick(1000);
    expect(running.loop.handle({ type: 'flows', request: 7, limit: 2 })).toBe(true);
    expect(running.posted).toEqual([
      {
        ...{ type: 'flows', request: 7 },
        flows: [
          {
            ...{ protocol: 'tcp', client: '198.51.100.7', clientPort: 40_000, method: 'nat' },
            ...{ vip: '192.0.2.81', vipPort: 80, real: '10.0.0.11', realPort: 8080 },
            ...{ state: 'SYN_RECV', expiresInMs: 59_000 },
          },
          {
            ...{ protocol: 'udp', client: '198.51.100.7', clientPort: 40_000, method: 'dsr' },
            ...{ vip: '192.0.2.80', vipPort: 80, real: '192.0.2.11', realPort: 80 },
            ...{ state: 'UDP_NEW', expiresInMs: 299_000 },
          },
        ],
      },
    ]);
  });

  test('is not shown flows that are over, or whose real is gone', () => {
    const running = start();
    running.arrive([natTcp(SYN), dsrUdp()]);
    const services = withoutReal(standardServices(), DSR_REALS[0]!);
    running.loop.handle({ type: 'table', table: tableOf(services) });
    const shown = () => {
      running.posted.splice(0);
      running.loop.handle({ type: 'flows', request: 1, limit: 10 });
      return running.posted.flatMap((message) => (message.type === 'flows' ? message.flows : []));
    };
    expect(shown().map(({ vip }) => vip)).toEqual(['192.0.2.81']);
    running.loop.tick(60_000);
    expect(shown()).toEqual([]);
  });

  test('stops the loop', () => {
    expect(start().loop.handle({ type: 'stop' })).toBe(false);
  });
});

test('replies come from the reals of NAT services alone', () => {
  const addresses = tableOf(standardServices()).natAddresses;
  expect([...addresses].map(formatIpv4)).toEqual(NAT_REALS.map(({ address }) => address));
});

// The ring as every datapath, and what only it can do: two lanes in one order, offloads, links that
// come and go, waiting without work. In a child process on real wires.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tcpFrame, udpFrame } from '../../lab/frame.ts';
import type { ArmCounters } from '../../src/datapath/datapath.ts';
import { whyNoNamespace } from '../linux/namespace.ts';
import { whyNoBuild } from './compile-child.ts';
import { describeDatapath } from './conformance.ts';
import { createRandom, numberedFrame, numberOf, superFrame } from './numbered-frames.ts';
import { ARM_MACS, VIP } from './station.ts';
import { openWireStation, type WireStation } from './wire-station.ts';

const why = whyNoBuild() ?? whyNoNamespace();
const POLL = { timeout: 20_000, interval: 5 };
const SLOTS = 256;

describeDatapath('ring', {
  why,
  open: () => openWireStation({ kind: 'ring', slots: SLOTS }),
  superFrames: true,
  filters: true,
});

describeDatapath('tc', {
  why,
  open: () => openWireStation({ kind: 'tc', slots: SLOTS }),
  superFrames: true,
  filters: true,
});

describe.skipIf(why !== undefined)(`the ring alone ${why ?? ''}`, () => {
  let station: WireStation;
  beforeEach(async () => {
    station = await openWireStation({ kind: 'ring', slots: SLOTS });
  });
  afterEach(() => station.remove());

  const report = () => station.report();
  const counters = async (arm: number): Promise<ArmCounters> => (await report()).counters[arm]!;
  const seenFrames = async () => (await report()).seenFrames;
  const seenNumbers = async () => (await station.seen()).map(({ bytes }) => numberOf(bytes));
  const takenNumbers = async (arm: number) => (await station.taken(arm)).map(numberOf);
  const small = (number: number, arm = 0) => numberedFrame({ arm, number, bytes: 100 });
  const range = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => from + index);
  /** Sets an interface of the director's up or down, or deletes it. */
  const setLink = (name: string, ...change: string[]) =>
    station.wires.run(station.wires.director, 'ip', 'link', 'set', name, ...change);
  const links = async () => {
    await station.child.ask('checkLinks');
    return (await report()).links;
  };

  describe('order and sizes', () => {
    test('small and large frames keep one order, and super-frames their segment size', async () => {
      const random = createRandom(1);
      await station.setWays([0, -1]);
      for (let from = 0; from < 2000; from += 40) {
        const frames = range(from, from + 40).map((number) =>
          random(4) === 0
            ? superFrame({ arm: 0, number, bytes: 1801 + random(20_000) })
            : numberedFrame({ arm: 0, number, bytes: 60 + random(1741) }),
        );
        await station.put(0, frames.slice(0, 40));
        await expect.poll(seenFrames, POLL).toBe(from + 40);
      }
      expect(await seenNumbers()).toEqual(range(0, 2000));
      await expect.poll(() => takenNumbers(0), POLL).toEqual(range(0, 2000));
      const taken = await station.takenWhole(0);
      const long = taken.filter(({ bytes }) => bytes.length > 9014);
      expect(long.length).toBeGreaterThan(100);
      for (const { header } of long) {
        // TCP over IPv4 in segments of 1,400 bytes, whose checksum is still to be finished.
        expect([header[0]! & 1, header[1], header[4]! | (header[5]! << 8)]).toEqual([1, 1, 1400]);
      }
    });

    test('a batch is full at 64 frames, and a batch of super-frames earlier', async () => {
      await station.child.ask('pause');
      await station.put(
        0,
        range(0, 130).map((number) => small(number)),
      );
      await station.child.ask('resume');
      await expect.poll(seenFrames, POLL).toBe(130);
      await station.child.ask('pause');
      const long = (number: number) => superFrame({ arm: 0, number, bytes: 65_000 });
      await station.put(0, range(130, 150).map(long));
      await station.child.ask('resume');
      await expect.poll(seenFrames, POLL).toBe(150);
      expect(await batchSizes()).toEqual([64, 64, 2, 9, 9, 2]);
    });

    async function batchSizes(): Promise<number[]> {
      const sizes = new Map<number, number>();
      for (const { batch } of await station.seen()) sizes.set(batch, (sizes.get(batch) ?? 0) + 1);
      return [...sizes.values()];
    }

    test('an arm that cannot segment gets super-frames in pieces, none lost', async () => {
      const { run, director } = station.wires;
      run(director, 'ethtool', '-K', 'eth1', 'tso', 'off');
      await station.setWays([1, -1]);
      const frames = range(0, 10).map((number) =>
        number % 2 === 0 ? superFrame({ arm: 0, number, bytes: 20_054 }) : small(number),
      );
      await station.put(0, frames);
      const payloadBytes = (bytes: Uint8Array) => (bytes[23] === 6 ? bytes.length - 54 : 0);
      const arrived = async () =>
        (await station.taken(1)).reduce((sum, bytes) => sum + payloadBytes(bytes), 0);
      await expect.poll(arrived, POLL).toBe(5 * 20_000);
      expect(await counters(1)).toMatchObject({ sentFrames: 10, failedFrames: 0 });
      expect((await longestTaken(1)) <= 1514).toBe(true);
      run(director, 'ethtool', '-K', 'eth1', 'tso', 'on');
      setLink('eth1', 'down');
      expect(await links()).toEqual(['up', 'down']);
      setLink('eth1', 'up');
      expect(await links()).toEqual(['up', 'up']);
      await station.put(0, [superFrame({ arm: 0, number: 10, bytes: 20_054 })]);
      await expect.poll(() => longestTaken(1), POLL).toBe(20_054);
    });
  });

  const longestTaken = async (arm: number) =>
    Math.max(...(await station.taken(arm)).map(({ length }) => length));

  describe('what is not sent or not received', () => {
    test('a frame beyond the MTU is counted as failed, and the others go out', async () => {
      await station.setWays([1, -1]);
      await station.child.ask('pause');
      // Arm 0 takes 9,000 bytes, arm 1 no more than 1,500; these are no super-frames.
      const sizes = [60, 1514, 1515, 1800, 1801, 9014, 1514, 60];
      await station.put(
        0,
        sizes.map((bytes, number) => numberedFrame({ arm: 0, number, bytes })),
      );
      await station.child.ask('resume');
      await expect.poll(seenFrames, POLL).toBe(8);
      expect(await seenNumbers()).toEqual(range(0, 8));
      await expect.poll(() => takenNumbers(1), POLL).toEqual([0, 1, 6, 7]);
      expect(await counters(1)).toMatchObject({
        ...{ sentFrames: 4, sentBytes: 60 + 1514 + 1514 + 60, failedFrames: 4 },
      });
    });

    test('frames to an arm that is down are counted as failed, those to the other go out', async () => {
      await station.setWays([1, 0]);
      await station.child.ask('pause');
      setLink('eth1', 'down');
      await station.put(
        0,
        range(0, 5).map((number) => small(number)),
      );
      await station.child.ask('resume');
      await expect.poll(seenFrames, POLL).toBe(5);
      await station.setWays([0, 0]);
      await station.put(
        0,
        range(5, 9).map((number) => small(number)),
      );
      await expect.poll(() => takenNumbers(0), POLL).toEqual(range(5, 9));
      expect(await counters(1)).toMatchObject({ sentFrames: 0, failedFrames: 5 });
      expect(await counters(0)).toMatchObject({ sentFrames: 4, failedFrames: 0 });
    });

    test('what finds the ring full is counted as missed, and all before it is kept', async () => {
      await station.child.ask('pause');
      await station.put(
        0,
        range(0, SLOTS + 50).map((number) => small(number)),
      );
      await station.child.ask('resume');
      await expect.poll(seenFrames, POLL).toBe(SLOTS);
      expect(await seenNumbers()).toEqual(range(0, SLOTS));
      await station.child.ask('checkLinks');
      expect(await counters(0)).toMatchObject({ receivedFrames: SLOTS, missedFrames: 50 });
      expect(await counters(1)).toMatchObject({ receivedFrames: 0, missedFrames: 0 });
      await station.put(0, [small(999)]);
      await expect.poll(seenFrames, POLL).toBe(SLOTS + 1);
    });

    test('frames with a VLAN tag arrive, the tag beside their bytes', async () => {
      const tagged = small(1);
      const inner = tagged.subarray(12);
      const frame = new Uint8Array(tagged.length + 4);
      frame.set(tagged.subarray(0, 12));
      frame.set([0x81, 0x00, 0x00, 0x05], 12);
      frame.set(inner, 16);
      await station.put(0, [frame, small(2)]);
      await expect.poll(seenNumbers, POLL).toEqual([1, 2]);
      expect((await station.seen()).map(({ bytes }) => bytes)).toEqual([small(1), small(2)]);
    });
  });

  test.each(['on', 'off'])(
    'knows partial checksums: a sender with tx offload %s',
    async (state) => {
      const { run, hosts } = station.wires;
      run(hosts, 'ethtool', '-K', 'eth0', 'tx', state);
      run(hosts, 'ip', 'address', 'add', '10.9.0.1/24', 'dev', 'eth0');
      run(hosts, 'ip', 'neigh', 'add', VIP, 'lladdr', ARM_MACS[0], 'dev', 'eth0');
      const connect = `const socket = require('node:net').connect(80, '${VIP}');
      socket.on('error', () => process.exit());
      process.stdin.resume().on('end', () => process.exit());`;
      run(
        hosts,
        'timeout',
        '0.5',
        process.execPath,
        '-e',
        `${connect} setTimeout(() => process.exit(), 100)`,
      );
      const isTcp = (bytes: Uint8Array) => bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 6;
      const segments = async () => (await station.seen()).filter(({ bytes }) => isTcp(bytes));
      await expect.poll(async () => (await segments()).length, POLL).toBeGreaterThan(0);
      for (const { partialChecksum } of await segments())
        expect(partialChecksum).toBe(state === 'on');
    },
  );

  test('finishes the checksum of a packet within another, of VXLAN for one', async () => {
    const ends = { sourceMac: ARM_MACS[1], destinationMac: ARM_MACS[0], source: '10.9.0.1' };
    const inner = { ...ends, destination: '10.9.0.2', sourcePort: 1, destinationPort: 2 };
    const vxlan = (packet: Uint8Array) => Uint8Array.of(8, 0, 0, 0, 0, 0, 1, 0, ...packet);
    const outer = (packet: Uint8Array) =>
      udpFrame({
        ...{ ...ends, destination: VIP, sourcePort: 3, destinationPort: 4789 },
        payload: vxlan(packet),
      });
    const payload = Uint8Array.of(1, 2, 3, 4, 5);
    await station.put(0, [outer(tcpFrame({ ...inner, payload, partialChecksum: true }))]);
    await expect.poll(seenFrames, POLL).toBe(1);
    const [seen] = await station.seen();
    expect(seen!.partialChecksum).toBe(false);
    expect(seen!.bytes.slice(50)).toEqual(tcpFrame({ ...inner, payload }));
  });

  describe('links', () => {
    test('a link that goes down and comes back is told of, and frames come again', async () => {
      expect(await links()).toEqual(['up', 'up']);
      setLink('eth0', 'down');
      expect(await station.child.ask('checkLinks')).toBe(true);
      expect(await links()).toEqual(['down', 'up']);
      expect(await station.child.ask('checkLinks')).toBe(false);
      await station.setWays([1, 0]);
      await station.put(1, [small(1, 1)]);
      await expect.poll(seenFrames, POLL).toBe(1);
      expect(await counters(0)).toMatchObject({ failedFrames: 1 });
      setLink('eth0', 'up');
      expect(await links()).toEqual(['up', 'up']);
      await station.put(0, [small(2)]);
      await station.put(1, [small(3, 1)]);
      await expect.poll(() => takenNumbers(1), POLL).toEqual([2]);
      await expect.poll(() => takenNumbers(0), POLL).toEqual([3]);
    });

    test('while its links are down it sleeps, and a frame wakes it', async () => {
      await station.child.ask('pause');
      const wakes = station.child.ask('sleepUntilFrame');
      setLink('eth0', 'down');
      setLink('eth1', 'down');
      setLink('eth0', 'up');
      await station.put(0, [small(1)]);
      // One wake for the frame, and at most one for each socket whose link went.
      expect(await wakes).toBeLessThanOrEqual(5);
      expect(await seenNumbers()).toEqual([1]);
    });

    test('an interface that is deleted is gone, for good, and the other one works on', async () => {
      const { run, director } = station.wires;
      run(director, 'ip', 'link', 'delete', 'eth1');
      expect(await links()).toEqual(['up', 'gone']);
      run(director, 'ip', 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'other');
      expect(await links()).toEqual(['up', 'gone']);
      await station.inject(small(1), 1);
      await station.setWays([0, -1]);
      await station.put(0, [small(2)]);
      await expect.poll(() => takenNumbers(0), POLL).toEqual([2]);
      expect(await counters(1)).toMatchObject({ sentFrames: 0, failedFrames: 1 });
      await station.child.ask('pause');
      const wakes = station.child.ask('sleepUntilFrame');
      await station.put(0, [small(3)]);
      expect(await wakes).toBeLessThanOrEqual(3);
      expect(await station.close()).toEqual({ descriptors: 0, mappings: 0 });
    });
  });

  test('another thread wakes it from its sleep, once for however many calls', async () => {
    await station.child.ask('pause');
    expect(await station.child.ask('sleepUntilWoken')).toEqual([true, false]);
    expect(await station.child.ask('wakeTwice')).toEqual([true, false]);
  });

  test.each([1500, 20_000, 1_001_000])('it rests for %d µs', async (restUs) => {
    await station.child.ask('pause');
    const took = Number(await station.child.ask('restFor', restUs));
    expect(took).toBeGreaterThan(restUs / 1000 - 0.1);
    // However late on a busy machine; a unit that was mistaken is a thousand times as much.
    expect(took).toBeLessThan(restUs / 1000 + 1000);
  });

  test('no frame ends its rest, and another thread does', async () => {
    await station.child.ask('pause');
    await station.put(0, [small(1)]);
    expect(await station.child.ask('restUntilWoken')).toEqual([true, true, false]);
    expect(await station.child.ask('sleepUntilFrame')).toBe(1);
    expect(await seenNumbers()).toEqual([1]);
  });
});

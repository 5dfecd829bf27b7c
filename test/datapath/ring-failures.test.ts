// What the ring does when the kernel refuses: every call fails once, and nothing is left open; a
// frame that cannot be sent costs the others nothing, and a device that takes none holds nobody.
import { expect, test } from 'vitest';
import { type Arm, createArmCounters } from '../../src/datapath/datapath.ts';
import { openRing } from '../../src/datapath/ring-unsafe.ts';
import {
  bypassAgain,
  createSendQueue,
  flushQueue,
  queueFrame,
  splitAddress,
} from '../../src/datapath/send-queue-unsafe.ts';
import { VNET_HEADER_BYTES } from '../../src/linux/packet-socket-unsafe.ts';
import { type PlayedLibc, type PlayedOptions, playLibc } from './played-libc.ts';

const EPERM = 1;
const EINTR = 4;
const EAGAIN = 11;
const ENOMEM = 12;
const EMSGSIZE = 90;
const ENETDOWN = 100;
const ENOBUFS = 105;

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SOL_PACKET = 263;
const PACKET_QDISC_BYPASS = 20;

const armNamed = (name: string): Arm => ({
  ...{ name, interfaceIndex: 7, macHigh: 0x02000000, macLow: 1 },
  ...{ address: 0, prefixLength: 0, mtu: 1500 },
});

const open = (libc: PlayedLibc, vips = Int32Array.of(1)) =>
  openRing({ arms: [armNamed('no0'), armNamed('no1')], slots: 64, vips, reals: vips }, libc);

test('what is opened is closed, twice or not', () => {
  const libc = playLibc();
  const ring = open(libc);
  expect(libc.open.size).toBe(5);
  ring.close();
  ring.close();
  expect([libc.open.size, libc.mapped.size]).toEqual([0, 0]);
});

test('after closing nothing reaches the memory, which is not there any more', () => {
  const ring = open(playLibc());
  ring.close();
  expect(ring.receive()).toBe(0);
  ring.flush();
  expect([ring.wait(0), ring.checkLinks()]).toEqual([false, false]);
  expect(ring.batch.frame.byteLength).toBe(0);
});

test('each call that opening makes may fail, and leaves nothing open', () => {
  const whole = playLibc();
  open(whole);
  expect(whole.calls.length).toBeGreaterThan(40);
  for (const [call, name] of whole.calls.entries()) {
    const libc = playLibc({ failAt: { call, errno: EPERM } });
    expect(() => open(libc), `${call}: ${name}`).toThrow('errno 1');
    expect([libc.open.size, libc.mapped.size], `${call}: ${name}`).toEqual([0, 0]);
  }
});

test('a ring without arms is a bug', () => {
  const libc = playLibc();
  const none = new Int32Array(0);
  expect(() => openRing({ arms: [], slots: 64, vips: none, reals: none }, libc)).toThrow('one arm');
  expect(libc.open.size).toBe(0);
});

test('a filter that the kernel has no room for gives way to one without addresses', () => {
  const instructions: number[] = [];
  const libc = playLibc({
    setsockopt: (level, option, value) => {
      if (level !== SOL_SOCKET || option !== SO_ATTACH_FILTER) return 0;
      instructions.push(new DataView(value.buffer).getUint16(0, true));
      return instructions.at(-1)! > 300 ? -ENOMEM : 0;
    },
  });
  const ring = open(libc, new Int32Array(100));
  expect(instructions.map((count) => count > 300)).toEqual(Array(4).fill([true, false]).flat());
  instructions.length = 0;
  ring.setAddresses?.({ vips: Int32Array.of(1), reals: Int32Array.of(2) });
  expect(instructions.length).toBe(4);
  expect(Math.max(...instructions)).toBeLessThan(40);
});

/** Queues ten frames of 100 bytes and flushes them. */
function sendTen(options: PlayedOptions) {
  const libc = playLibc(options);
  const counters = createArmCounters();
  const queue = createSendQueue(libc, { fd: 3, counters, capacity: 16, mtu: 1500 }, []);
  const flush = () => {
    libc.calls.length = 0;
    for (let index = 0; index < 10; index++) {
      queueFrame(queue, splitAddress(0n), 0, 100 + VNET_HEADER_BYTES);
    }
    flushQueue(queue);
    return libc.calls;
  };
  return { counters, flush };
}

const WAIT = 'sendmmsg';
const DO_NOT_WAIT = 'sendmmsg without waiting';

test('a frame that is refused is counted, and all others go out', () => {
  const { counters, flush } = sendTen({ sends: [3, -EMSGSIZE, 2, -ENETDOWN] });
  expect(flush()).toEqual([WAIT, WAIT, WAIT, WAIT, WAIT]);
  expect(counters).toMatchObject({ sentFrames: 8, sentBytes: 800, failedFrames: 2 });
  expect(flush()).toEqual([WAIT]);
  expect(counters).toMatchObject({ sentFrames: 18, sentBytes: 1800, failedFrames: 2 });
});

test('a signal costs no frame', () => {
  const { counters, flush } = sendTen({ sends: [4, -EINTR] });
  flush();
  expect(counters).toMatchObject({ sentFrames: 10, failedFrames: 0 });
});

test('a device that lets the time limit pass is waited for once, until it takes a frame', () => {
  const { counters, flush } = sendTen({ sends: [2, ...Array(8).fill(-EAGAIN), -EAGAIN, 9] });
  expect(flush()).toEqual([WAIT, WAIT, ...Array(7).fill(DO_NOT_WAIT)]);
  expect(counters).toMatchObject({ sentFrames: 2, failedFrames: 8 });
  expect(flush()).toEqual([DO_NOT_WAIT, DO_NOT_WAIT]);
  expect(counters).toMatchObject({ sentFrames: 11, failedFrames: 9 });
  expect(flush()).toEqual([WAIT]);
});

test('a super-frame that the device cannot cut goes through its queue, and all after it', () => {
  const bypasses: number[] = [];
  const libc = playLibc({
    // A small frame; a super-frame, twice; another one, which even the queue refuses; a small one.
    sends: [-ENOBUFS, -ENOBUFS, 1, -ENOBUFS, 1],
    setsockopt: (level, option, value) => {
      if (level === SOL_PACKET && option === PACKET_QDISC_BYPASS) bypasses.push(value[0]!);
      return 0;
    },
  });
  const counters = createArmCounters();
  const queue = createSendQueue(libc, { fd: 3, counters, capacity: 4, mtu: 1500 }, []);
  const send = (bytes: number) => {
    queueFrame(queue, splitAddress(0n), 0, bytes + VNET_HEADER_BYTES);
    flushQueue(queue);
  };
  send(1514);
  expect([counters.sentFrames, counters.failedFrames, bypasses]).toEqual([0, 1, []]);
  send(1515);
  expect([counters.sentFrames, counters.failedFrames, bypasses]).toEqual([1, 1, [0]]);
  send(9000);
  send(60);
  expect([counters.sentFrames, counters.failedFrames, bypasses]).toEqual([2, 2, [0]]);
  bypassAgain(queue);
  bypassAgain(queue);
  expect(bypasses).toEqual([0, 1]);
});

test('a full queue sends what it holds before it takes more', () => {
  const libc = playLibc();
  const counters = createArmCounters();
  const queue = createSendQueue(libc, { fd: 3, counters, capacity: 4, mtu: 1500 }, []);
  for (let index = 0; index < 9; index++) {
    queueFrame(queue, splitAddress(0n), 0, 60 + VNET_HEADER_BYTES);
  }
  expect([queue.count, counters.sentFrames]).toEqual([1, 8]);
});

test('the groups of IPv6 VIPs are joined on each arm, and left when the VIP is gone', () => {
  const changes: string[] = [];
  const libc = playLibc({
    setsockopt: (level, option, value) => {
      if (level === SOL_PACKET && (option === 1 || option === 2)) {
        changes.push(`${option === 1 ? 'join' : 'leave'} ${Buffer.from(value).toString('hex')}`);
      }
      return 0;
    },
  });
  const none = new Int32Array(0);
  const wanted = { vips: none, reals: none, vips6: Int32Array.of(0x20010db8, 0, 0, 0x00ab0010) };
  const ring = openRing({ arms: [armNamed('no0'), armNamed('no1')], slots: 64, ...wanted }, libc);
  // struct packet_mreq on interface 7: multicast, six bytes, 33:33:ff:ab:00:10.
  const request = '07000000000006003333ffab00100000';
  expect(changes.splice(0)).toEqual([`join ${request}`, `join ${request}`]);
  ring.setAddresses?.(wanted);
  expect(changes).toEqual([]);
  ring.setAddresses?.({ vips: none, reals: none });
  expect(changes.splice(0)).toEqual([`leave ${request}`, `leave ${request}`]);
  // Nobody can join the groups of all addresses of a prefix: all groups.
  const all = '07000000020006000000000000000000';
  ring.setAddresses?.({ ...wanted, vipPrefixLengths6: Uint8Array.of(112) });
  expect(changes).toEqual([`join ${all}`, `join ${all}`]);
  ring.close();
});

// The flow cache against the director, in the kernel itself: whatever frame comes, the filter lets
// it in to the director, or the forwarder makes of it, byte by byte, what the director makes of it.
// The kernel runs both programs on each frame (BPF_PROG_TEST_RUN), in a namespace of its own.
import { closeSync, openSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Wanted } from '../../src/datapath/datapath.ts';
import { filterSocket } from '../../src/datapath/flow-cache-unsafe.ts';
import { filterProgram } from '../../src/datapath/socket-filter.ts';
import { GLOBAL } from '../../src/director/counters.ts';
import { findFlow } from '../../src/flow/flow-table.ts';
import { UDP } from '../../src/flow/tcp-states.ts';
import { pinThread } from '../../src/linux/cpu-affinity-unsafe.ts';
import { loadLibc } from '../../src/linux/libc-unsafe.ts';
import {
  openPacketSocket,
  type Releases,
  releaseAll,
} from '../../src/linux/packet-socket-unsafe.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { makeNamespace, type Namespace, whyNoNamespace } from '../linux/namespace.ts';
import {
  CLIENT,
  DSR_REALS,
  dsrTcp,
  dsrUdp,
  INSIDE,
  INSIDE_ARM,
  introduce,
  NAT_REALS,
  natTcp,
  natUdp,
  OTHER_ROUTER,
  OUTSIDE,
  OUTSIDE_ARM,
  replyTcp,
  replyUdp,
} from '../packets/scene.ts';
import { type Arrival, anyBytes, anyIpv4, anyMutation } from './arrivals.ts';
import { anyPacket, VIPS } from './every-method.ts';
import { type Bed, makeBed, NEXT, REDIRECT, type Run } from './flow-cache-bed.ts';

const CLONE_NEWNET = 0x4000_0000;
const why = whyNoNamespace();

describe.skipIf(why !== undefined)(`the flow cache ${why ?? ''}`, () => {
  let namespace: Namespace;
  let home: number;
  let arms: number[];
  let bed: Bed | undefined;
  beforeAll(() => {
    // What the filter has decided, the forwarder finds on the same processor.
    pinThread();
    namespace = makeNamespace();
    home = openSync('/proc/thread-self/ns/net', 'r');
    const { run, name } = namespace;
    arms = (['eth0', 'peer0'] as const).map((device, arm) => {
      run('ip', 'link', 'set', device, 'address', [OUTSIDE_ARM, INSIDE_ARM][arm]!.mac);
      return Number(run('cat', `/sys/class/net/${device}/ifindex`));
    });
    const there = openSync(`/run/netns/${name}`, 'r');
    expect(loadLibc().setns(there, CLONE_NEWNET)).toBe(0);
    closeSync(there);
  });
  afterAll(() => {
    loadLibc().setns(home, CLONE_NEWNET);
    closeSync(home);
    namespace.remove();
  });
  const open = (mtu?: number) => {
    bed?.close();
    bed = makeBed(arms, mtu);
    return bed;
  };
  afterAll(() => bed?.close());

  const from = (arm: number) => (frame: Uint8Array) => ({ frame, arm, partial: false });
  const [outside, inside] = [from(OUTSIDE), from(INSIDE)];
  const ACK = { flags: tcp.ACK };
  const DATA = { payload: new Uint8Array(90) };

  /** How many of so many such frames the kernel sends. */
  function sentOf(count: number, arrival: Arrival & { segmentBytes?: number }): number {
    return Array.from({ length: count }, () => bed!.look(arrival)).filter(Boolean).length;
  }

  function openTcp(arrival: (flags: number) => Arrival): void {
    for (const flags of [tcp.SYN, tcp.ACK]) bed!.look(arrival(flags));
  }

  describe('sends', () => {
    test('a connection by DSR from its eighth frame on, and no more once it closes', () => {
      open();
      openTcp((flags) => outside(dsrTcp({ flags })));
      // The first ACK is the first frame that changes nothing.
      expect(sentOf(7, outside(dsrTcp(ACK)))).toBe(0);
      expect(sentOf(5, outside(dsrTcp(ACK)))).toBe(5);
      expect(sentOf(3, outside(dsrTcp({ flags: tcp.ACK | tcp.PSH, ...DATA })))).toBe(3);
      for (const flags of [tcp.SYN, tcp.ACK | tcp.FIN]) {
        expect(sentOf(1, outside(dsrTcp({ flags })))).toBe(0);
      }
      expect(sentOf(20, outside(dsrTcp(ACK)))).toBe(0);
    });

    test('exchanges of UDP by DSR and by NAT, both ways', () => {
      open();
      expect(sentOf(30, outside(dsrUdp(DATA)))).toBeGreaterThan(15);
      expect(sentOf(30, outside(natUdp(DATA)))).toBeGreaterThan(15);
      const replies = NAT_REALS.map((real) => sentOf(30, inside(replyUdp(real, DATA))));
      expect(Math.max(...replies)).toBeGreaterThan(15);
    });

    test('a connection by NAT, both ways, to its own real alone', () => {
      open();
      bed!.look(outside(natTcp({ flags: tcp.SYN })));
      for (const real of NAT_REALS) bed!.look(inside(replyTcp(real, { flags: tcp.SYN | tcp.ACK })));
      expect(sentOf(30, outside(natTcp(ACK)))).toBeGreaterThan(15);
      const replies = NAT_REALS.map((real) => sentOf(30, inside(replyTcp(real, ACK))));
      expect(replies.filter((sent) => sent > 15)).toHaveLength(1);
    });
  });

  describe('leaves to the director', () => {
    const repeated = () => {
      open();
      openTcp((flags) => outside(dsrTcp({ flags })));
      expect(sentOf(20, outside(dsrTcp(ACK)))).toBeGreaterThan(5);
      return bed!;
    };

    test('a real whose MAC address is another one, for eight frames', () => {
      const { scene, tick: pass } = repeated();
      for (const { address } of DSR_REALS) {
        introduce(scene, { address, mac: '02:00:00:00:0c:77' });
      }
      pass();
      expect(sentOf(8, outside(dsrTcp(ACK)))).toBe(0);
      expect(sentOf(1, outside(dsrTcp(ACK)))).toBe(1);
    });

    test('what the filter has not just kept out', () => {
      const { filter, forwarder } = repeated();
      const { frame } = outside(dsrTcp(ACK));
      const verdictOf = (run: Run, of: Uint8Array) => run(of, OUTSIDE, 0).verdict;
      expect(verdictOf(forwarder, frame)).toBe(NEXT);
      expect(verdictOf(filter, frame)).toBe(0);
      expect(verdictOf(forwarder, frame)).toBe(REDIRECT);
      expect(verdictOf(forwarder, frame)).toBe(NEXT);
      // Another one of the same length, by a way that no filter stands in.
      expect(verdictOf(filter, frame)).toBe(0);
      const other = dsrTcp({ ...ACK, sourcePort: 40_002 });
      expect(verdictOf(forwarder, other)).toBe(NEXT);
      // One that the filter lets in ends what was decided before it.
      expect(verdictOf(filter, frame)).toBe(0);
      expect(verdictOf(filter, other)).not.toBe(0);
      expect(verdictOf(forwarder, frame)).toBe(NEXT);
    });

    test('frames that came in by another interface, or whose headers are not plain', () => {
      repeated();
      expect(sentOf(1, inside(dsrTcp({ ...ACK, destinationMac: INSIDE_ARM.mac })))).toBe(0);
      expect(sentOf(1, outside(dsrTcp({ ...ACK, moreFragments: true })))).toBe(0);
      expect(sentOf(1, outside(dsrTcp({ ...ACK, ipOptions: new Uint8Array([1, 1, 1, 0]) })))).toBe(
        0,
      );
    });

    const repliesSent = (count: number) =>
      NAT_REALS.map((real) => sentOf(count, inside(replyTcp(real, ACK)))).reduce((a, b) => a + b);
    const repeatedByNat = () => {
      open();
      bed!.look(outside(natTcp({ flags: tcp.SYN })));
      for (const real of NAT_REALS) bed!.look(inside(replyTcp(real, { flags: tcp.SYN | tcp.ACK })));
      expect(sentOf(20, outside(natTcp(ACK)))).toBeGreaterThan(5);
      expect(repliesSent(20)).toBeGreaterThan(5);
      return bed!;
    };
    const moved = outside(natTcp({ ...ACK, sourceMac: OTHER_ROUTER.mac }));

    test('a connection whose request came by another router once, both ways', () => {
      repeatedByNat();
      expect(sentOf(1, moved)).toBe(0);
      // Or its replies would go to the other router for good.
      expect(sentOf(1, outside(natTcp(ACK)))).toBe(0);
      expect(repliesSent(1)).toBe(0);
      // The eighth, with the one by the other router, is the last that the director sees.
      expect(sentOf(10, outside(natTcp(ACK)))).toBe(4);
      expect(repliesSent(10)).toBe(3);
    });

    test('replies to a client whose link is down', () => {
      const { links, tick: pass } = repeatedByNat();
      expect(repliesSent(1)).toBe(1);
      links[OUTSIDE] = 'down';
      pass();
      expect(repliesSent(1)).toBe(0);
    });

    test('a flow that was over before its row was given back', () => {
      const { scene, restFor, tick: pass } = open();
      const { director, counters } = scene;
      director.flows.timeoutsMs[UDP] = 20_000;
      expect(sentOf(20, outside(dsrUdp(DATA)))).toBeGreaterThan(5);
      const cachedAfter = (passMs: number, idleMs: number) => {
        director.nowMs += passMs;
        for (const real of DSR_REALS) introduce(scene, real);
        restFor(idleMs);
        pass();
        return counters.values[GLOBAL.cachedFlows];
      };
      expect(cachedAfter(6000, 0)).toBe(1);
      expect(cachedAfter(19_000, 19_000)).toBe(1);
      // The kernel has seen a frame, but too late.
      expect(cachedAfter(6000, 0)).toBe(0);
    });

    test('the requests of a client that has moved, and then its replies', () => {
      repeatedByNat();
      expect(sentOf(1, moved)).toBe(0);
      expect(repliesSent(1)).toBe(0);
      expect(sentOf(7, moved)).toBe(0);
      expect(sentOf(3, moved)).toBe(3);
    });

    test('frames and segments that are too long for the way on', () => {
      open(100);
      openTcp((flags) => outside(dsrTcp({ flags })));
      expect(sentOf(20, outside(dsrTcp(ACK)))).toBeGreaterThan(5);
      const long = outside(dsrTcp({ ...ACK, payload: new Uint8Array(200) }));
      expect(sentOf(1, long)).toBe(0);
      expect(sentOf(1, { ...long, segmentBytes: 61 })).toBe(0);
      expect(sentOf(1, { ...long, segmentBytes: 60 })).toBe(1);
    });
  });

  test('says so when the kernel has no memory for a filter of so many addresses', () => {
    const { cache } = open();
    const libc = loadLibc();
    const releases: Releases = [];
    const socket = openPacketSocket(libc, releases);
    const vips = Int32Array.from({ length: 1000 }, (_, index) => index + 1);
    const fits = (wanted: Wanted | undefined) => {
      const options = { wanted, limitBytes: 2048, beyondLimit: false };
      return filterSocket(cache, socket, filterProgram(options));
    };
    namespace.run('sysctl', '-qw', 'net.core.optmem_max=20480');
    try {
      expect(fits({ vips, reals: new Int32Array() })).toBe(false);
      expect(fits(undefined)).toBe(true);
    } finally {
      namespace.run('sysctl', '-qw', 'net.core.optmem_max=131072');
      releaseAll(releases);
    }
  });

  test('counts what it sent where the director counts', () => {
    const { scene, caching, tick: pass } = open();
    const { values } = scene.counters;
    openTcp((flags) => outside(dsrTcp({ flags })));
    const sent = sentOf(20, outside(dsrTcp(ACK)));
    const before = values[GLOBAL.sentFrames]!;
    pass();
    expect(values[GLOBAL.cachedFrames]).toBe(sent);
    expect(values[GLOBAL.sentFrames]! - before).toBe(sent);
    expect(values[GLOBAL.cachedFlows]).toBe(1);
    const bytes = sent * dsrTcp(ACK).length;
    const crossed = {
      receivedFrames: sent,
      receivedBytes: bytes,
      sentFrames: sent,
      sentBytes: bytes,
    };
    expect(caching.counts.ofArm(OUTSIDE)).toEqual(crossed);
    expect(caching.counts.ofArm(INSIDE).sentFrames).toBe(0);
  });

  test('gives the kernel no row for datagrams too short for it, or for flows soon over', () => {
    const { scene, tick: pass } = open();
    const { values } = scene.counters;
    expect(sentOf(30, outside(natUdp({ payload: new Uint8Array(11) })))).toBe(0);
    scene.director.flows.timeoutsMs[UDP] = 14_999;
    expect(sentOf(30, outside(natUdp(DATA)))).toBe(0);
    pass();
    expect(values[GLOBAL.cachedFlows]).toBe(0);
    scene.director.flows.timeoutsMs[UDP] = 15_000;
    expect(sentOf(30, outside(natUdp(DATA)))).toBeGreaterThan(15);
  });

  test('takes the rows back of a flow at rest for a minute', () => {
    const { scene, tick: pass, restFor } = open();
    const { director, counters } = scene;
    const cachedAfter = (restMs: number) => {
      restFor(restMs);
      director.nowMs += 5000;
      pass();
      return counters.values[GLOBAL.cachedFlows];
    };
    openTcp((flags) => outside(dsrTcp({ flags })));
    expect(sentOf(20, outside(dsrTcp(ACK)))).toBeGreaterThan(5);
    expect(cachedAfter(50_000)).toBe(1);
    expect(cachedAfter(61_000)).toBe(0);
    expect(sentOf(8, outside(dsrTcp(ACK)))).toBe(0);
    expect(sentOf(2, outside(dsrTcp(ACK)))).toBe(2);
  });

  test('keeps a flow alive that only the kernel sees', () => {
    const { scene } = open();
    const { director } = scene;
    const arrival = outside(dsrTcp(ACK));
    openTcp((flags) => outside(dsrTcp({ flags })));
    expect(sentOf(20, arrival)).toBeGreaterThan(5);
    const view = new DataView(arrival.frame.buffer, arrival.frame.byteOffset);
    const [source, destination] = [view.getInt32(26), view.getInt32(30)];
    const found = () => findFlow(director.flows, source, destination, view.getInt32(34), 6);
    for (let time = 0; time < 10; time++) {
      // Two thirds of its time, in which the director itself gets nothing but ARP.
      director.nowMs += 600_000;
      for (const real of DSR_REALS) introduce(scene, real);
      bed!.tick();
      expect(found(), `after ${time} pauses`).toBeGreaterThanOrEqual(0);
    }
  });

  test('does what the director does, whatever comes', () => {
    const sent = new Map<string, number>();
    const { dsr, nat, fullnat } = VIPS;
    const ports = [40_000, 40_001];
    const ways = [dsr, nat, fullnat].flatMap((vip) => ports.map((port) => ({ vip, port })));
    /** Enough of a connection for a row in both directions. */
    const bursts = fc.constantFrom(...ways).map(({ vip, port }) => {
      const request = (flags: number) => {
        return outside(dsrTcp({ destination: vip, sourcePort: port, source: CLIENT, flags }));
      };
      const reply = (flags: number) => (real: (typeof NAT_REALS)[number]) => {
        const toPool = { sourcePort: 80, destination: '10.0.0.200', destinationPort: 61_000 };
        const toClient = { destination: CLIENT, destinationPort: port };
        return inside(replyTcp(real, { flags, ...(vip === fullnat ? toPool : toClient) }));
      };
      return [
        ...[request(tcp.SYN), ...NAT_REALS.map(reply(tcp.SYN | tcp.ACK))],
        ...Array.from({ length: 12 }, () => [request(tcp.ACK), ...NAT_REALS.map(reply(tcp.ACK))]),
      ].flat();
    });
    const any = fc.oneof(
      { weight: 8, arbitrary: anyPacket.map((arrival) => [arrival]) },
      { weight: 4, arbitrary: bursts },
      { weight: 1, arbitrary: fc.oneof(anyBytes, anyIpv4, anyMutation).map((one) => [one]) },
    );
    const steps = fc.array(any, { minLength: 5, maxLength: 40 });
    fc.assert(
      fc.property(steps, fc.constantFrom(1500, 100), (arrivals, mtu) => {
        const { look, tick: pass } = open(mtu);
        for (const arrival of arrivals.flat()) {
          if (!look(arrival)) continue;
          const way = arrival.arm === INSIDE ? 'reply' : 'request';
          sent.set(way, (sent.get(way) ?? 0) + 1);
        }
        pass();
      }),
      { numRuns: 60 },
    );
    for (const way of ['request', 'reply']) expect(sent.get(way), way).toBeGreaterThan(100);
  });
});

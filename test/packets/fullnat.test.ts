// Fullnat, packet by packet: to the real every client is an address and port of the pool, to the
// client there is the VIP alone, and whatever speaks of a packet speaks of the one that was sent.
import { describe, expect, test } from 'vitest';
import * as tcp from '../../src/wire/tcp.ts';
import {
  type Check,
  checksumIs,
  checksumsGood,
  endpoints,
  headerChecksumGood,
  macs,
  partialChecksumGood,
  restUntouched,
  ttlOneLess,
  unchanged,
} from './checks.ts';
import { droppedFor, opened, replied, requested } from './moved.ts';
import { testPackets } from './packet-table.ts';
import { cutUp, putTogether } from './pieces.ts';
import {
  CLIENT,
  errorToClient,
  errorToVip,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  natTcp,
  natUdp,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  replyTcp,
  replyUdp,
  type Scene,
  standardServices,
} from './scene.ts';

const REAL = NAT_REALS[0]!;
const POOL = '10.0.0.200';
const PORT = 61_000;
const ONE_PORT = { addresses: [POOL], firstPort: PORT, portCount: 1 };

const fullnat = (pool = ONE_PORT) =>
  makeScene({
    pool,
    services: standardServices().map((service) =>
      service.method === 'nat' ? { ...service, method: 'fullnat' } : service,
    ),
  });

/** What the real answers: to the pool. */
const TO_POOL = { destination: POOL, destinationPort: PORT };
const answerTcp = (fields = {}) => replyTcp(REAL, { ...TO_POOL, ...fields });
const answerUdp = (fields = {}) => replyUdp(REAL, { ...TO_POOL, ...fields });

const REQUEST: readonly Check[] = [
  macs({ from: INSIDE_ARM.mac, to: REAL.mac }),
  endpoints(`${POOL}:${PORT}`, '10.0.0.11:8080'),
  ttlOneLess,
  restUntouched,
];
const REPLY: readonly Check[] = [
  macs({ from: OUTSIDE_ARM.mac, to: ROUTER.mac }),
  endpoints('192.0.2.81:80', `${CLIENT}:40000`),
  ttlOneLess,
  restUntouched,
];

const openTcp = (scene: Scene) => void scene.receive(natTcp({ flags: tcp.SYN }));
const openUdp = (scene: Scene) => void scene.receive(natUdp());
const DATA = new Uint8Array(701).map((_, index) => index);
const OPTIONS = new Uint8Array(12).fill(1);
const SYN = natTcp({ flags: tcp.SYN });
const SUPER = { payload: new Uint8Array(65_000).fill(3), partialChecksum: true };

const withoutChecksum = (frame: Uint8Array): Uint8Array => {
  const copy = frame.slice();
  new DataView(copy.buffer).setUint16(40, 0);
  return copy;
};

describe('a request', () => {
  testPackets([
    {
      ...{ name: 'TCP: a SYN', scene: fullnat, frame: SYN, verdict: 'send 1' },
      checks: [...REQUEST, checksumsGood],
      moved: opened(4, SYN.length),
    },
    ...[
      natTcp({ payload: DATA, options: OPTIONS }),
      natTcp({ flags: tcp.FIN | tcp.ACK }),
      natTcp({ flags: tcp.RST }),
    ].map((frame, index) => ({
      ...{ name: `TCP ${index}`, scene: fullnat, before: openTcp, frame, verdict: 'send 1' },
      checks: [...REQUEST, checksumsGood],
      moved: requested(4, frame.length),
    })),
    {
      ...{ name: 'TCP: a super-frame', scene: fullnat, before: openTcp, frame: natTcp(SUPER) },
      ...{ partial: true, segmentBytes: 1448, verdict: 'send 1' },
      checks: [...REQUEST, partialChecksumGood],
      moved: requested(4, natTcp(SUPER).length),
    },
    {
      ...{ name: 'UDP', scene: fullnat, frame: natUdp({ payload: DATA }), verdict: 'send 1' },
      checks: [...REQUEST, checksumsGood],
      moved: opened(6, natUdp({ payload: DATA }).length),
    },
    {
      ...{ name: 'UDP without a checksum', scene: fullnat, verdict: 'send 1' },
      frame: withoutChecksum(natUdp()),
      checks: [...REQUEST, headerChecksumGood, checksumIs(0)],
      moved: opened(6, natUdp().length),
    },
  ]);
});

describe('a reply', () => {
  testPackets([
    ...[
      answerTcp({ flags: tcp.SYN | tcp.ACK, options: OPTIONS }),
      answerTcp({ payload: DATA }),
      answerTcp({ flags: tcp.RST }),
    ].map((frame, index) => ({
      ...{ name: `TCP ${index}`, scene: fullnat, before: openTcp, frame, arm: INSIDE },
      verdict: 'send 0',
      checks: [...REPLY, checksumsGood],
      moved: replied(4, frame.length),
    })),
    {
      ...{ name: 'TCP: a super-frame', scene: fullnat, before: openTcp, frame: answerTcp(SUPER) },
      ...{ partial: true, segmentBytes: 1448, arm: INSIDE, verdict: 'send 0' },
      checks: [...REPLY, partialChecksumGood],
      moved: replied(4, answerTcp(SUPER).length),
    },
    {
      ...{ name: 'UDP', scene: fullnat, before: openUdp, frame: answerUdp({ payload: DATA }) },
      ...{ arm: INSIDE, verdict: 'send 0' },
      checks: [...REPLY, checksumsGood],
      moved: replied(6, answerUdp({ payload: DATA }).length),
    },
    {
      ...{ name: 'to another port of the pool', scene: fullnat, before: openTcp, arm: INSIDE },
      ...{ frame: answerTcp({ destinationPort: PORT + 1 }), verdict: 'drop no-flow' },
      checks: [unchanged],
      moved: droppedFor('no-flow'),
    },
    {
      ...{ name: 'to the client, past the pool', scene: fullnat, before: openTcp, arm: INSIDE },
      ...{ frame: replyTcp(REAL), verdict: 'drop no-flow' },
      checks: [unchanged],
      moved: droppedFor('no-flow'),
    },
  ]);
});

describe('an ICMP error', () => {
  test('about a request: the client hears of what it sent, from the VIP', () => {
    const scene = fullnat();
    const frame = natTcp({ flags: tcp.SYN, timeToLive: 9 });
    const there = scene.receive(frame).frame;
    const error = errorToClient(there, { destination: POOL });
    const back = scene.receive(error, { arm: INSIDE });
    expect(back.verdict).toBe('send 0');
    const quoted = packetOf(frame);
    // As it was when its time to live had been counted down on the way.
    const asThere = packetOf(there);
    quoted.set(asThere.subarray(8, 9), 8);
    expect(back.frame.slice(14 + 20 + 8 + 12)).toEqual(quoted.slice(12, 12 + 548));
    expect(endpointsOf(back.frame)).toEqual([NAT_VIP, CLIENT]);
  });

  test('about a reply: the real hears of what it sent, and from the pool', () => {
    const scene = fullnat();
    openTcp(scene);
    const frame = answerTcp({ flags: tcp.SYN | tcp.ACK });
    const seen = scene.receive(frame, { arm: INSIDE }).frame;
    const there = scene.receive(errorToVip(NAT_VIP, seen));
    expect(there.verdict).toBe('send 1');
    const quoted = packetOf(frame);
    expect(there.frame.slice(14 + 20 + 8 + 12)).toEqual(quoted.slice(12));
    expect(endpointsOf(there.frame)).toEqual([POOL, REAL.address]);
  });

  test('about a reply of no flow names no port of the pool, so it is dropped', () => {
    const { verdict } = fullnat().receive(errorToVip(NAT_VIP, replyFromVip()));
    expect(verdict).toBe('drop icmp-no-flow');
  });
});

const replyFromVip = () => replyTcp(REAL, { source: NAT_VIP, sourcePort: 80, destination: CLIENT });

/** The addresses of the outer header. */
const endpointsOf = (frame: Uint8Array): string[] =>
  [26, 30].map((at) => [...frame.slice(at, at + 4)].join('.'));

describe('fragments', () => {
  const cases = [
    ['in order', [0, 1, 2]],
    ['the first one last', [2, 1, 0]],
  ] as const;

  test.each(cases)('of a request, %s', (_, order) => {
    const scene = fullnat();
    const frame = natUdp({ payload: new Uint8Array(3000).map((_, at) => at) });
    const pieces = cutUp(frame, [1480]);
    const out = order.flatMap((index) => {
      const { verdict, frame: after, own } = scene.receive(pieces[index]!);
      const held = own.map(({ bytes }) => bytes);
      return verdict === 'send 1' ? [after, ...held] : held;
    });
    const whole = putTogether(out);
    for (const check of [endpoints(`${POOL}:${PORT}`, '10.0.0.11:8080'), checksumsGood]) {
      check(frame, whole);
    }
  });

  test.each(cases)('of a reply, %s', (_, order) => {
    const scene = fullnat();
    openUdp(scene);
    const frame = answerUdp({ payload: new Uint8Array(3000).map((_, at) => at) });
    const pieces = cutUp(frame, [1480]);
    const out = order.flatMap((index) => {
      const { verdict, frame: after, own } = scene.receive(pieces[index]!, { arm: INSIDE });
      const held = own.map(({ bytes }) => bytes);
      return verdict === 'send 0' ? [after, ...held] : held;
    });
    const whole = putTogether(out);
    for (const check of [endpoints('192.0.2.81:80', `${CLIENT}:40000`), checksumsGood]) {
      check(frame, whole);
    }
  });
});

describe('one of several workers', () => {
  test.each([0, 1, 2])('takes its own ports of the pool, all of them: worker %s', (worker) => {
    const scene = fullnat({ addresses: [POOL], firstPort: PORT, portCount: 10 });
    Object.assign(scene.director, { worker, workers: 3 });
    const taken = new Set<number>();
    for (let sourcePort = 40_000; sourcePort < 40_050; sourcePort++) {
      const { frame, verdict } = scene.receive(natTcp({ flags: tcp.SYN, sourcePort }));
      if (verdict === 'send 1') taken.add(new DataView(frame.buffer).getUint16(34));
    }
    const all = Array.from({ length: 10 }, (_, index) => PORT + index);
    expect([...taken].sort()).toEqual(all.filter((port) => port % 3 === worker));
  });

  test('without a port of its own has none', () => {
    const scene = fullnat();
    Object.assign(scene.director, { worker: 2, workers: 3 });
    expect(scene.receive(SYN).verdict).toBe('drop no-source-port');
  });
});

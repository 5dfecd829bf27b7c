// Tunnels (ipip and gue), packet by packet: outer headers byte for byte, the inner packet as it
// came; what is too long told, cut or segmented; pieces and ICMP errors through the tunnel; and
// what routers say of its packets.
import { describe, expect, test } from 'vitest';
import { arpFrame, icmpErrorFrame, tcpFrame, udpFrame } from '../../lab/frame.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import { parseIpv4 } from '../../src/wire/address.ts';
import * as arp from '../../src/wire/arp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { naiveSum } from '../wire/naive-checksum.ts';
import { checksumsGood } from './checks.ts';
import { droppedFor, opened, requested } from './moved.ts';
import { cutUp, putTogether } from './pieces.ts';
import {
  ARMS,
  CLIENT,
  INSIDE,
  INSIDE_ARM,
  introduce,
  makeScene,
  NEAR_ROUTER,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  type Scene,
  type SceneOptions,
} from './scene.ts';

const VIP = '192.0.2.82';
const REALS = { ipip: '10.7.0.11', gue: '10.8.0.12' } as const;
const AHEAD = { ipip: 20, gue: 32 } as const;
const METHODS = ['ipip', 'gue'] as const;
type Tunnel = (typeof METHODS)[number];
/** The router behind which the reals are. */
const GATEWAY = { mac: '02:00:00:00:0d:fe', address: '10.0.0.254' };

function tunnelScene(method: Tunnel, options: SceneOptions = {}): Scene {
  const service = { vip: VIP, port: 80, method, scheduler: 'maglev' } as const;
  const real = { address: REALS[method], port: 80, arm: INSIDE, hop: GATEWAY.address };
  const services = [
    { ...service, id: 0, protocol: 6 as const, reals: [{ ...real, id: 0 }] },
    { ...service, id: 1, protocol: 17 as const, reals: [{ ...real, id: 1 }] },
  ];
  const scene = makeScene({ services, resolved: [GATEWAY], ...options });
  return scene;
}

const TO_VIP = {
  ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: CLIENT, destination: VIP },
  ...{ sourcePort: 40_000, destinationPort: 80 },
};
const requestTcp = (fields: object = {}) => tcpFrame({ ...TO_VIP, ...fields });
const requestUdp = (fields: object = {}) => udpFrame({ ...TO_VIP, ...fields });
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const number = (address: string) => parseIpv4(address)!;
const bytesOf = (packet: number) => ({ payload: new Uint8Array(packet - 40).fill(6) });

/** The packet within an outer frame, whose outer headers are judged on the way. */
function innerOf(method: Tunnel, frame: Uint8Array): Uint8Array {
  const view = viewOf(frame);
  expect(naiveSum(frame.subarray(14, 34))).toBe(0xffff);
  const outer = ipv4.parse(view, 14);
  expect(outer.destination).toBe(number(REALS[method]));
  expect(outer.protocol).toBe(method === 'ipip' ? 4 : 17);
  const inner = frame.slice(14 + AHEAD[method]);
  expect(outer.payloadBytes + 20).toBe(AHEAD[method] + ipv4.totalBytes(viewOf(inner), 0));
  if (method === 'gue') {
    expect([view.getUint16(36), view.getUint16(38)]).toEqual([6080, outer.payloadBytes]);
    // No checksum; variant 0, a data message without options, IPv4 within, no flags.
    expect([view.getUint16(40), view.getUint32(42)]).toEqual([0, 0x0004_0000]);
  }
  return inner;
}

describe('byte for byte', () => {
  const frame = requestUdp({ payload: Uint8Array.of(1, 2, 3), typeOfService: 0xb9 });
  const macs = '02000000 0dfe 02000000 0a01 0800';
  test.each([
    ['ipip', `${macs} 45b90033 00014000 4004 25fb 0a000001 0a07000b ${hex(packetOf(frame))}`],
    [
      'gue',
      `${macs} 45b9003f 00014000 4011 25e0 0a000001 0a08000c
       SPORT 17c0 002b0000 00040000 ${hex(packetOf(frame))}`,
    ],
  ] as const)('%s', (method, expected) => {
    const outcome = tunnelScene(method).receive(frame);
    expect(outcome.verdict).toBe('send 1');
    expect(outcome.moved).toEqual(opened(1, frame.length));
    const port = viewOf(outcome.frame).getUint16(34);
    if (method === 'gue') expect(port).toBeGreaterThanOrEqual(0xc000);
    const text = expected.replace('SPORT', port.toString(16)).replaceAll(/\s/g, '');
    expect(hex(outcome.frame)).toBe(text);
  });
});

describe.each(METHODS)('through a tunnel by %s', (method) => {
  const sent = (scene: Scene, frame: Uint8Array, options: object = {}) => {
    const outcome = scene.receive(frame, options);
    expect(outcome.verdict).toBe('send 1');
    return innerOf(method, outcome.frame);
  };
  const open = (options?: SceneOptions): Scene => {
    const scene = tunnelScene(method, options);
    scene.receive(requestTcp({ flags: tcp.SYN }));
    scene.receive(requestUdp());
    return scene;
  };
  const room = 1500 - AHEAD[method];

  test('each packet of a connection goes as it came', () => {
    const scene = tunnelScene(method);
    for (const flags of [tcp.SYN, tcp.ACK, tcp.ACK | tcp.PSH, tcp.FIN | tcp.ACK]) {
      const frame = requestTcp({ flags, payload: Uint8Array.of(flags), timeToLive: 1 });
      expect(hex(sent(scene, frame))).toBe(hex(packetOf(frame)));
    }
    const options = requestTcp({ ipOptions: Uint8Array.of(1, 1, 1, 0) });
    expect(hex(sent(scene, options))).toBe(hex(packetOf(options)));
    const last = scene.receive(requestTcp());
    expect(last.moved).toEqual(requested(0, requestTcp().length));
  });

  test('the outer header tells what the inner one does', () => {
    const outer = (fields: object) => {
      const { frame } = tunnelScene(method).receive(requestUdp(fields));
      return ipv4.parse(viewOf(frame), 14);
    };
    expect(outer({ typeOfService: 3 })).toMatchObject({ typeOfService: 3, timeToLive: 64 });
    expect(outer({ dontFragment: false }).dontFragment).toBe(false);
    expect(outer({}).dontFragment).toBe(true);
  });

  test('source and port are those of the flow, and spread', () => {
    const tunnel = { source: number('172.16.5.6'), prefixLength: 16, port: 6080 };
    const scene = tunnelScene(method, { tunnel, maximumFlows: 256 });
    const seen = new Set<number>();
    const ports = new Set<number>();
    for (let port = 1000; port < 1200; port++) {
      const [one, two] = [1, 2].map(() =>
        viewOf(scene.receive(requestUdp({ sourcePort: port })).frame),
      );
      expect(one!.getInt32(26)).toBe(two!.getInt32(26));
      expect(one!.getUint32(26) >>> 16).toBe(0xac10);
      seen.add(one!.getInt32(26));
      expect(one!.getUint16(34)).toBe(two!.getUint16(34));
      ports.add(one!.getUint16(34));
      expect(one!.getUint16(18)).not.toBe(two!.getUint16(18));
    }
    expect(seen.size).toBeGreaterThan(190);
    if (method === 'gue') expect(ports.size).toBeGreaterThan(190);
  });

  test('an unfinished checksum is finished: nobody behind the tunnel would do it', () => {
    for (const make of [requestTcp, requestUdp]) {
      const frame = make({ flags: tcp.SYN, payload: new Uint8Array(33).fill(9) });
      const partial = make({
        flags: tcp.SYN,
        payload: new Uint8Array(33).fill(9),
        partialChecksum: true,
      });
      expect(hex(sent(tunnelScene(method), partial, { partial: true }))).toBe(hex(packetOf(frame)));
    }
  });

  test('what fills the room to the last byte goes, one byte more is told of', () => {
    const scene = open();
    expect(sent(scene, requestTcp(bytesOf(room)))).toHaveLength(room);
    const frame = requestTcp(bytesOf(room + 1));
    const { verdict, own, moved } = scene.receive(frame);
    expect(verdict).toBe('drop too-big');
    expect(moved).toEqual({ ...droppedFor('too-big'), ownErrors: 1 });
    const told = icmpErrorFrame({
      ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, typeOfService: 0xc0 },
      ...{ source: OUTSIDE_ARM.address, destination: CLIENT, type: 3, code: 4 },
      ...{ nextHopMtu: room, quote: packetOf(frame).slice(0, 548) },
    });
    expect(own.map(({ arm, bytes }) => [arm, hex(bytes)])).toEqual([[0, hex(told)]]);
  });

  test('what may be cut is, before it goes into the tunnel', () => {
    for (const packet of [room + 1, 1500, 9000]) {
      const frame = requestUdp({
        payload: new Uint8Array(packet - 28).fill(6),
        dontFragment: false,
        identification: 9,
      });
      const outcome = open().receive(frame);
      expect(outcome.verdict).toBe('taken');
      expect(outcome.moved.cutFrames).toBe(1);
      const inner = outcome.own.map(({ bytes }) => {
        expect(bytes.length).toBeLessThanOrEqual(1514);
        return Uint8Array.of(...frame.subarray(0, 14), ...innerOf(method, bytes));
      });
      const ids = outcome.own.map(({ bytes }) => viewOf(bytes).getUint16(18));
      expect(new Set(ids).size).toBe(ids.length);
      expect(hex(putTogether(inner))).toBe(hex(frame));
    }
  });

  test('a first datagram that is cut proves no more than another', () => {
    const scene = tunnelScene(method);
    const fields = { sourcePort: 78, dontFragment: false };
    const long = requestUdp({ ...fields, payload: new Uint8Array(1472) });
    expect(scene.receive(long).verdict).toBe('taken');
    expect(scene.director.flows.halfOpen).toBe(1);
    scene.receive(requestUdp(fields));
    expect(scene.director.flows.halfOpen).toBe(0);
  });

  test('pieces follow their first one, in any order, each with outer headers', () => {
    const frame = requestUdp({ payload: new Uint8Array(4000).fill(5), sourcePort: 77 });
    const pieces = cutUp(frame, [1400]);
    const scene = tunnelScene(method);
    const waited = scene.receive(pieces[2]!);
    expect([waited.verdict, waited.own.length]).toEqual(['taken', 0]);
    const first = scene.receive(pieces[0]!);
    const second = scene.receive(pieces[1]!);
    const all = [first.frame, ...first.own.map(({ bytes }) => bytes), second.frame];
    expect(all).toHaveLength(3);
    // One way for all of them.
    expect(new Set(all.map((bytes) => hex(bytes.subarray(26, 30)))).size).toBe(1);
    const inner = all.map((bytes) =>
      Uint8Array.of(...bytes.slice(0, 14), ...innerOf(method, bytes)),
    );
    expect(hex(putTogether(inner).slice(34))).toBe(hex(frame.slice(34)));
  });

  test('an ICMP error about an answer of the real goes through it too', () => {
    const scene = open();
    const answer = tcpFrame({
      ...TO_VIP,
      source: VIP,
      destination: CLIENT,
      sourcePort: 80,
      destinationPort: 40_000,
    });
    const error = icmpErrorFrame({
      ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: '203.0.113.9' },
      ...{ destination: VIP, type: 3, code: 4, nextHopMtu: 1400, quote: packetOf(answer) },
    });
    expect(hex(sent(scene, error))).toBe(hex(packetOf(error)));
  });

  describe('a super-frame becomes segments', () => {
    const flags = tcp.ACK | tcp.PSH | tcp.FIN | tcp.CWR;
    const payload = Uint8Array.from({ length: 60_001 }, (_, at) => (at * 7) & 0xff);
    const fields = {
      flags,
      sequence: 0xffff_f000,
      payload,
      identification: 0xfffe,
      partialChecksum: true,
    };

    test('of TCP', () => {
      const scene = open();
      const frame = requestTcp(fields);
      const { verdict, segments, own, moved } = scene.receive(frame, {
        partial: true,
        segmentBytes: 1400,
      });
      expect([verdict, own.length]).toEqual(['taken', 0]);
      expect(moved).toEqual({ ...requested(0, frame.length), segmentedFrames: 1 });
      const count = Math.ceil(payload.length / 1400);
      expect(segments).toHaveLength(count);
      expect(segments.filter(({ countAs }) => countAs !== undefined)).toHaveLength(1);
      let at = 0;
      for (const [index, { arm, bytes }] of segments.entries()) {
        expect(arm).toBe(1);
        const inner = innerOf(method, bytes);
        const whole = Uint8Array.of(...frame.subarray(0, 14), ...inner);
        checksumsGood(frame, whole);
        const view = viewOf(whole);
        expect(ipv4.identification(view, 14)).toBe((0xfffe + index) & 0xffff);
        const segment = tcp.parse(view, 34, whole.length);
        expect(segment.sequence).toBe((0xffff_f000 + at) >>> 0);
        const [first, last] = [index === 0, index === count - 1];
        expect(segment.flags).toBe(
          tcp.ACK | (last ? tcp.PSH | tcp.FIN : 0) | (first ? tcp.CWR : 0),
        );
        expect(hex(segment.payload)).toBe(hex(payload.subarray(at, at + 1400)));
        at += 1400;
      }
    });

    test('of UDP, with checksums or without', () => {
      const frame = requestUdp({ payload: payload.subarray(0, 5000), partialChecksum: true });
      const { segments } = open().receive(frame, { partial: true, segmentBytes: 1300 });
      expect(segments).toHaveLength(4);
      for (const { bytes } of segments) {
        checksumsGood(frame, Uint8Array.of(...frame.subarray(0, 14), ...innerOf(method, bytes)));
      }
      const bare = requestUdp({ payload: payload.subarray(0, 5000) });
      viewOf(bare).setUint16(40, 0);
      const { segments: others } = open().receive(bare, { segmentBytes: 1300 });
      const sums = others.map(({ bytes }) => viewOf(bytes).getUint16(14 + AHEAD[method] + 26));
      expect(sums).toEqual([0, 0, 0, 0]);
    });

    test('unless they would not fit, which is told, or were too many', () => {
      const by = (segmentBytes: number) =>
        open().receive(requestTcp(fields), { partial: true, segmentBytes });
      expect(by(room - 40).verdict).toBe('taken');
      const told = by(room - 39);
      expect([told.verdict, viewOf(told.own[0]!.bytes).getUint16(40)]).toEqual([
        'drop too-big',
        room,
      ]);
      expect(by(400).verdict).toBe('drop too-many-segments');
    });

    test('of the largest size that fits, where nobody knows how long they were', () => {
      const { segments } = open().receive(requestTcp(fields), { segmentBytes: 1 });
      expect(Math.max(...segments.map(({ bytes }) => bytes.length))).toBe(1514);
      expect(segments).toHaveLength(Math.ceil(60_001 / (room - 40)));
    });
  });

  describe('what a router says of its packets', () => {
    const saying = (about: Uint8Array, fields: object = {}) =>
      icmpErrorFrame({
        ...{ sourceMac: GATEWAY.mac, destinationMac: INSIDE_ARM.mac, source: NEAR_ROUTER },
        ...{ destination: INSIDE_ARM.address, type: 3, code: 4, nextHopMtu: 1400 },
        ...{ quote: packetOf(about).slice(0, 548), ...fields },
      });
    const outer = (scene: Scene) => scene.receive(requestTcp(bytesOf(1450))).frame;

    test('a narrow path is told to the client, with the room in the tunnel', () => {
      const scene = open();
      const about = outer(scene);
      const { verdict, own, moved } = scene.receive(saying(about), { arm: INSIDE });
      expect([verdict, own.length]).toEqual(['taken', 1]);
      expect(moved).toEqual({ sentFrames: 1, ownErrors: 1, relayedErrors: 1 });
      const told = icmpErrorFrame({
        ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, typeOfService: 0xc0 },
        ...{ source: OUTSIDE_ARM.address, destination: CLIENT, type: 3, code: 4 },
        nextHopMtu: 1400 - AHEAD[method],
        quote: packetOf(requestTcp(bytesOf(1450))).slice(0, 548 - AHEAD[method]),
      });
      expect(own.map(({ arm, bytes }) => [arm, hex(bytes)])).toEqual([[0, hex(told)]]);
    });

    test.each([
      ['another error', (about: Uint8Array) => saying(about, { code: 1 })],
      [
        'a quote that ends too soon',
        (about: Uint8Array) => saying(about, { quote: packetOf(about).slice(0, 47) }),
      ],
      ['no room at all', (about: Uint8Array) => saying(about, { nextHopMtu: 70 })],
      ['more room than was needed', (about: Uint8Array) => saying(about, { nextHopMtu: 1600 })],
    ])('%s is counted', (_, make) => {
      const scene = open();
      const { verdict, own, moved } = scene.receive(make(outer(scene)), { arm: INSIDE });
      expect([verdict, own.length]).toEqual(['drop tunnel-error', 0]);
      expect(moved).toEqual(droppedFor('tunnel-error'));
    });

    test('of a packet that no flow knows: counted; of none of ours: passed', () => {
      const scene = open();
      const about = outer(scene);
      viewOf(about).setUint16(14 + AHEAD[method] + 20, 5);
      expect(scene.receive(saying(about), { arm: INSIDE }).verdict).toBe('drop tunnel-error');
      viewOf(about).setInt32(30, number('10.7.0.99'));
      expect(scene.receive(saying(about), { arm: INSIDE }).verdict).toBe('pass');
    });

    test('with a wrong sum is dropped', () => {
      const scene = open();
      const error = saying(outer(scene));
      error[70]! ^= 1;
      expect(scene.receive(error, { arm: INSIDE }).verdict).toBe('drop icmp-checksum');
    });
  });
});

describe('the way to a real behind a router', () => {
  test('is the way to the router, also by NAT', () => {
    const reals = [{ id: 0, address: '10.7.0.11', port: 8080, arm: INSIDE, hop: GATEWAY.address }];
    const service = {
      id: 0,
      vip: VIP,
      port: 80,
      protocol: 6,
      method: 'nat',
      scheduler: 'rr',
    } as const;
    const scene = makeScene({ services: [{ ...service, reals }], resolved: [] });
    expect(scene.receive(requestTcp({ flags: tcp.SYN })).verdict).toBe('drop real-unresolved');
    introduce(scene, GATEWAY);
    const { verdict, frame } = scene.receive(requestTcp({ flags: tcp.SYN }));
    expect(verdict).toBe('send 1');
    expect(hex(frame.subarray(0, 6))).toBe(GATEWAY.mac.replaceAll(':', ''));
    expect(viewOf(frame).getInt32(30)).toBe(number('10.7.0.11'));
  });
});

describe('the sources of tunnels', () => {
  test('are answered for by ARP, and no other address is', () => {
    const tunnel = { source: number('10.0.0.64'), prefixLength: 28, port: 6080 };
    const scene = tunnelScene('ipip', { tunnel });
    const ask = (targetAddress: string) =>
      arpFrame({
        ...{ sourceMac: GATEWAY.mac, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: arp.REQUEST },
        ...{ senderAddress: GATEWAY.address, targetAddress },
      });
    const verdicts = ['10.0.0.64', '10.0.0.79', '10.0.0.80', '10.0.0.63', INSIDE_ARM.address].map(
      (address) => scene.receive(ask(address), { arm: INSIDE }).verdict,
    );
    expect(verdicts).toEqual(['answer 1', 'answer 1', 'pass', 'pass', 'pass']);
  });

  test('a wider arm takes longer packets', () => {
    const arms: readonly Arm[] = ARMS.map((arm) => ({
      ...arm,
      mtu: arm.name === 'in' ? 1600 : 1500,
    }));
    const scene = tunnelScene('gue', { arms });
    expect(scene.receive(requestUdp(bytesOf(1492))).verdict).toBe('send 1');
  });
});

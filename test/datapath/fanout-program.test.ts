// The program that shares frames out, run in a plain model of the kernel's machine: every packet of
// a client comes to one worker, whichever way it goes and whatever kind of packet it is.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arpFrame, icmpErrorFrame, tcpFrame, udpFrame } from '../../lab/frame.ts';
import { buildFanoutProgram, canShare, workerOfClient } from '../../src/datapath/fanout-program.ts';
import { parseIpv4, parseIpv6 } from '../../src/wire/address.ts';
import { cut6 } from '../packets/frames6.ts';
import { cutUp, replyTo } from '../packets/pieces.ts';
import { makeScene, natUdp, standardServices } from '../packets/scene.ts';
import { makeScene6, natUdp6, services6 } from '../packets/scene6.ts';
import { runClassicBpf } from './classic-bpf.ts';

const VIPS = ['192.0.2.80', '192.0.2.81', '240.0.0.1'];
const REAL = '10.0.0.11';
const ROUTER = '203.0.113.9';
const ROUTER6 = '2001:db8:9::9';
const MACS = { sourceMac: '02:00:00:00:0b:01', destinationMac: '02:00:00:00:0a:00' };
const LONG = new Uint8Array(99);
const PORTS = { sourcePort: 40_000, destinationPort: 80 };

const VIPS6 = ['2001:db8::80', '2001:db8::81', 'fd00::1'];
const REAL6 = 'fd00::11';
const words = (texts: readonly string[]) => Int32Array.from(texts.flatMap((t) => parseIpv6(t)!));
const fold = (address: string) => parseIpv6(address)!.reduce((all, word) => all ^ word, 0);

const numbers = (texts: readonly string[]) => Int32Array.from(texts, (text) => parseIpv4(text)!);

/** What the kernel does with a frame: the program begins at the network header. */
function workerOf(frame: Uint8Array, workers: number, vips = numbers(VIPS)): number {
  const etherType = new DataView(frame.buffer, frame.byteOffset).getUint16(12);
  const packet = { bytes: frame.subarray(14), packetType: 0, etherType };
  const program = buildFanoutProgram({ vips, vips6: words(VIPS6) }, workers);
  return runClassicBpf(program, packet);
}

/** An IPv6 frame of which only what the program looks at is filled in. */
function frame6(source: string, destination: string, next: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(54 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, 0x86dd);
  view.setUint8(14, 0x60);
  view.setUint8(20, next);
  for (const [index, word] of words([source, destination]).entries()) {
    view.setInt32(22 + 4 * index, word);
  }
  bytes.set(data, 54);
  return bytes;
}

const icmp6 = (type: number, quote: Uint8Array = new Uint8Array(0)) =>
  Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0, ...quote.subarray(14));

/** The same for IPv6. */
function packets6Of(client: string, vip: string): Record<string, Uint8Array> {
  const segment = new Uint8Array(20);
  const reply = frame6(vip, client, 6, segment);
  const atReal = frame6(client, REAL6, 6, segment);
  return {
    request: frame6(client, vip, 6, segment),
    'fragment of a request': frame6(client, vip, 44, segment),
    'reply of a NAT real': frame6(REAL6, client, 17, segment),
    ping: frame6(client, vip, 58, icmp6(128)),
    ...Object.fromEntries(
      [1, 2, 3, 4].flatMap((type) => [
        [`error ${type} about a reply`, frame6(ROUTER6, vip, 58, icmp6(type, reply))],
        [`error ${type} about a request`, frame6(ROUTER6, client, 58, icmp6(type, atReal))],
      ]),
    ),
  };
}

const host = fc.ipV4().filter((address) => !VIPS.includes(address));
const host6 = fc.ipV6().filter((address) => parseIpv6(address) !== undefined);
const workers = fc.integer({ min: 1, max: 16 });
const IP_OPTIONS = Uint8Array.of(1, 1, 1, 0);

/** All that goes through a director for a client, by name. */
function packetsOf(client: string, vip: string): Record<string, Uint8Array> {
  const request = { ...MACS, ...PORTS, source: client, destination: vip };
  const reply = { ...MACS, source: REAL, destination: client };
  const ports = { sourcePort: 8080, destinationPort: 40_000 };
  const atReal = { ...MACS, ...PORTS, source: client, destination: REAL };
  const fromVip = { ...MACS, ...ports, source: vip, destination: client };
  const quote = (frame: Uint8Array) => frame.subarray(14);
  const error = { ...MACS, source: ROUTER, code: 4 };
  const later = { fragmentOffsetBytes: 1480, moreFragments: false };
  return {
    request: tcpFrame(request),
    'request with options': tcpFrame({ ...request, ipOptions: IP_OPTIONS }),
    'request by UDP': udpFrame(request),
    'reply of a NAT real': tcpFrame({ ...reply, ...ports }),
    'reply by UDP': udpFrame({ ...reply, ...ports }),
    'later fragment of a request': udpFrame({ ...request, ...later }),
    'later fragment of a reply': udpFrame({ ...reply, ...ports, ...later }),
    ...Object.fromEntries(
      [3, 11, 12].flatMap((type) => [
        [
          `error ${type} about a reply`,
          icmpErrorFrame({ ...error, type, destination: vip, quote: quote(tcpFrame(fromVip)) }),
        ],
        [
          `error ${type} about a NAT request`,
          icmpErrorFrame({ ...error, type, destination: client, quote: quote(tcpFrame(atReal)) }),
        ],
      ]),
    ),
  };
}

describe('the worker of a frame', () => {
  test('is that of its client, for every kind of packet', () => {
    fc.assert(
      fc.property(host, fc.constantFrom(...VIPS), workers, (client, vip, count) => {
        const expected = workerOfClient(parseIpv4(client)!, count);
        for (const [name, frame] of Object.entries(packetsOf(client, vip))) {
          expect([name, workerOf(frame, count)]).toEqual([name, expected]);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('is that of its client by IPv6 too', () => {
    fc.assert(
      fc.property(host6, fc.constantFrom(...VIPS6), workers, (client, vip, count) => {
        fc.pre(!VIPS6.some((each) => words([each]).join() === words([client]).join()));
        const expected = workerOfClient(fold(client), count);
        for (const [name, frame] of Object.entries(packets6Of(client, vip))) {
          expect([name, workerOf(frame, count)]).toEqual([name, expected]);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('is that of its client for all VIPs of a prefix', () => {
    const [vips6, lengths] = [
      ['2001:db8::80', '2001:db8:7:0:8000::', 'fd00::1'],
      [128, 65, 128],
    ];
    const wanted = { vips6: words(vips6), vipPrefixLengths6: Uint8Array.from(lengths) };
    const vip = fc.constantFrom('2001:db8:7:0:8000::', '2001:db8:7:0:ffff::9', 'fd00::1');
    fc.assert(
      fc.property(host6, vip, workers, (client, to, count) => {
        fc.pre(!/^(2001:db8:|fd00:)/.test(client));
        const program = buildFanoutProgram({ vips: numbers([]), ...wanted }, count);
        const expected = workerOfClient(fold(client), count);
        for (const [name, frame] of Object.entries(packets6Of(client, to))) {
          const packet = { bytes: frame.subarray(14), packetType: 0, etherType: 0x86dd };
          expect([name, runClassicBpf(program, packet)]).toEqual([name, expected]);
        }
      }),
      { numRuns: 200 },
    );
  });

  test.each([133, 134, 135, 136, 137])('is worker 0 for the neighbours of IPv6: %s', (type) => {
    for (const to of ['ff02::1:ff00:80', VIPS6[0]!, 'fd00::2']) {
      expect(workerOf(frame6('fd00::11', to, 58, icmp6(type)), 16)).toBe(0);
    }
  });

  test('is that of the port where one of too few addresses of a source pool is answered', () => {
    const pool = numbers(['192.0.2.201', '192.0.2.202']);
    const wanted = { vips: numbers(VIPS), pool };
    const run = (frame: Uint8Array, count: number) => {
      const packet = { bytes: frame.subarray(14), packetType: 0, etherType: 0x0800 };
      return runClassicBpf(buildFanoutProgram(wanted, count), packet);
    };
    const local = fc.constantFrom('192.0.2.201', '192.0.2.202');
    const more = fc.integer({ min: 3, max: 16 });
    fc.assert(
      fc.property(local, fc.integer({ min: 1, max: 65_535 }), more, (address, port, count) => {
        const reply = { ...MACS, source: REAL, sourcePort: 8080, destination: address };
        const request = { ...MACS, source: address, sourcePort: port, destination: REAL };
        const quoted = tcpFrame({ ...request, destinationPort: 8080, ipOptions: IP_OPTIONS });
        const error = { ...MACS, source: ROUTER, destination: address, type: 3, code: 4 };
        for (const frame of [
          tcpFrame({ ...reply, destinationPort: port }),
          udpFrame({ ...reply, destinationPort: port, ipOptions: IP_OPTIONS }),
          icmpErrorFrame({ ...error, quote: quoted.subarray(14) }),
        ]) {
          expect(run(frame, count)).toBe(port % count);
        }
      }),
      { numRuns: 300 },
    );
    const request = packetsOf('198.51.100.7', VIPS[0]!).request!;
    expect(run(request, 7)).toBe(workerOfClient(parseIpv4('198.51.100.7')!, 7));
  });

  describe('is that of the port where one of too few of IPv6 is answered', () => {
    const pool = ['fd00::c8', '2001:db8::c9'];
    const wanted = {
      ...{ vips: numbers(VIPS), vips6: words([...VIPS6, ...pool]) },
      ...{ pool: numbers(['192.0.2.201']), pool6: words(pool) },
    };
    const run = (frame: Uint8Array, count: number) => {
      const packet = { bytes: frame.subarray(14), packetType: 0, etherType: 0x86dd };
      return runClassicBpf(buildFanoutProgram(wanted, count), packet);
    };
    const ports = (source: number, destination: number) =>
      Uint8Array.of(source >> 8, source & 255, destination >> 8, destination & 255, 0, 8, 0, 0);
    /** An extension header of so many times eight bytes. */
    const header = (next: number, eights = 1) => {
      const bytes = new Uint8Array(eights * 8);
      bytes.set([next, eights - 1]);
      return bytes;
    };
    const piece = (next: number, offset: number) => {
      const bytes = header(next);
      new DataView(bytes.buffer).setUint16(2, offset | 1);
      return bytes;
    };
    const behind = (...parts: readonly Uint8Array[]) =>
      Uint8Array.from(parts.flatMap((p) => [...p]));

    const framesOf = (address: string, port: number): Record<string, Uint8Array> => {
      const answer = ports(8080, port);
      const quoted = frame6(address, REAL6, 6, ports(port, 8080));
      const quotedPiece = frame6(address, REAL6, 44, behind(piece(17, 0), ports(port, 8080)));
      return {
        TCP: frame6(REAL6, address, 6, answer),
        UDP: frame6(REAL6, address, 17, answer),
        'behind options': frame6(REAL6, address, 0, behind(header(60, 2), header(6), answer)),
        'behind a routing header': frame6(REAL6, address, 43, behind(header(6, 3), answer)),
        'a first fragment': frame6(REAL6, address, 44, behind(piece(17, 0), answer)),
        'a first fragment behind options': frame6(
          ...([REAL6, address, 0, behind(header(44), piece(17, 0), answer)] as const),
        ),
        'an error about a request': frame6(ROUTER6, address, 58, icmp6(2, quoted)),
        'an error about a first fragment': frame6(ROUTER6, address, 58, icmp6(1, quotedPiece)),
      };
    };

    test('for every kind of packet', () => {
      const port = fc.integer({ min: 1, max: 65_535 });
      fc.assert(
        fc.property(
          fc.constantFrom(...pool),
          port,
          fc.integer({ min: 3, max: 16 }),
          (address, of, count) => {
            for (const [name, frame] of Object.entries(framesOf(address, of))) {
              expect([name, run(frame, count)]).toEqual([name, of % count]);
            }
          },
        ),
        { numRuns: 200 },
      );
    });

    test.each([
      ['a later fragment', frame6(REAL6, pool[0]!, 44, behind(piece(17, 1480), ports(8080, 7)))],
      ['a ping', frame6(REAL6, pool[0]!, 58, icmp6(128))],
      ['a solicitation', frame6(REAL6, pool[0]!, 58, icmp6(135))],
      ['what is cut off', frame6(REAL6, pool[0]!, 0, header(6))],
    ])('but worker 0 for %s', (_, frame) => {
      expect(run(frame, 16)).toBe(0);
    });

    test("and worker 0 for a solicitation where the address is the other worker's", () => {
      const piece17 = behind(piece(17, 1480), ports(8080, 7));
      expect(run(frame6(REAL6, pool[1]!, 58, icmp6(135)), 2)).toBe(0);
      expect(run(frame6(REAL6, pool[1]!, 58, icmp6(128)), 2)).toBe(1);
      expect(run(frame6(REAL6, pool[1]!, 44, piece17), 2)).toBe(1);
    });

    test('and that of the client for all else', () => {
      const request = packets6Of('2001:db8:77::5', VIPS6[0]!).request!;
      expect(run(request, 7)).toBe(workerOfClient(fold('2001:db8:77::5'), 7));
    });
  });

  test('leaves room for a source pool', () => {
    const pool = Int32Array.from({ length: 64 }, (_, index) => 0x0c000000 + index);
    const pool6 = Int32Array.from({ length: 64 * 4 }, (_, index) => index);
    for (const sources of [
      [64, 0],
      [0, 64],
      [32, 32],
    ] as const) {
      const [of4, of6] = sources;
      const wanted = { pool: pool.subarray(0, of4), pool6: pool6.subarray(0, of6 * 4) };
      let count = 0;
      while (canShare(count + 1, 0, 0, sources)) count++;
      const vips = Int32Array.of(...wanted.pool, ...new Int32Array(count).map((_, at) => at));
      const program = buildFanoutProgram({ ...wanted, vips, vips6: wanted.pool6 }, 16);
      expect(program.length / 8).toBeLessThanOrEqual(4096);
    }
  });

  const few = fc.integer({ min: 1, max: 6 });
  const ranges = fc.record({ firstPort: fc.integer({ min: 1, max: 99 }), portCount: few });

  test.each([
    {
      family: 'IPv4',
      poolOf: (last: number) => `10.0.0.${last}`,
      make: makeScene,
      services: standardServices(),
      request: (client: number) => natUdp({ source: `198.51.100.${client}`, payload: LONG }),
      cut: (frame: Uint8Array) => cutUp(frame, [40]),
      addressAt: 26,
    },
    {
      family: 'IPv6',
      poolOf: (last: number) => `2001:db8:b::${last}`,
      make: makeScene6,
      services: services6(),
      request: (client: number) => natUdp6({ source: `2001:db8:c::${client}`, payload: LONG }),
      cut: (frame: Uint8Array) => cut6(frame, 40),
      addressAt: 22,
    },
  ])('is the one that took an address of a pool of $family, for fragments too', (of) => {
    const services = of.services.map((service) =>
      service.method === 'nat' ? { ...service, method: 'fullnat' as const } : service,
    );
    const seen = { fragments: 0, exhausted: 0, sent: 0 };
    fc.assert(
      fc.property(few, fc.integer({ min: 1, max: 5 }), ranges, (count, size, range) => {
        const addresses = Array.from({ length: size }, (_, index) => of.poolOf(200 + index));
        const pool = { addresses, ...range, portCount: range.portCount + count };
        const own =
          of.family === 'IPv4' ? { pool: numbers(addresses) } : { pool6: words(addresses) };
        const program = buildFanoutProgram({ vips: numbers(VIPS), ...own }, count);
        const run = (frame: Uint8Array) => {
          const etherType = of.family === 'IPv4' ? 0x0800 : 0x86dd;
          return runClassicBpf(program, { bytes: frame.subarray(14), packetType: 0, etherType });
        };
        const sources = new Set<string>();
        for (let worker = 0; worker < count; worker++) {
          const scene = of.make({ services, pool, worker, workers: count, maximumFlows: 512 });
          for (let client = 1; client < 60; client++) {
            const { verdict, frame } = scene.receive(of.request(client));
            if (verdict === 'drop no-source-port') seen.exhausted++;
            if (verdict !== 'send 1') continue;
            seen.sent++;
            const portsAt = of.family === 'IPv4' ? 34 : 54;
            const source = Buffer.from(frame.subarray(of.addressAt, portsAt + 4)).toString('hex');
            expect(sources.has(source)).toBe(false);
            sources.add(source);
            const [first, ...others] = of.cut(replyTo(frame, of.addressAt, portsAt));
            expect(run(first!)).toBe(worker);
            if (size < count) continue;
            seen.fragments += others.length;
            for (const other of others) expect(run(other)).toBe(worker);
          }
        }
      }),
      { numRuns: 40 },
    );
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(500);
  });

  test('is one for all clients that persist together', () => {
    const wanted = {
      ...{ vips: numbers(VIPS), vips6: words(VIPS6) },
      ...{ clientPrefixLength: 20, clientPrefixLength6: 56 },
    };
    const program = buildFanoutProgram(wanted, 16);
    const run = (frame: Uint8Array, etherType: number) =>
      runClassicBpf(program, { bytes: frame.subarray(14), packetType: 0, etherType });
    fc.assert(
      fc.property(fc.nat(0xfff), fc.nat(0xff), fc.nat(0xffff), (low, low6, last) => {
        const client = `198.51.${96 + (low >> 8)}.${low & 255}`;
        const client6 = `2001:db8:1:${(0x4200 + low6).toString(16)}::${last.toString(16)}`;
        for (const [name, frame] of Object.entries(packetsOf(client, VIPS[0]!))) {
          const expected = workerOfClient(parseIpv4('198.51.96.0')!, 16);
          expect([name, run(frame, 0x0800)]).toEqual([name, expected]);
        }
        for (const [name, frame] of Object.entries(packets6Of(client6, VIPS6[0]!))) {
          const expected = workerOfClient(fold('2001:db8:1:4200::'), 16);
          expect([name, run(frame, 0x86dd)]).toEqual([name, expected]);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('is worker 0 for ARP, for other protocols, and for what is cut off', () => {
    const arp = arpFrame({
      ...{ sourceMac: MACS.sourceMac, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: 1 },
      ...{ senderAddress: '192.0.2.7', targetAddress: VIPS[0]! },
    });
    expect(workerOf(arp, 16)).toBe(0);
    for (const length of [14, 20, 33]) {
      expect(workerOf(packetsOf('198.51.100.7', VIPS[0]!).request!.subarray(0, length), 16)).toBe(
        0,
      );
    }
  });

  test('is another for another client: a thousand neighbours share four workers evenly', () => {
    const load = [0, 0, 0, 0];
    for (let index = 0; index < 1000; index++) {
      load[workerOfClient(parseIpv4('10.20.0.0')! + index, 4)]!++;
    }
    for (const clients of load) expect(Math.abs(clients - 250)).toBeLessThan(25);
  });

  test('can be told with as many VIPs as a program holds', () => {
    const vips = Int32Array.from({ length: 1950 }, (_, index) => 0x0b000000 + index);
    const vips6 = words(VIPS6);
    expect(canShare(vips.length, VIPS6.length)).toBe(true);
    expect([canShare(2000, 0), canShare(2000, 1), canShare(0, 444)]).toEqual([true, false, true]);
    const most = Int32Array.from({ length: 444 * 4 }, (_, index) => index);
    for (const wanted of [
      { vips, vips6 },
      { vips: new Int32Array(0), vips6: most },
    ]) {
      expect(buildFanoutProgram(wanted, 2).length / 8).toBeLessThanOrEqual(4096);
    }
    for (const vip of ['11.0.0.0', '11.0.7.157']) {
      const frame = tcpFrame({ ...MACS, ...PORTS, source: '198.51.100.7', destination: vip });
      expect(workerOf(frame, 7, vips)).toBe(workerOfClient(parseIpv4('198.51.100.7')!, 7));
    }
  });
});

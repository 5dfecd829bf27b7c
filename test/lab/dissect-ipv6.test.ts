// The judge's own reading of IPv6: headers behind headers, checksums with the pseudo-header, NDP in
// the words of ARP, and errors with the packet that they quote.
import { describe, expect, test } from 'vitest';
import { dissect, type Frame, fieldAt, isEcho, refusalOf } from '../../lab/verify/dissect.ts';
import { pairFrames } from '../../lab/verify/flows.ts';
import { icmp6, optionsBefore, tcp6, udp6 } from '../packets/frames6.ts';

const WAY = {
  sourceMac: '02:00:00:00:01:10',
  destinationMac: '02:00:00:00:01:02',
  source: '2001:db8::10',
  destination: '2001:db8::99',
} as const;
const PORTS = { sourcePort: 40_000, destinationPort: 80 } as const;

function frameOf(bytes: Uint8Array, offloads: 'on' | 'off' = 'on'): Frame {
  const captured = { number: 1, timestampUs: 0, bytes, originalBytes: bytes.length };
  return dissect({ file: 'x.pcap', offloads }, captured);
}

const packetOf = (bytes: Uint8Array, offloads?: 'on' | 'off') => frameOf(bytes, offloads).packet!;

describe('a packet of IPv6', () => {
  test('is taken apart, behind extension headers too', () => {
    const payload = Uint8Array.of(1, 2, 3);
    for (const extensions of [undefined, { first: 60, bytes: optionsBefore(6) }]) {
      const packet = packetOf(
        tcp6({ ...WAY, ...PORTS, payload, ...(extensions && { extensions }) }),
      );
      expect(packet).toMatchObject({
        ...{ version: 6, protocol: 6, source: WAY.source, destination: WAY.destination, ...PORTS },
        ...{ ttl: 64, id: 0x12345, headerBytes: extensions ? 48 : 40, payloadBytes: 3 },
        ...{ headerChecksumGood: true, checksum: 'good' },
      });
    }
  });

  test('has a checksum that is good, partial or bad', () => {
    const partial = udp6({ ...WAY, ...PORTS, partialChecksum: true });
    expect(packetOf(udp6({ ...WAY, ...PORTS })).checksum).toBe('good');
    expect(packetOf(partial).checksum).toBe('partial');
    expect(packetOf(partial, 'off').checksum).toBe('bad');
    const none = udp6({ ...WAY, ...PORTS });
    none.fill(0, 60, 62);
    // RFC 8200, 8.1: without one it is no packet of IPv6.
    expect(packetOf(none).checksum).toBe('bad');
  });

  test('has names for what lies where', () => {
    const frame = frameOf(tcp6({ ...WAY, ...PORTS }));
    const names = [21, 22, 37, 38, 53, 54, 57, 70, 71].map((at) => fieldAt(frame, at));
    expect(names).toEqual([
      ...['the hop limit', 'the source address', 'the source address'],
      ...['the destination address', 'the destination address'],
      ...['the source port', 'the destination port'],
      ...['the TCP or UDP checksum', 'the TCP or UDP checksum'],
    ]);
  });

  test('is none where it is cut within its headers', () => {
    const whole = tcp6({ ...WAY, ...PORTS, extensions: { first: 60, bytes: optionsBefore(6) } });
    for (let length = 0; length < 62; length++) {
      expect(frameOf(whole.slice(0, length)).packet).toBeUndefined();
    }
  });
});

describe('ICMPv6', () => {
  test('is a ping, or an error with what it quotes', () => {
    const ask = packetOf(icmp6({ ...WAY, type: 128, word: 0x70001 }));
    expect([isEcho(ask, 'request'), isEcho(ask, 'reply'), ask.checksum]).toEqual([
      ...[true, false, 'good'],
    ]);
    const quoted = tcp6({ ...WAY, ...PORTS }).slice(14);
    const refused = packetOf(icmp6({ ...WAY, type: 1, code: 4, data: quoted }));
    expect(refusalOf(refused)).toMatchObject({ source: WAY.source, ...PORTS, protocol: 6 });
    expect(refusalOf(packetOf(icmp6({ ...WAY, type: 2, data: quoted })))).toBeUndefined();
  });

  test('asks and answers for MAC addresses as ARP does', () => {
    const target = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99];
    const mac = (kind: number) => [kind, 1, 2, 0, 0, 0, 1, 0x77];
    const message = (type: number, option: readonly number[]) =>
      frameOf(icmp6({ ...WAY, type, data: Uint8Array.from([...target, ...option]) })).arp;
    expect(message(135, mac(1))).toEqual({
      ...{ operation: 1, senderMac: '02:00:00:00:01:77' },
      ...{ senderAddress: WAY.source, targetAddress: '2001:db8::99' },
    });
    expect(message(136, mac(2))).toMatchObject({
      ...{ operation: 2, senderMac: '02:00:00:00:01:77', senderAddress: '2001:db8::99' },
    });
    // Without the option, whoever sent the frame.
    expect(message(136, [])).toMatchObject({ senderMac: WAY.sourceMac });
    expect(message(133, [])).toBeUndefined();
  });
});

test('acknowledgements that repeat each other are told apart by their windows', () => {
  const ack = (window: number) => {
    const bytes = tcp6({ ...WAY, ...PORTS });
    new DataView(bytes.buffer).setUint16(68, window);
    return frameOf(bytes);
  };
  const [first, second] = [ack(100), ack(200)];
  const { pairs, lost, extra } = pairFrames([first, second], [ack(200)]);
  expect(pairs.map(({ from }) => from)).toEqual([second]);
  expect([lost, extra]).toEqual([[first], []]);
});

// What comes out of a tunnel's packet at a real: whole packets to its VIPs, and nothing else.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tcpFrame } from '../../lab/frame.ts';
import { type Unwrapped, unwrapGue, unwrapIpip, unwrapIpip6 } from '../../src/control/unwrap.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { tcp6 } from '../packets/frames6.ts';

const VIP = '192.0.2.82';
const VIPS = new Set([VIP]);

function packetTo(destination: string, typeOfService = 0): Buffer {
  const macs = { sourceMac: '02:00:00:00:00:01', destinationMac: '02:00:00:00:00:02' };
  const frame = tcpFrame({
    ...{ ...macs, source: '198.51.100.7', destination, typeOfService },
    ...{ sourcePort: 40_000, destinationPort: 80, payload: Uint8Array.of(1, 2, 3) },
  });
  return Buffer.from(frame.subarray(14));
}

function ipip(inner: Buffer, typeOfService = 0): Buffer {
  const outer = Buffer.alloc(20);
  ipv4.emit(new DataView(outer.buffer, outer.byteOffset, 20), 0, {
    ...{ typeOfService, identification: 1, dontFragment: true, moreFragments: false },
    ...{ fragmentOffsetBytes: 0, timeToLive: 64, protocol: 4, source: 1, destination: 2 },
    ...{ options: new Uint8Array(0), payloadBytes: inner.length },
  });
  return Buffer.concat([outer, inner]);
}
const gue = (inner: Buffer, ...header: number[]) =>
  Buffer.concat([Buffer.from(header.length > 0 ? header : [0, 4, 0, 0]), inner]);

const refusal = (unwrapped: Unwrapped) => (unwrapped.ok ? 'none' : unwrapped.refusal);
const hex = (unwrapped: Unwrapped) => (unwrapped.ok ? unwrapped.packet.toString('hex') : '');

describe('a packet to a VIP comes out as it went in', () => {
  const inner = packetTo(VIP);
  test('of ipip', () => expect(hex(unwrapIpip(ipip(inner), VIPS))).toBe(inner.toString('hex')));
  test('of gue', () => expect(hex(unwrapGue(gue(inner), VIPS))).toBe(inner.toString('hex')));
  test('of gue with options before it', () => {
    const message = gue(inner, 2, 4, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9);
    expect(hex(unwrapGue(message, VIPS))).toBe(inner.toString('hex'));
  });
  test('without what follows it', () => {
    const longer = Buffer.concat([inner, Buffer.alloc(9)]);
    expect(hex(unwrapGue(gue(longer), VIPS))).toBe(inner.toString('hex'));
  });
});

test('all else is refused by name', () => {
  const good = packetTo(VIP);
  const broken = Buffer.from(good);
  broken[10]! ^= 1;
  expect(refusal(unwrapIpip(ipip(packetTo('192.0.2.83')), VIPS))).toBe('not-a-vip');
  expect(refusal(unwrapIpip(ipip(broken), VIPS))).toBe('checksum');
  expect(refusal(unwrapIpip(ipip(good.subarray(0, 30)), VIPS))).toBe('malformed');
  expect(refusal(unwrapIpip(Buffer.alloc(10), VIPS))).toBe('malformed');
  for (const header of [
    [0x20, 4, 0, 0],
    [0x40, 4, 0, 0],
    [0, 41, 0, 0],
    [31, 4, 0, 0],
    [0, 4],
  ]) {
    expect(refusal(unwrapGue(gue(good, ...header), VIPS)), `${header}`).toBe('malformed');
  }
});

describe('a packet of IPv6', () => {
  const VIP6 = '2001:db8::82';
  const vips = new Set([VIP6]);
  const packet = (destination: string, trafficClass = 0) => {
    const macs = { sourceMac: '02:00:00:00:00:01', destinationMac: '02:00:00:00:00:02' };
    const ends = { source: '2001:db8::7', destination, sourcePort: 40_000, destinationPort: 80 };
    const bytes = Buffer.from(tcp6({ ...macs, ...ends, payload: Uint8Array.of(1, 2) })).subarray(
      14,
    );
    bytes[0] = 0x60 | (trafficClass >> 4);
    bytes[1] = ((trafficClass & 15) << 4) | (bytes[1]! & 15);
    return bytes;
  };
  const GUE6 = [0, 41, 0, 0];

  test('comes out as it went in, over either family', () => {
    const inner = packet(VIP6);
    const all = [unwrapIpip(ipip(inner), vips), unwrapIpip6(inner, vips)];
    for (const unwrapped of [...all, unwrapGue(gue(inner, ...GUE6), vips)]) {
      expect(hex(unwrapped)).toBe(inner.toString('hex'));
      expect(unwrapped.ok && unwrapped.destination).toBe(VIP6);
    }
    // IPv4 within IPv6, whose header a raw socket does not show.
    expect(hex(unwrapIpip6(packetTo(VIP), VIPS))).toBe(packetTo(VIP).toString('hex'));
  });

  test('is refused by name', () => {
    expect(refusal(unwrapIpip6(packet('2001:db8::83'), vips))).toBe('not-a-vip');
    expect(refusal(unwrapIpip6(packet(VIP6).subarray(0, 41), vips))).toBe('malformed');
    expect(refusal(unwrapIpip6(Buffer.alloc(0), vips))).toBe('malformed');
    // GUE says one family, the packet is of the other.
    expect(refusal(unwrapGue(gue(packet(VIP6)), vips))).toBe('malformed');
    expect(refusal(unwrapGue(gue(packetTo(VIP), ...GUE6), VIPS))).toBe('malformed');
  });

  test('is marked as congested like one of IPv4', () => {
    const marked = unwrapIpip(ipip(packet(VIP6, 0xb9), 3), vips);
    expect(marked.ok && marked.packet.readUInt16BE(0)).toBe(0x6bb1);
    expect(refusal(unwrapIpip(ipip(packet(VIP6, 0xb8), 3), vips))).toBe('congestion');
  });
});

test('marks of congestion on the way are told to those that know them (RFC 6040, 4.2)', () => {
  const marked = unwrapIpip(ipip(packetTo(VIP, 2), 3), VIPS);
  expect(marked.ok && marked.packet[1]! & 3).toBe(3);
  expect(refusal(unwrapIpip(ipip(packetTo(VIP, 0), 3), VIPS))).toBe('congestion');
  const other = unwrapIpip(ipip(packetTo(VIP, 2), 1), VIPS);
  expect(other.ok && other.packet[1]! & 3).toBe(2);
});

test('any bytes at all throw nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 90 }), fc.nat(40), (bytes, cut) => {
      const mixed = Buffer.concat([ipip(packetTo(VIP)).subarray(0, cut), Buffer.from(bytes)]);
      unwrapIpip(mixed, VIPS);
      unwrapGue(mixed, VIPS);
    }),
  );
});

// Whole frames, built to the byte as Linux sends them.
import { describe, expect, test } from 'vitest';
import { arpFrame, icmpEchoFrame, tcpFrame, udpFrame } from '../../lab/frame.ts';
import * as arp from '../../src/wire/arp.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import * as udp from '../../src/wire/udp.ts';
import { bytesIn, captured, fromHex } from '../wire/captures.ts';
import { naiveL4Checksum, naiveSum } from '../wire/naive-checksum.ts';

const L3 = 14;
const L4 = 34;
const there = {
  sourceMac: '02:00:00:00:0a:01',
  destinationMac: '02:00:00:00:0b:02',
  source: '192.0.2.1',
  destination: '192.0.2.2',
};
const back = {
  sourceMac: there.destinationMac,
  destinationMac: there.sourceMac,
  source: there.destination,
  destination: there.source,
};
const text = (value: string) => new TextEncoder().encode(value);

describe('builds what Linux sent', () => {
  test('TCP with options and data', () => {
    const frame = tcpFrame({
      ...there,
      identification: 0x015e,
      sourcePort: 0x927c,
      destinationPort: 8080,
      sequence: 0x6ab967db,
      acknowledgment: 0x31a7a5ea,
      flags: tcp.PSH | tcp.ACK,
      window: 0x3f,
      options: bytesIn(fromHex('0101080a2d595f934d7584fe')),
      payload: text('hi'),
    });
    expect(frame).toEqual(bytesIn(captured.tcpData()));
  });

  test('UDP behind IP options', () => {
    const frame = udpFrame({
      ...there,
      identification: 0xbc6f,
      ipOptions: bytesIn(fromHex('070b08c00002010000000000')),
      sourcePort: 0xb171,
      destinationPort: 7,
      payload: text('opt'),
    });
    expect(frame).toEqual(bytesIn(captured.udpWithIpOptions()));
  });

  test('an echo reply', () => {
    const frame = icmpEchoFrame({
      ...back,
      identification: 0x91b9,
      dontFragment: false,
      type: icmp.ECHO_REPLY,
      identifier: 0x22cb,
      sequence: 1,
      payload: bytesIn(captured.echoReply()).slice(L4 + 8),
    });
    expect(frame).toEqual(bytesIn(captured.echoReply()));
  });

  test('ARP, both ways', () => {
    const request = arpFrame({
      sourceMac: there.sourceMac,
      destinationMac: 'ff:ff:ff:ff:ff:ff',
      operation: arp.REQUEST,
      senderAddress: there.source,
      targetAddress: there.destination,
    });
    expect(request).toEqual(bytesIn(captured.arpRequest()));
    const reply = arpFrame({
      ...back,
      operation: arp.REPLY,
      senderAddress: back.source,
      targetMac: back.destinationMac,
      targetAddress: back.destination,
    });
    expect(reply).toEqual(bytesIn(captured.arpReply()));
  });
});

describe('a partial checksum', () => {
  const fields = { ...there, sourcePort: 40_000, destinationPort: 80, payload: text('odd') };

  test.each([
    ['TCP', tcpFrame, tcp.CHECKSUM_OFFSET],
    ['UDP', udpFrame, udp.CHECKSUM_OFFSET],
  ])('of %s is finished by summing from the header on', (_, build, checksumOffset) => {
    const bytes = build({ ...fields, partialChecksum: true });
    const frame = new DataView(bytes.buffer);
    const where = { frame, l3: L3, l4: L4, end: bytes.length };
    const expected = naiveL4Checksum({ ...where, checksumOffset });
    const finished = 0xffff - naiveSum(bytes.subarray(L4));
    expect(finished).toBe(expected);
    expect(frame.getUint16(L4 + checksumOffset)).not.toBe(expected);
  });
});

test('an address that is none is named', () => {
  const fields = { ...there, sourcePort: 1, destinationPort: 2 };
  expect(() => udpFrame({ ...fields, source: '192.0.2.300' })).toThrow("'192.0.2.300' is no IPv4");
  expect(() => udpFrame({ ...fields, sourceMac: '02' })).toThrow("'02' is no MAC address");
});

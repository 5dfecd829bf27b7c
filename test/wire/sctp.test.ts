// The SCTP header and its first chunk: truncated, with impossible lengths, and which chunk counts.
import { describe, expect, test } from 'vitest';
import { DROP } from '../../src/wire/drop-reason.ts';
import * as sctp from '../../src/wire/sctp.ts';
import { type Chunk, crc32c, hasGoodCrc, sctpFrame, sctpPacket } from './sctp-frames.ts';

const FIELDS = {
  ...{ sourceMac: '02:00:00:00:00:01', destinationMac: '02:00:00:00:00:02' },
  ...{ source: '192.0.2.1', destination: '192.0.2.2', sourcePort: 40_000, destinationPort: 80 },
};
const packet = (...chunks: Chunk[]) => sctpPacket({ ...FIELDS, chunks });
const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const checked = (bytes: Uint8Array) => sctp.check(viewOf(bytes), 0, bytes.length);
const typeOf = (bytes: Uint8Array) => sctp.chunkType(viewOf(bytes), 0, bytes.length);
const bytes = (count: number) => new Uint8Array(count).fill(7);

test('the checksum of the tests is that of RFC 3720, B.4', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(hasGoodCrc(sctpFrame({ ...FIELDS, chunks: [{ type: sctp.INIT }] }))).toBe(true);
});

describe('a packet', () => {
  test('is good with its first chunk, whatever comes behind', () => {
    expect(checked(packet({ type: sctp.INIT, value: bytes(16) }))).toBe(0);
    expect(checked(packet({ type: sctp.DATA, value: bytes(13) }, { type: 3 }))).toBe(0);
  });

  test('is truncated without the head of a chunk', () => {
    const whole = packet({ type: sctp.INIT });
    for (let length = 0; length < whole.length; length++) {
      expect(checked(whole.subarray(0, length))).toBe(DROP['sctp-truncated']);
    }
  });

  test.each([0, 3, 21, 0xffff])('is bad with a first chunk of %i bytes', (length) => {
    const bad = packet({ type: sctp.DATA, value: bytes(16) });
    viewOf(bad).setUint16(14, length);
    expect(checked(bad)).toBe(DROP['sctp-chunk-length']);
  });
});

describe('the chunk that counts', () => {
  const echo = { type: sctp.COOKIE_ECHO, value: bytes(5) };

  test('is the first one', () => {
    expect(typeOf(packet({ type: sctp.SHUTDOWN, value: bytes(4) }, { type: 6 }))).toBe(7);
    expect(typeOf(packet(echo, { type: sctp.DATA, value: bytes(12) }))).toBe(sctp.COOKIE_ECHO);
    expect(typeOf(packet(echo))).toBe(sctp.COOKIE_ECHO);
  });

  test('is an ABORT behind a cookie', () => {
    expect(typeOf(packet(echo, { type: sctp.ABORT }))).toBe(sctp.ABORT);
    expect(typeOf(packet({ type: sctp.COOKIE_ACK }, { type: sctp.ABORT }))).toBe(sctp.ABORT);
  });
});

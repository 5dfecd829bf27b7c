// The writer: the bytes of the file, its limits, and that tools of others read it.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readPcap } from '../../../lab/pcap/read-pcap.ts';
import { createPcapWriter } from '../../../lab/pcap/write-pcap.ts';
import { newDirectory } from './captures.ts';

const directory = newDirectory();
afterAll(() => rmSync(directory, { recursive: true }));

const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;

/** An ARP request for 192.0.2.1 from 192.0.2.9. */
const arpRequest = Buffer.from(
  'ffffffffffff02000000000908060001080006040001020000000009c0000209000000000000c0000201',
  'hex',
);

test('writes the header and records of classic pcap, little endian', () => {
  const path = join(directory, 'bytes.pcap');
  const writer = createPcapWriter(path);
  const bytes = Uint8Array.of(0xde, 0xad);
  writer.write({ timestampUs: 1_700_000_000_000_007, bytes, originalBytes: 1514 });
  writer.close();
  expect(readFileSync(path).toString('hex')).toBe(
    'd4c3b2a1020004000000000000000000000004000100000000f1536507000000' + '02000000ea050000dead',
  );
});

test('keeps the file whole at every flush, and replaces an older file', async () => {
  const path = join(directory, 'flush.pcap');
  const writer = createPcapWriter(path);
  expect((await readPcap(path)).frames).toEqual([]);
  for (let index = 0; index < 20; index += 1) {
    writer.write({ timestampUs: index, bytes: new Uint8Array(65_000) });
    writer.flush();
    expect((await readPcap(path)).frames.length).toBe(index + 1);
  }
  writer.close();
  expect([writer.frames, writer.bytes, writer.full]).toEqual([20, 1_300_000, undefined]);
  createPcapWriter(path).close();
  expect(statSync(path).size).toBe(24);
});

describe('limits', () => {
  test('of frames: the frame beyond is turned away, and the writer says so', async () => {
    const path = join(directory, 'frames.pcap');
    const writer = createPcapWriter(path, { limitFrames: 2 });
    const frame = { timestampUs: 1, bytes: new Uint8Array(60) };
    expect([writer.write(frame), writer.write(frame), writer.full]).toEqual([
      true,
      true,
      undefined,
    ]);
    expect([writer.write(frame), writer.full, writer.frames]).toEqual([false, 'frames', 2]);
    writer.close();
    expect((await readPcap(path)).frames.length).toBe(2);
  });

  test('of bytes: the file never outgrows it', () => {
    const path = join(directory, 'limit.pcap');
    const writer = createPcapWriter(path, { limitBytes: 24 + 76 + 75 });
    const frame = { timestampUs: 1, bytes: new Uint8Array(60) };
    expect([writer.write(frame), writer.write(frame), writer.full]).toEqual([true, false, 'bytes']);
    const small = { timestampUs: 1, bytes: new Uint8Array(1) };
    expect(writer.write(small)).toBe(false);
    writer.close();
    expect(statSync(path).size).toBe(100);
  });

  test('of one frame: libpcap would refuse a longer one', () => {
    const writer = createPcapWriter(join(directory, 'long.pcap'));
    const frame = { timestampUs: 1, bytes: new Uint8Array(262_145) };
    expect(() => writer.write(frame)).toThrow('up to 262144');
    writer.close();
  });
});

describe('read by others', () => {
  const write = (name: string): string => {
    const path = join(directory, name);
    const writer = createPcapWriter(path);
    writer.write({ timestampUs: 1_700_000_000_250_001, bytes: arpRequest });
    writer.write({ timestampUs: 1_700_000_001_000_000, bytes: arpRequest, originalBytes: 60 });
    writer.close();
    return path;
  };

  test.skipIf(!has('tcpdump'))('tcpdump', () => {
    const path = write('tcpdump.pcap');
    const text = execFileSync('tcpdump', ['-nn', '-tt', '-r', path], { stdio: 'pipe' }).toString();
    const [first, second] = text.trimEnd().split('\n');
    expect(first).toContain('1700000000.250001 ARP, Request who-has 192.0.2.1 tell 192.0.2.9');
    expect(second).toContain('1700000001.000000 ARP');
  });

  test.skipIf(!has('tshark'))('tshark', () => {
    const fields = ['frame.number', 'frame.time_epoch', 'frame.cap_len', 'frame.len', 'arp.opcode'];
    const wanted = fields.flatMap((field) => ['-e', field]);
    const options = ['-r', write('tshark.pcap'), '-T', 'fields', ...wanted];
    const text = execFileSync('tshark', options, { stdio: 'pipe' }).toString();
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')),
    ).toEqual([
      ['1', '1700000000.250001000', '42', '42', '1'],
      ['2', '1700000001.000000000', '42', '60', '1'],
    ]);
  });
});

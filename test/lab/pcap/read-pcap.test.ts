// The reader: good captures come out frame by frame, and everything that pcap-parser alone would
// read wrongly is refused with its place and what is allowed. Where silence of pcap-parser is the
// reason of a refusal, a test shows that silence.
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'pcap-parser';
import { afterAll, describe, expect, test } from 'vitest';
import { readFrames, readPcap } from '../../../lab/pcap/read-pcap.ts';
import { PcapError } from '../../../lab/pcap/scan-pcap.ts';
import { createPcapWriter } from '../../../lab/pcap/write-pcap.ts';
import { capture, fileHeader, newDirectory, record } from './captures.ts';

const directory = newDirectory();
afterAll(() => rmSync(directory, { recursive: true }));

const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;

/** What pcap-parser says of a file without the wrapper. */
function readUnguarded(path: string): Promise<{ lengths: number[]; errors: string[] }> {
  const lengths: number[] = [];
  const errors: string[] = [];
  return new Promise((resolve) => {
    parse(path)
      .on('packet', ({ data }) => lengths.push(data.length))
      .on('error', (error) => errors.push(error.message))
      .on('end', () => resolve({ lengths, errors }));
  });
}

async function refusal(path: string): Promise<PcapError> {
  const error = await readPcap(path).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PcapError);
  return error as PcapError;
}

describe('good captures', () => {
  test.each([false, true])('are read in either byte order (big endian: %s)', async (bigEndian) => {
    const path = capture(directory, 'order.pcap', [
      fileHeader({ bigEndian }),
      record({ bigEndian, data: Uint8Array.of(1, 2, 3), original: 1514 }),
      record({ bigEndian, seconds: 1_700_000_001, microseconds: 999_999 }),
    ]);
    const { frames, snapLength } = await readPcap(path);
    expect(snapLength).toBe(65_535);
    expect(frames).toEqual([
      {
        number: 1,
        timestampUs: 1_700_000_000_250_000,
        bytes: Uint8Array.of(1, 2, 3),
        originalBytes: 1514,
      },
      {
        number: 2,
        timestampUs: 1_700_000_001_999_999,
        bytes: new Uint8Array(60).fill(0xa5),
        originalBytes: 60,
      },
    ]);
  });

  test('may hold no frame at all', async () => {
    const path = capture(directory, 'none.pcap', [fileHeader()]);
    expect((await readPcap(path)).frames).toEqual([]);
  });

  test('give frames with memory of their own', async () => {
    const path = capture(directory, 'own.pcap', [fileHeader(), record(), record()]);
    const { frames } = await readPcap(path);
    frames[0]?.bytes.fill(0);
    expect(frames[1]?.bytes[0]).toBe(0xa5);
    expect(frames[0]?.bytes.buffer.byteLength).toBe(60);
  });

  test('come back as they were written, across the chunks of the reader', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 65_549 }), { maxLength: 40 });
    const path = join(directory, 'property.pcap');
    await fc.assert(
      fc.asyncProperty(sizes, async (lengths) => {
        const writer = createPcapWriter(path);
        for (const [index, length] of lengths.entries()) {
          const bytes = new Uint8Array(length).fill(index);
          writer.write({ timestampUs: 1_700_000_000_999_999 + index, bytes });
        }
        writer.close();
        let number = 0;
        for await (const frame of readFrames(path)) {
          expect(frame.bytes.length).toBe(lengths[number]);
          expect(frame.bytes.every((byte) => byte === number)).toBe(true);
          expect(frame.timestampUs).toBe(1_700_000_000_999_999 + number);
          number += 1;
          expect(frame.number).toBe(number);
        }
        expect(number).toBe(lengths.length);
      }),
      { numRuns: 30 },
    );
  });
});

describe('refused, because pcap-parser alone reads it wrongly', () => {
  test('a last frame that is cut short', async () => {
    const path = capture(directory, 'cut.pcap', [fileHeader(), record(), record().subarray(0, 50)]);
    expect(await readUnguarded(path)).toEqual({ lengths: [60], errors: [] });
    const error = await refusal(path);
    expect(error.message).toContain(
      `${path}, offset 100: frame 2 is cut short: 34 of its 60 bytes`,
    );
    expect(error.message).toContain(`editcap -F pcap ${path}`);
    expect(error.cutShort).toBe(true);
  });

  test('bytes behind the last frame', async () => {
    const path = capture(directory, 'tail.pcap', [fileHeader(), record(), Buffer.from('tail')]);
    expect(await readUnguarded(path)).toEqual({ lengths: [60], errors: [] });
    expect((await refusal(path)).message).toContain(
      'offset 100: 4 bytes behind the last whole frame',
    );
  });

  test('a captured length out of all bounds, which swallows the rest', async () => {
    const bad = record({ captured: 0x7fffffff });
    const path = capture(directory, 'bogus.pcap', [
      fileHeader(),
      record(),
      bad,
      record(),
      record(),
    ]);
    expect(await readUnguarded(path)).toEqual({ lengths: [60], errors: [] });
    expect((await refusal(path)).message).toContain(
      'offset 100: frame 2 claims 2147483647 captured bytes; allowed by the snap length of the file',
    );
  });

  test('a captured length above the snap length', async () => {
    const path = capture(directory, 'snap.pcap', [fileHeader({ snapLength: 50 }), record()]);
    expect((await readUnguarded(path)).errors).toEqual([]);
    expect((await refusal(path)).message).toContain('frame 1 claims 60 captured bytes; allowed by');
  });

  test('a captured length above the length on the wire', async () => {
    const path = capture(directory, 'wire.pcap', [fileHeader(), record({ original: 59 })]);
    expect((await readUnguarded(path)).errors).toEqual([]);
    expect((await refusal(path)).message).toContain('frame 1 claims 60 captured bytes of 59');
  });

  test('zeros behind the last frame, which look like empty frames', async () => {
    const path = capture(directory, 'zeros.pcap', [fileHeader(), record(), Buffer.alloc(32)]);
    expect(await readUnguarded(path)).toEqual({ lengths: [60, 0, 0], errors: [] });
    expect((await refusal(path)).message).toContain('frame 2 claims 0 captured bytes');
  });

  test('microseconds of more than a second', async () => {
    const path = capture(directory, 'us.pcap', [fileHeader(), record({ microseconds: 1_000_000 })]);
    expect((await readUnguarded(path)).errors).toEqual([]);
    expect((await refusal(path)).message).toContain('frame 1 is at 1000000 microseconds');
  });

  test.each([
    [2, 3],
    [3, 4],
    [1, 4],
  ])('version %i.%i', async (major, minor) => {
    const path = capture(directory, 'version.pcap', [fileHeader({ major, minor }), record()]);
    expect(await readUnguarded(path)).toEqual({ lengths: [60], errors: [] });
    expect((await refusal(path)).message).toContain(
      `offset 4: pcap version ${major}.${minor}; allowed: 2.4`,
    );
  });

  test.each([
    [113, 'link type 113 (Linux cooked'],
    [101, 'link type 101 (raw IP'],
    [250, 'link type 250; allowed: 1 (Ethernet)'],
  ])('link type %i', async (linkType, text) => {
    const path = capture(directory, 'link.pcap', [fileHeader({ linkType }), record()]);
    expect(await readUnguarded(path)).toEqual({ lengths: [60], errors: [] });
    expect((await refusal(path)).message).toContain(text);
  });

  test('a header that is cut short', async () => {
    const path = capture(directory, 'head.pcap', [fileHeader().subarray(0, 20)]);
    expect(await readUnguarded(path)).toEqual({ lengths: [], errors: [] });
    expect((await refusal(path)).message).toContain('only 20 bytes');
  });

  test('an empty file', async () => {
    const path = capture(directory, 'empty.pcap', []);
    expect(await readUnguarded(path)).toEqual({ lengths: [], errors: [] });
    expect((await refusal(path)).message).toContain('the file is empty');
  });
});

describe('refused with the way out', () => {
  test.each([
    ['nanoseconds', fileHeader({ magic: 0xa1b23c4d }), 'pcap with nanoseconds', 'editcap -F pcap'],
    ['big endian', fileHeader({ magic: 0xa1b23c4d, bigEndian: true }), 'nanoseconds', 'editcap'],
    ['pcapng', Buffer.from('0a0d0d0a1c0000004d3c2b1a', 'hex'), 'pcapng', 'editcap -F pcap'],
    ['Kuznetzov', fileHeader({ magic: 0xa1b2cd34 }), 'a1b2cd34', 'editcap -F pcap'],
    ['gzip', Buffer.from('1f8b080000000000', 'hex'), 'compressed', 'gunzip'],
    ['text', Buffer.from('not a capture at all, but text'), 'magic number 6e6f7420', 'allowed'],
  ])('%s', async (_name, header, found, remedy) => {
    const path = capture(directory, 'foreign.pcap', [header]);
    const { message } = await refusal(path);
    expect(message).toContain(`${path}, offset 0: `);
    expect(message).toContain(found);
    expect(message).toContain(remedy);
    expect(message).toContain('allowed: pcap with microseconds');
  });

  test('a file that is not there, and a directory', async () => {
    const path = join(directory, 'absent.pcap');
    expect((await refusal(path)).message).toContain('there is no such file');
    expect((await refusal(directory)).message).toContain('not a regular file');
  });

  test.skipIf(!has('editcap'))('and the command that it names does help', async () => {
    const good = capture(directory, 'good.pcap', [fileHeader(), record(), record()]);
    for (const format of ['pcapng', 'nsecpcap']) {
      const foreign = join(directory, `in.${format}`);
      execFileSync('editcap', ['-F', format, good, foreign]);
      expect((await refusal(foreign)).message).toContain(`editcap -F pcap ${foreign}`);
      const converted = join(directory, 'converted.pcap');
      execFileSync('editcap', ['-F', 'pcap', foreign, converted], { stdio: 'pipe' });
      expect((await readPcap(converted)).frames.map((frame) => frame.bytes.length)).toEqual([
        60, 60,
      ]);
    }
    const cut = capture(directory, 'cut.pcap', [fileHeader(), record(), record().subarray(0, 50)]);
    const whole = join(directory, 'whole.pcap');
    spawnSync('editcap', ['-F', 'pcap', cut, whole]);
    expect((await readPcap(whole)).frames.length).toBe(1);
  });
});

test('any bytes at all behind a good header are read or refused, never anything else', async () => {
  const path = join(directory, 'random.pcap');
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      writeFileSync(path, Buffer.concat([fileHeader(), bytes]));
      await readPcap(path).catch((error) => expect(error).toBeInstanceOf(PcapError));
    }),
  );
});

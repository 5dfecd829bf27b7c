// One recording without a network: frames are given to it as a capture would, and it must know the
// length on the wire, the order of times, and what to do when the disk or the parent fails it.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { RecordReport, StartRecording } from '../../../lab/capture/recorder-messages.ts';
import { beginRecording, wireBytes } from '../../../lab/capture/recording.ts';
import { udpFrame } from '../../../lab/frame.ts';
import { readPcap } from '../../../lab/pcap/read-pcap.ts';
import type { CapHandle, CapHandleOptions } from '../../../src/datapath/cap-handle-unsafe.ts';

const directory = mkdtempSync(join(tmpdir(), 'furiwake-recording-'));
afterAll(() => rmSync(directory, { recursive: true }));

const whyNoMount =
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
    ? ''
    : 'skipped: mounting is not allowed here';

const udp = (bytes: number): Buffer =>
  Buffer.from(
    udpFrame({
      sourceMac: '02:00:00:00:00:01',
      destinationMac: '02:00:00:00:00:02',
      source: '192.0.2.1',
      destination: '192.0.2.2',
      sourcePort: 1,
      destinationPort: 2,
      payload: new Uint8Array(bytes - 42),
    }),
  );

function begin(file: string, options: { orphaned?: () => boolean; limitFrames?: number } = {}) {
  const ends: RecordReport[] = [];
  const calls: string[] = [];
  let onFrame: CapHandleOptions['onFrame'] = () => {};
  const openHandle = (handle: CapHandleOptions): CapHandle => {
    onFrame = handle.onFrame;
    return {
      send: () => {},
      takeMissedFrames: () => {
        calls.push('missed');
        return 7;
      },
      stop: () => void calls.push('stop'),
    };
  };
  const order: StartRecording = {
    type: 'start',
    interface: 'eth0',
    file,
    filter: '',
    bufferBytes: 1 << 20,
    limitFrames: options.limitFrames ?? null,
    limitBytes: 1 << 30,
  };
  const recording = beginRecording({
    order,
    mtu: 1500,
    openHandle,
    orphaned: options.orphaned ?? (() => false),
    onEnd: (report) => void ends.push(report),
  });
  return {
    recording,
    ends,
    calls,
    give: (frame: Buffer, length = frame.length) => onFrame(frame, length),
  };
}

test('a frame that offloads made longer than a slot is known as truncated', async () => {
  const file = join(directory, 'cut.pcap');
  const { recording, give } = begin(file);
  const long = udp(20_000);
  give(long, 1530);
  give(udp(100));
  const report = await recording.stop();
  expect([report.frames, report.bytes, report.truncatedFrames]).toEqual([2, 1630, 1]);
  const { frames } = await readPcap(file);
  expect(frames.map((frame) => [frame.bytes.length, frame.originalBytes])).toEqual([
    [1530, 20_000],
    [100, 100],
  ]);
});

test('a frame below the MTU is whole, whatever its IP header claims', () => {
  const lying = udp(100);
  lying.writeUInt16BE(9000, 16);
  expect(wireBytes(lying, 100, 1500)).toBe(100);
  const tagged = Buffer.concat([
    udp(1600).subarray(0, 12),
    Buffer.from('81000001', 'hex'),
    udp(1600).subarray(12),
  ]);
  expect(wireBytes(tagged, 1530, 1500)).toBe(1604);
  expect(wireBytes(Buffer.alloc(1600), 1600, 1500)).toBe(1600);
});

test('times grow by a microsecond at least, however fast frames come', async () => {
  const file = join(directory, 'times.pcap');
  const { recording, give } = begin(file);
  for (let index = 0; index < 5000; index += 1) give(udp(60));
  await recording.stop();
  const { frames } = await readPcap(file);
  expect(frames.length).toBe(5000);
  expect(
    frames.every((frame, at) => at === 0 || frame.timestampUs > frames[at - 1]!.timestampUs),
  ).toBe(true);
});

describe('ends', () => {
  test('by asking for the losses before the capture is stopped, and once', async () => {
    const { recording, calls, ends } = begin(join(directory, 'order.pcap'));
    const [first, second] = await Promise.all([recording.stop(), recording.stop()]);
    expect(first).toBe(second);
    expect(first.missedFrames).toBe(7);
    expect([calls, ends]).toEqual([['missed', 'stop'], []]);
  });

  test('within a burst that never ends, when the limit is reached or the parent is gone', async () => {
    const limited = begin(join(directory, 'limited.pcap'), { limitFrames: 10 });
    for (let index = 0; index < 30; index += 1) limited.give(udp(60));
    expect(limited.ends.map(({ frames, full }) => [frames, full])).toEqual([[10, 'frames']]);
    const file = join(directory, 'orphan.pcap');
    const orphan = begin(file, { orphaned: () => true });
    for (let index = 0; index < 3000; index += 1) orphan.give(udp(60));
    expect(orphan.ends.map(({ frames }) => frames)).toEqual([1024]);
    expect((await readPcap(file)).frames.length).toBe(1024);
  });

  test.skipIf(whyNoMount !== '')(`with a named problem on a full disk ${whyNoMount}`, async () => {
    const disk = join(directory, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    try {
      const file = join(disk, 'full.pcap');
      const { recording, give, ends } = begin(file);
      for (let index = 0; index < 100 && ends.length === 0; index += 1) {
        give(udp(1500));
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(ends.map((report) => report.crashed?.name)).toEqual(['write-failed']);
      expect(ends[0]?.crashed?.message).toContain(`cannot write ${file}: ENOSPC`);
      expect(await recording.stop()).toBe(ends[0]);
      const { frames } = await readPcap(file);
      expect(frames.length).toBeGreaterThan(20);
      expect(frames.every((frame) => frame.bytes.length === 1500)).toBe(true);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  test('at once if the file takes nothing at all', () => {
    expect(() => begin('/dev/full')).toThrow('ENOSPC');
  });
});

// The recorder on a real wire: what it says of a recording is what the file holds, and it says how
// it ended whenever it did not end as it was told to.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Recorder, startRecorder } from '../../../lab/capture/record.ts';
import { readPcap } from '../../../lab/pcap/read-pcap.ts';
import { whyNoNamespace } from '../../linux/namespace.ts';
import { makeWirePair, type WirePair } from '../../linux/wire-pair.ts';

const why = whyNoNamespace();
const ICMP = 1;

describe.skipIf(why !== undefined)(`the recorder ${why ?? ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-record-'));
  const file = join(directory, 'wire.pcap');
  let wire: WirePair;
  beforeAll(() => {
    wire = makeWirePair();
  });
  afterAll(() => {
    wire.remove();
    rmSync(directory, { recursive: true });
  });

  const record = (options = {}): Promise<Recorder> =>
    startRecorder({ namespace: wire.near, interface: 'eth0', file, ...options });
  const ping = (count: number, bytes = 56) =>
    wire.run(
      wire.near,
      ...['ping', '-q', '-c', `${count}`, '-i', '0.002', '-s', `${bytes}`, '10.7.0.2'],
    );
  /**
   * A process that has ended may stay a zombie, where the first process of a container reaps none.
   */
  const isRunning = (pid: number): boolean =>
    existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

  test('has every frame from the moment it has begun, in both directions', async () => {
    const recorder = await record({ filter: 'icmp' });
    ping(20);
    const report = await recorder.stop();
    expect(report).toEqual({
      file,
      frames: 40,
      bytes: 40 * 98,
      truncatedFrames: 0,
      missedFrames: 0,
      full: null,
      quiet: true,
      crashed: null,
    });
    const { frames } = await readPcap(file);
    expect(frames.map(({ bytes }) => bytes[23])).toEqual(new Array(40).fill(ICMP));
    const requests = frames.filter(({ bytes }) => bytes[34] === 8);
    expect(requests.length).toBe(20);
    for (const [index, frame] of frames.entries()) {
      expect(frame.timestampUs).toBeGreaterThan(frames[index - 1]?.timestampUs ?? 0);
      expect(Math.abs(frame.timestampUs / 1000 - Date.now())).toBeLessThan(60_000);
    }
    expect(await recorder.stop()).toBe(report);
    expect(isRunning(recorder.pid)).toBe(false);
  });

  test('records large frames whole, and is read by tshark', async () => {
    const recorder = await record({ filter: 'icmp' });
    ping(3, 1472);
    const report = await recorder.stop();
    expect([report.frames, report.bytes, report.truncatedFrames]).toEqual([6, 6 * 1514, 0]);
    if (spawnSync('sh', ['-c', 'command -v tshark']).status !== 0) return;
    const options = ['-r', file, '-T', 'fields', '-e', 'frame.len', '-e', 'icmp.checksum.status'];
    const text = execFileSync('tshark', options, { stdio: 'pipe' }).toString();
    expect(text.trim().split('\n')).toEqual(new Array(6).fill('1514\t1'));
  });

  test('ends by itself at a limit, and says which', async () => {
    const recorder = await record({ filter: 'icmp', limitFrames: 5 });
    ping(10);
    const report = await recorder.ended;
    expect([report.frames, report.full, report.crashed]).toEqual([5, 'frames', null]);
    expect((await readPcap(file)).frames.length).toBe(5);
    expect(await recorder.stop()).toBe(report);

    const small = await record({ filter: 'icmp', limitBytes: 400 });
    ping(10);
    expect((await small.ended).full).toBe('bytes');
    expect(statSync(file).size).toBe(24 + 3 * (16 + 98));
  });

  test('names a link that went down, and keeps what came before', async () => {
    const recorder = await record({ filter: 'icmp' });
    ping(10);
    wire.run(wire.near, 'ip', 'link', 'set', 'eth0', 'down');
    const report = await recorder.ended;
    expect(report.crashed?.name).toBe('link-lost');
    expect(report.crashed?.message).toContain('eth0 ended because the interface went down');
    expect([report.frames, report.missedFrames, report.quiet]).toEqual([20, null, false]);
    expect((await readPcap(file)).frames.length).toBe(20);
    expect(await recorder.stop()).toBe(report);
    expect(readdirSync(process.cwd()).filter((name) => name.startsWith('core'))).toEqual([]);
    wire.run(wire.near, 'ip', 'link', 'set', 'eth0', 'up');
  });

  test('that is killed in the middle of a record leaves a readable file', async () => {
    const recorder = await record({ filter: 'icmp' });
    ping(10);
    process.kill(recorder.pid, 'SIGSTOP');
    truncateSync(file, 24 + 7 * (16 + 98) + 30);
    process.kill(recorder.pid, 'SIGKILL');
    const report = await recorder.ended;
    expect(report.crashed?.name).toBe('killed');
    expect([report.frames, report.bytes]).toEqual([7, 7 * 98]);
    expect((await readPcap(file)).frames.length).toBe(7);
  });

  test('dies with its parent, and leaves its file whole', async () => {
    const script = `
      import { startRecorder } from '${process.cwd()}/dist/lab/capture/record.js';
      const options = { namespace: '${wire.near}', interface: 'eth0', file: '${file}' };
      console.log((await startRecorder(options)).pid);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script]);
    const pid = await new Promise<number>((resolve) => {
      parent.stdout.once('data', (text) => resolve(Number(text)));
    });
    ping(3);
    parent.kill('SIGKILL');
    await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
    expect((await readPcap(file)).frames.length).toBeGreaterThanOrEqual(6);
  });

  test.each([
    [{ interface: 'eth9' }, 'no interface eth9; there are: eth0, lo'],
    [{ namespace: 'fwt-none' }, 'Cannot open network namespace "fwt-none"'],
    [{ filter: 'tcp and and' }, "cannot capture on eth0: can't parse filter expression"],
    [{ file: '/proc/none/x.pcap' }, 'ENOENT'],
    [{ bufferBytes: 10 }, 'a capture buffer of 10 bytes; allowed: 65536 to 1073741824'],
  ])('that cannot begin says why: %o', async (options, text) => {
    rmSync(file, { force: true });
    const error = await record(options).catch((reason: Error) => reason);
    expect((error as Error).message).toContain(text);
    expect(existsSync(file)).toBe(false);
  });
});

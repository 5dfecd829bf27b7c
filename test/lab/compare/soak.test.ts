// The soak: reading iperf3's lines, and short soaks for real whose figures must agree with each
// other. How fast it was is looked at nowhere.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test, vi } from 'vitest';
import { runSoak } from '../../../lab/commands/soak.ts';
import type { SoakResult } from '../../../lab/compare/result.ts';
import { labNamespaces, readStates } from '../../../lab/net/state.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../../lab/requirements.ts';
import { readIntervals } from '../../../lab/workloads/soak/bulk.ts';
import { soak } from '../../../lab/workloads/soak/soak.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'wrk']);

// iperf3 3.12, with -R -b 2G -t 0 -i 1 -f k, ended by SIGINT.
const IPERF3 = `Connecting to host 192.0.2.100, port 5201
Reverse mode, remote host 192.0.2.100 is sending
[  5] local 192.0.2.10 port 60158 connected to 192.0.2.100 port 5201
[ ID] Interval           Transfer     Bitrate
[  5]   0.00-1.00   sec   238 MBytes  1999495 Kbits/sec                  
[  5]   1.00-2.00   sec  0.00 Bytes  0.00 Kbits/sec                  
[  5]   2.00-3.50   sec   358 MBytes  2001635 Kbits/sec                  
- - - - - - - - - - - - - - - - - - - - - - - - -
[ ID] Interval           Transfer     Bitrate
[  5]   0.00-3.98   sec  0.00 Bytes  0.00 Kbits/sec                  sender
[  5]   0.00-3.98   sec   949 MBytes  1999821 Kbits/sec                  receiver
`;

describe("iperf3's lines", () => {
  it('give each interval, also one without a byte, and no sums', () => {
    expect(readIntervals(IPERF3)).toEqual([
      { seconds: 1, bits: 1_999_495_000 },
      { seconds: 1, bits: 0 },
      { seconds: 1.5, bits: 2_001_635_000 * 1.5 },
    ]);
  });

  test.each(['', 'iperf3: error - unable to connect to server\n'])('are none in %j', (text) => {
    expect(readIntervals(text)).toEqual([]);
  });
});

describe.skipIf(reason !== undefined)(`a soak${reason ? `: ${reason}` : ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-test-soak-'));
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  afterAll(() => {
    log.mockRestore();
    rmSync(directory, { recursive: true });
  });

  it('of both methods tells rates, memory, flows and drops, and keeps them', async () => {
    const options = { method: undefined, seconds: 6, intervalSeconds: 2 };
    expect(await runSoak({ ...options, keep: directory, json: false })).toBe(0);
    const text = readFileSync(join(directory, 'soak.json'), 'utf8');
    const { soaks, seconds } = JSON.parse(text) as { soaks: SoakResult[]; seconds: number };
    expect(seconds).toBe(6);
    expect(soaks.map(({ method, status }) => `${method} ${status}`)).toEqual([
      'dsr measured',
      'nat measured',
    ]);
    for (const each of soaks) expectWhole(each);
    const lines = log.mock.calls.flatMap(([said]) => String(said).split('\n'));
    // One line for each point.
    expect(lines.filter((line) => /^ +\d+ s +\d\.\d\d +[\d,]+ +[\d.]+ +/.test(line))).toHaveLength(
      6,
    );
    expect(lines.filter((line) => /^Dropped: /.test(line))).toHaveLength(2);
  });

  it('that is interrupted keeps its points and leaves nothing', async () => {
    const interruption = new AbortController();
    const { signal } = interruption;
    const before = performance.now();
    const result = await soak({
      ...{ method: 'dsr', seconds: 600, intervalSeconds: 1, signal },
      onPoint: () => setTimeout(() => interruption.abort(), 100),
    });
    expect(result).toMatchObject({ status: 'partly', reason: 'interrupted' });
    expect(result.points.length).toBeGreaterThanOrEqual(1);
    expect(performance.now() - before).toBeLessThan(60_000);
    expect(labNamespaces().filter((name) => name.startsWith(`fw${process.pid}-`))).toEqual([]);
  });

  it('leaves the client ports enough for every request, and no log of them on the disk', async () => {
    const seen: string[] = [];
    const options = { method: 'nat', seconds: 1, intervalSeconds: 1 } as const;
    await soak({ ...options, onPoint: () => seen.push(...conditionsOfLab()) });
    expect(seen).toEqual(['1', '1024 65535', 'no log']);
  });

  it('that is interrupted before it begins has no points', async () => {
    const signal = AbortSignal.abort();
    const onPoint = () => {};
    const result = await soak({ method: 'nat', seconds: 1, intervalSeconds: 1, signal, onPoint });
    expect(result).toEqual({
      ...{ method: 'nat', status: 'failed', reason: 'interrupted', points: [], drops: {} },
    });
  });
});

/** What a run of hours would stumble over, as the lab of this process has it. */
function conditionsOfLab(): string[] {
  const state = readStates().find(({ ownerPid }) => ownerPid === process.pid)!;
  const sysctl = (name: string) => {
    const argv = ['netns', 'exec', `${state.id}-client`, 'sysctl', '-n', name];
    return execFileSync('ip', argv, { encoding: 'utf8' }).trim().replaceAll('\t', ' ');
  };
  const log = join(state.directory, 'r1-nginx', 'access.log');
  return [
    sysctl('net.ipv4.tcp_tw_reuse'),
    sysctl('net.ipv4.ip_local_port_range'),
    existsSync(log) && statSync(log).size > 0 ? 'a log' : 'no log',
  ];
}

function expectWhole({ points, drops, reason: why }: SoakResult): void {
  expect(why).toBeUndefined();
  expect(points).toHaveLength(3);
  for (const [index, point] of points.entries()) {
    expect(point.atSeconds).toBeGreaterThanOrEqual(2 * (index + 1));
    // Paced: less on a busy machine, but never much more.
    expect(point.bitsPerSecond).toBeGreaterThan(0);
    expect(point.bitsPerSecond).toBeLessThan(4e9);
    expect(point.requestsPerSecond).toBeGreaterThan(0);
    expect(point.p99Seconds).toBeGreaterThan(0);
    expect(point.residentBytes).toBeGreaterThan(20e6);
    // One connection a request, and a flow that ended is remembered for longer than this.
    expect(point.activeFlows).toBeGreaterThan(points[index - 1]?.activeFlows ?? 4);
  }
  const dropped = points.reduce((sum, point) => sum + point.droppedFrames, 0);
  expect(Object.values(drops).reduce((sum, each) => sum + each, 0)).toBe(dropped);
}

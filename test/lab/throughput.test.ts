// Throughput: what is made of measurements and captures, on made-up ones, and one short run for
// real that looks at which bytes cross the director, never at how fast.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { arpFrame, tcpFrame } from '../../lab/frame.ts';
import type { PcapFrame } from '../../lab/pcap/read-pcap.ts';
import { whyNoLab } from '../../lab/requirements.ts';
import { confirm, type PortCapture, sumCapture } from '../../lab/throughput/confirm.ts';
import { between, type Crossing, kernelCrossing, NOTHING } from '../../lab/throughput/crossing.ts';
import { renderConfirmations, renderThroughput } from '../../lab/throughput/render.ts';
import { measureThroughput, type ThroughputResult } from '../../lab/throughput/run-throughput.ts';
import {
  type Direction,
  type Method,
  median,
  perDeliveredByte,
  type Sample,
  summarize,
} from '../../lab/throughput/summary.ts';
import { PLAIN, WIDTH } from '../../src/cli/output.ts';

const DIRECTOR = '02:00:00:00:01:02';
const CLIENT = '02:00:00:00:01:10';
const REAL = '02:00:00:00:01:11';
const PORT = 5201;
const FRAME_HEADERS = 14 + 20 + 20;

const crossing = (inFrames: number, inBytes: number, outFrames = inFrames, outBytes = inBytes) => ({
  ...{ inFrames, inBytes, outFrames, outBytes },
});

function sample(
  method: Method,
  direction: Direction,
  fields: Partial<Sample> & Pick<Sample, 'round' | 'bitsPerSecond'>,
): Sample {
  const counted = crossing(10, 1000);
  const rest = { deliveredBytes: 1000, retransmits: 1, lostFrames: 0 };
  return { method, direction, director: counted, kernel: counted, ...rest, ...fields };
}

/** Three rounds of everything; DSR downloads leave the director out. */
function samples(): Sample[] {
  const speeds: readonly [Method, Direction, readonly number[]][] = [
    ['dsr', 'upload', [4e9, 6e9, 5e9]],
    ['dsr', 'download', [8e9, 2e9, 9e9]],
    ['nat', 'upload', [2e9, 2e9, 2e9]],
    ['nat', 'download', [1e9, 2e9, 3e9]],
  ];
  return speeds.flatMap(([method, direction, values]) =>
    values.map((bitsPerSecond, round) => {
      const acks = method === 'dsr' && direction === 'download' ? crossing(3, 6) : undefined;
      const counted = acks === undefined ? {} : { director: acks, kernel: acks };
      return sample(method, direction, { round, bitsPerSecond, ...counted });
    }),
  );
}

describe('the figures', () => {
  test.each([
    [[3], 3],
    [[5, 1, 9], 5],
    [[1, 100, 2, 3], 2.5],
    [[2, 10, 9], 9],
  ])('the median of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('summarize takes medians and spreads of speeds and sums of counters', () => {
    const { rows } = summarize(samples());
    expect(rows.map(({ method, direction }) => `${method} ${direction}`)).toEqual([
      'dsr upload',
      'dsr download',
      'nat upload',
      'nat download',
    ]);
    expect(rows[1]).toEqual({
      method: 'dsr',
      direction: 'download',
      bitsPerSecond: { median: 8e9, lowest: 2e9, highest: 9e9 },
      deliveredBytes: 3000,
      retransmits: 3,
      director: crossing(9, 18),
      kernel: crossing(9, 18),
      lostFrames: 0,
    });
    expect(perDeliveredByte(rows[1]!)).toEqual({ in: 0.006, out: 0.006 });
    expect(perDeliveredByte(rows[0]!)).toEqual({ in: 1, out: 1 });
  });

  it('ratios compare transfers of the same round, in whatever order they ran', () => {
    const { ratios } = summarize(samples().reverse());
    expect(ratios.upload).toEqual({ median: 2.5, lowest: 2, highest: 3 });
    expect(ratios.download).toEqual({ median: 3, lowest: 1, highest: 8 });
  });

  it('between takes what both witnesses counted meanwhile', () => {
    const before = { director: crossing(1, 10), kernel: crossing(2, 20), lostFrames: 3 };
    const after = { director: crossing(5, 90, 4, 80), kernel: crossing(9, 99), lostFrames: 3 };
    expect(between(before, after)).toEqual({
      director: crossing(4, 80, 3, 70),
      kernel: crossing(7, 79),
      lostFrames: 0,
    });
  });

  it('kernelCrossing reads the fields of /proc/net/dev', () => {
    const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop
    lo:     100       1    0    0    0     0          0         0      100       1    0    0
 eth10:       1       2    0    0    0     0          0         0        3       4    0    0
  eth1: 8403678     221    5    6    7     8          9        10  8403636     220   11   12
`;
    expect(kernelCrossing(text, 'eth1')).toEqual(crossing(221, 8_403_678, 220, 8_403_636));
    expect(() => kernelCrossing(text, 'eth0')).toThrow('no interface eth0');
  });
});

const frameOf = (bytes: Uint8Array, originalBytes = bytes.length): PcapFrame => ({
  ...{ number: 1, timestampUs: 1, bytes, originalBytes },
});

interface Way {
  readonly from: string;
  readonly to: string;
  readonly payload: number;
  readonly reply?: boolean;
  readonly port?: number;
}

function packet({ from, to, payload, reply, port = PORT }: Way): PcapFrame {
  const [source, destination] = reply ? ['10.0.0.2', '10.0.0.1'] : ['10.0.0.1', '10.0.0.2'];
  const [sourcePort, destinationPort] = reply ? [port, 40_000] : [40_000, port];
  const macs = { sourceMac: from, destinationMac: to };
  const ends = { source, destination, sourcePort, destinationPort };
  return frameOf(tcpFrame({ ...macs, ...ends, payload: new Uint8Array(payload) }));
}

/** An upload by DSR: two data frames to the director and on to the real, no reply. */
const FORWARDED = [
  packet({ from: CLIENT, to: DIRECTOR, payload: 1000 }),
  packet({ from: DIRECTOR, to: REAL, payload: 1000 }),
  packet({ from: CLIENT, to: DIRECTOR, payload: 500 }),
  packet({ from: DIRECTOR, to: REAL, payload: 500 }),
];
const COUNTED: Crossing = crossing(2, 1500 + 2 * FRAME_HEADERS);
const WHOLE = { missedFrames: 0, full: null, quiet: true, crashed: null } as const;

const capture = (
  frames: readonly PcapFrame[],
  report: Partial<PortCapture['report']> = {},
): PortCapture => ({
  ...{ file: 'director-eth0.pcap', mac: DIRECTOR, frames, report: { ...WHOLE, ...report } },
});

const judge = (captures: readonly PortCapture[], counted: Partial<Record<string, Crossing>> = {}) =>
  confirm({
    ...{ method: 'dsr', direction: 'upload', port: PORT, deliveredBytes: 1500, captures },
    ...{ director: counted.director ?? COUNTED, kernel: counted.kernel ?? COUNTED },
  });

describe('a capture', () => {
  it('confirms counters that agree with it to the byte', () => {
    expect(judge([capture(FORWARDED)])).toMatchObject({
      verdict: 'confirmed',
      capture: COUNTED,
      payloadInBytes: 1500,
      payloadOutBytes: 1500,
      files: ['director-eth0.pcap'],
      notes: [],
    });
  });

  it('adds up the arms', () => {
    const [, , third, fourth] = FORWARDED;
    const other = { ...capture([third!, fourth!]), file: 'director-eth1.pcap' };
    const result = judge([capture(FORWARDED.slice(0, 2)), other]);
    expect(result).toMatchObject({ verdict: 'confirmed', capture: COUNTED });
    expect(result.files).toEqual(['director-eth0.pcap', 'director-eth1.pcap']);
  });

  it('that has one frame less than was counted does not, and the difference is told', () => {
    const { verdict, notes } = judge([capture(FORWARDED.slice(0, 3))]);
    expect(verdict).toBe('differs');
    expect(notes).toEqual([
      'director: out +1 frames, +554 bytes against the capture',
      'kernel: out +1 frames, +554 bytes against the capture',
    ]);
  });

  it('differs by a single byte in one witness alone', () => {
    const { verdict, notes } = judge([capture(FORWARDED)], {
      kernel: { ...COUNTED, inBytes: COUNTED.inBytes - 1 },
    });
    expect(verdict).toBe('differs');
    expect(notes).toEqual(['kernel: in 0 frames, -1 bytes against the capture']);
  });

  test.each([
    [{ missedFrames: 7 }, 'the recorder lost 7 frames'],
    [{ missedFrames: null }, 'the recorder cannot tell whether it lost frames'],
    [{ full: 'bytes' as const, quiet: false }, 'the recorder reached its limit of bytes'],
    [{ quiet: false }, 'frames still came when the recorder stopped'],
    [
      { missedFrames: null, quiet: false, crashed: { name: 'killed' as const, message: 'gone' } },
      'gone',
    ],
  ])('that is not whole confirms nothing, even if the sums agree: %o', (report, reason) => {
    const { verdict, notes } = judge([capture(FORWARDED, report)]);
    expect(verdict).toBe('not-whole');
    expect(notes).toEqual([`director-eth0.pcap: ${reason}`]);
  });

  it('counts frames of every kind, but payload of the direction and the service alone', () => {
    const arp = frameOf(
      arpFrame({
        ...{ sourceMac: CLIENT, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: 1 },
        ...{ senderMac: CLIENT, senderAddress: '10.0.0.1' },
        ...{ targetMac: '00:00:00:00:00:00', targetAddress: '10.0.0.2' },
      }),
    );
    const reply = packet({ from: REAL, to: DIRECTOR, payload: 300, reply: true });
    const other = packet({ from: CLIENT, to: DIRECTOR, payload: 200, port: 80 });
    const frames = [arp, reply, other, ...FORWARDED];
    const upload = sumCapture({ frames, mac: DIRECTOR }, { port: PORT, direction: 'upload' });
    expect(upload).toMatchObject({ payloadInBytes: 1500, payloadOutBytes: 1500 });
    expect(upload.crossing).toEqual({
      inFrames: 5,
      inBytes: COUNTED.inBytes + arp.bytes.length + 500 + 2 * FRAME_HEADERS,
      outFrames: 2,
      outBytes: COUNTED.outBytes,
    });
    const download = sumCapture({ frames, mac: DIRECTOR }, { port: PORT, direction: 'download' });
    expect(download).toMatchObject({ payloadInBytes: 300, payloadOutBytes: 0 });
  });

  it('counts a frame that the recorder cut at its length on the wire', () => {
    const { bytes } = FORWARDED[0]!;
    const cut = frameOf(bytes.subarray(0, 100), bytes.length);
    const sums = sumCapture({ frames: [cut], mac: DIRECTOR }, { port: PORT, direction: 'upload' });
    expect(sums).toMatchObject({ payloadInBytes: 1000, crossing: { inBytes: bytes.length } });
    for (const length of [14, 33, 53]) {
      const frames = [frameOf(bytes.subarray(0, length), 60)];
      const short = sumCapture({ frames, mac: DIRECTOR }, { port: PORT, direction: 'upload' });
      expect(short).toMatchObject({ payloadInBytes: 0, crossing: { inFrames: 1, inBytes: 60 } });
    }
  });
});

/** A result as a run gives it, with one capture that lost frames. */
function madeUp(fields: Partial<ThroughputResult> = {}): ThroughputResult {
  return {
    ...{ seconds: 2, rounds: 3, datapath: 'ring', offloads: 'on', directory: 'lab-results/x' },
    conditions: { kernel: '6.18.0', cpus: 2, node: 'v20.19.0' },
    summary: summarize(samples()),
    samples: samples(),
    confirmations: [judge([capture(FORWARDED)]), judge([capture(FORWARDED, { missedFrames: 7 })])],
    confirmed: false,
    ...fields,
  };
}

describe('what is shown', () => {
  const text = renderThroughput(madeUp(), PLAIN);

  it('aligns its columns and fits the width', () => {
    const lines = text.split('\n');
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(WIDTH);
    const head = lines.findIndex((line) => line.startsWith('method  direction  Gbit/s'));
    const [titles, ...rows] = lines.slice(head, head + 5);
    expect(rows.map((row) => row.slice(0, 16).trim())).toEqual([
      'dsr     upload',
      'dsr     download',
      'nat     upload',
      'nat     download',
    ]);
    for (const title of ['Gbit/s', 'spread', 'delivered', 'bytes in', 'bytes out']) {
      const end = titles!.indexOf(title) + title.length;
      for (const row of rows) expect(`${row[end - 1]}${row[end] ?? ' '}`).toMatch(/^\S $/);
    }
  });

  it('shows at a glance that in DSR downloads no data crosses the director', () => {
    const full = '█'.repeat(24);
    expect(text).toContain(`dsr upload     in ${full} 1.0000   out ${full} 1.0000\n`);
    expect(text).toMatch(/dsr download {3}in ▏ +0\.0060 {3}out ▏ +0\.0060 {2}ACKs alone\n/);
    expect(text).toContain(`nat download   in ${full} 1.0000   out ${full} 1.0000\n`);
  });

  it('says which witness differs, and never calls a damaged capture a confirmation', () => {
    const kernel = { ...COUNTED, inFrames: 3 };
    const confirmations = [
      ...madeUp().confirmations,
      judge([capture(FORWARDED)], { kernel }),
      judge([capture([])], { director: NOTHING, kernel: NOTHING }),
    ];
    const lines = renderConfirmations(confirmations, PLAIN).split('\n');
    const rows = lines.filter((line) => line.startsWith('dsr'));
    expect(rows[0]).toMatch(/upload {5}confirmed .* 100\.0 % +same +same$/);
    expect(rows[1]).toMatch(/upload {5}not whole /);
    expect(lines).toContain('        director-eth0.pcap: the recorder lost 7 frames');
    expect(rows[2]).toMatch(/upload {5}differs .* same +differ$/);
    expect(rows[3]).toMatch(/none +same +same$/);
    expect(lines.join('\n')).not.toContain('still on its way');
    const more = renderConfirmations([{ ...confirmations[0]!, deliveredBytes: 1400 }], PLAIN);
    expect(more).toContain('107.1 %');
    expect(more).toContain('more than 100 %: still on its way');
    expect(text).toContain('captures confirm the counters in 1 of 2 transfers');
  });

  it('tells where the director counted less than the kernel, and whether it knows', () => {
    const [first, ...rest] = madeUp().samples;
    const kernel = { ...first!.kernel, inFrames: 14 };
    const shown = (lostFrames: number) => {
      const summary = summarize([{ ...first!, kernel, lostFrames }, ...rest]);
      return renderThroughput(madeUp({ summary }), PLAIN);
    };
    expect(shown(4)).toContain('dsr upload: the director lost 4 of 34 frames: its ring was full');
    expect(shown(3)).toContain(
      'dsr upload: the director says it lost 3 frames, but the kernel counted 4 more in and 0 more',
    );
    expect(text).not.toContain('the director lost');
  });

  it('says that the datapath cap needs the offloads off', () => {
    const cap = renderThroughput(madeUp({ datapath: 'cap', offloads: 'off' }), PLAIN);
    expect(cap.replaceAll('\n', ' ')).toContain('offloads off, since libpcap tells nothing of');
  });
});

const reason = whyNoLab();

describe.skipIf(reason !== undefined)(`a real run${reason ? `: ${reason}` : ''}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-throughput-'));
  let result: ThroughputResult;
  beforeAll(async () => {
    const options = { seconds: 1, rounds: 1, datapath: 'ring', json: true } as const;
    result = await measureThroughput(options, directory);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const rowOf = (method: Method, direction: Direction) =>
    result.summary.rows.find((row) => row.method === method && row.direction === direction)!;

  it('sends the data of DSR downloads past the director, and all other data through it', () => {
    const download = perDeliveredByte(rowOf('dsr', 'download'));
    expect(download.in).toBeGreaterThan(0);
    expect(download.in).toBeLessThan(0.1);
    expect(download.out).toBeLessThan(0.1);
    for (const row of [rowOf('dsr', 'upload'), rowOf('nat', 'upload'), rowOf('nat', 'download')]) {
      expect(perDeliveredByte(row).in).toBeGreaterThanOrEqual(1);
      expect(perDeliveredByte(row).out).toBeGreaterThanOrEqual(1);
    }
  });

  it('is confirmed by captures, which are there', () => {
    expect(result.confirmations.map(({ verdict, notes }) => [verdict, notes])).toEqual(
      new Array(4).fill(['confirmed', []]),
    );
    expect(result.confirmed).toBe(true);
    const files = result.confirmations.flatMap((each) => each.files);
    expect(files.length).toBe(6);
    expect(readdirSync(directory).sort()).toEqual([...files, 'throughput.json'].sort());
    const kept = readFileSync(join(directory, 'throughput.json'), 'utf8');
    expect(JSON.parse(kept)).toEqual(result);
  });

  it('sees no byte of the payload of a DSR download at the director', () => {
    const of = (method: Method, direction: Direction) =>
      result.confirmations.find((each) => each.method === method && each.direction === direction)!;
    expect(of('dsr', 'download')).toMatchObject({ payloadInBytes: 0, payloadOutBytes: 0 });
    for (const direction of ['upload', 'download'] as const) {
      const nat = of('nat', direction);
      expect(nat.payloadInBytes).toBeGreaterThanOrEqual(nat.deliveredBytes);
      expect(nat.payloadOutBytes).toBeGreaterThanOrEqual(nat.deliveredBytes);
    }
  });
});

// What DSR and NAT share in verify: how captures are read, joined and weighed. The cases here are
// those that a careless judge gets wrong: lost and cut frames, segments that were cut in two,
// packets sent again, ports used again, checksums that are not finished.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { arpFrame, icmpEchoFrame, tcpFrame, udpFrame } from '../../lab/frame.ts';
import { diagnose } from '../../lab/verify/diagnose.ts';
import { dissect, type Frame } from '../../lab/verify/dissect.ts';
import { pairFrames } from '../../lab/verify/flows.ts';
import { renderClaims } from '../../lab/verify/render.ts';
import { runVerifyFrom } from '../../lab/verify/run-verify.ts';
import { compareData } from '../../lab/verify/streams.ts';
import { PLAIN } from '../../src/cli/output.ts';
import {
  ACK,
  ALL_ANSWERED,
  claimNamed,
  goodTraffic,
  newScene,
  SYN,
  spoilByte,
} from './verify-scene.ts';

const FIELDS = {
  sourceMac: '02:00:00:00:01:10',
  destinationMac: '02:00:00:00:01:02',
  source: '192.0.2.10',
  destination: '192.0.2.100',
  sourcePort: 40000,
  destinationPort: 80,
} as const;

type TcpFields = Parameters<typeof tcpFrame>[0];

let number = 0;

function frameOf(
  bytes: Uint8Array,
  offloads: 'on' | 'off' = 'on',
  originalBytes = bytes.length,
): Frame {
  number += 1;
  return dissect({ file: 'x.pcap', offloads }, { number, timestampUs: 0, bytes, originalBytes });
}

const tcp = (fields: Partial<TcpFields> = {}) => frameOf(tcpFrame({ ...FIELDS, ...fields }));

describe('dissect', () => {
  test('takes a TCP frame apart', () => {
    const payload = Uint8Array.of(1, 2, 3);
    const frame = tcp({ payload, sequence: 0xfffffffe, acknowledgment: 7, flags: ACK | SYN });
    expect(frame).toMatchObject({ sourceMac: FIELDS.sourceMac, etherType: 0x0800, cut: false });
    expect(frame.packet).toMatchObject({
      source: '192.0.2.10',
      destination: '192.0.2.100',
      sourcePort: 40000,
      destinationPort: 80,
      sequence: 0xfffffffe,
      acknowledgement: 7,
      flags: ACK | SYN,
      payloadBytes: 3,
      ttl: 64,
      headerChecksumGood: true,
      checksum: 'good',
    });
  });

  test.each([
    ['good', tcpFrame(FIELDS)],
    ['good', udpFrame({ ...FIELDS, payload: Uint8Array.of(9) })],
    ['partial', tcpFrame({ ...FIELDS, partialChecksum: true })],
    ['partial', udpFrame({ ...FIELDS, partialChecksum: true })],
    ['bad', spoilByte(tcpFrame(FIELDS), 51)],
    ['none', noChecksum(udpFrame(FIELDS))],
    ['good', icmpEchoFrame({ ...FIELDS, identifier: 1, sequence: 1 })],
    ['bad', spoilByte(icmpEchoFrame({ ...FIELDS, identifier: 1, sequence: 1 }), 40)],
  ])('a checksum that is %s', (state, bytes) => {
    expect(frameOf(bytes).packet?.checksum).toBe(state);
  });

  test('a partial checksum is bad where no card is left to finish it', () => {
    const bytes = tcpFrame({ ...FIELDS, partialChecksum: true });
    expect(frameOf(bytes, 'off').packet?.checksum).toBe('bad');
  });

  test('a cut frame has no known checksum and no hash', () => {
    const whole = tcpFrame({ ...FIELDS, payload: new Uint8Array(100) });
    const frame = frameOf(whole.subarray(0, 80), 'on', whole.length);
    expect(frame.cut).toBe(true);
    expect(frame.packet).toMatchObject({ checksum: 'unknown', payloadHash: '', payloadBytes: 100 });
  });

  test('ARP', () => {
    const arp = { operation: 2, senderAddress: '192.0.2.100', targetAddress: '192.0.2.10' };
    expect(frameOf(arpFrame({ ...FIELDS, ...arp })).arp).toEqual({
      ...arp,
      senderMac: FIELDS.sourceMac,
    });
  });

  test('any start of a frame is taken apart without a throw', () => {
    const bytes = tcpFrame({ ...FIELDS, payload: new Uint8Array(40) });
    for (let length = 0; length <= bytes.length; length++) frameOf(bytes.subarray(0, length));
  });
});

function noChecksum(bytes: Uint8Array): Uint8Array {
  bytes.fill(0, 40, 42);
  return bytes;
}

describe('joining frames of two points', () => {
  const data = Uint8Array.from({ length: 300 }, (_, index) => index & 255);
  const part = (from: number, to: number, identification: number) =>
    tcp({ sequence: 1000 + from, payload: data.slice(from, to), identification });

  test('by IP id, sequence and payload, whatever the order', () => {
    const up = [part(0, 100, 1), part(100, 200, 2)];
    const down = [part(100, 200, 2), part(0, 100, 1)];
    const { pairs, lost, extra } = pairFrames(up, down);
    expect(pairs.map(({ from, to }) => [from, to])).toEqual([
      [up[1], down[0]],
      [up[0], down[1]],
    ]);
    expect([lost, extra]).toEqual([[], []]);
  });

  test('a packet that was lost and sent again is one pair and one loss', () => {
    const up = [part(0, 100, 1), part(0, 100, 2)];
    const down = [part(0, 100, 2)];
    const { pairs, lost, extra } = pairFrames(up, down);
    expect(pairs).toEqual([{ from: up[1], to: down[0], split: false }]);
    expect(lost).toEqual([up[0]]);
    expect(extra).toEqual([]);
  });

  test('a super-frame joins the segments that it was cut into, and the other way round', () => {
    const whole = part(0, 300, 1);
    const segments = [part(0, 100, 1), part(100, 200, 2), part(200, 300, 3)];
    const cut = pairFrames([whole], segments);
    expect(cut.pairs.map(({ from, to }) => [from, to])).toEqual(segments.map((to) => [whole, to]));
    expect([cut.lost, cut.extra]).toEqual([[], []]);
    expect(pairFrames(segments, [whole]).pairs.map(({ from }) => from)).toEqual(segments);
  });

  test('a frame that nobody sent is extra', () => {
    const odd = part(0, 100, 9);
    expect(pairFrames([], [odd]).extra).toEqual([odd]);
  });
});

describe('comparing data', () => {
  const syn = tcp({ flags: SYN, sequence: 0xffffff00 });
  const data = Uint8Array.from({ length: 1000 }, (_, index) => (index * 3) & 255);
  const part = (from: number, to: number) =>
    tcp({ sequence: (0xffffff01 + from) >>> 0, payload: data.slice(from, to) });

  test('segments of any size, order and overlap, over the end of the sequence space', () => {
    const sent = [syn, part(0, 1000)];
    const received = [syn, part(400, 1000), part(0, 300), part(200, 500)];
    expect(compareData(sent, received)).toEqual({ equal: true, bytes: 1000 });
  });

  test('a wrong byte shows', () => {
    const wrong = frameOf(spoilByte(part(500, 1000).bytes, 60));
    const received = [syn, part(0, 500), wrong];
    expect(compareData([syn, part(0, 1000)], received).equal).toBe(false);
  });

  test('a receiver may lack the end, and may not have more than was sent', () => {
    const whole = [syn, part(0, 1000)];
    const half = [syn, part(0, 500)];
    expect(compareData(whole, half)).toEqual({ equal: true, bytes: 500 });
    expect(compareData(half, whole).equal).toBe(false);
  });

  test('nothing received is not equal to something sent', () => {
    expect(compareData([syn, part(0, 10)], [syn]).equal).toBe(false);
  });
});

describe('captures that are not whole', () => {
  test('a claim about absence is not tested if a recorder lost frames', async () => {
    const scene = goodTraffic(newScene('dsr'));
    scene.lostFrames = { 'director-eth0.pcap': 3 };
    const claims = await scene.judge();
    const verdicts = Object.fromEntries(claims.map((claim) => [claim.id, claim.verdict]));
    expect(verdicts).toMatchObject({
      'no-reply-at-director': 'not-tested',
      'vip-arp': 'not-tested',
      'one-real': 'not-tested',
      'only-macs': 'holds',
      handshake: 'holds',
    });
  });

  test('a frame that is missing proves nothing then, a wrong one still does', async () => {
    const scene = newScene('dsr');
    scene.lostFrames = { 'client.pcap': 1 };
    scene.fields = (hop, { real }) =>
      real === 'r2' && hop === 'client-in' ? { sourceMac: '02:00:00:00:09:09' } : {};
    scene.spoil = (hop, { real }, bytes) =>
      hop === 'client-in' && real === 'r3' ? undefined : bytes;
    const claims = await goodTraffic(scene).judge();
    expect(claimNamed(claims, 'handshake').verdict).toBe('not-tested');
    expect(claimNamed(claims, 'reply-direct').verdict).toBe('fails');
  });

  test('a frame that a recorder cut counts as damage', async () => {
    const scene = goodTraffic(newScene('nat'));
    scene.cut.add(scene.files.get('client.pcap')!.at(-1)!);
    const claim = claimNamed(await scene.judge(), 'client-sees-vip');
    expect(claim.verdict).toBe('not-tested');
  });
});

describe('flows', () => {
  test('two connections on the same ports are two flows, each with its own real', async () => {
    const scene = goodTraffic(newScene('dsr'));
    scene.fields = (_hop, { way, sequence, acknowledgment }) =>
      way === 'request'
        ? { sequence: sequence + 90_000, acknowledgment }
        : { sequence, acknowledgment: acknowledgment + 90_000 };
    scene.connection('r3', 40000);
    const claims = await scene.judge();
    expect(claimNamed(claims, 'one-real').verdict).toBe('holds');
    expect(claimNamed(claims, 'handshake').flows).toBe(5);
  });

  test('a request that the director lost and the client sent again breaks nothing', async () => {
    const scene = newScene('nat');
    let seen = 0;
    scene.spoil = (hop, _segment, bytes) =>
      hop === 'director-out' && ++seen === 1 ? undefined : bytes;
    scene.connection('r1', 40000);
    const claims = await goodTraffic(scene).judge();
    expect(claims.filter((claim) => claim.verdict !== 'holds')).toEqual([]);
    const claim = claimNamed(claims, 'only-nat-fields');
    expect(claim.notes).toContain('1 frames went in and did not come out');
  });
});

describe('judging a kept directory', () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  afterEach(() => log.mockClear());
  const printed = () => log.mock.calls.map((call) => String(call[0])).join('\n');

  test('exit code 0 and one JSON object if all claims hold', async () => {
    const directory = goodTraffic(newScene('dsr')).write();
    expect(await runVerifyFrom(directory, { json: true })).toBe(0);
    expect(log).toHaveBeenCalledTimes(1);
    const result = JSON.parse(printed());
    expect(result).toMatchObject({ topology: 'dsr', holds: true, directory, diagnosis: [] });
    expect(result.claims).toHaveLength(15);
  });

  test('exit code 1, the host and the mend if one fails', async () => {
    const scene = newScene('nat');
    scene.spoil = (hop, { real }, bytes) =>
      hop === 'real-out' && real === 'r2' ? undefined : bytes;
    expect(await runVerifyFrom(goodTraffic(scene).write(), { json: false })).toBe(1);
    expect(printed()).toContain('mend on r2: ip route replace default via 10.77.0.1');
    expect(printed()).toContain('nat: 12 of 14 claims hold, 2 fail, 0 not tested');
  });

  test('a claim that was not tested is a failure too', async () => {
    const scene = newScene('dsr');
    scene.connection('r1', 40000);
    expect(await runVerifyFrom(scene.write(), { json: false })).toBe(1);
    expect(printed()).toContain('0 fail, 3 not tested');
  });

  test('a transfer that was never answered fails, though all captures agree', async () => {
    const scene = goodTraffic(newScene('dsr'));
    const failures = ['iperf3 -n 4M -b 200M'];
    scene.traffic = { ...ALL_ANSWERED, transfersDone: 0, failures };
    expect(await runVerifyFrom(scene.write(), { json: false })).toBe(1);
    expect(printed()).toContain('dsr: 14 of 15 claims hold, 1 fail, 0 not tested');
    const said = '4 of 4 requests, 0 of 1 transfers, failed: iperf3 -n 4M -b 200M';
    expect(printed()).toContain(said);
  });

  test('an older manifest does not say what was answered: not tested', async () => {
    const scene = goodTraffic(newScene('nat'));
    scene.traffic = undefined;
    expect(claimNamed(await scene.judge(), 'answered').verdict).toBe('not-tested');
  });

  test('what is no kept directory is refused with its name', async () => {
    const refused = runVerifyFrom('/nowhere', { json: false });
    await expect(refused).rejects.toThrow('/nowhere/manifest.json: cannot be read');
  });

  test('a manifest that is wrong is refused with the place', async () => {
    const directory = goodTraffic(newScene('dsr')).write();
    const path = join(directory, 'manifest.json');
    const manifest = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...manifest, topology: 'ring' }));
    await expect(runVerifyFrom(directory, { json: false })).rejects.toThrow(`${path}: topology`);
    writeFileSync(path, '{');
    await expect(runVerifyFrom(directory, { json: false })).rejects.toThrow('not JSON');
  });

  test('a capture that was cut short is refused', async () => {
    const directory = goodTraffic(newScene('dsr')).write();
    const path = join(directory, 'r1.pcap');
    writeFileSync(path, readFileSync(path).subarray(0, -1));
    await expect(runVerifyFrom(directory, { json: false })).rejects.toThrow('cut short');
  });
});

test('the table stays within 100 columns and names each claim', async () => {
  const claims = await goodTraffic(newScene('nat')).judge();
  const lines = renderClaims(claims, PLAIN).split('\n');
  expect(lines.filter((line) => line.length > 100)).toEqual([]);
  for (const claim of claims) expect(lines.join('\n')).toContain(claim.sentence);
  expect(diagnose(claims)).toEqual([]);
});

// VLAN tags on real wires: the kernel takes a tag out of a frame before the ring has it, and the
// ring puts it back in where the frame leaves. What leaves is captured by libpcap, which shows
// tags.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Recorder, startRecorder } from '../../lab/capture/record.ts';
import { readPcap } from '../../lab/pcap/read-pcap.ts';
import { withTag } from '../../src/wire/ethernet.ts';
import { whyNoNamespace } from '../linux/namespace.ts';
import { whyNoBuild } from './compile-child.ts';
import { stamp } from './forwarder.ts';
import { numberedFrame, superFrame } from './numbered-frames.ts';
import { openWireStation, type WireStation } from './wire-station.ts';

const why = whyNoBuild() ?? whyNoNamespace();
const POLL = { timeout: 20_000, interval: 5 };
/** Priority 5 without a VLAN, VLAN 7, and VLAN 7 of a service tag (IEEE 802.1ad). */
const TAGS = [0x8100_a000 | 0, 0x8100_0007 | 0, 0x88a8_0007 | 0];
const OTHERS_TAG = 0x8100_600a | 0;

describe.skipIf(why !== undefined)(`VLAN tags on the ring ${why ?? ''}`, () => {
  let station: WireStation;
  let recorder: Recorder;
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'furiwake-tags-'));
    file = join(directory, 'out.pcap');
    station = await openWireStation({ kind: 'ring', slots: 256, vlans: [10] });
    recorder = await startRecorder({ namespace: station.wires.hosts, interface: 'eth1', file });
    await station.setWays([1, -1]);
  });
  afterEach(async () => {
    await recorder.stop();
    await station.remove();
    rmSync(directory, { recursive: true });
  });

  const seenFrames = async () => (await station.report()).seenFrames;

  test('a frame leaves with the tag that it came with, a super-frame too', async () => {
    const frames = [...TAGS, 0].flatMap((tag, number) => {
      const small = numberedFrame({ arm: 0, number, bytes: 60 + number });
      const long = superFrame({ arm: 0, number: number + 10, bytes: 20_000 + number });
      // Nobody can send a super-frame with a service tag: the kernel refuses it.
      const isService = tag >>> 16 === 0x88a8;
      return (isService ? [small] : [small, long]).map((bytes) => ({ bytes, tag }));
    });
    const asSent = ({ bytes, tag }: (typeof frames)[number]) =>
      tag === 0 ? bytes : withTag(bytes, tag);
    await station.put(0, frames.map(asSent));
    await expect.poll(seenFrames, POLL).toBe(frames.length);
    expect((await station.seen()).map(({ bytes }) => bytes)).toEqual(
      frames.map(({ bytes }) => bytes),
    );
    await expect.poll(async () => (await station.taken(1)).length, POLL).toBe(frames.length);
    await recorder.stop();
    const captured = (await readPcap(file)).frames.map(({ bytes }) => Uint8Array.from(bytes));
    const expected = frames.map(({ bytes, tag }) => {
      const copy = bytes.slice();
      stamp(new DataView(copy.buffer), 0, 1);
      return asSent({ bytes: copy, tag });
    });
    expect(captured).toEqual(expected);
  });

  test('a VLAN that the host has an interface for is left to that one', async () => {
    const tagged = (number: number, tag: number) =>
      withTag(numberedFrame({ arm: 0, number, bytes: 60 }), tag);
    await station.put(0, [tagged(1, OTHERS_TAG), tagged(2, TAGS[1]!)]);
    await expect.poll(seenFrames, POLL).toBe(1);
    expect((await station.seen())[0]!.bytes).toEqual(
      numberedFrame({ arm: 0, number: 2, bytes: 60 }),
    );
  });
});

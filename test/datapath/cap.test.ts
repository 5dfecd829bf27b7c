// The cap datapath over captures that the test plays: batches, arms in turn, sending, failures.
// What the native package itself does on a real wire is in cap-wire.test.ts.
import { describe, expect, test } from 'vitest';
import { tcpFrame, udpFrame } from '../../lab/frame.ts';
import { type CapOptions, openCap } from '../../src/datapath/cap.ts';
import type { CapHandleOptions } from '../../src/datapath/cap-handle-unsafe.ts';
import { type Arm, BATCH_FRAMES, type EventDatapath } from '../../src/datapath/datapath.ts';
import { parseIpv4 } from '../../src/wire/address.ts';

interface PlayedHandle {
  readonly options: CapHandleOptions;
  readonly sent: Buffer[];
  stopped: boolean;
  missed: number | undefined;
  failure: string | undefined;
}

const arm = (name: string, macLow: number): Arm => ({
  name,
  interfaceIndex: 1,
  macHigh: 0x02000000,
  macLow,
  address: 0,
  prefixLength: 0,
  mtu: 1500,
});

function play(options: Partial<CapOptions> = {}) {
  const handles: PlayedHandle[] = [];
  const datapath = openCap(
    {
      arms: [arm('eth0', 1), arm('eth1', 2)],
      vips: Int32Array.of(parseIpv4('192.0.2.10')!),
      reals: Int32Array.of(parseIpv4('10.0.0.11')!),
      ...options,
    },
    (handleOptions) => {
      const handle: PlayedHandle = {
        ...{ options: handleOptions, sent: [], stopped: false, missed: 0, failure: undefined },
      };
      handles.push(handle);
      return {
        send(frame, length) {
          if (handle.failure !== undefined) throw new Error(handle.failure);
          handle.sent.push(Buffer.from(frame.subarray(0, length)));
        },
        takeMissedFrames() {
          const { missed } = handle;
          if (missed !== undefined) handle.missed = 0;
          return missed;
        },
        stop() {
          handle.stopped = true;
        },
      };
    },
  );
  const shared = Buffer.alloc(65_536);
  const give = (index: number, bytes: Uint8Array) => {
    shared.set(bytes);
    handles[index]!.options.onFrame(shared, bytes.length);
  };
  return { datapath, handles, give };
}

const frame = (mark: number, length = 60): Uint8Array => new Uint8Array(length).fill(mark);
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Everything that a batch holds, copied. */
const contents = ({ batch }: EventDatapath): Uint8Array[] =>
  Array.from({ length: batch.count }, (_, index) =>
    new Uint8Array(
      batch.frame.buffer,
      batch.at[index],
      batch.end[index]! - batch.at[index]!,
    ).slice(),
  );

/** Reads as the director does, keeping what each batch held. */
function collect(datapath: EventDatapath) {
  const batches: { arm: number; frames: Uint8Array[] }[] = [];
  datapath.onReadable(() => {
    while (datapath.receive() > 0) {
      batches.push({ arm: datapath.batch.arm, frames: contents(datapath) });
      datapath.flush();
    }
  });
  return batches;
}

describe('receiving', () => {
  test('hands a full batch over within the callback of its last frame', () => {
    const { datapath, give } = play();
    const batches = collect(datapath);
    for (let index = 0; index < BATCH_FRAMES; index += 1) give(0, frame(index));
    expect(batches.length).toBe(1);
    expect(batches[0]?.frames).toEqual(Array.from({ length: BATCH_FRAMES }, (_, at) => frame(at)));
  });

  test('hands what is less over at the end of the turn, arm by arm', async () => {
    const { datapath, give } = play();
    const batches = collect(datapath);
    give(1, frame(1));
    give(0, frame(2, 65_535));
    give(1, frame(3));
    expect(batches).toEqual([]);
    await nextTurn();
    expect(batches).toEqual([
      { arm: 0, frames: [frame(2, 65_535)] },
      { arm: 1, frames: [frame(1), frame(3)] },
    ]);
    await nextTurn();
    expect(batches.length).toBe(2);
  });

  test('counts each frame once, on its arm', async () => {
    const { datapath, give } = play();
    collect(datapath);
    for (let index = 0; index < 100; index += 1) give(1, frame(index, 100));
    await nextTurn();
    expect(datapath.counters[0]).toMatchObject({ receivedFrames: 0, receivedBytes: 0 });
    expect(datapath.counters[1]).toMatchObject({ receivedFrames: 100, receivedBytes: 10_000 });
  });

  test('without a reader loses frames, counted, and nothing worse', () => {
    const { datapath, give } = play();
    for (let index = 0; index < BATCH_FRAMES + 5; index += 1) give(0, frame(index));
    expect(datapath.counters[0]).toMatchObject({ receivedFrames: BATCH_FRAMES, missedFrames: 5 });
    expect(datapath.receive()).toBe(BATCH_FRAMES);
    expect(contents(datapath)[0]).toEqual(frame(0));
    give(0, frame(9));
    expect(datapath.counters[0]?.missedFrames).toBe(6);
    datapath.flush();
    expect(datapath.receive()).toBe(0);
  });

  test('finishes partial checksums, and so marks none', () => {
    const fields = {
      ...{ sourceMac: '02:00:00:00:00:09', destinationMac: '02:00:00:00:00:01' },
      ...{ source: '198.51.100.1', destination: '192.0.2.10', sourcePort: 1, destinationPort: 80 },
      payload: Uint8Array.of(1, 2, 3),
    };
    const { datapath, give } = play();
    give(0, tcpFrame({ ...fields, partialChecksum: true }));
    give(0, udpFrame({ ...fields, partialChecksum: true }));
    datapath.receive();
    expect(contents(datapath)).toEqual([tcpFrame(fields), udpFrame(fields)]);
    expect([...datapath.batch.offload].some((mark) => mark !== 0)).toBe(false);
  });

  test('a second receive before the flush is a bug', () => {
    const { datapath, give } = play();
    give(0, frame(1));
    datapath.receive();
    expect(() => datapath.receive()).toThrow('receive before flush');
  });
});

describe('sending', () => {
  test('waits for the flush, takes the bytes as they are then, and counts by arm', () => {
    const { datapath, handles, give } = play();
    give(0, frame(1));
    give(0, frame(2, 100));
    datapath.receive();
    datapath.send(1, 1);
    datapath.send(0, 0);
    datapath.batch.frame.setUint8(datapath.batch.at[1]!, 0xee);
    expect(handles.flatMap(({ sent }) => sent)).toEqual([]);
    datapath.flush();
    const changed = frame(2, 100);
    changed[0] = 0xee;
    expect(handles[1]?.sent.map((sent) => new Uint8Array(sent))).toEqual([changed]);
    expect(handles[0]?.sent.map((sent) => new Uint8Array(sent))).toEqual([frame(1)]);
    expect(datapath.counters[1]).toMatchObject({ sentFrames: 1, sentBytes: 100 });
    datapath.flush();
    expect(handles[1]?.sent.length).toBe(1);
  });

  test('injects at once, and keeps no hold of the bytes', () => {
    const { datapath, handles } = play();
    const bytes = frame(7);
    datapath.inject(bytes.subarray(0, 42), 1);
    bytes.fill(0);
    expect(new Uint8Array(handles[1]!.sent[0]!)).toEqual(frame(7, 42));
    expect(datapath.counters[1]).toMatchObject({ sentFrames: 1, sentBytes: 42 });
  });

  test('tells a frame that was merged, of segments unknown, from one that is only long', () => {
    const { datapath, give } = play();
    for (const bytes of [100, 1514, 1515, 4410]) give(0, frame(1, bytes));
    expect(datapath.receive()).toBe(4);
    expect([...datapath.batch.offload.subarray(0, 4)].map((mark) => mark >>> 1)).toEqual([
      0, 0, 1, 1,
    ]);
  });

  test('counts failures, and tells once for each arm what to do about long frames', () => {
    const notices: string[] = [];
    const { datapath, handles, give } = play({ notice: (text) => notices.push(text) });
    handles[1]!.failure = 'send: Message too long';
    for (let round = 0; round < 3; round += 1) {
      give(0, frame(1, 4410));
      datapath.receive();
      datapath.send(0, 1);
      datapath.flush();
    }
    expect(datapath.counters[1]).toMatchObject({ sentFrames: 0, failedFrames: 3 });
    expect(notices.length).toBe(1);
    expect(notices[0]).toContain('cannot send a frame of 4410 bytes on eth1, whose MTU is 1500');
    expect(notices[0]).toContain('ethtool -K eth0 gro off');
    handles[0]!.failure = 'send: Network is down';
    datapath.inject(frame(1), 0);
    expect(datapath.counters[0]?.failedFrames).toBe(1);
    expect(notices.length).toBe(1);
  });
});

describe('captures', () => {
  test('take what the addresses ask for, without what the arm itself sends', () => {
    const { handles } = play({ bufferBytes: 1 << 20 });
    expect(
      handles.map(({ options }) => [options.interface, options.filter, options.bufferBytes]),
    ).toEqual(
      [1, 2].map((low) => [
        `eth${low - 1}`,
        `not ether src 02:00:00:00:00:0${low} and (ether dst 02:00:00:00:00:0${low} or ether multicast)` +
          ' and (arp or ip dst host 192.0.2.10 or ip src host 10.0.0.11' +
          ' or icmp[0] == 3 or icmp[0] == 11 or icmp[0] == 12)',
        1 << 20,
      ]),
    );
  });

  test('are replaced for new addresses: the new ones first, frames of before kept', async () => {
    const { datapath, handles, give } = play();
    const batches = collect(datapath);
    give(0, frame(1));
    handles[0]!.missed = 3;
    const vips = Int32Array.of(parseIpv4('192.0.2.20')!);
    datapath.setAddresses?.({ vips, reals: new Int32Array(0) });
    expect(handles.map(({ stopped }) => stopped)).toEqual([true, true, false, false]);
    expect(handles[2]?.options.filter).toContain('(arp or ip dst host 192.0.2.20)');
    expect(datapath.counters[0]?.missedFrames).toBe(3);
    give(2, frame(2));
    await nextTurn();
    expect(batches).toEqual([{ arm: 0, frames: [frame(1), frame(2)] }]);
    datapath.inject(frame(3), 1);
    expect([handles[1]?.sent.length, handles[3]?.sent.length]).toEqual([0, 1]);
  });

  test('add up what the kernel dropped, and bear that it is not known', () => {
    const { datapath, handles } = play();
    handles[0]!.missed = 4;
    handles[1]!.missed = undefined;
    datapath.checkLinks();
    handles[0]!.missed = 5;
    datapath.checkLinks();
    expect(datapath.counters.map(({ missedFrames }) => missedFrames)).toEqual([9, 0]);
  });

  test('end with the datapath, which then takes and sends nothing', async () => {
    const { datapath, handles, give } = play();
    const batches = collect(datapath);
    give(0, frame(1));
    datapath.close();
    give(0, frame(2));
    datapath.inject(frame(3), 0);
    await nextTurn();
    expect(batches).toEqual([]);
    expect(handles.every(({ stopped }) => stopped)).toBe(true);
    expect(handles[0]?.sent).toEqual([]);
  });
});

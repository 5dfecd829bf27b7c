// One suite for every datapath: whatever carries the frames, they come out byte for byte and in
// order, counted once, and none is lost that the datapath had room for.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { arpFrame } from '../../lab/frame.ts';
import { BATCH_FRAMES } from '../../src/datapath/datapath.ts';
import { HEADROOM_BYTES } from '../../src/wire/tunnel.ts';
import { layAhead, stamp } from './forwarder.ts';
import { clientOf, createRandom, numberedFrame, superFrame } from './numbered-frames.ts';
import { FAR_MACS, REAL, type Station, VIP } from './station.ts';

export interface DatapathTraits {
  /** The reason that it cannot run here. */
  readonly why?: string | undefined;
  readonly open: () => Promise<Station>;
  /** Whether frames longer than the MTU pass whole. */
  readonly superFrames: boolean;
  /** Whether it takes only what `setAddresses` asks for. */
  readonly filters: boolean;
}

/** Frames that every datapath has room for at once, and long ones among them. */
const WAVE_FRAMES = 100;
const WAVE_LONG_FRAMES = 12;
const LONG_BYTES = 1800;

const OTHER_VIP = '10.9.0.101';
const OTHER_MAC = '02:00:00:00:0d:00';

export function describeDatapath(name: string, traits: DatapathTraits): void {
  const { why, superFrames, filters } = traits;
  const skipped = filters ? '' : ' (skipped: it has no filter)';
  describe.skipIf(why !== undefined)(`${name} as every datapath ${why ?? ''}`, () => {
    let station: Station;
    beforeEach(async () => {
      station = await traits.open();
    });
    afterEach(() => station.remove());

    test('frames of all sizes come out in order, edited where they lie and else unchanged', async () => {
      await station.setWays([0, 1]);
      const frames = mixedFrames({ arm: 0, count: 400, superFrames });
      await pass(station, 0, frames);
      expectFrames(await takenAfter(station, 0, frames.length), stamped(frames, 0));
      expect(await station.taken(1)).toEqual([]);
    });

    test('frames cross from arm to arm both ways at once, in batches of one arm each', async () => {
      await station.setWays([1, 0]);
      const there = mixedFrames({ arm: 0, count: 300, superFrames: false });
      const back = mixedFrames({ arm: 1, count: 300, superFrames: false });
      for (let from = 0; from < 300; from += WAVE_FRAMES) {
        await Promise.all([
          station.put(0, there.slice(from, from + WAVE_FRAMES)),
          station.put(1, back.slice(from, from + WAVE_FRAMES)),
        ]);
        await seenAfter(station, 2 * Math.min(from + WAVE_FRAMES, 300));
      }
      expectFrames(await takenAfter(station, 1, 300), stamped(there, 1));
      expectFrames(await takenAfter(station, 0, 300), stamped(back, 0));
      const armsOfBatches = new Map<number, Set<string>>();
      for (const { batch, arm, bytes } of await station.seen()) {
        const source = [...bytes.subarray(26, 30)].join('.');
        expect(source).toBe(clientOf(arm));
        armsOfBatches.set(batch, (armsOfBatches.get(batch) ?? new Set()).add(source));
      }
      expect([...armsOfBatches.values()].every((sources) => sources.size === 1)).toBe(true);
      expect((await station.report()).largestBatch).toBeLessThanOrEqual(BATCH_FRAMES);
    });

    test('there is room before each frame for outer headers, and copies go out in turn', async () => {
      await station.setWays([0, -1]);
      await station.setAhead(HEADROOM_BYTES);
      // Not too long with its headers for the MTU of 9,000, and by the ring in slots of both sizes.
      const frames = Array.from({ length: 150 }, (_, number) =>
        numberedFrame({ arm: 0, number, bytes: 60 + ((number * 487) % 8800) }),
      );
      await pass(station, 0, frames);
      const expected = stamped(frames, 0).flatMap((bytes) => {
        const longer = new Uint8Array(HEADROOM_BYTES + bytes.length);
        longer.set(bytes, HEADROOM_BYTES);
        layAhead(new DataView(longer.buffer), HEADROOM_BYTES, HEADROOM_BYTES);
        return [longer, longer];
      });
      expectFrames(await takenAfter(station, 0, expected.length), expected);
      const { counters } = await station.report();
      expect(counters[0]).toMatchObject({ failedFrames: 0, sentBytes: bytesOf(expected) });
    });

    test('every frame and byte is counted once, in and out', async () => {
      await station.setWays([1, -1]);
      const there = mixedFrames({ arm: 0, count: 150, superFrames: false });
      const dropped = mixedFrames({ arm: 1, count: 70, superFrames: false });
      await pass(station, 0, there);
      await pass(station, 1, dropped, there.length);
      await takenAfter(station, 1, there.length);
      const { counters } = await station.report();
      const none = { missedFrames: 0, failedFrames: 0 };
      expect(counters).toEqual([
        { ...none, ...received(there), sentFrames: 0, sentBytes: 0 },
        { ...none, ...received(dropped), sentFrames: 150, sentBytes: bytesOf(there) },
      ]);
    });

    test('an injected frame goes out at once, also in the middle of a batch, and only once', async () => {
      const own = arpRequest(1, 1);
      await station.inject(own, 1);
      expectFrames(await takenAfter(station, 1, 1), [own]);
      await station.setWays([1, -1]);
      const second = arpRequest(1, 2);
      await station.injectInBatch(second, 1);
      const frames = mixedFrames({ arm: 0, count: 40, superFrames: false });
      await pass(station, 0, frames);
      const taken = (await takenAfter(station, 1, 42)).slice(1);
      const at = taken.findIndex((bytes) => Buffer.compare(bytes, second) === 0);
      expect(at).toBeGreaterThanOrEqual(0);
      expectFrames(taken.toSpliced(at, 1), stamped(frames, 1));
      expect((await station.report()).counters[1]).toMatchObject({ sentFrames: 42 });
    });

    test('flush gives the memory back: many times as much passes as there is room for', async () => {
      await station.setWays([0, -1]);
      const frames = Array.from({ length: 3000 }, (_, number) =>
        numberedFrame({ arm: 0, number, bytes: 60 + (number % 200) }),
      );
      if (superFrames) {
        for (let number = 3000; number < 3150; number++) {
          frames.push(superFrame({ arm: 0, number, bytes: 65_000 }));
        }
      }
      await pass(station, 0, frames);
      expectFrames(await takenAfter(station, 0, frames.length), stamped(frames, 0));
      expect((await station.report()).counters[0]).toMatchObject({ missedFrames: 0 });
    });

    test.skipIf(!filters)(
      `takes what the addresses ask for, and ARP, and nothing else${skipped}`,
      async () => {
        const arp = arpRequest(0, 1);
        await station.put(0, [...oneOfEachKind(superFrames), arp]);
        const wanted = oneOfEachKind(superFrames).filter((_, index) => index < 2);
        expectFrames(await seenBytes(station, 3), [...wanted, arp]);
        await station.setAddresses([OTHER_VIP], []);
        await station.put(0, [...oneOfEachKind(superFrames), arp]);
        const others = oneOfEachKind(superFrames).filter((_, index) => index === 2);
        expectFrames(await seenBytes(station, 5), [...wanted, arp, ...others, arp]);
        const { counters } = await station.report();
        expect(counters[0]).toMatchObject({ receivedFrames: 5, missedFrames: 0 });
      },
    );

    test('closing gives everything back', async () => {
      await pass(station, 0, mixedFrames({ arm: 0, count: 10, superFrames }));
      expect(await station.close()).toEqual({ descriptors: 0, mappings: 0 });
    });
  });
}

/** To the VIP, from the real, to another VIP, from elsewhere, and to another host. */
function oneOfEachKind(superFrames: boolean): Uint8Array[] {
  const frame = { arm: 0, bytes: 100 };
  const kinds = [
    numberedFrame({ ...frame, number: 1 }),
    numberedFrame({ ...frame, number: 2, source: REAL, destination: '10.8.0.1' }),
    numberedFrame({ ...frame, number: 3, destination: OTHER_VIP }),
    numberedFrame({ ...frame, number: 4, destination: REAL }),
    numberedFrame({ ...frame, number: 5, source: VIP, destination: '10.8.0.1' }),
    numberedFrame({ ...frame, number: 6, destinationMac: OTHER_MAC }),
  ];
  const large = { arm: 0, bytes: 9000, number: 7 };
  if (!superFrames) return kinds;
  return [
    ...kinds,
    superFrame({ ...large, destination: REAL }),
    superFrame({ ...large, destinationMac: OTHER_MAC }),
  ];
}

/** Sizes from the smallest to the largest; at first those where something changes. */
function mixedFrames(options: { arm: number; count: number; superFrames: boolean }): Uint8Array[] {
  const { arm, count, superFrames } = options;
  const random = createRandom(count + arm);
  const sizes = [60, 61, 62, 63, 64, 1513, 1514];
  const longSizes = [2048, 65_535, 1801, 1800, 1799];
  return Array.from({ length: count }, (_, number) => {
    if (superFrames && random(8) === 0) {
      const bytes = longSizes.pop() ?? 2048 + random(63_000);
      return superFrame({ arm, number, bytes });
    }
    return numberedFrame({ arm, number, bytes: sizes.pop() ?? 60 + random(1455) });
  });
}

const arpRequest = (arm: number, host: number): Uint8Array =>
  arpFrame({
    ...{ sourceMac: FAR_MACS[arm]!, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: 1 },
    ...{ senderAddress: clientOf(arm), targetAddress: `10.8.${arm}.${200 + host}` },
  });

/** Puts frames on the wire wave by wave, each when the one before has been seen. */
async function pass(
  station: Station,
  arm: number,
  frames: readonly Uint8Array[],
  seenBefore = 0,
): Promise<void> {
  let done = 0;
  while (done < frames.length) {
    const wave = waveFrom(frames, done);
    await station.put(arm, wave);
    done += wave.length;
    await seenAfter(station, seenBefore + done);
  }
}

function waveFrom(frames: readonly Uint8Array[], from: number): Uint8Array[] {
  const wave: Uint8Array[] = [];
  let long = 0;
  for (const frame of frames.slice(from, from + WAVE_FRAMES)) {
    if (frame.length >= LONG_BYTES) long++;
    if (long > WAVE_LONG_FRAMES) break;
    wave.push(frame);
  }
  return wave;
}

/** Waits until the datapath has received so many frames. */
const seenAfter = (station: Station, count: number): Promise<void> =>
  expect.poll(async () => (await station.report()).seenFrames, POLL).toBeGreaterThanOrEqual(count);

async function seenBytes(station: Station, count: number): Promise<Uint8Array[]> {
  await seenAfter(station, count);
  return (await station.seen()).map(({ bytes }) => bytes);
}

/** What came out of an arm when it is so many frames, or the time is over. */
async function takenAfter(
  station: Station,
  arm: number,
  count: number,
): Promise<readonly Uint8Array[]> {
  await expect
    .poll(async () => (await station.taken(arm)).length, POLL)
    .toBeGreaterThanOrEqual(count);
  return station.taken(arm);
}

const POLL = { timeout: 20_000, interval: 5 };

/** Compares frame by frame, and tells of the first that differs. */
function expectFrames(actual: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  const wrong = expected.findIndex((bytes, index) => !sameBytes(bytes, actual[index]));
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
  if (wrong >= 0)
    expect(`${wrong}: ${hex(actual[wrong])}`).toBe(`${wrong}: ${hex(expected[wrong])}`);
  expect(actual.length).toBe(expected.length);
}

const sameBytes = (one: Uint8Array, other: Uint8Array | undefined): boolean =>
  other !== undefined && Buffer.compare(one, other) === 0;

function stamped(frames: readonly Uint8Array[], arm: number): Uint8Array[] {
  return frames.map((bytes) => {
    const copy = bytes.slice();
    stamp(new DataView(copy.buffer), 0, arm);
    return copy;
  });
}

const bytesOf = (frames: readonly Uint8Array[]): number =>
  frames.reduce((sum, { length }) => sum + length, 0);

const received = (frames: readonly Uint8Array[]) => ({
  receivedFrames: frames.length,
  receivedBytes: bytesOf(frames),
});

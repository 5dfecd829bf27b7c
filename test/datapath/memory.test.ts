// The memory datapath: as every datapath, and what only it can do.
import { expect, test } from 'vitest';
import { openMemory } from '../../src/datapath/memory.ts';
import { describeDatapath } from './conformance.ts';
import { openMemoryStation } from './memory-station.ts';

describeDatapath('memory', {
  open: async () => openMemoryStation(),
  superFrames: true,
  filters: false,
});

const arm = {
  ...{ name: 'eth0', interfaceIndex: 0, macHigh: 0x02000000, macLow: 1 },
  ...{ address: 0, prefixLength: 0, mtu: 1500 },
};
const frame = (mark: number): Uint8Array => new Uint8Array(60).fill(mark);

test('bytes go out as they are at the flush', () => {
  const datapath = openMemory([arm]);
  datapath.put(frame(1), 0);
  datapath.receive();
  datapath.send(0, 0);
  datapath.batch.frame.setUint8(datapath.batch.at[0]!, 9);
  expect(datapath.sent).toEqual([]);
  datapath.flush();
  expect(datapath.sent[0]?.bytes.subarray(0, 2)).toEqual(Uint8Array.of(9, 1));
});

test('marks partial checksums', () => {
  const datapath = openMemory([arm]);
  datapath.put(frame(1), 0, true);
  datapath.put(frame(2), 0);
  datapath.receive();
  expect([...datapath.batch.offload.subarray(0, 2)]).toEqual([1, 0]);
});

test('a link that is cut takes no frames, and says so when it is looked at', () => {
  const datapath = openMemory([arm]);
  datapath.setLink(0, 'down');
  expect(datapath.links).toEqual(['up']);
  expect([datapath.checkLinks(), datapath.checkLinks()]).toEqual([true, false]);
  expect(datapath.links).toEqual(['down']);
  datapath.inject(frame(1), 0);
  expect(datapath.counters[0]).toMatchObject({ sentFrames: 0, failedFrames: 1 });
  datapath.setLink(0, 'up');
  datapath.inject(frame(2), 0);
  expect(datapath.sent).toEqual([{ arm: 0, bytes: frame(2) }]);
  expect(datapath.checkLinks()).toBe(true);
});

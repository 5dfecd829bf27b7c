// What a test says of a frame that went through the director, in small pieces that combine. Sums
// are judged by the naive checksum, never by the code that made them.
import { expect } from 'vitest';
import { formatIpv4, formatMac } from '../../src/wire/address.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { naiveL4Checksum, naiveSum } from '../wire/naive-checksum.ts';

/** Looks at a frame before and after; throws if something is not as it should be. */
export type Check = (before: Uint8Array, after: Uint8Array) => void;

const L3 = ethernet.HEADER_BYTES;
const viewOf = (frame: Uint8Array) =>
  new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
const l4Of = (frame: DataView) => L3 + ipv4.headerBytes(frame, L3);
const checksumOffset = (frame: DataView) => (ipv4.protocol(frame, L3) === 6 ? 16 : 6);

export const unchanged: Check = (before, after) => expect(after).toEqual(before);

/** Every byte past the two MAC addresses is what it was. */
export const onlyMacsChanged: Check = (before, after) => {
  expect(after.subarray(12)).toEqual(before.subarray(12));
};

export const macs =
  ({ from, to }: { from: string; to: string }): Check =>
  (_, after) => {
    const view = viewOf(after);
    expect({
      from: formatMac(ethernet.sourceHigh(view, 0), ethernet.sourceLow(view, 0)),
      to: formatMac(ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0)),
    }).toEqual({ from, to });
  };

/** Source and destination as `address:port`. */
export const endpoints =
  (source: string, destination: string): Check =>
  (_, after) => {
    const view = viewOf(after);
    const l4 = l4Of(view);
    expect([
      `${formatIpv4(ipv4.source(view, L3))}:${tcp.sourcePort(view, l4)}`,
      `${formatIpv4(ipv4.destination(view, L3))}:${tcp.destinationPort(view, l4)}`,
    ]).toEqual([source, destination]);
  };

export const ttlOneLess: Check = (before, after) => {
  expect(ipv4.timeToLive(viewOf(after), L3)).toBe(ipv4.timeToLive(viewOf(before), L3) - 1);
};

export const headerChecksumGood: Check = (_, after) => {
  const view = viewOf(after);
  expect(naiveSum(after.subarray(L3, l4Of(view)))).toBe(0xffff);
};

/** The header's checksum and that of TCP or UDP. A UDP checksum of 0 is never good here. */
export const checksumsGood: Check = (before, after) => {
  headerChecksumGood(before, after);
  const view = viewOf(after);
  const l4 = l4Of(view);
  const offset = checksumOffset(view);
  const end = L3 + ipv4.totalBytes(view, L3);
  const good = naiveL4Checksum({ frame: view, l3: L3, l4, end, checksumOffset: offset });
  const isUdp = ipv4.protocol(view, L3) === ipv4.PROTOCOL_UDP;
  expect(view.getUint16(l4 + offset)).toBe(isUdp && good === 0 ? 0xffff : good);
};

/** The field of a partial checksum is the sum of the pseudo-header as it is now. */
export const partialChecksumGood: Check = (before, after) => {
  headerChecksumGood(before, after);
  const view = viewOf(after);
  const l4 = l4Of(view);
  const bytes = L3 + ipv4.totalBytes(view, L3) - l4;
  const tail = [0, ipv4.protocol(view, L3), bytes >>> 8, bytes & 0xff];
  const sum = naiveSum([...after.subarray(L3 + 12, L3 + 20), ...tail]);
  expect(view.getUint16(l4 + checksumOffset(view))).toBe(sum);
};

/** TCP or UDP checksum field as a number. */
export const checksumIs =
  (value: number): Check =>
  (_, after) => {
    const view = viewOf(after);
    expect(view.getUint16(l4Of(view) + checksumOffset(view))).toBe(value);
  };

/** What NAT must not touch: all but MACs, TTL, addresses, ports and checksums. */
export const restUntouched: Check = (before, after) => {
  const l4 = l4Of(viewOf(before));
  const sum = l4 + checksumOffset(viewOf(before));
  const mayChange = (at: number) =>
    at < 12 ||
    at === L3 + 8 ||
    (at >= L3 + 10 && at < L3 + 20) ||
    (at >= l4 && at < l4 + 4) ||
    at === sum ||
    at === sum + 1;
  const mask = (frame: Uint8Array) => frame.map((byte, at) => (mayChange(at) ? 0 : byte));
  expect(mask(after)).toEqual(mask(before));
};

// The Internet checksum word by word, as RFC 1071 tells it and with no thought of speed: what the
// fast and the incremental forms are judged by.

/** The one's complement sum of big-endian words, an odd last byte padded with 0. */
export function naiveSum(bytes: Iterable<number>, seed = 0): number {
  const padded = [...bytes];
  if (padded.length % 2 === 1) padded.push(0);
  let sum = seed;
  for (let at = 0; at < padded.length; at += 2) {
    sum += padded[at]! * 256 + padded[at + 1]!;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** The checksum that a TCP segment or UDP datagram should carry, its own field taken as 0. */
export function naiveL4Checksum(options: {
  readonly frame: DataView;
  readonly l3: number;
  readonly l4: number;
  readonly end: number;
  readonly checksumOffset: number;
}): number {
  const { frame, l3, l4, end, checksumOffset } = options;
  const bytes = (from: number, to: number) =>
    new Uint8Array(frame.buffer, frame.byteOffset + from, to - from);
  const segment = bytes(l4, end).slice();
  segment.fill(0, checksumOffset, checksumOffset + 2);
  const length = end - l4;
  const tail = [0, frame.getUint8(l3 + 9), length >>> 8, length & 0xff];
  return 0xffff - naiveSum([...bytes(l3 + 12, l3 + 20), ...tail, ...segment]);
}

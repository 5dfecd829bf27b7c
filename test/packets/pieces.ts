// Packets cut into fragments and put together again, as slow and plain as RFC 791 has it: what the
// director never does itself, and what its work is judged by.
import * as ipv4 from '../../src/wire/ipv4.ts';

const L3 = 14;
const L4 = 34;

const viewOf = (frame: Uint8Array) => new DataView(frame.buffer, frame.byteOffset, frame.length);

/**
 * Cuts a whole packet without options; the payload of each fragment but the last has the next of
 * these sizes, again and again.
 */
export function cutUp(
  frame: Uint8Array,
  sizes: readonly number[],
  identification = 7,
): Uint8Array[] {
  const header = ipv4.parse(viewOf(frame), L3);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < header.payloadBytes; ) {
    const bytes = Math.min(sizes[pieces.length % sizes.length]!, header.payloadBytes - at);
    const piece = new Uint8Array(L4 + bytes);
    piece.set(frame.subarray(0, L3));
    piece.set(frame.subarray(L4 + at, L4 + at + bytes), L4);
    ipv4.emit(viewOf(piece), L3, {
      ...{ ...header, identification, dontFragment: false, payloadBytes: bytes },
      ...{ moreFragments: at + bytes < header.payloadBytes, fragmentOffsetBytes: at },
    });
    pieces.push(piece);
    at += bytes;
  }
  return pieces;
}

/**
 * The whole packet of these fragments, in whatever order; the Ethernet header is that of the first.
 * @throws Error if a byte is missing or double, or if they do not belong together
 */
export function putTogether(pieces: readonly Uint8Array[]): Uint8Array {
  const parsed = pieces.map((frame) => ({ frame, header: ipv4.parse(viewOf(frame), L3) }));
  parsed.sort((one, other) => one.header.fragmentOffsetBytes - other.header.fragmentOffsetBytes);
  let at = 0;
  for (const [index, { header }] of parsed.entries()) {
    const { source, destination, identification, protocol } = parsed[0]!.header;
    const isOne = header.source === source && header.destination === destination;
    if (!isOne || header.protocol !== protocol || header.identification !== identification) {
      throw new Error('fragments of several packets');
    }
    if (header.fragmentOffsetBytes !== at) throw new Error(`a gap or an overlap at ${at}`);
    if (header.moreFragments !== index < parsed.length - 1) throw new Error('where is the end?');
    at += header.payloadBytes;
  }
  const whole = new Uint8Array(L4 + at);
  for (const { frame, header } of parsed) {
    whole.set(frame.subarray(L4, L4 + header.payloadBytes), L4 + header.fragmentOffsetBytes);
  }
  whole.set(parsed[0]!.frame.subarray(0, L3));
  const { header } = parsed[0]!;
  ipv4.emit(viewOf(whole), L3, { ...header, moreFragments: false, payloadBytes: at });
  return whole;
}

/** Every order of these. */
export function permutations<T>(list: readonly T[]): T[][] {
  if (list.length < 2) return [[...list]];
  return list.flatMap((first, index) =>
    permutations(list.toSpliced(index, 1)).map((rest) => [first, ...rest]),
  );
}

/** The same packet back to where it came from; addresses and ports lie side by side. */
export function replyTo(frame: Uint8Array, addressAt: number, portsAt: number): Uint8Array {
  const reply = frame.slice();
  const swap = (at: number, end: number) => {
    const middle = (at + end) / 2;
    reply.set([...frame.subarray(middle, end), ...frame.subarray(at, middle)], at);
  };
  swap(addressAt, portsAt);
  swap(portsAt, portsAt + 4);
  return reply;
}

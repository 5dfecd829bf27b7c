// Cuts a packet that is too long for its next network, and may be cut, into fragments (RFC 791,
// 3.2). It has been rewritten already; its pieces are copies, which leave by the outbox. This is
// the slow way, for senders that do not do path MTU discovery.
import * as checksum from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { TAKEN, type Verdict } from './verdict.ts';

const MORE_FRAGMENTS = 0x2000;
const HEADERS = ethernet.HEADER_BYTES + ipv4.HEADER_BYTES;

/**
 * Leaves the pieces of a packet without options in the outbox.
 * @param out the arm that they are sent on; its MTU is 68 at least, as of every arm with IPv4
 * @param partial 1 if its checksum is unfinished, which must be done now: nobody could do it later
 */
export function cutFrame(
  director: Director,
  frame: DataView,
  at: number,
  out: number,
  partial: number,
): Verdict {
  const { outbox, counters } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  if (partial !== 0) finishChecksum(frame, l3);
  const field = ipv4.fragmentField(frame, l3);
  const payload = ipv4.totalBytes(frame, l3) - ipv4.HEADER_BYTES;
  const most = ((director.armFrameBytes[out] as number) - HEADERS) & ~7;
  const source = new Uint8Array(frame.buffer, frame.byteOffset + at, HEADERS + payload);
  for (let done = 0; done < payload; done += most) {
    const next = Math.min(payload, done + most);
    const bytes = new Uint8Array(HEADERS + next - done);
    bytes.set(source.subarray(0, HEADERS));
    bytes.set(source.subarray(HEADERS + done, HEADERS + next), HEADERS);
    layFragment(bytes, (field + (done >>> 3)) | (next < payload ? MORE_FRAGMENTS : 0));
    // The frame that came in counts once, with its first piece.
    outbox.push(done === 0 ? { arm: out, bytes, countAs: GLOBAL.sentFrames } : { arm: out, bytes });
  }
  counters.values[GLOBAL.cutFrames] = (counters.values[GLOBAL.cutFrames] as number) + 1;
  return TAKEN;
}

/** Sets length, flags, offset and header checksum of a piece. */
function layFragment(bytes: Uint8Array, field: number): void {
  const view = new DataView(bytes.buffer);
  const l3 = ethernet.HEADER_BYTES;
  view.setUint16(l3 + 2, bytes.length - l3);
  view.setUint16(l3 + 6, field);
  view.setUint16(l3 + 10, 0);
  view.setUint16(l3 + 10, checksum.finish(checksum.sum(view, l3, HEADERS)));
}

/** The field holds the sum of the pseudo-header; the rest of the packet is added to it. */
function finishChecksum(frame: DataView, l3: number): void {
  const l4 = l3 + ipv4.HEADER_BYTES;
  const isTcp = ipv4.protocol(frame, l3) === ipv4.PROTOCOL_TCP;
  const field = l4 + (isTcp ? tcp.CHECKSUM_OFFSET : udp.CHECKSUM_OFFSET);
  const sum = checksum.sum(frame, l4, l3 + ipv4.totalBytes(frame, l3));
  frame.setUint16(field, checksum.finish(sum) || (isTcp ? 0 : 0xffff));
}

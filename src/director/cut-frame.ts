// Cuts a packet that is too long for its next network, and may be cut, into fragments (RFC 791,
// 3.2). It has been rewritten already, and may have outer headers before it: then it is the inner
// packet that is cut, and each piece gets them. The pieces are copies, which leave by the outbox.
// This is the slow way, for senders that do not do path MTU discovery.
import * as checksum from '../wire/checksum.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { mendOuter } from './encapsulate.ts';
import { finishChecksum } from './length.ts';
import { dropped } from './refuse.ts';
import { detailOf, restOf, TAKEN, type Verdict } from './verdict.ts';

const TOO_BIG = DROP['too-big'];
const MORE_FRAGMENTS = 0x2000;
/** The room that a piece needs: pieces but the last are of whole eight bytes. */
export const LEAST_PIECE = ipv4.HEADER_BYTES + 8;
const HEADERS = ethernet.HEADER_BYTES + ipv4.HEADER_BYTES;

/**
 * Leaves the pieces of a packet without options in the outbox.
 * @param sent the verdict on the packet as a whole: the arm that its pieces are sent on, and how
 * far ahead it begins
 * @param partial 1 if its checksum is unfinished, which must be done now: nobody could do it later
 * @param room how long a piece may be, without outer headers
 */
export function cutFrame(
  director: Director,
  frame: DataView,
  at: number,
  sent: Verdict,
  partial: number,
  room: number,
): Verdict {
  // An arm may have any MTU, and outer headers may take up all of it.
  if (room < LEAST_PIECE) return dropped(director, TOO_BIG);
  const most = (room - ipv4.HEADER_BYTES) & ~7;
  const { outbox, counters } = director;
  const out = detailOf(sent);
  const ahead = restOf(sent);
  const l3 = at + ethernet.HEADER_BYTES;
  if (partial !== 0) finishChecksum(frame, l3, l3 + ipv4.HEADER_BYTES, ipv4.protocol(frame, l3));
  const field = ipv4.fragmentField(frame, l3);
  const payload = ipv4.totalBytes(frame, l3) - ipv4.HEADER_BYTES;
  const head = HEADERS + ahead;
  const source = new Uint8Array(frame.buffer, frame.byteOffset + at - ahead, head + payload);
  for (let done = 0; done < payload; done += most) {
    const next = Math.min(payload, done + most);
    const bytes = new Uint8Array(head + next - done);
    const view = new DataView(bytes.buffer);
    bytes.set(source.subarray(0, head));
    bytes.set(source.subarray(head + done, head + next), head);
    const more = next < payload ? MORE_FRAGMENTS : 0;
    layFragment(view, ethernet.HEADER_BYTES + ahead, (field + (done >>> 3)) | more);
    mendOuter(director, view, ahead);
    // The frame that came in counts once, with its first piece.
    const piece = { arm: out, bytes, tag: director.tag };
    outbox.push(done === 0 ? { ...piece, countAs: GLOBAL.sentFrames } : piece);
  }
  counters.values[GLOBAL.cutFrames] = (counters.values[GLOBAL.cutFrames] as number) + 1;
  return TAKEN;
}

/** Sets length, flags, offset and header checksum of a piece. */
function layFragment(view: DataView, l3: number, field: number): void {
  view.setUint16(l3 + 2, view.byteLength - l3);
  view.setUint16(l3 + 6, field);
  view.setUint16(l3 + 10, 0);
  view.setUint16(l3 + 10, checksum.finish(checksum.sum(view, l3, l3 + ipv4.HEADER_BYTES)));
}

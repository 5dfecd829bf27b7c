// Cuts a super-frame into the packets that its sender's device would have made of it (segmentation
// offload). Everywhere else the kernel does that; inside a tunnel of ours it does not see that
// there is something to cut. The segments are copies, which take the place of their frame: nothing
// of a flow overtakes what was before it.
import * as checksum from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import { packetBytes } from '../wire/tunnel.ts';
import * as udp from '../wire/udp.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { mendOuter } from './encapsulate.ts';
import { mayCut, segmentBytes } from './length.ts';
import { detailOf, restOf, segmented, type Verdict } from './verdict.ts';

/**
 * Most segments that are made of one frame. 64 KiB in segments of the smallest usual size (RFC
 * 9293, 3.7.1) are fewer.
 */
export const MOST_SEGMENTS = 128;
/** What a datapath says that knows of a super-frame, but not of which size its segments were. */
const UNKNOWN_SIZE = 1;

const headerOf = (frame: DataView, l4: number, protocol: number): number =>
  protocol === ipv4.PROTOCOL_TCP ? tcp.dataOffsetBytes(frame, l4) : udp.HEADER_BYTES;

/**
 * Bytes of payload for each segment of a super-frame whose segments shall fit `longest` bytes.
 * @returns 0 if they do not; those of TCP that may be cut are made to, as their sender is not told
 */
export function segmentPayload(
  frame: DataView,
  l3: number,
  l4: number,
  protocol: number,
  offload: number,
  longest: number,
): number {
  const room = longest - (l4 - l3) - headerOf(frame, l4, protocol);
  const payload = segmentBytes(offload);
  const isTcp = protocol === ipv4.PROTOCOL_TCP;
  const isCut = isTcp && !ipv6.isAt(frame, l3) && mayCut(frame, l3);
  if (room <= 0 || (payload > room && !isCut)) return 0;
  return payload > room || (isTcp && payload === UNKNOWN_SIZE) ? room : payload;
}

/**
 * Leaves the segments of a frame in `segments`.
 * @param sent the verdict on the frame as a whole: its arm, and how far ahead it begins
 * @param payload bytes for each segment, from segmentPayload
 * @param partial 1 if its checksum is unfinished
 */
export function segmentFrame(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  protocol: number,
  sent: Verdict,
  payload: number,
  partial: number,
): Verdict {
  const { segments } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const ahead = restOf(sent);
  const data = l4 + headerOf(frame, l4, protocol);
  const end = l3 + packetBytes(frame, l3);
  const count = Math.ceil((end - data) / payload);
  const head = data - at + ahead;
  const source = new Uint8Array(frame.buffer, frame.byteOffset + at - ahead, end - at + ahead);
  const room = new Uint8Array(count * head + end - data);
  const arm = detailOf(sent);
  let from = 0;
  for (let number = 0; number < count; number++) {
    const done = number * payload;
    const bytes = room.subarray(from, from + head + Math.min(payload, end - data - done));
    bytes.set(source.subarray(0, head));
    bytes.set(source.subarray(head + done, head + done + bytes.length - head), head);
    const view = new DataView(room.buffer, from, bytes.length);
    const place = { protocol, number, done, isLast: number === count - 1, partial };
    laySegment(view, ethernet.HEADER_BYTES + ahead, l4 - l3, place);
    mendOuter(director, view, ahead);
    // The frame that came in counts once, with its first segment.
    const segment = { arm, bytes, tag: director.tag };
    segments.push(number === 0 ? { ...segment, countAs: GLOBAL.sentFrames } : segment);
    from += bytes.length;
  }
  director.values[GLOBAL.segmentedFrames] = (director.values[GLOBAL.segmentedFrames] as number) + 1;
  return segmented(count);
}

interface Place {
  readonly protocol: number;
  readonly number: number;
  /** Bytes of payload before this segment. */
  readonly done: number;
  readonly isLast: boolean;
  readonly partial: number;
}

/** Makes the headers of a copy those of one segment. */
function laySegment(view: DataView, l3: number, header: number, place: Place): void {
  const l4 = l3 + header;
  const { protocol } = place;
  const end = view.byteLength;
  const ofIpv6 = ipv6.isAt(view, l3);
  if (ofIpv6) {
    view.setUint16(l3 + 4, end - l3 - ipv6.HEADER_BYTES);
  } else {
    view.setUint16(l3 + 2, end - l3);
    view.setUint16(l3 + 4, ipv4.identification(view, l3) + place.number);
    view.setUint16(l3 + 10, 0);
    view.setUint16(l3 + 10, checksum.finish(checksum.sum(view, l3, l4)));
  }
  if (protocol === ipv4.PROTOCOL_TCP) layTcp(view, l4, place);
  else view.setUint16(l4 + 4, end - l4);
  const field = l4 + (protocol === ipv4.PROTOCOL_TCP ? 16 : 6);
  // UDP without a checksum stays without.
  if (field === l4 + 6 && place.partial === 0 && view.getUint16(field) === 0) return;
  view.setUint16(field, 0);
  const [source, destination] = [ipv4.source(view, l3), ipv4.destination(view, l3)];
  const seed = ofIpv6
    ? ipv6.pseudoHeader(view, l3, protocol, end - l4)
    : checksum.pseudoHeader(source, destination, protocol, end - l4);
  view.setUint16(field, checksum.finish(checksum.sum(view, l4, end, seed)) || 0xffff);
}

/** FIN and PSH belong to the last segment, CWR to the first (RFC 3168, 6.1.2). */
function layTcp(view: DataView, l4: number, { number, done, isLast }: Place): void {
  view.setInt32(l4 + 4, view.getInt32(l4 + 4) + done);
  let flags = tcp.flags(view, l4);
  if (!isLast) flags &= ~(tcp.FIN | tcp.PSH);
  if (number > 0) flags &= ~tcp.CWR;
  view.setUint8(l4 + 13, flags);
}

// How long a frame may be: judged by what will be on the wire, so a super-frame by its segments. A
// tunnel's own room is judged where the packet goes into it: see encapsulate.ts.
// `offload` is what a batch says of a frame: the lowest bit for a partial checksum, the bits above
// it for the bytes of payload in each segment of a super-frame.
import * as flow from '../flow/flow-table.ts';
import * as checksum from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tcp from '../wire/tcp.ts';
import { packetBytes } from '../wire/tunnel.ts';
import * as udp from '../wire/udp.ts';
import type { Director } from './director.ts';
import { WAY_ARM, WAY_WORDS } from './neighbours.ts';

/** Added to `offload`: the frame may be of any length, because it will be cut. */
export const ANY_LENGTH = 1 << 31;

/** Bytes of payload in each segment of a super-frame; 0 for any other frame. */
export const segmentBytes = (offload: number): number => (offload & ~ANY_LENGTH) >>> 1;

/** True if a packet makes a frame of more than `longest` bytes. */
export const isLonger = (frame: DataView, l3: number, longest: number): boolean =>
  ethernet.HEADER_BYTES + packetBytes(frame, l3) > longest;

/** Options would have to be sorted out piece by piece; a packet that has some is not cut. */
export const mayCut = (frame: DataView, l3: number): boolean =>
  !ipv4.dontFragment(frame, l3) && ipv4.headerBytes(frame, l3) === ipv4.HEADER_BYTES;

/** Finishes a partial checksum, which holds the sum of the pseudo-header: adds the rest. */
export function finishChecksum(frame: DataView, l3: number, l4: number, protocol: number): void {
  const isTcp = protocol === ipv4.PROTOCOL_TCP;
  const field = l4 + (isTcp ? tcp.CHECKSUM_OFFSET : udp.CHECKSUM_OFFSET);
  const sum = checksum.sum(frame, l4, l3 + packetBytes(frame, l3));
  frame.setUint16(field, checksum.finish(sum) || (isTcp ? 0 : 0xffff));
}

/**
 * True if a packet of this flow will be too long, on the wire, for the arm that it goes out on; how
 * long it may be is noted then. False if there is another reason why it cannot be sent: that one
 * comes first.
 * @param found as from findFlow
 */
export function isTooLong(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  offload: number,
  found: number,
): boolean {
  if ((offload & ANY_LENGTH) !== 0 || flow.isOver(director.flows, found >>> 1, director.nowMs)) {
    return false;
  }
  const { records } = director.flows;
  const record = (found >>> 1) * flow.RECORD_WORDS;
  if (((records[record + flow.META] as number) & flow.TUNNEL_BIT) !== 0) return false;
  const isNat = ((records[record + flow.META] as number) & flow.NAT_BIT) !== 0;
  const l3 = at + ethernet.HEADER_BYTES;
  if (isNat && ipv4.timeToLive(frame, l3) <= 1) return false;
  const way = ((records[record + flow.IDS] as number) & 0xffff) * WAY_WORDS;
  const isReply = (found & 1) !== 0;
  const arm = isReply
    ? (records[record + flow.HOP_LOW] as number) >>> 16
    : (director.ways[way + WAY_ARM] as number);
  if (arm < 0) return false;
  return isTooLongFor(director, frame, at, l4, offload, arm, ipv4.protocol(frame, l3));
}

/** Whether a packet will be too long, on the wire, for this arm; how long it may be is noted. */
export function isTooLongFor(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  offload: number,
  arm: number,
  protocol: number,
): boolean {
  const longest = director.armFrameBytes[arm] as number;
  director.narrowMtu = longest - ethernet.HEADER_BYTES;
  const payload = segmentBytes(offload);
  if (payload === 0) return isLonger(frame, at + ethernet.HEADER_BYTES, longest);
  const isTcp = protocol === ipv4.PROTOCOL_TCP;
  const header = isTcp ? tcp.dataOffsetBytes(frame, l4) : udp.HEADER_BYTES;
  return l4 - at + header + payload > longest;
}

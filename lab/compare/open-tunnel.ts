// A frame of a tunnel as what it carries: the inner packet in place of the outer one, which stands
// beside it. By its own reading of the bytes, as all that verify judges by: IP in IP (RFC 2003) and
// GUE of variant 0 (draft-ietf-intarea-gue, 3) on its UDP port. Any other frame is left as it is.
import { dissect, ETHERNET_BYTES, type Frame, type Packet, UDP } from '../verify/dissect.ts';

export interface Carried extends Frame {
  readonly outer: Packet | undefined;
}

const IPIP = 4;
const GUE_PORT = 6080;

/** @param frame of a capture that was taken with offloads off */
export function openTunnel(frame: Frame): Carried {
  const innerAt = innerOf(frame);
  if (innerAt === undefined) return { ...frame, outer: undefined };
  const header = frame.bytes.subarray(0, ETHERNET_BYTES);
  const bytes = Buffer.concat([header, frame.bytes.subarray(innerAt)]);
  const { file, number, timestampUs } = frame;
  const captured = { number, timestampUs, bytes, originalBytes: bytes.length };
  const inner = dissect({ file, offloads: 'off' }, captured);
  return { ...inner, cut: frame.cut, outer: frame.packet };
}

/** Where the inner packet begins; undefined in a frame of no tunnel. */
function innerOf({ packet, bytes }: Frame): number | undefined {
  if (packet === undefined) return undefined;
  const { protocol, destinationPort, payloadAt } = packet;
  if (protocol === IPIP) return ETHERNET_BYTES + packet.headerBytes;
  if (protocol !== UDP || destinationPort !== GUE_PORT) return undefined;
  const [first = 0xff, carries] = bytes.subarray(payloadAt);
  // Variant, control flag, and the length of what is optional, in words of four bytes.
  if (first >> 5 !== 0 || carries !== IPIP) return undefined;
  return payloadAt + 4 + (first & 0x1f) * 4;
}

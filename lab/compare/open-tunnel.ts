// A frame of a tunnel as what it carries: the inner packet in place of the outer one, of which the
// address that it goes to stands beside it. IP in IP (RFC 2003) and GUE of variant 0
// (draft-ietf-intarea-gue, 3) on its UDP port; any other frame is left as it is.
import { dissect, ETHERNET_BYTES, type Frame, UDP } from '../verify/dissect.ts';
import { ipHeaderAt } from '../verify/ip-header.ts';

export interface Carried extends Frame {
  /** Where the tunnel ends; undefined in none. */
  readonly tunnelTo: string | undefined;
}

const IPIP = 4;
const GUE_PORT = 6080;
const UDP_BYTES = 8;

/** @param frame of a capture that was taken with offloads off */
export function openTunnel(frame: Frame): Carried {
  const { file, number, timestampUs, cut, bytes } = frame;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const outer = frame.packet && ipHeaderAt(view, bytes, ETHERNET_BYTES);
  const innerAt = outer && innerOf(view, outer.protocol, ETHERNET_BYTES + outer.headerBytes);
  if (outer === undefined || innerAt === undefined) return { ...frame, tunnelTo: undefined };
  const inner = Buffer.concat([bytes.subarray(0, ETHERNET_BYTES), bytes.subarray(innerAt)]);
  const captured = { number, timestampUs, bytes: inner, originalBytes: inner.length };
  return { ...dissect({ file, offloads: 'off' }, captured), cut, tunnelTo: outer.destination };
}

/** Where the inner packet begins; undefined in a frame of no tunnel. */
function innerOf(view: DataView, protocol: number, l4: number): number | undefined {
  if (protocol === IPIP) return l4;
  const at = l4 + UDP_BYTES;
  if (protocol !== UDP || view.byteLength < at + 4) return undefined;
  if (view.getUint16(l4 + 2) !== GUE_PORT) return undefined;
  const first = view.getUint8(at);
  // Variant, control flag, and the length of what is optional, in words of four bytes.
  if (first >> 5 !== 0 || view.getUint8(at + 1) !== IPIP) return undefined;
  return at + 4 + (first & 0x1f) * 4;
}

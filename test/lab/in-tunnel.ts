// Puts a frame's packet into a tunnel, as a director would, for captures that no lab made. Written
// by itself: what judges the director shall not be tested with the director's own headers.
import { udpFrame } from '../../lab/frame.ts';

export interface TunnelEnds {
  readonly kind: 'ipip' | 'gue';
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
}

const ETHERNET_BYTES = 14;
const IPV4_BYTES = 20;
const UDP_BYTES = 8;
const GUE_PORT = 6080;
/** Variant 0, no options, IPv4 within. */
const GUE_HEADER = [0, 4, 0, 0];

export function inTunnel(bytes: Uint8Array, ends: TunnelEnds): Uint8Array {
  const inner = bytes.subarray(ETHERNET_BYTES);
  const { kind, ...addresses } = ends;
  const fields = { ...addresses, destinationPort: GUE_PORT };
  if (kind === 'gue') {
    return udpFrame({ ...fields, payload: Uint8Array.from([...GUE_HEADER, ...inner]) });
  }
  // As long as the frame shall be; then without UDP.
  const frame = udpFrame({ ...fields, payload: inner.subarray(UDP_BYTES) });
  frame.set(inner, ETHERNET_BYTES + IPV4_BYTES);
  frame[ETHERNET_BYTES + 9] = 4;
  finishHeader(frame);
  return frame;
}

/** The frame without the tunnel's headers. */
export function outOfTunnel(bytes: Uint8Array): Uint8Array {
  const ipip = bytes[ETHERNET_BYTES + 9] === 4;
  const ahead = ipip ? IPV4_BYTES : IPV4_BYTES + UDP_BYTES + GUE_HEADER.length;
  const inner = bytes.subarray(ETHERNET_BYTES + ahead);
  return Uint8Array.from([...bytes.subarray(0, ETHERNET_BYTES), ...inner]);
}

/** The checksum of the IP header (RFC 791), word by word. */
function finishHeader(frame: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset + ETHERNET_BYTES, IPV4_BYTES);
  view.setUint16(10, 0);
  let sum = 0;
  for (let at = 0; at < IPV4_BYTES; at += 2) sum += view.getUint16(at);
  view.setUint16(10, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
}

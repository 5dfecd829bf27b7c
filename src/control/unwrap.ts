// What a tunnel's packet holds, judged before it is given to the host's own IP stack: only whole
// packets to an allowed VIP come out, since anybody may send to a tunnel's end.
import * as ipv4 from '../wire/ipv4.ts';
import { innerOfGue } from '../wire/tunnel.ts';

export const REFUSALS = [
  ['malformed', 'no whole IPv4 packet in it'],
  ['checksum', 'the checksum of the inner header is wrong'],
  ['not-a-vip', 'the inner packet is to no VIP of this host'],
  ['congestion', 'marked as congested on its way, and its sender knows no such marks (RFC 6040)'],
] as const;
export type Refusal = (typeof REFUSALS)[number][0];

export type Unwrapped =
  | { readonly ok: true; readonly packet: Buffer; readonly destination: number }
  | { readonly ok: false; readonly refusal: Refusal };

const CONGESTION_EXPERIENCED = 3;

/** The packet in one of IPIP, whose outer header it begins with. */
export function unwrapIpip(bytes: Buffer, vips: ReadonlySet<number>): Unwrapped {
  const view = viewOf(bytes);
  if (ipv4.check(view, 0, bytes.length) !== 0) return { ok: false, refusal: 'malformed' };
  const end = ipv4.totalBytes(view, 0);
  return judge(bytes.subarray(ipv4.headerBytes(view, 0), end), vips, view.getUint8(1) & 3);
}

/** The packet in a GUE message, which is all that a UDP socket shows. */
export function unwrapGue(bytes: Buffer, vips: ReadonlySet<number>): Unwrapped {
  const at = innerOfGue(viewOf(bytes), 0, bytes.length);
  if (at === 0) return { ok: false, refusal: 'malformed' };
  return judge(bytes.subarray(at), vips, 0);
}

/** @param outerMark the two bits of the outer header that tell of congestion (RFC 3168) */
function judge(bytes: Buffer, vips: ReadonlySet<number>, outerMark: number): Unwrapped {
  const view = viewOf(bytes);
  if (ipv4.check(view, 0, bytes.length) !== 0) return { ok: false, refusal: 'malformed' };
  if (!ipv4.hasGoodChecksum(view, 0)) return { ok: false, refusal: 'checksum' };
  const destination = ipv4.destination(view, 0);
  if (!vips.has(destination)) return { ok: false, refusal: 'not-a-vip' };
  if (outerMark === CONGESTION_EXPERIENCED) {
    const typeOfService = view.getUint8(1);
    if ((typeOfService & 3) === 0) return { ok: false, refusal: 'congestion' };
    // The kernel computes the header's checksum when it takes the packet.
    view.setUint8(1, typeOfService | CONGESTION_EXPERIENCED);
  }
  return { ok: true, packet: bytes.subarray(0, ipv4.totalBytes(view, 0)), destination };
}

const viewOf = (bytes: Buffer) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

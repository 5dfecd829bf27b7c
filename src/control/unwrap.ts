// What a tunnel's packet holds, judged before it is given to the host's own IP stack: only whole
// packets to an allowed VIP come out, since anybody may send to a tunnel's end.
import { formatIpv4, formatIpv6 } from '../wire/address.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { innerOfGue, packetBytes } from '../wire/tunnel.ts';

export const REFUSALS = [
  ['malformed', 'no whole IP packet in it'],
  ['checksum', 'the checksum of the inner header is wrong'],
  ['not-a-vip', 'the inner packet is to no VIP of this host'],
  ['congestion', 'marked as congested on its way, and its sender knows no such marks (RFC 6040)'],
] as const;
export type Refusal = (typeof REFUSALS)[number][0];

export type Unwrapped =
  | { readonly ok: true; readonly packet: Buffer; readonly destination: string }
  | { readonly ok: false; readonly refusal: Refusal };

const CONGESTION_EXPERIENCED = 3;

/** What comes out is to one of these; as formatIpv4 and formatIpv6 write them. */
type Vips = ReadonlySet<string>;

/** The packet in one of IPIP over IPv4, whose outer header it begins with. */
export function unwrapIpip(bytes: Buffer, vips: Vips): Unwrapped {
  const view = viewOf(bytes);
  if (ipv4.check(view, 0, bytes.length) !== 0) return { ok: false, refusal: 'malformed' };
  const end = ipv4.totalBytes(view, 0);
  return judge(bytes.subarray(ipv4.headerBytes(view, 0), end), vips, view.getUint8(1) & 3);
}

/** The packet in one over IPv6, of which a raw socket shows no outer header. */
export const unwrapIpip6 = (bytes: Buffer, vips: Vips): Unwrapped => judge(bytes, vips, 0);

/** The packet in a GUE message, which is all that a UDP socket shows. */
export function unwrapGue(bytes: Buffer, vips: Vips): Unwrapped {
  const at = innerOfGue(viewOf(bytes), 0, bytes.length);
  if (at === 0) return { ok: false, refusal: 'malformed' };
  return judge(bytes.subarray(at), vips, 0);
}

/** @param outerMark the two bits of the outer header that tell of congestion (RFC 3168) */
function judge(bytes: Buffer, vips: Vips, outerMark: number): Unwrapped {
  const view = viewOf(bytes);
  const ofIpv6 = bytes.length > 0 && ipv6.isAt(view, 0);
  const bad = (ofIpv6 ? ipv6 : ipv4).check(view, 0, bytes.length);
  if (bad !== 0) return { ok: false, refusal: 'malformed' };
  if (!ofIpv6 && !ipv4.hasGoodChecksum(view, 0)) return { ok: false, refusal: 'checksum' };
  const destination = ofIpv6
    ? formatIpv6(ipv6.addressAt(view, ipv6.DESTINATION_OFFSET))
    : formatIpv4(ipv4.destination(view, 0));
  if (!vips.has(destination)) return { ok: false, refusal: 'not-a-vip' };
  if (outerMark === CONGESTION_EXPERIENCED) {
    // The traffic class of IPv6 lies four bits further on than IPv4's type of service.
    const shift = ofIpv6 ? 4 : 0;
    const field = view.getUint16(0);
    if (((field >>> shift) & 3) === 0) return { ok: false, refusal: 'congestion' };
    // The kernel computes the header's checksum when it takes the packet.
    view.setUint16(0, field | (CONGESTION_EXPERIENCED << shift));
  }
  return { ok: true, packet: bytes.subarray(0, packetBytes(view, 0)), destination };
}

const viewOf = (bytes: Buffer) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

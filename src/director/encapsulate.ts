// Requests that go to their real through a tunnel (methods ipip and gue): the real may be in any
// subnet, and it answers the client itself, as by DSR. The inner packet stays as it is and where it
// is; outer headers are written into the room before it. Source address and, with GUE, source port
// are those of the flow, so that routers and network cards on the way spread the flows over their
// paths and queues (as Katran does).
import { hashKey } from '../flow/flow-table.ts';
import * as checksum from '../wire/checksum.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as tunnel from '../wire/tunnel.ts';
import { ROW_STRIDE } from './counters.ts';
import type { Director } from './director.ts';
import { ANY_LENGTH, finishChecksum, segmentBytes } from './length.ts';
import { METHOD_GUE, METHOD_IPIP } from './table.ts';
import { sendAhead, type Verdict } from './verdict.ts';

/** Int32 words of a real's tunnel, in `tunnels` by real id. */
export const TUNNEL_WORDS = 4;
/** Bytes of its outer headers; 0 for a real without a tunnel. */
export const AHEAD = 0;
/** Outer source address, which bits of it vary from flow to flow, and the outer destination. */
const SOURCE = 1;
const VARYING = 2;
export const DESTINATION = 3;

/** The flow's hash here is no secret; directors with the same key give a flow the same source. */
const HASH_KEY = 0x6675_7269;
/** Source ports of GUE: the dynamic ones (RFC 6335, 6), 14 bits of the hash. */
const FIRST_SOURCE_PORT = 0xc000;
const OUTER_AT = ethernet.HEADER_BYTES;
const FRAGMENT = 0x3fff;

/** Brings the tunnels of all reals in line with the table. */
export function layTunnels({ tunnels, table, arms }: Director): void {
  const { source, prefixLength } = table.tunnel;
  const varying = prefixLength >= 32 ? 0 : -1 >>> prefixLength;
  tunnels.fill(0);
  for (const [id, method] of table.realMethod.entries()) {
    const neighbour = table.realNeighbour[id] as number;
    if (neighbour < 0 || (method !== METHOD_IPIP && method !== METHOD_GUE)) continue;
    const own = arms[table.neighbourArm[neighbour] as number]?.address ?? 0;
    const at = id * TUNNEL_WORDS;
    tunnels[at + AHEAD] = method === METHOD_IPIP ? tunnel.IPIP_BYTES : tunnel.GUE_BYTES;
    tunnels[at + SOURCE] = source === 0 ? own : source & ~varying;
    tunnels[at + VARYING] = source === 0 ? 0 : varying;
    tunnels[at + DESTINATION] = table.realAddress[id] as number;
  }
}

/** True if the address is one of the sources that were configured for tunnels. */
export function isTunnelSource({ table }: Director, address: number): boolean {
  const { source, prefixLength } = table.tunnel;
  return source !== 0 && (source ^ address) >>> (32 - prefixLength) === 0;
}

/**
 * False if a packet must be cut before it goes through its tunnel, or is too long for it; how long
 * it may be is noted then.
 * @param offload as a batch has it, or with ANY_LENGTH
 */
export function fitsTunnel(
  director: Director,
  frame: DataView,
  at: number,
  realId: number,
  out: number,
  offload: number,
): boolean {
  if ((offload & ANY_LENGTH) !== 0) return true;
  const ahead = director.tunnels[realId * TUNNEL_WORDS] as number;
  const longest = (director.armFrameBytes[out] as number) - ethernet.HEADER_BYTES - ahead;
  director.narrowMtu = longest;
  return segmentBytes(offload) === 0 && frame.getUint16(at + ethernet.HEADER_BYTES + 2) <= longest;
}

/** Sends a request of a flow through its real's tunnel, and counts it. */
export function sendThroughTunnel(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  realId: number,
  offload: number,
): Verdict {
  const { values, realRowsAt } = director;
  // The other end of a tunnel may be a program, for which nobody would finish it.
  if ((offload & (ANY_LENGTH | 1)) === 1) finishChecksum(frame, at + ethernet.HEADER_BYTES, l4);
  const row = realRowsAt + realId * ROW_STRIDE;
  values[row] = (values[row] as number) + 1;
  values[row + 1] = (values[row + 1] as number) + (end - at);
  return encapsulate(director, frame, at, l4, realId);
}

/** Puts the outer headers of a real's tunnel before an IPv4 packet; the real is resolved. */
export function encapsulate(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  realId: number,
): Verdict {
  const { tunnels, ways, table } = director;
  const word = realId * TUNNEL_WORDS;
  const ahead = tunnels[word] as number;
  const l3 = at + ethernet.HEADER_BYTES;
  const start = at - ahead;
  const way = realId << 2;
  frame.setInt32(start, ways[way] as number);
  frame.setInt32(start + 4, ways[way + 1] as number);
  frame.setInt32(start + 8, ways[way + 2] as number);
  frame.setUint16(start + 12, ethernet.TYPE_IPV4);
  const hash = flowHash(frame, l3, l4);
  const source = (tunnels[word + SOURCE] as number) | (hash & (tunnels[word + VARYING] as number));
  const isGue = ahead === tunnel.GUE_BYTES;
  const protocol = isGue ? ipv4.PROTOCOL_UDP : tunnel.PROTOCOL_IPIP;
  director.tunnelId = (director.tunnelId + 1) & 0xffff;
  const destination = tunnels[word + DESTINATION] as number;
  const id = director.tunnelId;
  tunnel.writeOuter(frame, start + OUTER_AT, l3, protocol, id, source, destination);
  if (isGue) {
    const port = FIRST_SOURCE_PORT | (hash >>> 18);
    tunnel.writeGue(frame, start + OUTER_AT + ipv4.HEADER_BYTES, l3, port, table.tunnel.port);
  }
  return sendAhead(ways[way + 3] as number, ahead);
}

/** Of the pieces of a packet only one shows ports, so they are left out for all of them. */
function flowHash(frame: DataView, l3: number, l4: number): number {
  const ports = (frame.getUint16(l3 + 6) & FRAGMENT) === 0 ? frame.getInt32(l4) : 0;
  const source = frame.getInt32(l3 + 12);
  return hashKey(HASH_KEY, source, frame.getInt32(l3 + 16), ports, frame.getUint8(l3 + 9));
}

/**
 * Mends the outer headers of a copy after its inner packet got another length: of one piece of
 * several, each of which gets an identification of its own.
 * @param frame begins with the Ethernet header; `ahead` bytes of outer headers follow it
 */
export function mendOuter(director: Director, frame: DataView, ahead: number): void {
  if (ahead === 0) return;
  const inner = OUTER_AT + ahead;
  const bytes = ahead + ipv4.totalBytes(frame, inner);
  director.tunnelId = (director.tunnelId + 1) & 0xffff;
  frame.setUint16(OUTER_AT + 2, bytes);
  frame.setUint16(OUTER_AT + 4, director.tunnelId);
  frame.setUint16(OUTER_AT + 10, 0);
  const l4 = OUTER_AT + ipv4.HEADER_BYTES;
  frame.setUint16(OUTER_AT + 10, checksum.finish(checksum.sum(frame, OUTER_AT, l4)));
  if (ahead === tunnel.GUE_BYTES) frame.setUint16(l4 + 4, bytes - ipv4.HEADER_BYTES);
}

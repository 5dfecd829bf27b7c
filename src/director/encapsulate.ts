// Requests that go to their real through a tunnel (methods ipip and gue): the real may be in any
// subnet, and it answers the client itself, as by DSR. The inner packet stays as it is and where it
// is; outer headers are written into the room before it. Source address and, with GUE, source port
// are those of the flow, so that routers and network cards on the way spread the flows over their
// paths and queues (as Katran does).
import { wordsAt, wordsOf } from '../flow/address-book.ts';
import { hashKey } from '../flow/flow-table.ts';
import { inSubnet6 } from '../wire/address.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tunnel from '../wire/tunnel.ts';
import { ROW_STRIDE } from './counters.ts';
import type { Director } from './director.ts';
import { ANY_LENGTH, finishChecksum, mayCut, segmentBytes } from './length.ts';
import { METHOD_GUE, METHOD_IPIP } from './table.ts';
import { sendAhead, type Verdict } from './verdict.ts';

/** Int32 words of a real's tunnel, in `tunnels` by real id. */
export const TUNNEL_WORDS = 12;
/** Bytes of its outer headers, which show their family too; 0 for a real without a tunnel. */
export const AHEAD = 0;
/** Which bits of the last word of the outer source address vary from flow to flow. */
const VARYING = 1;
/** How long packets may be that may be cut, if a router told of a narrower path, and until when. */
const NARROW = 2;
const NARROW_UNTIL = 3;
/** After that long the path may be wider again (RFC 8201, 4). */
const NARROW_MS = 600_000;
/** Outer addresses, four words each; one of IPv4 is the last of them. */
const SOURCE = 4;
export const DESTINATION = 8;
const LAST = 3;

/** The flow's hash here is no secret; directors with the same key give a flow the same source. */
const HASH_KEY = 0x6675_7269;
/** Source ports of GUE: the dynamic ones (RFC 6335, 6), 14 bits of the hash. */
const FIRST_SOURCE_PORT = 0xc000;
const OUTER_AT = ethernet.HEADER_BYTES;
const FRAGMENT = 0x3fff;

/** Brings the tunnels of all reals in line with the table. */
export function layTunnels({ tunnels, table, arms, flows }: Director): void {
  const { source, prefixLength, source6, prefixLength6 = 128 } = table.tunnel;
  const before = tunnels.slice();
  tunnels.fill(0);
  for (const [id, method] of table.realMethod.entries()) {
    const neighbour = table.realNeighbour[id] as number;
    if (neighbour < 0 || (method !== METHOD_IPIP && method !== METHOD_GUE)) continue;
    const arm = arms[table.neighbourArm[neighbour] as number];
    const address = table.realAddress[id] as number;
    const at = id * TUNNEL_WORDS;
    const ofIpv6 = table.neighbourFamily[neighbour] === 6;
    tunnels[at + AHEAD] =
      (ofIpv6 ? tunnel.OUTER6_BYTES : tunnel.OUTER_BYTES) +
      (method === METHOD_GUE ? tunnel.GUE_BYTES : 0);
    if (ofIpv6) {
      // Of 128 bits the last 32 are enough to vary.
      tunnels[at + VARYING] = source6 === undefined ? 0 : hostBits(Math.max(0, prefixLength6 - 96));
      tunnels.set(source6 ?? arm?.address6 ?? [], at + SOURCE);
      const from = wordsAt(address);
      tunnels.set(wordsOf(flows.book, address).subarray(from, from + 4), at + DESTINATION);
    } else {
      tunnels[at + VARYING] = source === 0 ? 0 : hostBits(prefixLength);
      tunnels[at + SOURCE + LAST] = source || (arm?.address ?? 0);
      tunnels[at + DESTINATION + LAST] = address;
    }
    const last = at + SOURCE + LAST;
    tunnels[last] = (tunnels[last] as number) & ~(tunnels[at + VARYING] as number);
    keepRoom(tunnels, before, at);
  }
}

/** What a router told of a tunnel holds on while it is one of the same kind to the same address. */
function keepRoom(tunnels: Int32Array, before: Int32Array, at: number): void {
  if (tunnels[at + AHEAD] !== before[at + AHEAD]) return;
  for (let word = at + DESTINATION; word <= at + DESTINATION + LAST; word++) {
    if (tunnels[word] !== before[word]) return;
  }
  tunnels[at + NARROW] = before[at + NARROW] as number;
  tunnels[at + NARROW_UNTIL] = before[at + NARROW_UNTIL] as number;
}

/** The bits of a word behind a prefix. */
const hostBits = (prefixLength: number): number => (prefixLength >= 32 ? 0 : -1 >>> prefixLength);

/** True if the address is one of the sources that were configured for tunnels. */
export function isTunnelSource({ table }: Director, address: number): boolean {
  const { source, prefixLength } = table.tunnel;
  return source !== 0 && ((source ^ address) & ~hostBits(prefixLength)) === 0;
}

/** The same for the IPv6 address that lies at `at`. */
export function isTunnelSource6({ table }: Director, frame: DataView, at: number): boolean {
  const { source6, prefixLength6 = 128 } = table.tunnel;
  return source6 !== undefined && inSubnet6(ipv6.addressAt(frame, at), source6, prefixLength6);
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
  const longest = roomFor(director, frame, at + ethernet.HEADER_BYTES, realId, out);
  director.narrowMtu = longest;
  const bytes = tunnel.packetBytes(frame, at + ethernet.HEADER_BYTES);
  return segmentBytes(offload) === 0 && bytes <= longest;
}

/** How long a packet, at `l3`, may be on its way to a real, without the outer headers it gets. */
export function roomFor(
  { tunnels, armFrameBytes, nowMs }: Director,
  frame: DataView,
  l3: number,
  realId: number,
  out: number,
): number {
  const word = realId * TUNNEL_WORDS;
  const ahead = tunnels[word + AHEAD] as number;
  const room = (armFrameBytes[out] as number) - ethernet.HEADER_BYTES - ahead;
  const narrow = tunnels[word + NARROW] as number;
  if (narrow === 0 || narrow >= room || ipv6.isAt(frame, l3) || !mayCut(frame, l3)) return room;
  return (((tunnels[word + NARROW_UNTIL] as number) - nowMs) | 0) > 0 ? narrow : room;
}

/**
 * Remembers how long a packet may be on its way through a real's tunnel: one that may be cut will
 * be before it goes in, for its sender takes no advice (RFC 2473, 7.2).
 */
export function rememberRoom({ tunnels, nowMs }: Director, realId: number, room: number): void {
  tunnels[realId * TUNNEL_WORDS + NARROW] = room;
  tunnels[realId * TUNNEL_WORDS + NARROW_UNTIL] = nowMs + NARROW_MS;
}

/**
 * Sends a request of a flow through its real's tunnel, and counts it.
 * @param protocol TCP's, or any other
 */
export function sendThroughTunnel(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  realId: number,
  offload: number,
  protocol: number,
): Verdict {
  const { values, realRowsAt } = director;
  // The other end of a tunnel may be a program, for which nobody would finish it.
  if ((offload & (ANY_LENGTH | 1)) === 1) {
    finishChecksum(frame, at + ethernet.HEADER_BYTES, l4, protocol);
  }
  const row = realRowsAt + realId * ROW_STRIDE;
  values[row] = (values[row] as number) + 1;
  values[row + 1] = (values[row + 1] as number) + (end - at);
  return encapsulate(director, frame, at, realId, (offload & ANY_LENGTH) === 0);
}

/**
 * Puts the outer headers of a real's tunnel before an IP packet; the real is resolved.
 * @param isWhole false if only pieces will be sent, whose outer headers are mended
 */
export function encapsulate(
  director: Director,
  frame: DataView,
  at: number,
  realId: number,
  isWhole: boolean,
): Verdict {
  const { tunnels, ways, table } = director;
  const word = realId * TUNNEL_WORDS;
  const ahead = tunnels[word] as number;
  const l3 = at + ethernet.HEADER_BYTES;
  const outer = l3 - ahead;
  const start = at - ahead;
  const way = realId << 2;
  frame.setInt32(start, ways[way] as number);
  frame.setInt32(start + 4, ways[way + 1] as number);
  frame.setInt32(start + 8, ways[way + 2] as number);
  const hash = flowHash(frame, l3);
  const varied = hash & (tunnels[word + VARYING] as number);
  const source = (tunnels[word + SOURCE + LAST] as number) | varied;
  if (tunnel.isGue(ahead)) {
    frame.setUint16(l3 - tunnel.GUE_BYTES, FIRST_SOURCE_PORT | (hash >>> 18));
    frame.setUint16(l3 - tunnel.GUE_BYTES + 2, table.tunnel.port);
  }
  if (ahead >= tunnel.OUTER6_BYTES) {
    frame.setUint16(start + 12, ethernet.TYPE_IPV6);
    ipv6.setAddress(frame, outer + ipv6.SOURCE_OFFSET, tunnels, word + SOURCE);
    frame.setInt32(outer + ipv6.DESTINATION_OFFSET - 4, source);
    ipv6.setAddress(frame, outer + ipv6.DESTINATION_OFFSET, tunnels, word + DESTINATION);
    // The label spreads the flows where nobody looks at ports (RFC 6438, 4).
    tunnel.writeOuter(frame, outer, ahead, hash, isWhole);
  } else {
    frame.setUint16(start + 12, ethernet.TYPE_IPV4);
    frame.setInt32(outer + 12, source);
    frame.setInt32(outer + 16, tunnels[word + DESTINATION + LAST] as number);
    tunnel.writeOuter(frame, outer, ahead, nextId(director), isWhole);
  }
  return sendAhead(ways[way + 3] as number, ahead);
}

function nextId(director: Director): number {
  director.tunnelId = (director.tunnelId + 1) & 0xffff;
  return director.tunnelId;
}

/** Of the pieces of a packet only one shows ports, so they are left out for all of them. */
function flowHash(frame: DataView, l3: number): number {
  if (ipv6.isAt(frame, l3)) {
    const source = ipv6.fold(frame, l3 + ipv6.SOURCE_OFFSET);
    const destination = ipv6.fold(frame, l3 + ipv6.DESTINATION_OFFSET);
    const next = ipv6.nextHeader(frame, l3);
    // Behind an extension header they would have to be looked for.
    const ports = ipv4.hasPorts(next) ? frame.getInt32(l3 + ipv6.HEADER_BYTES) : 0;
    return hashKey(HASH_KEY, source, destination, ports, next);
  }
  const isWhole = (frame.getUint16(l3 + 6) & FRAGMENT) === 0;
  const ports = isWhole ? frame.getInt32(l3 + ipv4.headerBytes(frame, l3)) : 0;
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
  const id = ahead >= tunnel.OUTER6_BYTES ? frame.getInt32(OUTER_AT) : nextId(director);
  tunnel.writeOuter(frame, OUTER_AT, ahead, id, true);
}

// The last step of what is sent on beside the flows' own packets: later fragments, and ICMP errors.
// They go to a real, or to where its flow's requests came from, whole or cut.
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import { packetBytes } from '../wire/tunnel.ts';
import { ROW_STRIDE } from './counters.ts';
import { cutFrame } from './cut-frame.ts';
import type { Director } from './director.ts';
import { encapsulate, roomFor, TUNNEL_WORDS } from './encapsulate.ts';
import { isLonger, mayCut } from './length.ts';
import { GONE, WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { setMacs } from './rewrite.ts';
import { send, type Verdict } from './verdict.ts';

const REAL_UNRESOLVED = DROP['real-unresolved'];
const NO_FLOW = DROP['no-flow'];
const TOO_BIG = DROP['too-big'];
const TTL_EXPIRED = DROP['ttl-expired'];

/**
 * Why a packet of either family cannot be sent on; one of IPv6 is never cut.
 * @param out the arm, or what a way has instead of one
 * @param nat whether it is routed, which takes one from its TTL, rather than bridged
 * @param ahead bytes of outer headers that it will get
 * @returns 0 if it can be, else the number of a drop reason
 */
export function obstacle(
  director: Director,
  frame: DataView,
  l3: number,
  out: number,
  nat: boolean,
  ahead = 0,
): number {
  if (out < 0) return out === GONE ? NO_FLOW : REAL_UNRESOLVED;
  const ofIpv6 = ipv6.isAt(frame, l3);
  const time = ofIpv6 ? ipv6.hopLimit(frame, l3) : ipv4.timeToLive(frame, l3);
  if (nat && time <= 1) return TTL_EXPIRED;
  const isLong = isLonger(frame, l3, (director.armFrameBytes[out] as number) - ahead);
  return isLong && (ofIpv6 || !mayCut(frame, l3)) ? TOO_BIG : 0;
}

/** Bytes of outer headers before what goes to a real; 0 for one without a tunnel. */
export const aheadOf = ({ tunnels }: Director, realId: number): number =>
  tunnels[realId * TUNNEL_WORDS] as number;

/** Addresses a frame to a real that is resolved. @returns the arm */
export function addressToReal(director: Director, frame: DataView, at: number, id: number): number {
  const { ways } = director;
  const way = id * WAY_WORDS;
  for (let word = 0; word < 3; word++) frame.setInt32(at + word * 4, ways[way + word] as number);
  return ways[way + WAY_ARM] as number;
}

/** Addresses a frame to a real that is resolved, with outer headers if need be, and sends it. */
export function sendToReal(director: Director, frame: DataView, at: number, id: number): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const out = director.ways[id * WAY_WORDS + WAY_ARM] as number;
  const room = roomFor(director, frame, l3, id, out);
  const isWhole = packetBytes(frame, l3) <= room;
  const isBare = aheadOf(director, id) === 0;
  const sent = isBare
    ? send(addressToReal(director, frame, at, id))
    : encapsulate(director, frame, at, id, isWhole);
  return isWhole ? sent : cutFrame(director, frame, at, sent, 0, room);
}

/**
 * Addresses a frame to where a flow's requests came from, as its record has it.
 * @returns the arm
 */
export function addressToHop(
  { armMacHigh, armMacLow }: Director,
  frame: DataView,
  at: number,
  hopHigh: number,
  hopLow: number,
): number {
  const out = hopLow >>> 16;
  setMacs(frame, at, hopHigh, hopLow, armMacHigh[out] as number, armMacLow[out] as number);
  return out;
}

/** Addresses a frame to where a flow's requests came from, and sends it. */
export function sendToHop(
  director: Director,
  frame: DataView,
  at: number,
  hopHigh: number,
  hopLow: number,
): Verdict {
  const out = addressToHop(director, frame, at, hopHigh, hopLow);
  const longest = director.armFrameBytes[out] as number;
  if (!isLonger(frame, at + ethernet.HEADER_BYTES, longest)) return send(out);
  return cutFrame(director, frame, at, send(out), 0, longest - ethernet.HEADER_BYTES);
}

/** @param packets REQUEST_PACKETS or REPLY_PACKETS; the field of the bytes is the next one */
export function countTraffic(
  { values, realRowsAt }: Director,
  id: number,
  packets: number,
  bytes: number,
): void {
  const field = realRowsAt + id * ROW_STRIDE + packets;
  values[field] = (values[field] as number) + 1;
  values[field + 1] = (values[field + 1] as number) + bytes;
}

// The way of an IPv6 packet whose flow is known: what known-flow.ts does for IPv4, with addresses
// of 16 bytes, no header checksum, and never a cut. The director has read the packet before.
import * as flow from '../flow/flow-table.ts';
import * as tcpStates from '../flow/tcp-states.ts';
import * as ethernet from '../wire/ethernet.ts';
import { PROTOCOL_SCTP, PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as sctp from '../wire/sctp.ts';
import * as tcp from '../wire/tcp.ts';
import { REPLY_PACKETS, REQUEST_PACKETS } from './counters.ts';
import type { Director } from './director.ts';
import { fitsTunnel, sendThroughTunnel } from './encapsulate.ts';
import { followSctp } from './follow-sctp.ts';
import { NO_TIME_TO_LIVE, NOT_KNOWN, NOT_RESOLVED, TOO_LONG } from './known-flow.ts';
import { isTooLongFor } from './length.ts';
import { GONE, WAY_ARM, WAY_WORDS } from './neighbours.ts';
import { addressToHop, addressToReal, countTraffic } from './onward.ts';
import { mendSum, readdress } from './rewrite6.ts';
import { IPV6_BIT } from './table.ts';
import { send, type Verdict } from './verdict.ts';

const TCP_KEY = PROTOCOL_TCP ^ IPV6_BIT;
const SCTP_KEY = PROTOCOL_SCTP ^ IPV6_BIT;

/** Like forwardKnown of known-flow.ts. */
export function forwardKnown6(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const { source, destination, protocol } = director.packet;
  const found = flow.findFlow(director.flows, source, destination, frame.getInt32(l4), protocol);
  if (found < 0) return NOT_KNOWN;
  return forwardFound6(director, frame, at, l4, end, arm, offload, found);
}

/** Like forwardKnown6, for a packet whose flow has just been found. */
export function forwardFound6(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
  found: number,
): Verdict {
  const { flows, packet, ways, nowMs } = director;
  const { records } = flows;
  if (flow.isOver(flows, found >>> 1, nowMs)) return NOT_KNOWN;
  const isReply = (found & 1) !== 0;
  const record = (found >>> 1) * flow.RECORD_WORDS;
  const meta = records[record + flow.META] as number;
  const isNat = (meta & flow.NAT_BIT) !== 0;
  const isTunnelled = (meta & flow.TUNNEL_BIT) !== 0;
  const real = (records[record + flow.IDS] as number) & 0xffff;
  const hop = records[record + flow.HOP_LOW] as number;
  const way = ways[real * WAY_WORDS + WAY_ARM] as number;
  if (way === GONE) return NOT_KNOWN;
  const out = isReply ? hop >>> 16 : way;
  if (out < 0) return NOT_RESOLVED;
  if (isNat && packet.timeToLive <= 1) return NO_TIME_TO_LIVE;
  const protocol = packet.protocol ^ IPV6_BIT;
  if (isTunnelled) {
    if (!fitsTunnel(director, frame, at, real, out, offload)) return TOO_LONG;
  } else if (isTooLongFor(director, frame, at, l4, offload, out, protocol)) {
    return TOO_LONG;
  }
  if (!advance(director, frame, l4, end, found)) return NOT_KNOWN;
  if (isTunnelled) {
    return sendThroughTunnel(director, frame, at, l4, end, real, offload, protocol);
  }
  countTraffic(director, real, isReply ? REPLY_PACKETS : REQUEST_PACKETS, end - at);
  if (isReply) {
    rewrite(director, frame, at, l4, found, offload & 1);
    addressToHop(director, frame, at, records[record + flow.HOP_HIGH] as number, hop);
    return send(out);
  }
  if (isNat) {
    // A client behind two routers may change its way; the replies follow the latest request.
    records[record + flow.HOP_HIGH] = ethernet.sourceHigh(frame, at);
    records[record + flow.HOP_LOW] = ethernet.sourceLow(frame, at) | (arm << 16);
    rewrite(director, frame, at, l4, found, offload & 1);
  }
  addressToReal(director, frame, at, real);
  return send(out);
}

/**
 * Moves the flow's state on, and its time.
 * @returns false if the packet opens a new connection in the place of one that has ended
 */
function advance(
  { flows, nowMs, packet }: Director,
  frame: DataView,
  l4: number,
  end: number,
  found: number,
): boolean {
  const { records, timeoutsMs } = flows;
  const record = (found >>> 1) * flow.RECORD_WORDS;
  const meta = records[record + flow.META] as number;
  let state = meta & 0xff;
  const fromClient = (meta & flow.NAT_BIT) !== 0 ? tcpStates.FROM_CLIENT : tcpStates.CLIENT_ONLY;
  const direction = (found & 1) !== 0 ? tcpStates.FROM_SERVER : fromClient;
  if (packet.protocol === TCP_KEY) {
    const flags = tcp.flags(frame, l4);
    const isSyn = (flags & (tcp.SYN | tcp.ACK)) === tcp.SYN;
    if (isSyn && direction !== tcpStates.FROM_SERVER && tcpStates.isEnded(state, direction))
      return false;
    const next = tcpStates.nextState(direction, flags, state);
    if (next !== state) flow.changeState(flows, found >>> 1, next);
    state = next;
  } else if (packet.protocol === SCTP_KEY) {
    const chunk = sctp.chunkType(frame, l4, end);
    state = followSctp(flows, found >>> 1, state, direction, chunk);
    if (state < 0) return false;
  } else if (state === tcpStates.UDP_NEW && (found & 1) === 0) {
    flow.changeState(flows, found >>> 1, tcpStates.UDP);
    state = tcpStates.UDP;
  }
  records[record + flow.EXPIRES_MS] = (nowMs + (timeoutsMs[state] as number)) | 0;
  return true;
}

function rewrite(
  { flows, packet }: Director,
  frame: DataView,
  at: number,
  l4: number,
  found: number,
  partial: number,
): void {
  const { records, book } = flows;
  const isReply = (found & 1) !== 0;
  const record = (found >>> 1) * flow.RECORD_WORDS;
  const deltas = records[record + flow.DELTAS] as number;
  mendSum(frame, l4, packet.protocol, isReply ? ~deltas : deltas, partial);
  const source = records[record + (isReply ? flow.VIP : flow.LOCAL)] as number;
  const destination = records[record + (isReply ? flow.CLIENT : flow.REAL)] as number;
  readdress(frame, at + ethernet.HEADER_BYTES, book, source, destination);
  // The ports of the opposite direction, the other way round.
  const opposite = records[record + (isReply ? flow.PORTS : flow.REPLY_PORTS)] as number;
  frame.setInt32(l4, (opposite << 16) | (opposite >>> 16));
}

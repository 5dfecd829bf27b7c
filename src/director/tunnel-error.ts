// ICMP errors about packets of a tunnel: routers between the director and a real send them to the
// outer source address. Where they quote enough of the inner packet to know its flow, a path that
// is too narrow is told to the client, whose packets are to become shorter (RFC 2003, 4 and 5.1;
// RFC 2473, 8.2); all else is the operator's affair, and counted. Each family may be in either.
import { findAddress } from '../flow/address-book.ts';
import {
  findFlow,
  HOP_HIGH,
  HOP_LOW,
  IDS,
  isOver,
  META,
  RECORD_WORDS,
  TUNNEL_BIT,
} from '../flow/flow-table.ts';
import { copyOut } from '../wire/bytes.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as icmp from '../wire/icmp.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tunnel from '../wire/tunnel.ts';
import * as udp from '../wire/udp.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import {
  DESTINATION,
  isTunnelSource,
  isTunnelSource6,
  rememberRoom,
  TUNNEL_WORDS,
} from './encapsulate.ts';
import { mayCut } from './length.ts';
import { isToSender6, quote, readQuote4, readQuote6 } from './quote.ts';
import { dropped, isOwnAddress, isOwnAddress6 } from './refuse.ts';
import { SMALLEST_MTU, tellClient } from './tell-sender.ts';
import { tellClient6 } from './tell-sender6.ts';
import { TAKEN, type Verdict } from './verdict.ts';

const TUNNEL_ERROR = DROP['tunnel-error'];
const IPV4_CHECKSUM = DROP['ipv4-checksum'];
const ICMP_CHECKSUM = DROP['icmp-checksum'];

/** Whether an ICMP error, from `l3` on, speaks of a packet that the director put into a tunnel. */
export function isTunnelError(director: Director, frame: DataView, l3: number, l4: number) {
  const receiver = ipv4.destination(frame, l3);
  if (!isTunnelSource(director, receiver) && !isOwnAddress(director, receiver)) return false;
  const outer = l4 + icmp.HEADER_BYTES;
  const end = l3 + ipv4.totalBytes(frame, l3);
  if (end - outer < ipv4.HEADER_BYTES || frame.getUint8(outer) !== 0x45) return false;
  if (ipv4.source(frame, outer) !== receiver) return false;
  if (!director.table.tunnelAddresses.includes(ipv4.destination(frame, outer))) return false;
  return isOurs(director, frame, ipv4.protocol(frame, outer), outer + ipv4.HEADER_BYTES, end);
}

/** The same of ICMPv6. */
export function isTunnelError6(
  director: Director,
  frame: DataView,
  l3: number,
  l4: number,
  end: number,
): boolean {
  const receiver = l3 + ipv6.DESTINATION_OFFSET;
  if (!isTunnelSource6(director, frame, receiver) && !isOwnAddress6(director, frame, receiver)) {
    return false;
  }
  const outer = l4 + icmpv6.HEADER_BYTES;
  if (end - outer < ipv6.HEADER_BYTES || !ipv6.isAt(frame, outer)) return false;
  if (!isToSender6(frame, l3, outer)) return false;
  const real = findAddress(director.flows.book, frame, outer + ipv6.DESTINATION_OFFSET);
  if (!director.table.tunnelAddresses6.includes(real)) return false;
  return isOurs(director, frame, ipv6.nextHeader(frame, outer), outer + ipv6.HEADER_BYTES, end);
}

/** Whether what follows an outer header, from `behind` on, is what a tunnel of ours has there. */
function isOurs(
  { table }: Director,
  frame: DataView,
  protocol: number,
  behind: number,
  end: number,
): boolean {
  if (protocol === tunnel.PROTOCOL_IPIP || protocol === tunnel.PROTOCOL_IPV6) return true;
  if (protocol !== ipv4.PROTOCOL_UDP || behind + udp.HEADER_BYTES > end) return false;
  return udp.destinationPort(frame, behind) === table.tunnel.port;
}

/** An error that `isTunnelError` is true of. */
export function relayTunnelError(
  director: Director,
  frame: DataView,
  l3: number,
  l4: number,
): Verdict {
  const end = l3 + ipv4.totalBytes(frame, l3);
  if (!ipv4.hasGoodChecksum(frame, l3)) return dropped(director, IPV4_CHECKSUM);
  if (!icmp.hasGoodChecksum(frame, l4, end)) return dropped(director, ICMP_CHECKSUM);
  const outer = l4 + icmp.HEADER_BYTES;
  const behind = outer + ipv4.HEADER_BYTES;
  const isNarrow =
    icmp.type(frame, l4) === icmp.DESTINATION_UNREACHABLE &&
    icmp.code(frame, l4) === icmp.FRAGMENTATION_NEEDED;
  const mtu = isNarrow ? icmp.nextHopMtu(frame, l4) : 0;
  return tellOf(director, frame, outer, behind, ipv4.protocol(frame, outer), end, mtu);
}

/** An error that `isTunnelError6` is true of. */
export function relayTunnelError6(
  director: Director,
  frame: DataView,
  l3: number,
  l4: number,
  end: number,
): Verdict {
  if (!icmpv6.hasGoodChecksum(frame, l3, l4, end)) return dropped(director, ICMP_CHECKSUM);
  const outer = l4 + icmpv6.HEADER_BYTES;
  const behind = outer + ipv6.HEADER_BYTES;
  const told = icmpv6.type(frame, l4) === icmpv6.PACKET_TOO_BIG ? icmpv6.mtu(frame, l4) : 0;
  // No network of IPv6 has less, so what says so is forged (RFC 8201, 4).
  const mtu = told < ipv6.MINIMUM_MTU ? 0 : told;
  return tellOf(director, frame, outer, behind, ipv6.nextHeader(frame, outer), end, mtu);
}

/**
 * Tells the client of a quoted packet how long its packets may be.
 * @param behind where the quoted outer header ends, which is one of this protocol
 * @param mtu how long a packet of the tunnel may be, or 0 if the error speaks of something else
 */
function tellOf(
  director: Director,
  frame: DataView,
  outer: number,
  behind: number,
  protocol: number,
  end: number,
  mtu: number,
): Verdict {
  const isGue = protocol === ipv4.PROTOCOL_UDP;
  const inner = isGue ? tunnel.innerOfGue(frame, behind + udp.HEADER_BYTES, end) : behind;
  const isTold = mtu > 0 && inner > 0 && inner < end;
  const record = isTold ? flowOf(director, frame, outer, inner, end) : -1;
  if (record < 0) return dropped(director, TUNNEL_ERROR);
  const ofIpv6 = ipv6.isAt(frame, inner);
  const room = mtu - (inner - outer);
  const smallest = ofIpv6 ? ipv6.MINIMUM_MTU : SMALLEST_MTU;
  if (room < smallest || room >= tunnel.packetBytes(frame, inner)) {
    return dropped(director, TUNNEL_ERROR);
  }
  const { records } = director.flows;
  if (!ofIpv6 && mayCut(frame, inner)) {
    // Its sender takes no advice; over IPv4, the routers could have cut it themselves.
    const realId = (records[record + IDS] as number) & 0xffff;
    if (ipv6.isAt(frame, outer)) rememberRoom(director, realId, room);
    return dropped(director, TUNNEL_ERROR);
  }
  const hop = records[record + HOP_LOW] as number;
  const to = { high: records[record + HOP_HIGH] as number, low: hop & 0xffff, arm: hop >>> 16 };
  const tell = ofIpv6 ? tellClient6 : tellClient;
  if (!tell(director, copyOut(frame, inner, end), to, room)) return dropped(director, TUNNEL_ERROR);
  const { values } = director;
  values[GLOBAL.relayedErrors] = (values[GLOBAL.relayedErrors] as number) + 1;
  // The frame that came in counts as sent: another one stands for it.
  values[GLOBAL.sentFrames] = (values[GLOBAL.sentFrames] as number) + 1;
  return TAKEN;
}

/** The record of the flow that an inner packet belongs to, if it went to this real; else -1. */
function flowOf(
  director: Director,
  frame: DataView,
  outer: number,
  inner: number,
  end: number,
): number {
  const { flows, nowMs, tunnels } = director;
  const isQuote = ipv6.isAt(frame, inner)
    ? readQuote6(flows.book, frame, inner, end)
    : readQuote4(frame, inner, end);
  if (!isQuote) return -1;
  const { sender, receiver, l4, protocol } = quote;
  const found = findFlow(flows, sender, receiver, frame.getInt32(l4), protocol);
  if (found < 0 || (found & 1) !== 0 || isOver(flows, found >>> 1, nowMs)) return -1;
  const record = (found >>> 1) * RECORD_WORDS;
  if (((flows.records[record + META] as number) & TUNNEL_BIT) === 0) return -1;
  const id = (flows.records[record + IDS] as number) & 0xffff;
  const real = id * TUNNEL_WORDS + DESTINATION;
  const isReal = ipv6.isAt(frame, outer)
    ? ipv6.isAddress(frame, outer + ipv6.DESTINATION_OFFSET, tunnels, real)
    : ipv4.destination(frame, outer) === tunnels[real + 3];
  return isReal ? record : -1;
}

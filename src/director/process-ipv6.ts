// The way of an IPv6 packet: like that of IPv4 in process.ts, beside which it is rare enough to be
// asked about last. Its headers are looked through first, and what was found is noted in the
// director's `packet`, by which the steps that follow go.
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { hasPorts, PROTOCOL_SCTP, PROTOCOL_TCP } from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as sctp from '../wire/sctp.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { answerEcho6, answerNeighbour } from './answer6.ts';
import type { Director } from './director.ts';
import { readIpv6 } from './packet.ts';
import { processFlow } from './process-flow.ts';
import { processFragment6 } from './process-fragment6.ts';
import { dropped, notForwarded6 } from './refuse.ts';
import { relayError } from './relay-error.ts';
import { isVip6 } from './table.ts';
import { isTunnelError6, relayTunnelError6 } from './tunnel-error.ts';
import { PASS, type Verdict } from './verdict.ts';

const EXTENSION = DROP['ipv6-extension'];
const NO_CHECKSUM = DROP['udp-no-checksum'];
const IP_PROTOCOL = DROP['ip-protocol'];
const ICMP_TYPE = DROP['icmp-type'];
const ICMP_CHECKSUM = DROP['icmp-checksum'];

/** The first two bytes of a group's MAC address (RFC 2464, 7). */
const GROUP_MAC = 0x3333;

/** Like processFrame, for a frame whose EtherType is that of IPv6. */
export function processIpv6(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const { packet, flows, table, armMacHigh, armMacLow } = director;
  if (!table.hasIpv6) return PASS;
  const isOurs =
    ethernet.destinationHigh(frame, at) === armMacHigh[arm] &&
    ethernet.destinationLow(frame, at) === armMacLow[arm];
  if (!isOurs && frame.getUint16(at) !== GROUP_MAC) return PASS;
  const l3 = at + ethernet.HEADER_BYTES;
  const bad = ipv6.check(frame, l3, end);
  if (bad !== 0) return isOurs ? dropped(director, bad) : PASS;
  const packetEnd = l3 + ipv6.totalBytes(frame, l3);
  const first = l3 + ipv6.HEADER_BYTES;
  const upper = ipv6.findUpper(frame, l3, first, ipv6.nextHeader(frame, l3), packetEnd);
  const protocol = upper === ipv6.BROKEN ? -1 : upper & 0xff;
  const l4 = l3 + (upper >>> 8);
  // Not behind a Fragment header (RFC 6980, 5), and nobody sends them behind another one.
  const isFirst = l4 === first && protocol === ipv6.PROTOCOL_ICMPV6;
  if (isFirst && isNeighbourMessage(frame, l4, packetEnd)) {
    return answerNeighbour(director, frame, at, l4, packetEnd, arm);
  }
  if (!isOurs) return PASS;
  readIpv6(packet, flows.book, frame, l3, protocol);
  if (hasPorts(protocol)) {
    const badL4 = checkPorts(frame, l4, packetEnd, protocol, offload);
    if (badL4 === 0) return processFlow(director, frame, at, l4, end, arm, offload);
    return notForwarded6(director, frame, l3, packetEnd - l4 < 4 ? 0 : l4, badL4);
  }
  if (protocol === ipv6.FRAGMENT) return processFragment6(director, frame, at, l4, end, arm);
  if (protocol === -1) return notForwarded6(director, frame, l3, 0, EXTENSION);
  return processOther6(director, frame, at, l4, packetEnd, arm);
}

const isNeighbourMessage = (frame: DataView, at: number, end: number): boolean =>
  at < end &&
  (icmpv6.type(frame, at) === icmpv6.NEIGHBOUR_SOLICITATION ||
    icmpv6.type(frame, at) === icmpv6.NEIGHBOUR_ADVERTISEMENT);

/** RFC 8200, 8.1: UDP has a checksum, unless its field is still to be finished. */
function checkPorts(
  frame: DataView,
  l4: number,
  end: number,
  protocol: number,
  offload: number,
): number {
  if (protocol === PROTOCOL_TCP) return tcp.check(frame, l4, end);
  if (protocol === PROTOCOL_SCTP) return sctp.check(frame, l4, end);
  const bad = udp.check(frame, l4, end);
  if (bad !== 0 || (offload & 1) !== 0) return bad;
  return udp.checksum(frame, l4) === 0 ? NO_CHECKSUM : 0;
}

/** ICMPv6 and what else there is: pings to a VIP are answered, errors are sent on. */
function processOther6(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const { packet, table } = director;
  const toVip = isVip6(table, packet.destination, frame, l3 + ipv6.DESTINATION_OFFSET);
  if ((packet.protocol ^ 0x40) !== ipv6.PROTOCOL_ICMPV6) {
    return toVip ? dropped(director, IP_PROTOCOL) : PASS;
  }
  const bad = icmpv6.check(frame, l4, end);
  if (bad !== 0) return toVip ? dropped(director, bad) : PASS;
  if (icmpv6.isError(icmpv6.type(frame, l4))) {
    return isTunnelError6(director, frame, l3, l4, end)
      ? relayTunnelError6(director, frame, l3, l4, end)
      : relayError(director, frame, at, l4, end);
  }
  if (!toVip) return PASS;
  if (icmpv6.type(frame, l4) !== icmpv6.ECHO_REQUEST) return dropped(director, ICMP_TYPE);
  if (!icmpv6.hasGoodChecksum(frame, l3, l4, end)) return dropped(director, ICMP_CHECKSUM);
  return answerEcho6(director, frame, at, l4, arm);
}

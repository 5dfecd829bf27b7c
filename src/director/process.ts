// The packet's way: classify, find its flow or choose a real, rewrite in place, verdict. One call a
// frame; nothing here allocates, throws or looks at a clock. Whatever the bytes are, no read and no
// write leaves the frame: every header is checked before it is used.
import * as arp from '../wire/arp.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as sctp from '../wire/sctp.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { answerArp, answerEcho } from './answer.ts';
import type { Director } from './director.ts';
import { plainProtocol } from './plain.ts';
import { processFlow } from './process-flow.ts';
import { processFragment } from './process-fragment.ts';
import { processIpv6 } from './process-ipv6.ts';
import { dropped, notForwarded } from './refuse.ts';
import { relayError } from './relay-error.ts';
import { isVip } from './table.ts';
import { isTunnelError, relayTunnelError } from './tunnel-error.ts';
import { PASS, type Verdict } from './verdict.ts';

const ETHERNET_TRUNCATED = DROP['ethernet-truncated'];
const IPV4_CHECKSUM = DROP['ipv4-checksum'];
const ICMP_TYPE = DROP['icmp-type'];
const IP_PROTOCOL = DROP['ip-protocol'];

/**
 * Decides about one frame and rewrites it in place.
 * @param at offset of the Ethernet header; `end` is just past the frame's last byte
 * @param arm index of the arm the frame came in on
 * @param offload what was left to the sender's device, as a batch has it; see length.ts
 */
export function processFrame(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  if (end - at < ethernet.HEADER_BYTES) return dropped(director, ETHERNET_TRUNCATED);
  const type = ethernet.type(frame, at);
  if (type !== ethernet.TYPE_IPV4) {
    if (type === ethernet.TYPE_IPV6) return processIpv6(director, frame, at, end, arm, offload);
    return type === ethernet.TYPE_ARP ? processArp(director, frame, at, end, arm) : PASS;
  }
  // A frame that a switch flooded to us, but that is meant for another station, is not ours.
  if (
    ethernet.destinationHigh(frame, at) !== director.armMacHigh[arm] ||
    ethernet.destinationLow(frame, at) !== director.armMacLow[arm]
  ) {
    return PASS;
  }
  const l3 = at + ethernet.HEADER_BYTES;
  if (plainProtocol(frame, at, end) !== 0) {
    return processFlow(director, frame, at, l3 + ipv4.HEADER_BYTES, end, arm, offload);
  }
  return processUnusual(director, frame, at, end, arm, offload);
}

/** Any other IPv4 packet: checked header by header, so that a bad one gets its own reason. */
function processUnusual(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const bad = ipv4.check(frame, l3, end);
  if (bad !== 0) return dropped(director, bad);
  if (ipv4.isFragment(frame, l3)) return processFragment(director, frame, at, end, arm);
  const protocol = ipv4.protocol(frame, l3);
  if (!ipv4.hasPorts(protocol)) return processOther(director, frame, at, arm);
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const packetEnd = l3 + ipv4.totalBytes(frame, l3);
  const badL4 = checkUpper(frame, protocol, l4, packetEnd);
  if (badL4 !== 0) return notForwarded(director, frame, at, badL4);
  return processFlow(director, frame, at, l4, end, arm, offload);
}

/** @returns 0 if the header of TCP, UDP or SCTP is good, else the number of a drop reason */
function checkUpper(frame: DataView, protocol: number, l4: number, end: number): number {
  if (protocol === ipv4.PROTOCOL_TCP) return tcp.check(frame, l4, end);
  if (protocol === ipv4.PROTOCOL_UDP) return udp.check(frame, l4, end);
  return sctp.check(frame, l4, end);
}

function processArp(
  director: Director,
  frame: DataView,
  at: number,
  end: number,
  arm: number,
): Verdict {
  const bad = arp.check(frame, at + ethernet.HEADER_BYTES, end);
  if (bad !== 0) return dropped(director, bad);
  return answerArp(director, frame, at, arm);
}

/** ICMP and what else there is over IPv4: pings to a VIP are answered, errors are sent on. */
function processOther(director: Director, frame: DataView, at: number, arm: number): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const toVip = isVip(director.table, ipv4.destination(frame, l3));
  if (ipv4.protocol(frame, l3) !== ipv4.PROTOCOL_ICMP) {
    return toVip ? dropped(director, IP_PROTOCOL) : PASS;
  }
  const l4 = l3 + ipv4.headerBytes(frame, l3);
  const end = l3 + ipv4.totalBytes(frame, l3);
  const bad = icmp.check(frame, l4, end);
  if (bad !== 0) return toVip ? dropped(director, bad) : PASS;
  if (icmp.isError(icmp.type(frame, l4))) {
    return isTunnelError(director, frame, l3, l4)
      ? relayTunnelError(director, frame, l3, l4)
      : relayError(director, frame, at, l4, end);
  }
  if (!toVip) return PASS;
  if (icmp.type(frame, l4) !== icmp.ECHO_REQUEST) return dropped(director, ICMP_TYPE);
  // The director is the last station of a ping, so it looks at the sum itself (RFC 1122, 3.2.1.2).
  if (!ipv4.hasGoodChecksum(frame, l3)) return dropped(director, IPV4_CHECKSUM);
  return answerEcho(director, frame, at, l3, l4, arm);
}

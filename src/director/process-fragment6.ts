// The way of an IPv6 packet that comes in pieces (RFC 8200, 4.5): that of process-fragment.ts, with
// the same table, where its addresses are known by keyed hashes of 32 bits each, for one that has
// no flow has no handle either.
import { hashInFrame } from '../flow/address-book.ts';
import { findFlow } from '../flow/flow-table.ts';
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import { PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import * as udp from '../wire/udp.ts';
import { answerEcho6 } from './answer6.ts';
import type { Director } from './director.ts';
import { readIpv6 } from './packet.ts';
import { endOnePacket, processPiece } from './process-flow.ts';
import { joinPacket, noteWay, SCTP_BYTES } from './process-fragment.ts';
import { publishFragments } from './publish.ts';
import { dropped, isOwnAddress6, notForwarded6 } from './refuse.ts';
import { isNatAddress6, isVip6 } from './table.ts';
import { PASS, type Verdict } from './verdict.ts';

const MALFORMED = DROP['fragment-malformed'];
const NO_CHECKSUM = DROP['udp-no-checksum'];
const IP_PROTOCOL = DROP['ip-protocol'];

const LONGEST_PACKET = 65_535;

/**
 * A fragment whose IPv6 header has been checked, and whose addresses have been read.
 * @param header offset of its Fragment header
 */
export function processFragment6(
  director: Director,
  frame: DataView,
  at: number,
  header: number,
  end: number,
  arm: number,
): Verdict {
  const { packet, table, firstPiece } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  if (!isVip6(table, packet.destination, frame, l3 + ipv6.DESTINATION_OFFSET)) {
    if (!isNatAddress6(table, packet.source)) return PASS;
    if (isOwnAddress6(director, frame, l3 + ipv6.DESTINATION_OFFSET)) return PASS;
  }
  if (isMisplaced(frame, l3, header)) return dropped(director, MALFORMED);
  notePiece(director, frame, l3, header);
  const offset = ipv6.fragmentOffsetBytes(frame, header);
  const isLast = !ipv6.hasMoreFragments(frame, header);
  const total = isLast ? offset + firstPiece.payloadBytes : 0;
  const verdict =
    offset === 0
      ? processFirst(director, frame, at, header, end, arm)
      : joinPacket(director, frame, at, end, arm, total);
  publishFragments(director);
  return verdict;
}

const pieceBytes = (frame: DataView, l3: number, header: number): number =>
  l3 + ipv6.totalBytes(frame, l3) - header - ipv6.FRAGMENT_HEADER_BYTES;

/** True for what no sender makes: see process-fragment.ts. */
function isMisplaced(frame: DataView, l3: number, header: number): boolean {
  const bytes = pieceBytes(frame, l3, header);
  const offset = ipv6.fragmentOffsetBytes(frame, header);
  if (bytes === 0 || (ipv6.hasMoreFragments(frame, header) && (bytes & 7) !== 0)) return true;
  if (header - l3 - ipv6.HEADER_BYTES + offset + bytes > LONGEST_PACKET) return true;
  const protocol = frame.getUint8(header);
  if (protocol === PROTOCOL_SCTP) return offset !== 0 && offset < SCTP_BYTES;
  return protocol === PROTOCOL_TCP && offset !== 0 && offset < tcp.HEADER_BYTES;
}

function notePiece(director: Director, frame: DataView, l3: number, header: number): void {
  const { firstPiece, flows } = director;
  firstPiece.source = hashInFrame(flows.seed, frame, l3 + ipv6.SOURCE_OFFSET);
  firstPiece.destination = hashInFrame(~flows.seed, frame, l3 + ipv6.DESTINATION_OFFSET);
  firstPiece.id = ipv6.identification(frame, header);
  firstPiece.payloadBytes = pieceBytes(frame, l3, header);
}

function processFirst(
  director: Director,
  frame: DataView,
  at: number,
  header: number,
  end: number,
  arm: number,
): Verdict {
  const { flows, packet } = director;
  const l3 = at + ethernet.HEADER_BYTES;
  const packetEnd = l3 + ipv6.totalBytes(frame, l3);
  const first = header + ipv6.FRAGMENT_HEADER_BYTES;
  const upper = ipv6.findUpper(frame, l3, first, frame.getUint8(header), packetEnd);
  const l4 = l3 + (upper >>> 8);
  const ports = upper !== ipv6.BROKEN && packetEnd - l4 >= 4 ? frame.getInt32(l4) : 0;
  readIpv6(packet, flows.book, frame, l3, upper === ipv6.BROKEN ? -1 : upper & 0xff);
  const verdict = decideFirst(director, frame, at, l4, end, arm);
  noteWay(
    director,
    verdict,
    findFlow(flows, packet.source, packet.destination, ports, packet.protocol),
  );
  endOnePacket(director);
  return verdict;
}

/** All headers must be there, those of TCP and UDP included (RFC 7112). */
function decideFirst(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const packetEnd = l3 + ipv6.totalBytes(frame, l3);
  const { packet } = director;
  const protocol = packet.protocol ^ 0x40;
  if (protocol === -1) return notForwarded6(director, frame, l3, 0, MALFORMED);
  if (protocol === ipv6.PROTOCOL_ICMPV6) return decideEcho(director, frame, at, l4, packetEnd, arm);
  if (protocol === PROTOCOL_TCP) {
    const bad = tcp.check(frame, l4, packetEnd);
    if (bad !== 0) return notForwarded6(director, frame, l3, portsAt(l4, packetEnd), MALFORMED);
  } else if (protocol === PROTOCOL_UDP) {
    const room = packetEnd - l4;
    const isBad = room < udp.HEADER_BYTES || udp.lengthBytes(frame, l4) <= room;
    if (isBad) return notForwarded6(director, frame, l3, portsAt(l4, packetEnd), MALFORMED);
    if (udp.checksum(frame, l4) === 0) return notForwarded6(director, frame, l3, l4, NO_CHECKSUM);
  } else if (protocol === PROTOCOL_SCTP) {
    const isBad = packetEnd - l4 < SCTP_BYTES;
    if (isBad) return notForwarded6(director, frame, l3, portsAt(l4, packetEnd), MALFORMED);
  } else {
    return notForwarded6(director, frame, l3, 0, IP_PROTOCOL);
  }
  return processPiece(director, frame, at, l4, end, arm, 0);
}

const portsAt = (l4: number, end: number): number => (end - l4 < 4 ? 0 : l4);

/** A ping is answered piece by piece: all that its reply differs in are addresses and the type. */
function decideEcho(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
): Verdict {
  const vip = at + ethernet.HEADER_BYTES + ipv6.DESTINATION_OFFSET;
  if (!isVip6(director.table, director.packet.destination, frame, vip)) return PASS;
  if (end - l4 < icmpv6.HEADER_BYTES || icmpv6.type(frame, l4) !== icmpv6.ECHO_REQUEST) {
    return dropped(director, MALFORMED);
  }
  return answerEcho6(director, frame, at, l4, arm);
}

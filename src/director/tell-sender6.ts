// ICMPv6 errors of the director's own (RFC 4443): a packet whose hop limit is over, that is too
// long for the next network, for IPv6 is never cut on its way, or that no real takes. The rules
// about whom never to tell are those of RFC 4443, 2.4; the limit is that of tell-sender.ts.
import { findAddress } from '../flow/address-book.ts';
import type { Ipv6 } from '../wire/address.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as icmpv6 from '../wire/icmpv6.ts';
import * as ipv6 from '../wire/ipv6.ts';
import type { Director } from './director.ts';
import { linkLocalOf } from './neighbours.ts';
import { isVip6 } from './table.ts';
import {
  GROUP_BIT,
  type Hop,
  KIND_LENGTH,
  KIND_REFUSED,
  KIND_TIME,
  senderOf,
  TIME_TO_LIVE,
  takeBudget,
} from './tell-sender.ts';

/** Tells the sender of a packet that its hop limit is over (RFC 4443, 3.3). */
export function tellTimeExceeded6(director: Director, frame: DataView, at: number, arm: number) {
  if (!mayTell(frame, at) || !takeBudget(director, KIND_TIME)) return;
  pushTo(director, frame, at, senderOf(frame, at, arm), { type: icmpv6.TIME_EXCEEDED, word: 0 });
}

/** Tells a client from the VIP that nobody serves its new flow (RFC 4443, 3.1). */
export function tellRefused6(director: Director, frame: DataView, at: number, arm: number) {
  if (!mayTell(frame, at) || !takeBudget(director, KIND_REFUSED)) return;
  const vip = ipv6.addressAt(frame, at + ethernet.HEADER_BYTES + ipv6.DESTINATION_OFFSET);
  const [type, code] = [icmpv6.DESTINATION_UNREACHABLE, icmpv6.PORT_UNREACHABLE];
  pushTo(director, frame, at, senderOf(frame, at, arm), { type, code, word: 0 }, vip);
}

/** Tells the sender of a packet how long the next one may be (RFC 4443, 3.2). */
export function tellTooBig6(
  director: Director,
  frame: DataView,
  at: number,
  arm: number,
  mtu: number,
): void {
  if (!mayTell(frame, at) || !takeBudget(director, KIND_LENGTH)) return;
  // Every network takes so much, and no host would believe less (RFC 8201, 4).
  const error = { type: icmpv6.PACKET_TOO_BIG, word: Math.max(ipv6.MINIMUM_MTU, mtu) };
  pushTo(director, frame, at, senderOf(frame, at, arm), error);
}

/** Only to one station with an address of its own. */
function mayTell(frame: DataView, at: number): boolean {
  if ((ethernet.sourceHigh(frame, at) & GROUP_BIT) !== 0) return false;
  return isHost(frame, at + ethernet.HEADER_BYTES + ipv6.SOURCE_OFFSET);
}

const isHost = (frame: DataView, address: number): boolean =>
  !ipv6.isMulticast(frame, address) && !ipv6.isUnspecified(frame, address);

/** What tellClient does for IPv4. */
export function tellClient6(director: Director, packet: Uint8Array, to: Hop, mtu: number): boolean {
  const view = new DataView(packet.buffer);
  if (!isHost(view, ipv6.SOURCE_OFFSET) || !takeBudget(director, KIND_LENGTH)) return false;
  pushTo(director, view, -ethernet.HEADER_BYTES, to, { type: icmpv6.PACKET_TOO_BIG, word: mtu });
  return true;
}

/** @param at offset of the frame, of which no more may be there than a quote of its packet */
function pushTo(
  director: Director,
  frame: DataView,
  at: number,
  { high, low, arm }: Hop,
  error: Omit<icmpv6.Message, 'data'>,
  source = speakerOn(director, frame, at + ethernet.HEADER_BYTES + ipv6.DESTINATION_OFFSET, arm),
): void {
  const l3 = ethernet.HEADER_BYTES;
  const packet = at + l3;
  const room = ipv6.MINIMUM_MTU - ipv6.HEADER_BYTES - icmpv6.HEADER_BYTES;
  const quoted = Math.min(room, ipv6.totalBytes(frame, packet), frame.byteLength - packet);
  const payloadBytes = icmpv6.HEADER_BYTES + quoted;
  const bytes = new Uint8Array(l3 + ipv6.HEADER_BYTES + payloadBytes);
  const view = new DataView(bytes.buffer);
  const { armMacHigh, armMacLow } = director;
  ethernet.setDestination(view, 0, high, low);
  ethernet.setSource(view, 0, armMacHigh[arm] as number, armMacLow[arm] as number);
  ethernet.setType(view, 0, ethernet.TYPE_IPV6);
  ipv6.emit(view, l3, {
    ...{ trafficClass: 0, flowLabel: 0, nextHeader: ipv6.PROTOCOL_ICMPV6, payloadBytes },
    hopLimit: TIME_TO_LIVE,
    source,
    destination: ipv6.addressAt(frame, packet + ipv6.SOURCE_OFFSET),
  });
  const data = new Uint8Array(frame.buffer, frame.byteOffset + packet, quoted);
  icmpv6.emit(view, l3, l3 + ipv6.HEADER_BYTES, { ...error, data });
  director.outbox.push({ arm, bytes, tag: director.tag });
}

/**
 * The address that the director speaks from: the arm's own, if it is of use beyond the link, else
 * another arm's; with none the VIP that was asked, and to a real the arm's link-local address.
 */
function speakerOn(
  { arms, table, flows }: Director,
  frame: DataView,
  asked: number,
  arm: number,
): Ipv6 {
  const isGlobal = ({ address6 }: Director['arms'][number]) =>
    address6 !== undefined && (address6[0] & 0xffc00000) !== (0xfe800000 | 0);
  const own = arms[arm] as Director['arms'][number];
  const speaker = isGlobal(own) ? own : arms.find(isGlobal);
  if (speaker?.address6 !== undefined) return speaker.address6;
  const isVip = isVip6(table, findAddress(flows.book, frame, asked), frame, asked);
  return isVip ? ipv6.addressAt(frame, asked) : linkLocalOf(own);
}

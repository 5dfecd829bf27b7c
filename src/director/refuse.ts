// What becomes of a packet that is not sent on: dropped with a reason that is counted, or passed to
// the host's own kernel because it is none of the director's business.
import { DROP } from '../wire/drop-reason.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as ipv6 from '../wire/ipv6.ts';
import * as tcp from '../wire/tcp.ts';
import { dropAt, GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { isIpv6 } from './packet.ts';
import { isNatReal, isVip, isVip6 } from './table.ts';
import { tellRefused } from './tell-sender.ts';
import { tellRefused6 } from './tell-sender6.ts';
import { drop, PASS, type Verdict } from './verdict.ts';

const NO_SERVICE = DROP['no-service'];
const NO_REAL = DROP['no-real'];
const NO_FLOW = DROP['no-flow'];
const FRAGMENT_OFFSET = 0x1fff;
/** The two ports, which come first in TCP and UDP alike. */
const PORTS_BYTES = 4;

/** Counts a drop, and gives the verdict. */
export function dropped(director: Director, reason: number): Verdict {
  const { values } = director.counters;
  const at = dropAt(reason);
  values[at] = (values[at] as number) + 1;
  values[GLOBAL.droppedFrames] = (values[GLOBAL.droppedFrames] as number) + 1;
  return drop(reason);
}

/** Drops the packet of a new flow that no real takes, and tells its client. */
export function refuseFlow(director: Director, frame: DataView, at: number, arm: number): Verdict {
  const tell = isIpv6(director.packet) ? tellRefused6 : tellRefused;
  tell(director, frame, at, arm);
  return dropped(director, NO_REAL);
}

/**
 * An IPv4 packet that is not sent on. To a VIP: dropped for this reason. From the port of a NAT
 * real to another host: dropped too, for without its flow the client would get it from a stranger.
 * Anything else is passed.
 */
export function notForwarded(
  director: Director,
  frame: DataView,
  at: number,
  reason: number,
): Verdict {
  const l3 = at + ethernet.HEADER_BYTES;
  const destination = ipv4.destination(frame, l3);
  const toVip = isVip(director.table, destination);
  const fromReal = isReply(director, frame, l3);
  if (!toVip && (!fromReal || isOwnAddress(director, destination))) return PASS;
  return dropped(director, fromReal && reason === NO_SERVICE ? NO_FLOW : reason);
}

/** True if the packet comes from the port of a NAT real. Only a first fragment shows its port. */
function isReply({ table }: Director, frame: DataView, l3: number): boolean {
  const headerBytes = ipv4.headerBytes(frame, l3);
  if (ipv4.totalBytes(frame, l3) - headerBytes < PORTS_BYTES) return false;
  if ((ipv4.fragmentField(frame, l3) & FRAGMENT_OFFSET) !== 0) return false;
  const port = tcp.sourcePort(frame, l3 + headerBytes);
  return isNatReal(table, ipv4.source(frame, l3), port, ipv4.protocol(frame, l3));
}

/**
 * The same for an IPv6 packet, of which all that is needed has been read.
 * @param l4 offset of its ports, or 0 if it shows none
 */
export function notForwarded6(
  director: Director,
  frame: DataView,
  l3: number,
  l4: number,
  reason: number,
): Verdict {
  const { table, packet } = director;
  const toVip = isVip6(table, packet.destination, frame, l3 + ipv6.DESTINATION_OFFSET);
  const fromReal =
    l4 !== 0 && isNatReal(table, packet.source, tcp.sourcePort(frame, l4), packet.protocol);
  const isOwn = isOwnAddress6(director, frame, l3 + ipv6.DESTINATION_OFFSET);
  if (!toVip && (!fromReal || isOwn)) return PASS;
  return dropped(director, fromReal && reason === NO_SERVICE ? NO_FLOW : reason);
}

/** Link-local addresses are never those of somebody behind the director. */
export function isOwnAddress6({ arms }: Director, frame: DataView, at: number): boolean {
  if (ipv6.isLinkLocal(frame, at)) return true;
  for (let index = 0; index < arms.length; index++) {
    const own = arms[index]?.address6;
    if (own !== undefined && ipv6.isAddress(frame, at, own)) return true;
  }
  return false;
}

/** The host of the director may talk to a real itself, as a health check does. */
export function isOwnAddress({ arms }: Director, address: number): boolean {
  for (let index = 0; index < arms.length; index++) {
    if (arms[index]?.address === address) return true;
  }
  return false;
}

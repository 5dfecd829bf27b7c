// Errors of ICMP that routers on the way make: one among the clients about a reply, one before the
// reals about a request as it is there, one in the middle of a tunnel about the outer packet.
import { icmpErrorFrame } from '../../lab/frame.ts';
import { icmp6 } from '../packets/frames6.ts';
import { FAR_ROUTER, INSIDE_ARM, NEAR_ROUTER, OUTSIDE_ARM, ROUTER } from '../packets/scene.ts';
import { FAR_ROUTER6, INSIDE_ADDRESS, NEAR_ROUTER6 } from '../packets/scene6.ts';
import type { Random } from './random.ts';
import { type ErrorSeen, isIpv6, type Macs, type Segment } from './segments.ts';

/** Of both families: unreachable, and a parameter problem. The director itself says neither. */
const TYPES = { 4: [3, 12], 6: [1, 4] };

/** Whether an error is one that a router in this file made, rather than the director. */
export const isRelayed = ({ type, source }: Pick<ErrorSeen, 'type' | 'source'>): boolean =>
  source.includes(':') ? TYPES[6].includes(type) : type === 12;

interface Ends extends Macs {
  readonly source: string;
  readonly destination: string;
}

function errorAbout(random: Random, ends: Ends, whole: Uint8Array): Uint8Array {
  const quote = whole.slice(14);
  const type = random.pick(TYPES[ends.source.includes(':') ? 6 : 4]);
  if (ends.source.includes(':')) return icmp6({ ...ends, type, data: quote });
  return icmpErrorFrame({ ...ends, type, code: type === 3 ? 1 : 0, quote });
}

/** Of a reply that has come as far as the clients' network. */
export function tellOfReply(random: Random, { source }: Segment, whole: Uint8Array): Uint8Array {
  const router = source.includes(':') ? FAR_ROUTER6 : FAR_ROUTER;
  const ends = { sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac };
  return errorAbout(random, { ...ends, source: router, destination: source }, whole);
}

/** Of a request by NAT that has come as far as the network of its real. */
export function tellOfRequest(
  random: Random,
  { source }: Segment,
  whole: Uint8Array,
  sourceMac: string,
): Uint8Array {
  const router = source.includes(':') ? NEAR_ROUTER6 : NEAR_ROUTER;
  const ends = { sourceMac, destinationMac: INSIDE_ARM.mac };
  return errorAbout(random, { ...ends, source: router, destination: source }, whole);
}

/** What a narrow network says of a packet in a tunnel: the inner one may have 100 bytes. */
export function tellOfTunnel(outer: Uint8Array, ahead: number, sourceMac: string): Uint8Array {
  const macs = { sourceMac, destinationMac: INSIDE_ARM.mac };
  const [quote, mtu] = [outer.slice(14), ahead + 100];
  if (isIpv6(outer)) {
    const ends = { source: NEAR_ROUTER6, destination: INSIDE_ADDRESS };
    return icmp6({ ...macs, ...ends, type: 2, word: mtu, data: quote });
  }
  const ends = { source: NEAR_ROUTER, destination: INSIDE_ARM.address };
  return icmpErrorFrame({ ...macs, ...ends, type: 3, code: 4, nextHopMtu: mtu, quote });
}

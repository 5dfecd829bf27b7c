// Scenes of tunnels with IPv6 in them, around them, or both.
import { icmpErrorFrame, tcpFrame, udpFrame } from '../../lab/frame.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import { icmp6, tcp6, udp6 } from './frames6.ts';
import {
  CLIENT,
  type Host,
  INSIDE,
  INSIDE_ARM,
  introduce,
  makeScene,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  type Scene,
  type SceneOptions,
} from './scene.ts';
import { ARMS6, CLIENT6, INSIDE_ADDRESS, introduce6, NEAR_ROUTER6 } from './scene6.ts';

export interface Kind {
  readonly method: 'ipip' | 'gue';
  /** Families of the outer and of the inner packet. */
  readonly outer: 4 | 6;
  readonly inner: 4 | 6;
}

export const VIPS = { 4: '192.0.2.82', 6: '2001:db8:a::82' } as const;
export const REALS = { 4: '10.7.0.11', 6: '2001:db8:7::11' } as const;
/** The routers behind which they are. */
const GATEWAY: Host = { mac: '02:00:00:00:0d:fe', address: '10.0.0.254' };
export const GATEWAY6: Host = { mac: '02:00:00:00:0d:fe', address: '2001:db8:b::fe' };
export const GUE_BYTES = 12;

export const aheadOf = ({ method, outer }: Kind) =>
  (outer === 6 ? 40 : 20) + (method === 'gue' ? GUE_BYTES : 0);

/** One of TCP and one of UDP, whose reals are at the address. */
export function servicesOf({ method, outer, inner }: Kind, address: string = REALS[outer]) {
  const service = { vip: VIPS[inner], port: 80, method, scheduler: 'maglev' } as const;
  const hop = outer === 6 ? GATEWAY6.address : GATEWAY.address;
  const real = { address, port: 80, arm: INSIDE, hop };
  return [
    { ...service, id: 0, protocol: 6 as const, reals: [{ ...real, id: 0 }] },
    { ...service, id: 1, protocol: 17 as const, reals: [{ ...real, id: 1 }] },
  ];
}

export function sceneOf(kind: Kind, options: SceneOptions = {}): Scene {
  const services = servicesOf(kind);
  const scene = makeScene({ services, resolved: [], arms: ARMS6, ...options });
  introduce(scene, GATEWAY);
  introduce6(scene, GATEWAY6);
  return scene;
}

export const MACS = { sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac };
const PORTS = { sourcePort: 40_000, destinationPort: 80 };
export const ends = (inner: 4 | 6) => ({
  ...{ ...MACS, ...PORTS, source: inner === 6 ? CLIENT6 : CLIENT, destination: VIPS[inner] },
});
export const tcpOf = ({ inner }: Kind, fields: object = {}) =>
  (inner === 6 ? tcp6 : tcpFrame)({ ...ends(inner), ...fields });
export const udpOf = ({ inner }: Kind, fields: object = {}) =>
  (inner === 6 ? udp6 : udpFrame)({ ...ends(inner), ...fields });
export const viewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
export const KINDS: readonly Kind[] = (['ipip', 'gue'] as const).flatMap((method) => [
  { method, outer: 6, inner: 6 } as const,
  { method, outer: 6, inner: 4 } as const,
  { method, outer: 4, inner: 6 } as const,
]);

/** What a router behind the director says of an outer packet: too long, or another error. */
export function saying({ outer }: Kind, about: Uint8Array, mtu: number): Uint8Array {
  const from = { sourceMac: GATEWAY.mac, destinationMac: INSIDE_ARM.mac };
  if (outer === 6) {
    const type = mtu === 0 ? icmpv6.DESTINATION_UNREACHABLE : icmpv6.PACKET_TOO_BIG;
    return icmp6({
      ...{ ...from, source: NEAR_ROUTER6, destination: INSIDE_ADDRESS },
      ...{ type, word: mtu, data: packetOf(about).slice(0, 1232) },
    });
  }
  return icmpErrorFrame({
    ...{ ...from, source: GATEWAY.address, destination: INSIDE_ARM.address },
    ...{ type: 3, code: mtu === 0 ? 1 : 4, nextHopMtu: mtu },
    quote: packetOf(about).slice(0, 548),
  });
}

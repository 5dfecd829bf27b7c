// The standard director with services of IPv6 beside those of IPv4, on the same arms and ports, and
// the frames that their clients and reals send.
import type { SchedulerName } from '../../src/schedule/scheduler.ts';
import { parseMac } from '../../src/wire/address.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ndp from '../../src/wire/ndp.ts';
import {
  addressOf,
  type Fields6,
  type IcmpFields6,
  icmp6,
  type PortFields6,
  tcp6,
  udp6,
} from './frames6.ts';
import {
  ARMS,
  type Host,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REAL_PORT,
  OUTSIDE,
  OUTSIDE_ARM,
  ROUTER,
  type Scene,
  type SceneOptions,
  type SceneService,
  standardServices,
} from './scene.ts';

export const CLIENT6 = '2001:db8:c::7';
export const DSR_VIP6 = '2001:db8:a::80';
export const NAT_VIP6 = '2001:db8:a::81';
export const OUTSIDE_ADDRESS = '2001:db8:a::1';
export const INSIDE_ADDRESS = '2001:db8:b::1';
export const DSR_REALS6: readonly Host[] = [
  { mac: '02:00:00:00:0c:01', address: '2001:db8:a::11' },
  { mac: '02:00:00:00:0c:02', address: '2001:db8:a::12' },
];
export const NAT_REALS6: readonly Host[] = [
  { mac: '02:00:00:00:0d:01', address: '2001:db8:b::11' },
  { mac: '02:00:00:00:0d:02', address: '2001:db8:b::12' },
];

export const ARMS6 = ARMS.map((arm, index) => ({
  ...arm,
  address6: addressOf(index === OUTSIDE ? OUTSIDE_ADDRESS : INSIDE_ADDRESS),
  prefixLength6: 64,
}));

/** TCP and UDP, by DSR and by NAT; service ids 4 to 7, real ids 8 to 15. */
export function services6(scheduler: SchedulerName = 'rr'): SceneService[] {
  const reals = (hosts: readonly Host[], arm: number, firstId: number, port: number) =>
    hosts.map(({ address }, index) => ({ id: firstId + index, address, port, arm }));
  const dsr = { vip: DSR_VIP6, port: 80, method: 'dsr', scheduler } as const;
  const nat = { vip: NAT_VIP6, port: 80, method: 'nat', scheduler } as const;
  return [
    { ...dsr, id: 4, protocol: 6, reals: reals(DSR_REALS6, OUTSIDE, 8, 80) },
    { ...dsr, id: 5, protocol: 17, reals: reals(DSR_REALS6, OUTSIDE, 10, 80) },
    { ...nat, id: 6, protocol: 6, reals: reals(NAT_REALS6, INSIDE, 12, NAT_REAL_PORT) },
    { ...nat, id: 7, protocol: 17, reals: reals(NAT_REALS6, INSIDE, 14, NAT_REAL_PORT) },
  ];
}

export interface Scene6Options extends SceneOptions {
  readonly scheduler?: SchedulerName;
  readonly resolved6?: readonly Host[];
}

/** Services of both families, unless given others. */
export function makeScene6({ scheduler, resolved6, ...options }: Scene6Options = {}): Scene {
  const services = [...standardServices(scheduler), ...services6(scheduler)];
  const scene = makeScene({ arms: ARMS6, services, ...options });
  for (const host of resolved6 ?? [...DSR_REALS6, ...NAT_REALS6]) introduce6(scene, host);
  return scene;
}

const armOf = (host: Host) => (host.address.startsWith('2001:db8:b:') ? INSIDE : OUTSIDE);

/** An advertisement of a host about itself; `flags` are those of an answer unless given. */
export function advertisement(host: Host, fields: Partial<ndp.Message> = {}): Uint8Array {
  const isInside = armOf(host) === INSIDE;
  const mac = parseMac(host.mac)!;
  return ndp.message({
    ...{ type: icmpv6.NEIGHBOUR_ADVERTISEMENT, flags: ndp.SOLICITED | ndp.OVERRIDE },
    ...{ source: addressOf(host.address), target: addressOf(host.address) },
    destination: addressOf(isInside ? INSIDE_ADDRESS : OUTSIDE_ADDRESS),
    ...{
      macHigh: mac.high,
      macLow: mac.low,
      to: parseMac((isInside ? INSIDE_ARM : OUTSIDE_ARM).mac)!,
    },
    ...fields,
  });
}

export function introduce6(scene: Scene, host: Host): void {
  scene.receive(advertisement(host), { arm: armOf(host) });
}

const FROM_ROUTER = { sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: CLIENT6 };
const TO_DSR = { ...FROM_ROUTER, destination: DSR_VIP6, sourcePort: 40_000, destinationPort: 80 };
const TO_NAT = { ...TO_DSR, destination: NAT_VIP6 };

/** A request of the client; fields that are not given are those of an ACK to the DSR service. */
export const dsrTcp6 = (fields: Partial<PortFields6> = {}) => tcp6({ ...TO_DSR, ...fields });
export const dsrUdp6 = (fields: Partial<PortFields6> = {}) => udp6({ ...TO_DSR, ...fields });
export const natTcp6 = (fields: Partial<PortFields6> = {}) => tcp6({ ...TO_NAT, ...fields });
export const natUdp6 = (fields: Partial<PortFields6> = {}) => udp6({ ...TO_NAT, ...fields });

/** What a NAT real answers, on the inside arm. */
const replyFrom = (host: Host) => ({
  ...{ sourceMac: host.mac, destinationMac: INSIDE_ARM.mac, source: host.address },
  ...{ destination: CLIENT6, sourcePort: NAT_REAL_PORT, destinationPort: 40_000 },
});

export const replyTcp6 = (host: Host, fields: Partial<PortFields6> = {}) =>
  tcp6({ ...replyFrom(host), ...fields });
export const replyUdp6 = (host: Host, fields: Partial<PortFields6> = {}) =>
  udp6({ ...replyFrom(host), ...fields });

/** A ping of the client to a VIP. */
export const ping6 = (fields: Partial<IcmpFields6> = {}) =>
  icmp6({ ...FROM_ROUTER, destination: DSR_VIP6, type: icmpv6.ECHO_REQUEST, ...fields });

/** Some router far out, and one between the director and its NAT reals. */
export const FAR_ROUTER6 = '2001:db8:f::9';
export const NEAR_ROUTER6 = '2001:db8:b::9';

const packetOf = (frame: Uint8Array): Uint8Array => frame.slice(14);

/** What the far router says of a packet that a VIP sent: too long, unless told otherwise. */
export const errorToVip6 = (vip: string, about: Uint8Array, fields: Partial<IcmpFields6> = {}) =>
  icmp6({
    ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: FAR_ROUTER6 },
    ...{
      destination: vip,
      type: icmpv6.PACKET_TOO_BIG,
      word: 1400,
      data: packetOf(about),
      ...fields,
    },
  });

/** What the near router says of a packet to a NAT real. */
export const errorToClient6 = (about: Uint8Array, fields: Partial<IcmpFields6> = {}) =>
  icmp6({
    ...{ sourceMac: NAT_REALS6[0]!.mac, destinationMac: INSIDE_ARM.mac, source: NEAR_ROUTER6 },
    ...{ destination: CLIENT6, type: icmpv6.PACKET_TOO_BIG, word: 1400, data: packetOf(about) },
    ...fields,
  });

export type { Fields6 };

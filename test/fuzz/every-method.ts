// A director with services of every method, protocol and family at once, and packets of their
// clients and reals: what the fuzz tests let through it beside frames that make no sense.
import fc from 'fast-check';
import { tcpFrame, udpFrame } from '../../lab/frame.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import type { MethodName } from '../../src/director/table.ts';
import * as sctp from '../../src/wire/sctp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  CLIENT,
  DSR_REALS,
  DSR_VIP,
  type Host,
  INSIDE,
  INSIDE_ARM,
  introduce,
  NAT_REALS,
  NAT_VIP,
  OUTSIDE,
  OUTSIDE_ARM,
  ROUTER,
  type Scene,
  type SceneReal,
  type SceneService,
  standardServices,
} from '../packets/scene.ts';
import {
  ARMS6,
  DSR_VIP6,
  dsrTcp6,
  dsrUdp6,
  introduce6,
  makeScene6,
  NAT_REALS6,
  NAT_VIP6,
  replyTcp6,
  replyUdp6,
  services6,
} from '../packets/scene6.ts';
import { sctpFrame } from '../wire/sctp-frames.ts';
import type { Arrival } from './arrivals.ts';

/** The router behind which the reals of tunnels are. */
export const GATEWAY: Host = { mac: '02:00:00:00:0d:fe', address: '10.0.0.254' };
const GATEWAY6: Host = { mac: '02:00:00:00:0d:fe', address: '2001:db8:b::fe' };
export const VIPS = {
  ...{ dsr: DSR_VIP, nat: NAT_VIP, fullnat: '192.0.2.83', ipip: '192.0.2.84', gue: '192.0.2.85' },
  mixed: '192.0.2.86',
} as const;
const VIPS6 = {
  ...{ dsr: DSR_VIP6, nat: NAT_VIP6, fullnat: '2001:db8:a::83' },
  ...{ ipip: '2001:db8:a::84', gue: '2001:db8:a::85' },
} as const;
/** One port, and one real by fullnat: its second connection finds no port. */
const POOL = { addresses: ['10.0.0.200', '2001:db8:b::200'], firstPort: 61_000, portCount: 1 };
const PORT = 80;
const ROOM = { arms: 2, services: 24, reals: 96 };

const realsBy: Record<MethodName, readonly Omit<SceneReal, 'id' | 'port'>[]> = {
  dsr: DSR_REALS.map(({ address }) => ({ address, arm: OUTSIDE })),
  nat: NAT_REALS.map(({ address }) => ({ address, arm: INSIDE })),
  fullnat: [{ address: NAT_REALS[0]!.address, arm: INSIDE }],
  ipip: ['10.7.0.11', '10.7.0.12'].map(behindGateway),
  gue: ['10.8.0.11', '10.8.0.12'].map(behindGateway),
};

function behindGateway(address: string) {
  const hop = address.includes(':') ? GATEWAY6 : GATEWAY;
  return { address, arm: INSIDE, hop: hop.address };
}

/** Tunnels lead to reals of the other family as well. */
const FAR6 = behindGateway('2001:db8:7::11');
const MIXED: SceneService['reals'] = (['dsr', 'nat', 'ipip', 'gue'] as const).map((method) => ({
  ...{ ...(method === 'ipip' ? FAR6 : realsBy[method][0]!), method, id: 0, port: PORT },
}));
const REALS6 = {
  fullnat: [{ address: NAT_REALS6[0]!.address, arm: INSIDE }],
  ipip: [FAR6, behindGateway('2001:db8:7::12')],
  gue: [FAR6, realsBy.gue[0]!],
};

/** SCTP goes by DSR and NAT alone, and keeps its port. */
function moreServices(): SceneService[] {
  const rows: (readonly [keyof typeof VIPS, 6 | 17 | 132])[] = [
    ...(['fullnat', 'ipip', 'gue', 'mixed'] as const).flatMap((kind) => [
      [kind, 6] as const,
      [kind, 17] as const,
    ]),
    ...[['dsr', 132] as const, ['nat', 132] as const],
  ];
  const ofIpv6 = (['fullnat', 'ipip', 'gue'] as const).flatMap((kind) =>
    ([6, 17] as const).map((protocol) => ({
      ...{ vip: VIPS6[kind], protocol, method: kind, reals: REALS6[kind] },
    })),
  );
  const services: Pick<SceneService, 'vip' | 'protocol' | 'method'>[] = [
    ...rows.map(([kind, protocol]) => ({
      ...{ vip: VIPS[kind], protocol, method: kind === 'mixed' ? ('nat' as const) : kind },
      reals: kind === 'mixed' ? MIXED : realsBy[kind],
    })),
    ...ofIpv6,
  ];
  return (services as SceneService[]).map((service, index) => ({
    ...{ ...service, id: 8 + index, port: PORT, scheduler: 'rr' as const },
    reals: service.reals.map((real, place) => ({
      ...{ ...real, id: 16 + index * 4 + place, port: PORT },
    })),
  }));
}

/** With arms so narrow that packets of a hundred bytes are too long, if asked for. */
export function makeSceneOfAll({
  maximumFlows,
  mtu,
}: {
  maximumFlows: number;
  mtu: number;
}): Scene {
  const arms: Arm[] = ARMS6.map((arm) => ({ ...arm, mtu }));
  const services = [...standardServices(), ...services6(), ...moreServices()];
  const scene = makeScene6({ services, arms, maximumFlows, pool: POOL, room: ROOM });
  introduce(scene, GATEWAY);
  introduce6(scene, GATEWAY6);
  scene.director.outbox.length = 0;
  return scene;
}

const FROM_CLIENT = {
  ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: CLIENT },
  destinationPort: PORT,
};
const MAKERS6 = { request: [dsrTcp6, dsrUdp6], reply: [replyTcp6, replyUdp6] };
const isOfVips6 = (kind: string): kind is keyof typeof VIPS6 => kind in VIPS6;
const KINDS = Object.keys(VIPS) as (keyof typeof VIPS)[];

/** So many connections to each service. */
const PORTS = 5;
const FIRST_PORT = 40_000;
const TCP_FLAGS = [tcp.SYN, tcp.ACK, tcp.ACK | tcp.FIN, tcp.RST, tcp.SYN | tcp.ACK, 0];
const CHUNKS = [
  ...[sctp.INIT, sctp.INIT_ACK, sctp.DATA, sctp.COOKIE_ECHO, sctp.COOKIE_ACK],
  ...[sctp.SHUTDOWN, sctp.SHUTDOWN_ACK, sctp.SHUTDOWN_COMPLETE, sctp.ABORT],
];

interface PacketFields {
  readonly kind: keyof typeof VIPS;
  readonly protocol: 6 | 17 | 132;
  readonly port: number;
  readonly flags: number;
  readonly chunk: number;
  readonly timeToLive: number;
  readonly dontFragment: boolean;
  readonly payload: Uint8Array;
  readonly real: number;
}

function build(protocol: number, chunk: number, ends: Parameters<typeof tcpFrame>[0]): Uint8Array {
  if (protocol === 6) return tcpFrame(ends);
  if (protocol === 17) return udpFrame(ends);
  return sctpFrame({
    ...ends,
    chunks: [{ type: chunk, value: ends.payload ?? new Uint8Array(0) }],
  });
}

const requestOf = ({ kind, protocol, port, chunk, ...fields }: PacketFields) =>
  build(protocol, chunk, {
    ...{ ...FROM_CLIENT, ...fields, destination: VIPS[kind], sourcePort: FIRST_PORT + port },
  });

/** A real answers a client, or by fullnat an address of the pool. */
function replyOf({ kind, protocol, port, chunk, real, ...fields }: PacketFields): Uint8Array {
  const host = NAT_REALS[real]!;
  const isFullnat = kind === 'fullnat';
  const toPool = { destination: POOL.addresses[0]!, destinationPort: POOL.firstPort };
  const toClient = { destination: CLIENT, destinationPort: FIRST_PORT + port };
  return build(protocol, chunk, {
    ...{ sourceMac: host.mac, destinationMac: INSIDE_ARM.mac, ...fields, source: host.address },
    ...{ sourcePort: kind === 'nat' && protocol !== 132 ? 8080 : PORT },
    ...(isFullnat ? toPool : toClient),
  });
}

function frame6Of({ kind, protocol, port, flags, payload, real }: PacketFields, isReply: boolean) {
  const isTcp = protocol === 6;
  const rest = { flags, payload };
  if (isReply) {
    const make = MAKERS6.reply[isTcp ? 0 : 1]!;
    const toPool = {
      ...{ sourcePort: PORT, destination: POOL.addresses[1]!, destinationPort: POOL.firstPort },
    };
    const toClient = { destinationPort: FIRST_PORT + port };
    return make(NAT_REALS6[real]!, { ...rest, ...(kind === 'fullnat' ? toPool : toClient) });
  }
  const make = MAKERS6.request[isTcp ? 0 : 1]!;
  const destination = isOfVips6(kind) ? VIPS6[kind] : NAT_VIP6;
  return make({ ...rest, destination, sourcePort: FIRST_PORT + port });
}

/** Packets of five connections to each service, more than a small table holds. */
export const anyPacket: fc.Arbitrary<Arrival> = fc
  .record({
    kind: fc.constantFrom(...KINDS),
    protocol: fc.constantFrom<6 | 17 | 132>(6, 6, 17, 132),
    isIpv6: fc.boolean(),
    port: fc.nat(PORTS - 1),
    flags: fc.constantFrom(...TCP_FLAGS),
    chunk: fc.constantFrom(...CHUNKS),
    real: fc.nat(1),
    timeToLive: fc.constantFrom(1, 64, 64, 64),
    dontFragment: fc.boolean(),
    payload: fc.constantFrom(5, 5, 90).map((bytes) => new Uint8Array(bytes)),
    partial: fc.boolean(),
    isReply: fc.boolean(),
  })
  .map(({ isIpv6, partial, isReply, ...fields }) => {
    const hasIpv6 = isIpv6 && isOfVips6(fields.kind);
    const make = isReply ? replyOf : requestOf;
    const frame = hasIpv6 ? frame6Of(fields, isReply) : make(fields);
    return { frame, arm: isReply ? INSIDE : OUTSIDE, partial };
  });

/** Connections that are there to stay, from ports of their own. */
export function established(count: number): Arrival[] {
  return Array.from({ length: count }, (_, index) => {
    const fields = { ...FROM_CLIENT, destination: DSR_VIP, sourcePort: 50_000 + index };
    return [tcp.SYN, tcp.ACK].map((flags) => ({
      ...{ frame: tcpFrame({ ...fields, flags }), arm: OUTSIDE, partial: false },
    }));
  }).flat();
}

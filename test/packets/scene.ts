// A director between two segments, with one service of each kind, and the frames that its
// neighbours send. What tests see of it is what the wire would: a frame in, a verdict, a frame out,
// and the counters that moved.
import {
  arpFrame,
  type IcmpErrorFields,
  icmpErrorFrame,
  type TcpFields,
  tcpFrame,
  type UdpFields,
  udpFrame,
} from '../../lab/frame.ts';
import { parsePorts, parsePrefix, parsePrefix6 } from '../../src/config/listening.ts';
import type { Arm } from '../../src/datapath/datapath.ts';
import {
  ARM_FIELDS,
  armAt,
  type Counters,
  counterBytes,
  dropAt,
  GLOBAL_FIELDS,
  realAt,
  serviceAt,
  TRAFFIC_FIELDS,
  wrapCounters,
} from '../../src/director/counters.ts';
import { createDirector, type Director } from '../../src/director/director.ts';
import type { RealTerms, ServiceLife } from '../../src/director/life.ts';
import type { OutboxFrame } from '../../src/director/neighbours.ts';
import { processFrame } from '../../src/director/process.ts';
import type { SourceList } from '../../src/director/source-list.ts';
import {
  buildTable,
  type MethodName,
  type ServiceInput,
  type Table,
  type TunnelInput,
} from '../../src/director/table.ts';
import { detailOf, kindOf, restOf, SEND, TAKEN } from '../../src/director/verdict.ts';
import { TIMEOUT_MS } from '../../src/flow/tcp-states.ts';
import type { SchedulerName } from '../../src/schedule/scheduler.ts';
import { schedulerNamed } from '../../src/schedule/schedulers.ts';
import { type Ipv6, parseIpv4, parseIpv6, parseMac } from '../../src/wire/address.ts';
import * as arp from '../../src/wire/arp.ts';
import { DROP_REASONS } from '../../src/wire/drop-reason.ts';

export interface Host {
  readonly mac: string;
  readonly address: string;
}

export const OUTSIDE = 0;
export const INSIDE = 1;
export const OUTSIDE_ARM: Host = { mac: '02:00:00:00:0a:00', address: '192.0.2.1' };
export const INSIDE_ARM: Host = { mac: '02:00:00:00:0a:01', address: '10.0.0.1' };
/** The client is far away; its frames come from ROUTER, or from OTHER_ROUTER. */
export const CLIENT = '198.51.100.7';
export const ROUTER: Host = { mac: '02:00:00:00:0b:01', address: '192.0.2.254' };
export const OTHER_ROUTER: Host = { mac: '06:00:00:01:0b:02', address: '192.0.2.253' };
export const DSR_VIP = '192.0.2.80';
export const NAT_VIP = '192.0.2.81';
export const DSR_REALS: readonly Host[] = [
  { mac: '02:00:00:00:0c:01', address: '192.0.2.11' },
  { mac: '02:00:00:00:0c:02', address: '192.0.2.12' },
];
export const NAT_REALS: readonly Host[] = [
  { mac: '02:00:00:00:0d:01', address: '10.0.0.11' },
  { mac: '02:00:00:00:0d:02', address: '10.0.0.12' },
];

export const DSR_PORT = 80;
export const NAT_PORT = 80;
/** Where the reals of the NAT services listen. */
export const NAT_REAL_PORT = 8080;

export interface SceneService {
  readonly id: number;
  readonly vip: string;
  readonly port: number;
  readonly protocol: 6 | 17 | 132;
  /** Instead of these three, where a service listens on more: as a file says it. */
  readonly listens?: {
    readonly vips: readonly string[];
    readonly ports: readonly (number | string)[];
    readonly protocols: readonly number[];
  };
  readonly method: MethodName;
  readonly scheduler: SchedulerName;
  readonly sources?: SourceList;
  readonly reals: readonly SceneReal[];
  readonly life?: ServiceLife;
  readonly sorry?: SceneReal;
}

export interface SceneReal {
  readonly id: number;
  readonly address: string;
  readonly port: number;
  readonly arm: number;
  readonly weight?: number;
  /** That of its service unless given. */
  readonly method?: MethodName;
  /** The router that leads to it. */
  readonly hop?: string;
  readonly terms?: RealTerms;
}

/** Every IPv6 address that any table had; its place is its handle. */
const addresses6: Ipv6[] = [];
const handles = new Map<string, number>();

/** The address's handle; every table names it from now on. */
export function handleOf(text: string): number {
  const address = parseIpv6(text);
  if (address === undefined) throw new TypeError(`'${text}' is no address`);
  const known = handles.get(address.join());
  if (known !== undefined) return known;
  handles.set(address.join(), addresses6.length);
  return addresses6.push(address) - 1;
}

/** Begins anew, so that nothing depends on what came before. No scene before may be used again. */
export function forgetAddresses6(): void {
  addresses6.length = 0;
  handles.clear();
}

const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

const isPrefix6 = (text: string) => familyOf(text) === 6 && text.includes('/');

const numberOf = (address: string): number => {
  const number = familyOf(address) === 6 ? handleOf(address) : parseIpv4(address);
  if (number === undefined) throw new TypeError(`'${address}' is no address`);
  return number;
};

function makeArm(name: string, host: Host): Arm {
  const mac = parseMac(host.mac);
  if (mac === undefined) throw new TypeError(`'${host.mac}' is no MAC address`);
  return {
    name,
    interfaceIndex: 0,
    macHigh: mac.high,
    macLow: mac.low,
    address: numberOf(host.address),
    prefixLength: 24,
    mtu: 1500,
  };
}

export const ARMS: readonly Arm[] = [makeArm('out', OUTSIDE_ARM), makeArm('in', INSIDE_ARM)];

const realsOf = (hosts: readonly Host[], arm: number, firstId: number, port: number) =>
  hosts.map(({ address }, index): SceneReal => ({ id: firstId + index, address, port, arm }));

const DSR = { vip: DSR_VIP, port: DSR_PORT, method: 'dsr' } as const;
const NAT = { vip: NAT_VIP, port: NAT_PORT, method: 'nat' } as const;

/** TCP and UDP, by DSR and by NAT, on port 80; service ids 0 to 3, real ids 0 to 7. */
export function standardServices(scheduler: SchedulerName = 'rr'): SceneService[] {
  const dsr = (firstId: number) => realsOf(DSR_REALS, OUTSIDE, firstId, DSR_PORT);
  const nat = (firstId: number) => realsOf(NAT_REALS, INSIDE, firstId, NAT_REAL_PORT);
  return [
    { ...DSR, id: 0, protocol: 6, scheduler, reals: dsr(0) },
    { ...DSR, id: 1, protocol: 17, scheduler, reals: dsr(2) },
    { ...NAT, id: 2, protocol: 6, scheduler, reals: nat(4) },
    { ...NAT, id: 3, protocol: 17, scheduler, reals: nat(6) },
  ];
}

/** The same services without one host among their reals. */
export const withoutReal = (services: readonly SceneService[], host: Host): SceneService[] =>
  services.map((service) => ({
    ...service,
    reals: service.reals.filter(({ address }) => address !== host.address),
  }));

/** The same services with reals that take no new flows. */
export const drained = (services: readonly SceneService[] = standardServices()): SceneService[] =>
  services.map((service) => ({
    ...service,
    reals: service.reals.map((real) => ({ ...real, weight: 0 })),
  }));

/** A source pool for fullnat. */
export interface ScenePool {
  readonly addresses: readonly string[];
  readonly firstPort: number;
  readonly portCount: number;
}

const scheduledReals = (reals: readonly SceneReal[]) =>
  reals.map(({ address, port, weight = 1 }) => ({ key: `${address}:${port}`, weight }));

export function tableOf(
  services: readonly SceneService[],
  tunnel?: TunnelInput,
  timeoutsMs: Int32Array = TIMEOUT_MS,
  pool?: ScenePool,
): Table {
  const realOf = ({ hop, ...real }: SceneReal) => ({
    ...{ ...real, address: numberOf(real.address), family: familyOf(real.address) },
    hop: hop === undefined ? undefined : numberOf(hop),
  });
  const inputs = services.map(
    ({
      vip,
      port,
      protocol,
      listens,
      scheduler,
      reals,
      method,
      sorry,
      ...service
    }): ServiceInput => ({
      ...service,
      ...(sorry === undefined ? {} : { sorry: { method, ...realOf(sorry) } }),
      family: familyOf(vip),
      vips: (listens?.vips ?? [vip])
        .filter((text) => !isPrefix6(text))
        .map((text) => parsePrefix(text) ?? { address: numberOf(text), prefixLength: 32 }),
      prefixes6: (listens?.vips ?? [])
        .filter(isPrefix6)
        .flatMap((text) => parsePrefix6(text) ?? []),
      ports: (listens?.ports ?? [port]).flatMap((each) => parsePorts(each) ?? []),
      protocols: listens?.protocols ?? [protocol],
      schedule: schedulerNamed(scheduler).build(scheduledReals(reals), { seed: 7 }),
      fallback: schedulerNamed(scheduler).consistent
        ? undefined
        : schedulerNamed('rendezvous').build(scheduledReals(reals), { seed: 7 }),
      reals: reals.map((real) => ({ method, ...realOf(real) })),
    }),
  );
  const hasIpv6 = inputs.some(
    ({ family, reals }) => family === 6 || reals.some((real) => real.family === 6),
  );
  const ofFamily = (family: 4 | 6) =>
    Int32Array.from(pool?.addresses.filter((text) => familyOf(text) === family) ?? [], numberOf);
  const sources = pool && { ...pool, addresses: ofFamily(4), addresses6: ofFamily(6) };
  return buildTable(inputs, hasIpv6 ? addresses6 : [], tunnel, timeoutsMs, sources);
}

export interface SceneOptions {
  /** For how many services and reals; the standard ones and a few more unless given. */
  readonly room?: Counters['room'];
  readonly pool?: ScenePool;
  readonly services?: readonly SceneService[];
  readonly maximumFlows?: number;
  readonly maximumHalfOpen?: number;
  readonly nowMs?: number;
  /** Its number among so many; the only one unless given. */
  readonly worker?: number;
  readonly workers?: number;
  /** ARMS unless given. */
  readonly arms?: readonly Arm[];
  /** What outer packets are like. */
  readonly tunnel?: TunnelInput;
  /** Hosts whose MAC address is known from the start; all reals unless given. */
  readonly resolved?: readonly Host[];
}

export interface Scene {
  readonly director: Director;
  readonly counters: Counters;
  /** Lets a frame arrive. */
  receive(frame: Uint8Array, options?: ReceiveOptions): Outcome;
}

export interface ReceiveOptions {
  readonly arm?: number;
  readonly partial?: boolean;
  /** Payload of each segment of a super-frame. */
  readonly segmentBytes?: number;
}

export interface Outcome {
  /** `send 1`, `answer 0`, `pass`, `taken`, or `drop` and the reason's name. */
  readonly verdict: string;
  /** The frame as it is afterwards, with outer headers if it got some. */
  readonly frame: Uint8Array;
  /** Counters that moved, by name, and by how much. */
  readonly moved: Record<string, number>;
  /** What it left in the outbox. */
  readonly own: readonly OutboxFrame[];
  /** What stands in its place. */
  readonly segments: readonly OutboxFrame[];
}

const ROOM = { arms: 2, services: 8, reals: 16 };

export function makeScene(options: SceneOptions = {}): Scene {
  const { services = standardServices(), maximumFlows = 64, nowMs = 1000, arms = ARMS } = options;
  const { maximumHalfOpen = maximumFlows, room = ROOM, worker, workers } = options;
  const counters = wrapCounters(new ArrayBuffer(counterBytes(room)), room);
  const table = tableOf(services, options.tunnel, undefined, options.pool);
  const start = { arms, table, counters, maximumFlows, maximumHalfOpen, flowSeed: 99, nowMs };
  const director = createDirector({ ...start, worker, workers });
  const scene = { director, counters, receive: receiver(director) };
  for (const host of options.resolved ?? [...DSR_REALS, ...NAT_REALS]) introduce(scene, host);
  return scene;
}

/** Lets a real tell its MAC address, as an answer to the director's question. */
export function introduce(scene: Scene, host: Host): void {
  const inside = host.address.startsWith('10.');
  const arm = inside ? INSIDE_ARM : OUTSIDE_ARM;
  const answer = arpFrame({
    sourceMac: host.mac,
    destinationMac: arm.mac,
    operation: arp.REPLY,
    senderAddress: host.address,
    targetMac: arm.mac,
    targetAddress: arm.address,
  });
  scene.receive(answer, { arm: inside ? INSIDE : OUTSIDE });
}

/** Bytes around a frame that nobody may touch. */
const GUARD_BYTES = 64;
const GUARD = 0xa5;

function receiver(director: Director): Scene['receive'] {
  return (frame, { arm = OUTSIDE, partial = false, segmentBytes = 0 } = {}) => {
    director.outbox.length = 0;
    const memory = new Uint8Array(frame.length + 2 * GUARD_BYTES).fill(GUARD);
    memory.set(frame, GUARD_BYTES);
    const before = director.counters.values.slice();
    const end = GUARD_BYTES + frame.length;
    const view = new DataView(memory.buffer);
    const offload = (segmentBytes << 1) | (partial ? 1 : 0);
    const verdict = processFrame(director, view, GUARD_BYTES, end, arm, offload);
    const start = GUARD_BYTES - (kindOf(verdict) === SEND ? restOf(verdict) : 0);
    // A packet that was cut got its outer headers first.
    const firstFree = kindOf(verdict) === TAKEN ? 0 : start;
    for (let at = 0; at < memory.length; at++) {
      if (at === firstFree) at = end;
      if (memory[at] !== GUARD) throw new Error('a write left the frame');
    }
    const after = director.counters.values.slice();
    return {
      verdict: nameVerdict(verdict),
      frame: memory.slice(start, end),
      own: director.outbox.splice(0),
      segments: director.segments.splice(0),
      get moved() {
        return movedCounters(director.counters, before, after);
      },
    };
  };
}

export function nameVerdict(verdict: number): string {
  const detail = detailOf(verdict);
  const reason = DROP_REASONS[detail]?.[0];
  const texts = ['pass', `send ${detail}`, `answer ${detail}`, `drop ${reason}`, 'taken'];
  const text = texts[kindOf(verdict)];
  if (text === undefined) throw new Error(`${verdict} is no verdict`);
  return text;
}

function movedCounters(
  counters: Counters,
  before: Float64Array,
  after: Float64Array,
): Record<string, number> {
  const moved: Record<string, number> = {};
  const names = counterNames(counters);
  for (const [index, value] of after.entries()) {
    const by = value - (before[index] ?? 0);
    if (by !== 0) moved[names.get(index) ?? `unknown ${index}`] = by;
  }
  return moved;
}

/** `sentFrames`, `drop no-flow`, `real 3 requestBytes` and so on, by index. */
function counterNames({ room }: Counters): Map<number, string> {
  const names = new Map<number, string>();
  const add = (at: number, prefix: string, fields: readonly string[]) => {
    for (const [index, field] of fields.entries()) names.set(at + index, prefix + field);
  };
  add(0, '', GLOBAL_FIELDS);
  for (const [reason, [name]] of DROP_REASONS.entries()) names.set(dropAt(reason), `drop ${name}`);
  for (let arm = 0; arm < room.arms; arm++) add(armAt(arm), `arm ${arm} `, ARM_FIELDS);
  const services = Array.from({ length: room.services }, (_, id) => id);
  for (const id of services) add(serviceAt(room, id), `service ${id} `, TRAFFIC_FIELDS);
  const reals = Array.from({ length: room.reals }, (_, id) => id);
  for (const id of reals) add(realAt(room, id), `real ${id} `, TRAFFIC_FIELDS);
  return names;
}

const FROM_ROUTER = { sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: CLIENT };
const TO_DSR = { ...FROM_ROUTER, destination: DSR_VIP, sourcePort: 40_000, destinationPort: 80 };
const TO_NAT = { ...TO_DSR, destination: NAT_VIP };

/** A request of the client; fields that are not given are those of an ACK to the DSR service. */
export const dsrTcp = (fields: Partial<TcpFields> = {}) => tcpFrame({ ...TO_DSR, ...fields });
export const dsrUdp = (fields: Partial<UdpFields> = {}) => udpFrame({ ...TO_DSR, ...fields });
export const natTcp = (fields: Partial<TcpFields> = {}) => tcpFrame({ ...TO_NAT, ...fields });
export const natUdp = (fields: Partial<UdpFields> = {}) => udpFrame({ ...TO_NAT, ...fields });

/** What a NAT real answers, on the inside arm. */
const replyFrom = (host: Host) => ({
  sourceMac: host.mac,
  destinationMac: INSIDE_ARM.mac,
  source: host.address,
  destination: CLIENT,
  sourcePort: NAT_REAL_PORT,
  destinationPort: 40_000,
});

export const replyTcp = (host: Host, fields: Partial<TcpFields> = {}) =>
  tcpFrame({ ...replyFrom(host), ...fields });
export const replyUdp = (host: Host, fields: Partial<UdpFields> = {}) =>
  udpFrame({ ...replyFrom(host), ...fields });

/** Some router far out, and one between the director and its NAT reals; neither is a neighbour. */
export const FAR_ROUTER = '203.0.113.9';
export const NEAR_ROUTER = '10.0.0.9';

/** The IP packet of a frame. */
export const packetOf = (frame: Uint8Array): Uint8Array => frame.slice(14);

/** What the far router says of a packet that a VIP sent: too long, unless told otherwise. */
export const errorToVip = (vip: string, about: Uint8Array, fields: Partial<IcmpErrorFields> = {}) =>
  icmpErrorFrame({
    ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac },
    ...{ source: FAR_ROUTER, destination: vip, type: 3, code: 4, nextHopMtu: 1400 },
    ...{ quote: packetOf(about), ...fields },
  });

/** What the near router, or the real itself, says of a packet to a NAT real. */
export const errorToClient = (about: Uint8Array, fields: Partial<IcmpErrorFields> = {}) =>
  icmpErrorFrame({
    ...{ sourceMac: NAT_REALS[0]!.mac, destinationMac: INSIDE_ARM.mac },
    ...{ source: NEAR_ROUTER, destination: CLIENT, type: 3, code: 4, nextHopMtu: 1400 },
    ...{ quote: packetOf(about), ...fields },
  });

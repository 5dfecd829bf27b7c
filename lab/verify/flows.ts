// Joins the captures of a run flow by flow: what each point saw of a connection or UDP exchange,
// and packet by packet from one point to the next. The order of frames counts within a file only,
// because recorders are separate processes whose clocks stamp a frame when they get to it.
import { formatEndpoint } from '../../src/config/endpoint.ts';
import {
  type Capture,
  type CaptureSet,
  hostsOf,
  type Manifest,
  macsOf,
  type ServiceFacts,
} from './captures.ts';
import { ACK, ETHERNET_BYTES, type Frame, type Packet, SYN, TCP, UDP } from './dissect.ts';
import { unmaskersFor } from './hidden-clients.ts';

/** What one side of a host saw of a flow, in the order of its file. */
export interface Sight {
  readonly requests: Frame[];
  readonly replies: Frame[];
}

export interface Flow {
  /** Shown to people: `tcp 192.0.2.2:40000 > 198.51.100.10:80`. */
  readonly name: string;
  readonly protocol: number;
  readonly service: ServiceFacts;
  readonly client: string;
  readonly clientPort: number;
  readonly atClient: Sight;
  readonly intoDirector: Sight;
  readonly outOfDirector: Sight;
  /** By the name of the host. */
  readonly atReals: Map<string, Sight>;
}

export interface JoinedCaptures {
  readonly set: CaptureSet;
  readonly flows: readonly Flow[];
  /** Frames of flows that a point overheard: a switch that floods shows them to everyone. */
  readonly overheard: readonly Frame[];
}

export const newSight = (): Sight => ({ requests: [], replies: [] });

/** Which service and client a packet belongs to, and which way it goes. */
interface Place {
  readonly service: ServiceFacts;
  readonly client: string;
  readonly clientPort: number;
  readonly way: 'requests' | 'replies';
}

/** A flow while it is being collected; `start` tells connections on the same ports apart. */
interface Connections {
  readonly byStart: Map<number, Flow>;
  readonly first: Flow;
}

/**
 * Joins all captures. Order of work: client, director, reals, so that flows begin at the client.
 */
export function joinCaptures(set: CaptureSet): JoinedCaptures {
  const known = new Map<string, Connections>();
  const overheard: Frame[] = [];
  const rank = { client: 0, router: 1, director: 2, real: 3 };
  const role = (capture: Capture) => roleOf(set.manifest, capture.point.host);
  const ordered = [...set.captures].sort((a, b) => rank[role(a)] - rank[role(b)]);
  const unmasker = unmaskersFor(set, identityOf);
  for (const capture of ordered) {
    const unmask = unmasker();
    // Connections that reuse a port follow each other, at every point by itself.
    const current = new Map<string, Flow>();
    for (const frame of capture.frames) {
      const place = placeOf(set.manifest, unmask(frame), known);
      if (place === undefined) continue;
      const flow = flowAt(known, current, place, frame.packet as Packet);
      const sight = sightAt(set.manifest, capture, flow, frame, place.way);
      if (sight === undefined) overheard.push(frame);
      else sight[place.way].push(frame);
    }
  }
  const flows = [...known.values()].flatMap(({ byStart }) => [...byStart.values()]);
  return { set, flows, overheard };
}

const roleOf = (manifest: Manifest, name: string) =>
  manifest.hosts.find((host) => host.name === name)?.role ?? 'client';

const numberOf = (service: ServiceFacts) => (service.protocol === 'tcp' ? TCP : UDP);

const keyOf = (service: ServiceFacts, client: string, port: number) =>
  `${service.protocol} ${formatEndpoint(client, port)} > ${formatEndpoint(service.vip, service.port)}`;

function placeOf(
  manifest: Manifest,
  packet: Packet | undefined,
  known: ReadonlyMap<string, Connections>,
): Place | undefined {
  if (packet === undefined || (packet.protocol !== TCP && packet.protocol !== UDP))
    return undefined;
  const { source, sourcePort, destination, destinationPort } = packet;
  const clients = hostsOf(manifest, 'client').flatMap((host) => host.interfaces);
  for (const way of ['requests', 'replies'] as const) {
    const request = way === 'requests';
    const client = request ? source : destination;
    const clientPort = request ? sourcePort : destinationPort;
    if (!clients.some((port) => port.address === client)) continue;
    const server = request ? destination : source;
    const serverPort = request ? destinationPort : sourcePort;
    const services = servicesAt(manifest, packet.protocol, server, serverPort);
    const service =
      services.find((entry) => known.has(keyOf(entry, client, clientPort))) ?? services[0];
    if (service !== undefined) return { service, client, clientPort, way };
  }
  return undefined;
}

/** The services that listen at an address: as their VIP, or as one of their reals. */
function servicesAt(manifest: Manifest, protocol: number, address: string, port: number) {
  return manifest.services.filter(
    (service) =>
      numberOf(service) === protocol &&
      ((service.vip === address && service.port === port) ||
        service.reals.some((real) => real.address === address && real.port === port)),
  );
}

function flowAt(
  known: Map<string, Connections>,
  current: Map<string, Flow>,
  place: Place,
  packet: Packet,
): Flow {
  const key = keyOf(place.service, place.client, place.clientPort);
  const opens = packet.protocol === TCP && (packet.flags & (SYN | ACK)) === SYN;
  const start = opens && place.way === 'requests' ? packet.sequence : undefined;
  const connections = known.get(key);
  if (connections === undefined) {
    const flow = newFlow(key, place);
    known.set(key, { byStart: new Map([[start ?? -1, flow]]), first: flow });
    current.set(key, flow);
    return flow;
  }
  if (start === undefined) return current.get(key) ?? connections.first;
  const flow = connections.byStart.get(start) ?? newFlow(key, place);
  connections.byStart.set(start, flow);
  current.set(key, flow);
  return flow;
}

function newFlow(name: string, place: Place): Flow {
  return {
    name,
    protocol: numberOf(place.service),
    service: place.service,
    client: place.client,
    clientPort: place.clientPort,
    atClient: newSight(),
    intoDirector: newSight(),
    outOfDirector: newSight(),
    atReals: new Map(),
  };
}

/** Where a frame counts: at its host's own MAC address; undefined if it was only overheard. */
function sightAt(
  manifest: Manifest,
  capture: Capture,
  flow: Flow,
  frame: Frame,
  way: Place['way'],
): Sight | undefined {
  const host = manifest.hosts.find((entry) => entry.name === capture.point.host);
  if (host === undefined || host.role === 'router') return undefined;
  const macs = macsOf(host);
  const arriving = macs.includes(frame.destinationMac);
  const leaving = macs.includes(frame.sourceMac);
  if (host.role === 'director') {
    if (leaving) return flow.outOfDirector;
    if (arriving) return flow.intoDirector;
    return isCopyOfInput(flow, frame, way) ? flow.outOfDirector : undefined;
  }
  const inward = host.role === 'client' ? 'replies' : 'requests';
  if (way === inward ? !arriving : !leaving) return undefined;
  return host.role === 'client' ? flow.atClient : realSight(flow, host.name);
}

/** A director that forgets the source MAC still sends: its output is then a copy of its input. */
function isCopyOfInput(flow: Flow, frame: Frame, way: Place['way']): boolean {
  const key = identityOf(frame);
  return flow.intoDirector[way].some((input) => identityOf(input) === key);
}

function realSight(flow: Flow, host: string): Sight {
  const sight = flow.atReals.get(host) ?? newSight();
  flow.atReals.set(host, sight);
  return sight;
}

/** Two frames at neighbouring points that are the same packet; `split`: one holds the other. */
export interface Pair {
  readonly from: Frame;
  readonly to: Frame;
  readonly split: boolean;
}

export interface Pairing {
  readonly pairs: readonly Pair[];
  /** Frames upstream that never came out downstream. */
  readonly lost: readonly Frame[];
  /** Frames downstream that nobody sent upstream. */
  readonly extra: readonly Frame[];
}

/**
 * Joins the frames of one flow and way at two neighbouring points. A packet is known by IP id,
 * sequence and payload; equal ones (retransmissions) pair in order. What is left over is joined by
 * range: hardware or kernel may have cut one large segment into several, or merged several.
 */
export function pairFrames(upstream: readonly Frame[], downstream: readonly Frame[]): Pairing {
  const waiting = new Map<string, Frame[]>();
  for (const frame of upstream) {
    const key = identityOf(frame);
    const queue = waiting.get(key);
    if (queue === undefined) waiting.set(key, [frame]);
    else queue.push(frame);
  }
  const pairs: Pair[] = [];
  const unmatched: Frame[] = [];
  for (const to of downstream) {
    const from = waiting.get(identityOf(to))?.shift();
    if (from === undefined) unmatched.push(to);
    else pairs.push({ from, to, split: false });
  }
  return pairByRange(pairs, [...waiting.values()].flat(), unmatched);
}

function pairByRange(pairs: Pair[], upstream: Frame[], downstream: Frame[]): Pairing {
  const lost = new Set(upstream);
  const extra: Frame[] = [];
  for (const to of downstream) {
    const holders = upstream.filter((from) => holds(from, to) || holds(to, from));
    for (const from of holders) {
      lost.delete(from);
      pairs.push({ from, to, split: true });
    }
    if (holders.length === 0) extra.push(to);
  }
  return { pairs, lost: [...lost], extra };
}

/** True if the TCP payload of `outer` holds the whole range of `inner`. */
function holds(outer: Frame, inner: Frame): boolean {
  const big = outer.packet;
  const small = inner.packet;
  if (big?.protocol !== TCP || small === undefined || small.payloadBytes === 0) return false;
  const from = (small.sequence - big.sequence) >>> 0;
  return from + small.payloadBytes <= big.payloadBytes;
}

/** What stays the same of a packet on its whole way, whatever the method. */
function identityOf(frame: Frame): string {
  const packet = frame.packet;
  if (packet === undefined) return '';
  const { id, sequence, acknowledgement, flags, payloadBytes, payloadHash } = packet;
  const fields = `${id} ${sequence} ${acknowledgement} ${flags} ${payloadBytes} ${payloadHash}`;
  return packet.version === 6 ? `${fields} ${optionsOf(frame)}` : fields;
}

/** Without an IP id, acknowledgements that repeat each other differ in window and options alone. */
function optionsOf({ bytes, packet, tunnel }: Frame): string {
  if (packet?.protocol !== TCP) return '';
  const l4 = (tunnel?.innerAt ?? ETHERNET_BYTES) + packet.headerBytes;
  const hexOf = (from: number, end: number) =>
    Buffer.from(bytes.subarray(from, end)).toString('hex');
  return hexOf(l4 + 14, l4 + 16) + hexOf(l4 + 20, packet.payloadAt);
}

/** The reals that a flow's requests arrived at. */
export const realsOf = (flow: Flow): string[] =>
  [...flow.atReals].filter(([, sight]) => sight.requests.length > 0).map(([host]) => host);

// Finds what went wrong. For each flow it follows the packets from the client on and stops at the
// first thing that is not as it should be, because everything after it is only a consequence.
import { answersDirectly, isTunnel } from '../topologies/topology.ts';
import {
  damageOf,
  directorAddressFor,
  hostOfMac,
  hostsOf,
  type Manifest,
  methodOf,
  ownedBy,
  targetOf,
} from './captures.ts';
import { type Claim, distinct, type SeenFault } from './claim.ts';
import { ACK, type Frame, RST, refusalOf, SYN, TCP, tunnelOf } from './dissect.ts';
import type { Fault } from './faults.ts';
import * as faults from './faults.ts';
import type { Findings } from './findings.ts';
import { type Flow, type JoinedCaptures, realsOf } from './flows.ts';
import { type Route, routeOf } from './route.ts';

/** One entry of the diagnosis: a fault, and the claims that it makes fail. */
export interface Diagnosis extends SeenFault {
  readonly claims: readonly string[];
}

/** What all flows together show, which the fault of one flow may depend on. */
interface Background {
  readonly manifest: Manifest;
  readonly director: string;
  /** Reals that answered at least one request. */
  readonly speaking: ReadonlySet<string>;
  /** Addresses that the director asked for in ARP and nobody answered. */
  readonly unanswered: ReadonlySet<string>;
  /** Whoever claims an address of the source pool that is the director's; undefined if nobody. */
  readonly poolTaken: Fault | undefined;
  /** Reals whose kernel refuses the packets of tunnels. */
  readonly withoutDecap: ReadonlySet<string>;
  /** `host protocol port client clientPort` of ICMP "port unreachable". */
  readonly refused: ReadonlySet<string>;
}

export function findFaults(joined: JoinedCaptures): Findings {
  const { manifest } = joined.set;
  const routes = joined.flows.map((flow) => routeOf(flow, manifest));
  const director = hostsOf(manifest, 'director')[0]?.name ?? 'director';
  const background: Background = {
    manifest,
    director,
    speaking: speakingReals(joined.flows),
    unanswered: unansweredArp(joined),
    poolTaken: poolTaken(joined),
    withoutDecap: refusersOfTunnels(joined),
    refused: refusals(joined),
  };
  const faultOf = new Map<Flow, Fault>();
  for (const route of routes) {
    const fault = firstFault(background, route);
    if (fault !== undefined) faultOf.set(route.flow, fault);
  }
  const damage = joined.set.captures.map(damageOf).filter((text) => text !== undefined);
  return {
    joined,
    manifest,
    routes,
    faultOf,
    director,
    damage: damage.length > 0 ? damage.join('; ') : undefined,
  };
}

/** The distinct faults of the claims that fail, each with the claims it breaks. */
export function diagnose(claims: readonly Claim[]): Diagnosis[] {
  const failing = claims.filter((claim) => claim.verdict === 'fails');
  return distinct(failing.flatMap((claim) => claim.faults)).map((fault) => {
    const same = ({ kind, host }: Fault) => kind === fault.kind && host === fault.host;
    const broken = failing.filter((claim) => claim.faults.some(same));
    // The longest chain of frames shows most of the way on which it happened.
    const seen = broken.flatMap((claim) => claim.faults.filter(same).map(({ frames }) => frames));
    const frames = seen.reduce((best, next) => (next.length > best.length ? next : best));
    return { ...fault, frames, claims: broken.map((claim) => claim.id) };
  });
}

function speakingReals(flows: readonly Flow[]): Set<string> {
  const speaking = new Set<string>();
  for (const flow of flows) {
    for (const [host, sight] of flow.atReals) if (sight.replies.length > 0) speaking.add(host);
  }
  return speaking;
}

function unansweredArp({ set }: JoinedCaptures): Set<string> {
  const asked = new Set<string>();
  const answered = new Set<string>();
  for (const { arp } of set.captures.flatMap((capture) => capture.frames)) {
    if (arp === undefined) continue;
    answered.add(arp.senderAddress);
    const asker = hostOfMac(set.manifest, arp.senderMac);
    if (arp.operation === 1 && asker?.role === 'director') asked.add(arp.targetAddress);
  }
  return new Set([...asked].filter((address) => !answered.has(address)));
}

const refusalKey = (host: string, client: string, clientPort: number, port: number) =>
  `${host} ${port} ${client}:${clientPort}`;

function refusals({ set }: JoinedCaptures): Set<string> {
  const refused = new Set<string>();
  for (const { packet, sourceMac } of set.captures.flatMap((capture) => capture.frames)) {
    const quoted = packet === undefined ? undefined : refusalOf(packet);
    if (quoted === undefined) continue;
    const host = hostOfMac(set.manifest, sourceMac)?.name ?? '';
    refused.add(refusalKey(host, quoted.source, quoted.sourcePort, quoted.destinationPort));
  }
  return refused;
}

/** Everything at and after the reals follows from a pool that is not the director's alone. */
function firstFault(background: Background, route: Route): Fault | undefined {
  const fault =
    faultBeforeDirector(background, route) ??
    faultInDirector(background, route) ??
    faultAtReal(background, route) ??
    (answersDirectly(methodOf(background.manifest))
      ? faultOfDsrReply(background, route)
      : faultOfNatReply(background, route));
  const consequences = ['no-return-route', 'pool-unreachable', 'server-silent', 'not-delivered'];
  return consequences.includes(fault?.kind ?? '') ? (background.poolTaken ?? fault) : fault;
}

function poolTaken({ set }: JoinedCaptures): Fault | undefined {
  const frames = set.captures.flatMap((capture) => capture.frames);
  const found = frames.map((frame) => arpFault(set.manifest, frame));
  return found.find((fault) => fault?.kind === 'pool-taken');
}

/** Who says that he has no such protocol, or no such port, of a packet of a tunnel. */
function refusersOfTunnels({ set }: JoinedCaptures): Set<string> {
  const hosts = new Set<string>();
  for (const { packet, sourceMac } of set.captures.flatMap((capture) => capture.frames)) {
    const quoted = packet === undefined ? undefined : refusalOf(packet);
    const isTunnels = quoted !== undefined && tunnelOf(quoted) !== undefined;
    if (isTunnels) hosts.add(hostOfMac(set.manifest, sourceMac)?.name ?? '');
  }
  return hosts;
}

function faultBeforeDirector({ manifest, director }: Background, route: Route): Fault | undefined {
  const { flow } = route;
  for (const frame of flow.atClient.requests) {
    const target = hostOfMac(manifest, frame.destinationMac);
    if (target?.role === 'real') return faults.realAnswersArp(target.name, flow.service.vip);
  }
  const client = hostsOf(manifest, 'client')[0]?.name ?? 'client';
  const wrong = wrongChecksumOf(flow.atClient.requests);
  if (wrong !== undefined) return faults.wrongChecksum(client, wrong, 'client');
  if (flow.intoDirector.requests.length > 0) return undefined;
  return faults.notDelivered(director, 'requests');
}

function faultInDirector(background: Background, route: Route): Fault | undefined {
  const { director, manifest } = background;
  const { flow } = route;
  const sent = flow.outOfDirector.requests;
  const wrong = wrongChecksumOf(sent);
  if (wrong !== undefined) return faults.wrongChecksum(director, wrong, 'director');
  for (const frame of sent) {
    const fault = macFault(manifest, director, flow, frame);
    if (fault !== undefined) return fault;
  }
  if (sent.length > 0) return undefined;
  const gone = flow.service.reals.find((real) => background.unanswered.has(real.address));
  if (gone !== undefined) return faults.realUnreachable(gone.host, gone.address);
  return faults.directorSilent(director, 'requests');
}

/** What is wrong with the MAC addresses of a request that the director sent. */
export function macFault(
  manifest: Manifest,
  director: string,
  flow: Flow,
  frame: Frame,
): Fault | undefined {
  const target = targetOf(manifest, frame);
  if (!flow.service.reals.some((real) => real.host === target?.name)) {
    const { tunnel } = frame;
    return tunnel === undefined
      ? faults.wrongMac(director, `the destination ${frame.destinationMac}, which is no real's`)
      : faults.wrongTunnel(director, `a tunnel to ${tunnel.destination}, which is no real's`);
  }
  if (hostOfMac(manifest, frame.sourceMac)?.name === director) return undefined;
  return faults.wrongMac(director, `the source ${frame.sourceMac}, which is not its own`);
}

function faultAtReal(background: Background, route: Route): Fault | undefined {
  const { flow, atReal } = route;
  if (atReal.requests.length === 0) {
    const [sent] = flow.outOfDirector.requests;
    const target = sent === undefined ? undefined : targetOf(background.manifest, sent);
    const host = target?.name ?? 'the real';
    return faults.notDelivered(host, 'requests');
  }
  for (const host of realsOf(flow)) {
    const replies = flow.atReals.get(host)?.replies ?? [];
    const port = flow.service.reals.find((real) => real.host === host)?.port ?? 0;
    if (background.refused.has(refusalKey(host, flow.client, flow.clientPort, port))) {
      return faults.serverDead(host, port);
    }
    if (replies.length === 0) return silenceOf(background, flow, host, port);
    if (refusesConnection(flow, replies)) return faults.serverDead(host, port);
    const wrong = wrongChecksumOf(replies);
    if (wrong !== undefined) return faults.wrongChecksum(host, wrong, 'real');
  }
  return undefined;
}

function silenceOf(background: Background, flow: Flow, host: string, port: number): Fault {
  const { manifest, speaking } = background;
  if (background.withoutDecap.has(host)) return faults.decapMissing(host, flow.service.vip);
  if (speaking.has(host)) return faults.serverSilent(host, port);
  const [pooled] = manifest.sourcePool?.addresses ?? [];
  const gateway = directorAddressFor(manifest, host);
  if (pooled !== undefined) return faults.poolUnreachable(host, pooled, gateway);
  if (isTunnel(methodOf(manifest))) {
    const source = flow.outOfDirector.requests[0]?.tunnel?.source ?? 'the director';
    return faults.tunnelFiltered(host, source);
  }
  if (methodOf(manifest) === 'dsr') return faults.vipMissing(host, flow.service.vip);
  return faults.noReturnRoute(host, gateway, undefined);
}

function refusesConnection(flow: Flow, replies: readonly Frame[]): boolean {
  if (flow.protocol !== TCP) return false;
  const flags = replies.map((frame) => frame.packet?.flags ?? 0);
  return flags.some((bits) => bits & RST) && !flags.some(isSynAck);
}

export const isSynAck = (flags: number): boolean => (flags & (SYN | ACK)) === (SYN | ACK);

function faultOfDsrReply({ manifest }: Background, route: Route): Fault | undefined {
  const { flow, atReal } = route;
  for (const frame of atReal.replies) {
    const host = hostOfMac(manifest, frame.sourceMac)?.name ?? 'the real';
    const source = frame.packet?.source ?? '';
    if (source !== flow.service.vip) return faults.realAsSource(host, source, flow.service.vip);
    if (hostOfMac(manifest, frame.destinationMac)?.role === 'director') {
      return faults.replyThroughDirector(host, directorAddressFor(manifest, host));
    }
  }
  const [strayed] = flow.intoDirector.replies;
  if (strayed !== undefined) {
    const host = hostOfMac(manifest, strayed.sourceMac)?.name ?? strayed.sourceMac;
    return faults.replyThroughDirector(host, directorAddressFor(manifest, host));
  }
  return flow.atClient.replies.length > 0 ? undefined : undelivered(manifest);
}

const undelivered = (manifest: Manifest) =>
  faults.notDelivered(hostsOf(manifest, 'client')[0]?.name ?? 'client', 'replies');

function faultOfNatReply({ manifest, director }: Background, route: Route): Fault | undefined {
  const { flow, atReal } = route;
  for (const frame of atReal.replies) {
    const target = hostOfMac(manifest, frame.destinationMac);
    if (target?.role === 'director') continue;
    const host = hostOfMac(manifest, frame.sourceMac)?.name ?? 'the real';
    const taken = target === undefined ? frame.destinationMac : target.name;
    return faults.noReturnRoute(host, directorAddressFor(manifest, host), taken);
  }
  if (flow.intoDirector.replies.length === 0) return faults.notDelivered(director, 'replies');
  const wrong = wrongChecksumOf(flow.outOfDirector.replies);
  if (wrong !== undefined) return faults.wrongChecksum(director, wrong, 'director');
  if (flow.outOfDirector.replies.length === 0) return faults.directorSilent(director, 'replies');
  return flow.atClient.replies.length > 0 ? undefined : undelivered(manifest);
}

/** The name of the first wrong checksum among the frames, or undefined. */
export function wrongChecksumOf(frames: readonly Frame[]): string | undefined {
  for (const { packet } of frames) {
    if (packet === undefined) continue;
    if (!packet.headerChecksumGood) return 'IP';
    if (packet.checksum === 'bad') return packet.protocol === TCP ? 'TCP' : 'UDP';
  }
  return undefined;
}

/** The reals, and whoever else, that claim in ARP what is the director's, and are not it. */
export function arpFault(manifest: Manifest, frame: Frame): Fault | undefined {
  const { arp } = frame;
  if (arp === undefined || !ownedBy(manifest).includes(arp.senderAddress)) return undefined;
  const owner = hostOfMac(manifest, arp.senderMac);
  if (owner?.role === 'director') return undefined;
  const host = owner?.name ?? arp.senderMac;
  const pooled = manifest.sourcePool?.addresses.includes(arp.senderAddress) === true;
  if (pooled) return faults.poolTaken(host, arp.senderAddress);
  return faults.realAnswersArp(host, arp.senderAddress);
}

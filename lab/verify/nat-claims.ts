// What NAT promises: the real sees its own address and the client's, or by fullnat one of the
// source pool; the client sees the VIP alone, and every reply comes back through the director, to
// the next hop that the request came from.
import { directorAddressFor, hostOfMac, hostsOf, type Manifest } from './captures.ts';
import { type Claim, conclude, count, draftOf, missAfter, violate } from './claim.ts';
import {
  addressBytes,
  checksumAt,
  destinationAt,
  ETHERNET_BYTES,
  type Frame,
  fieldAt,
  type Packet,
  sourceAt,
  ttlAt,
} from './dissect.ts';
import * as faults from './faults.ts';
import { type Findings, judgeExtra } from './findings.ts';
import { type Flow, type Pair, realsOf } from './flows.ts';
import { chainTo, journeyOf, replyLegs, requestLegs } from './route.ts';

export function judgeNat(findings: Findings): Claim[] {
  return [
    requestTranslated(findings),
    onlyNatFields(findings),
    ttlMinusOne(findings),
    replyThroughDirector(findings),
    replyNextHop(findings),
    clientSeesVip(findings),
  ];
}

function requestTranslated(findings: Findings): Claim {
  const { manifest, faultOf, director } = findings;
  const draft = draftOf(
    'request-translated',
    manifest.sourcePool === undefined
      ? "requests reach the real at its own address and port, from the client's"
      : 'requests reach the real at its own address and port, from one of the pool',
  );
  for (const route of findings.routes) {
    const { flow, toReal } = route;
    const isSource = sourceCheck(manifest, flow);
    for (const { to } of toReal.pairs) {
      count(draft, flow, () => chainTo(requestLegs(route), to));
      const host = hostOfMac(manifest, to.destinationMac)?.name;
      const real = flow.service.reals.find((entry) => entry.host === host);
      const packet = to.packet;
      const right =
        packet !== undefined &&
        packet.destination === real?.address &&
        packet.destinationPort === real.port &&
        isSource(packet);
      if (!right) violate(draft, [to], faults.directorRewrote(director, 'the addresses wrongly'));
    }
    if (toReal.pairs.length > 0) continue;
    missAfter(
      draft,
      flow,
      journeyOf(route),
      faultOf.get(flow) ?? faults.directorSilent(director, 'requests'),
    );
  }
  return conclude(draft, findings.damage);
}

/** Whether a packet comes from whom the real shall see: of the pool one port for the whole flow. */
function sourceCheck({ sourcePool }: Manifest, flow: Flow): (packet: Packet) => boolean {
  if (sourcePool === undefined) {
    return ({ source, sourcePort }) => source === flow.client && sourcePort === flow.clientPort;
  }
  const [first = 0, last = first] = sourcePool.ports.split('-').map(Number);
  let kept: Packet | undefined;
  return (packet) => {
    kept ??= packet;
    const { source, sourcePort } = packet;
    const pooled = sourcePool.addresses.includes(source);
    const inRange = sourcePort >= first && sourcePort <= last;
    return pooled && inRange && source === kept.source && sourcePort === kept.sourcePort;
  };
}

function onlyNatFields(findings: Findings): Claim {
  const { director, manifest } = findings;
  const ends = manifest.sourcePool === undefined ? 'one' : 'both';
  const draft = draftOf(
    'only-nat-fields',
    manifest.sourcePool === undefined
      ? 'the director changes MACs, address, port, TTL, checksums, nothing else'
      : 'the director changes MACs, addresses, ports, TTL, checksums, nothing else',
  );
  let dropped = 0;
  for (const { flow, throughDirector, backThroughDirector } of findings.routes) {
    for (const way of [throughDirector, backThroughDirector]) {
      const request = way === throughDirector;
      for (const pair of way.pairs) {
        count(draft, flow, () => [pair.from, pair.to]);
        const what = differenceOf(pair, changeable(pair.from, request, ends));
        if (what === undefined) continue;
        violate(draft, [pair.from, pair.to], faults.directorRewrote(director, what));
      }
      dropped += way.lost.length;
    }
    judgeExtra(findings, draft, [...throughDirector.extra, ...backThroughDirector.extra]);
  }
  if (dropped > 0) draft.notes.push(`${dropped} frames went in and did not come out`);
  return conclude(draft, findings.damage);
}

/** The first byte that differs and may not, in words. */
function differenceOf({ from, to }: Pair, allowed: (at: number) => boolean): string | undefined {
  if (from.bytes.length !== to.bytes.length) {
    return `the length from ${from.bytes.length} to ${to.bytes.length} bytes`;
  }
  const at = from.bytes.findIndex((byte, index) => byte !== to.bytes[index] && !allowed(index));
  return at < 0 ? undefined : fieldAt(from, at);
}

/**
 * Which offsets NAT may change: destination of a request, source of a reply, and what follows.
 * @param ends `both`: source and destination either way, which is fullnat
 */
function changeable(
  { packet }: Frame,
  request: boolean,
  ends: 'one' | 'both',
): (at: number) => boolean {
  if (packet === undefined) return () => false;
  const ports = ETHERNET_BYTES + packet.headerBytes;
  const source = ends === 'both' || !request;
  const destination = ends === 'both' || request;
  const ttl = ttlAt(packet);
  const checksum = checksumAt(packet);
  const ranges = [
    [0, 12],
    [ttl, ttl + 1],
    ...(packet.version === 4 ? [[ETHERNET_BYTES + 10, ETHERNET_BYTES + 12] as const] : []),
    ...(source ? [rangeOf(sourceAt(packet), addressBytes(packet)), rangeOf(ports, 2)] : []),
    ...(destination
      ? [rangeOf(destinationAt(packet), addressBytes(packet)), rangeOf(ports + 2, 2)]
      : []),
    [checksum, checksum + 2],
  ] as const;
  return (at) => ranges.some(([start, end]) => at >= start && at < end);
}

const rangeOf = (at: number, bytes: number) => [at, at + bytes] as const;

function ttlMinusOne(findings: Findings): Claim {
  const { director } = findings;
  const draft = draftOf('ttl', 'the TTL is exactly one less after the director, both ways');
  for (const { flow, throughDirector, backThroughDirector } of findings.routes) {
    for (const { from, to } of [...throughDirector.pairs, ...backThroughDirector.pairs]) {
      count(draft, flow, () => [from, to]);
      const before = from.packet?.ttl ?? 0;
      const after = to.packet?.ttl ?? 0;
      if (after === before - 1) continue;
      violate(draft, [from, to], faults.wrongTtl(director, before, after, before - 1));
    }
  }
  return conclude(draft, findings.damage);
}

function replyThroughDirector(findings: Findings): Claim {
  const { manifest, director } = findings;
  const draft = draftOf(
    'reply-through-director',
    'every reply passes the director, in and out',
    'absence',
  );
  for (const route of findings.routes) {
    const { flow, atReal, backToClient } = route;
    const fault = findings.faultOf.get(flow);
    for (const { to } of backToClient.pairs) {
      count(draft, flow, () => chainTo(replyLegs(route), to));
    }
    for (const frame of around(findings, flow)) {
      count(draft, flow, () => [frame]);
      violate(draft, [frame], fault ?? missingRoute(findings, frame.sourceMac));
    }
    if (backToClient.pairs.length > 0 || atReal.requests.length === 0) continue;
    const host = realsOf(flow)[0] ?? 'the real';
    const gateway = directorAddressFor(manifest, host);
    const silent = atReal.replies.length === 0;
    const other = silent
      ? faults.noReturnRoute(host, gateway, undefined)
      : faults.directorSilent(director, 'replies');
    missAfter(draft, flow, journeyOf(route), fault ?? other);
  }
  return conclude(draft, findings.damage);
}

/** Replies that went around the director: not sent to it, or not received from it. */
function around({ manifest, director }: Findings, flow: Flow): Frame[] {
  const replies = [...flow.atReals.values()].flatMap((sight) => sight.replies);
  const nameOf = (mac: string) => hostOfMac(manifest, mac)?.name;
  return [
    ...replies.filter((frame) => nameOf(frame.destinationMac) !== director),
    ...flow.atClient.replies.filter((frame) => nameOf(frame.sourceMac) !== director),
  ];
}

function missingRoute({ manifest }: Findings, mac: string) {
  const host = hostOfMac(manifest, mac)?.name ?? mac;
  return faults.noReturnRoute(host, directorAddressFor(manifest, host), 'somebody else');
}

function replyNextHop(findings: Findings): Claim {
  const draft = draftOf('reply-next-hop', 'the reply goes to the next hop the request came from');
  for (const route of findings.routes) {
    const { flow } = route;
    const hops = new Set(flow.intoDirector.requests.map((frame) => frame.sourceMac));
    for (const frame of flow.outOfDirector.replies) {
      count(draft, flow, () => [flow.intoDirector.requests[0] ?? frame, frame]);
      if (hops.has(frame.destinationMac)) continue;
      violate(draft, [frame], faults.wrongNextHop(findings.director, frame.destinationMac));
    }
  }
  return conclude(draft, findings.damage);
}

function clientSeesVip(findings: Findings): Claim {
  const { manifest, joined } = findings;
  const draft = draftOf(
    'client-sees-vip',
    'the client sees the VIP alone, never an address of a real',
    'absence',
  );
  const clients = hostsOf(manifest, 'client').map((host) => host.name);
  const reals = manifest.services.flatMap((service) => service.reals.map((real) => real.address));
  const inside = [...reals, ...(manifest.sourcePool?.addresses ?? [])];
  for (const route of findings.routes) {
    for (const frame of route.flow.atClient.replies) {
      count(draft, route.flow, () => chainTo(replyLegs(route), frame));
    }
  }
  const captures = joined.set.captures.filter(({ point }) => clients.includes(point.host));
  for (const frame of captures.flatMap((capture) => capture.frames)) {
    const source = frame.packet?.source ?? '';
    // The pool is announced wherever its network may be; over IPv6 that is a packet from there.
    if (frame.arp !== undefined || !inside.includes(source)) continue;
    violate(draft, [frame], sourceFault(findings, frame, source));
  }
  return conclude(draft, findings.damage);
}

/** A real's address at the client: the real went around the director, or the director forgot. */
function sourceFault(findings: Findings, frame: Frame, source: string) {
  const sender = hostOfMac(findings.manifest, frame.sourceMac);
  if (sender?.role === 'real') return missingRoute(findings, frame.sourceMac);
  return faults.foreignSource(sender?.name ?? frame.sourceMac, source);
}

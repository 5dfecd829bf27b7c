// What DSR promises: the director changes MAC addresses and nothing else, and the reply goes from
// the real straight to the client, with the VIP as its source, past the director.
import { isTunnel } from '../topologies/topology.ts';
import { hostOfMac, methodOf } from './captures.ts';
import { type Claim, conclude, count, draftOf, missAfter, violate } from './claim.ts';
import { macFault } from './diagnose.ts';
import { CHECKSUM_FIELD, type Frame, fieldAt, TCP } from './dissect.ts';
import * as faults from './faults.ts';
import { type Findings, judgeExtra } from './findings.ts';
import { realsOf } from './flows.ts';
import { chainTo, journeyOf, replyLegs, requestLegs } from './route.ts';

export function judgeDsr(findings: Findings): Claim[] {
  return [
    onlyMacs(findings),
    macs(findings),
    ttlUnchanged(findings),
    requestAtReal(findings),
    replyFromVip(findings),
    replyDirect(findings),
    noReplyAtDirector(findings),
  ];
}

const MAC_BYTES = 12;

function onlyMacs(findings: Findings): Claim {
  const { director } = findings;
  const draft = draftOf(
    'only-macs',
    "the director's output equals its input, but for the MAC addresses",
  );
  let dropped = 0;
  for (const { flow, throughDirector } of findings.routes) {
    for (const { from, to } of throughDirector.pairs) {
      count(draft, flow, () => [from, to]);
      const what = differenceOf(from, to);
      if (what === undefined) continue;
      const protocol = from.packet?.protocol === TCP ? 'TCP' : 'UDP';
      const fault =
        what === CHECKSUM_FIELD
          ? faults.wrongChecksum(director, protocol, 'director')
          : faults.directorRewrote(director, what);
      violate(draft, [from, to], fault);
    }
    judgeExtra(findings, draft, throughDirector.extra);
    dropped += throughDirector.lost.length;
  }
  if (dropped > 0) draft.notes.push(`${dropped} frames went in and did not come out`);
  return conclude(draft, findings.damage);
}

/** The first byte beyond the MAC addresses that differs, in words. */
function differenceOf(from: Frame, to: Frame): string | undefined {
  if (from.bytes.length !== to.bytes.length) {
    return `the length from ${from.bytes.length} to ${to.bytes.length} bytes`;
  }
  const at = from.bytes.findIndex((byte, index) => index >= MAC_BYTES && byte !== to.bytes[index]);
  return at < 0 ? undefined : fieldAt(from, at);
}

function macs(findings: Findings): Claim {
  const { manifest, director } = findings;
  const draft = draftOf('macs', "requests go out to the real's MAC address, from the director's");
  for (const route of findings.routes) {
    for (const frame of route.flow.outOfDirector.requests) {
      count(draft, route.flow, () => chainTo(requestLegs(route), frame));
      const fault = macFault(manifest, director, route.flow, frame);
      if (fault !== undefined) violate(draft, [frame], fault);
    }
  }
  return conclude(draft, findings.damage);
}

function ttlUnchanged(findings: Findings): Claim {
  const { director } = findings;
  const draft = draftOf('ttl', 'the TTL stays as it is, on the request and on the reply');
  for (const { flow, throughDirector, toReal, backToClient } of findings.routes) {
    for (const { pairs } of [throughDirector, toReal, backToClient]) {
      for (const { from, to } of pairs) {
        count(draft, flow, () => [from, to]);
        const before = from.packet?.ttl ?? 0;
        const after = to.packet?.ttl ?? 0;
        if (before === after) continue;
        violate(draft, [from, to], faults.wrongTtl(director, before, after, before));
      }
    }
  }
  return conclude(draft, findings.damage);
}

export function requestAtReal(findings: Findings): Claim {
  const { faultOf, director } = findings;
  const draft = draftOf(
    'request-at-real',
    'the request reaches the real, still addressed to the VIP',
  );
  for (const route of findings.routes) {
    const { flow, toReal } = route;
    for (const { to } of toReal.pairs) {
      count(draft, flow, () => chainTo(requestLegs(route), to));
      if (to.packet?.destination === flow.service.vip) continue;
      violate(draft, [to], faults.directorRewrote(director, 'the destination address'));
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

export function replyFromVip(findings: Findings): Claim {
  const { manifest, faultOf } = findings;
  const draft = draftOf('reply-from-vip', 'the reply leaves the real with the VIP as its source');
  for (const route of findings.routes) {
    const { flow, atReal } = route;
    const { vip, port } = flow.service;
    for (const frame of atReal.replies) {
      count(draft, flow, () => [frame]);
      const packet = frame.packet;
      if (packet?.source === vip && packet.sourcePort === port) continue;
      const host = hostOfMac(manifest, frame.sourceMac)?.name ?? 'the real';
      const source = `${packet?.source}:${packet?.sourcePort}`;
      violate(draft, [frame], faults.realAsSource(host, source, vip));
    }
    if (atReal.replies.length > 0 || atReal.requests.length === 0) continue;
    const host = realsOf(flow)[0] ?? 'the real';
    missAfter(draft, flow, journeyOf(route), faultOf.get(flow) ?? faults.vipMissing(host, vip));
  }
  return conclude(draft, findings.damage);
}

export function replyDirect(findings: Findings): Claim {
  const { manifest, faultOf } = findings;
  const routed = isTunnel(methodOf(manifest));
  const from = routed ? "by the reals' router, not the director" : "from the real's MAC address";
  const draft = draftOf('reply-direct', `the reply reaches the client ${from}`);
  for (const route of findings.routes) {
    const { flow, backToClient, atReal } = route;
    for (const { to } of backToClient.pairs) {
      count(draft, flow, () => chainTo(replyLegs(route), to));
    }
    const reals = realsOf(flow);
    for (const frame of flow.atClient.replies) {
      const host = hostOfMac(manifest, frame.sourceMac);
      const sender = host?.name ?? frame.sourceMac;
      if (routed ? host?.role === 'router' : reals.includes(sender)) continue;
      const fault = faults.foreignSource(
        sender,
        `${frame.packet?.source} (MAC ${frame.sourceMac})`,
      );
      violate(draft, [frame], faultOf.get(flow) ?? fault);
    }
    if (backToClient.pairs.length > 0 || atReal.replies.length === 0) continue;
    missAfter(
      draft,
      flow,
      journeyOf(route),
      faultOf.get(flow) ?? faults.notDelivered('client', 'replies'),
    );
  }
  return conclude(draft, findings.damage);
}

export function noReplyAtDirector(findings: Findings): Claim {
  const { director, joined } = findings;
  const draft = draftOf('no-reply-at-director', 'no reply passes the director', 'absence');
  for (const route of findings.routes) {
    const { flow, atReal, backToClient } = route;
    for (const frame of atReal.replies) {
      count(draft, flow, () => {
        const pair = backToClient.pairs.find(({ from }) => from === frame);
        return pair === undefined ? [frame] : [frame, pair.to];
      });
    }
    for (const frame of [...flow.intoDirector.replies, ...flow.outOfDirector.replies]) {
      const fault = findings.faultOf.get(flow) ?? faults.replyThroughDirector(director, '');
      violate(draft, [frame], fault);
    }
  }
  const atDirector = joined.set.captures.filter(({ point }) => point.host === director);
  for (const { point, frames } of atDirector) {
    draft.notes.push(`${point.file}: ${frames.length} frames, searched for replies`);
  }
  const flooded = joined.overheard.filter((frame) => vipReplyAt(findings, frame));
  if (flooded.length > 0) {
    draft.notes.push(
      `${flooded.length} replies overheard there, flooded by the switch, not for it`,
    );
  }
  return conclude(draft, findings.damage);
}

/** A reply that a capture of the director's link shows, although it is for somebody else. */
function vipReplyAt({ joined, manifest, director }: Findings, frame: Frame): boolean {
  const files = joined.set.captures
    .filter(({ point }) => point.host === director)
    .map(({ point }) => point.file);
  const vips = manifest.services.map((service) => service.vip);
  return files.includes(frame.file) && vips.includes(frame.packet?.source ?? '');
}

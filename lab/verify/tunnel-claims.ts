// What a tunnel promises: the request leaves the director whole, within a packet to its real, and
// the reply goes from the real to the client as by DSR, with the VIP as its source.
import { hostOfMac, hostsOf, methodOf } from './captures.ts';
import { type Claim, conclude, count, draftOf, violate } from './claim.ts';
import { checksumAt, ETHERNET_BYTES, type Frame, fieldAt } from './dissect.ts';
import { noReplyAtDirector, replyDirect, replyFromVip, requestAtReal } from './dsr-claims.ts';
import * as faults from './faults.ts';
import { type Findings, judgeExtra } from './findings.ts';
import type { Flow } from './flows.ts';
import { chainTo, requestLegs } from './route.ts';

export function judgeTunnel(findings: Findings): Claim[] {
  return [
    encapsulated(findings),
    innerUnchanged(findings),
    requestAtReal(findings),
    replyFromVip(findings),
    replyDirect(findings),
    noReplyAtDirector(findings),
  ];
}

function encapsulated(findings: Findings): Claim {
  const { manifest, director } = findings;
  const method = methodOf(manifest);
  const draft = draftOf(
    'encapsulated',
    `requests leave the director by ${method} to their real, sent to the router there`,
  );
  const ports = new Set<number>();
  for (const route of findings.routes) {
    const sent = route.flow.outOfDirector.requests;
    for (const frame of sent) {
      count(draft, route.flow, () => chainTo(requestLegs(route), frame));
      const wrong = tunnelFault(findings, route.flow, frame);
      if (wrong !== undefined) violate(draft, [frame], faults.wrongTunnel(director, wrong));
      if (frame.tunnel?.kind === 'gue') ports.add(frame.tunnel.sourcePort);
    }
  }
  if (ports.size > 0) {
    draft.notes.push(`outer source ports: ${ports.size}, for ${draft.flows.size} flows`);
  }
  return conclude(draft, findings.damage);
}

/** What is wrong with the outer headers of a request that the director sent, in words. */
function tunnelFault({ manifest }: Findings, flow: Flow, frame: Frame): string | undefined {
  const { tunnel } = frame;
  if (tunnel?.kind !== methodOf(manifest)) return 'no tunnel';
  const arms = hostsOf(manifest, 'director').flatMap((host) => host.interfaces);
  if (!flow.service.reals.some((real) => real.address === tunnel.destination)) {
    return `a tunnel to ${tunnel.destination}, which is no real's`;
  }
  if (!arms.some((arm) => arm.address === tunnel.source)) {
    return `a tunnel from ${tunnel.source}, which is not its own`;
  }
  const first = flow.outOfDirector.requests[0]?.tunnel;
  if (first?.sourcePort !== tunnel.sourcePort) return 'several outer source ports in one flow';
  const hop = hostOfMac(manifest, frame.destinationMac);
  if (hop?.role !== 'router') return `the destination ${frame.destinationMac}, no router's`;
  const sender = hostOfMac(manifest, frame.sourceMac);
  return sender?.role === 'director' ? undefined : `the source ${frame.sourceMac}, not its own`;
}

function innerUnchanged(findings: Findings): Claim {
  const { director } = findings;
  const draft = draftOf(
    'inner-unchanged',
    'the tunnel holds the request as it came, byte for byte, its TTL too',
  );
  let [cut, dropped] = [0, 0];
  for (const { flow, throughDirector } of findings.routes) {
    for (const { from, to, split } of throughDirector.pairs) {
      if (split) cut += 1;
      if (split) continue;
      count(draft, flow, () => [from, to]);
      const what = differenceOf(from, to);
      if (what !== undefined) violate(draft, [from, to], faults.directorRewrote(director, what));
    }
    judgeExtra(findings, draft, throughDirector.extra);
    dropped += throughDirector.lost.length;
  }
  if (cut > 0) draft.notes.push(`${cut} segments cut from larger frames: see the data below`);
  if (dropped > 0) draft.notes.push(`${dropped} frames went in and did not come out`);
  return conclude(draft, findings.damage);
}

/** The first byte of the packet that differs; a checksum that was left to a card is finished. */
function differenceOf(from: Frame, to: Frame): string | undefined {
  const [before, after] = [packetOf(from), packetOf(to)];
  if (before.length !== after.length) {
    return `the length from ${before.length} to ${after.length} bytes`;
  }
  const { packet } = from;
  const checksum = packet?.checksum === 'partial' ? checksumAt(packet) - ETHERNET_BYTES : -2;
  const at = before.findIndex(
    (byte, index) => byte !== after[index] && index >> 1 !== checksum >> 1,
  );
  return at < 0 ? undefined : fieldAt(from, at + ETHERNET_BYTES);
}

/** The bytes of the packet that counts: of the one within a tunnel. */
function packetOf({ bytes, packet, tunnel }: Frame): Uint8Array {
  const at = tunnel?.innerAt ?? ETHERNET_BYTES;
  return bytes.subarray(at, at + (packet?.totalBytes ?? 0));
}

// Judges a set of captures: every claim is gone through on every flow and every frame, and says
// what it was checked on. The claims that DSR and NAT share are here; each method's own are beside.
// Pure: the same captures always give the same claims.
import { isTunnel, questionFor } from '../topologies/topology.ts';
import {
  type CaptureSet,
  hostOfMac,
  hostsOf,
  type Manifest,
  methodOf,
  ownedBy,
  targetOf,
  vipsOf,
} from './captures.ts';
import { type Claim, conclude, count, draftOf, missAfter, violate } from './claim.ts';
import { arpFault, findFaults, isSynAck, wrongChecksumOf } from './diagnose.ts';
import { ACK, type Frame, isEcho, payloadOf, SYN, TCP } from './dissect.ts';
import { judgeDsr } from './dsr-claims.ts';
import * as faults from './faults.ts';
import { allFrames, type Findings } from './findings.ts';
import { joinCaptures, realsOf } from './flows.ts';
import { judgeNat } from './nat-claims.ts';
import { chainTo, journeyOf, type Route, replyLegs, requestLegs } from './route.ts';
import { compareData } from './streams.ts';
import { judgeTunnel } from './tunnel-claims.ts';

/** All claims of the topology that the captures were taken in, in the order of a packet's way. */
export function judge(set: CaptureSet): Claim[] {
  const findings = findFaults(joinCaptures(set));
  return [
    vipArp(findings),
    echo(findings),
    requestToDirector(findings),
    ...ownClaims(findings),
    oneReal(findings),
    checksums(findings),
    handshake(findings),
    data(findings),
    answered(set.manifest),
  ];
}

function ownClaims(findings: Findings): Claim[] {
  const method = methodOf(findings.manifest);
  if (isTunnel(method)) return judgeTunnel(findings);
  return method === 'dsr' ? judgeDsr(findings) : judgeNat(findings);
}

function vipArp(findings: Findings): Claim {
  const { manifest } = findings;
  const owned = ownedBy(manifest);
  const how = owned.map(questionFor)[0] ?? 'ARP';
  const what = manifest.sourcePool === undefined ? 'the VIP' : 'the VIP and the source pool';
  const draft = draftOf('vip-arp', `only the director answers ${how} for ${what}`, 'absence');
  for (const frame of allFrames(findings)) {
    if (frame.arp === undefined || !owned.includes(frame.arp.senderAddress)) continue;
    count(draft, undefined, () => [frame]);
    const fault = arpFault(manifest, frame);
    if (fault !== undefined) violate(draft, [frame], fault);
  }
  return conclude(draft, findings.damage);
}

function echo(findings: Findings): Claim {
  const { manifest, director } = findings;
  const draft = draftOf('echo', 'the director itself answers ping to the VIP');
  const clients = hostsOf(manifest, 'client').map((host) => host.name);
  const captures = findings.joined.set.captures.filter(({ point }) => clients.includes(point.host));
  const frames = captures.flatMap((capture) => capture.frames);
  for (const request of frames.filter((frame) => isEchoToVip(frame, vipsOf(manifest)))) {
    const reply = frames.find((frame) => isEchoReply(frame, request));
    count(draft, undefined, () => (reply === undefined ? [request] : [request, reply]));
    const from = reply && hostOfMac(manifest, reply.sourceMac);
    if (from?.role === 'director') continue;
    const vip = request.packet?.destination ?? '';
    const seen = reply === undefined ? [request] : [request, reply];
    if (from?.role === 'real') violate(draft, seen, faults.realAnswersArp(from.name, vip));
    else missAfter(draft, undefined, seen, faults.echoUnanswered(director, vip));
  }
  return conclude(draft, findings.damage);
}

const isEchoToVip = ({ packet }: Frame, vips: readonly string[]) =>
  packet !== undefined && isEcho(packet, 'request') && vips.includes(packet.destination);

/** Identifier and sequence are the first four bytes after the checksum, RFC 792. */
function isEchoReply(frame: Frame, request: Frame): boolean {
  const reply = frame.packet;
  const asked = request.packet;
  if (reply === undefined || asked === undefined || !isEcho(reply, 'reply')) return false;
  const label = (of: Frame, at: number) => Buffer.from(of.bytes.subarray(at - 4, at));
  return (
    reply.source === asked.destination &&
    reply.destination === asked.source &&
    label(frame, reply.payloadAt).equals(label(request, asked.payloadAt)) &&
    Buffer.from(payloadOf(frame)).equals(payloadOf(request))
  );
}

function requestToDirector(findings: Findings): Claim {
  const { manifest, director, faultOf } = findings;
  const draft = draftOf('request-to-director', 'requests reach the director, addressed to the VIP');
  let lost = 0;
  for (const route of findings.routes) {
    const { flow, toDirector } = route;
    for (const { from, to } of toDirector.pairs) count(draft, flow, () => [from, to]);
    for (const frame of toDirector.lost) count(draft, flow, () => [frame]);
    for (const frame of [...flow.atClient.requests, ...flow.intoDirector.requests]) {
      const target = hostOfMac(manifest, frame.destinationMac)?.name;
      const right = target === director && frame.packet?.destination === flow.service.vip;
      if (right) continue;
      violate(draft, [frame], faultOf.get(flow) ?? faults.notDelivered(director, 'requests'));
    }
    lost += toDirector.lost.length;
    if (toDirector.pairs.length > 0) continue;
    missAfter(
      draft,
      flow,
      journeyOf(route),
      faultOf.get(flow) ?? faults.notDelivered(director, 'requests'),
    );
  }
  if (lost > 0) draft.notes.push(`${lost} frames of the client were not seen at the director`);
  return conclude(draft, findings.damage);
}

function oneReal(findings: Findings): Claim {
  const { manifest, director } = findings;
  const draft = draftOf('one-real', 'all packets of a flow go to one real', 'absence');
  const perReal = new Map<string, number>();
  for (const route of findings.routes) {
    const { flow } = route;
    const sent = flow.outOfDirector.requests;
    for (const frame of sent) count(draft, flow, () => chainTo(requestLegs(route), frame));
    const targets = sent.map((frame) => targetOf(manifest, frame)?.name ?? '');
    const reals = [...new Set([...targets, ...realsOf(flow)])];
    const first = reals[0];
    if (first !== undefined) perReal.set(first, (perReal.get(first) ?? 0) + 1);
    if (reals.length < 2) continue;
    const odd = sent.find((_, index) => targets[index] !== targets[0]);
    const frames = [sent[0], odd].filter((frame) => frame !== undefined);
    violate(draft, frames, faults.severalReals(director, reals));
  }
  const shares = [...perReal].sort().map(([host, flows]) => `${host} ${flows}`);
  if (shares.length > 0) draft.notes.push(`flows per real: ${shares.join(', ')}`);
  return conclude(draft, findings.damage);
}

function checksums(findings: Findings): Claim {
  const draft = draftOf('checksums', 'IP, TCP and UDP checksums are right at every point');
  const seen = { partial: 0, unknown: 0 };
  for (const route of findings.routes) {
    for (const [frames, legs] of sightsOf(route)) {
      for (const frame of frames) {
        const state = frame.packet?.checksum;
        if (state === 'unknown') seen.unknown += 1;
        if (state === 'unknown') continue;
        if (state === 'partial') seen.partial += 1;
        const wrong = wrongChecksumOf([frame]);
        count(draft, route.flow, () => chainTo(legs, frame));
        if (wrong === undefined) continue;
        const chain = chainTo(legs, frame);
        violate(draft, chain, checksumFault(findings, chain, wrong));
      }
    }
  }
  if (seen.partial > 0) {
    draft.notes.push(`${seen.partial} partial: left to the network card by the sender, as on veth`);
  }
  if (seen.unknown > 0) draft.notes.push(`${seen.unknown} cut frames could not be checked`);
  return conclude(draft, findings.damage);
}

/** Every place where a flow was seen, with the legs that lead there. */
function sightsOf(route: Route): [readonly Frame[], Route['toReal'][]][] {
  const { flow, atReal } = route;
  return [
    [flow.atClient.requests, []],
    [flow.intoDirector.requests, requestLegs(route)],
    [flow.outOfDirector.requests, requestLegs(route)],
    [atReal.requests, requestLegs(route)],
    [atReal.replies, []],
    [flow.intoDirector.replies, replyLegs(route)],
    [flow.outOfDirector.replies, replyLegs(route)],
    [flow.atClient.replies, replyLegs(route)],
  ];
}

/** The host that made the checksum wrong: whoever sent the first frame of the chain that has it. */
function checksumFault({ manifest }: Findings, chain: readonly Frame[], field: string) {
  const first = chain.find((frame) => wrongChecksumOf([frame]) !== undefined);
  const host = hostOfMac(manifest, first?.sourceMac ?? '');
  return faults.wrongChecksum(host?.name ?? 'unknown', field, host?.role ?? 'real');
}

function handshake(findings: Findings): Claim {
  const draft = draftOf('handshake', 'TCP connections are set up: SYN, SYN-ACK, ACK');
  for (const route of findings.routes) {
    const { flow, atReal } = route;
    if (flow.protocol !== TCP) continue;
    const flags = (frame: Frame) => frame.packet?.flags ?? 0;
    const syn = flow.atClient.requests.find((frame) => (flags(frame) & (SYN | ACK)) === SYN);
    if (syn === undefined) continue;
    const synAck = flow.atClient.replies.find((frame) => isSynAck(flags(frame)));
    const ack = atReal.requests.find((frame) => (flags(frame) & (SYN | ACK)) === ACK);
    const made = synAck !== undefined && ack !== undefined;
    count(draft, flow, () => (made ? [syn, synAck, ack] : journeyOf(route)));
    if (made) continue;
    const host = realsOf(flow)[0] ?? flow.service.vip;
    const fault = findings.faultOf.get(flow) ?? faults.noHandshake(host);
    missAfter(draft, flow, journeyOf(route), fault);
  }
  return conclude(draft, findings.damage);
}

function data(findings: Findings): Claim {
  const draft = draftOf('data', 'client and real see the same data, both ways');
  let bytes = 0;
  for (const { flow, atReal } of findings.routes) {
    const ways = [
      ['requests', flow.atClient.requests, atReal.requests, realsOf(flow)[0] ?? 'the real'],
      ['replies', atReal.replies, flow.atClient.replies, 'client'],
    ] as const;
    for (const [way, sent, received, receiver] of ways) {
      const first = sent.find((frame) => (frame.packet?.payloadBytes ?? 0) > 0);
      if (first === undefined) continue;
      const compared = compareData(sent, received);
      const arrived = received.find((frame) => (frame.packet?.payloadBytes ?? 0) > 0);
      const frames = arrived === undefined ? [first] : [first, arrived];
      count(draft, flow, () => frames);
      bytes += compared.bytes;
      if (compared.equal) continue;
      missAfter(
        draft,
        flow,
        frames,
        findings.faultOf.get(flow) ?? faults.dataDiffers(receiver, way),
      );
    }
  }
  draft.notes.push(`${bytes} bytes compared`);
  return conclude(draft, findings.damage);
}

/**
 * By what the programs themselves say: what never left the client, or was dropped on its way, is no
 * difference between captures. The claims above say why.
 */
export function answered({ traffic }: Pick<Manifest, 'traffic'>): Claim {
  const { requests = 0, requestsAnswered = 0, transfers = 0, transfersDone = 0 } = traffic ?? {};
  const failed = requests + transfers - requestsAnswered - transfersDone;
  const counts =
    `${requestsAnswered} of ${requests} requests, ` + `${transfersDone} of ${transfers} transfers`;
  const failures = traffic?.failures ?? [];
  const named = failures.length > 0 ? `, failed: ${[...new Set(failures)].join(', ')}` : '';
  const untested = 'what the programs said of their traffic was not kept';
  return {
    id: 'answered',
    sentence: 'every request and every transfer was answered',
    verdict: traffic === undefined ? 'not-tested' : failed > 0 ? 'fails' : 'holds',
    flows: requests + transfers,
    frames: 0,
    evidence: [],
    violations: failed,
    counterexample: [],
    faults: [],
    notes: [traffic === undefined ? untested : counts + named],
  };
}

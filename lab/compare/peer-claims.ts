// What each kind of path promises about the way of its packets, judged on captures. These are for
// peers, of whom no more is claimed than their kind; furiwake's own paths have all claims of
// verify. Pure: the same captures always give the same claims.
import { type CaptureSet, damageOf, type HostFacts, hostsOf, macsOf } from '../verify/captures.ts';
import { type Frame, SYN, TCP, UDP } from '../verify/dissect.ts';
import { type Pair, pairFrames } from '../verify/flows.ts';
import { streamOf } from '../verify/streams.ts';
import type { EvidenceClaim, PathKind } from './result.ts';

/** Frames of the services, by place and way. */
interface Scene {
  readonly clientAddress: string;
  readonly balancerAddresses: readonly string[];
  readonly target: string;
  readonly client: Ways;
  readonly into: Ways;
  readonly out: Ways;
  readonly reals: Ways;
  readonly isBalancer: (mac: string) => boolean;
  readonly isReal: (mac: string) => boolean;
  /** Address of the real with that MAC address. */
  readonly addressOf: (mac: string) => string;
  readonly damaged: boolean;
}

interface Ways {
  readonly requests: readonly Frame[];
  readonly replies: readonly Frame[];
}

/** What one claim looked at. */
interface Look {
  readonly text: string;
  readonly looked: readonly Frame[];
  readonly against: readonly Frame[];
  /** One packet that shows it, from point to point. */
  readonly shows: readonly Frame[];
  /** It rests on frames that are nowhere: only whole captures prove it. */
  readonly absence?: boolean;
}

const MOST_FRAMES = 4;

/** @param target where the client sends to */
export function judgePeer(kind: PathKind, set: CaptureSet, target: string): EvidenceClaim[] {
  const scene = sceneOf(set, target);
  return LOOKS[kind].map((look) => conclude(look(scene), scene));
}

const LOOKS: Readonly<Record<PathKind, readonly ((scene: Scene) => Look)[]>> = {
  none: [straightToReal, straightBack, nothingElsewhere],
  dsr: [requestsCross, straightBack, noReplyAtBalancer],
  routing: [requestsUnchanged, repliesCross],
  nat: [requestsTranslated, repliesCross, clientSeesTargetAlone],
  // Furiwake's own alone.
  tunnel: [],
  proxy: [twoConnections, repliesCross, clientSeesTargetAlone, everyByteCrosses],
};

function conclude(look: Look, { damaged }: Scene): EvidenceClaim {
  const { text, looked, against, shows, absence = false } = look;
  const untested = looked.length === 0 || (absence && damaged);
  const shown = against.length > 0 ? against : shows;
  return {
    text,
    verdict: against.length > 0 ? 'fails' : untested ? 'not-tested' : 'holds',
    frames: shown.slice(0, MOST_FRAMES).map(({ file, number }) => ({ file, frame: number })),
    looked: looked.length,
  };
}

function sceneOf(set: CaptureSet, target: string): Scene {
  const { manifest } = set;
  const balancers = hostsOf(manifest, 'director');
  const reals = hostsOf(manifest, 'real');
  const clients = hostsOf(manifest, 'client');
  const ports = new Set(manifest.services.map(({ port }) => port));
  const at = (hosts: readonly HostFacts[]) => {
    const names = hosts.map(({ name }) => name);
    const captures = set.captures.filter(({ point }) => names.includes(point.host));
    return captures.flatMap(({ frames }) => frames);
  };
  const macs = (hosts: readonly HostFacts[]) => hosts.flatMap(macsOf);
  const ways = (frames: readonly Frame[]) => waysOf(frames, ports);
  const arriving = (hosts: readonly HostFacts[]) =>
    ways(at(hosts).filter((frame) => macs(hosts).includes(frame.destinationMac)));
  const leaving = (hosts: readonly HostFacts[]) =>
    ways(at(hosts).filter((frame) => macs(hosts).includes(frame.sourceMac)));
  return {
    clientAddress: clients[0]?.interfaces[0]?.address ?? '',
    balancerAddresses: balancers.flatMap((host) => host.interfaces.map(({ address }) => address)),
    target,
    client: { requests: leaving(clients).requests, replies: arriving(clients).replies },
    into: arriving(balancers),
    out: leaving(balancers),
    reals: { requests: arriving(reals).requests, replies: leaving(reals).replies },
    isBalancer: (mac) => macs(balancers).includes(mac),
    isReal: (mac) => macs(reals).includes(mac),
    addressOf: (mac) =>
      reals.find((host) => macsOf(host).includes(mac))?.interfaces[0]?.address ?? '',
    damaged: set.captures.some((capture) => damageOf(capture) !== undefined),
  };
}

/** TCP and UDP of the services; which way a frame goes is told by its ports. */
function waysOf(frames: readonly Frame[], ports: ReadonlySet<number>): Ways {
  const served = frames.filter(
    ({ packet }) => packet?.protocol === TCP || packet?.protocol === UDP,
  );
  return {
    requests: served.filter(({ packet }) => ports.has(packet?.destinationPort ?? 0)),
    replies: served.filter(({ packet }) => ports.has(packet?.sourcePort ?? 0)),
  };
}

function straightToReal({ client, reals, isReal, target }: Scene): Look {
  return {
    text: "Every request goes from the client straight to the real's MAC address.",
    looked: client.requests,
    against: client.requests.filter(
      ({ destinationMac, packet }) => !isReal(destinationMac) || packet?.destination !== target,
    ),
    shows: ends(pairFrames(client.requests, reals.requests).pairs[0]),
  };
}

function straightBack({ client, reals, isReal, target }: Scene): Look {
  return {
    text: "Every reply reaches the client straight from the real's MAC address, with the address asked as its source.",
    looked: client.replies,
    against: client.replies.filter(
      ({ sourceMac, packet }) => !isReal(sourceMac) || packet?.source !== target,
    ),
    shows: ends(pairFrames(reals.replies, client.replies).pairs[0]),
  };
}

function nothingElsewhere({ client, reals, into, out }: Scene): Look {
  return {
    text: 'No packet of it passes another host.',
    looked: [...client.requests, ...client.replies],
    against: [into, out].flatMap(({ requests, replies }) => [...requests, ...replies]),
    shows: ends(pairFrames(client.requests, reals.requests).pairs[0]),
    absence: true,
  };
}

function requestsCross({ client, into, out, isBalancer, isReal, target }: Scene): Look {
  const { pairs, extra } = pairFrames(into.requests, out.requests);
  return {
    text: "Every request enters the balancer's host and leaves it for a real's MAC address, still addressed to the VIP.",
    looked: pairs.map(({ to }) => to),
    against: [
      ...client.requests.filter(({ destinationMac }) => !isBalancer(destinationMac)),
      ...out.requests.filter(
        ({ destinationMac, packet }) => !isReal(destinationMac) || packet?.destination !== target,
      ),
      ...extra,
    ],
    shows: ends(pairs[0]),
  };
}

function noReplyAtBalancer({ client, reals, into, out }: Scene): Look {
  return {
    text: "No reply passes the balancer's host.",
    looked: client.replies,
    against: [...into.replies, ...out.replies],
    shows: ends(pairFrames(reals.replies, client.replies).pairs[0]),
    absence: true,
  };
}

function requestsUnchanged(scene: Scene): Look {
  const { reals, clientAddress, target } = scene;
  return {
    text: "Every request passes the host between and reaches the real with the client's address and the address asked.",
    looked: reals.requests,
    against: reals.requests.filter(
      ({ packet, sourceMac }) =>
        packet?.source !== clientAddress ||
        packet.destination !== target ||
        !scene.isBalancer(sourceMac),
    ),
    shows: requestChain(scene),
  };
}

function requestsTranslated(scene: Scene): Look {
  const { reals, clientAddress } = scene;
  return {
    text: "Every request passes the balancer's host and reaches the real at its own address, from the client's.",
    looked: reals.requests,
    against: reals.requests.filter(
      ({ packet, sourceMac, destinationMac }) =>
        packet?.source !== clientAddress ||
        packet.destination !== scene.addressOf(destinationMac) ||
        !scene.isBalancer(sourceMac),
    ),
    shows: requestChain(scene),
  };
}

function repliesCross(scene: Scene): Look {
  const { client, reals, isBalancer } = scene;
  return {
    text: 'Every reply goes from the real to the host between, and from there to the client.',
    looked: [...reals.replies, ...client.replies],
    against: [
      ...reals.replies.filter(({ destinationMac }) => !isBalancer(destinationMac)),
      ...client.replies.filter(({ sourceMac }) => !isBalancer(sourceMac)),
    ],
    shows: replyChain(scene),
  };
}

function clientSeesTargetAlone({ client, target }: Scene): Look {
  return {
    text: 'The client sees the VIP alone.',
    looked: client.replies,
    against: client.replies.filter(({ packet }) => packet?.source !== target),
    shows: client.replies.slice(0, 1),
  };
}

function twoConnections({ client, reals, balancerAddresses }: Scene): Look {
  const isSyn = ({ packet }: Frame) => packet?.protocol === TCP && (packet.flags & SYN) !== 0;
  const firsts = [client.requests.find(isSyn), reals.requests.find(isSyn)];
  return {
    text: "There are two TCP connections: the client's ends at the proxy, and every packet at a real comes from the proxy's own address.",
    looked: reals.requests,
    against: reals.requests.filter(
      ({ packet }) => !balancerAddresses.includes(packet?.source ?? ''),
    ),
    shows: firsts.filter((frame) => frame !== undefined),
  };
}

function everyByteCrosses({ client, into, out, reals }: Scene): Look {
  const data = (frames: readonly Frame[]) =>
    frames.filter(({ packet }) => packet?.protocol === TCP && packet.payloadBytes > 0);
  // An end that closes early leaves bytes at the proxy; none may come from anywhere else.
  const crossed = (
    sent: readonly Frame[],
    received: readonly Frame[],
    delivered: readonly Frame[],
  ) => bytesOf(received) === bytesOf(delivered) && bytesOf(received) <= bytesOf(sent);
  const all =
    crossed(into.requests, out.requests, reals.requests) &&
    crossed(into.replies, out.replies, client.replies);
  const looked = [...data(into.requests), ...data(into.replies)];
  const fromProxy = data(out.replies)[0];
  const shows = [data(into.replies)[0], fromProxy].filter((frame) => frame !== undefined);
  return {
    text: 'Every byte passes the proxy: reals and client received what left it, and that is no more than entered it.',
    looked,
    against: all ? [] : [...data(client.requests), ...data(client.replies)],
    shows,
    absence: true,
  };
}

/** Payload of all TCP connections among the frames, each byte once. */
function bytesOf(frames: readonly Frame[]): number {
  const connections = new Map<string, Frame[]>();
  for (const frame of frames) {
    if (frame.packet?.protocol !== TCP) continue;
    const { source, sourcePort, destination, destinationPort } = frame.packet;
    const key = `${source}:${sourcePort} ${destination}:${destinationPort}`;
    const known = connections.get(key);
    if (known === undefined) connections.set(key, [frame]);
    else known.push(frame);
  }
  return [...connections.values()].reduce((sum, each) => sum + streamOf(each).bytes, 0);
}

const ends = (pair: Pair | undefined): readonly Frame[] =>
  pair === undefined ? [] : [pair.from, pair.to];

/** One request from the client to the real: where it was seen on its way. */
function requestChain({ client, into, out, reals }: Scene): readonly Frame[] {
  return chainOf([client.requests, into.requests, out.requests, reals.requests]);
}

/** A proxy's two connections have no packet in common: then what is known of the first half. */
function replyChain({ client, into, out, reals }: Scene): readonly Frame[] {
  const whole = chainOf([reals.replies, into.replies, out.replies, client.replies]);
  if (whole.length === 4) return whole;
  const halves = [
    pairFrames(reals.replies, into.replies).pairs[0],
    pairFrames(out.replies, client.replies).pairs[0],
  ];
  return halves.flatMap(ends);
}

/** One packet through all places; as far as it was seen. */
function chainOf(places: readonly (readonly Frame[])[]): readonly Frame[] {
  const [first, ...rest] = places;
  let best: Frame[] = [];
  for (const start of (first ?? []).slice(0, MOST_STARTS)) {
    const chain = [start];
    for (const place of rest) {
      const next = pairFrames(chain.slice(-1), place).pairs[0];
      if (next === undefined) break;
      chain.push(next.to);
    }
    if (chain.length > best.length) best = chain;
    if (best.length === places.length) break;
  }
  return best;
}

const MOST_STARTS = 5;

// The way of one flow as the captures show it, leg by leg: client, director in, director out, real,
// and back. Each leg is a pairing of what left one point with what arrived at the next.
import { answersDirectly } from '../topologies/topology.ts';
import { type Manifest, methodOf } from './captures.ts';
import type { Frame } from './dissect.ts';
import { type Flow, newSight, type Pairing, pairFrames } from './flows.ts';

export interface Route {
  readonly flow: Flow;
  /** Requests: client to director, through the director, director to real. */
  readonly toDirector: Pairing;
  readonly throughDirector: Pairing;
  readonly toReal: Pairing;
  /** Replies in NAT: real to director, through it, to the client. Empty where reals answer it. */
  readonly backToDirector: Pairing;
  readonly backThroughDirector: Pairing;
  /** Replies on their last leg: from the real in DSR and tunnels, from the director in NAT. */
  readonly backToClient: Pairing;
  /** Of all reals that the flow touched; more than one breaks a claim of its own. */
  readonly atReal: { readonly requests: readonly Frame[]; readonly replies: readonly Frame[] };
}

const NO_PAIRING: Pairing = { pairs: [], lost: [], extra: [] };

export function routeOf(flow: Flow, manifest: Manifest): Route {
  const atReal = newSight();
  for (const sight of flow.atReals.values()) {
    atReal.requests.push(...sight.requests);
    atReal.replies.push(...sight.replies);
  }
  const { atClient, intoDirector, outOfDirector } = flow;
  const nat = !answersDirectly(methodOf(manifest));
  const returned = nat ? outOfDirector.replies : atReal.replies;
  return {
    flow,
    toDirector: pairFrames(atClient.requests, intoDirector.requests),
    throughDirector: pairFrames(intoDirector.requests, outOfDirector.requests),
    toReal: pairFrames(outOfDirector.requests, atReal.requests),
    backToDirector: nat ? pairFrames(atReal.replies, intoDirector.replies) : NO_PAIRING,
    backThroughDirector: nat ? pairFrames(intoDirector.replies, outOfDirector.replies) : NO_PAIRING,
    backToClient: pairFrames(returned, atClient.replies),
    atReal,
  };
}

/** The frames that one packet was on its way along `legs`, ending with `frame`. */
export function chainTo(legs: readonly Pairing[], frame: Frame): Frame[] {
  const chain = [frame];
  for (const leg of [...legs].reverse()) {
    const before = leg.pairs.find((pair) => pair.to === chain[0])?.from;
    if (before !== undefined) chain.unshift(before);
  }
  return chain;
}

export const requestLegs = (route: Route): Pairing[] => [
  route.toDirector,
  route.throughDirector,
  route.toReal,
];

export const replyLegs = (route: Route): Pairing[] => [
  route.backToDirector,
  route.backThroughDirector,
  route.backToClient,
];

/** How far a flow's first request came, and then its first reply: what to look at if it failed. */
export function journeyOf(route: Route): Frame[] {
  const { flow, atReal } = route;
  const { atClient, intoDirector, outOfDirector } = flow;
  const stages = [
    atReal.requests,
    outOfDirector.requests,
    intoDirector.requests,
    atClient.requests,
  ];
  const last = stages.find((frames) => frames.length > 0)?.[0];
  const there = last === undefined ? [] : chainTo(requestLegs(route), last);
  const back = [atReal.replies, intoDirector.replies, outOfDirector.replies, atClient.replies];
  return [...there, ...back.flatMap((frames) => frames.slice(0, 1))];
}

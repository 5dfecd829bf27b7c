// Under pressure: the flow table is full of flows that it does not give up, yet new connections go
// on. Each of their packets is sent where the hash of its client leads, and nothing is remembered,
// so all of them go to the same real as long as the reals stay. A service whose scheduler looks at
// more than the packet chooses by rendezvous hash meanwhile, and for a while after, so that what
// has begun that way ends that way; whatever its client's template says, for that may end sooner.
// NAT cannot do without a flow: replies would not find back.
import { changeState, layPassing, NAT_BIT, type NewFlow } from '../flow/flow-table.ts';
import { SCTP_NONE } from '../flow/sctp-states.ts';
import { NONE } from '../flow/tcp-states.ts';
import { DROP } from '../wire/drop-reason.ts';
import { PROTOCOL_SCTP } from '../wire/ipv4.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { forwardFound, TOO_LONG } from './known-flow.ts';
import { forwardFound6 } from './known-flow6.ts';
import { isTooLong } from './length.ts';
import { isIpv6 } from './packet.ts';
import { dropped } from './refuse.ts';
import { IPV6_BIT } from './table.ts';
import { kindOf, SEND, type Verdict } from './verdict.ts';

const FLOW_TABLE_FULL = DROP['flow-table-full'];
/** How long a service chooses by hash after the last packet that was sent on statelessly. */
const STRAIN_MS = 120_000;

/** Which services choose by hash although their scheduler does not. */
export interface Strain {
  /** 1 for such a service, by id. */
  readonly services: Uint8Array;
  any: boolean;
  untilMs: number;
}

export const createStrain = (services: number): Strain => ({
  services: new Uint8Array(services),
  any: false,
  untilMs: 0,
});

/** Ends the strain when its time is over. */
export function easeStrain({ strain, nowMs }: Director): void {
  if (!strain.any || ((strain.untilMs - nowMs) | 0) > 0) return;
  strain.services.fill(0);
  strain.any = false;
}

/** True if connections to this service may be without a flow. */
export const isStrained = ({ strain }: Director, service: number): boolean =>
  strain.services[service] === 1;

/** True if all packets of a connection to this service get the same choice without its flow. */
export function choosesByHash(director: Director, service: number): boolean {
  return isStrained(director, service) || (director.schedulers[service]?.consistent ?? false);
}

/** Notes that a service must do without its scheduler. */
export function strainService({ strain, nowMs }: Director, service: number): void {
  strain.services[service] = 1;
  strain.any = true;
  strain.untilMs = (nowMs + STRAIN_MS) | 0;
}

/**
 * Sends on the packet of a flow for which there is no room.
 * @param flow where its packets go, by hash
 * @returns the verdict, or one of those of forwardKnown that is none
 */
export function passStatelessly(
  director: Director,
  flow: NewFlow,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
): Verdict {
  const { flows, nowMs, packet } = director;
  if ((flow.bits & NAT_BIT) !== 0) return dropped(director, FLOW_TABLE_FULL);
  const state = (flow.protocol & ~IPV6_BIT) === PROTOCOL_SCTP ? SCTP_NONE : NONE;
  const number = layPassing(flows, flow, state, nowMs);
  const found = number << 1;
  const verdict = isIpv6(packet)
    ? forwardFound6(director, frame, at, l4, end, arm, offload, found)
    : forwardPassing(director, frame, at, l4, end, arm, offload, found);
  changeState(flows, number, state);
  director.isPassing = verdict === TOO_LONG;
  if (verdict > 0) countStateless(director, verdict);
  return verdict;
}

/** Counts a packet that was sent on by hash. */
export function countStateless({ counters }: Director, verdict: Verdict): void {
  const { values } = counters;
  if (kindOf(verdict) !== SEND) return;
  values[GLOBAL.statelessPackets] = (values[GLOBAL.statelessPackets] as number) + 1;
}

/** Of IPv4, whose known flows have their length looked at before they are forwarded. */
function forwardPassing(
  director: Director,
  frame: DataView,
  at: number,
  l4: number,
  end: number,
  arm: number,
  offload: number,
  found: number,
): Verdict {
  if (end - at > director.safeFrameBytes) {
    if (isTooLong(director, frame, at, l4, offload, found)) return TOO_LONG;
  }
  const { timeToLive, protocol } = director.packet;
  const time = (timeToLive << 8) | protocol;
  return forwardFound(director, frame, at, l4, end, arm, offload, time, found);
}

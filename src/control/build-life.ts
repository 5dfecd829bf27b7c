// What the configuration says of the life of flows, as the forwarding table has it.
import type {
  Config,
  LimitsConfig,
  RealConfig,
  ServiceConfig,
  TimeoutName,
} from '../config/config.ts';
import { isIpv6Text } from '../config/endpoint.ts';
import {
  type ClientLimits,
  CUT_OLD,
  KEEP_OLD,
  RESET_OLD,
  type RealTerms,
  type ServiceLife,
} from '../director/life.ts';
import { SCTP_NONE, SCTP_STATE_NAMES } from '../flow/sctp-states.ts';
import { STATE_NAMES, type StateName, TIMEOUT_MS, UDP, UDP_NEW } from '../flow/tcp-states.ts';

const tcp = (name: StateName): number => STATE_NAMES.indexOf(name);
const sctp = (name: (typeof SCTP_STATE_NAMES)[number]): number =>
  SCTP_NONE + SCTP_STATE_NAMES.indexOf(name);

const STATES: Readonly<Record<TimeoutName, number>> = {
  ...{ established: tcp('ESTABLISHED'), synSent: tcp('SYN_SENT'), synRecv: tcp('SYN_RECV') },
  ...{ finWait: tcp('FIN_WAIT'), timeWait: tcp('TIME_WAIT'), close: tcp('CLOSE') },
  ...{ closeWait: tcp('CLOSE_WAIT'), lastAck: tcp('LAST_ACK'), listen: tcp('LISTEN') },
  ...{ synAck: tcp('SYNACK'), udp: UDP, sctpInit1: sctp('INIT1'), sctpInit: sctp('INIT') },
  ...{ sctpCookieSent: sctp('COOKIE_SENT'), sctpCookieReplied: sctp('COOKIE_REPLIED') },
  ...{ sctpCookieWait: sctp('COOKIE_WAIT'), sctpCookie: sctp('COOKIE') },
  ...{ sctpCookieEchoed: sctp('COOKIE_ECHOED'), sctpEstablished: sctp('ESTABLISHED') },
  ...{ sctpShutdownSent: sctp('SHUTDOWN_SENT'), sctpShutdownReceived: sctp('SHUTDOWN_RECEIVED') },
  ...{ sctpShutdownAckSent: sctp('SHUTDOWN_ACK_SENT'), sctpRejected: sctp('REJECTED') },
  sctpClosed: sctp('CLOSED'),
};

/** How long a flow lives without a packet, by state. */
export function timeoutsOf({ timeouts }: Pick<Config, 'timeouts'>): Int32Array {
  const all = TIMEOUT_MS.slice();
  for (const [name, ms] of Object.entries(timeouts ?? {})) {
    if (ms !== undefined) all[STATES[name as TimeoutName]] = ms;
  }
  // An exchange that has only begun lives no longer than others.
  all[UDP_NEW] = all[UDP] as number;
  return all;
}

/** The same by the names that the file has. */
export function allTimeouts(config: Config): Record<TimeoutName, number> {
  const all = timeoutsOf(config);
  const named = Object.entries(STATES).map(([name, state]) => [name, all[state]]);
  return Object.fromEntries(named) as Record<TimeoutName, number>;
}

/** @param sorry real id of the sorry server, if there is one */
export function serviceLife(service: ServiceConfig, sorry?: number): ServiceLife | undefined {
  const { persistence, onePacket = false, slowStart = 0, whenAllDown, limits } = service;
  const failOpen = whenAllDown === 'failOpen';
  const isPlain = (persistence ?? limits) === undefined && !onePacket && slowStart === 0;
  if (isPlain && sorry === undefined && !failOpen) return undefined;
  const family = isIpv6Text(service.vips[0] ?? '') ? 6 : 4;
  return {
    persistence: persistence && {
      timeoutMs: persistence.timeout,
      prefixLength: prefixLength(persistence, family),
      family,
    },
    ...{ onePacket, slowStartMs: slowStart, sorry: sorry ?? -1, failOpen },
    limits: limits && clientLimits(limits, family),
  };
}

/** Of addresses of four words. */
const prefixLength = ({ prefix, prefix6 }: { prefix: number; prefix6: number }, family: 4 | 6) =>
  family === 6 ? prefix6 : 96 + prefix;

function clientLimits(limits: LimitsConfig, family: 4 | 6): ClientLimits {
  const { flowsPerClient = 0, newFlowsPerSecond = 0, burst = newFlowsPerSecond } = limits;
  const intervalMs = newFlowsPerSecond === 0 ? 0 : 1000 / newFlowsPerSecond;
  return {
    ...{ flows: flowsPerClient, intervalMs, burstMs: burst * intervalMs },
    prefixLength: prefixLength(limits, family),
  };
}

const OLD = { keep: KEEP_OLD, cut: CUT_OLD, reset: RESET_OLD };

/**
 * @param workers each of them counts the flows that it has, so each gets its part of a threshold
 */
export function realTerms(
  { weight, drain, thresholds }: RealConfig,
  workers: number,
): RealTerms | undefined {
  if (weight > 0 && drain === undefined && thresholds === undefined) return undefined;
  return {
    stopsNew: weight === 0 || drain !== undefined,
    old: OLD[drain?.old ?? 'keep'],
    oldAfterMs: drain?.timeout ?? 0,
    upper: Math.ceil((thresholds?.upper ?? 0) / workers),
    lower: Math.ceil((thresholds?.lower ?? 0) / workers),
  };
}

/** The weight that counts for new flows. */
export const openWeight = ({ weight, drain }: RealConfig): number => (drain ? 0 : weight);

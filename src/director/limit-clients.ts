// Whether a client may open one more flow, where its service limits how many each client has and
// how fast it opens them. Asked for new flows alone; those that are known go on. What is not
// remembered, because there is no room for it, counts as no flow.
import {
  createClientTable,
  enterClient,
  holdClient,
  isAtLimit,
  sweepClients,
} from '../flow/client-table.ts';
import { fillKey, fillMapped } from './choose-real.ts';
import { GLOBAL } from './counters.ts';
import type { Director } from './director.ts';
import { isIpv6 } from './packet.ts';

/** Most clients that are counted, with 36 bytes each; fewer where fewer flows are remembered. */
const MOST_CLIENTS = 1 << 20;
/** Clients looked at by one tick: of a million, all in 10 s. */
const CLIENT_BUDGET = 1024;

/** Room to count clients in; made when a table first asks for it. */
export function makeClients({ flows, table }: Director): void {
  const isAsked = table.life.services.some((life) => life?.limits !== undefined);
  if (!isAsked || flows.clients !== undefined) return;
  flows.clients = createClientTable(Math.min(flows.maximum, MOST_CLIENTS), flows.seed);
  flows.clientOf = new Int32Array(flows.maximum);
}

/** True if the packet's client has what it may have. Its entry is left in `choice.counted`. */
export function isLimited(director: Director, service: number): boolean {
  const { table, flows, choice, packet, nowMs } = director;
  const limits = table.life.services[service]?.limits;
  choice.counted = -1;
  if (limits === undefined || flows.clients === undefined) return false;
  if (!isIpv6(packet)) fillMapped(choice.client, packet.source);
  fillKey(choice, service, limits.prefixLength);
  choice.counted = enterClient(flows.clients, choice.key, nowMs);
  return choice.counted >= 0 && isAtLimit(flows.clients, choice.counted, limits, nowMs);
}

/** Counts a new flow as its client's; or as nobody's, where there is no room for the client. */
export function countForClient(director: Director, service: number, flow: number): void {
  const { table, flows, choice, counters, nowMs } = director;
  const limits = table.life.services[service]?.limits;
  if (limits === undefined || flows.clients === undefined) return;
  if (choice.counted >= 0) {
    holdClient(flows.clients, choice.counted, limits, nowMs);
    flows.clientOf[flow] = choice.counted + 1;
    return;
  }
  const { values } = counters;
  values[GLOBAL.uncountedFlows] = (values[GLOBAL.uncountedFlows] as number) + 1;
}

export function tickClients({ flows, nowMs }: Director): void {
  if (flows.clients !== undefined) sweepClients(flows.clients, nowMs, CLIENT_BUDGET);
}

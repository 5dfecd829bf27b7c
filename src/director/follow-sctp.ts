// What a packet of a known SCTP association does to its flow, and which packet may open one.
import { changeState, type FlowTable } from '../flow/flow-table.ts';
import { nextSctpState, SCTP_CLOSED } from '../flow/sctp-states.ts';
import { FROM_SERVER } from '../flow/tcp-states.ts';
import * as sctp from '../wire/sctp.ts';

/** @returns the flow's new state, or -1 if it has ended and the packet opens another */
export function followSctp(
  flows: FlowTable,
  number: number,
  state: number,
  direction: number,
  chunk: number,
): number {
  if (chunk === sctp.INIT && direction !== FROM_SERVER && state === SCTP_CLOSED) return -1;
  const next = nextSctpState(direction, chunk, state);
  if (next !== state) changeState(flows, number, next);
  return next;
}

/**
 * An association opens with an INIT. As with TCP, any packet but an ABORT may open a flow where the
 * choice is the same on every director: it goes where those before it went (IPVS's `sloppy_sctp`).
 */
export const mayOpenSctp = (chunk: number, consistent: boolean): boolean =>
  chunk === sctp.INIT || (consistent && chunk !== sctp.ABORT);

// The states of an SCTP association as the director sees it, and how long each lasts: those of IPVS
// (Linux net/netfilter/ipvs/ip_vs_proto_sctp.c), in its two forms: two-way, where both directions
// pass the director (NAT), and client-only (DSR). They are named as the real would name them. Their
// numbers go on where those of TCP and UDP end, so that one table has the times of all.
import * as sctp from '../wire/sctp.ts';
import { CLIENT_ONLY, FROM_CLIENT, FROM_SERVER } from './tcp-states.ts';

export const SCTP_STATE_NAMES = [
  ...['NONE', 'INIT1', 'INIT', 'COOKIE_SENT', 'COOKIE_REPLIED', 'COOKIE_WAIT', 'COOKIE'],
  ...['COOKIE_ECHOED', 'ESTABLISHED', 'SHUTDOWN_SENT', 'SHUTDOWN_RECEIVED', 'SHUTDOWN_ACK_SENT'],
  ...['REJECTED', 'CLOSED'],
] as const;
const STATES = SCTP_STATE_NAMES.length;

/** The number of the first of these states. */
export const SCTP_NONE = 13;
export const SCTP_CLOSED = SCTP_NONE + STATES - 1;

/** The states in two letters, for the table of transitions. */
const CODES = 'NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL'.split(' ');

/** What counts as an event; every other chunk counts as DATA. */
const EVENTS = [
  ...[sctp.DATA, sctp.INIT, sctp.INIT_ACK, sctp.COOKIE_ECHO, sctp.COOKIE_ACK],
  ...[sctp.SHUTDOWN, sctp.SHUTDOWN_ACK, sctp.SHUTDOWN_COMPLETE, sctp.ERROR, sctp.ABORT],
];

/** By direction and event, the states that change and into which; all others stay. */
const TRANSITIONS: Readonly<Record<number, readonly string[]>> = {
  [FROM_CLIENT]: [
    'NO>ES',
    'NO>I1 I1>IN RJ>IN CL>IN',
    'NO>CW I1>CW IN>CW CW>CO',
    'NO>CR CS>CR I1>IN',
    'NO>ES CE>ES',
    'NO>SR ES>SR',
    'NO>CL SS>CL SA>CL I1>IN',
    'NO>CL I1>CL IN>CL SA>CL',
    'NO>CL CE>CL',
    'NO>CL I1>CL IN>CL CS>CL CR>CL CW>RJ CO>CL CE>CL ES>CL SS>CL SR>CL SA>CL RJ>CL',
  ],
  [FROM_SERVER]: [
    'NO>ES',
    'NO>CW I1>CW IN>CW CS>CW CR>CW CO>CW CE>CW SS>CW SR>CW SA>CW RJ>CW CL>CW',
    'NO>CS I1>CS IN>CS',
    'NO>CE I1>CE IN>CE CS>CE CR>CE CW>CE CO>CE',
    'NO>ES I1>ES IN>ES CS>ES CR>ES CW>ES CO>ES CE>ES',
    'NO>SS I1>SS IN>SS CS>SS CR>SS CW>SS CO>SS CE>SS ES>SS',
    'NO>SA I1>SA IN>SA CS>SA CR>SA SS>SA SR>SA',
    'NO>CL',
    'NO>CL I1>CL IN>CL CS>CL CR>CL',
    'NO>CL I1>RJ IN>CL CS>CL CR>CL CW>CL CO>CL CE>CL ES>CL SS>CL SR>CL SA>CL RJ>CL',
  ],
  [CLIENT_ONLY]: [
    'NO>ES CW>ES',
    'NO>I1 I1>IN CS>IN CR>IN CW>IN RJ>IN CL>IN',
    'NO>CE I1>CE IN>CE CS>CE CR>CE CW>CE',
    'NO>ES I1>ES IN>ES CS>ES CR>ES CW>ES',
    'NO>ES CS>ES CR>ES CO>ES CE>ES',
    'NO>SR ES>SR',
    'NO>CL ES>CL SS>CL SA>CL I1>IN',
    'NO>CL I1>CL IN>CL CS>CL CR>CL SR>CL SA>CL',
    'NO>CL',
    'NO>CL I1>CL IN>CL CS>CL CR>CL CW>RJ CO>CL CE>CL ES>CL SS>CL SR>CL SA>CL RJ>CL',
  ],
};

/** [direction][chunk type, 4 bits][state, 4 bits] to the next state, both from 0. */
const NEXT_STATE = buildNextState();

function buildNextState(): Uint8Array {
  const next = new Uint8Array(3 << 8);
  for (const direction of [FROM_CLIENT, FROM_SERVER, CLIENT_ONLY]) {
    for (let type = 0; type < 16; type++) {
      const row = TRANSITIONS[direction]?.[Math.max(0, EVENTS.indexOf(type))] ?? '';
      const changes = new Map(
        row.split(' ').map((change) => change.split('>') as [string, string]),
      );
      for (const [state, code] of CODES.entries()) {
        const to = changes.get(code);
        next[(direction << 8) | (type << 4) | state] = to === undefined ? state : CODES.indexOf(to);
      }
    }
  }
  return next;
}

/**
 * The state after a packet.
 * @param direction FROM_CLIENT, FROM_SERVER or CLIENT_ONLY
 * @param chunk as from sctp.chunkType
 */
export function nextSctpState(direction: number, chunk: number, state: number): number {
  const type = chunk < 16 ? chunk : sctp.DATA;
  const next = NEXT_STATE[(direction << 8) | (type << 4) | (state - SCTP_NONE)] as number;
  return SCTP_NONE + next;
}

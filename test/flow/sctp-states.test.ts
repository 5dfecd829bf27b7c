// The states of SCTP against a second, full writing of IPVS's table, and associations as they go.
import { describe, expect, test } from 'vitest';
import {
  nextSctpState,
  SCTP_CLOSED,
  SCTP_NONE,
  SCTP_STATE_NAMES,
} from '../../src/flow/sctp-states.ts';
import {
  ACTIVE_STATES,
  CLIENT_ONLY,
  FROM_CLIENT,
  FROM_SERVER,
  KEPT_STATES,
  STATE_NAMES,
  TIMEOUT_MS,
} from '../../src/flow/tcp-states.ts';
import * as sctp from '../../src/wire/sctp.ts';

const NAMES = 'NO I1 IN CS CR CW CO CE ES SS SR SA RJ CL'.split(' ');
const CHUNKS = [
  ...[sctp.DATA, sctp.INIT, sctp.INIT_ACK, sctp.COOKIE_ECHO, sctp.COOKIE_ACK, sctp.SHUTDOWN],
  ...[sctp.SHUTDOWN_ACK, sctp.SHUTDOWN_COMPLETE, sctp.ERROR, sctp.ABORT],
];
/** Rows in the order of CHUNKS, columns in that of NAMES. */
const TABLES: Record<number, readonly string[]> = {
  [FROM_CLIENT]: [
    'ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL',
    'I1 IN IN CS CR CW CO CE ES SS SR SA IN IN',
    'CW CW CW CS CR CO CO CE ES SS SR SA RJ CL',
    'CR IN IN CR CR CW CO CE ES SS SR SA RJ CL',
    'ES I1 IN CS CR CW CO ES ES SS SR SA RJ CL',
    'SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL',
    'CL IN IN CS CR CW CO CE ES CL SR CL RJ CL',
    'CL CL CL CS CR CW CO CE ES SS SR CL RJ CL',
    'CL I1 IN CS CR CW CO CL ES SS SR SA RJ CL',
    'CL CL CL CL CL RJ CL CL CL CL CL CL CL CL',
  ],
  [FROM_SERVER]: [
    'ES I1 IN CS CR CW CO CE ES SS SR SA RJ CL',
    'CW CW CW CW CW CW CW CW ES CW CW CW CW CW',
    'CS CS CS CS CR CW CO CE ES SS SR SA RJ CL',
    'CE CE CE CE CE CE CE CE ES SS SR SA RJ CL',
    'ES ES ES ES ES ES ES ES ES SS SR SA RJ CL',
    'SS SS SS SS SS SS SS SS SS SS SR SA RJ CL',
    'SA SA SA SA SA CW CO CE ES SA SA SA RJ CL',
    'CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL',
    'CL CL CL CL CL CW CO CE ES SS SR SA RJ CL',
    'CL RJ CL CL CL CL CL CL CL CL CL CL CL CL',
  ],
  [CLIENT_ONLY]: [
    'ES I1 IN CS CR ES CO CE ES SS SR SA RJ CL',
    'I1 IN IN IN IN IN CO CE ES SS SR SA IN IN',
    'CE CE CE CE CE CE CO CE ES SS SR SA RJ CL',
    'ES ES ES ES ES ES CO CE ES SS SR SA RJ CL',
    'ES I1 IN ES ES CW ES ES ES SS SR SA RJ CL',
    'SR I1 IN CS CR CW CO CE SR SS SR SA RJ CL',
    'CL IN IN CS CR CW CO CE CL CL SR CL RJ CL',
    'CL CL CL CL CL CW CO CE ES SS CL CL RJ CL',
    'CL I1 IN CS CR CW CO CE ES SS SR SA RJ CL',
    'CL CL CL CL CL RJ CL CL CL CL CL CL CL CL',
  ],
};

test.each([FROM_CLIENT, FROM_SERVER, CLIENT_ONLY])('the table of direction %i', (direction) => {
  const rows = CHUNKS.map((chunk) =>
    NAMES.map((_, state) => NAMES[nextSctpState(direction, chunk, SCTP_NONE + state) - SCTP_NONE]),
  );
  expect(rows.map((row) => row.join(' '))).toEqual(TABLES[direction]);
});

test('all other chunks count as data', () => {
  for (const chunk of [3, 4, 5, 12, 13, 15, 64, 128, 193, 255]) {
    expect(nextSctpState(FROM_CLIENT, chunk, SCTP_NONE)).toBe(SCTP_NONE + NAMES.indexOf('ES'));
    expect(nextSctpState(FROM_CLIENT, chunk, SCTP_CLOSED)).toBe(SCTP_CLOSED);
  }
});

test('the numbers follow those of TCP and UDP, and each has its time', () => {
  expect(STATE_NAMES).toHaveLength(SCTP_NONE);
  expect(TIMEOUT_MS).toHaveLength(SCTP_NONE + SCTP_STATE_NAMES.length);
  const established = SCTP_NONE + SCTP_STATE_NAMES.indexOf('ESTABLISHED');
  expect(TIMEOUT_MS[established]).toBe(900_000);
  expect(ACTIVE_STATES >>> SCTP_NONE).toBe(1 << (established - SCTP_NONE));
  expect(KEPT_STATES >>> SCTP_NONE).toBe(1 << (established - SCTP_NONE));
});

describe('an association', () => {
  const play = (steps: readonly (readonly [number, number])[]) => {
    let state: number = SCTP_NONE;
    return steps.map(([direction, chunk]) => {
      state = nextSctpState(direction, chunk, state);
      return SCTP_STATE_NAMES[state - SCTP_NONE];
    });
  };

  test('by NAT is seen from both sides', () => {
    const [client, server] = [FROM_CLIENT, FROM_SERVER];
    expect(
      play([
        ...([
          [client, sctp.INIT],
          [server, sctp.INIT_ACK],
          [client, sctp.COOKIE_ECHO],
        ] as const),
        ...([
          [server, sctp.COOKIE_ACK],
          [client, sctp.DATA],
          [client, sctp.SHUTDOWN],
        ] as const),
        ...([
          [server, sctp.SHUTDOWN_ACK],
          [client, sctp.SHUTDOWN_COMPLETE],
        ] as const),
      ]),
    ).toEqual([
      ...['INIT1', 'COOKIE_SENT', 'COOKIE_REPLIED', 'ESTABLISHED', 'ESTABLISHED'],
      ...['SHUTDOWN_RECEIVED', 'SHUTDOWN_ACK_SENT', 'CLOSED'],
    ]);
  });

  test('by DSR is seen from the client alone', () => {
    const only = (chunk: number) => [CLIENT_ONLY, chunk] as const;
    const chunks = [sctp.INIT, sctp.INIT, sctp.COOKIE_ECHO, sctp.DATA, sctp.SHUTDOWN];
    expect(play([...chunks, sctp.SHUTDOWN_COMPLETE].map(only))).toEqual([
      ...['INIT1', 'INIT', 'ESTABLISHED', 'ESTABLISHED', 'SHUTDOWN_RECEIVED', 'CLOSED'],
    ]);
  });
});

// The states of TCP against a second writing of IPVS's table: not rows of numbers, but what each
// packet does to each state, as the kernel's comments tell it
// (net/netfilter/ipvs/ip_vs_proto_tcp.c).
import { describe, expect, test } from 'vitest';
import {
  CLIENT_ONLY,
  FROM_CLIENT,
  FROM_SERVER,
  isEnded,
  nextState,
  STATE_NAMES,
  type StateName,
  TIMEOUT_MS,
} from '../../src/flow/tcp-states.ts';

type Moves = Partial<Record<StateName, StateName>>;

/** A packet that takes every one of these states to the one named. */
const allTo = (to: StateName, from: readonly StateName[]): Moves =>
  Object.fromEntries(from.map((state) => [state, to]));

const TCP_STATES = STATE_NAMES.filter((name) => !name.startsWith('UDP'));
const otherThan = (...names: readonly StateName[]) =>
  TCP_STATES.filter((name) => !names.includes(name));

/** The states that are not named stay as they are. */
const CLIENT_SYN: Moves = {
  ...allTo('SYN_RECV', otherThan('ESTABLISHED', 'SYN_SENT')),
  SYN_SENT: 'ESTABLISHED',
};
const CLIENT_ACK: Moves = {
  ...allTo('ESTABLISHED', ['NONE', 'SYN_RECV', 'SYNACK']),
  LAST_ACK: 'CLOSE',
};

const SAID: Record<string, Record<string, Moves>> = {
  'from the client, two-way': {
    SYN: CLIENT_SYN,
    FIN: {
      ...allTo('TIME_WAIT', ['SYN_RECV', 'FIN_WAIT', 'SYNACK']),
      ESTABLISHED: 'CLOSE_WAIT',
      NONE: 'CLOSE',
    },
    ACK: CLIENT_ACK,
    RST: {
      ...allTo('CLOSE', otherThan('SYN_RECV', 'SYNACK', 'LAST_ACK', 'LISTEN')),
      SYNACK: 'SYN_RECV',
    },
  },
  'from the server, two-way': {
    SYN: {
      ...allTo('SYN_SENT', ['NONE', 'FIN_WAIT', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT', 'LAST_ACK']),
      SYNACK: 'SYN_RECV',
    },
    FIN: {
      ...allTo('TIME_WAIT', ['NONE', 'SYN_RECV', 'CLOSE_WAIT', 'SYNACK']),
      ESTABLISHED: 'FIN_WAIT',
    },
    ACK: allTo('ESTABLISHED', ['NONE', 'SYN_RECV', 'LISTEN', 'SYNACK']),
    RST: allTo('CLOSE', otherThan('SYN_SENT', 'TIME_WAIT')),
  },
  'from the client, the only way we see': {
    SYN: CLIENT_SYN,
    FIN: {
      ...allTo('TIME_WAIT', ['SYN_RECV', 'SYNACK']),
      ESTABLISHED: 'FIN_WAIT',
      NONE: 'CLOSE',
    },
    ACK: CLIENT_ACK,
    RST: allTo('CLOSE', otherThan('SYN_RECV', 'LAST_ACK', 'LISTEN')),
  },
};

const DIRECTIONS: Record<string, number> = {
  'from the client, two-way': FROM_CLIENT,
  'from the server, two-way': FROM_SERVER,
  'from the client, the only way we see': CLIENT_ONLY,
};
const FLAGS: Record<string, number> = { FIN: 1, SYN: 2, RST: 4, ACK: 16 };

const cells = Object.entries(SAID).flatMap(([direction, events]) =>
  Object.entries(events).flatMap(([event, moves]) =>
    TCP_STATES.map((from) => ({ direction, event, from, to: moves[from] ?? from })),
  ),
);

test('there are 3 directions, 4 events and 11 states to look at', () => {
  expect(cells).toHaveLength(3 * 4 * 11);
});

describe.each(Object.keys(SAID))('%s', (direction) => {
  const mine = cells.filter((cell) => cell.direction === direction);

  test.each(mine)('$event: $from becomes $to', ({ event, from, to }) => {
    const state = nextState(DIRECTIONS[direction]!, FLAGS[event]!, STATE_NAMES.indexOf(from));
    expect(STATE_NAMES[state]).toBe(to);
  });

  test('a packet with several flags counts as RST, SYN, FIN, ACK, in this order', () => {
    for (let flags = 0; flags < 256; flags++) {
      const event = ['RST', 'SYN', 'FIN', 'ACK'].find((name) => flags & FLAGS[name]!);
      for (const [state, name] of TCP_STATES.entries()) {
        const to = event === undefined ? 'CLOSE' : (SAID[direction]![event]![name] ?? name);
        expect(STATE_NAMES[nextState(DIRECTIONS[direction]!, flags, state)]).toBe(to);
      }
    }
  });
});

test('each state lasts as long as in IPVS, in seconds', () => {
  const seconds = STATE_NAMES.map((name, state) => [name, TIMEOUT_MS[state]! / 1000]);
  expect(Object.fromEntries(seconds)).toEqual({
    ...{ NONE: 2, ESTABLISHED: 900, SYN_SENT: 120, SYN_RECV: 60, FIN_WAIT: 120, TIME_WAIT: 120 },
    ...{ CLOSE: 10, CLOSE_WAIT: 60, LAST_ACK: 30, LISTEN: 120, SYNACK: 120, UDP: 300 },
    UDP_NEW: 300,
  });
});

test('a connection has ended in TIME_WAIT and CLOSE, and in FIN_WAIT if the client is all we see', () => {
  const ended = (direction: number) => STATE_NAMES.filter((_, state) => isEnded(state, direction));
  expect(ended(FROM_CLIENT)).toEqual(['TIME_WAIT', 'CLOSE']);
  expect(ended(FROM_SERVER)).toEqual(['TIME_WAIT', 'CLOSE']);
  expect(ended(CLIENT_ONLY)).toEqual(['FIN_WAIT', 'TIME_WAIT', 'CLOSE']);
});

describe('a whole connection', () => {
  const follow = (packets: readonly (readonly [number, number])[]) => {
    let state = 0;
    return packets.map(([direction, flags]) => {
      state = nextState(direction, flags, state);
      return STATE_NAMES[state];
    });
  };
  const [FIN, SYN, RST, ACK] = [1, 2, 4, 16];

  test('two-way, closed by the client first', () => {
    expect(
      follow([
        [FROM_CLIENT, SYN],
        [FROM_SERVER, SYN | ACK],
        [FROM_CLIENT, ACK],
        [FROM_SERVER, ACK],
        [FROM_CLIENT, FIN | ACK],
        [FROM_SERVER, ACK],
        [FROM_SERVER, FIN | ACK],
        [FROM_CLIENT, ACK],
      ]),
    ).toEqual([
      ...['SYN_RECV', 'SYN_RECV', 'ESTABLISHED', 'ESTABLISHED'],
      ...['CLOSE_WAIT', 'CLOSE_WAIT', 'TIME_WAIT', 'TIME_WAIT'],
    ]);
  });

  test('two-way, closed by the server first, then cut off', () => {
    expect(
      follow([
        [FROM_CLIENT, SYN],
        [FROM_SERVER, SYN | ACK],
        [FROM_CLIENT, ACK],
        [FROM_SERVER, FIN | ACK],
        [FROM_CLIENT, ACK],
        [FROM_CLIENT, RST],
      ]),
    ).toEqual(['SYN_RECV', 'SYN_RECV', 'ESTABLISHED', 'FIN_WAIT', 'FIN_WAIT', 'CLOSE']);
  });

  test('of which we see the client only', () => {
    const packets = [SYN, ACK, ACK, FIN | ACK, ACK];
    expect(follow(packets.map((flags) => [CLIENT_ONLY, flags] as const))).toEqual([
      ...['SYN_RECV', 'ESTABLISHED', 'ESTABLISHED', 'FIN_WAIT', 'FIN_WAIT'],
    ]);
  });
});

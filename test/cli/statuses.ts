// Two directors to show: one where nothing has happened, and one with something of everything.
import type { RealStatus, Status } from '../../src/control/status.ts';
import { GLOBAL_FIELDS, TRAFFIC_FIELDS, type Traffic } from '../../src/director/counters.ts';

const zeros = <Field extends string>(fields: readonly Field[]): Record<Field, number> =>
  Object.fromEntries(fields.map((field) => [field, 0])) as Record<Field, number>;

const NO_TRAFFIC: Traffic = zeros(TRAFFIC_FIELDS);

const WEB_1: RealStatus = {
  name: '192.0.2.21:80',
  address: '192.0.2.21',
  port: 80,
  weight: 1,
  method: 'dsr',
  arm: 'eth0',
  neighbour: 'resolved',
  mac: '02:00:00:00:00:21',
  state: 'open',
  leftMs: 0,
  ...NO_TRAFFIC,
};

const ARM = {
  name: 'eth0',
  mac: '02:00:00:00:00:01',
  address: '192.0.2.1/24',
  address6: '2001:db8::1/64',
  mtu: 1500,
  link: 'up',
  receivedFrames: 0,
  receivedBytes: 0,
  sentFrames: 0,
  sentBytes: 0,
  missedFrames: 0,
  failedFrames: 0,
} as const;

/** Those of IPVS. */
const TIMEOUTS = {
  ...{ established: 900_000, synSent: 120_000, synRecv: 60_000, finWait: 120_000 },
  ...{ timeWait: 120_000, close: 10_000, closeWait: 60_000, lastAck: 30_000 },
  ...{ listen: 120_000, synAck: 120_000, udp: 300_000, sctpInit1: 4000, sctpInit: 61_000 },
  ...{ sctpCookieSent: 61_000, sctpCookieReplied: 61_000, sctpCookieWait: 61_000 },
  ...{ sctpCookie: 61_000, sctpCookieEchoed: 61_000, sctpEstablished: 900_000 },
  ...{ sctpShutdownSent: 61_000, sctpShutdownReceived: 61_000, sctpShutdownAckSent: 61_000 },
  ...{ sctpRejected: 4000, sctpClosed: 61_000 },
};

export const QUIET_STATUS: Status = {
  version: '0.1.0',
  pid: 4711,
  config: '/etc/furiwake.yaml',
  startedAtMs: 1_700_000_000_000,
  uptimeMs: 0,
  datapath: 'ring',
  workers: [{ sentFrames: 0, openedFlows: 0, activeFlows: 0 }],
  guard: 'none',
  residentBytes: 80 * 2 ** 20,
  maximumFlows: 1024,
  maximumHalfOpen: 256,
  timeouts: TIMEOUTS,
  totals: zeros(GLOBAL_FIELDS),
  drops: {},
  arms: [ARM],
  services: [
    {
      name: 'web',
      vips: ['192.0.2.10'],
      ports: ['80'],
      protocols: ['tcp'],
      method: 'dsr',
      scheduler: 'maglev',
      hash: { port: true, fallback: true },
      reals: [WEB_1],
      ...NO_TRAFFIC,
    },
  ],
};

/** Both methods, every neighbour state, a link that is down, conflicts, drops, large figures. */
export const BUSY_STATUS: Status = {
  ...QUIET_STATUS,
  uptimeMs: 8_005_000,
  guard: 'nft',
  residentBytes: 96_600_000,
  maximumFlows: 262_144,
  maximumHalfOpen: 65_536,
  totals: {
    ...zeros(GLOBAL_FIELDS),
    passedFrames: 5,
    sentFrames: 12_345_678,
    answeredFrames: 12,
    droppedFrames: 34,
    openedFlows: 4567,
    endedFlows: 4444,
    activeFlows: 123,
    arpAnswers: 10,
    echoAnswers: 2,
    vipConflicts: 3,
    relayedErrors: 21,
    ownErrors: 4,
    withheldErrors: 1,
    cutFrames: 6,
    heldFrames: 2,
  },
  drops: { 'ipv4-header-length': 3, 'no-service': 31 },
  arms: [
    { ...ARM, receivedFrames: 1_234_567, receivedBytes: 5e9, sentFrames: 99_999, sentBytes: 5e8 },
    {
      ...ARM,
      name: 'eth1',
      address: null,
      address6: null,
      link: 'down',
      missedFrames: 12,
      failedFrames: 1,
    },
  ],
  services: [
    {
      ...QUIET_STATUS.services[0]!,
      reals: [
        {
          ...WEB_1,
          requestPackets: 123_456,
          requestBytes: 99_999_999,
          openedFlows: 23_456,
          activeFlows: 12,
        },
        {
          ...WEB_1,
          name: 'web-2-in-the-far-rack',
          address: '192.0.2.22',
          weight: 2,
          neighbour: 'unreachable',
          mac: null,
          requestPackets: 12,
          requestBytes: 999,
          openedFlows: 3,
        },
      ],
    },
    {
      ...NO_TRAFFIC,
      name: 'dns',
      vips: ['192.0.2.53'],
      ports: ['53'],
      protocols: ['udp'],
      method: 'nat',
      scheduler: 'sh',
      hash: { port: true, fallback: true },
      reals: [
        {
          name: 'dns-1',
          address: '198.51.100.1',
          port: 5353,
          weight: 65_535,
          method: 'nat',
          arm: 'eth1',
          neighbour: 'resolving',
          mac: null,
          state: 'open',
          leftMs: 0,
          requestPackets: 99_999,
          requestBytes: 1023 * 2 ** 20,
          replyPackets: 123_456_789,
          replyBytes: 5e12,
          openedFlows: 99_999,
          activeFlows: 99_999,
        },
      ],
    },
  ],
};

// How long a flow lives in each state, packet by packet: as the file says, to the millisecond, and
// every state that a flow can be in has its key. The next packet of a flow that is over opens no
// other by `rr`, so it tells.
import { expect, test } from 'vitest';
import type { TimeoutName } from '../../src/config/config.ts';
import { timeoutsSchema } from '../../src/config/life-schema.ts';
import { parseConfig } from '../../src/config/load.ts';
import { timeoutsOf } from '../../src/control/build-life.ts';
import { takeTable } from '../../src/director/director.ts';
import { META } from '../../src/flow/flow-table.ts';
import { SCTP_NONE, SCTP_STATE_NAMES } from '../../src/flow/sctp-states.ts';
import { STATE_NAMES, TIMEOUT_MS, UDP_NEW } from '../../src/flow/tcp-states.ts';
import * as sctp from '../../src/wire/sctp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { sctpFrame } from '../wire/sctp-frames.ts';
import {
  CLIENT,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  natTcp,
  natUdp,
  OUTSIDE,
  OUTSIDE_ARM,
  ROUTER,
  replyTcp,
  type SceneService,
  standardServices,
  tableOf,
} from './scene.ts';

const KEYS = Object.keys(timeoutsSchema.shape) as TimeoutName[];
/** Each state lasts a time of its own. */
const secondsOf = (name: TimeoutName): number => 100 + KEYS.indexOf(name);

function timesOfFile(line: string): Int32Array {
  const service = '{ vip: 192.0.2.1, port: 80, method: dsr, reals: [192.0.2.2] }';
  const text = `interfaces: [eth0]\n${line}\nservices: { web: ${service} }`;
  const result = parseConfig(text, 'x.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return timeoutsOf(result.config);
}

const ALL = `timeouts: { ${KEYS.map((name) => `${name}: ${secondsOf(name)}s`).join(', ')} }`;

const CHUNK = { value: new Uint8Array(4) };
const SCTP_PORT = 5000;
const client = (type: number) =>
  sctpFrame({
    ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, tag: 1, source: CLIENT },
    ...{ destination: NAT_VIP, sourcePort: 40_000, destinationPort: SCTP_PORT },
    chunks: [{ type, ...CHUNK }],
  });
const real = (type: number) =>
  sctpFrame({
    ...{ sourceMac: NAT_REALS[0]!.mac, destinationMac: INSIDE_ARM.mac, tag: 2 },
    ...{ source: NAT_REALS[0]!.address, destination: CLIENT },
    ...{ sourcePort: SCTP_PORT, destinationPort: 40_000, chunks: [{ type, ...CHUNK }] },
  });
const ofClient = (flags: number) => natTcp({ flags });
const ofReal = (flags: number) => replyTcp(NAT_REALS[0]!, { flags });

const SERVICES: SceneService[] = [
  ...standardServices(),
  {
    ...{ id: 4, vip: NAT_VIP, port: SCTP_PORT, protocol: 132, method: 'nat', scheduler: 'rr' },
    reals: [{ id: 8, address: NAT_REALS[0]!.address, port: 0, arm: INSIDE }],
  },
];

const { SYN, ACK, FIN, RST } = tcp;
const OPEN = [ofClient(SYN), ofReal(SYN | ACK), ofClient(ACK)];
const ASSOCIATION = [
  ...[client(sctp.INIT), real(sctp.INIT_ACK), client(sctp.COOKIE_ECHO), real(sctp.COOKIE_ACK)],
];
/** What leads to each state; LISTEN, SYNACK and LAST_ACK of IPVS's table nothing leads to. */
const WAYS: readonly (readonly [TimeoutName, readonly Uint8Array[]])[] = [
  ['established', OPEN],
  ['synRecv', [ofClient(SYN)]],
  ['synSent', [...OPEN, ofReal(FIN | ACK), ofReal(SYN)]],
  ['finWait', [...OPEN, ofReal(FIN | ACK)]],
  ['timeWait', [...OPEN, ofReal(FIN | ACK), ofClient(FIN | ACK)]],
  ['close', [...OPEN, ofReal(RST)]],
  ['closeWait', [...OPEN, ofClient(FIN | ACK)]],
  ['udp', [natUdp()]],
  ['udp', [natUdp(), natUdp()]],
  ['sctpInit1', [client(sctp.INIT)]],
  ['sctpInit', [client(sctp.INIT), client(sctp.INIT)]],
  ['sctpCookieSent', ASSOCIATION.slice(0, 2)],
  ['sctpCookieReplied', ASSOCIATION.slice(0, 3)],
  ['sctpCookieWait', [client(sctp.INIT), real(sctp.INIT)]],
  ['sctpCookie', [client(sctp.INIT), real(sctp.INIT), client(sctp.INIT_ACK)]],
  ['sctpCookieEchoed', [client(sctp.INIT), real(sctp.COOKIE_ECHO)]],
  ['sctpEstablished', ASSOCIATION],
  ['sctpShutdownSent', [...ASSOCIATION, real(sctp.SHUTDOWN)]],
  ['sctpShutdownReceived', [...ASSOCIATION, client(sctp.SHUTDOWN)]],
  ['sctpShutdownAckSent', [...ASSOCIATION, client(sctp.SHUTDOWN), real(sctp.SHUTDOWN_ACK)]],
  ['sctpRejected', [client(sctp.INIT), real(sctp.ABORT)]],
  ['sctpClosed', [...ASSOCIATION, real(sctp.ABORT)]],
];

/** What the real says next: nobody knows it once the flow is over. */
const NEXT: Readonly<Record<number, Uint8Array>> = {
  6: ofReal(ACK),
  17: natUdp(),
  132: real(sctp.DATA),
};

test.each(WAYS)('%s lasts as long as the file says', (name, frames) => {
  const end = (afterMs: number) => {
    const scene = makeScene({ services: SERVICES });
    takeTable(scene.director, tableOf(SERVICES, undefined, timesOfFile(ALL)));
    for (const frame of frames) {
      const arm = frame[5] === 1 ? INSIDE : OUTSIDE;
      expect(scene.receive(frame, { arm }).verdict).toMatch(/^send/);
    }
    const protocol = ((scene.director.flows.records[META] as number) >>> 8) & 0xff;
    scene.director.nowMs += afterMs;
    const next = NEXT[protocol]!;
    const { moved } = scene.receive(next, { arm: protocol === 17 ? OUTSIDE : INSIDE });
    return 'drop no-flow' in moved || 'openedFlows' in moved ? 'over' : 'alive';
  };
  const ms = secondsOf(name) * 1000;
  expect([end(ms - 1), end(ms)]).toEqual(['alive', 'over']);
});

test('every state but the two of NONE has a key, and a file without any has those of IPVS', () => {
  const times = timesOfFile(ALL);
  const names = [...STATE_NAMES, ...SCTP_STATE_NAMES.map((name) => `SCTP_${name}`)];
  const unset = names.filter((_, state) => times[state] === TIMEOUT_MS[state]);
  expect(unset).toEqual(['NONE', 'SCTP_NONE']);
  expect(times).toHaveLength(names.length);
  // UDP_NEW lasts as UDP does; all others have a time of their own.
  expect(new Set(times.filter((_, state) => state !== UDP_NEW)).size).toBe(KEYS.length + 1);
  expect(times[SCTP_NONE]).toBe(2000);
  expect(timesOfFile('workers: 1')).toEqual(TIMEOUT_MS);
});

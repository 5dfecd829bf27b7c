// SCTP, packet by packet: DSR touches the MAC addresses alone; NAT the address, and nothing that
// the CRC32c covers; an association opens with an INIT and ends as the states of IPVS have it.
import { describe, expect, test } from 'vitest';
import { META } from '../../src/flow/flow-table.ts';
import { SCTP_STATE_NAMES } from '../../src/flow/sctp-states.ts';
import { STATE_NAMES } from '../../src/flow/tcp-states.ts';
import * as sctp from '../../src/wire/sctp.ts';
import { hasGoodCrc, type SctpFields, sctpFrame } from '../wire/sctp-frames.ts';
import {
  type Check,
  endpoints,
  headerChecksumGood,
  macs,
  onlyMacsChanged,
  ttlOneLess,
} from './checks.ts';
import { droppedFor, opened, replied, requested } from './moved.ts';
import { testPackets } from './packet-table.ts';
import {
  CLIENT,
  DSR_REALS,
  DSR_VIP,
  errorToVip,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  OUTSIDE,
  OUTSIDE_ARM,
  ROUTER,
  type Scene,
  type SceneService,
} from './scene.ts';

const PORT = 5000;
const services = (scheduler: 'rr' | 'maglev' = 'rr'): SceneService[] => [
  {
    ...{ id: 0, vip: DSR_VIP, port: PORT, protocol: 132, method: 'dsr', scheduler },
    reals: DSR_REALS.map(({ address }, id) => ({ id, address, port: PORT, arm: OUTSIDE })),
  },
  {
    ...{ id: 1, vip: NAT_VIP, port: PORT, protocol: 132, method: 'nat', scheduler },
    reals: NAT_REALS.map(({ address }, id) => ({ id: 2 + id, address, port: 0, arm: INSIDE })),
  },
];
const sctpScene = () => makeScene({ services: services() });

const VALUE = new Uint8Array(21).fill(9);
const chunks = (...types: number[]) => types.map((type) => ({ type, value: VALUE }));
const TO_DSR = {
  ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: CLIENT, tag: 0xdeadbeef },
  ...{ destination: DSR_VIP, sourcePort: 40_000, destinationPort: PORT },
};
const dsr = (type: number, fields: Partial<SctpFields> = {}) =>
  sctpFrame({ ...TO_DSR, chunks: chunks(type), ...fields });
const nat = (type: number, fields: Partial<SctpFields> = {}) =>
  dsr(type, { destination: NAT_VIP, ...fields });
const reply = (type: number, fields: Partial<SctpFields> = {}) =>
  sctpFrame({
    ...{ sourceMac: NAT_REALS[0]!.mac, destinationMac: INSIDE_ARM.mac, tag: 77 },
    ...{ source: NAT_REALS[0]!.address, destination: CLIENT, sourcePort: PORT },
    ...{ destinationPort: 40_000, chunks: chunks(type), ...fields },
  });

const sumAndTagKept: Check = (before, after) => {
  expect(hasGoodCrc(after)).toBe(true);
  expect(after.subarray(34)).toEqual(before.subarray(34));
};
const openDsr = (scene: Scene) => void scene.receive(dsr(sctp.INIT));
const openNat = (scene: Scene) => void scene.receive(nat(sctp.INIT));
const bytesOf = (frame: Uint8Array) => frame.length;

/** A frame with a byte at an offset of its own. */
const withByte = (frame: Uint8Array, at: number, value: number) => {
  frame[at] = value;
  return frame;
};

testPackets([
  {
    ...{ name: 'DSR: an INIT opens a flow', scene: sctpScene, frame: dsr(sctp.INIT) },
    ...{ verdict: 'send 0', moved: opened(0, bytesOf(dsr(sctp.INIT))) },
    checks: [
      onlyMacsChanged,
      macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS[0]!.mac }),
      sumAndTagKept,
    ],
  },
  ...[sctp.DATA, sctp.COOKIE_ECHO, sctp.SHUTDOWN, sctp.ABORT, 3, 4, 192].map((type) => ({
    ...{ name: `DSR: chunk ${type} follows`, scene: sctpScene, before: openDsr, frame: dsr(type) },
    ...{ verdict: 'send 0', moved: requested(0, bytesOf(dsr(type))) },
    checks: [onlyMacsChanged, sumAndTagKept],
  })),
  {
    ...{ name: 'NAT: an INIT opens a flow', scene: sctpScene, frame: nat(sctp.INIT) },
    ...{ verdict: 'send 1', moved: opened(2, bytesOf(nat(sctp.INIT))) },
    checks: [
      endpoints(`${CLIENT}:40000`, `${NAT_REALS[0]!.address}:${PORT}`),
      ...[headerChecksumGood, ttlOneLess, sumAndTagKept],
    ],
  },
  {
    ...{ name: 'NAT: the answer comes from the VIP', scene: sctpScene, before: openNat },
    ...{ arm: INSIDE, frame: reply(sctp.INIT_ACK), verdict: 'send 0' },
    moved: replied(2, bytesOf(reply(sctp.INIT_ACK))),
    checks: [
      endpoints(`${NAT_VIP}:${PORT}`, `${CLIENT}:40000`),
      ...[headerChecksumGood, ttlOneLess, sumAndTagKept],
    ],
  },
  ...[sctp.DATA, sctp.COOKIE_ECHO, sctp.INIT_ACK, sctp.ABORT].map((type) => ({
    ...{ name: `chunk ${type} opens none`, scene: sctpScene, frame: dsr(type), checks: [] },
    ...{ verdict: 'drop no-flow', moved: droppedFor('no-flow') },
  })),
  {
    ...{ name: 'a header that is cut off', scene: sctpScene, checks: [] },
    ...{ frame: dsr(sctp.INIT, { chunks: [] }), verdict: 'drop sctp-truncated' },
    moved: droppedFor('sctp-truncated'),
  },
  {
    ...{ name: 'a chunk beyond the packet', scene: sctpScene, checks: [] },
    ...{ frame: withByte(dsr(sctp.INIT), 34 + 14, 1), verdict: 'drop sctp-chunk-length' },
    moved: droppedFor('sctp-chunk-length'),
  },
  {
    ...{ name: 'another port of the VIP', scene: sctpScene, checks: [] },
    ...{ frame: dsr(sctp.INIT, { destinationPort: 5001 }), verdict: 'drop no-service' },
    moved: droppedFor('no-service'),
  },
  {
    ...{ name: 'from a NAT real without a flow', scene: sctpScene, arm: INSIDE, checks: [] },
    ...{ frame: reply(sctp.DATA), verdict: 'drop no-flow', moved: droppedFor('no-flow') },
  },
]);

const stateOf = ({ director }: Scene): string | undefined =>
  [...STATE_NAMES, ...SCTP_STATE_NAMES][(director.flows.records[META] as number) & 0xff];

describe('an association', () => {
  test('goes through its states by NAT, and an INIT after its end opens a new one', () => {
    const scene = makeScene({ services: services() });
    const after = (frame: Uint8Array, arm: number) => {
      scene.receive(frame, { arm });
      return stateOf(scene);
    };
    expect(after(nat(sctp.INIT), OUTSIDE)).toBe('INIT1');
    expect(after(reply(sctp.INIT_ACK), INSIDE)).toBe('COOKIE_SENT');
    expect(after(nat(sctp.COOKIE_ECHO), OUTSIDE)).toBe('COOKIE_REPLIED');
    expect(after(reply(sctp.COOKIE_ACK), INSIDE)).toBe('ESTABLISHED');
    expect(scene.director.flows.activeByReal[2]).toBe(1);
    const abort = reply(sctp.ABORT);
    expect(after(abort, INSIDE)).toBe('CLOSED');
    expect(scene.director.flows.activeByReal[2]).toBe(0);
    expect(scene.receive(nat(sctp.INIT)).moved).toEqual(opened(3, bytesOf(nat(sctp.INIT))));
  });

  test('by DSR is followed from the client alone', () => {
    const scene = makeScene({ services: services() });
    const states = [sctp.INIT, sctp.COOKIE_ECHO, sctp.DATA, sctp.SHUTDOWN].map((type) => {
      scene.receive(dsr(type));
      return stateOf(scene);
    });
    expect(states).toEqual(['INIT1', 'ESTABLISHED', 'ESTABLISHED', 'SHUTDOWN_RECEIVED']);
  });

  test('may be taken up in the middle where all directors choose alike', () => {
    const scene = makeScene({ services: services('maglev') });
    expect(scene.receive(dsr(sctp.DATA)).verdict).toBe('send 0');
    expect(scene.receive(dsr(sctp.ABORT, { sourcePort: 9 })).verdict).toBe('drop no-flow');
  });

  test('gets ICMP errors about its answers; by NAT the sum of the quoted packet stays', () => {
    const scene = makeScene({ services: services() });
    openNat(scene);
    const about = sctpFrame({
      ...{ ...TO_DSR, source: NAT_VIP, destination: CLIENT, sourcePort: PORT },
      ...{ destinationPort: 40_000, chunks: chunks(sctp.DATA) },
    });
    const outcome = scene.receive(errorToVip(NAT_VIP, about));
    expect(outcome.verdict).toBe('send 1');
    const quote = outcome.frame.subarray(14 + 20 + 8);
    expect([...quote.subarray(12, 16)]).toEqual([10, 0, 0, 11]);
    expect(quote.subarray(20)).toEqual(about.subarray(34));
  });
});

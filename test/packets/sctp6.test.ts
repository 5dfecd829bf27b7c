// SCTP over IPv6: what sctp.test.ts shows of IPv4. DSR touches the MAC addresses alone, NAT the
// addresses, and neither anything that the CRC32c covers: ports, verification tag and data.
import { describe, expect, test } from 'vitest';
import { META } from '../../src/flow/flow-table.ts';
import { SCTP_STATE_NAMES } from '../../src/flow/sctp-states.ts';
import { STATE_NAMES } from '../../src/flow/tcp-states.ts';
import * as sctp from '../../src/wire/sctp.ts';
import { hasGoodCrc, type SctpFields, sctpPacket } from '../wire/sctp-frames.ts';
import { type Check, macs, onlyMacsChanged } from './checks.ts';
import { carrying6, cut6, icmp6, optionsBefore } from './frames6.ts';
import { droppedFor, opened, replied, requested } from './moved.ts';
import { testPackets } from './packet-table.ts';
import {
  INSIDE,
  INSIDE_ARM,
  OUTSIDE,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  type Scene,
  type SceneOptions,
  type SceneService,
} from './scene.ts';
import {
  CLIENT6,
  DSR_REALS6,
  DSR_VIP6,
  errorToClient6,
  errorToVip6,
  FAR_ROUTER6,
  makeScene6,
  NAT_REALS6,
  NAT_VIP6,
} from './scene6.ts';

const PORT = 5000;
const REAL = NAT_REALS6[0]!;
const services = (scheduler: 'rr' | 'maglev'): SceneService[] => [
  {
    ...{ id: 0, vip: DSR_VIP6, port: PORT, protocol: 132, method: 'dsr', scheduler },
    reals: DSR_REALS6.map(({ address }, id) => ({ id, address, port: PORT, arm: OUTSIDE })),
  },
  {
    ...{ id: 1, vip: NAT_VIP6, port: PORT, protocol: 132, method: 'nat', scheduler },
    reals: NAT_REALS6.map(({ address }, id) => ({ id: 2 + id, address, port: 0, arm: INSIDE })),
  },
];
const makeSctp = (scheduler: 'rr' | 'maglev' = 'rr', options: SceneOptions = {}) =>
  makeScene6({ services: services(scheduler), ...options });
const scene = () => makeSctp();

const VALUE = new Uint8Array(21).fill(9);
const TO_DSR = {
  ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: CLIENT6 },
  ...{ destination: DSR_VIP6, sourcePort: 40_000, destinationPort: PORT, tag: 0xdeadbeef },
};
type Fields = Partial<SctpFields> & Partial<Parameters<typeof carrying6>[0]>;
const dsr = (type: number, fields: Fields = {}) => {
  const all = { ...TO_DSR, chunks: [{ type, value: VALUE }], ...fields };
  return carrying6(all, 132, sctpPacket(all));
};
const nat = (type: number, fields: Fields = {}) => dsr(type, { destination: NAT_VIP6, ...fields });
/** What a NAT request is, at its real. */
const natSent = (type: number, fields: Fields = {}) =>
  nat(type, {
    ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, hopLimit: 63 },
    ...{ destination: REAL.address, ...fields },
  });
const reply = (type: number, fields: Fields = {}) =>
  dsr(type, {
    ...{ sourceMac: REAL.mac, destinationMac: INSIDE_ARM.mac, tag: 77, source: REAL.address },
    ...{ destination: CLIENT6, sourcePort: PORT, destinationPort: 40_000, ...fields },
  });
/** What its client gets. */
const replySent = (type: number, fields: Fields = {}) =>
  reply(type, {
    ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: NAT_VIP6, hopLimit: 63 },
    ...fields,
  });

const hex = (frame: Uint8Array) => Buffer.from(frame).toString('hex');
const is =
  (expected: Uint8Array): Check =>
  (_, after) =>
    expect(hex(after)).toBe(hex(expected));
const goodCrc: Check = (_, after) => expect(hasGoodCrc(after, 54)).toBe(true);
const INIT_BYTES = dsr(sctp.INIT).length;
const openDsr = (scene: Scene) => void scene.receive(dsr(sctp.INIT));
const openNat = (scene: Scene) => void scene.receive(nat(sctp.INIT));
const options = { first: 60, bytes: optionsBefore(132) };

const withByte = (frame: Uint8Array, at: number, value: number) => {
  frame[at] = value;
  return frame;
};

testPackets([
  {
    ...{ name: 'DSR: an INIT opens a flow', scene, frame: dsr(sctp.INIT, {}) },
    ...{ verdict: 'send 0', moved: opened(0, INIT_BYTES) },
    checks: [onlyMacsChanged, macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS6[0]!.mac }), goodCrc],
  },
  ...[sctp.DATA, sctp.COOKIE_ECHO, sctp.SHUTDOWN, sctp.ABORT, 3, 192].map((type) => ({
    ...{ name: `DSR: chunk ${type} follows`, scene, before: openDsr, frame: dsr(type, {}) },
    ...{ verdict: 'send 0', moved: requested(0, INIT_BYTES), checks: [onlyMacsChanged] },
  })),
  {
    ...{ name: 'NAT: an INIT opens a flow', scene, frame: nat(sctp.INIT), verdict: 'send 1' },
    ...{ moved: opened(2, INIT_BYTES), checks: [is(natSent(sctp.INIT)), goodCrc] },
  },
  {
    ...{ name: 'NAT: behind destination options', scene, verdict: 'send 1' },
    ...{ frame: nat(sctp.INIT, { extensions: options }), moved: opened(2, INIT_BYTES + 8) },
    checks: [is(natSent(sctp.INIT, { extensions: options }))],
  },
  {
    ...{ name: 'NAT: the answer comes from the VIP', scene, before: openNat, arm: INSIDE },
    ...{ frame: reply(sctp.INIT_ACK), verdict: 'send 0', moved: replied(2, INIT_BYTES) },
    checks: [is(replySent(sctp.INIT_ACK)), goodCrc],
  },
  {
    name: 'NAT: a sum that is left to the device stays too',
    ...{ scene, before: openNat, arm: INSIDE, offload: 1, frame: reply(sctp.DATA) },
    ...{ verdict: 'send 0', moved: replied(2, INIT_BYTES), checks: [is(replySent(sctp.DATA))] },
  },
  ...[sctp.DATA, sctp.COOKIE_ECHO, sctp.INIT_ACK, sctp.ABORT].map((type) => ({
    ...{ name: `chunk ${type} opens none`, scene, frame: dsr(type), checks: [] },
    ...{ verdict: 'drop no-flow', moved: droppedFor('no-flow') },
  })),
  {
    ...{ name: 'a header that is cut off', scene, frame: dsr(sctp.INIT, { chunks: [] }) },
    ...{ verdict: 'drop sctp-truncated', moved: droppedFor('sctp-truncated'), checks: [] },
  },
  {
    ...{ name: 'a chunk beyond the packet', scene, checks: [] },
    ...{ frame: withByte(dsr(sctp.INIT), 54 + 14, 1), verdict: 'drop sctp-chunk-length' },
    moved: droppedFor('sctp-chunk-length'),
  },
  {
    ...{ name: 'another port of the VIP', scene, checks: [] },
    ...{ frame: dsr(sctp.INIT, { destinationPort: 5001 }), verdict: 'drop no-service' },
    moved: droppedFor('no-service'),
  },
  {
    ...{ name: 'from a NAT real without a flow', scene, arm: INSIDE, checks: [] },
    ...{ frame: reply(sctp.DATA), verdict: 'drop no-flow', moved: droppedFor('no-flow') },
  },
]);

const stateOf = ({ director }: Scene): string | undefined =>
  [...STATE_NAMES, ...SCTP_STATE_NAMES][(director.flows.records[META] as number) & 0xff];

describe('an association', () => {
  test('goes through its states by NAT, and an INIT after its end opens a new one', () => {
    const scene = makeSctp();
    const after = (frame: Uint8Array, arm: number) => {
      scene.receive(frame, { arm });
      return stateOf(scene);
    };
    expect(after(nat(sctp.INIT), OUTSIDE)).toBe('INIT1');
    expect(after(reply(sctp.INIT_ACK), INSIDE)).toBe('COOKIE_SENT');
    expect(after(nat(sctp.COOKIE_ECHO), OUTSIDE)).toBe('COOKIE_REPLIED');
    expect(after(reply(sctp.COOKIE_ACK), INSIDE)).toBe('ESTABLISHED');
    expect(scene.director.flows.activeByReal[2]).toBe(1);
    expect(after(reply(sctp.ABORT), INSIDE)).toBe('CLOSED');
    expect(scene.receive(nat(sctp.INIT)).moved).toEqual(opened(3, INIT_BYTES));
  });

  test('may be taken up in the middle where all directors choose alike', () => {
    const scene = makeSctp('maglev');
    expect(scene.receive(dsr(sctp.DATA)).verdict).toBe('send 0');
    expect(scene.receive(dsr(sctp.ABORT, { sourcePort: 9 })).verdict).toBe('drop no-flow');
  });

  test('goes on statelessly when the table is full', () => {
    const scene = makeSctp('maglev', { maximumFlows: 1 });
    openDsr(scene);
    for (let port = 1; port < 9; port++) {
      expect(scene.receive(dsr(sctp.INIT, { sourcePort: port })).verdict).toBe('send 0');
    }
  });

  test('in pieces: the later follow the first, and none begins within its header', () => {
    const scene = makeSctp();
    const value = Uint8Array.from({ length: 2000 }, (_, index) => index);
    const chunks = [{ type: sctp.DATA, value }];
    openNat(scene);
    const expected = cut6(natSent(sctp.DATA, { chunks }), 1232).map(hex);
    const pieces = cut6(nat(sctp.DATA, { chunks }), 1232);
    expect(pieces.map((piece) => hex(scene.receive(piece).frame))).toEqual(expected);
    const [, within] = cut6(nat(sctp.DATA, { chunks }), 8, 9);
    expect(scene.receive(within!).verdict).toBe('drop fragment-malformed');
  });
});

describe('ICMPv6 errors', () => {
  test('reach the NAT real, about the packet that it sent, whose sum stays', () => {
    const scene = makeSctp();
    openNat(scene);
    const outcome = scene.receive(errorToVip6(NAT_VIP6, replySent(sctp.DATA)));
    const expected = icmp6({
      ...{ sourceMac: INSIDE_ARM.mac, destinationMac: REAL.mac, source: FAR_ROUTER6 },
      ...{ destination: REAL.address, type: 2, word: 1400, hopLimit: 63 },
      data: packetOf(reply(sctp.DATA, { hopLimit: 63 })),
    });
    expect(hex(outcome.frame)).toBe(hex(expected));
  });

  test('reach the client, as from the VIP', () => {
    const scene = makeSctp();
    openNat(scene);
    const outcome = scene.receive(errorToClient6(natSent(sctp.INIT)), { arm: INSIDE });
    const expected = icmp6({
      ...{ sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac, source: NAT_VIP6 },
      ...{ destination: CLIENT6, type: 2, word: 1400, hopLimit: 63 },
      data: packetOf(nat(sctp.INIT, { hopLimit: 63 })),
    });
    expect(hex(outcome.frame)).toBe(hex(expected));
  });
});

// Where a service has no real for a new flow, its client is told so at once, from the VIP, as IPVS
// does. Whom nobody may tell, and what is no refusal, gets nothing.
import { expect, test } from 'vitest';
import { icmpErrorFrame } from '../../lab/frame.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { icmp6 } from './frames6.ts';
import {
  CLIENT,
  DSR_VIP,
  drained,
  dsrTcp,
  dsrUdp,
  makeScene,
  NAT_VIP,
  natUdp,
  OUTSIDE,
  OUTSIDE_ARM,
  packetOf,
  ROUTER,
  standardServices,
} from './scene.ts';
import { ARMS6, CLIENT6, DSR_VIP6, dsrTcp6, dsrUdp6, services6 } from './scene6.ts';

const SYN = { flags: tcp.SYN };
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const BACK = { sourceMac: OUTSIDE_ARM.mac, destinationMac: ROUTER.mac };

const makeDrained = () => makeScene({ services: drained() });

const from = (vip: string, about: Uint8Array) =>
  icmpErrorFrame({
    ...{ ...BACK, source: vip, destination: CLIENT, typeOfService: 0xc0, type: 3, code: 3 },
    ...{ nextHopMtu: 0, quote: packetOf(about) },
  });
const from6 = (vip: string, about: Uint8Array) =>
  icmp6({
    ...{ ...BACK, source: vip, destination: CLIENT6, flowLabel: 0, type: 1, code: 4 },
    data: packetOf(about),
  });

const long = dsrUdp({ payload: new Uint8Array(1000) });
test.each([
  ['TCP', dsrTcp(SYN), from(DSR_VIP, dsrTcp(SYN))],
  ['UDP by NAT', natUdp(), from(NAT_VIP, natUdp())],
  ['what is longer than an error may be', long, from(DSR_VIP, long.slice(0, 14 + 548))],
  ['TCP over IPv6', dsrTcp6(SYN), from6(DSR_VIP6, dsrTcp6(SYN))],
  ['UDP over IPv6', dsrUdp6(), from6(DSR_VIP6, dsrUdp6())],
])('port unreachable, to %s', (_, frame, error) => {
  const services = drained([...standardServices(), ...services6()]);
  const outcome = makeScene({ services, arms: ARMS6 }).receive(frame);
  expect(outcome.verdict).toBe('drop no-real');
  expect(outcome.own.map(({ arm, bytes }) => [arm, hex(bytes)])).toEqual([[OUTSIDE, hex(error)]]);
});

test.each([
  ['a client that is everybody', dsrUdp({ source: '255.255.255.255' }), 'source-denied'],
  ['a station that is a group', dsrUdp({ sourceMac: '01:00:5e:00:00:01' }), 'no-real'],
])('never to %s', (_, frame, reason) => {
  expect(makeDrained().receive(frame)).toMatchObject({ verdict: `drop ${reason}`, own: [] });
});

test('fifty times at once and then once a millisecond', () => {
  const scene = makeDrained();
  const told = (times: number) =>
    Array.from({ length: times }, (_, n) => scene.receive(dsrTcp({ ...SYN, sourcePort: n + 1 })))
      .map(({ own }) => own.length)
      .reduce((left, right) => left + right);
  expect(told(80)).toBe(50);
  scene.director.nowMs += 7;
  expect(told(30)).toBe(7);
});

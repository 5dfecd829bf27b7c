// Which service takes a packet, where several VIPs, prefixes, ports and protocols are in play; and
// what that means for ARP, pings, NAT and its replies.
import { describe, expect, test } from 'vitest';
import { arpFrame, icmpEchoFrame, type TcpFields } from '../../lab/frame.ts';
import * as arp from '../../src/wire/arp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { endpoints } from './checks.ts';
import {
  CLIENT,
  INSIDE,
  makeScene,
  natTcp,
  natUdp,
  OUTSIDE_ARM,
  ROUTER,
  replyTcp,
  type SceneService,
} from './scene.ts';

const NET = '203.0.113';
let id = 0;
/** A NAT service of one real, on an address that no other has. */
const service = (
  vips: string[],
  ports: (number | string)[],
  { protocols = [6], port = 0 }: { protocols?: number[]; port?: number } = {},
): SceneService => ({
  ...{ id: id++, vip: vips[0]!, port: 1, protocol: 6, method: 'nat', scheduler: 'rr' },
  listens: { vips, ports, protocols },
  reals: [{ id: id - 1, address: `10.0.0.${10 + id}`, port, arm: INSIDE }],
});

const makeServices = () => {
  id = 0;
  return [
    service([`${NET}.0/28`], [80, '8000-8100', 'any']),
    service([`${NET}.0/30`], [443]),
    service([`${NET}.1`, `${NET}.9`, '192.0.2.99'], [80, '8050-8060'], { protocols: [6, 17] }),
    service([`${NET}.1`], ['any']),
    service([`${NET}.2`], ['9000-9100'], { port: 7000 }),
    service([`${NET}.1`], [8055]),
  ];
};
const hosts = Array.from({ length: 6 }, (_, index) => ({
  mac: `02:00:00:00:0d:0${index + 1}`,
  address: `10.0.0.${11 + index}`,
}));
const scene = () => makeScene({ services: makeServices(), resolved: hosts });
const syn = (host: string, port: number, fields: Partial<TcpFields> = {}) =>
  natTcp({ destination: host, destinationPort: port, flags: tcp.SYN, ...fields });

describe('the more exact service takes a packet', () => {
  test.each([
    [`${NET}.1`, 80, 2],
    [`${NET}.9`, 80, 2],
    ['192.0.2.99', 8050, 2],
    ['192.0.2.99', 8060, 2],
    [`${NET}.1`, 8055, 5],
    [`${NET}.1`, 8054, 2],
    [`${NET}.1`, 8061, 3],
    [`${NET}.1`, 443, 3],
    [`${NET}.3`, 443, 1],
    [`${NET}.4`, 443, 0],
    [`${NET}.3`, 80, 0],
    [`${NET}.9`, 8061, 0],
    [`${NET}.0`, 65_535, 0],
    [`${NET}.15`, 1, 0],
    [`${NET}.2`, 9000, 4],
    [`${NET}.2`, 9100, 4],
    [`${NET}.2`, 9101, 0],
  ])('%s:%i by service %i', (host, port, expected) => {
    const outcome = scene().receive(syn(host, port));
    expect(outcome.verdict).toBe('send 1');
    const to = expected === 4 ? 7000 : port;
    endpoints(`${CLIENT}:40000`, `10.0.0.${11 + expected}:${to}`)(outcome.frame, outcome.frame);
  });

  test("and where there is none, the packet is nobody else's", () => {
    expect(scene().receive(syn('192.0.2.99', 81)).verdict).toBe('drop no-service');
    expect(scene().receive(syn(`${NET}.16`, 80)).verdict).toBe('pass');
    const udp = natUdp({ destination: `${NET}.1`, destinationPort: 8050 });
    expect(scene().receive(udp).verdict).toBe('send 1');
    const other = natUdp({ destination: `${NET}.1`, destinationPort: 81 });
    expect(scene().receive(other).verdict).toBe('drop no-service');
  });
});

describe('NAT of several ports', () => {
  const answer = (port: number, fields: Partial<TcpFields> = {}) =>
    replyTcp(hosts[0]!, { sourcePort: port, flags: tcp.SYN | tcp.ACK, ...fields });

  test('keeps the port there and back', () => {
    const one = scene();
    for (const port of [80, 8100, 5]) {
      one.receive(syn(`${NET}.7`, port, { sourcePort: 1000 + port }));
      const outcome = one.receive(answer(port, { destinationPort: 1000 + port }), { arm: INSIDE });
      expect(outcome.verdict).toBe('send 0');
      endpoints(`${NET}.7:${port}`, `${CLIENT}:${1000 + port}`)(outcome.frame, outcome.frame);
    }
    expect(one.receive(answer(6), { arm: INSIDE }).verdict).toBe('drop no-flow');
  });

  test("maps all to one where the real has a port, told apart by the client's port", () => {
    const one = scene();
    one.receive(syn(`${NET}.2`, 9001, { sourcePort: 1 }));
    one.receive(syn(`${NET}.2`, 9002, { sourcePort: 2 }));
    const back = hosts[4]!;
    for (const port of [1, 2]) {
      const frame = replyTcp(back, { sourcePort: 7000, destinationPort: port });
      const outcome = one.receive(frame, { arm: INSIDE });
      endpoints(`${NET}.2:${9000 + port}`, `${CLIENT}:${port}`)(outcome.frame, outcome.frame);
    }
    // The same port of the client once more: its answers could not be told apart.
    const twice = one.receive(syn(`${NET}.2`, 9003, { sourcePort: 1 }));
    expect(twice.verdict).toBe('drop flow-conflict');
    // A port of the real that is no service's is the host's own affair.
    expect(one.receive(replyTcp(back, { sourcePort: 7001 }), { arm: INSIDE }).verdict).toBe('pass');
  });
});

describe('a prefix of VIPs', () => {
  test.each([0, 1, 15])('answers ARP and ping for address %i of it', (last) => {
    const question = arpFrame({
      ...{ sourceMac: ROUTER.mac, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: arp.REQUEST },
      ...{ senderAddress: ROUTER.address, targetAddress: `${NET}.${last}` },
    });
    expect(scene().receive(question).verdict).toBe('answer 0');
    const ping = icmpEchoFrame({
      ...{ sourceMac: ROUTER.mac, destinationMac: OUTSIDE_ARM.mac, source: CLIENT },
      ...{ destination: `${NET}.${last}`, identifier: 1, sequence: 1 },
    });
    expect(scene().receive(ping).verdict).toBe('answer 0');
  });

  test('does not answer beyond it, and is not announced, as single VIPs are', () => {
    const question = arpFrame({
      ...{ sourceMac: ROUTER.mac, destinationMac: 'ff:ff:ff:ff:ff:ff', operation: arp.REQUEST },
      ...{ senderAddress: ROUTER.address, targetAddress: `${NET}.16` },
    });
    expect(scene().receive(question).verdict).toBe('pass');
    const { director } = makeScene({ services: makeServices(), resolved: [] });
    const told = director.outbox.map(({ bytes }) => bytes.slice(28, 32).join('.'));
    const single = [`${NET}.1`, `${NET}.9`, '192.0.2.99', `${NET}.2`];
    expect(new Set(told)).toEqual(new Set(single));
  });
});

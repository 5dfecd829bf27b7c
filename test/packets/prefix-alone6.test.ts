// A prefix of IPv6 as the only VIP, and reals of IPv4 behind tunnels: the configuration names no
// single address of IPv6, and yet there are clients of it.
import { expect, test } from 'vitest';
import * as tcp from '../../src/wire/tcp.ts';
import { INSIDE, makeScene, NAT_REALS, packetOf } from './scene.ts';
import { ARMS6, dsrTcp6, ping6 } from './scene6.ts';

const PREFIX = '2001:db8:d::/64';
const VIP = '2001:db8:d::5';

const make = () => {
  const [real] = NAT_REALS;
  const scene = makeScene({
    arms: ARMS6,
    services: [
      {
        ...{ id: 0, vip: '2001:db8:d::', port: 80, protocol: 6, method: 'ipip', scheduler: 'rr' },
        listens: { vips: [PREFIX], ports: [80], protocols: [6] },
        reals: [{ id: 0, address: real!.address, port: 0, arm: INSIDE }],
      },
    ],
  });
  expect(scene.director.table.addresses6.length).toBe(0);
  return scene;
};

test('a prefix alone takes flows to tunnels over IPv4', () => {
  const scene = make();
  for (const flags of [tcp.SYN, tcp.ACK]) {
    const asked = dsrTcp6({ destination: VIP, flags });
    const { verdict, frame } = scene.receive(asked);
    expect(verdict).toBe('send 1');
    expect([frame.length, frame[14], frame[23]]).toEqual([asked.length + 20, 0x45, 41]);
    expect(Buffer.from(frame.slice(34))).toEqual(Buffer.from(packetOf(asked)));
  }
  expect(scene.director.flows.active).toBe(1);
});

test('a prefix alone answers pings', () => {
  expect(make().receive(ping6({ destination: VIP })).verdict).toBe('answer 0');
});

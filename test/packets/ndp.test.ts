// Neighbour discovery: solicitations for VIPs are answered, reals are asked and kept fresh, VIPs
// are announced, and somebody else's claim to a VIP is told of.
import { describe, expect, test } from 'vitest';
import { linkIsUp, tick } from '../../src/director/director.ts';
import { linkLocalOf } from '../../src/director/neighbours.ts';
import { formatIpv6, type Ipv6, parseMac } from '../../src/wire/address.ts';
import * as icmpv6 from '../../src/wire/icmpv6.ts';
import * as ndp from '../../src/wire/ndp.ts';
import { unchanged } from './checks.ts';
import { addressOf } from './frames6.ts';
import { droppedFor } from './moved.ts';
import { type PacketCase, testPackets } from './packet-table.ts';
import {
  DSR_REALS,
  INSIDE,
  makeScene,
  NAT_REALS,
  OUTSIDE_ARM,
  ROUTER,
  type Scene,
} from './scene.ts';
import {
  ARMS6,
  advertisement,
  DSR_REALS6,
  DSR_VIP6,
  INSIDE_ADDRESS,
  makeScene6,
  NAT_REALS6,
  NAT_VIP6,
  natUdp6,
  OUTSIDE_ADDRESS,
  services6,
} from './scene6.ts';

const hex = (frame: Uint8Array) => Buffer.from(frame).toString('hex');
const macOf = (text: string) => {
  const { high, low } = parseMac(text)!;
  return { macHigh: high, macLow: low };
};
const scene = () => makeScene6();
const VIP = addressOf(DSR_VIP6);
const ROUTER_ADDRESS = addressOf('fe80::b:1');

/** The router asks for a VIP. */
const question = (fields: Partial<ndp.Message> = {}) =>
  ndp.message({
    ...{ type: icmpv6.NEIGHBOUR_SOLICITATION, source: ROUTER_ADDRESS, ...macOf(ROUTER.mac) },
    ...{ destination: ndp.groupOf(VIP), target: VIP, ...fields },
  });

/** What the director says of itself. */
const answer = (fields: Partial<ndp.Message> = {}) =>
  ndp.message({
    ...{ type: icmpv6.NEIGHBOUR_ADVERTISEMENT, flags: ndp.SOLICITED | ndp.OVERRIDE },
    ...{ source: VIP, target: VIP, destination: ROUTER_ADDRESS, ...macOf(OUTSIDE_ARM.mac) },
    ...{ to: parseMac(ROUTER.mac)!, ...fields },
  });

describe('a solicitation for a VIP is answered', () => {
  const unspecified = question({ source: [0, 0, 0, 0] });
  const asked = (frame: Uint8Array) => {
    const scene = makeScene6();
    const { verdict, own, moved } = scene.receive(frame);
    expect(verdict).toBe('taken');
    expect(moved).toEqual({ ndpAnswers: 1 });
    return own.map(({ arm, bytes }) => [arm, hex(bytes)]);
  };

  test('to the group', () => {
    expect(asked(question())).toEqual([[0, hex(answer())]]);
  });

  test('to one station', () => {
    const direct = question({ destination: VIP, to: parseMac(OUTSIDE_ARM.mac)! });
    expect(asked(direct)).toEqual([[0, hex(answer())]]);
  });

  test('of one who looks whether it is taken: to all', () => {
    // Such a question names no MAC address.
    const bytes = unspecified.slice(0, -8);
    const view = new DataView(bytes.buffer);
    view.setUint16(18, 24);
    icmpv6.refreshChecksum(view, 14, 54, bytes.length);
    const fields = { flags: ndp.OVERRIDE, destination: ndp.ALL_NODES, to: undefined };
    expect(asked(bytes)).toEqual([[0, hex(answer(fields))]]);
  });

  test.each(['fe80::5', OUTSIDE_ADDRESS, DSR_REALS6[0]!.address, '2001:db8:a::99'])(
    'but not for %s',
    (text) => {
      const target = addressOf(text);
      const outcome = makeScene6().receive(question({ target, destination: ndp.groupOf(target) }));
      expect(outcome).toMatchObject({ verdict: 'pass', own: [] });
    },
  );
});

describe('of no use:', () => {
  const far = question();
  far[14 + 7] = 254;
  const row = (name: string, frame: Uint8Array, more: Partial<PacketCase>): PacketCase => ({
    ...{ name, scene, frame, verdict: 'pass', checks: [unchanged], moved: {}, ...more },
  });
  testPackets([
    row('from another link', far, {
      ...{ verdict: 'drop ndp-malformed', moved: droppedFor('ndp-malformed') },
    }),
    row('to a director without IPv6', question(), { scene: () => makeScene({ arms: ARMS6 }) }),
    row('an advertisement of somebody', advertisement({ mac: ROUTER.mac, address: 'fe80::9' }), {}),
  ]);
});

describe('reals', () => {
  const start = () => makeScene6({ resolved6: [], resolved: [...DSR_REALS, ...NAT_REALS] });
  const asks = (scene: Scene, ms: number) => {
    scene.director.outbox.length = 0;
    tick(scene.director, (scene.director.nowMs + ms) | 0);
    return scene.director.outbox.splice(0).map(({ arm, bytes }) => [arm, hex(bytes)]);
  };
  const solicitation = (arm: number, address: string, fields: Partial<ndp.Message> = {}) => {
    const target = addressOf(address);
    const { macHigh, macLow, address6 } = ARMS6[arm]!;
    const own = { macHigh, macLow, source: address6, target, destination: ndp.groupOf(target) };
    const type = icmpv6.NEIGHBOUR_SOLICITATION;
    return [arm, hex(ndp.message({ type, ...own, ...fields }))];
  };

  test('are asked for by the group of their address', () => {
    const list = [
      ...DSR_REALS6.map(({ address }) => solicitation(0, address)),
      ...NAT_REALS6.map(({ address }) => solicitation(1, address)),
    ];
    expect(asks(start(), 0)).toEqual(list);
  });

  test('are asked from a link-local address by an arm that has none', () => {
    const arms = ARMS6.map(({ address6, ...arm }) => arm);
    const scene = makeScene6({ arms, resolved6: [], services: services6(), resolved: [] });
    expect(formatIpv6(linkLocalOf(ARMS6[0]!))).toBe('fe80::ff:fe00:a00');
    const source = linkLocalOf(ARMS6[0]!);
    const [first] = asks(scene, 0);
    expect(first).toEqual(solicitation(0, DSR_REALS6[0]!.address, { source }));
  });

  test('are asked again by themselves, and then by the group', () => {
    const scene = makeScene6({ services: services6(), resolved: [] });
    tick(scene.director, scene.director.nowMs);
    const real = DSR_REALS6[0]!;
    const destination = addressOf(real.address);
    expect(asks(scene, 14_000)).toEqual([]);
    const direct = solicitation(0, real.address, { destination, to: parseMac(real.mac)! });
    expect(asks(scene, 1000)[0]).toEqual(direct);
    expect(asks(scene, 100)[0]).toEqual(direct);
    expect(asks(scene, 200)[0]).toEqual(solicitation(0, real.address));
  });

  const goesTo = (scene: Scene) => hex(scene.receive(natUdp6()).frame.slice(0, 6));
  const [REAL] = NAT_REALS6;
  const moved = { ...REAL!, mac: '02:00:00:00:0d:99' };

  test('are known by their answer, and by a question of theirs', () => {
    const scene = start();
    scene.receive(
      ndp.message({
        ...{ type: icmpv6.NEIGHBOUR_SOLICITATION, source: addressOf(REAL!.address) },
        ...{ destination: ndp.groupOf(addressOf(INSIDE_ADDRESS)) },
        ...{ target: addressOf(INSIDE_ADDRESS), ...macOf(REAL!.mac) },
      }),
      { arm: INSIDE },
    );
    expect(goesTo(scene)).toBe('020000000d01');
    scene.receive(advertisement(moved), { arm: INSIDE });
    expect(goesTo(scene)).toBe('020000000d99');
  });

  test('are not believed behind a Fragment header, not even of the whole packet', () => {
    const scene = makeScene6();
    const bytes = [...advertisement(moved)];
    const fragment = [58, 0, 0, 0, 0, 0, 0, 1];
    const [length, ofFragment] = [bytes[19]! + fragment.length, 44];
    const behind = [...bytes.slice(0, 54), ...fragment, ...bytes.slice(54)];
    const frame = Uint8Array.from(behind).fill(length, 19, 20).fill(ofFragment, 20, 21);
    expect(scene.receive(frame, { arm: INSIDE }).verdict).toBe('pass');
    expect(goesTo(scene)).toBe('020000000d01');
  });

  test('keep their MAC address unless the advertisement replaces it', () => {
    const scene = makeScene6();
    scene.receive(advertisement(moved, { flags: ndp.SOLICITED }), { arm: INSIDE });
    expect(goesTo(scene)).toBe('020000000d01');
  });

  test('of the same number in both families are not mixed up', () => {
    const scene = start();
    // As an IPv4 address, 0.0.0.3 looks like a handle.
    expect(scene.receive(natUdp6()).verdict).toBe('drop real-unresolved');
    scene.receive(advertisement(DSR_REALS6[0]!), { arm: INSIDE });
    expect(scene.receive(natUdp6()).verdict).toBe('drop real-unresolved');
  });
});

describe('VIPs', () => {
  const announced = (scene: Scene) =>
    scene.director.outbox
      .filter(({ bytes }) => bytes[12] === 0x86)
      .map(({ arm, bytes }) => [arm, hex(bytes)]);
  const announcement = (vip: string) => {
    const [flags, target] = [ndp.OVERRIDE, addressOf(vip)];
    const fields = { flags, source: target, target, destination: ndp.ALL_NODES, to: undefined };
    return [0, hex(answer(fields))];
  };

  test('are announced at the start and when the link is back, where their clients are', () => {
    const scene = makeScene({ arms: ARMS6, services: services6(), resolved: [] });
    expect(announced(scene)).toEqual([announcement(DSR_VIP6), announcement(NAT_VIP6)]);
    scene.director.outbox.length = 0;
    linkIsUp(scene.director, 0);
    expect(announced(scene)).toHaveLength(2);
    scene.director.outbox.length = 0;
    linkIsUp(scene.director, 1);
    expect(announced(scene)).toEqual([]);
  });

  const conflict = (frame: Uint8Array) => {
    const scene = makeScene6();
    const { verdict, moved } = scene.receive(frame);
    expect({ verdict, moved }).toEqual({ verdict: 'pass', moved: { vipConflicts: 1 } });
    return scene.director.conflicts.map(({ vip6, macLow }) => [formatIpv6(vip6 as Ipv6), macLow]);
  };

  test('that somebody else claims are told of', () => {
    const other = { mac: '02:00:00:00:0e:01', address: DSR_VIP6 };
    expect(conflict(advertisement(other))).toEqual([[DSR_VIP6, 0x0e01]]);
    expect(conflict(question({ source: VIP, target: addressOf('2001:db8:a::99') }))).toEqual([
      [DSR_VIP6, 0x0b01],
    ]);
  });

  test('that the director announced itself are none', () => {
    const scene = makeScene6();
    scene.receive(advertisement({ mac: OUTSIDE_ARM.mac, address: DSR_VIP6 }));
    expect(scene.director.conflicts).toEqual([]);
  });
});

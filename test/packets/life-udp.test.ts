// Exchanges of UDP, which have no end of their own, while no real takes new flows: they are with
// the sorry server, or with reals that are down, for as long as that lasts. Of both families.
import { describe, expect, test } from 'vitest';
import { tick } from '../../src/director/director.ts';
import { KEEP_OLD, type RealTerms, type ServiceLife } from '../../src/director/life.ts';
import { EXPIRES_MS } from '../../src/flow/flow-table.ts';
import {
  DSR_REALS,
  dsrUdp,
  INSIDE,
  introduce,
  NAT_REALS,
  natUdp,
  OUTSIDE,
  replyUdp,
  type Scene,
  type SceneService,
  standardServices,
} from './scene.ts';
import {
  DSR_REALS6,
  dsrUdp6,
  introduce6,
  makeScene6,
  NAT_REALS6,
  natUdp6,
  replyUdp6,
  services6,
} from './scene6.ts';

const PLAIN: ServiceLife = {
  ...{ persistence: undefined, onePacket: false, slowStartMs: 0, sorry: -1, failOpen: false },
};
const FULL_WITH_ONE: RealTerms = {
  ...{ stopsNew: false, old: KEEP_OLD, oldAfterMs: 0, upper: 1, lower: 0 },
};

/** Ticks for a while, which let the sweep come round. */
function pass(scene: Scene, ms: number): void {
  for (let left = ms; left > 0; left -= 10) tick(scene.director, scene.director.nowMs + 10);
}

/** The verdict, and the last byte of the MAC address that it went to. */
function way(scene: Scene, frame: Uint8Array): string {
  const outcome = scene.receive(frame);
  return `${outcome.verdict} ${outcome.frame[5]}`;
}

const families = [
  {
    ...{ name: 'IPv4', services: standardServices(), id: 1, reals: DSR_REALS, nat: NAT_REALS },
    ...{ request: dsrUdp, asked: natUdp, replied: replyUdp, tell: introduce },
  },
  {
    ...{ name: 'IPv6', services: services6(), id: 5, reals: DSR_REALS6, nat: NAT_REALS6 },
    ...{ request: dsrUdp6, asked: natUdp6, replied: replyUdp6, tell: introduce6 },
  },
];

describe.each(families)('datagrams of $name', (family) => {
  const { services, id, reals, nat, request, asked, replied, tell } = family;

  test('stay with the sorry server while all reals are full, and no longer', () => {
    const sorry = { id: 7, address: reals[1]!.address, port: 80, arm: OUTSIDE };
    const full = services
      .filter((service) => service.id === id)
      .map((service): SceneService => {
        const [real] = service.reals;
        const life = { ...PLAIN, sorry: 7 };
        return { ...service, life, sorry, reals: [{ ...real!, terms: FULL_WITH_ONE }] };
      });
    const scene = makeScene6({ services: full });
    pass(scene, 10);
    const ways = [1, 2, 2].map((sourcePort) => way(scene, request({ sourcePort })));
    expect(ways).toEqual(['send 0 1', 'send 0 2', 'send 0 2']);
    pass(scene, 20);
    expect(scene.director.flows.active).toBe(2);
    // The flow that the real is full with has its time.
    scene.director.flows.records[EXPIRES_MS] = scene.director.nowMs;
    pass(scene, 20);
    expect(scene.director.flows.active).toBe(0);
    expect(way(scene, request({ sourcePort: 2 }))).toBe('send 0 1');
  });

  test('stay with a real that is down while the service fails open, and no longer', () => {
    const open = services.map((each) => ({ ...each, life: { ...PLAIN, failOpen: true } }));
    const scene = makeScene6({ services: open });
    // All have been asked often enough.
    scene.director.neighbours.asked.fill(9);
    scene.director.neighbours.dueMs.fill(scene.director.nowMs);
    pass(scene, 10);
    expect(way(scene, asked())).toBe('send 1 1');
    pass(scene, 20);
    expect(scene.receive(replied(nat[0]!), { arm: INSIDE }).verdict).toBe('send 0');
    tell(scene, nat[1]!);
    expect(way(scene, asked())).toBe('send 1 2');
  });
});

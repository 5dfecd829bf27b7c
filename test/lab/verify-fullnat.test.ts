// Every claim of fullnat holds on right captures, and fails on wrong ones with the right cause,
// host and mend. What fullnat shares with NAT is tested there.
import { describe, expect, test } from 'vitest';
import { diagnose } from '../../lab/verify/diagnose.ts';
import {
  claimNamed,
  goodTraffic,
  newScene,
  onFrames,
  poolPort,
  type Scene,
  toReal,
} from './verify-scene.ts';

const DEFECT = 'a defect of the director';

describe('right captures', () => {
  test('every claim holds, is checked on frames, and cites them', async () => {
    const claims = await goodTraffic(newScene('fullnat')).judge();
    expect(claims.map((claim) => [claim.id, claim.verdict])).toEqual(
      claims.map((claim) => [claim.id, 'holds']),
    );
    expect(onFrames(claims).every((claim) => claim.frames > 0 && claim.evidence.length > 0)).toBe(
      true,
    );
  });

  test('a reply to the pool is followed to the client that it stands for', async () => {
    const claims = await goodTraffic(newScene('fullnat')).judge();
    const { evidence, flows } = claimNamed(claims, 'reply-through-director');
    const files = evidence.map((frame) => frame.file);
    expect(files).toEqual(['r1.pcap', 'director-eth1.pcap', 'director-eth0.pcap', 'client.pcap']);
    expect(flows).toBe(5);
  });

  test('a pool port that is given to another client belongs to it from then on', async () => {
    const scene = goodTraffic(newScene('fullnat'));
    // The port that the first connection of good traffic had.
    scene.fields = (hop, { way }) => {
      const port = poolPort(40000);
      if (toReal(hop)) return { sourcePort: port };
      return way === 'reply' && /real-out|back-in/.test(hop) ? { destinationPort: port } : {};
    };
    scene.connection('r1', 40100);
    const claims = await scene.judge();
    expect(claims.filter((claim) => claim.verdict !== 'holds')).toEqual([]);
    expect(claimNamed(claims, 'handshake').flows).toBe(5);
  });
});

interface Case {
  readonly name: string;
  readonly make: (scene: Scene) => void;
  readonly fails: readonly string[];
  readonly kind: string;
  readonly host: string;
  readonly mend: string;
}

const CASES: readonly Case[] = [
  {
    name: 'the real sees a port that the pool does not have',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { sourcePort: 60_000 } : {});
      goodTraffic(scene);
    },
    fails: ['request-translated'],
    kind: 'director-rewrote',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the real sees the client itself',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { source: scene.clientAddress } : {});
      goodTraffic(scene);
    },
    fails: ['request-translated'],
    kind: 'director-rewrote',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'a flow changes its port on the way',
    make: (scene) => {
      goodTraffic(scene);
      let sent = 0;
      scene.fields = (hop) => (toReal(hop) && ++sent > 4 ? { sourcePort: 20_999 } : {});
      scene.connection('r1', 40100);
    },
    fails: ['request-translated'],
    kind: 'director-rewrote',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the client sees the pool',
    make: (scene) => {
      scene.fields = (hop) =>
        hop === 'director-back-out' || hop === 'client-in' ? { source: '10.77.0.200' } : {};
      goodTraffic(scene);
    },
    fails: ['client-sees-vip'],
    kind: 'wrong-source',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'a real has no route to the pool',
    make: (scene) => {
      scene.spoil = (hop, { real }, bytes) =>
        hop === 'real-out' && real === 'r2' ? undefined : bytes;
      goodTraffic(scene);
    },
    fails: ['reply-through-director', 'handshake'],
    kind: 'pool-unreachable',
    host: 'r2',
    mend: 'ip route add 10.77.0.200/32 via 10.77.0.1',
  },
  {
    name: 'a real has an address of the pool itself',
    make: (scene) => {
      scene.claimPool('r3');
      scene.spoil = (hop, { real }, bytes) =>
        hop === 'real-out' && real === 'r3' ? undefined : bytes;
      goodTraffic(scene);
    },
    fails: ['vip-arp', 'reply-through-director', 'handshake'],
    kind: 'pool-taken',
    host: 'r3',
    mend: 'ip addr del 10.77.0.200/32 dev eth0',
  },
];

describe('wrong captures', () => {
  test.each(CASES)('$name', async ({ make, fails, kind, host, mend }) => {
    const scene = newScene('fullnat');
    make(scene);
    const claims = await scene.judge();
    for (const id of fails) {
      const claim = claimNamed(claims, id);
      expect(claim.verdict, id).toBe('fails');
      expect(claim.counterexample.length, id).toBeGreaterThan(0);
    }
    const found = diagnose(claims).filter((diagnosis) => diagnosis.kind === kind);
    expect(found.map((diagnosis) => diagnosis.host)).toEqual([host]);
    expect(found[0]?.mend).toContain(mend);
  });
});

// Every claim of NAT holds on right captures, and fails on wrong ones with the right cause, host
// and mend.
import { describe, expect, test } from 'vitest';
import { findBreak } from '../../lab/topologies/breaks.ts';
import { TOPOLOGIES } from '../../lab/topologies/build.ts';
import { diagnose } from '../../lab/verify/diagnose.ts';
import {
  claimNamed,
  goodTraffic,
  newScene,
  onFrames,
  Scene,
  spoilByte,
  toReal,
} from './verify-scene.ts';

const ROUTE = 'ip route replace default via 10.77.0.1';
const DEFECT = 'a defect of the director';

describe('right captures', () => {
  test('every claim holds, is checked on frames, and cites them', async () => {
    const claims = await goodTraffic(newScene('nat')).judge();
    expect(claims.map((claim) => [claim.id, claim.verdict])).toEqual(
      claims.map((claim) => [claim.id, 'holds']),
    );
    expect(onFrames(claims).every((claim) => claim.frames > 0 && claim.evidence.length > 0)).toBe(
      true,
    );
  });

  test('the evidence of a reply leads from the real through both arms to the client', async () => {
    const claim = claimNamed(await goodTraffic(newScene('nat')).judge(), 'reply-through-director');
    const files = claim.evidence.map((frame) => frame.file);
    expect(files).toEqual(['r1.pcap', 'director-eth1.pcap', 'director-eth0.pcap', 'client.pcap']);
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
    name: 'a real without a return route is silent',
    make: (scene) => {
      scene.spoil = (hop, { real }, bytes) =>
        hop === 'real-out' && real === 'r2' ? undefined : bytes;
      goodTraffic(scene);
    },
    fails: ['reply-through-director', 'handshake'],
    kind: 'no-return-route',
    host: 'r2',
    mend: ROUTE,
  },
  {
    name: 'a real sends its replies to another router',
    make: (scene) => {
      scene.fields = (hop, { real }) =>
        hop === 'real-out' && real === 'r2' ? { destinationMac: '02:00:00:00:09:09' } : {};
      scene.spoil = (hop, { real, way }, bytes) =>
        way === 'reply' && real === 'r2' && hop !== 'real-out' ? undefined : bytes;
      goodTraffic(scene);
    },
    fails: ['reply-through-director', 'handshake'],
    kind: 'no-return-route',
    host: 'r2',
    mend: ROUTE,
  },
  {
    name: 'nothing listens on a real',
    make: (scene) => {
      goodTraffic(scene);
      scene.refused('r3', 40100);
    },
    fails: ['handshake'],
    kind: 'server-dead',
    host: 'r3',
    mend: 'start the server of port 80',
  },
  {
    name: 'the director spoils the checksum of requests',
    make: (scene) => {
      scene.spoil = (hop, segment, bytes) =>
        segment.protocol === 'tcp' && toReal(hop) ? spoilByte(bytes, 50) : bytes;
      goodTraffic(scene);
    },
    fails: ['checksums'],
    kind: 'wrong-checksum',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director spoils the IP checksum of replies',
    make: (scene) => {
      scene.spoil = (hop, _segment, bytes) =>
        hop === 'director-back-out' || hop === 'client-in' ? spoilByte(bytes, 24) : bytes;
      goodTraffic(scene);
    },
    fails: ['checksums'],
    kind: 'wrong-checksum',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director forgets the TTL',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { timeToLive: 64 } : {});
      goodTraffic(scene);
    },
    fails: ['ttl'],
    kind: 'wrong-ttl',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director changes the TCP window',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { window: 1000 } : {});
      goodTraffic(scene);
    },
    fails: ['only-nat-fields'],
    kind: 'director-rewrote',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the client sees the address of a real, from the director',
    make: (scene) => {
      scene.fields = (hop, { real }) =>
        real === 'r2' && (hop === 'director-back-out' || hop === 'client-in')
          ? { source: '10.77.0.12' }
          : {};
      goodTraffic(scene);
    },
    fails: ['client-sees-vip'],
    kind: 'wrong-source',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the request reaches the real with the VIP still on it',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { destination: scene.topology.vip } : {});
      goodTraffic(scene);
    },
    fails: ['request-translated'],
    kind: 'director-rewrote',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'replies go to another next hop than the request came from',
    make: (scene) => {
      goodTraffic(scene);
      scene.fields = (hop) =>
        hop === 'director-back-out' ? { destinationMac: '02:00:00:00:09:09' } : {};
      scene.spoil = (hop, _segment, bytes) => (hop === 'client-in' ? undefined : bytes);
      scene.connection('r1', 40100);
    },
    fails: ['reply-next-hop', 'reply-through-director'],
    kind: 'wrong-next-hop',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'packets of one flow go to two reals',
    make: (scene) => {
      goodTraffic(scene);
      let sent = 0;
      scene.fields = (hop) =>
        hop === 'director-out' && ++sent === 3
          ? { destinationMac: scene.mac('r3'), destination: '10.77.0.13' }
          : {};
      scene.connection('r1', 40100);
    },
    fails: ['one-real'],
    kind: 'several-reals',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director swallows replies',
    make: (scene) => {
      goodTraffic(scene);
      scene.spoil = (hop, _segment, bytes) => (hop === 'director-back-out' ? undefined : bytes);
      scene.connection('r1', 40100);
    },
    fails: ['reply-through-director', 'handshake'],
    kind: 'director-silent',
    host: 'director',
    mend: 'furiwake status',
  },
];

describe('wrong captures', () => {
  test.each(CASES)('$name', async ({ make, fails, kind, host, mend }) => {
    const scene = newScene('nat');
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

  test('reals with a way of their own to the client: each is named, with its route', async () => {
    const broken = findBreak('nat', 'no-return-route')?.change?.(TOPOLOGIES.nat);
    const scene = new Scene('nat', broken);
    scene.arp();
    scene.ping();
    for (const [index, real] of ['r1', 'r2', 'r3'].entries()) scene.goAround(real, 40000 + index);
    const claims = await scene.judge();
    for (const id of ['reply-through-director', 'client-sees-vip', 'handshake']) {
      expect(claimNamed(claims, id).verdict, id).toBe('fails');
    }
    const found = diagnose(claims);
    expect(new Set(found.map((each) => each.kind))).toEqual(new Set(['no-return-route']));
    expect(found.map((each) => each.host).sort()).toEqual(['r1', 'r2', 'r3']);
    expect(new Set(found.map((each) => each.mend))).toEqual(new Set([ROUTE]));
    expect(found[0]?.cause).toContain('to client instead of the director');
  });
});

// Every claim of tunnels holds on right captures, and fails on wrong ones with the right cause,
// host and mend. What they share with DSR is tested there.
import { describe, expect, test } from 'vitest';
import { icmpErrorFrame } from '../../lab/frame.ts';
import { diagnose } from '../../lab/verify/diagnose.ts';
import { outOfTunnel } from './in-tunnel.ts';
import {
  claimNamed,
  goodTraffic,
  newScene,
  onFrames,
  type Scene,
  spoilByte,
  toReal,
} from './verify-scene.ts';

const DEFECT = 'a defect of the director';

describe.each(['ipip', 'gue'] as const)('right captures of %s', (method) => {
  test('every claim holds, is checked on frames, and cites them', async () => {
    const claims = await goodTraffic(newScene(method)).judge();
    expect(claims.map((claim) => [claim.id, claim.verdict])).toEqual(
      claims.map((claim) => [claim.id, 'holds']),
    );
    expect(onFrames(claims).every((claim) => claim.frames > 0 && claim.evidence.length > 0)).toBe(
      true,
    );
  });

  test('a packet is followed into its tunnel and up to the real', async () => {
    const claims = await goodTraffic(newScene(method)).judge();
    const files = claimNamed(claims, 'request-at-real').evidence.map(({ file }) => file);
    expect(files).toEqual(['client.pcap', 'director-eth0.pcap', 'director-eth0.pcap', 'r1.pcap']);
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

const silentReal = (scene: Scene): void => {
  scene.spoil = (hop, { real }, bytes) => (hop === 'real-out' && real === 'r2' ? undefined : bytes);
};

const CASES: readonly Case[] = [
  {
    name: 'a request goes without its tunnel',
    make: (scene) => {
      scene.spoil = (hop, _segment, bytes) => (hop === 'director-out' ? outOfTunnel(bytes) : bytes);
      goodTraffic(scene);
    },
    fails: ['encapsulated'],
    kind: 'wrong-tunnel',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the tunnel leads to nobody',
    make: (scene) => {
      // The last byte of the outer destination.
      scene.spoil = (hop, _segment, bytes) => (toReal(hop) ? spoilByte(bytes, 33) : bytes);
      goodTraffic(scene);
    },
    fails: ['encapsulated', 'checksums'],
    kind: 'wrong-tunnel',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the outer IP checksum is wrong',
    make: (scene) => {
      scene.spoil = (hop, _segment, bytes) => (toReal(hop) ? spoilByte(bytes, 24) : bytes);
      goodTraffic(scene);
    },
    fails: ['checksums'],
    kind: 'wrong-checksum',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director changes the inner TTL',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { timeToLive: 63 } : {});
      goodTraffic(scene);
    },
    fails: ['inner-unchanged'],
    kind: 'director-rewrote',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'packets of one flow go to two reals',
    make: (scene) => {
      goodTraffic(scene);
      let sent = 0;
      scene.endFor = (hop, { real }) => (hop === 'director-out' && ++sent === 3 ? 'r3' : real);
      scene.connection('r1', 40100);
    },
    fails: ['one-real'],
    kind: 'several-reals',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'nothing takes packets out of tunnels on a real',
    make: (scene) => {
      silentReal(scene);
      goodTraffic(scene);
      const sent = scene.files.get('r2.pcap')![0]!;
      const quote = sent.subarray(14, 14 + 60);
      const [sourceMac, destinationMac] = [scene.mac('r2'), scene.mac('hub', 1)];
      const ends = { source: '10.31.0.12', destination: '192.0.2.2' };
      const code = scene.topology.method === 'ipip' ? 2 : 3;
      const error = { sourceMac, destinationMac, ...ends, type: 3, code, quote };
      scene.record('r2.pcap', icmpErrorFrame(error));
    },
    fails: ['reply-from-vip', 'handshake'],
    kind: 'decap-missing',
    host: 'r2',
    mend: 'furiwake decap --vip 192.0.2.100',
  },
  {
    name: "a real's reverse-path filter drops what comes by the tunnel",
    make: (scene) => {
      silentReal(scene);
      goodTraffic(scene);
    },
    fails: ['reply-from-vip', 'handshake'],
    kind: 'tunnel-filtered',
    host: 'r2',
    mend: 'sysctl -w net.ipv4.conf.all.rp_filter=0',
  },
  {
    name: "the reals' router sends replies to the director",
    make: (scene) => {
      goodTraffic(scene);
      scene.fields = (hop) =>
        hop === 'client-in' ? { destinationMac: scene.mac('director') } : {};
      scene.spoil = (hop, _segment, bytes) => {
        if (hop === 'client-in') scene.record('director-eth0.pcap', bytes);
        return hop === 'client-in' ? undefined : bytes;
      };
      scene.connection('r1', 40100);
    },
    fails: ['no-reply-at-director', 'reply-direct'],
    kind: 'reply-through-director',
    host: 'hub',
    mend: 'ip route del default via 192.0.2.2',
  },
];

describe.each(['ipip', 'gue'] as const)('wrong captures of %s', (method) => {
  test.each(CASES)('$name', async ({ make, fails, kind, host, mend }) => {
    const scene = newScene(method);
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

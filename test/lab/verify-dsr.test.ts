// Every claim of DSR holds on right captures, and fails on wrong ones with the right cause, host
// and mend. The captures are written with the pcap writer and read back as verify reads them.
import { describe, expect, test } from 'vitest';
import { diagnose } from '../../lab/verify/diagnose.ts';
import {
  claimNamed,
  goodTraffic,
  newScene,
  onFrames,
  type Scene,
  spoilByte,
  toReal,
} from './verify-scene.ts';

const VIP = '192.0.2.100';

describe('right captures', () => {
  test('every claim holds, is checked on frames, and cites them', async () => {
    const claims = await goodTraffic(newScene('dsr')).judge();
    expect(claims.map((claim) => [claim.id, claim.verdict])).toEqual(
      claims.map((claim) => [claim.id, 'holds']),
    );
    expect(onFrames(claims).every((claim) => claim.frames > 0 && claim.evidence.length > 0)).toBe(
      true,
    );
    expect(diagnose(claims)).toEqual([]);
  });

  test('the evidence follows a packet from file to file', async () => {
    const claim = claimNamed(await goodTraffic(newScene('dsr')).judge(), 'request-at-real');
    expect(claim.evidence).toEqual([
      { file: 'client.pcap', number: 5 },
      { file: 'director-eth0.pcap', number: 5 },
      { file: 'director-eth0.pcap', number: 6 },
      { file: 'r1.pcap', number: 1 },
    ]);
    expect(claim.flows).toBe(5);
    expect(claim.frames).toBe(25);
  });

  test('without any frame no claim holds', async () => {
    const claims = await newScene('dsr').judge();
    expect(new Set(claims.map((claim) => claim.verdict))).toEqual(new Set(['not-tested']));
  });

  test('frames that a switch floods to the director are not replies that pass it', async () => {
    const scene = goodTraffic(newScene('dsr'));
    const reply = scene.files.get('r2.pcap')!.at(1)!;
    scene.record('director-eth0.pcap', reply);
    const claim = claimNamed(await scene.judge(), 'no-reply-at-director');
    expect(claim.verdict).toBe('holds');
    expect(claim.notes.join()).toContain('1 replies overheard');
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

const DEFECT = 'a defect of the director';

const CASES: readonly Case[] = [
  {
    name: 'a real without the VIP on lo is silent',
    make: (scene) => {
      scene.spoil = (hop, { real }, bytes) =>
        hop === 'real-out' && real === 'r2' ? undefined : bytes;
      goodTraffic(scene);
    },
    fails: ['reply-from-vip', 'handshake'],
    kind: 'vip-missing',
    host: 'r2',
    mend: `ip addr add ${VIP}/32 dev lo`,
  },
  {
    name: 'a real that answers ARP for the VIP',
    make: (scene) => {
      goodTraffic(scene);
      scene.arp(['director', 'r2']);
    },
    fails: ['vip-arp'],
    kind: 'real-answers-arp',
    host: 'r2',
    mend: 'sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2',
  },
  {
    name: 'requests that go straight to a real',
    make: (scene) => {
      goodTraffic(scene);
      scene.spoil = (hop, _segment, bytes) => (hop.startsWith('director') ? undefined : bytes);
      scene.fields = () => ({ destinationMac: scene.mac('r2') });
      scene.connection('r2', 40100);
    },
    fails: ['request-to-director', 'request-at-real', 'handshake'],
    kind: 'real-answers-arp',
    host: 'r2',
    mend: 'sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2',
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
    name: 'the director spoils a TCP checksum',
    make: (scene) => {
      scene.spoil = (hop, segment, bytes) =>
        segment.protocol === 'tcp' && toReal(hop) ? spoilByte(bytes, 50) : bytes;
      goodTraffic(scene);
    },
    fails: ['only-macs', 'checksums'],
    kind: 'wrong-checksum',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'a real sends wrong checksums',
    make: (scene) => {
      scene.spoil = (_hop, { way, real }, bytes) =>
        way === 'reply' && real === 'r2' ? spoilByte(bytes, 50) : bytes;
      goodTraffic(scene);
    },
    fails: ['checksums'],
    kind: 'wrong-checksum',
    host: 'r2',
    mend: 'ethtool -K eth0 tx off',
  },
  {
    name: 'the director changes the TTL',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { timeToLive: 63 } : {});
      goodTraffic(scene);
    },
    fails: ['only-macs', 'ttl'],
    kind: 'wrong-ttl',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director changes a byte of the payload',
    make: (scene) => {
      scene.spoil = (hop, { way, payload }, bytes) =>
        way === 'request' && toReal(hop) && payload.length > 0
          ? spoilByte(bytes, bytes.length - 1)
          : bytes;
      goodTraffic(scene);
    },
    fails: ['only-macs', 'checksums', 'data'],
    kind: 'director-rewrote',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director forgets its own MAC address as the source',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { sourceMac: scene.mac('client') } : {});
      goodTraffic(scene);
    },
    fails: ['macs'],
    kind: 'wrong-mac',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director sends to a MAC address of nobody',
    make: (scene) => {
      scene.fields = (hop) => (toReal(hop) ? { destinationMac: '02:00:00:00:09:09' } : {});
      goodTraffic(scene);
    },
    fails: ['macs', 'request-at-real', 'handshake'],
    kind: 'wrong-mac',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'a real replies from its own address',
    make: (scene) => {
      scene.fields = (_hop, { way, real }) =>
        way === 'reply' && real === 'r2' ? { source: '192.0.2.12' } : {};
      goodTraffic(scene);
    },
    fails: ['reply-from-vip'],
    kind: 'wrong-source',
    host: 'r2',
    mend: 'let its server listen on 0.0.0.0',
  },
  {
    name: 'a reply passes the director',
    make: (scene) => {
      goodTraffic(scene);
      scene.fields = (hop) => (hop === 'real-out' ? { destinationMac: scene.armMacs[0] } : {});
      scene.spoil = (hop, _segment, bytes) => {
        if (hop === 'real-out') scene.record('director-eth0.pcap', bytes);
        return hop === 'client-in' ? undefined : bytes;
      };
      scene.connection('r1', 40100);
    },
    fails: ['no-reply-at-director'],
    kind: 'reply-through-director',
    host: 'r1',
    mend: 'ip route del default via 192.0.2.2',
  },
  {
    name: 'packets of one flow go to two reals',
    make: (scene) => {
      goodTraffic(scene);
      let sent = 0;
      scene.fields = (hop) =>
        hop === 'director-out' && ++sent === 3 ? { destinationMac: scene.mac('r3') } : {};
      scene.connection('r1', 40100);
    },
    fails: ['one-real'],
    kind: 'several-reals',
    host: 'director',
    mend: DEFECT,
  },
  {
    name: 'the director sends nothing on',
    make: (scene) => {
      goodTraffic(scene);
      scene.spoil = (hop, _segment, bytes) => (hop === 'director-out' ? undefined : bytes);
      scene.connection('r1', 40100);
    },
    fails: ['request-at-real', 'handshake'],
    kind: 'director-silent',
    host: 'director',
    mend: 'furiwake status',
  },
  {
    name: 'a real that does not answer ARP',
    make: (scene) => {
      goodTraffic(scene);
      scene.askForReal('r2');
      scene.spoil = (hop, _segment, bytes) => (hop === 'director-out' ? undefined : bytes);
      scene.connection('r2', 40100);
    },
    fails: ['request-at-real', 'handshake'],
    kind: 'real-unreachable',
    host: 'r2',
    mend: 'ip link set eth0 up',
  },
  {
    name: 'requests that are lost before the real',
    make: (scene) => {
      goodTraffic(scene);
      scene.spoil = (hop, _segment, bytes) => (hop === 'real-in' ? undefined : bytes);
      scene.connection('r2', 40100);
    },
    fails: ['request-at-real', 'handshake'],
    kind: 'not-delivered',
    host: 'r2',
    mend: 'ip -s link show eth0',
  },
  {
    name: 'replies that are lost before the client',
    make: (scene) => {
      goodTraffic(scene);
      scene.spoil = (hop, _segment, bytes) => (hop === 'client-in' ? undefined : bytes);
      scene.connection('r2', 40100);
    },
    fails: ['reply-direct', 'handshake'],
    kind: 'not-delivered',
    host: 'client',
    mend: 'ip -s link show eth0',
  },
  {
    name: 'a server that is silent while its host answers others',
    make: (scene) => {
      goodTraffic(scene);
      scene.spoil = (hop, _segment, bytes) => (hop === 'real-out' ? undefined : bytes);
      scene.connection('r2', 40100);
    },
    fails: ['reply-from-vip', 'handshake'],
    kind: 'server-silent',
    host: 'r2',
    mend: 'restart the server of port 80',
  },
  {
    name: 'ping to the VIP without an answer',
    make: (scene) => {
      goodTraffic(scene);
      scene.ping(false);
    },
    fails: ['echo'],
    kind: 'echo-unanswered',
    host: 'director',
    mend: 'furiwake status',
  },
  {
    name: 'the client receives other data than the real sent',
    make: (scene) => {
      scene.spoil = (hop, { way, payload }, bytes) =>
        way === 'reply' && payload.length > 0 && hop === 'client-in'
          ? spoilByte(bytes, bytes.length - 1)
          : bytes;
      goodTraffic(scene);
    },
    fails: ['data'],
    kind: 'data-differs',
    host: 'client',
    mend: DEFECT,
  },
];

describe('wrong captures', () => {
  test.each(CASES)('$name', async ({ make, fails, kind, host, mend }) => {
    const scene = newScene('dsr');
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
    expect(found[0]?.frames.length).toBeGreaterThan(0);
  });

  test('a claim that fails on one real names no other', async () => {
    const scene = newScene('dsr');
    CASES[0]!.make(scene);
    expect(diagnose(await scene.judge()).map((diagnosis) => diagnosis.host)).toEqual(['r2']);
  });
});

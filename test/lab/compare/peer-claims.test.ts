// What is claimed of each kind of path holds on captures of that kind, and fails on captures of
// another: a proxy that were only a router, or DSR whose replies come back, would be found out.
import { describe, expect, test } from 'vitest';
import { toEvidence } from '../../../lab/compare/evidence.ts';
import { judgePeer } from '../../../lab/compare/peer-claims.ts';
import type { EvidenceClaim, PathKind } from '../../../lab/compare/result.ts';
import { addressOf, directorOf, hostNamed } from '../../../lab/topologies/topology.ts';
import { loadCaptures } from '../../../lab/verify/captures.ts';
import { answered } from '../../../lab/verify/claims.ts';
import {
  ALL_ANSWERED,
  goodTraffic,
  type Hop,
  newScene,
  type Scene,
  type Segment,
} from '../verify-scene.ts';

async function judged(
  kind: PathKind,
  scene: Scene,
  target = scene.topology.vip,
): Promise<EvidenceClaim[]> {
  return judgePeer(kind, await loadCaptures(scene.write()), target);
}

const verdicts = (claims: readonly EvidenceClaim[]) => claims.map(({ verdict }) => verdict);
const realAddress = ({ topology }: Scene, real: string) => addressOf(hostNamed(topology, real));

/** The client talks to r1 itself, and its packets go straight there. */
function direct(): Scene {
  const scene = newScene('dsr');
  const real = realAddress(scene, 'r1');
  scene.fields = (_hop, { way }) =>
    way === 'request'
      ? { destination: real, sourceMac: scene.mac('client'), destinationMac: scene.mac('r1') }
      : { source: real };
  scene.connection('r1', 40000);
  scene.datagrams('r1', 40001);
  return scene;
}

/** The client talks to r1 itself, over a router. */
function routed(): Scene {
  const scene = newScene('nat');
  const real = realAddress(scene, 'r1');
  scene.fields = (_hop, { way }) => (way === 'request' ? { destination: real } : { source: real });
  scene.connection('r1', 40000);
  scene.datagrams('r1', 40001);
  return scene;
}

/** Behind the director its own address and port stand for the client's. */
function proxied(change: (hop: Hop, segment: Segment) => object = () => ({})): Scene {
  const scene = newScene('nat');
  const [, inside] = directorOf(scene.topology).arms;
  const far: readonly Hop[] = ['director-out', 'real-in', 'real-out', 'director-back-in'];
  scene.fields = (hop, segment) => {
    if (!far.includes(hop)) return change(hop, segment);
    const own = { address: inside!.address, port: segment.clientPort + 1000 };
    const side =
      segment.way === 'request'
        ? { source: own.address, sourcePort: own.port }
        : { destination: own.address, destinationPort: own.port };
    return { ...side, sequence: segment.sequence + 77, ...change(hop, segment) };
  };
  for (const [index, real] of ['r1', 'r2'].entries()) scene.connection(real, 40000 + index);
  return scene;
}

describe('captures of the kind', () => {
  test.each<[PathKind, () => Scene, string | undefined]>([
    ['none', direct, realAddress(newScene('dsr'), 'r1')],
    ['dsr', () => goodTraffic(newScene('dsr')), undefined],
    ['routing', routed, realAddress(newScene('nat'), 'r1')],
    ['nat', () => goodTraffic(newScene('nat')), undefined],
    ['proxy', () => proxied(), undefined],
  ])('%s: every claim holds and names frames', async (kind, make, target) => {
    const claims = await judged(kind, make(), target);
    expect(claims.filter(({ verdict }) => verdict !== 'holds')).toEqual([]);
    for (const { frames, looked, text } of claims) {
      expect(frames.length, text).toBeGreaterThan(0);
      expect(looked, text).toBeGreaterThan(0);
    }
  });

  test('the way of a reply leads through all points', async () => {
    const nat = await judged('nat', goodTraffic(newScene('nat')));
    const files = nat[1]!.frames.map(({ file }) => file);
    expect(files).toEqual(['r1.pcap', 'director-eth1.pcap', 'director-eth0.pcap', 'client.pcap']);
    const proxy = await judged('proxy', proxied());
    expect(proxy[1]!.frames.map(({ file }) => file)).toEqual(files);
    const dsr = await judged('dsr', goodTraffic(newScene('dsr')));
    expect(dsr[2]!.frames.map(({ file }) => file)).toEqual(['r1.pcap', 'client.pcap']);
  });
});

describe('captures of another kind', () => {
  test.each<[PathKind, 'dsr' | 'nat', string[]]>([
    ['nat', 'dsr', ['fails', 'fails', 'holds']],
    ['proxy', 'dsr', ['fails', 'fails', 'holds', 'fails']],
    ['none', 'dsr', ['fails', 'holds', 'fails']],
    ['dsr', 'nat', ['fails', 'fails', 'fails']],
    ['proxy', 'nat', ['fails', 'holds', 'holds', 'holds']],
    ['routing', 'nat', ['fails', 'holds']],
    ['none', 'nat', ['fails', 'fails', 'fails']],
  ])('%s is not what is seen of %s', async (kind, name, expected) => {
    const claims = await judged(kind, goodTraffic(newScene(name)));
    expect(verdicts(claims)).toEqual(expected);
  });

  test('a proxy that swallows bytes is found out', async () => {
    const scene = proxied((hop, { way, payload }) =>
      way === 'reply' && hop === 'client-in' && payload.length === 1000
        ? { payload: payload.slice(1) }
        : {},
    );
    const claims = await judged('proxy', scene);
    expect(claims.at(-1)).toMatchObject({ verdict: 'fails' });
  });
});

test('captures that lost frames prove no absence', async () => {
  const scene = goodTraffic(newScene('dsr'));
  scene.lostFrames = { 'director-eth0.pcap': 3 };
  expect(verdicts(await judged('dsr', scene))).toEqual(['holds', 'holds', 'not-tested']);
});

test('nothing is claimed of captures without packets', async () => {
  expect(verdicts(await judged('nat', newScene('nat')))).toEqual([
    ...['not-tested', 'not-tested', 'not-tested'],
  ]);
});

test('what was not answered is a whole sentence of the evidence', () => {
  const traffic = { ...ALL_ANSWERED, requestsAnswered: 3, failures: ['curl http://vip/64KiB'] };
  expect(toEvidence(answered({ traffic }))).toEqual({
    text: 'Every request and every transfer was answered: 3 of 4 requests, 1 of 1 transfers, failed: curl http://vip/64KiB.',
    ...{ verdict: 'fails', frames: [], looked: 5 },
  });
});

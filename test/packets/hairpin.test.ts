// Clients in unusual places: a real of the same service, a real of another one, behind the very arm
// that its real is behind, and the tags and paddings of what they send.
import { describe, expect, test } from 'vitest';
import { withTag } from '../../src/wire/ethernet.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { checksumsGood, endpoints, macs, onlyMacsChanged, ttlOneLess } from './checks.ts';
import { cutUp } from './pieces.ts';
import {
  DSR_REALS,
  DSR_VIP,
  dsrTcp,
  INSIDE,
  INSIDE_ARM,
  makeScene,
  NAT_REALS,
  NAT_VIP,
  natTcp,
  natUdp,
  OUTSIDE,
  OUTSIDE_ARM,
  replyTcp,
  type Scene,
} from './scene.ts';

const POOL = '10.0.0.200';
const ONE_PORT = { addresses: [POOL], firstPort: 61_000, portCount: 1 };
const [REAL, OTHER] = [NAT_REALS[0]!, NAT_REALS[1]!];
const SYN = { flags: tcp.SYN };

/** A NAT real as a client. */
const fromReal = (host: typeof OTHER) => ({
  ...{ sourceMac: host.mac, destinationMac: INSIDE_ARM.mac, source: host.address },
});

describe('a NAT real that asks the VIP of its own service', () => {
  test.each([OTHER, REAL])('is answered by way of the director, from the pool: %o', (host) => {
    const scene = makeScene({ pool: ONE_PORT });
    const request = natTcp({ ...SYN, ...fromReal(host) });
    const { verdict, frame } = scene.receive(request, { arm: INSIDE });
    // To itself, too: its own kernel would take a packet from its own address for a forgery.
    expect(verdict).toBe('send 1');
    endpoints(`${POOL}:61000`, `${REAL.address}:8080`)(request, frame);
    macs({ from: INSIDE_ARM.mac, to: REAL.mac })(request, frame);
    checksumsGood(request, frame);
    const answer = replyTcp(REAL, {
      ...{ destination: POOL, destinationPort: 61_000, flags: tcp.SYN | tcp.ACK },
    });
    const back = scene.receive(answer, { arm: INSIDE });
    expect(back.verdict).toBe('send 1');
    endpoints(`${NAT_VIP}:80`, `${host.address}:40000`)(answer, back.frame);
    macs({ from: INSIDE_ARM.mac, to: host.mac })(answer, back.frame);
    ttlOneLess(answer, back.frame);
    checksumsGood(answer, back.frame);
  });

  test('without a pool is sent on as it is: the answer then takes the way that routes give it', () => {
    const scene = makeScene();
    const request = natTcp({ ...SYN, ...fromReal(OTHER) });
    const { verdict, frame } = scene.receive(request, { arm: INSIDE });
    expect(verdict).toBe('send 1');
    endpoints(`${OTHER.address}:40000`, `${REAL.address}:8080`)(request, frame);
  });

  test('a client elsewhere is seen by its own address, pool or not', () => {
    const scene = makeScene({ pool: ONE_PORT });
    const request = natTcp(SYN);
    const { frame } = scene.receive(request);
    endpoints('198.51.100.7:40000', `${REAL.address}:8080`)(request, frame);
  });
});

describe('traffic between two VIPs of one director', () => {
  test('a NAT real asks the VIP of the DSR service', () => {
    const scene = makeScene();
    const request = dsrTcp({ ...SYN, ...fromReal(OTHER) });
    const { verdict, frame } = scene.receive(request, { arm: INSIDE });
    expect(verdict).toBe('send 0');
    macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS[0]!.mac })(request, frame);
    onlyMacsChanged(request, frame);
  });

  test('a DSR real asks the VIP of the NAT service, and is answered by it', () => {
    const scene = makeScene();
    const client = DSR_REALS[1]!;
    const request = natTcp({ ...SYN, sourceMac: client.mac, source: client.address });
    expect(scene.receive(request, { arm: OUTSIDE }).verdict).toBe('send 1');
    const answer = replyTcp(REAL, { destination: client.address, flags: tcp.SYN | tcp.ACK });
    const back = scene.receive(answer, { arm: INSIDE });
    expect(back.verdict).toBe('send 0');
    macs({ from: OUTSIDE_ARM.mac, to: client.mac })(answer, back.frame);
    endpoints(`${NAT_VIP}:80`, `${client.address}:40000`)(answer, back.frame);
  });

  test('a DSR real that answers as the VIP to a NAT VIP is a client like any other', () => {
    const scene = makeScene();
    const request = natTcp({ ...SYN, sourceMac: DSR_REALS[0]!.mac, source: DSR_VIP });
    expect(scene.receive(request, { arm: OUTSIDE }).verdict).toBe('send 1');
  });
});

test('NAT leaves the padding of a short frame alone, and no checksum counts it', () => {
  const scene = makeScene();
  const bare = natTcp(SYN);
  const request = new Uint8Array(60).fill(0xee);
  request.set(bare);
  const { verdict, frame } = scene.receive(request);
  expect(verdict).toBe('send 1');
  checksumsGood(request, frame);
  expect([...frame.subarray(bare.length)]).toEqual([...request.subarray(bare.length)]);
});

describe('the director makes', () => {
  const TAG = 0x8100_600a | 0;
  const ownTags = (scene: Scene, frame: Uint8Array, more: Parameters<Scene['receive']>[1] = {}) => {
    scene.director.tag = TAG;
    return scene.receive(frame, more).own.map(({ tag }) => tag);
  };

  test('an ICMP error, with the tag of the packet that it speaks of', () => {
    expect(ownTags(makeScene(), natTcp({ ...SYN, timeToLive: 1 }))).toEqual([TAG]);
    const long = { payload: new Uint8Array(1600), dontFragment: true };
    const scene = makeScene();
    scene.receive(natUdp());
    expect(ownTags(scene, natUdp(long))).toEqual([TAG]);
  });

  test('pieces, with the tag of the packet that was cut', () => {
    const long = { payload: new Uint8Array(1600), dontFragment: false };
    expect(ownTags(makeScene(), natUdp(long))).toEqual([TAG, TAG]);
  });

  test('of a held fragment its copy, with the tag that it came with', () => {
    const scene = makeScene();
    const [first, later] = cutUp(natUdp({ payload: new Uint8Array(40) }), [24]);
    scene.director.tag = TAG;
    expect(scene.receive(later!).verdict).toBe('taken');
    scene.director.tag = 0;
    expect(scene.receive(first!).own.map(({ tag }) => tag)).toEqual([TAG]);
    expect(scene.director.tag).toBe(0);
  });

  test('a tagged frame four bytes longer, its tag between the addresses and the type', () => {
    const frame = dsrTcp();
    const tagged = withTag(frame, TAG);
    expect([...tagged.subarray(0, 12)]).toEqual([...frame.subarray(0, 12)]);
    expect([...tagged.subarray(12, 16)]).toEqual([0x81, 0x00, 0x60, 0x0a]);
    expect([...tagged.subarray(16)]).toEqual([...frame.subarray(12)]);
  });
});

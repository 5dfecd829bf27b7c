// DSR, packet by packet: whatever the packet is, the two MAC addresses change and nothing else.
import { describe, expect, test } from 'vitest';
import * as tcp from '../../src/wire/tcp.ts';
import { macs, onlyMacsChanged } from './checks.ts';
import { opened, requested } from './moved.ts';
import { type PacketCase, testPackets } from './packet-table.ts';
import { DSR_REALS, dsrTcp, dsrUdp, makeScene, OUTSIDE_ARM, type Scene } from './scene.ts';

const toReal = (index: number) => macs({ from: OUTSIDE_ARM.mac, to: DSR_REALS[index]!.mac });
const open = (scene: Scene) => void scene.receive(dsrTcp({ flags: tcp.SYN }));
/** No operation, three times, and the end of the list. */
const IP_OPTIONS = Uint8Array.of(1, 1, 1, 0);

type Sent = Pick<PacketCase, 'name' | 'frame' | 'partial' | 'segmentBytes'>;

/** The first packet of a flow, to the first real of a service. */
const first = (realId: number, { name, frame, ...rest }: Sent): PacketCase => ({
  ...{ name, frame, ...rest },
  verdict: 'send 0',
  checks: [onlyMacsChanged, toReal(0)],
  moved: opened(realId, frame.length),
});

/** A packet of the flow that `open` made. */
const later = ({ name, frame, ...rest }: Sent): PacketCase => ({
  ...{ name, frame, before: open, ...rest },
  verdict: 'send 0',
  checks: [onlyMacsChanged, toReal(0)],
  moved: requested(0, frame.length),
});

/** A frame on Ethernet has 60 bytes at least. */
const padded = (frame: Uint8Array) => {
  const whole = new Uint8Array(60).fill(0xee);
  whole.set(frame);
  return whole;
};

testPackets([
  first(0, { name: 'TCP: a SYN', frame: dsrTcp({ flags: tcp.SYN }) }),
  later({ name: 'TCP: an ACK', frame: dsrTcp() }),
  later({ name: 'TCP: data', frame: dsrTcp({ payload: new Uint8Array(700).fill(1) }) }),
  later({ name: 'TCP: a FIN', frame: dsrTcp({ flags: tcp.FIN | tcp.ACK }) }),
  later({ name: 'TCP: a RST', frame: dsrTcp({ flags: tcp.RST }) }),
  later({ name: 'TCP: a SYN again', frame: dsrTcp({ flags: tcp.SYN }) }),
  later({ name: 'TCP: options of its own', frame: dsrTcp({ options: new Uint8Array(40) }) }),
  first(2, { name: 'UDP', frame: dsrUdp({ payload: Uint8Array.of(1, 2, 3) }) }),
  first(2, { name: 'UDP without data', frame: dsrUdp() }),
  first(0, { name: 'IP options', frame: dsrTcp({ flags: tcp.SYN, ipOptions: IP_OPTIONS }) }),
  later({ name: 'Ethernet padding stays as it came', frame: padded(dsrTcp()) }),
  later({ name: 'a TTL of 1: DSR is no hop', frame: dsrTcp({ timeToLive: 1 }) }),
  later({
    name: 'a super-frame of 64 KB with a partial checksum',
    frame: dsrTcp({ payload: new Uint8Array(65_400).fill(7), partialChecksum: true }),
    partial: true,
    segmentBytes: 1448,
  }),
]);

describe('a flow by DSR', () => {
  test('stays with its real, while others go to the next', () => {
    const scene = makeScene();
    const to = (frame: Uint8Array) => scene.receive(frame).frame.slice(0, 6).join();
    const mine = to(dsrTcp({ flags: tcp.SYN }));
    const other = to(dsrTcp({ flags: tcp.SYN, sourcePort: 40_001 }));
    expect(other).not.toBe(mine);
    for (const flags of [tcp.ACK, tcp.ACK | tcp.PSH, tcp.FIN | tcp.ACK, tcp.ACK]) {
      expect(to(dsrTcp({ flags }))).toBe(mine);
      expect(to(dsrTcp({ flags, sourcePort: 40_001 }))).toBe(other);
    }
  });

  test('knows the answers of its real not: they go another way, and here they are passed', () => {
    const scene = makeScene();
    open(scene);
    const answer = dsrTcp({
      ...{ source: '192.0.2.80', sourcePort: 80, destination: '198.51.100.7' },
      ...{ destinationPort: 40_000, flags: tcp.SYN | tcp.ACK },
    });
    expect(scene.receive(answer).verdict).toBe('pass');
  });
});

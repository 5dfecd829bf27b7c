// A flood that waits in the ring: whoever opens a connection meanwhile must be remembered until its
// handshake is through, though all that waits before its last packet is new as well. The memory
// datapath takes turns among its arms as the ring does; here it is kept as full as a ring is.
import { describe, expect, test } from 'vitest';
import { arpFrame } from '../../lab/frame.ts';
import { createLoop } from '../../src/control/run-batch.ts';
import { openMemory } from '../../src/datapath/memory.ts';
import { counterBytes, wrapCounters } from '../../src/director/counters.ts';
import * as arp from '../../src/wire/arp.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  ARMS,
  CLIENT,
  DSR_REALS,
  dsrTcp,
  type Host,
  INSIDE,
  INSIDE_ARM,
  NAT_REALS,
  natTcp,
  OUTSIDE,
  OUTSIDE_ARM,
  replyTcp,
  standardServices,
  tableOf,
} from '../packets/scene.ts';

const ROOM = { arms: 2, services: 8, reals: 16 };
const SLOTS = 512;
const CLIENT_PORT = 999;
const { SYN, ACK } = tcp;

type Method = 'dsr' | 'nat';

/** A director whose outer ring is kept full by a flood, with reals that answer. */
function underFlood(method: Method, maximumHalfOpen: number) {
  const datapath = openMemory(ARMS);
  const counters = wrapCounters(new ArrayBuffer(counterBytes(ROOM)), ROOM);
  const table = tableOf(standardServices());
  const flows = { maximumFlows: 65_536, maximumHalfOpen };
  const loop = createLoop({ datapath, table, counters, ...flows, nowMs: 0, post: () => {} });
  const introduce = (host: Host, to: Host, arm: number) => {
    const pair = { sourceMac: host.mac, destinationMac: to.mac, senderAddress: host.address };
    datapath.put(arpFrame({ ...pair, operation: arp.REPLY, targetAddress: to.address }), arm);
  };
  for (const host of DSR_REALS) introduce(host, OUTSIDE_ARM, OUTSIDE);
  for (const host of NAT_REALS) introduce(host, INSIDE_ARM, INSIDE);
  while (loop.turn(0) > 0);
  datapath.sent.splice(0);

  const request = method === 'dsr' ? dsrTcp : natTcp;
  const outside = datapath.counters[OUTSIDE]!;
  let put = outside.receivedFrames;
  let forged = 0;
  const arrive = (frame: Uint8Array) => {
    put++;
    datapath.put(frame, OUTSIDE);
  };
  const fill = () => {
    while (put - outside.receivedFrames < SLOTS) {
      const source = `203.0.${forged >>> 8}.${forged & 255}`;
      arrive(request({ flags: SYN, source, sourcePort: 7 }));
      forged++;
    }
  };
  /** What reached the client's end, or the real's, of its connection, by the flags. */
  const seen: number[] = [];
  const look = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer);
    const [source, destination] = [view.getUint16(34), view.getUint16(36)];
    const flags = view.getUint8(47);
    if (source === CLIENT_PORT || destination === CLIENT_PORT) seen.push(flags);
    if (method === 'dsr' || flags !== SYN) return;
    const real = NAT_REALS.find(({ address }) => address.endsWith(`.${bytes[33]}`))!;
    const answer = { destination: bytes.subarray(26, 30).join('.'), destinationPort: source };
    datapath.put(replyTcp(real, { flags: SYN | ACK, ...answer }), INSIDE);
  };
  return {
    send: (flags: number) => {
      arrive(request({ flags, source: CLIENT, sourcePort: CLIENT_PORT }));
    },
    /** Takes batches until these flags were seen, or four ringfuls have passed. */
    until: (flags: number) => {
      for (let turn = 0; turn < 4 * (SLOTS / 64) && !seen.includes(flags); turn++) {
        fill();
        loop.turn(0);
        for (const { bytes } of datapath.sent.splice(0)) look(bytes);
      }
      return seen.includes(flags);
    },
    fill,
  };
}

/** Whether a client that opens a connection amid the flood gets its last packet to the real. */
function connects(method: Method, maximumHalfOpen: number): boolean {
  const { fill, send, until } = underFlood(method, maximumHalfOpen);
  fill();
  send(SYN);
  if (!until(method === 'dsr' ? SYN : SYN | ACK)) return false;
  fill();
  send(ACK);
  return until(ACK);
}

describe.each<Method>(['dsr', 'nat'])('a connection by %s amid a flood', (method) => {
  test('is lost where no more half-open flows are remembered than wait in the ring', () => {
    expect(connects(method, SLOTS)).toBe(false);
  });

  test('is made where it is twice as many, as `check` asks for', () => {
    expect(connects(method, 2 * SLOTS)).toBe(true);
  });
});

// The source pool beside a model of Maps: under any traffic two living flows to one real never
// share a source, each reply finds its own client, and a port is refused only where all are taken.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatIpv4 } from '../../src/wire/address.ts';
import * as tcp from '../../src/wire/tcp.ts';
import {
  INSIDE,
  makeScene,
  NAT_REALS,
  natTcp,
  natUdp,
  replyTcp,
  type Scene,
  standardServices,
} from '../packets/scene.ts';

const ADDRESSES = ['10.0.0.200', '10.0.0.201'];
const SERVICES = standardServices().map((service) =>
  service.method === 'nat' ? ({ ...service, method: 'fullnat' } as const) : service,
);

const poolOf = (portCount: number) => ({ addresses: ADDRESSES, firstPort: 60_000, portCount });
const scene = (portCount: number): Scene =>
  makeScene({ services: SERVICES, pool: poolOf(portCount), maximumFlows: 512 });

interface Ends {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

function endsOf(frame: Uint8Array): Ends {
  const view = new DataView(frame.buffer, frame.byteOffset);
  return {
    ...{ source: formatIpv4(view.getInt32(26)), sourcePort: view.getUint16(34) },
    ...{ destination: formatIpv4(view.getInt32(30)), destinationPort: view.getUint16(36) },
  };
}

/** A living flow of the model: where its client is, and whom its real sees. */
interface Living {
  readonly client: string;
  readonly port: number;
  readonly seen: Ends;
  isHalfOpen: boolean;
  expiresMs: number;
}

const step = fc.record({
  client: fc.integer({ min: 1, max: 4 }).map((last) => `198.51.100.${last}`),
  port: fc.integer({ min: 1000, max: 1007 }),
  kind: fc.constantFrom('syn', 'syn', 'syn', 'syn', 'reply', 'ack', 'ack', 'pass'),
});

/** SYN_RECV, as long as no more than a SYN has come. */
const HALF_OPEN_MS = 60_000;
const ESTABLISHED_MS = 900_000;

describe('the pool', () => {
  test('gives no source twice, and takes every reply to its client', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.integer({ min: 1, max: 6 }), run),
      { numRuns: 200 },
    );
  });

  function run(steps: readonly { client: string; port: number; kind: string }[], ports: number) {
    const on = scene(ports);
    const living = new Map<string, Living>();
    for (const { client, port, kind } of steps) {
      const { nowMs } = on.director;
      for (const [key, flow] of living) if (flow.expiresMs <= nowMs) living.delete(key);
      if (kind === 'pass') on.director.nowMs += 25_000;
      else if (kind === 'syn') open(on, living, { client, port, ports });
      else if (kind === 'ack') establish(on, living.get(`${client}:${port}`));
      else answer(on, living.get(`${client}:${port}`));
    }
  }

  function open(
    on: Scene,
    living: Map<string, Living>,
    { client, port, ports }: { client: string; port: number; ports: number },
  ) {
    const key = `${client}:${port}`;
    const { verdict, frame } = on.receive(
      natTcp({ source: client, sourcePort: port, flags: tcp.SYN }),
    );
    const known = living.get(key);
    const all = [...living.entries()];
    const countTo = (real: string, flows: readonly Living[]) =>
      flows.filter(({ seen }) => seen.destination === real).length;
    if (verdict === 'drop no-source-port') {
      expect(known).toBeUndefined();
      const held = [...living.values()].filter(({ isHalfOpen }) => !isHalfOpen);
      const fullest = Math.max(...NAT_REALS.map(({ address }) => countTo(address, held)));
      expect(fullest).toBe(ports * ADDRESSES.length);
      return;
    }
    expect(verdict).toBe('send 1');
    const seen = endsOf(frame);
    if (known !== undefined) {
      expect(seen).toEqual(known.seen);
      known.expiresMs = on.director.nowMs + (known.isHalfOpen ? HALF_OPEN_MS : ESTABLISHED_MS);
      return;
    }
    expect(ADDRESSES).toContain(seen.source);
    expect(seen.sourcePort - 60_000).toBeLessThan(ports);
    const taken = all.find(([, other]) => JSON.stringify(other.seen) === JSON.stringify(seen));
    if (taken !== undefined) {
      // Only where there was no other, and only of one that nobody has finished opening.
      expect(taken[1].isHalfOpen).toBe(true);
      expect(countTo(seen.destination, [...living.values()])).toBe(ports * ADDRESSES.length);
      living.delete(taken[0]);
    }
    const expiresMs = on.director.nowMs + HALF_OPEN_MS;
    living.set(key, { client, port, seen, isHalfOpen: true, expiresMs });
  }

  function establish(on: Scene, flow: Living | undefined) {
    if (flow === undefined) return;
    const { client: source, port: sourcePort } = flow;
    expect(on.receive(natTcp({ source, sourcePort })).verdict).toBe('send 1');
    flow.isHalfOpen = false;
    flow.expiresMs = on.director.nowMs + ESTABLISHED_MS;
  }

  function answer(on: Scene, flow: Living | undefined) {
    if (flow === undefined) return;
    const { seen } = flow;
    const real = NAT_REALS.find(({ address }) => address === seen.destination)!;
    const reply = replyTcp(real, {
      ...{ destination: seen.source, destinationPort: seen.sourcePort },
      flags: tcp.SYN | tcp.ACK,
    });
    const { verdict, frame } = on.receive(reply, { arm: INSIDE });
    expect(verdict).toBe('send 0');
    const { destination, destinationPort } = endsOf(frame);
    expect([destination, destinationPort]).toEqual([flow.client, flow.port]);
    // SYN_RECV lives for another minute after each packet of either side.
    flow.expiresMs = on.director.nowMs + (flow.isHalfOpen ? HALF_OPEN_MS : ESTABLISHED_MS);
  }

  const SYN = (port: number) => natTcp({ sourcePort: port, flags: tcp.SYN });

  /** Two reals in turn: one port for each of them. */
  const onePort = () =>
    makeScene({
      services: SERVICES,
      pool: { addresses: ['10.0.0.200'], firstPort: 60_000, portCount: 1 },
    });

  test('is used up by established flows, and a closed one gives way', () => {
    const on = onePort();
    for (const port of [1, 2]) {
      expect(on.receive(SYN(port)).verdict).toBe('send 1');
      on.receive(natTcp({ sourcePort: port }));
    }
    expect(on.receive(SYN(3)).verdict).toBe('drop no-source-port');
    expect(on.receive(natTcp({ sourcePort: 1, flags: tcp.RST })).verdict).toBe('send 1');
    const verdicts = [4, 5].map((port) => on.receive(SYN(port)).verdict);
    expect(verdicts.sort()).toEqual(['drop no-source-port', 'send 1']);
  });

  test('is not barred by half-open connections, but by exchanges of UDP that may be answered', () => {
    const on = onePort();
    const syns = [1, 2, 3, 4].map((port) => on.receive(SYN(port)).verdict);
    expect(syns).toEqual(['send 1', 'send 1', 'send 1', 'send 1']);
    expect(on.receive(natTcp({ sourcePort: 1 })).verdict).toBe('drop no-flow');
    const udp = [1, 2, 3].map((port) => on.receive(natUdp({ sourcePort: port })).verdict);
    expect(udp).toEqual(['send 1', 'send 1', 'drop no-source-port']);
  });

  test('gives a client the same address again, and the same port to the same flow', () => {
    const on = scene(1000);
    const first = endsOf(on.receive(SYN(1)).frame);
    expect(endsOf(on.receive(SYN(2)).frame).source).toBe(first.source);
    on.receive(natTcp({ sourcePort: 1, flags: tcp.RST }));
    on.director.nowMs += 20_000;
    expect(endsOf(on.receive(SYN(1)).frame).source).toBe(first.source);
  });
});

// IPv6 as people use it: pings in pieces, traceroute, datagrams in pieces, and path MTU discovery
// through a director that must not cut anything. The packet tables show each packet by itself; here
// kernels and programs of others take part.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Director, startDirector } from '../../lab/hosts/director.ts';
import { runIperf3, startIperf3 } from '../../lab/hosts/iperf3.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR6 } from '../../lab/topologies/dsr6.ts';
import { FULLNAT6 } from '../../lab/topologies/fullnat6.ts';
import { NAT6 } from '../../lab/topologies/nat6.ts';
import { addressOf, realsOf } from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';
import { reassembled } from './reassembled.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'traceroute']);
/** Of the network behind the director. */
const NARROW_MTU = 1400;
const DATAGRAM_BYTES = 4000;

describe.skipIf(reason !== undefined).each([
  ['dsr', DSR6],
  ['nat', NAT6],
  ['fullnat', FULLNAT6],
] as const)(`IPv6 by %s${reason ? `: ${reason}` : ''}`, (method, topology) => {
  let lab: Lab;
  let director: Director;
  const { vip } = topology;

  const run = async (...argv: string[]) => {
    const output = await lab.exec('client', argv, { onFailure: 'return', timeoutMs: 60_000 });
    return output.stdout + output.stderr;
  };

  beforeAll(async () => {
    lab = await buildTopology(topology);
    for (const real of realsOf(topology)) {
      await startNginx(lab, real.name);
      await startIperf3(lab, real.name, real.loopback[0] ?? addressOf(real));
    }
    if (method !== 'dsr') {
      const narrow = ['ip', 'link', 'set', 'eth1', 'mtu', String(NARROW_MTU)];
      await lab.exec('director', narrow);
    }
    director = await startDirector(lab, topology, { datapath: 'ring' });
  });
  afterAll(() => lab?.close());

  it.each([56, DATAGRAM_BYTES])('answers pings of %i bytes', async (bytes) => {
    const output = await run('ping', '-6', '-n', '-c3', '-i0.2', `-s${bytes}`, vip);
    expect(output).toContain(' 0% packet loss');
  });

  it('brings datagrams of 4,000 bytes whole', async () => {
    const reals = realsOf(topology);
    const send = async () => {
      const before = await reassembled(lab, reals, 6);
      await runIperf3(lab, {
        ...{ host: 'client', address: vip, protocol: 'udp', seconds: 5 },
        ...{ bitsPerSecond: 8_000_000, payloadBytes: DATAGRAM_BYTES, bytes: 100 * DATAGRAM_BYTES },
      });
      return (await reassembled(lab, reals, 6)) - before;
    };
    // iperf3 gives up when it is told that a datagram was too long; then it knows how long.
    await send().catch(() => undefined);
    expect(await until('datagrams', send, { intervalMs: 200 })).toBeGreaterThanOrEqual(100);
  });

  it('lets an upload through', async () => {
    const bytes = 20_000_000;
    const result = await runIperf3(lab, { host: 'client', address: vip, bytes, seconds: 20 });
    expect(result.receivedBytes).toBeGreaterThan(bytes / 2);
  });

  it.runIf(method !== 'dsr')('tells the client of the narrow network behind it', async () => {
    expect(await run('ip', '-6', 'route', 'get', vip)).toContain(`mtu ${NARROW_MTU}`);
    const { totals, drops } = (await director.status()) as {
      totals: Record<string, number>;
      drops: Record<string, number>;
    };
    expect(drops['too-big']).toBeGreaterThan(0);
    expect(totals.ownErrors).toBeGreaterThan(0);
  });

  it.runIf(method !== 'dsr')('is a hop of its own for traceroute', async () => {
    const output = await run('traceroute', '-6', '-n', '-T', '-p80', '-q1', '-w2', vip);
    const hops = output.split('\n').slice(1);
    expect(hops[0]).toContain('2001:db8::2');
    expect(hops[1]).toContain(vip);
  });
});

// A client that is far away, for real: path MTU discovery, traceroute and fragments through a
// director, each by the programs that a user would take, and the captures show which way the ICMP
// errors went.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Recorder, startRecorder } from '../../lab/capture/record.ts';
import { curl } from '../../lab/hosts/curl.ts';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { runIperf3, startIperf3 } from '../../lab/hosts/iperf3.ts';
import { startNginx, WEB_FILES } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { readPcap } from '../../lab/pcap/read-pcap.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import {
  DEEP_MTU,
  DEEP_NAT_VIP,
  FAR_CLIENT,
  FAR_DSR_VIP,
  FAR_FULLNAT_VIP,
  FAR_NAT_VIP,
  FAR_POOL,
  farClientConfig,
  NARROW_MTU,
} from '../../lab/topologies/far-client.ts';
import {
  addressOf,
  hostNamed,
  realsOf,
  SWITCH,
  switchPort,
} from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';
import { formatIpv4, formatMac } from '../../src/wire/address.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as tcp from '../../src/wire/tcp.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'traceroute']);
const VIPS = [FAR_DSR_VIP, FAR_NAT_VIP, DEEP_NAT_VIP, FAR_FULLNAT_VIP];
const CLIENT = addressOf(hostNamed(FAR_CLIENT, 'client'));
const DIRECTOR = addressOf(hostNamed(FAR_CLIENT, 'director'));
/** The router before the narrow network, as the director's side sees it. */
const CORE = '198.51.100.1';
const TOO_BIG = 'icmp[0] = 3 and icmp[1] = 4';
const DATAGRAM_BYTES = 4000;

/** What an ICMP error says, as from whom, to whom, and of which packet. */
interface Told {
  readonly from: string;
  readonly mac: string;
  readonly to: string;
  readonly mtu: number;
  readonly quotes: string;
}

function readTold(frame: Uint8Array): Told {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const l4 = 14 + ipv4.headerBytes(view, 14);
  const quote = l4 + icmp.HEADER_BYTES;
  const ports = quote + ipv4.headerBytes(view, quote);
  const end = (address: number, port: number) => `${formatIpv4(address)}:${port}`;
  return {
    from: formatIpv4(ipv4.source(view, 14)),
    mac: formatMac(ethernet.destinationHigh(view, 0), ethernet.destinationLow(view, 0)),
    to: formatIpv4(ipv4.destination(view, 14)),
    mtu: icmp.nextHopMtu(view, l4),
    quotes:
      `${end(ipv4.source(view, quote), tcp.sourcePort(view, ports))} ` +
      `to ${end(ipv4.destination(view, quote), tcp.destinationPort(view, ports))}`,
  };
}

describe.skipIf(reason !== undefined).each(['ring', 'tc', 'cap'] as const)(
  `a far client by %s${reason ? `: ${reason}` : ''}`,
  (datapath) => {
    const directory = mkdtempSync(join(tmpdir(), 'furiwake-far-client-'));
    const recorders = new Map<string, Recorder>();
    let lab: Lab;
    let director: Director;

    async function record(host: string): Promise<void> {
      const recorder = await startRecorder({
        ...{ namespace: lab.namespaceOf(SWITCH), interface: switchPort(host, 'eth0') },
        ...{ file: join(directory, `${host}.pcap`), filter: TOO_BIG },
      });
      recorders.set(host, recorder);
    }

    /** Every "fragmentation needed" that arrived at a host. */
    async function toldTo(host: string): Promise<Told[]> {
      const report = await recorders.get(host)!.stop();
      const { frames } = await readPcap(report.file);
      const mac = hostNamed(FAR_CLIENT, host).arms[0]!.mac;
      return frames.map(({ bytes }) => readTold(bytes)).filter((told) => told.mac === mac);
    }

    const run = async (...argv: string[]) =>
      (await lab.exec('client', argv, { onFailure: 'return', timeoutMs: 60_000 })).stdout;

    beforeAll(async () => {
      lab = await buildTopology(FAR_CLIENT, { offloads: datapath === 'cap' ? 'off' : 'on' });
      for (const real of realsOf(FAR_CLIENT)) {
        await startNginx(lab, real.name);
        await startIperf3(lab, real.name, real.loopback[0] ?? addressOf(real));
      }
      const text = (socket: string) => farClientConfig(socket, datapath);
      director = await startDirectorWith(lab, FAR_CLIENT, text);
      for (const host of ['r1', 'r2', 'r3', 'client']) await record(host);
    });
    afterAll(async () => {
      await Promise.all([...recorders.values()].map((recorder) => recorder.stop()));
      await lab?.close();
      rmSync(directory, { recursive: true });
    });

    it('lets a download through, from every real', async () => {
      for (const [index, vip] of [FAR_DSR_VIP, ...VIPS].entries()) {
        const url = `http://${vip}/1MiB`;
        const answer = await curl(lab, { host: 'client', url, localPort: 50_000 + index });
        expect(answer).toMatchObject({ ok: true, bytes: WEB_FILES['1MiB'] });
        expect(answer.real).toBe(['r1', 'r2', 'r3', 'r4', 'r3'][index]);
      }
    });

    it('lets an upload through, also where the narrow network is behind the director', async () => {
      for (const address of VIPS) {
        const bytes = 40_000_000;
        const result = await runIperf3(lab, { host: 'client', address, bytes, seconds: 20 });
        expect(result.receivedBytes, address).toBeGreaterThan(bytes / 2);
      }
    });

    it.each(['upload', 'download'] as const)(
      'brings datagrams of 4,000 bytes whole: %s',
      async (direction) => {
        const send = (address: string) =>
          runIperf3(lab, {
            ...{ host: 'client', address, direction, protocol: 'udp', seconds: 10 },
            ...{ bytes: 400_000, payloadBytes: DATAGRAM_BYTES, bitsPerSecond: 8_000_000 },
          });
        for (const address of VIPS) {
          // iperf3 gives up when it is told that a datagram was too long; then it knows how long.
          await send(address).catch(() => undefined);
          const { lost, receivedBytes } = await send(address);
          // A download's sender goes on while the word of the end is under way: iperf3 counts that
          // as lost. The last test sees that the director dropped nothing.
          if (direction === 'upload') expect([address, lost]).toEqual([address, 0]);
          else expect(receivedBytes, address).toBeGreaterThanOrEqual(400_000);
        }
      },
    );

    it('answers pings of 4,000 bytes, and long ones that must not be cut', async () => {
      for (const vip of VIPS) {
        expect(await run('ping', '-c3', '-i0.2', '-s4000', vip)).toContain(' 0% packet loss');
      }
      const fits = NARROW_MTU - 28;
      expect(await run('ping', '-c1', '-Mdo', `-s${fits}`, FAR_NAT_VIP)).toContain('1 received');
      const tooLong = await run('ping', '-c1', '-Mdo', `-s${fits + 1}`, FAR_NAT_VIP);
      expect(tooLong).toMatch(/mtu ?= ?1400/);
    });

    it('shows itself in a traceroute through NAT, and not by DSR', async () => {
      const hops = async (...argv: string[]) => {
        const lines = (await run('traceroute', '-n', '-N1', '-w2', ...argv)).split('\n').slice(1);
        return lines.flatMap((line) => /^ *\d+ +([\d.]+|\*)/.exec(line)?.[1] ?? []);
      };
      const routers = ['203.0.113.1', '100.64.0.2'];
      const byTcp = ['-T', '-p', '80'];
      expect(await hops(...byTcp, FAR_NAT_VIP)).toEqual([...routers, DIRECTOR, FAR_NAT_VIP]);
      const fullnat = [...routers, DIRECTOR, FAR_FULLNAT_VIP];
      expect(await hops(...byTcp, FAR_FULLNAT_VIP)).toEqual(fullnat);
      expect(await hops(...byTcp, FAR_DSR_VIP)).toEqual([...routers, FAR_DSR_VIP]);
      // The router behind the director speaks as from the VIP, and so does a real without a server.
      const deep = [...routers, DIRECTOR, DEEP_NAT_VIP, DEEP_NAT_VIP];
      expect(await hops(...byTcp, DEEP_NAT_VIP)).toEqual(deep);
      expect(await hops('-U', '-p', '5201', DEEP_NAT_VIP)).toEqual(deep);
    });

    it('brought each error to the one that it speaks of, as the captures show', async () => {
      for (const [index, host] of ['r1', 'r2'].entries()) {
        const told = await toldTo(host);
        expect(told).toContainEqual({
          ...{ from: CORE, to: FAR_DSR_VIP, mtu: NARROW_MTU },
          mac: hostNamed(FAR_CLIENT, host).arms[0]!.mac,
          quotes: `${FAR_DSR_VIP}:80 to ${CLIENT}:${50_000 + index}`,
        });
        // None that speaks of the other's connection.
        expect(told.filter(({ quotes }) => quotes.endsWith(`:${50_001 - index}`))).toEqual([]);
      }
      const [mac, to] = [hostNamed(FAR_CLIENT, 'r3').arms[0]!.mac, '10.77.0.13'];
      const quotes = `${to}:80 to ${CLIENT}:50002`;
      const atR3 = await toldTo('r3');
      // From the director, whose outer arm is narrower than its inner one; then from afar.
      expect(atR3).toContainEqual({ from: '10.77.0.1', mac, to, mtu: 1500, quotes });
      expect(atR3).toContainEqual({ from: CORE, mac, to, mtu: NARROW_MTU, quotes });
      // By fullnat the client's network is the pool's address to the real, and speaks as such.
      const standIn = { mac, to, quotes: expect.stringMatching(`${to}:80 to ${FAR_POOL}:`) };
      expect(atR3).toContainEqual({ from: '10.77.0.1', mtu: 1500, ...standIn });
      expect(atR3).toContainEqual({ from: FAR_POOL, mtu: NARROW_MTU, ...standIn });
      // From a router behind the director, which the client hears as from the VIP.
      const deep = (await toldTo('client')).filter(({ mtu }) => mtu === DEEP_MTU);
      const heard = deep.filter(({ quotes: text }) => text.includes(` to ${DEEP_NAT_VIP}:5201`));
      expect(heard.length).toBeGreaterThan(0);
      for (const told of heard) expect(told).toMatchObject({ from: DEEP_NAT_VIP, to: CLIENT });
      // What the director's kernel forwards as it came speaks of packets that no client sent.
      const forwarded = deep.filter((told) => !heard.includes(told));
      for (const told of forwarded) expect(told).toMatchObject({ from: '10.77.0.2', to: CLIENT });
      for (const told of forwarded) expect(told.quotes).toContain(' to 10.88.0.14:5201');
    });

    it('counted all that, and dropped nothing else', async () => {
      // A child process posts its counters now and then.
      const status = await until('the counters of the traceroute', async () => {
        const now = await director.status();
        return now.drops['ttl-expired'] !== undefined && now;
      });
      expect(status.totals.relayedErrors).toBeGreaterThan(3);
      expect(status.totals.ownErrors).toBeGreaterThan(3);
      expect(Object.keys(status.drops).sort()).toEqual(['too-big', 'ttl-expired']);
    });
  },
);

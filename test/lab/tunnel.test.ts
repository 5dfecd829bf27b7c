// Tunnels for real: reals in other subnets, whose kernels have no tunnel device, answer curl and
// iperf3 through `furiwake decap`. What the director sends is read from captures, by this project's
// own code and by tshark; path MTU discovery finds its way through routers on both sides.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Recorder, startRecorder } from '../../lab/capture/record.ts';
import { curl } from '../../lab/hosts/curl.ts';
import { startDecap } from '../../lab/hosts/decap.ts';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { runIperf3, startIperf3 } from '../../lab/hosts/iperf3.ts';
import { startNginx, WEB_FILES } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import type { Daemon } from '../../lab/net/processes.ts';
import { readPcap } from '../../lab/pcap/read-pcap.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import {
  addressOf,
  hostNamed,
  inUrl,
  realsOf,
  SWITCH,
  switchPort,
} from '../../lab/topologies/topology.ts';
import { tunnelConfig, tunnelLab, WEST_MTU } from '../../lab/topologies/tunnel.ts';
import { until } from '../../lab/wait.ts';
import type { DecapCounts } from '../../src/control/decap.ts';
import { rawSocketProblem } from '../../src/linux/raw-socket-unsafe.ts';
import { formatIpv4, formatIpv6 } from '../../src/wire/address.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { innerOfGue, packetBytes } from '../../src/wire/tunnel.ts';

const reason = whyNoLab([...ALL_PROGRAMS]) ?? rawSocketProblem();
const GUE_BYTES = 12;
const WEB = 80;

interface Packet {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly bytes: Uint8Array;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function packetAt(bytes: Uint8Array, at: number): Packet {
  const view = viewOf(bytes);
  const packet = bytes.slice(at, at + packetBytes(view, at));
  if (ipv6.isAt(view, at)) {
    const addresses = [ipv6.SOURCE_OFFSET, ipv6.DESTINATION_OFFSET];
    const [from, to] = addresses.map((offset) => formatIpv6(ipv6.addressAt(view, at + offset)));
    return { from: from!, to: to!, protocol: ipv6.nextHeader(view, at), bytes: packet };
  }
  const [from, to] = [ipv4.source(view, at), ipv4.destination(view, at)].map(formatIpv4);
  return { from: from!, to: to!, protocol: ipv4.protocol(view, at), bytes: packet };
}

/** The packet within a tunnel's. */
function innerOf({ bytes, protocol }: Packet): Packet {
  const view = viewOf(bytes);
  const header = ipv6.isAt(view, 0) ? 40 : 20;
  return packetAt(bytes, protocol === 17 ? innerOfGue(view, header + 8, bytes.length) : header);
}

/** What differs from family to family. */
const FAMILIES = {
  4: { header: 20, within: 4, isIp: 'ip', isTold: 'icmp[0] = 3 and icmp[1] = 4', word: 'ip' },
  6: { header: 40, within: 41, isIp: 'ip6', isTold: 'icmp6 and ip6[40] == 2', word: 'ipv6' },
} as const;

describe.skipIf(reason !== undefined).each([
  [4, 'ring'],
  [4, 'cap'],
  [6, 'ring'],
  [6, 'cap'],
] as const)(
  `reals behind tunnels of IPv%i by %s${reason ? `: ${reason}` : ''}`,
  (number, datapath) => {
    const family = FAMILIES[number];
    const plan = tunnelLab(number);
    const TUNNEL = plan.network;
    const VIPS = [plan.vips.ipip, plan.vips.gue] as const;
    const aheadOf = (vip: string) => family.header + (vip === plan.vips.gue ? GUE_BYTES : 0);
    const CLIENT = addressOf(hostNamed(TUNNEL, 'client'));
    const DIRECTOR = addressOf(hostNamed(TUNNEL, 'director'));
    const directory = mkdtempSync(join(tmpdir(), 'furiwake-tunnel-'));
    const decaps: Daemon[] = [];
    let lab: Lab;
    let director: Director;

    const recordAt = (host: string, filter: string): Promise<Recorder> =>
      startRecorder({
        ...{ namespace: lab.namespaceOf(SWITCH), interface: switchPort(host, 'eth0') },
        ...{ file: join(directory, `${host}.pcap`), filter },
      });

    beforeAll(async () => {
      lab = await buildTopology(TUNNEL, { offloads: datapath === 'cap' ? 'off' : 'on' });
      await lab.ip('director', [`route add ${plan.westRoute}`]);
      for (const { name } of realsOf(TUNNEL)) {
        await startNginx(lab, name);
        decaps.push(await startDecap(lab, name, VIPS));
      }
      for (const vip of VIPS) await startIperf3(lab, 'r2', vip);
      director = await startDirectorWith(lab, TUNNEL, (socket) =>
        tunnelConfig(plan, socket, datapath),
      );
    });
    afterAll(async () => {
      await lab?.close();
      rmSync(directory, { recursive: true });
    });

    it('finds the routers that lead to them', async () => {
      const { services } = await director.status();
      const reals = services[0]!.reals.map((real) => [real.address, real.gateway, real.neighbour]);
      expect(reals).toEqual(
        [0, 1].map((index) => [plan.reals[index], plan.routers[index], 'resolved']),
      );
    });

    it('answers curl from both, past the director, the inner packets as the client sent them', async () => {
      const atDirector = await recordAt('director', family.isIp);
      for (const vip of VIPS) {
        const seen = new Set<string | undefined>();
        for (let time = 0; time < 4; time++) {
          const answer = await curl(lab, { host: 'client', url: `http://${inUrl(vip)}/64KiB` });
          expect(answer).toMatchObject({ ok: true, bytes: WEB_FILES['64KiB'] });
          seen.add(answer.real);
        }
        expect([...seen].sort()).toEqual(['r1', 'r2']);
      }
      const { file } = await atDirector.stop();
      const { frames } = await readPcap(file);
      const packets = frames.map(({ bytes }) => packetAt(bytes, 14));
      const requests = packets.filter(({ from, to }) => from === CLIENT && to !== CLIENT);
      const isTunnels = ({ protocol }: Packet) => protocol === family.within || protocol === 17;
      const outer = packets.filter((packet) => packet.from === DIRECTOR && isTunnels(packet));
      expect(requests.length).toBeGreaterThan(20);
      const hex = ({ bytes }: Packet) => Buffer.from(bytes).toString('hex');
      // A capture on a veth sees checksums that no device has finished yet.
      const finished = ({ bytes }: Packet) => {
        const copy = Buffer.from(bytes);
        copy.fill(0, family.header + 16, family.header + 18);
        return copy.toString('hex');
      };
      const compared = datapath === 'cap' ? hex : finished;
      // Sorted: on the way between two processors the kernel itself may swap two packets.
      expect(outer.map(innerOf).map(compared).sort()).toEqual(requests.map(compared).sort());
      for (const { to } of outer) expect(plan.reals).toContain(to);
      // No answer comes back this way.
      const answers = packets.filter(
        ({ from, protocol }) => (VIPS as readonly string[]).includes(from) && protocol === 6,
      );
      expect(answers).toEqual([]);
      const checks = ['ip.check_checksum', 'udp.check_checksum'];
      const checked = checks.flatMap((option) => ['-o', `${option}:TRUE`]);
      const tshark = (filter: string) =>
        execFileSync('tshark', ['-r', file, ...checked, '-Y', filter], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        })
          .split('\n')
          .filter((line) => line !== '').length;
      const ipip = outer.filter(({ protocol }) => protocol !== 17).length;
      const { word, within } = family;
      const carries = number === 4 ? `ip.proto == ${within}` : `ipv6.nxt == ${within}`;
      const toVip = `${word}.dst == ${plan.vips.ipip}`;
      expect(tshark(`${carries} && ${toVip} && tcp.dstport == ${WEB}`)).toBe(ipip);
      expect(tshark('udp.dstport == 6080 && udp.length > 12')).toBe(outer.length - ipip);
      expect(tshark('ip.checksum.status == 0 || udp.checksum.status == 0')).toBe(0);
      // UDP over IPv6 has a checksum, and a good one.
      if (number === 6) expect(tshark('udp.checksum.status == 1')).toBe(outer.length - ipip);
    });

    it('takes uploads, and tells the client how long its packets may be', async () => {
      const atClient = await recordAt('client', family.isTold);
      for (const address of VIPS) {
        const bytes = 20_000_000;
        const result = await runIperf3(lab, { host: 'client', address, bytes, seconds: 20 });
        expect(result.receivedBytes, address).toBeGreaterThan(bytes / 2);
      }
      const { file } = await atClient.stop();
      const { frames } = await readPcap(file);
      const told = frames.map(({ bytes }) => ({
        mtu: viewOf(bytes).getUint16(14 + family.header + 6),
        about: packetAt(bytes, 14 + family.header + 8).to,
      }));
      for (const vip of VIPS) {
        // By the director's own arm, and by the router before the narrow network.
        expect(told).toContainEqual({ mtu: 1500 - aheadOf(vip), about: vip });
        expect(told).toContainEqual({ mtu: WEST_MTU - aheadOf(vip), about: vip });
      }
    });

    it('brings datagrams in pieces whole', async () => {
      for (const address of VIPS) {
        const send = () =>
          runIperf3(lab, {
            ...{ host: 'client', address, protocol: 'udp', seconds: 10 },
            ...{ bytes: 100_000, payloadBytes: 4000, bitsPerSecond: 4_000_000 },
          });
        // iperf3 gives up when it is told that a datagram was too long; then it knows how long.
        await send().catch(() => undefined);
        const { lost } = await until(`datagrams to ${address}`, send, { intervalMs: 200 });
        expect([address, lost]).toEqual([address, 0]);
      }
    });

    it('counted all that, and decap refused nothing', async () => {
      const { totals, drops } = await director.status();
      expect(totals.relayedErrors).toBeGreaterThan(0);
      if (datapath === 'ring') expect(totals.segmentedFrames).toBeGreaterThan(0);
      expect(Object.keys(drops).filter((name) => name !== 'too-big')).toEqual([]);
      for (const decap of decaps) {
        await decap.stop();
        const last = readFileSync(decap.outputFile, 'utf8').trim().split('\n').at(-1)!;
        const { counts } = JSON.parse(last) as { counts: DecapCounts };
        expect(counts.ipipPackets).toBeGreaterThan(10);
        expect(counts.guePackets).toBeGreaterThan(10);
        expect(counts.deliveredPackets).toBe(counts.ipipPackets + counts.guePackets);
        expect(Object.values(counts.refused)).toEqual([0, 0, 0, 0]);
      }
    });
  },
);

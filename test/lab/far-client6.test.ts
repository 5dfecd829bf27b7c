// A client that is far away, over IPv6: every Packet Too Big finds the real whose packet it speaks
// of, so downloads, uploads and long datagrams pass a network that is narrower than both ends.
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
import { whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import {
  FAR_CLIENT6,
  FAR6_DSR_VIP,
  FAR6_FULLNAT_VIP,
  FAR6_NAT_VIP,
  FAR6_POOL,
  farClient6Config,
  NARROW_MTU6,
} from '../../lab/topologies/far-client6.ts';
import {
  addressOf,
  hostNamed,
  realsOf,
  SWITCH,
  switchPort,
} from '../../lab/topologies/topology.ts';
import { dissect } from '../../lab/verify/dissect.ts';

const reason = whyNoLab();
const VIPS = [FAR6_DSR_VIP, FAR6_NAT_VIP, FAR6_FULLNAT_VIP];
const CLIENT = addressOf(hostNamed(FAR_CLIENT6, 'client'));
const CORE = '2001:db8:3::1';
const TOO_BIG = 'ip6[6] == 58 and ip6[40] == 2';

describe.skipIf(reason !== undefined).each(['ring', 'cap'] as const)(
  `a far client over IPv6 by %s${reason ? `: ${reason}` : ''}`,
  (datapath) => {
    const directory = mkdtempSync(join(tmpdir(), 'furiwake-far-client6-'));
    const recorders = new Map<string, Recorder>();
    let lab: Lab;
    let director: Director;

    /** Every Packet Too Big that arrived at a host: from whom, of what MTU, of whose packet. */
    async function toldTo(host: string) {
      const report = await recorders.get(host)!.stop();
      const { frames } = await readPcap(report.file);
      const mac = hostNamed(FAR_CLIENT6, host).arms[0]!.mac;
      return frames
        .map((frame) => dissect({ file: host, offloads: 'on' }, frame))
        .filter((frame) => frame.destinationMac === mac)
        .map(({ bytes, packet }) => ({
          from: packet?.source,
          to: packet?.destination,
          mtu: new DataView(bytes.buffer, bytes.byteOffset).getUint32(58),
          checksum: packet?.checksum,
          quotes: packet?.icmp?.quoted,
        }));
    }

    beforeAll(async () => {
      lab = await buildTopology(FAR_CLIENT6, { offloads: datapath === 'cap' ? 'off' : 'on' });
      for (const real of realsOf(FAR_CLIENT6)) {
        await startNginx(lab, real.name);
        await startIperf3(lab, real.name, real.loopback[0] ?? addressOf(real));
      }
      const text = (socket: string) => farClient6Config(socket, datapath);
      director = await startDirectorWith(lab, FAR_CLIENT6, text);
      for (const host of ['r1', 'r2', 'r3']) {
        const recorder = await startRecorder({
          ...{ namespace: lab.namespaceOf(SWITCH), interface: switchPort(host, 'eth0') },
          ...{ file: join(directory, `${host}.pcap`), filter: TOO_BIG },
        });
        recorders.set(host, recorder);
      }
    });
    afterAll(async () => {
      await Promise.all([...recorders.values()].map((recorder) => recorder.stop()));
      await lab?.close();
      rmSync(directory, { recursive: true });
    });

    it('has joined the groups of its VIPs, as a switch that listens to MLD must hear', async () => {
      for (const arm of ['eth0', 'eth1']) {
        const argv = ['ip', '-6', 'maddress', 'show', 'dev', arm];
        const { stdout } = await lab.exec('director', argv);
        expect(stdout).toContain('inet6 ff02::1:ff00:99');
        expect(stdout).toContain('inet6 ff02::1:ff00:98');
        expect(stdout).toContain('inet6 ff02::1:ff00:97');
      }
    });

    it('lets a download through, from every real', async () => {
      for (const [index, vip] of [FAR6_DSR_VIP, ...VIPS].entries()) {
        const url = `http://[${vip}]/1MiB`;
        const answer = await curl(lab, { host: 'client', url, localPort: 50_000 + index });
        expect(answer).toMatchObject({ ok: true, bytes: WEB_FILES['1MiB'] });
        expect(answer.real).toBe(['r1', 'r2', 'r3', 'r3'][index]);
      }
    });

    it('lets an upload through', async () => {
      for (const address of VIPS) {
        const bytes = 20_000_000;
        const result = await runIperf3(lab, { host: 'client', address, bytes, seconds: 20 });
        expect(result.receivedBytes, address).toBeGreaterThan(bytes / 2);
      }
    });

    it('answers pings that are too long for the way, in pieces', async () => {
      for (const vip of VIPS) {
        const argv = ['ping', '-n', '-c3', '-i0.2', '-s4000', vip];
        const { stdout } = await lab.exec('client', argv, { onFailure: 'return' });
        expect(stdout).toMatch(/ [123] received/);
      }
    });

    it('brought each error to the real that it speaks of, as the captures show', async () => {
      const told = await Promise.all(['r1', 'r2', 'r3'].map(toldTo));
      for (const [index, errors] of told.slice(0, 2).entries()) {
        const quotes = { source: FAR6_DSR_VIP, sourcePort: 80, destination: CLIENT, protocol: 6 };
        expect(errors).toContainEqual({
          ...{ from: CORE, to: FAR6_DSR_VIP, mtu: NARROW_MTU6, checksum: 'good' },
          quotes: { ...quotes, destinationPort: 50_000 + index },
        });
        const ports = errors.map((error) => error.quotes?.destinationPort);
        expect(ports).not.toContain(50_001 - index);
      }
      const own = addressOf(hostNamed(FAR_CLIENT6, 'r3'));
      const quotes = { source: own, sourcePort: 80, destination: CLIENT, protocol: 6 };
      const about = { to: own, checksum: 'good', quotes: { ...quotes, destinationPort: 50_002 } };
      // From the director, whose outer arm is narrower than its inner one; then from afar.
      expect(told[2]).toContainEqual({ from: '2001:db8:4::1', mtu: 1500, ...about });
      expect(told[2]).toContainEqual({ from: CORE, mtu: NARROW_MTU6, ...about });
      // By fullnat the client's network is the pool's address to the real, and speaks as such.
      const toPool = { ...quotes, destination: FAR6_POOL, destinationPort: expect.any(Number) };
      const standIn = { ...about, quotes: toPool };
      expect(told[2]).toContainEqual({ from: '2001:db8:4::1', mtu: 1500, ...standIn });
      expect(told[2]).toContainEqual({ from: FAR6_POOL, mtu: NARROW_MTU6, ...standIn });
    });

    it('dropped nothing but what was too big', async () => {
      const { drops, totals } = await director.status();
      expect(Object.keys(drops).filter((name) => name !== 'too-big')).toEqual([]);
      expect(totals.relayedErrors).toBeGreaterThan(2);
    });
  },
);

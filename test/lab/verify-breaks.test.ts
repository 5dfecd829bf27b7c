// verify on labs that are set up wrongly: every break makes it fail with the right cause and host.
// Needs root and the lab's programs; the skipped suite says what is missing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { whyNoLab } from '../../lab/requirements.ts';
import type { TopologyName } from '../../lab/topologies/topology.ts';
import { verifyTopology } from '../../lab/verify/run-verify.ts';

const reason = whyNoLab();
const TIMEOUT_MS = 120_000;

describe.skipIf(reason !== undefined)(
  `verify on a broken lab${reason ? `: ${reason}` : ''}`,
  () => {
    let directory = '';
    const said: string[] = [];
    const say = (line: string) => said.push(line);

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'furiwake-verify-'));
      said.length = 0;
    });
    afterEach(() => rmSync(directory, { recursive: true }));

    it.each<[TopologyName, string, string, string[], string]>([
      ['dsr', 'no-vip-on-lo', 'vip-missing', ['r2'], 'ip addr add 192.0.2.100/32 dev lo'],
      ['dsr', 'arp-real', 'real-answers-arp', ['r2'], 'sysctl -w net.ipv4.conf.all.arp_ignore=1'],
      ['dsr', 'real-dead', 'server-dead', ['r2'], 'start the server of port'],
      ['dsr', 'bad-checksum', 'wrong-checksum', ['director'], 'a defect of the director'],
      ['nat', 'no-return-route', 'no-return-route', ['r1', 'r2', 'r3'], 'default via 10.77.0.1'],
      ['nat', 'real-dead', 'server-dead', ['r2'], 'start the server of port'],
      ['nat', 'bad-checksum', 'wrong-checksum', ['director'], 'a defect of the director'],
      ['dsr6', 'no-vip-on-lo', 'vip-missing', ['r2'], 'ip addr add 2001:db8::99/128 dev lo'],
      ['dsr6', 'ndp-real', 'real-answers-arp', ['r2'], 'ip addr del 2001:db8::99/128 dev eth0'],
      ['dsr6', 'bad-checksum', 'wrong-checksum', ['director'], 'a defect of the director'],
      ['nat6', 'no-return-route', 'no-return-route', ['r1', 'r2', 'r3'], 'default via fd77::1'],
      ['nat6', 'real-dead', 'server-dead', ['r2'], 'start the server of port'],
      ['fullnat', 'pool-taken', 'pool-taken', ['r2'], 'ip addr del 10.77.0.200/32 dev eth0'],
      ['fullnat', 'pool-unrouted', 'pool-unreachable', ['r1', 'r2', 'r3'], 'via 10.77.0.1'],
      ['fullnat', 'real-dead', 'server-dead', ['r2'], 'start the server of port'],
      ['fullnat6', 'pool-taken', 'pool-taken', ['r2'], 'ip addr del fd77::200/128 dev eth0'],
      ['fullnat6', 'pool-unrouted', 'pool-unreachable', ['r1', 'r2', 'r3'], 'via fd77::1'],
      ['fullnat6', 'bad-checksum', 'wrong-checksum', ['director'], 'a defect of the director'],
      ['ipip', 'no-decap', 'decap-missing', ['r2'], 'furiwake decap --vip 192.0.2.100'],
      ['gue', 'no-decap', 'decap-missing', ['r2'], 'furiwake decap --vip 192.0.2.100'],
      ['gue', 'rp-filter', 'tunnel-filtered', ['r2'], 'net.ipv4.conf.eth0.rp_filter=0'],
      ['ipip', 'real-dead', 'server-dead', ['r2'], 'start the server of port'],
      ['ipip6', 'no-decap', 'decap-missing', ['r2'], 'furiwake decap --vip 2001:db8::99'],
      ['ipip6', 'rp-firewall', 'tunnel-filtered', ['r2'], 'ip route add 2001:db8::2/128'],
    ])(
      '%s with %s: fails by %s of %j',
      async (topology, breakName, kind, hosts, mend) => {
        const options = { topology, breakName, keep: directory, quick: true } as const;
        const result = await verifyTopology({ ...options, datapath: 'ring' }, say);
        expect(result.holds).toBe(false);
        const found = result.diagnosis.filter((each) => each.kind === kind);
        expect(found.map((each) => each.host).sort()).toEqual(hosts);
        expect(result.diagnosis.length, JSON.stringify(result.diagnosis)).toBe(found.length);
        for (const each of found) expect(each.mend).toContain(mend);
        for (const each of found) expect(each.frames.length).toBeGreaterThan(0);
      },
      TIMEOUT_MS,
    );
  },
);

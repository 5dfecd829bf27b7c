// Floods from outside: hping3 sends SYNs and datagrams from addresses at random, then every place
// in a small flow table is taken by exchanges that are kept. Meanwhile a download goes on and new
// clients come; the counters say what the director did about each.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { curl } from '../../lab/hosts/curl.ts';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import type { Daemon } from '../../lab/net/processes.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { DSR } from '../../lab/topologies/dsr.ts';
import { NAT } from '../../lab/topologies/nat.ts';
import { addressOf, directorOf, realsOf } from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';
import { fetchFlows } from '../../src/control/api.ts';
import type { GlobalField } from '../../src/director/counters.ts';

const reason = whyNoLab([...ALL_PROGRAMS, 'hping3']);
const [FLOWS, HALF_OPEN] = [4096, 2048];
const PACKETS = 15_000;

const SCENES = [
  { topology: DSR, scheduler: 'maglev' },
  { topology: DSR, scheduler: 'rr' },
  { topology: NAT, scheduler: 'rr' },
] as const;

const name = ({ topology, scheduler }: (typeof SCENES)[number]) => `${topology.name} ${scheduler}`;

describe.skipIf(reason !== undefined).each(SCENES.map((scene) => [name(scene), scene] as const))(
  `floods: %s${reason ? `: ${reason}` : ''}`,
  (_, { topology, scheduler }) => {
    const { vip, method } = topology;
    let lab: Lab;
    let director: Director;
    /** It takes longer than everything here. */
    let download: Daemon;
    let oldPort: number;
    let oldReal: string;

    function config(socket: string): string {
      const reals = realsOf(topology).map((host) => addressOf(host));
      const service = { vip, method, scheduler, reals };
      const interfaces = directorOf(topology).arms.map((arm) => arm.name);
      const text = {
        ...{ interfaces, socket, flows: { maximum: FLOWS, halfOpenMaximum: HALF_OPEN } },
        services: {
          web: { ...service, port: 80 },
          log: { ...service, port: 514, protocol: 'udp' },
        },
      };
      return stringify(text, { aliasDuplicateObjects: false });
    }

    const run = async (...argv: string[]) =>
      (await lab.exec('client', argv, { onFailure: 'return', timeoutMs: 60_000 })).stdout;
    const hping = (...options: string[]) =>
      run('hping3', '-q', '-n', '--rand-source', '-i', 'u300', '-c', `${PACKETS}`, ...options, vip);
    const ask = () => curl(lab, { host: 'client', url: `http://${vip}/`, timeoutSeconds: 3 });
    const file = () => join(lab.directory, 'download');
    /** A director without time to run may lose one that waits in its ring behind the flood. */
    const answer = () =>
      until('an answer to a new client', async () => (await ask()).ok, { timeoutMs: 15_000 });
    const oldFlow = async () => {
      const flows = await fetchFlows(director.socket, FLOWS);
      return flows.find(({ clientPort }) => clientPort === oldPort);
    };
    const untilCounted = (field: GlobalField, least: number) =>
      until(`${field} of at least ${least}`, async () => {
        const status = await director.status();
        return status.totals[field] >= least && status;
      });

    beforeAll(async () => {
      lab = await buildTopology(topology);
      for (const real of realsOf(topology)) await startNginx(lab, real.name);
      director = await startDirectorWith(lab, topology, config);
      // curl with a limit pauses for seconds; this reads a little at a time.
      const request = `exec 3<>/dev/tcp/${vip}/80; printf 'GET /16MiB HTTP/1.0\\r\\n\\r\\n' >&3`;
      const script = `${request}; while head -c 32768 <&3 >> ${file()}; do sleep 0.1; done`;
      download = lab.spawn('client', { name: 'download', argv: ['bash', '-c', script] });
      const flow = await until('the download to begin', async () => {
        const [only] = await fetchFlows(director.socket, FLOWS);
        return only?.state === 'ESTABLISHED' && only;
      });
      oldPort = flow.clientPort;
      oldReal = flow.real;
    }, 60_000);
    afterAll(() => lab?.close());

    it('has room for new clients while SYNs flood in', async () => {
      const flood = hping('-S', '-p', '80');
      await untilCounted('evictedFlows', 1);
      for (let turn = 0; turn < 3; turn++) await answer();
      await flood;
      const { totals, drops } = await untilCounted('evictedFlows', PACKETS / 2);
      expect(totals.halfOpenFlows).toBeGreaterThan(0);
      expect(totals.halfOpenFlows).toBeLessThanOrEqual(HALF_OPEN);
      expect(totals.statelessPackets).toBe(0);
      expect(drops['flow-table-full']).toBeUndefined();
    }, 60_000);

    it('likewise while datagrams do', async () => {
      const before = (await director.status()).totals.evictedFlows;
      const flood = hping('-2', '-p', '514');
      await untilCounted('evictedFlows', before + 1);
      for (let turn = 0; turn < 3; turn++) await answer();
      await flood;
      const { totals } = await untilCounted('evictedFlows', before + PACKETS / 2);
      expect(totals.halfOpenFlows).toBeLessThanOrEqual(HALF_OPEN);
      expect((await oldFlow())?.real).toBe(oldReal);
    }, 60_000);

    it(`${method === 'dsr' ? 'serves' : 'refuses'} new clients when all places are kept`, async () => {
      // A second request keeps an exchange; a third, because an ICMP error may stop one of them.
      const exchange = `exec 3>/dev/udp/${vip}/514; for n in 1 2 3; do echo $n >&3; done`;
      await run('bash', '-c', `for i in {1..8000}; do ${exchange}; done 2>/dev/null`);
      await until('a full table without half-open flows', async () => {
        const { totals } = await director.status();
        return totals.activeFlows === FLOWS && totals.halfOpenFlows === 0;
      });
      const answers = [await ask(), await ask(), await ask()];
      expect(answers.map(({ ok }) => ok)).toEqual(Array(3).fill(method === 'dsr'));
      const { totals, drops } = await director.status();
      if (method === 'dsr') {
        // One client, whose hash leads to one real.
        expect(totals.statelessPackets).toBeGreaterThan(10);
        expect(drops['flow-table-full']).toBeUndefined();
      } else {
        expect(totals.statelessPackets).toBe(0);
        expect(drops['flow-table-full']).toBeGreaterThanOrEqual(3);
      }
      expect((await oldFlow())?.real).toBe(oldReal);
    }, 60_000);

    it('let the old connection live, at its real', async () => {
      const { size } = statSync(file());
      await until('more of the download', () => statSync(file()).size > size + 500_000, {
        giveUp: download.whyNot,
      });
      expect((await oldFlow())?.real).toBe(oldReal);
    });
  },
);

// An address leaves the source pool while a download goes by it: the download comes to its end,
// new connections get another address, and when nothing goes by the old one any more the director
// no longer answers for it. The reals forget all MAC addresses at once, so that they must ask.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Director, startDirectorWith } from '../../lab/hosts/director.ts';
import { startNginx, WEB_FILES } from '../../lab/hosts/nginx.ts';
import type { Lab } from '../../lab/net/lab.ts';
import { ALL_PROGRAMS, whyNoLab } from '../../lab/requirements.ts';
import { buildTopology } from '../../lab/topologies/build.ts';
import { FULLNAT } from '../../lab/topologies/fullnat.ts';
import { addressOf, hostNamed } from '../../lab/topologies/topology.ts';
import { until } from '../../lab/wait.ts';

const reason = whyNoLab(ALL_PROGRAMS);
const [OLD, NEW] = ['10.77.0.200', '10.77.0.201'];
const FILE = '16MiB';

function configFor(socket: string, pool: string): string {
  const reals = [addressOf(hostNamed(FULLNAT, 'r1'))];
  return stringify({
    ...{ interfaces: ['eth0', 'eth1'], socket, workers: 2 },
    timeouts: { timeWait: '1s', close: '1s', finWait: '1s', closeWait: '1s', lastAck: '1s' },
    sourcePool: { addresses: [pool] },
    services: { web: { vip: FULLNAT.vip, port: 80, method: 'fullnat', scheduler: 'rr', reals } },
  });
}

describe.skipIf(reason !== undefined)(`retired sources${reason ? `: ${reason}` : ''}`, () => {
  let lab: Lab;
  let director: Director;

  const reload = async (pool: string) => {
    writeFileSync(director.configFile, configFor(director.socket, pool));
    process.kill(director.daemon.pid, 'SIGHUP');
    await until('the reload', async () => {
      return (await director.status()).sourcePool?.addresses.includes(pool);
    });
  };
  /** Whether the director answers for an address, to a real that has to ask. */
  const isAnswered = async (address: string) => {
    await lab.ip('r1', ['neigh flush dev eth0']);
    // Beside a download that fills the queue of those who wait for the address one may be lost.
    const argv = ['ping', '-c4', '-i', '0.3', '-W2', address];
    return (await lab.exec('r1', argv, { onFailure: 'return' })).exitCode === 0;
  };
  const words = () => readFileSync(director.daemon.outputFile, 'utf8');

  beforeAll(async () => {
    lab = await buildTopology(FULLNAT);
    await startNginx(lab, 'r1');
    director = await startDirectorWith(lab, FULLNAT, (socket) => configFor(socket, OLD));
  }, 60_000);
  // What one of them leaves behind when it fails is not the next one's.
  afterEach(() => reload(OLD));
  afterAll(() => lab?.close());

  it('a download goes on to its end, and then the address is free', async () => {
    const url = `http://${FULLNAT.vip}/${FILE}`;
    const argv = ['curl', '-sS', '--limit-rate', '2M', '-o', '/dev/null', '-w', '%{size_download}'];
    const download = lab.spawn('client', { name: 'download', argv: [...argv, url] });
    await until('the download', async () => (await director.status()).sourcePool?.used === 1);
    await reload(NEW);
    expect((await director.status()).retiredSources).toEqual([OLD]);
    expect(await isAnswered(OLD)).toBe(true);
    // Whoever comes now is seen as somebody else.
    await lab.exec('client', ['curl', '-sS', '-m', '5', `http://${FULLNAT.vip}/?now`]);
    const log = join(lab.directory, 'r1-nginx', 'access.log');
    const line = await until('the line in the log', () => {
      return /^.*\?now .*$/m.exec(readFileSync(log, 'utf8'))?.[0];
    });
    expect(line).toContain(`${NEW}:`);
    expect((await download.ended()).code, download.lastWords()).toBe(0);
    expect(readFileSync(download.outputFile, 'utf8')).toBe(String(WEB_FILES[FILE]));

    await until(
      'the old address to be free',
      async () => (await director.status()).retiredSources === undefined,
      { timeoutMs: 60_000 },
    );
    expect(await isAnswered(OLD)).toBe(false);
    expect(await isAnswered(NEW)).toBe(true);
    expect(words()).toContain(`${OLD} left the sourcePool: answered for until`);
    expect(words()).toContain(`${OLD} is answered for no longer: no flow goes by it any more`);
  }, 180_000);

  it('another host that takes the address has it at once', async () => {
    await reload(NEW);
    expect((await director.status()).retiredSources).toEqual([OLD]);
    await lab.ip('r3', [`address add ${OLD}/24 dev eth0`]);
    try {
      await until('the director to let go', async () => {
        // Who knows the director's MAC address would not ask, and so not show itself.
        await lab.ip('r3', ['neigh flush dev eth0']);
        const argv = ['ping', '-c1', '-W1', '-I', OLD, '10.77.0.1'];
        await lab.exec('r3', argv, { onFailure: 'return' });
        return words().includes('has it now');
      });
      expect((await director.status()).retiredSources).toBeUndefined();
    } finally {
      await lab.ip('r3', [`address del ${OLD}/24 dev eth0`]);
    }
  }, 60_000);
});

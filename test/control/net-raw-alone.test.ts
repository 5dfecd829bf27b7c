// The director as the user nobody with CAP_NET_RAW and no other privilege, where the host forwards
// nothing: it answers and forwards all the same. With less it refuses, and says why.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeScene, type Scene, VIP, whyNoDirector } from './director-process.ts';

const reason = whyNoDirector();
const POLL = { timeout: 30_000 };
const NOBODY = 65534;
/** Bit 13 of include/uapi/linux/capability.h. */
const NET_RAW_ALONE = '0000000000002000';

/** A command that runs another one as nobody, with these capabilities and no way to more. */
const asNobody = (...capabilities: string[]): string[] => {
  const set = ['-all', ...capabilities.map((name) => `+${name}`)].join();
  return [
    ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'],
    ...[`--inh-caps=${set}`, `--ambient-caps=${set}`, `--bounding-set=${set}`],
  ];
};

describe.skipIf(reason !== undefined)(`with CAP_NET_RAW alone ${reason ?? ''}`, () => {
  let scene: Scene;
  beforeEach(() => {
    scene = makeScene();
    setForwarding(0);
  });
  afterEach(() => scene.remove());

  const setForwarding = (value: number) =>
    scene.wire.run(scene.wire.far, 'sysctl', '-qw', `net.ipv4.ip_forward=${value}`);

  test.each(['ring', 'cap'])(
    '%s answers for the VIP and forwards or counts every frame',
    async (datapath) => {
      const director = scene.direct({ datapath, prefix: asNobody('net_raw') });
      await director.sees('guard none (no CAP_NET_ADMIN)');
      const privileges = readFileSync(`/proc/${director.child.pid}/status`, 'utf8');
      expect(privileges).toMatch(new RegExp(`^Uid:\\s+${NOBODY}\\s`, 'm'));
      for (const set of ['CapEff', 'CapPrm', 'CapBnd']) {
        expect(privileges).toContain(`${set}:\t${NET_RAW_ALONE}`);
      }
      const ping = scene.wire.run(scene.wire.near, ...['ping', '-q', '-c', '1', '-W', '5', VIP]);
      expect(ping).toContain(' 0% packet loss');
      const flood = scene.flood({ rate: 2000, seconds: 0.5 });
      expect(await flood.ended).toBe(0);
      const { sentFrames } = JSON.parse(flood.output()) as { sentFrames: number };
      expect(sentFrames).toBeGreaterThan(0);
      // libpcap has room for 255 frames, which a machine that is busy elsewhere can outlast.
      const accounted = async () => {
        const { services, arms } = await scene.status();
        return services[0]!.requestPackets + arms[0]!.missedFrames;
      };
      await expect.poll(accounted, POLL).toBe(sentFrames);
      const { guard, totals, arms, services } = await scene.status();
      expect([guard, totals.droppedFrames]).toEqual(['none', 0]);
      expect(arms[0]!.failedFrames).toBe(0);
      expect(services[0]!.requestPackets).toBeGreaterThan(0);
      if (datapath === 'ring') expect(arms[0]!.missedFrames).toBe(0);
      director.child.kill('SIGTERM');
      expect(await director.ended).toBe(0);
    },
  );

  test('refuses where the host forwards, and without the capability', async () => {
    setForwarding(1);
    const forwards = scene.direct({ datapath: 'ring', prefix: asNobody('net_raw') });
    expect(await forwards.ended).toBe(2);
    expect(forwards.output()).toContain('eth0 forwards IPv4 packets');
    setForwarding(0);
    const powerless = scene.direct({ datapath: 'ring', prefix: asNobody() });
    expect(await powerless.ended).toBe(2);
    expect(powerless.output()).toContain('CAP_NET_RAW is missing');
  });

  test.each([
    ['the guard needs CAP_NET_ADMIN in the user namespace that owns', []],
    ['cannot open a packet socket', ['setpriv', '--bounding-set=-net_admin']],
  ])('refuses the powers of a user namespace that is not the network’s: %s', async (says, less) => {
    const director = scene.direct({ datapath: 'ring', prefix: ['unshare', '-Ur', ...less] });
    expect(await director.ended).toBe(2);
    expect(director.output()).toContain(says);
    expect(director.output()).not.toContain('    at ');
  });
});

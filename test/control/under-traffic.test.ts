// The whole director while frames come as fast as they can: its link goes and comes back, and it is
// stopped in the middle of all.
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeScene, type Scene, whyNoDirector } from './director-process.ts';

const reason = whyNoDirector();
const POLL = { timeout: 30_000 };
/** Longer than any test: the end of the scene ends it. */
const FOR_EVER_S = 3600;

describe.skipIf(reason !== undefined)(`the director under traffic ${reason ?? ''}`, () => {
  let scene: Scene;
  beforeEach(() => {
    scene = makeScene();
  });
  afterEach(() => scene.remove());

  const sentFrames = async () => (await scene.status()).totals.sentFrames;
  const setLink = (state: string) =>
    scene.wire.run(scene.wire.far, 'ip', 'link', 'set', 'eth0', state);
  const ruleset = () => scene.wire.run(scene.wire.far, 'nft', 'list', 'ruleset');

  async function sendsMoreThan(frames: number): Promise<void> {
    await expect.poll(sentFrames, POLL).toBeGreaterThan(frames);
  }

  test.each(['ring', 'tc', 'cap'])('%s: the link goes down and comes back', async (datapath) => {
    const director = scene.direct({ datapath });
    await director.sees('furiwake status');
    const flood = scene.flood({ rate: 20_000, seconds: FOR_EVER_S });
    await sendsMoreThan(1000);
    for (let round = 0; round < 2; round++) {
      setLink('down');
      await expect.poll(async () => (await scene.status()).arms[0]?.link, POLL).toBe('down');
      const before = await sentFrames();
      setLink('up');
      await expect.poll(async () => (await scene.status()).arms[0]?.link, POLL).toBe('up');
      await sendsMoreThan(before + 1000);
    }
    expect(director.output().match(/eth0 is down: waiting for it/g)).toHaveLength(2);
    expect(director.output().match(/eth0 is up again/g)).toHaveLength(2);
    expect(flood.child.exitCode).toBe(null);
    director.child.kill('SIGTERM');
    expect(await director.ended).toBe(0);
  });

  test.each(['ring', 'tc', 'cap'])('%s: SIGTERM in the middle of a flood', async (datapath) => {
    const director = scene.direct({ datapath });
    await director.sees('furiwake status');
    expect(ruleset()).toContain('table netdev furiwake_eth0');
    const flood = scene.flood({ rate: 0, seconds: FOR_EVER_S });
    await sendsMoreThan(5000);
    const before = await sentFrames();
    director.child.kill('SIGTERM');
    expect(await director.ended).toBe(0);
    expect(flood.child.exitCode).toBe(null);
    expect(director.output()).toContain('furiwake stopped after');
    const summed = /frames: (\d+) sent on/.exec(director.output())?.[1];
    expect(Number(summed)).toBeGreaterThanOrEqual(before);
    expect(director.output()).toContain('web: 128 flows');
    expect(ruleset()).toBe('');
    expect(existsSync(scene.socket)).toBe(false);
  });
});

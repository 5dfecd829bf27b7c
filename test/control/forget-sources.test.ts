// An address that left the source pool is given up once, whoever claims it how often.
import { expect, test } from 'vitest';
import type { RetiredSource } from '../../src/config/config.ts';
import { createForgetting } from '../../src/control/forget-sources.ts';

test('forgets an address once, and after a failure not again for a minute', async () => {
  let retired: RetiredSource[] = ['10.0.0.1', '10.0.0.2'].map((address) => {
    return { address, worker: 0 };
  });
  let problem: string | undefined = 'nft is gone';
  let now = 0;
  const turns: (() => Promise<void>)[] = [];
  const said: string[] = [];
  const forget = createForgetting({
    retired: () => retired,
    keepOnly: async (rest) => {
      if (problem === undefined) retired = [...rest];
      return problem;
    },
    inTurn: (change) => turns.push(change),
    nowMs: () => now,
    log: { event: (_, text) => said.push(text) },
  });
  const flood = async () => {
    for (let time = 0; time < 100; time++) forget(['10.0.0.1'], 'another host has it now');
    const { length } = turns;
    for (const turn of turns.splice(0)) await turn();
    return length;
  };
  expect([await flood(), await flood()]).toEqual([1, 0]);
  expect(said.splice(0)).toEqual(['10.0.0.1 is still ours: nft is gone']);
  now = 60_000;
  problem = undefined;
  expect(await flood()).toBe(1);
  expect(said).toEqual(['10.0.0.1 is answered for no longer: another host has it now']);
  expect(retired).toEqual([{ address: '10.0.0.2', worker: 0 }]);
});

// The scorecard: what must be true of each scheduler whatever the machine, how the table looks, and
// the command itself. Costs are measured, so all that is asked of them is that they are there.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PLAIN, WIDTH } from '../../src/cli/output.ts';
import { renderScorecard } from '../../src/cli/schedulers.ts';
import { makeScorecard, type Score } from '../../src/cli/scorecard.ts';
import { SCHEDULER_NAMES, type SchedulerName } from '../../src/schedule/scheduler.ts';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const scorecard = makeScorecard({ reals: 5, flows: 4000 });
const scoreOf = (name: SchedulerName): Score =>
  scorecard.schedulers.find((score) => score.name === name)!;

describe('the scorecard', () => {
  it('has every scheduler', () => {
    expect(scorecard.schedulers.map(({ name }) => name)).toEqual([...SCHEDULER_NAMES]);
    expect(scorecard).toMatchObject({ reals: 5, flows: 4000, destinations: 1000 });
  });

  it.each(SCHEDULER_NAMES)('has figures of %s that can be', (name) => {
    const { balance, moved, nanosecondsPerChoice } = scoreOf(name);
    for (const value of Object.values(balance)) {
      expect(value).toBeGreaterThanOrEqual(1);
      expect(value).toBeLessThanOrEqual(15);
    }
    for (const share of Object.values(moved)) {
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThanOrEqual(1);
    }
    expect(nanosecondsPerChoice).toBeGreaterThan(0);
  });

  it('finds those even that count, and those that look at weights even with mixed ones', () => {
    for (const name of ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'twos'] as const) {
      expect(scoreOf(name).balance.equalWeights).toBeLessThan(1.02);
    }
    for (const name of ['wrr', 'wlc', 'sed', 'twos'] as const) {
      expect(scoreOf(name).balance.mixedWeights).toBeLessThan(1.05);
    }
    // Weights of 100, 200, 300, 400 and 100: a fifth of all is twice the fair share of a light one.
    expect(scoreOf('rr').balance.mixedWeights).toBeCloseTo(2.2, 1);
    expect(scoreOf('fo').balance).toEqual({ equalWeights: 5, mixedWeights: 2.75 });
  });

  it('finds as few flows moved as can be with rendezvous, few more with maglev, most with sh', () => {
    const { leastMoved } = scorecard;
    expect(leastMoved.add).toBeCloseTo(1 / 6);
    expect(leastMoved.remove).toBeCloseTo(1 / 5);
    expect(leastMoved.reweight).toBeCloseTo(2 / 6 - 1 / 5);
    for (const change of ['add', 'remove', 'reweight'] as const) {
      const moved = (name: SchedulerName) => scoreOf(name).moved[change] / leastMoved[change];
      expect(Math.abs(moved('rendezvous') - 1)).toBeLessThan(0.15);
      expect(moved('maglev')).toBeLessThan(1.3);
      expect(moved('sh')).toBeGreaterThan(3);
    }
    expect(scoreOf('rr').moved.reweight).toBe(0);
  });

  it('finds who agrees', () => {
    const agree = (kind: Score['agree']) =>
      scorecard.schedulers.filter((score) => score.agree === kind).map(({ name }) => name);
    expect(agree('yes')).toEqual(['maglev', 'rendezvous']);
    expect(agree('same list')).toEqual(['sh', 'dh', 'fo']);
  });

  it('is the same again, but for the costs', () => {
    const plain = (card: typeof scorecard) =>
      card.schedulers.map((score) => ({ ...score, nanosecondsPerChoice: 0 }));
    expect(plain(makeScorecard({ reals: 5, flows: 4000 }))).toEqual(plain(scorecard));
  });
});

describe('its table', () => {
  const lines = renderScorecard(scorecard, PLAIN).split('\n');

  it('has a line for each scheduler, and one for what is least', () => {
    expect(lines[2]).toMatch(/^SCHEDULER +EQUAL +MIXED +ADD +REMOVE +REWEIGHT +AGREE +COST$/);
    const rows = lines.slice(3, 3 + SCHEDULER_NAMES.length);
    expect(rows.map((line) => line.split(' ')[0])).toEqual([...SCHEDULER_NAMES]);
    for (const row of rows) {
      expect(row).toMatch(/^\w+( +\d+\.\d\d){2}( +\d+\.\d %){3} {2}(yes|no|same list) +[\d,]+ ns$/);
    }
    expect(lines[3 + rows.length]).toMatch(/^the least +1\.00 +1\.00 +16\.7 % +20\.0 % +13\.3 %$/);
  });

  it('says what each does, and fits the width', () => {
    for (const { name, summary } of scorecard.schedulers) {
      expect(lines.join('\n').replaceAll(/\n {12}/g, ' ')).toContain(name.padEnd(12) + summary);
    }
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(WIDTH);
  });
});

describe('furiwake schedulers', () => {
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [MAIN, 'schedulers', ...words], { encoding: 'utf8' });

  it('prints the table', () => {
    const result = run('--reals', '2', '--flows', '1000');
    expect(result).toMatchObject({ status: 0, stderr: '' });
    expect(result.stdout).toContain('1,000 flows to 2 reals');
    expect(result.stdout).toContain('\nmaglev ');
  });

  it('prints JSON', () => {
    const result = run('--reals', '2', '--flows', '1000', '--json');
    expect(result).toMatchObject({ status: 0, stderr: '' });
    const card = JSON.parse(result.stdout);
    expect(card).toMatchObject({ reals: 2, flows: 1000 });
    expect(card.schedulers[0]).toMatchObject({ name: 'rr', balance: { equalWeights: 1 } });
  });
});

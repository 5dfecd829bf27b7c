// The page of `npm run bench -- scale`: its curves, what failed, and no claim of flows that were
// not open.
import { describe, expect, it } from 'vitest';
import { onlyOpen, type Scale, scaleTargets } from '../../lab/bench/scale.ts';
import { renderScale } from '../../lab/bench/scale-page.ts';
import type { Whole } from '../../lab/bench/scale-whole.ts';

const CONDITIONS = { date: '2026-11-22T13:04:00Z', kernel: '6.18.5', processor: 'one & only' };
const COUNTS = [1000, 1_000_000, 10_000_000];
const wholeOf = (opened: number): Whole => ({
  opened,
  points: COUNTS.map((flows, at) => ({ flows, runs: [2000 + 500 * at], rate: 100_000 })),
});
const all = wholeOf(9_950_000);
const few = onlyOpen(wholeOf(4_200_000));
const core = COUNTS.map((flows, at) => ({ flows, runs: [100 * (at + 1)], bytesPerFlow: 60 }));
const points = [10, 10_000].map((services) => ({ services, lookUpNs: [60], tableMs: [3] }));
const tables = { points, reals: 1000, maglevMs: [6] };
const NOTHING: Scale = {
  ...{ core: [], dsr: undefined, nat: undefined, tables: undefined, failures: [] },
};

const page = (scale: Partial<Scale>): string => renderScale({ ...NOTHING, ...scale }, CONDITIONS);
const pictures = (text: string): (string | undefined)[] =>
  [...text.matchAll(/<svg role="img" aria-label="([^"]+)"/g)].map(([, label]) => label);

describe('the page of many flows', () => {
  it('draws every curve, and asks for nothing outside itself', () => {
    const text = page({ core, dsr: all, nat: all, tables });
    expect(pictures(text)).toHaveLength(4);
    expect(text).not.toMatch(/https?:|<(script|link|img|iframe)\b/i);
    expect(text).toContain('by DSR 1.50 times with 10,000,000 flows what it is with 1,000');
    expect(text).toContain('By NAT 9,950,000 flows are open throughout');
    expect(text).toContain('one &amp; only');
  });

  it('says what was not measured and why, and draws the rest', () => {
    const failures = [{ part: 'whole packet by NAT', reason: 'no frame <arrived>' }];
    const text = page({ core, dsr: all, failures });
    expect(text).toContain('Not measured: whole packet by NAT');
    expect(text).toContain('no frame &lt;arrived&gt;');
    expect(pictures(text)).toHaveLength(2);
    expect(page({ failures })).toContain('was not measured');
    expect(pictures(page({ failures }))).toEqual([]);
  });

  it('claims nothing of flows that were not open', () => {
    expect(few.missing).toEqual([10_000_000]);
    expect(onlyOpen(all).missing).toEqual([]);
    const text = page({ dsr: few.kept });
    expect(text).not.toMatch(/ten million|10,000,000|10 million/i);
    expect(text).toContain('by DSR 1.25 times with 1,000,000 flows what it is with 1,000');
    expect(text).toContain('By DSR 4,200,000 flows are open throughout');
    expect(scaleTargets({ ...NOTHING, dsr: few.kept })).toEqual([]);
  });
});

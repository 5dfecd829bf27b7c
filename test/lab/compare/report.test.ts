// The page of a comparison: whole, safe, and true to its numbers. What it looks like is not tested
// here; that every picture is there is.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import picocolors from 'picocolors';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runReport } from '../../../lab/commands/report.ts';
import { renderWorkloads } from '../../../lab/compare/render-workloads.ts';
import type {
  CompareResult,
  MeasureName,
  PathName,
  PathResult,
  Sample,
  SqlPoint,
} from '../../../lab/compare/result.ts';
import { cacheRatios, sqlRatios, worstOf } from '../../../lab/compare/way-ratios.ts';
import { arrowsOf, widthOf } from '../../../lab/report/charts/flow-picture.ts';
import { ninesOf, shareOfNines } from '../../../lab/report/charts/latency.ts';
import { range, tick, withPrefix } from '../../../lab/report/figures.ts';
import { adviseFrom, LIMITS } from '../../../lab/report/guidance.ts';
import { besideThePage, html } from '../../../lab/report/html.ts';
import { renderReport } from '../../../lab/report/render-report.ts';
import { tsharkCommand } from '../../../lab/report/sections/evidence.ts';
import { summaryOf } from '../../../lab/report/summary.ts';
import { NOTHING, SAMPLE } from './sample-result.ts';

const PAGE = renderReport(SAMPLE);
const HOSTILE = `</style><script>alert("x")</script>&'`;

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

/** The sample, with one path changed. */
function withPath(name: PathName, change: (path: PathResult) => PathResult): CompareResult {
  const paths = SAMPLE.paths.map((path) => (path.name === name ? change(path) : path));
  return { ...SAMPLE, paths };
}

/** The sample, with all samples of one measure of a path changed. */
function withSamples(
  name: PathName,
  measure: MeasureName,
  change: (sample: Sample) => Sample,
): CompareResult {
  return withPath(name, (path) => {
    const found = path.measures[measure]!;
    const changed = { ...found, samples: found.samples.map(change) };
    return { ...path, measures: { ...path.measures, [measure]: changed } };
  });
}

const without = (name: PathName, measure: MeasureName): CompareResult =>
  withPath(name, (path) => {
    const { [measure]: _, ...measures } = path.measures;
    return { ...path, measures };
  });

const adviceOf = (result: CompareResult, title: string): string =>
  adviseFrom(result)
    .find((advice) => advice.title === title)!
    .sentences.join('\n');

describe('the page', () => {
  it('asks for nothing outside itself, and leads only to itself and to files beside it', () => {
    expect(PAGE).not.toMatch(/https?:|\/\/[a-z]|@import|url\((?!#)/i);
    expect(PAGE).not.toMatch(/<(script|link|img|iframe|object|embed)\b/i);
    const addresses = [...PAGE.matchAll(/\b(?:href|src)="([^"]*)"/g)].map(
      ([, address]) => address!,
    );
    expect(addresses.filter((address) => !/^(#|\.\/captures\/)/.test(address))).toEqual([]);
    expect(addresses).toContain('./captures/furiwake-dsr-ring/director-eth0.pcap');
  });

  it('has a heading for every entry of its contents', () => {
    const entries = [...PAGE.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id!);
    expect(entries.length).toBeGreaterThan(9);
    for (const id of entries) expect(PAGE).toContain(`<h2 id="${id}">`);
  });

  it('has every picture, each with a name of its own', () => {
    // 14 ways, six rates, two latencies, four costs, four of SQL, two of the cache, two soaks.
    expect(count(PAGE, /<svg\b/g)).toBe(14 + 6 + 2 + 4 + 4 + 2 + 2);
    const labels = [...PAGE.matchAll(/<svg role="img" aria-label="([^"]+)"/g)].map(([, l]) => l);
    expect(new Set(labels).size).toBe(34);
    const ids = [...PAGE.matchAll(/\bid="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('draws in colours of the page alone, so that both schemes and paper can be read', () => {
    // What a clip path is filled with is never seen.
    const visible = PAGE.replace(/<clipPath[\s\S]*?<\/clipPath>/g, '');
    const pictures = [...visible.matchAll(/<svg[\s\S]*?<\/svg>/g)].join('');
    const colours = [...pictures.matchAll(/(?:fill|stroke)="([^"]*)"/g)].map(([, each]) => each!);
    expect(colours.filter((each) => !/^(none|transparent|var\(--[\w-]+\))$/.test(each))).toEqual(
      [],
    );
    for (const [, variable] of pictures.matchAll(/var\((--[\w-]+)\)/g)) {
      expect(count(PAGE, new RegExp(`${variable}:#`, 'g'))).toBe(3);
    }
  });

  it('names every path, and says why one has no figures', () => {
    for (const { title } of SAMPLE.paths) expect(PAGE).toContain(`<th scope="row">${title}</th>`);
    expect(PAGE).toContain('Failed: did not come up: nginx: [emerg] bind()');
    expect(PAGE).toContain('Missing here: the kernel 6.18.5 has no IPVS');
    expect(PAGE).toMatch(/<sup>b<\/sup> HAProxy carries no UDP/);
    expect(PAGE).toContain('failed before all rounds were done: wrk: connection reset by peer');
  });

  it('gives medians with their number, the conditions, the files and the commands', () => {
    expect(PAGE).toMatch(/<b>24\.\d Gbit\/s<\/b>\s*<span class="spread">[\d.]+ to [\d.]+ Gbit\/s/);
    expect(PAGE).toContain('n 5');
    for (const text of ['Linux 6.18.5', 'cubic', 'haproxy 2.6.12', '2026-11-22 13:04 UTC']) {
      expect(PAGE).toContain(text);
    }
    expect(PAGE).toContain('option splice-auto');
    expect(PAGE).toContain('-Y frame.number==5 -V');
  });

  it('is the same for the same result', () => {
    expect(renderReport(SAMPLE)).toBe(PAGE);
  });

  it('renders a result in which nothing was measured', () => {
    const page = renderReport(NOTHING);
    expect(page).toContain('Nothing was measured in this run.');
    expect(page).toContain('Interrupted');
    expect(page).not.toContain('<svg');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    for (const { title } of NOTHING.paths) expect(page).toContain(title);
  });

  it('warns of a machine that had other work before it began', () => {
    const conditions = { ...SAMPLE.conditions, loadBefore: 8.4 };
    expect(renderReport({ ...SAMPLE, conditions })).toContain('The machine was busy');
    expect(PAGE).not.toContain('The machine was busy');
  });

  it('says for what no time was left, and which samples were taken again', () => {
    const page = renderReport({
      ...withPath('none', (path) => ({
        ...path,
        measures: {
          ...path.measures,
          upload: { ...path.measures.upload!, retried: ['iperf3: refused'] },
        },
      })),
      leftOut: ['SQL', 'Requests'],
    });
    expect(page).toContain('<b>No time was left</b>: for SQL and Requests.');
    expect(page).toContain('after the first attempt failed (iperf3: refused); such samples: 1');
    expect(PAGE).not.toMatch(/No time was left|first attempt/);
  });

  it('has no p99.9 of fewer than a thousand messages in a round', () => {
    const few = withSamples('none', 'latency-idle', (sample) => ({
      ...sample,
      latency: { ...sample.latency!, count: 999 },
    }));
    expect(renderReport(few)).toContain('A p99.9 needs 1,000 messages in every round.');
    expect(PAGE).not.toContain('A p99.9 needs');
  });

  it('calls evidence that was not tested no failure', () => {
    const untested = withPath('none', (path) => {
      const claims = path.evidence!.claims.map((claim) => ({
        ...claim,
        verdict: 'not-tested' as const,
      }));
      return { ...path, evidence: { ...path.evidence!, holds: false, claims } };
    });
    const page = renderReport(untested);
    expect(page).toContain('no balancer <span class="badge not-tested">not tested</span></h3>');
  });

  it('draws no point of a soak whose requests failed', () => {
    const [soak] = SAMPLE.soaks;
    const points = soak!.points.map((point) => ({ ...point, requestsPerSecond: null }));
    const result = { ...SAMPLE, soaks: [{ ...soak!, status: 'partly' as const, points }] };
    expect(renderReport(result)).toContain('<b>DSR in part</b>');
    const text = renderWorkloads(result, picocolors.createColors(false));
    expect(text).toMatch(/^dsr +partly +600 +2\.00 +– /m);
  });

  it('has no figure that is none', () => {
    expect(PAGE).not.toMatch(/NaN|undefined|Infinity/);
    const failed = { status: 'failed', reason: 'no room', points: [] } as const;
    const page = renderReport({
      ...SAMPLE,
      sql: { ...SAMPLE.sql!, ...failed },
      cache: { ...SAMPLE.cache!, ...failed },
      soaks: [{ method: 'dsr', drops: {}, ...failed }],
    });
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    expect(count(page, /<b>Failed<\/b>: no room/g)).toBe(2);
    expect(page).toContain('<b>DSR failed</b>: no room');
  });
});

describe('texts from outside', () => {
  it('become no tags, wherever they stand', () => {
    const bad = withPath('haproxy', (path) => ({
      ...path,
      title: HOSTILE,
      summary: HOSTILE,
      reason: HOSTILE,
      configs: [{ name: HOSTILE, text: HOSTILE, source: HOSTILE }],
      measures: { packets: { status: 'failed', reason: HOSTILE, samples: [] }, ...path.measures },
      evidence: {
        holds: false,
        captures: [HOSTILE],
        tsharkComplaints: [HOSTILE],
        claims: [
          { text: HOSTILE, verdict: 'fails', looked: 1, frames: [{ file: HOSTILE, frame: 1 }] },
        ],
      },
    }));
    const conditions = { ...SAMPLE.conditions, kernel: HOSTILE, versions: { [HOSTILE]: HOSTILE } };
    const drops = { [HOSTILE]: 3 };
    const soaks = SAMPLE.soaks.map((soak) => ({ ...soak, drops, reason: HOSTILE }));
    const page = renderReport({ ...bad, conditions, soaks, startedAt: HOSTILE });
    expect(page).not.toContain('<script');
    expect(count(page, /<\/style>/g)).toBe(1);
    expect(page).toContain('&lt;script&gt;');
  });

  it('are escaped in templates, and in links cannot leave the directory of the page', () => {
    expect(html`<p title="${'"'}">${['<', html`<b>`, null]}</p>`.text).toBe(
      '<p title="&quot;">&lt;<b></p>',
    );
    expect(besideThePage('javascript:alert(1)')).toBe('./javascript%3Aalert(1)');
    expect(besideThePage('captures/a b.pcap')).toBe('./captures/a%20b.pcap');
  });

  it('are one word each in commands', () => {
    expect(tsharkCommand('captures/x.pcap', [4])).toBe(
      'tshark -r captures/x.pcap -Y frame.number==4 -V',
    );
    expect(tsharkCommand("a 'b'", [1, 2])).toBe(
      `tshark -r 'a '\\''b'\\''' -Y 'frame.number==1 || frame.number==2' -V`,
    );
  });
});

describe('the guidance', () => {
  const scaled = (factor: number) => (sample: Sample) => ({
    ...sample,
    value: sample.value * factor,
  });

  it('speaks for DSR by downloads only if they are faster', () => {
    expect(adviceOf(SAMPLE, 'DSR')).toMatch(/answers are large: a download ran at 2[\d.]+ Gbit\/s/);
    const slow = withSamples('furiwake-dsr-ring', 'download', scaled(0.3));
    expect(adviceOf(slow, 'DSR')).toContain('Do not choose it for the speed of one download');
    const same = { ...slow, paths: slow.paths.map(withDownloadsOfNat) };
    expect(adviceOf(same, 'DSR')).toContain('does not decide here');
    expect(adviceOf(without('furiwake-nat-ring', 'download'), 'DSR')).not.toMatch(/download ran/);
  });

  function withDownloadsOfNat(path: PathResult): PathResult {
    if (path.name !== 'furiwake-dsr-ring') return path;
    const nat = SAMPLE.paths.find(({ name }) => name === 'furiwake-nat-ring')!;
    return { ...path, measures: { ...path.measures, download: nat.measures.download! } };
  }

  it('does not call it direct return if the answers crossed the director', () => {
    expect(adviceOf(SAMPLE, 'DSR')).toContain('sent on 0.0021 bytes by DSR, 1.00 by NAT');
    const crossed = withSamples('furiwake-dsr-ring', 'download', (sample) => {
      const bytes = sample.deliveredBytes!;
      return { ...sample, crossed: { ...sample.crossed, inBytes: bytes, outBytes: bytes } };
    });
    expect(adviceOf(crossed, 'DSR')).toContain('that is not direct return');
  });

  it('gives the worst point of the workloads, and leaves out what was not measured', () => {
    const { sql, cache, ...rest } = SAMPLE;
    const worst = worstOf(sqlRatios(sql!, 'dsr'))!;
    expect(adviceOf(SAMPLE, 'DSR')).toContain(
      `kept ${worst.spread.median.toFixed(2)} of its direct rate at worst, at ${worst.at} connections`,
    );
    const kernel = worstOf(sqlRatios(sql!, 'fwd'))!;
    expect(adviceOf(SAMPLE, 'DSR')).toContain(
      `; by the kernel’s own forwarding ${kernel.spread.median.toFixed(2)}, at ${kernel.at}.`,
    );
    expect(adviceOf(SAMPLE, 'DSR')).toContain('; by DSR its first second reached 0.9');
    expect(adviceOf(rest, 'DSR')).not.toMatch(/workload/);
    expect(adviceOf({ ...rest, cache: cache! }, 'DSR')).toMatch(/The cache workload kept 0\.9/);
  });

  it('takes the proxy that was measured, and says so if none was', () => {
    expect(adviceOf(SAMPLE, 'A proxy')).toMatch(
      /HAProxy reached 0\.\d\d times the new connections/,
    );
    const none = withPath('haproxy', (path) => ({ ...path, measures: {} }));
    expect(adviceOf(none, 'A proxy')).toContain('no proxy was measured in this run');
  });

  it('gives the price of NAT as far as it is known', () => {
    expect(adviceOf(SAMPLE, 'NAT')).toMatch(/kept 0\.7\d of the upload and 0\.7\d of the download/);
    const part = adviceOf(without('furiwake-nat-ring', 'upload'), 'NAT');
    expect(part).toMatch(/it kept 0\.7\d of the download without a balancer/);
  });

  it('speaks of reals elsewhere from the figures of full NAT and tunnels', () => {
    const advice = adviceOf(SAMPLE, 'Reals that stand elsewhere');
    expect(advice).toMatch(/full NAT .* reached 0\.9\d times the new connections, .* of NAT\./);
    expect(advice).toMatch(/sent on 0\.0021 by furiwake ipip and 0\.0021 by furiwake gue/);
    expect(advice).toMatch(/an upload ran at 2\d\d Mbit\/s by furiwake ipip and/);
    const crossed = withSamples('furiwake-gue', 'download', (sample) => {
      const bytes = sample.deliveredBytes!;
      return { ...sample, crossed: { ...sample.crossed, inBytes: bytes, outBytes: bytes } };
    });
    expect(adviceOf(crossed, 'Reals that stand elsewhere')).toContain('did cross the director');
  });

  it('holds against each limit what lifts it, or that it stays', () => {
    for (const { limit, today } of LIMITS) expect(PAGE, limit).toContain(today);
    const stays = LIMITS.filter(({ today }) => today.startsWith('Not lifted'));
    expect(stays.map(({ limit }) => /no answers|cookies|TLS|every real/.exec(limit)?.[0])).toEqual([
      ...['no answers', 'cookies', 'TLS', 'every real'],
    ]);
    expect(LIMITS.map(({ today }) => today).join()).not.toMatch(/Tunnels.*not there yet/);
  });

  it('says nothing from nothing', () => {
    expect(adviceOf(NOTHING, 'Reals that stand elsewhere')).toBe('');
    expect(adviceOf(NOTHING, 'DSR')).toBe('');
    expect(adviceOf(NOTHING, 'NAT')).toBe('');
  });

  it('sums up in the same figures', () => {
    const [dsr, nat] = summaryOf(SAMPLE);
    expect(dsr).toMatch(/^By DSR, furiwake downloads at 2[\d.]+ Gbit\/s, 0\.9\d of what/);
    expect(nat).toContain('sends 1.00 bytes through the director');
  });
});

describe('the pictures', () => {
  const few = { in: 0.0021, out: 0.0021 };
  const all = { in: 1.02, out: 1.01 };

  it('lead the data of a DSR download past the balancer, and nobody else’s', () => {
    expect(arrowsOf('dsr', 'download', few)).toEqual([
      { from: 'client', to: 'balancer', bytes: 0.0021 },
      { from: 'balancer', to: 'reals', bytes: 0.0021 },
      { from: 'reals', to: 'client', bytes: 1 - 0.0021 },
    ]);
    expect(arrowsOf('nat', 'download', all)).toEqual([
      { from: 'reals', to: 'balancer', bytes: 1.02 },
      { from: 'balancer', to: 'client', bytes: 1.01 },
    ]);
    expect(arrowsOf('none', 'upload', { in: 0, out: 0 })).toEqual([
      { from: 'client', to: 'reals', bytes: 1 },
    ]);
  });

  it('put into a pipe what goes through a tunnel, and the answers past it', () => {
    const wrapped = { from: 'balancer', to: 'reals', inTunnel: true };
    expect(arrowsOf('tunnel', 'download', few)[1]).toEqual({ ...wrapped, bytes: 0.0021 });
    expect(arrowsOf('tunnel', 'upload', all)).toEqual([
      { from: 'client', to: 'balancer', bytes: 1.02 },
      { ...wrapped, bytes: 1.01 },
      { from: 'reals', to: 'client', bytes: null },
    ]);
    // Answers that cross the director, which they should not, come in no tunnel.
    expect(arrowsOf('tunnel', 'download', all).filter(({ inTunnel }) => inTunnel)).toEqual([]);
  });

  it('follow the figures, whatever the path is called', () => {
    const crossed = arrowsOf('dsr', 'download', all);
    expect(crossed[0]).toEqual({ from: 'reals', to: 'balancer', bytes: 1.02 });
    expect(arrowsOf('dsr', 'upload', all)).toContainEqual({
      ...{ from: 'reals', to: 'client', bytes: null },
    });
    expect(arrowsOf('nat', 'upload', all)).toHaveLength(2);
    expect(widthOf(1)).toBeGreaterThan(widthOf(0.5));
    expect(widthOf(0.0021)).toBeGreaterThan(0);
  });

  it('give every nine the same room', () => {
    expect([0, 0.9, 0.99, 0.999].map((share) => Math.round(ninesOf(share) * 1e6) / 1e6)).toEqual([
      0, 1, 2, 3,
    ]);
    expect([0, 1, 2, 3, 4].map(shareOfNines)).toEqual(['0 %', '90 %', '99 %', '99.9 %', '99.99 %']);
  });
});

describe('figures', () => {
  it('have three digits, a prefix and a unit', () => {
    expect(withPrefix(9.806e9, 'bit/s')).toBe('9.81 Gbit/s');
    expect(withPrefix(999_700, '')).toBe('1.00 M');
    expect(withPrefix(19.24e-6, 's')).toBe('19.2 µs');
    expect(withPrefix(-0.0123, 's')).toBe('-12.3 ms');
    expect(withPrefix(0, 's')).toBe('0 s');
    expect([tick(10e9, 'bit/s'), tick(2500, ''), tick(100, '')]).toEqual([
      '10 Gbit/s',
      '2.5 k',
      '100',
    ]);
  });

  it('have their unit once in a range', () => {
    expect(range('24.9 Gbit/s', '26.0 Gbit/s')).toBe('24.9 to 26.0 Gbit/s');
    expect(range('982 µs', '1.02 ms')).toBe('982 µs to 1.02 ms');
    expect(range('982', '999')).toBe('982 to 999');
  });

  it('of workloads compare the same round and the same number', () => {
    const point = { p95Seconds: [], errors: 0, connections: 100 };
    const sql = {
      ...SAMPLE.sql!,
      points: [
        { ...point, path: 'direct' as const, queriesPerSecond: [100, 200] },
        { ...point, path: 'dsr' as const, queriesPerSecond: [90, 100, 1] },
        { ...point, path: 'dsr' as const, connections: 200, queriesPerSecond: [7] },
        // The first round of NAT failed.
        { ...point, path: 'nat' as const, rounds: [1], queriesPerSecond: [50] },
      ],
    };
    expect(sqlRatios(sql, 'nat')[0]!.spread).toMatchObject({ median: 0.25, count: 1 });
    expect(
      sqlRatios(sql, 'dsr').map(({ at, spread }) => [at, spread.median, spread.count]),
    ).toEqual([[100, 0.7, 2]]);
    expect(cacheRatios(SAMPLE.cache!, 'nat').map(({ at }) => at)).toEqual([1, 2, 3, 4]);
  });

  it('has the same ratios in the terminal: round by round, not of medians', () => {
    // Of medians it would be 0.80.
    const rounds = { direct: [10, 20, 30], dsr: [9, 16, 60] };
    const points = Object.entries(rounds).map(([path, queriesPerSecond]) => ({
      ...{ ...SAMPLE.sql!.points[0]!, path: path as 'direct' | 'dsr', connections: 100 },
      queriesPerSecond,
    }));
    const sql = { ...SAMPLE.sql!, points };
    const text = renderWorkloads({ ...SAMPLE, sql }, picocolors.createColors(false));
    expect(sqlRatios(sql, 'dsr')[0]!.spread.median).toBe(0.9);
    expect(text).toMatch(/^100 +20 +0\.90/m);
  });

  it('of workloads have a column for each way, with dashes where one was not measured', () => {
    const text = renderWorkloads(SAMPLE, picocolors.createColors(false));
    expect(text).toMatch(/^SQL: .* and shares +direct +dsr +nat +dsr-tc +nat-tc +fwd$/m);
    expect(text).toMatch(/^cache: .* and shares +direct +spread +dsr +nat +dsr-tc +nat-tc +fwd$/m);
    const has = ({ path, connections }: SqlPoint) => path !== 'fwd' || connections > 100;
    const points = SAMPLE.sql!.points.filter(has);
    const some = { ...SAMPLE, sql: { ...SAMPLE.sql!, points } };
    const rows = renderWorkloads(some, picocolors.createColors(false)).split('\n');
    expect(rows.find((row) => row.startsWith('100 '))).toMatch(/^100 +[\d,]+ +.* –$/);
    expect(renderReport(some)).toContain('Not measured.');
  });

  it('of workloads are counted where they are as good as wanted', () => {
    expect(PAGE).toContain('nft fwd kept 0.95 of the direct rate or better at 8 of 8 points.');
    expect(PAGE).toContain('DSR kept 0.90 of the direct rate or better at 4 of 4 points.');
  });
});

describe('furiwake lab report', () => {
  const directory = mkdtempSync(join(tmpdir(), 'furiwake-report-'));
  const file = join(directory, 'compare.json');
  const said = vi.spyOn(console, 'log').mockImplementation(() => {});

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
    said.mockClear();
  });

  it('draws the page beside the file, and refuses what is no comparison', () => {
    writeFileSync(file, JSON.stringify(SAMPLE));
    runReport({ file, out: undefined });
    expect(readFileSync(join(directory, 'report.html'), 'utf8')).toBe(PAGE);
    expect(said).toHaveBeenCalledWith(join(directory, 'report.html'));
    expect(() => runReport({ file, out: file })).toThrow('the file itself');
    writeFileSync(file, '{"format":"other"}');
    expect(() => runReport({ file, out: undefined })).toThrow(
      `${file}: found format other, allowed: furiwake-compare-1`,
    );
    writeFileSync(file, '{"format":"furiwake-compare-1","paths":[]}');
    expect(() => runReport({ file, out: undefined })).toThrow(
      `${file}: found no paths, soaks or conditions in it`,
    );
    expect(() => runReport({ file: `${file}.gone`, out: undefined })).toThrow('ENOENT');
  });
});

// The paragraph at the top: the few numbers that matter, and what is missing from this run.
import { ratioToNone, spreadOfValues, throughBalancer } from '../compare/derive.ts';
import type { CompareResult, PathName, PathResult } from '../compare/result.ts';
import { sqlRatios, worstOf } from '../compare/way-ratios.ts';
import { listed, measured, perByte, ratio } from './figures.ts';
import { measuredPaths, noneSamples, pathNamed, samplesOf } from './look-up.ts';

export function summaryOf(result: CompareResult): string[] {
  return [
    bulk(result, { name: 'furiwake-dsr-ring', word: 'DSR' }),
    bulk(result, { name: 'furiwake-nat-ring', word: 'NAT' }),
    workload(result),
    proofs(result),
    gaps(result),
  ].filter((sentence) => sentence !== undefined);
}

interface Named {
  readonly name: PathName;
  readonly word: string;
}

function bulk(result: CompareResult, { name, word }: Named): string | undefined {
  const samples = samplesOf(pathNamed(result, name), 'download');
  const rate = spreadOfValues(samples)?.median;
  if (rate === undefined) return undefined;
  const kept = ratioToNone(samples, noneSamples(result, 'download'))?.median;
  const crossed = throughBalancer(samples)?.out;
  const of = kept === undefined ? '' : `, ${ratio(kept)} of what it is without a balancer`;
  const through =
    crossed === undefined
      ? ''
      : `, and sends ${perByte(crossed)} bytes through the director for each byte delivered`;
  return `By ${word}, furiwake downloads at ${measured(rate, 'download')}${of}${through}.`;
}

function workload({ sql }: CompareResult): string | undefined {
  if (sql === undefined) return undefined;
  const [dsr, nat] = (['dsr', 'nat'] as const).map((way) => worstOf(sqlRatios(sql, way)));
  if (dsr === undefined || nat === undefined) return undefined;
  const [byDsr, byNat] = [dsr, nat].map(({ spread }) => ratio(spread.median));
  return `A read-only SQL workload keeps at least ${byDsr} of its direct rate by DSR and ${byNat} by NAT; the balancer of the talk kept 0.65 to 0.90.`;
}

function proofs(result: CompareResult): string | undefined {
  const judged = result.paths.flatMap(({ evidence }) => evidence ?? []);
  if (judged.length === 0) return undefined;
  const good = judged.filter(({ holds }) => holds).length;
  const which = good === judged.length ? `all ${good}` : `${good} of ${judged.length}`;
  return `Captures prove the way of the packets for ${which} paths that were recorded.`;
}

function gaps(result: CompareResult): string | undefined {
  const titles = (status: PathResult['status']) =>
    result.paths.filter((path) => path.status === status).map(({ title }) => title);
  const parts = [
    phrase(titles('missing'), 'missing on this machine'),
    phrase(titles('failed'), 'failed'),
    phrase(titles('not-run'), 'not run'),
  ].filter((part) => part !== undefined);
  if (measuredPaths(result).length === 0) return 'Nothing was measured in this run.';
  return parts.length === 0 ? undefined : `Not in the figures: ${parts.join('; ')}.`;
}

const phrase = (titles: readonly string[], what: string): string | undefined =>
  titles.length === 0 ? undefined : `${listed(titles)} (${what})`;

// How a verification is shown: what was sent, the claims with their evidence, the diagnosis, and
// where the captures are. Makes text; the command prints it.
import { type Colours, left, number, right, table, wrap } from '../../src/cli/output.ts';
import type { Claim, FrameReference } from './claim.ts';
import type { Diagnosis } from './diagnose.ts';
import type { Verification } from './run-verify.ts';

/** `client.pcap #12 -> director-eth0.pcap #13`. */
export const cite = (frames: readonly FrameReference[]): string =>
  frames.map(({ file, number: frame }) => `${file} #${frame}`).join(' -> ');

export function renderVerification(result: Verification, colours: Colours): string {
  const parts = [renderClaims(result.claims, colours)];
  const damage = renderDamage(result, colours);
  if (damage !== '') parts.push(damage);
  if (result.diagnosis.length > 0) parts.push(renderDiagnosis(result.diagnosis, colours));
  parts.push(renderSummary(result, colours));
  return parts.join('\n\n');
}

const INDENT = ' '.repeat(12);

/** The table, with the evidence of each claim in lines of its own below it. */
export function renderClaims(claims: readonly Claim[], colours: Colours): string {
  const columns = [left('verdict'), left('claim'), right('flows'), right('frames')];
  const rows = claims.map((claim) => [
    paint(claim, colours),
    claim.sentence,
    number(claim.flows),
    number(claim.frames),
  ]);
  const [titles = '', ...lines] = table(columns, rows, colours).split('\n');
  const detailed = lines.flatMap((line, index) => [line, ...detailsOf(claims[index]!, colours)]);
  return [titles, ...detailed].join('\n');
}

function paint({ verdict }: Claim, colours: Colours): string {
  if (verdict === 'holds') return colours.green('holds');
  return verdict === 'fails' ? colours.red('fails') : colours.yellow('not tested');
}

function detailsOf(claim: Claim, colours: Colours): string[] {
  const failed = claim.verdict === 'fails';
  const shown = failed ? claim.counterexample : claim.evidence;
  const label = failed ? `${number(claim.violations)} times, first: ` : '';
  const evidence = shown.length > 0 ? [label + cite(shown)] : [];
  return [...evidence, ...claim.notes].map((text) => colours.dim(INDENT + text));
}

function renderDamage({ damage }: Verification, colours: Colours): string {
  if (damage === null) return '';
  return `${colours.yellow('The captures are not whole')}\n  ${wrap(damage, '  ')}`;
}

export function renderDiagnosis(diagnosis: readonly Diagnosis[], colours: Colours): string {
  const entries = diagnosis.map(({ host, cause, mend, frames, claims }) =>
    [
      wrap(`- ${cause}`, '  '),
      `  ${wrap(`mend on ${host}: ${mend}`, '    ')}`,
      `  ${wrap(`seen in ${cite(frames)}`, '    ')}`,
      `  ${wrap(`breaks ${claims.join(', ')}`, '    ')}`,
    ].join('\n'),
  );
  return [colours.red('What is wrong'), ...entries].join('\n');
}

function renderSummary(result: Verification, colours: Colours): string {
  const { claims, topology, directory, points } = result;
  const count = (verdict: Claim['verdict']) =>
    claims.filter((claim) => claim.verdict === verdict).length;
  const words = `${topology}: ${count('holds')} of ${claims.length} claims hold`;
  const failed = `, ${count('fails')} fail, ${count('not-tested')} not tested`;
  const head = result.holds ? colours.green(words) : colours.red(words + failed);
  const frames = points.reduce((sum, point) => sum + point.frames, 0);
  const again = `furiwake lab verify --from ${directory}`;
  return [
    head,
    `${points.length} captures, ${number(frames)} frames: ${directory}/`,
    `judge them again: ${again}`,
  ].join('\n');
}

// The claims about every path's return route, each with its verdict, the frames that show it, and
// the command that prints them.
import { number } from '../../../src/cli/output.ts';
import type { CompareResult, EvidenceClaim, PathResult } from '../../compare/result.ts';
import { besideThePage, type Content, type Html, html } from '../html.ts';
import type { Section } from '../table.ts';
import { absenceOf } from './throughput.ts';

export function evidenceSection(result: CompareResult): Section {
  return {
    id: 'evidence',
    title: 'What the captures prove',
    body: html`<p>Before it was measured, each path carried a small exchange of every kind under
recorders at the client, at the balancer and at the reals. “Looked at” counts the frames or flows
that a claim was held against. The links lead to the captures beside
this page; the commands work in its directory.</p>
${result.paths.map(pathEvidence)}`,
  };
}

function pathEvidence(path: PathResult): Html {
  const { title, evidence } = path;
  if (evidence === undefined) {
    const reason = path.status === 'measured' ? 'No evidence was gathered.' : absenceOf(path);
    return html`<h3>${title} ${badge('not-tested')}</h3><p class="small">${reason}</p>`;
  }
  const { holds, claims, captures, tsharkComplaints } = evidence;
  const fails = claims.some(({ verdict }) => verdict === 'fails');
  return html`<h3>${title} ${badge(holds ? 'holds' : fails ? 'fails' : 'not-tested')}</h3>
<ul class="claims">${claims.map(claimItem)}</ul>
${complaints(tsharkComplaints)}
<details><summary>${captures.length} ${captures.length === 1 ? 'capture' : 'captures'}</summary>
<ul class="files">${captures.map((file) => html`<li>${linkTo(file)}</li>`)}</ul></details>`;
}

const BADGES: Readonly<Record<EvidenceClaim['verdict'], string>> = {
  holds: 'holds',
  fails: 'fails',
  'not-tested': 'not tested',
};

const badge = (verdict: EvidenceClaim['verdict']): Html =>
  html`<span class="badge ${verdict}">${BADGES[verdict]}</span>`;

/** The directory of all captures is the same and goes without saying. */
const linkTo = (file: string): Html =>
  html`<a href="${besideThePage(file)}">${file.replace(/^captures\//, '')}</a>`;

function claimItem({ text, verdict, frames, looked }: EvidenceClaim): Html {
  return html`<li>${badge(verdict)} ${text} <span class="looked">${number(looked)} looked at</span>
${frames.length === 0 ? '' : framesOf(frames, verdict)}</li>`;
}

function framesOf(frames: EvidenceClaim['frames'], verdict: EvidenceClaim['verdict']): Html {
  const files = [...new Set(frames.map(({ file }) => file))].map((file) => {
    const numbers = frames.filter((each) => each.file === file).map(({ frame }) => frame);
    return { file, numbers };
  });
  const links = files.map(
    ({ file, numbers }) => html`<span>${linkTo(file)} ${numbers.length === 1 ? 'frame' : 'frames'}
${numbers.join(', ')}</span>`,
  );
  const commands = files.map(({ file, numbers }) => `${tsharkCommand(file, numbers)}\n`);
  // What fails is looked at first.
  const open = verdict === 'fails' ? html` open` : '';
  return html`<div class="frames">${links}</div>
<details class="commands"${open}><summary>commands</summary><pre>${commands}</pre></details>`;
}

/** Prints the frames in full. */
export function tsharkCommand(file: string, frames: readonly number[]): string {
  const filter = frames.map((frame) => `frame.number==${frame}`);
  const quoted = filter.length === 1 ? filter[0]! : `'${filter.join(' || ')}'`;
  return `tshark -r ${shellWord(file)} -Y ${quoted} -V`;
}

const shellWord = (word: string): string =>
  /^[\w./+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** That there are none is a claim of its own, if anybody looked. */
function complaints(list: readonly string[]): Content {
  if (list.length === 0) return undefined;
  return html`<p class="notice"><b>Complaints about the captures</b></p>
<ul class="small">${list.map((each) => html`<li>${each}</li>`)}</ul>`;
}

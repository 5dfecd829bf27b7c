// Everything the claims are judged from: the joined captures, the way of each flow, and the first
// thing that went wrong in it.
import { damageOf, type Manifest } from './captures.ts';
import { type Draft, violate } from './claim.ts';
import type { Frame } from './dissect.ts';
import { directorRewrote, type Fault } from './faults.ts';
import type { Flow, JoinedCaptures } from './flows.ts';
import type { Route } from './route.ts';

export interface Findings {
  readonly joined: JoinedCaptures;
  readonly manifest: Manifest;
  readonly routes: readonly Route[];
  readonly faultOf: ReadonlyMap<Flow, Fault>;
  /** Name of the director's host. */
  readonly director: string;
}

export const allFrames = ({ joined }: Findings): readonly Frame[] =>
  joined.set.captures.flatMap((capture) => capture.frames);

/** Why captures that a claim about absence rests on are not whole; undefined if they are. */
export function damageAt({ joined }: Findings, hosts: readonly string[]): string | undefined {
  const captures = joined.set.captures.filter((capture) => hosts.includes(capture.point.host));
  const damage = captures.map(damageOf).filter((text) => text !== undefined);
  return damage.length > 0 ? damage.join('; ') : undefined;
}

export const damageAnywhere = (findings: Findings): string | undefined =>
  damageAt(
    findings,
    findings.manifest.hosts.map((host) => host.name),
  );

/** Frames that the director sent although it received nothing like them. */
export function judgeExtra(findings: Findings, draft: Draft, extra: readonly Frame[]): void {
  if (extra.length === 0) return;
  if (damageAt(findings, [findings.director]) !== undefined) {
    draft.notes.push(`${extra.length} frames came out whose input the recorder missed`);
    return;
  }
  const what = 'a packet so far that no input equals it';
  for (const frame of extra) violate(draft, [frame], directorRewrote(findings.director, what));
}

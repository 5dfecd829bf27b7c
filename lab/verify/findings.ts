// Everything the claims are judged from: the joined captures, the way of each flow, and the first
// thing that went wrong in it.
import type { Manifest } from './captures.ts';
import { type Draft, missAfter } from './claim.ts';
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
  /** Why captures are not whole; undefined if all are. */
  readonly damage: string | undefined;
}

export const allFrames = ({ joined }: Findings): readonly Frame[] =>
  joined.set.captures.flatMap((capture) => capture.frames);

/** Frames that the director sent although it received nothing like them. */
export function judgeExtra(findings: Findings, draft: Draft, extra: readonly Frame[]): void {
  const what = 'a packet so far that no input equals it';
  for (const frame of extra)
    missAfter(draft, undefined, [frame], directorRewrote(findings.director, what));
}

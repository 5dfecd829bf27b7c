// What a claim is, and how one is drawn up: count what was checked, note what speaks against it,
// conclude. A claim that nothing was checked on does not hold: it is `not-tested`.
import type { Frame } from './dissect.ts';
import type { Fault } from './faults.ts';
import type { Flow } from './flows.ts';

/** Where to look: a capture file and the number of a frame in it, from 1. */
export interface FrameReference {
  readonly file: string;
  readonly number: number;
}

export interface Claim {
  readonly id: string;
  readonly sentence: string;
  readonly verdict: 'holds' | 'fails' | 'not-tested';
  /** What it was checked on. */
  readonly flows: number;
  readonly frames: number;
  /** One packet that shows it, from point to point. */
  readonly evidence: readonly FrameReference[];
  /** How many frames or flows speak against it. */
  readonly violations: number;
  /** The first that does. */
  readonly counterexample: readonly FrameReference[];
  /** Why it fails: cause, host and mend, each once. */
  readonly faults: readonly SeenFault[];
  /** What was seen and tolerated, or why it was not tested. */
  readonly notes: readonly string[];
}

/** A fault with the first frames that show it. */
export interface SeenFault extends Fault {
  readonly frames: readonly FrameReference[];
}

export interface Violation {
  readonly frames: readonly Frame[];
  readonly fault: Fault;
  /** True if it rests on a frame that is not in a capture: no proof if the recorder lost some. */
  readonly missing: boolean;
}

/** A claim is about frames that are there, or about frames that are nowhere. */
export type Subject = 'presence' | 'absence';

/** A claim while its captures are gone through. */
export interface Draft {
  readonly id: string;
  readonly sentence: string;
  readonly subject: Subject;
  readonly flows: Set<Flow>;
  frames: number;
  evidence: readonly Frame[];
  readonly violations: Violation[];
  readonly notes: string[];
}

export const draftOf = (id: string, sentence: string, subject: Subject = 'presence'): Draft => ({
  id,
  sentence,
  subject,
  flows: new Set(),
  frames: 0,
  evidence: [],
  violations: [],
  notes: [],
});

/** Counts one packet that was checked; the first one's frames become the evidence. */
export function count(draft: Draft, flow: Flow | undefined, chain: () => readonly Frame[]): void {
  if (draft.frames === 0) draft.evidence = chain();
  draft.frames += 1;
  if (flow !== undefined) draft.flows.add(flow);
}

/** Notes frames that speak against the claim. */
export function violate(draft: Draft, frames: readonly Frame[], fault: Fault): void {
  draft.violations.push({ frames, fault, missing: false });
}

/** Notes that after these frames of a flow others should have come and did not. */
export function missAfter(
  draft: Draft,
  flow: Flow | undefined,
  frames: readonly Frame[],
  fault: Fault,
): void {
  draft.violations.push({ frames, fault, missing: true });
  if (flow !== undefined) draft.flows.add(flow);
}

/** @param damage why captures are not whole; undefined if all are */
export function conclude(draft: Draft, damage: string | undefined): Claim {
  const { id, sentence, subject } = draft;
  const whole = damage === undefined;
  const violations = draft.violations.filter((violation) => whole || !violation.missing);
  const failed = violations.length > 0;
  const unproven = !whole && (subject === 'absence' || draft.violations.length > 0);
  const untested = !failed && (draft.frames === 0 || unproven);
  return {
    id,
    sentence,
    verdict: failed ? 'fails' : untested ? 'not-tested' : 'holds',
    flows: draft.flows.size,
    frames: draft.frames,
    evidence: draft.evidence.map(refer),
    violations: violations.length,
    counterexample: (violations[0]?.frames ?? []).map(refer),
    faults: distinct(
      violations.map(({ fault, frames }) => ({ ...fault, frames: frames.map(refer) })),
    ),
    notes: [
      ...draft.notes,
      ...(untested && draft.frames === 0 ? ['no frame was there to check it on'] : []),
      ...(untested && unproven ? ['that a frame is missing needs whole captures'] : []),
    ],
  };
}

export const refer = ({ file, number }: Frame): FrameReference => ({ file, number });

/** Each fault once, as first seen; two are the same if cause and host are. */
export function distinct(faults: readonly SeenFault[]): SeenFault[] {
  const byKey = new Map<string, SeenFault>();
  for (const fault of faults) {
    const key = `${fault.kind} ${fault.host}`;
    if (!byKey.has(key)) byKey.set(key, fault);
  }
  return [...byKey.values()];
}

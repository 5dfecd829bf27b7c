// A measure: one figure that a comparison takes of every path, again and again in turns.
import type { OpenPath } from './path.ts';
import type { MeasureName, Sample } from './result.ts';

export interface SampleOptions {
  readonly round: number;
  /** How long the load lasts. */
  readonly seconds: number;
  /** Samples that this path has given so far, so that half load can be half of what was found. */
  readonly soFar: Partial<Record<MeasureName, readonly Sample[]>>;
}

export interface Measure {
  readonly name: MeasureName;
  /** How long a sample takes beside `seconds`, for the time that is foretold. */
  readonly secondsBeside: number;
  /** Why this measure does not apply to this path, or undefined. */
  notApplicable(open: OpenPath): string | undefined;
  /** Takes one sample. @throws Error with one line that says what went wrong */
  take(open: OpenPath, options: SampleOptions): Promise<Sample>;
}

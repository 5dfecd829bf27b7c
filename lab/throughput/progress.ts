// What a person sees who waits: on a terminal a bar with the time that is left, elsewhere one line
// a step. Nothing of it is part of the results.
import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  /** Another one begins. */
  begin(what: string): void;
  /** All are done. */
  end(): void;
}

export interface ProgressOptions {
  readonly title: string;
  readonly steps: number;
  readonly secondsPerStep: number;
}

export const SILENT: Progress = { begin: () => {}, end: () => {} };

/** Announces `steps` steps and how long they take; `json` output has nobody who waits. */
export function startProgress(options: ProgressOptions, stream: NodeJS.WriteStream): Progress {
  const { title, steps, secondsPerStep } = options;
  stream.write(`${title}: about ${Math.ceil(steps * secondsPerStep)} s\n`);
  return stream.isTTY ? bar(options, stream) : lines(options, stream);
}

function bar({ steps, secondsPerStep }: ProgressOptions, stream: NodeJS.WriteStream): Progress {
  const format = '  {bar} {value}/{total}  {left} s left  {what}';
  const drawn = new SingleBar({ format, stream, barsize: 30, clearOnComplete: true }, Presets.rect);
  let begun = 0;
  const left = () => Math.ceil((steps - Math.max(0, begun - 1)) * secondsPerStep);
  drawn.start(steps, 0, { what: '', left: left() });
  return {
    begin: (what) => {
      begun += 1;
      drawn.update(begun - 1, { what, left: left() });
    },
    end: () => {
      drawn.update(steps);
      drawn.stop();
    },
  };
}

function lines({ steps }: ProgressOptions, stream: NodeJS.WriteStream): Progress {
  let begun = 0;
  return {
    begin: (what) => {
      begun += 1;
      stream.write(`  ${String(begun).padStart(String(steps).length)} of ${steps}: ${what}\n`);
    },
    end: () => {},
  };
}

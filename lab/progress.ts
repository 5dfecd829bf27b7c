// What a person sees who waits: on a terminal a bar with the time that is left, elsewhere one line
// a step. Nothing of it is part of the results.
import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  /** Another one begins. */
  begin(what: string): void;
  /** What the one that runs has come to. */
  say(what: string): void;
  /** The next one will not take place. */
  skip(): void;
  /** Something that is worth a line of its own. */
  note(text: string): void;
  /** All are done. */
  end(): void;
}

export interface ProgressOptions {
  readonly title: string;
  /** How long each step takes, as far as it can be foretold. */
  readonly seconds: readonly number[];
}

export const SILENT: Progress = {
  begin: () => {},
  say: () => {},
  skip: () => {},
  note: () => {},
  end: () => {},
};

const REDRAW_MS = 1000;
const CLEAR_LINE = '\r\u001b[K';
/** A bar must not go on in a second line, but a note may; the bar's library switches it off. */
const WRAP_ON = '\u001b[?7h';
const WRAP_OFF = '\u001b[?7l';
/** In its end the bar goes to where it saved the cursor: to its own line, below all notes. */
const SAVE_CURSOR = '\u001b7';

/** Announces the steps and how long they take; `json` output has nobody who waits. */
export function startProgress(options: ProgressOptions, stream: NodeJS.WriteStream): Progress {
  stream.write(`${options.title}: about ${timeOf(sum(options.seconds))}\n`);
  return stream.isTTY ? bar(options, stream) : lines(options, stream);
}

/** `45 s`, `12 min`. */
export function timeOf(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0);

function bar({ seconds }: ProgressOptions, stream: NodeJS.WriteStream): Progress {
  const format = '  {bar} {done}/{steps}  {left} left  {what}';
  const drawn = new SingleBar({ format, stream, barsize: 30, clearOnComplete: true }, Presets.rect);
  const total = sum(seconds);
  let done = 0;
  let before = 0;
  let begunMs = performance.now();
  const draw = (payload: { what?: string } = {}) => {
    // A step that takes longer than was foretold does not eat up the time of the next ones.
    const inStep = Math.min((performance.now() - begunMs) / 1000, seconds[done] ?? 0);
    drawn.update(before + inStep, { ...payload, done, left: timeOf(total - before - inStep) });
  };
  const next = () => {
    before += seconds[done] ?? 0;
    done += 1;
  };
  let running = false;
  drawn.start(total, 0, { what: '', done, steps: seconds.length, left: timeOf(total) });
  const clock = setInterval(draw, REDRAW_MS).unref();
  return {
    begin: (what) => {
      if (running) next();
      running = true;
      begunMs = performance.now();
      draw({ what });
    },
    say: (what) => draw({ what }),
    skip: () => {
      if (running) next();
      running = false;
      next();
    },
    note: (text) => {
      stream.write(`${CLEAR_LINE}${WRAP_ON}  ${text}\n${WRAP_OFF}${SAVE_CURSOR}`);
      draw();
    },
    end: () => {
      clearInterval(clock);
      drawn.update(total);
      drawn.stop();
    },
  };
}

function lines({ seconds }: ProgressOptions, stream: NodeJS.WriteStream): Progress {
  const steps = String(seconds.length);
  const indent = ' '.repeat('  '.length + `${steps} of ${steps}: `.length);
  let begun = 0;
  return {
    begin: (what) => {
      begun += 1;
      stream.write(`  ${String(begun).padStart(steps.length)} of ${steps}: ${what}\n`);
    },
    say: (what) => stream.write(`${indent}${what}\n`),
    skip: () => {
      begun += 1;
    },
    note: (text) => stream.write(`  ${text}\n`),
    end: () => {},
  };
}
